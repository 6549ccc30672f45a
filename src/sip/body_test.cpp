// SPDX-License-Identifier: Apache-2.0
#include "sip/body.h"

#include "sip/user_agent_test_wire.h"

// Bodies of more parts than one, and of other types than we know.
using namespace sheaf;
using namespace sheaf::sip;

namespace {

constexpr std::string_view kDescription = "v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\n";

Message with(std::string body, const std::vector<Header>& headers) {
    Message message;
    message.start = RequestLine{"INVITE", *uri_from_text("sip:a@b")};
    message.headers = headers;
    message.body = std::move(body);
    return message;
}

Message of_type(std::string body, const std::string& type) {
    return with(std::move(body), {{"Content-Type", type}});
}

std::string part(const std::string& headers, std::string_view content) {
    return "--edge\r\n" + headers + "\r\n" + std::string(content) + "\r\n";
}

std::string sdp_part() {
    return part("Content-Type: application/sdp\r\n", kDescription);
}

std::string isup_part(const std::string& handling) {
    const std::string disposition = "Content-Disposition: signal" + (handling.empty() ? "" : ";handling=" + handling);
    return part("Content-Type: application/ISUP;version=itu-t92+\r\n" + disposition + "\r\n",
                std::string_view("\x01\0\x60\r\n--ed\r\n", 11));
}

std::string found_in(const Message& message) {
    const auto found = description_in(message);
    REQUIRE_MESSAGE(found.has_value(), (found ? "" : found.error().what));
    return std::string(*found);
}

Errc refused(const Message& message) {
    const auto found = description_in(message);
    REQUIRE_FALSE(found.has_value());
    return found.error().code;
}

constexpr const char* kMixed = "multipart/mixed;boundary=edge";

}  // namespace

TEST_CASE("a description is the body, or one of its parts, wherever it stands") {
    const std::string sdp(kDescription);
    CHECK(found_in(with({}, {})).empty());
    CHECK(found_in(with(sdp, {})) == sdp);
    CHECK(found_in(of_type(sdp, "application/sdp")) == sdp);
    CHECK(found_in(of_type(sdp, "Application / SDP; charset=utf-8")) == sdp);
    CHECK(found_in(of_type(sdp_part() + "--edge--", kMixed)) == sdp);
    CHECK(found_in(of_type(sdp_part() + isup_part("optional") + "--edge--\r\n", kMixed)) == sdp);
    CHECK(found_in(of_type(isup_part("optional") + sdp_part() + "--edge--\r\n", kMixed)) == sdp);
    // Without a word on whether it must be understood it need not.
    CHECK(found_in(of_type(isup_part("") + sdp_part() + "--edge--\r\n", kMixed)) == sdp);
    CHECK(found_in(of_type("before\r\n" + sdp_part() + "--edge--  \r\nbehind", "MULTIPART/Mixed; boundary=\"edge\"")) ==
          sdp);
    // Lines that only begin like a delimiter are none, nor is one within a line.
    const std::string odd = "v=0\r\n--edges\r\ns=--edge\r\n--edge-\r\n";
    CHECK(found_in(of_type(part("c: application/sdp\r\n", odd) + "--edge--", kMixed)) == odd);
    const std::string folded =
        "Content-Type:\r\n application/sdp\r\nContent-Disposition: session;handling=required\r\n";
    CHECK(found_in(of_type(part(folded, kDescription) + "--edge--", kMixed)) == sdp);
}

TEST_CASE("of alternatives the last that is understood counts, of other parts the first") {
    const auto second = part("Content-Type: application/sdp\r\n", "v=0\r\ns=second");
    CHECK(found_in(of_type(sdp_part() + second + "--edge--", kMixed)) == kDescription);
    const std::string kAlternative = "multipart/alternative;boundary=edge";
    CHECK(found_in(of_type(sdp_part() + second + "--edge--", kAlternative)) == "v=0\r\ns=second");
    CHECK(found_in(of_type(sdp_part() + isup_part("required") + "--edge--", kAlternative)) == kDescription);
    const auto inner = "--in\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--in--";
    const auto nested = part("Content-Type: multipart/alternative;boundary=in\r\n", inner);
    CHECK(found_in(of_type(isup_part("optional") + nested + "--edge--", kMixed)) == "v=0");
}

TEST_CASE("what must be understood and is not is unsupported, what may be passed over is") {
    CHECK(refused(of_type("x", "application/isup")) == Errc::unsupported);
    CHECK(refused(of_type("x", "nonsense")) == Errc::unsupported);
    CHECK(refused(of_type(isup_part("required") + sdp_part() + "--edge--", kMixed)) == Errc::unsupported);
    CHECK(found_in(with("x", {{"Content-Type", "text/plain"}, {"Content-Disposition", "render;handling=optional"}}))
              .empty());
    const std::string sdp(kDescription);
    CHECK(refused(with(sdp, {{"Content-Type", "application/sdp"}, {"Content-Encoding", "gzip"}})) == Errc::unsupported);
    CHECK(found_in(with(sdp, {{"Content-Type", "application/sdp"}, {"Content-Encoding", "Identity"}})) == sdp);
    // Of early media, say (RFC 3959): it is not the session's.
    CHECK(found_in(with(sdp, {{"Content-Type", "application/sdp"}, {"Content-Disposition", "early-session"}})).empty());
    const auto packed = part("Content-Type: application/sdp\r\nContent-Transfer-Encoding: base64\r\n", "dj0w");
    CHECK(found_in(of_type(packed + "--edge--", kMixed)).empty());
    CHECK(found_in(of_type(part("", "text") + part("", "") + "--edge\r\n\r\n\r\n--edge\r\n--edge--", kMixed)).empty());
}

TEST_CASE("a body that cannot be taken apart is malformed, and one of too many parts is that") {
    CHECK(refused(of_type(sdp_part(), kMixed)) == Errc::malformed);
    CHECK(refused(of_type("no parts", kMixed)) == Errc::malformed);
    CHECK(refused(of_type(sdp_part() + "--edge--", "multipart/mixed")) == Errc::malformed);
    CHECK(refused(of_type("--", "multipart/mixed;boundary=\"\"")) == Errc::malformed);
    CHECK(refused(of_type("--", "multipart/mixed;boundary=" + std::string(71, 'b'))) == Errc::malformed);
    CHECK(refused(of_type(part("no colon\r\n", "x") + "--edge--", kMixed)) == Errc::malformed);
    std::string many;
    for (std::size_t i = 0; i < kBodyPartsMax; ++i) many += part("", "x");
    CHECK(found_in(of_type(many + "--edge--", kMixed)).empty());
    CHECK(refused(of_type(many + sdp_part() + "--edge--", kMixed)) == Errc::exhausted);
    std::string deep(kDescription);
    std::string type = "application/sdp";
    for (std::size_t i = 0; i < kBodyDepthMax; ++i) {
        CHECK(found_in(of_type(deep, type)) == kDescription);
        const std::string name = "b" + std::to_string(i);
        deep = "--" + name + "\r\nContent-Type: " + type + "\r\n\r\n" + deep + "\r\n--" + name + "--";
        type = "multipart/mixed;boundary=" + name;
    }
    CHECK(refused(of_type(deep, type)) == Errc::exhausted);
}

TEST_CASE("an answer may carry what is accepted, and anything where nothing is said") {
    const auto takes = [](const std::string& accept) {
        return accepts(with({}, {{"Accept", accept}}), "application/sdp");
    };
    CHECK(accepts(with({}, {}), "application/sdp"));
    CHECK(takes("text/plain, Application/SDP;q=0.5"));
    CHECK(takes("*/*"));
    CHECK(takes("application/*"));
    CHECK_FALSE(takes("text/*"));
    CHECK_FALSE(takes("application/isup"));
    CHECK_FALSE(takes(""));
}

TEST_CASE("a call's description is what the application hears of, and what cannot be understood is answered") {
    const auto asked = [](const std::string& branch, const Message& body) {
        const std::string request = LoneAgent().request("INVITE", branch, 1, "");
        const auto head = request.substr(0, request.find("Content-Length"));
        std::string headers;
        for (const auto& [name, value] : body.headers) headers += name + ": " + value + "\r\n";
        return head + headers + "Content-Length: " + std::to_string(body.body.size()) + "\r\n\r\n" + body.body;
    };
    LoneAgent us;
    us.receive(asked("1", of_type(isup_part("optional") + sdp_part() + "--edge--", kMixed)));
    const auto invited = us.only_event<Invited>();
    CHECK(invited.request.body == kDescription);
    CHECK(*invited.request.first("Content-Type") == "application/sdp");
    us.ua.reject(us.now, invited.dialog, 486);
    us.taken();

    LoneAgent others;
    const auto refused_with = [&](const std::string& branch, const Message& body) {
        std::string request = asked(branch, body);
        request.replace(request.find("peer-call"), 9, "call-" + branch);
        others.receive(request);
        CHECK(others.ua.take_events().empty());
        return others.only();
    };
    const auto unknown = refused_with("2", of_type("x", "application/unknown"));
    CHECK(unknown.status() == 415);
    CHECK(unknown.first("Accept")->find("application/sdp") == 0);
    CHECK(refused_with("3", of_type(sdp_part(), kMixed)).status() == 400);
    std::string many;
    for (std::size_t i = 0; i <= kBodyPartsMax; ++i) many += part("", "x");
    CHECK(refused_with("4", of_type(many + "--edge--", kMixed)).status() == 413);

    // What need not be understood is no offer.
    LoneAgent third;
    third.receive(
        asked("5", with("x", {{"Content-Type", "text/plain"}, {"Content-Disposition", "render;handling=optional"}})));
    const auto plain = third.only_event<Invited>();
    CHECK(plain.request.body.empty());
    CHECK(plain.request.first("Content-Type") == nullptr);
}
