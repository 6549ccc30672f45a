// SPDX-License-Identifier: Apache-2.0
#include "mediactl/msml.h"

#include <doctest/doctest.h>

using namespace sheaf;
using namespace sheaf::mediactl;

namespace {

std::string document(const std::string& elements) {
    return "<msml version=\"1.1\">" + elements + "</msml>";
}

template <typename T>
T one(const std::string& element) {
    const auto elements = msml_from_text(document(element));
    REQUIRE(elements);
    REQUIRE(elements->size() == 1);
    REQUIRE(std::holds_alternative<T>((*elements)[0]));
    return std::get<T>((*elements)[0]);
}

constexpr const char* kRecord = "<record xmlns=\"urn:sheaf:msml:1\" ";

}  // namespace

TEST_CASE("every element of the profile becomes its own type") {
    CHECK(one<CreateRoom>("<createconference name=\"r1\"/>").room.text() == "r1");
    CHECK(one<DestroyRoom>("<destroyconference id=\"conf:r1\"/>").room.text() == "r1");
    const auto join = one<Join>("<join id1=\"conn:ab12\" id2=\"conf:r1\"/>");
    CHECK(join.leg.text() == "ab12");
    CHECK(join.room.text() == "r1");
    CHECK(one<Unjoin>("<unjoin id1=\"conn:ab12\" id2=\"conf:r1\"/>").leg.text() == "ab12");
    const auto start = one<StartDialog>(
        "<dialogstart target=\"conn:a\" type=\"application/moml+xml\" name=\"t1\"><play repeat=\"2\">"
        "<audio uri=\"say:welcome\"/><audio uri=\"music:default\"/></play></dialogstart>");
    CHECK(start.prompts == std::vector<std::string>{"say:welcome", "music:default", "say:welcome", "music:default"});
    CHECK_FALSE(start.forever);
    const auto end = one<EndDialog>("<dialogend id=\"conn:a/dialog:t1\"/>");
    CHECK(end.leg.text() == "a");
    CHECK(end.name == "t1");
    const auto record = one<StartRecord>(
        std::string(kRecord) + "action=\"start\" target=\"conn:a\" segment=\"s\" calluuid=\"u\" connection=\"c\"/>");
    CHECK(record.segment.text() == "s");
    CHECK(record.connection.text() == "c");
    CHECK(one<StopRecord>(std::string(kRecord) + "action=\"stop\" segment=\"s\" cause=\"transferred\"/>").cause ==
          "transferred");
    CHECK(one<StopRecord>(std::string(kRecord) + "action=\"stop\" segment=\"s\"/>").cause == "normal");
    const auto silence = one<SilenceRecord>(
        std::string(kRecord) + "action=\"silence\" segment=\"s\" label=\"paused\" by=\"1001\" back=\"2500\"/>");
    CHECK(silence.silence == media::Silence{"paused", "1001"});
    CHECK(silence.back == std::chrono::milliseconds{2'500});
    CHECK_FALSE(silence.is_over);
    CHECK(one<SilenceRecord>(std::string(kRecord) + "action=\"silence\" segment=\"s\" label=\"l\" over=\"true\"/>")
              .is_over);
    CHECK(one<Refused>(std::string(kRecord) + "action=\"silence\" segment=\"s\" label=\"l\" over=\"1\"/>").code == 400);
    CHECK(one<SilenceRecord>(std::string(kRecord) + "action=\"silence\" segment=\"s\" label=\"hold\"/>").back.count() ==
          0);
    CHECK(one<ResumeRecord>(std::string(kRecord) + "action=\"resume\" segment=\"s\" label=\"hold\"/>").label == "hold");
    const auto collect = one<Collect>("<collect xmlns=\"urn:sheaf:msml:1\" target=\"conn:a\" action=\"start\"/>");
    CHECK(collect.leg.text() == "a");
    CHECK(collect.on);
}

TEST_CASE("a recording may start with silences in force, as many as a recording may have") {
    const std::string start =
        std::string(kRecord) + "action=\"start\" target=\"conn:a\" segment=\"s\" calluuid=\"u\" connection=\"c\">";
    const auto record =
        one<StartRecord>(start + "<silence label=\"paused\" by=\"1001\"/><silence label=\"hold\"/></record>");
    CHECK(record.silences == std::vector<media::Silence>{{"paused", "1001"}, {"hold", ""}});
    std::string many;
    for (std::size_t i = 0; i < media::kSilencesMax; ++i) many += "<silence label=\"hold\"/>";
    CHECK(one<StartRecord>(start + many + "</record>").silences.size() == media::kSilencesMax);
    CHECK(one<Refused>(start + many + "<silence label=\"hold\"/></record>").code == 503);
    CHECK(one<Refused>(start + "<silence/></record>").code == 400);
    CHECK(one<Refused>(start + "<other/></record>").code == 501);
    const std::string silence = std::string(kRecord) + "action=\"silence\" segment=\"s\" ";
    for (const std::string wrong : {"", "label=\"a b\"", "label=\"hold\" by=\"a b\"", "label=\"hold\" back=\"-1\"",
                                    "label=\"hold\" back=\"3600001\"", "label=\"hold\" back=\"1s\""}) {
        CHECK(one<Refused>(silence + wrong + "/>").code == 400);
    }
    CHECK(one<Refused>(std::string(kRecord) + "action=\"resume\" segment=\"s\"/>").code == 400);
    const std::string collect = "<collect xmlns=\"urn:sheaf:msml:1\" ";
    CHECK(one<Refused>(collect + "target=\"a\" action=\"start\"/>").code == 400);
    CHECK(one<Refused>(collect + "target=\"conn:a\" action=\"pause\"/>").code == 400);
}

TEST_CASE("what is not in the profile is refused with its code, in its place") {
    CHECK(one<Refused>("<collect/>").code == 501);
    CHECK(one<Refused>("<record action=\"start\"/>").code == 501);
    CHECK(one<Refused>("<join id1=\"conn:a\" id2=\"conf:../x\"/>").code == 400);
    CHECK(one<Refused>("<join id1=\"conf:a\" id2=\"conf:b\"/>").code == 400);
    CHECK(one<Refused>("<createconference name=\"" + std::string(kNameMax + 1, 'a') + "\"/>").code == 400);
    CHECK(one<Refused>(std::string(kRecord) + "action=\"stop\" segment=\"" + std::string(kIdMax + 1, 'a') + "\"/>")
              .code == 400);
    CHECK(one<Refused>(std::string(kRecord) + "action=\"stop\" segment=\"a b\"/>").code == 400);
    const std::string head = "<dialogstart target=\"conn:a\" type=\"application/moml+xml\" name=\"t\">";
    CHECK(one<Refused>(head + "<play><audio uri=\"say:../../etc/passwd\"/></play></dialogstart>").code == 400);
    CHECK(one<Refused>(head + "<play><audio uri=\"file:///x\"/></play></dialogstart>").code == 400);
    CHECK(one<Refused>(head + "<play repeat=\"0\"><audio uri=\"say:a\"/></play></dialogstart>").code == 400);
    CHECK(one<Refused>(head + "<play repeat=\"9\"><audio uri=\"say:a\"/></play></dialogstart>").code == 503);
    CHECK(one<Refused>(head + "<record/></dialogstart>").code == 501);
    const auto mixed = msml_from_text(document("<createconference name=\"r\"/><dtmf/><createconference name=\"s\"/>"));
    REQUIRE(mixed);
    REQUIRE(mixed->size() == 3);
    CHECK(std::holds_alternative<Refused>((*mixed)[1]));
}

TEST_CASE("a document over a limit, with a document type, or that is no MSML is refused whole") {
    CHECK(msml_from_text("").error().code == Errc::malformed);
    CHECK(msml_from_text("<msml version=\"1.1\">").error().code == Errc::malformed);
    CHECK(msml_from_text("<msml version=\"1.1\"/>").error().code == Errc::malformed);
    CHECK(msml_from_text("<other version=\"1.1\"><a/></other>").error().code == Errc::malformed);
    CHECK(msml_from_text("<!DOCTYPE m [<!ENTITY a \"b\">]>" + document("<createconference name=\"&a;\"/>"))
              .error()
              .code == Errc::malformed);
    std::string many;
    for (std::size_t i = 0; i < kMsmlElementsMax; ++i) many += "<createconference name=\"r\"/>";
    CHECK(msml_from_text(document(many)));
    CHECK(msml_from_text(document(many + "<a/>")).error().code == Errc::exhausted);
    CHECK(msml_from_text(document("<a/>" + std::string(kMsmlBytesMax, ' '))).error().code == Errc::exhausted);
}

TEST_CASE("results and events cannot be broken out of") {
    CHECK(msml_result(200).find("<result response=\"200\"/>") != std::string::npos);
    CHECK(msml_result(400, "<&\">\n").find("&lt;&amp;&quot;&gt; </description>") != std::string::npos);
    CHECK(msml_event("e", "conn:\"", "segment", "<x>").find("id=\"conn:&quot;\"") != std::string::npos);
}
