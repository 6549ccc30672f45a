// SPDX-License-Identifier: Apache-2.0
#include "b2bua/test_world.h"

using namespace sheaf;
using namespace sheaf::b2bua;
using namespace sheaf::b2bua::test;

namespace {

const std::string kSilence = "record xmlns=\"urn:sheaf:msml:1\" action=\"silence\"";
const std::string kResume = "record xmlns=\"urn:sheaf:msml:1\" action=\"resume\"";

// A recorded call.
struct Recorded : World {
    LegId leg;
    SegmentId segment{"s1"};
    Recorded() : World(at_a_port()), leg(answered_call()) { order(start()); }
    static Settings at_a_port() {  // as a site calls itself that does not say otherwise
        Settings out = settings();
        out.host += ":5060";
        return out;
    }
    [[nodiscard]] exchange::StartRecording start(std::vector<exchange::Silence> silences = {}) const {
        return {leg, segment, CallUuid("u1"), ConnectionId("c1"), std::move(silences)};
    }
    [[nodiscard]] exchange::SilenceRecording silence(std::int64_t back_ms = 0) const {
        return {leg, segment, {"paused", "agent 1001"}, back_ms};
    }
    [[nodiscard]] bool commanded(const std::string& text) const {
        return std::ranges::any_of(media.commands,
                                   [&](const std::string& body) { return body.find(text) != std::string::npos; });
    }
    void clean() {
        end(leg);
        must_be_clean();
    }
};

}  // namespace

TEST_CASE("a recording is silenced and resumed, and told as silent once the media server says so") {
    Recorded w;
    w.media.node.dead = true;
    w.order(w.silence(2'500));
    CHECK(w.count<exchange::RecordingSilenced>() == 0);
    w.media.node.dead = false;
    w.wire.run(1s);
    CHECK(w.commanded("<" + kSilence + " segment=\"s1\" label=\"paused\" by=\"agent-1001\" back=\"2560\"/>"));
    REQUIRE(w.count<exchange::RecordingSilenced>() == 1);
    CHECK(w.last<exchange::RecordingSilenced>()->segment == w.segment);
    CHECK(w.last<exchange::RecordingSilenced>()->label == "paused");
    w.order(exchange::ResumeRecording{w.leg, w.segment, "paused"});
    CHECK(w.media.commands.back().find("<" + kResume + " segment=\"s1\" label=\"paused\"/>") != std::string::npos);
    w.order(exchange::SilenceRecording{w.leg, SegmentId("unknown"), {"hold", ""}, 0});
    CHECK(w.media.commands.back().find(kResume) != std::string::npos);
    w.clean();
}

TEST_CASE("a silence whose result was late is said again, from as long ago as it was ordered") {
    Recorded w;
    w.media.node.dead = true;
    w.order(w.silence());
    w.media.node.dead = false;
    w.wire.run(1s);  // the first was lost and repeated after half a second
    CHECK(w.commanded("label=\"paused\" by=\"agent-1001\" back=\"60\""));
    CHECK(w.commanded("label=\"paused\" by=\"agent-1001\" back=\"1000\""));
    CHECK(w.count<exchange::RecordingSilenced>() == 1);
    w.clean();
}

TEST_CASE("a silence that waited for other commands reaches back to when it was ordered") {
    Recorded w;
    w.media.node.dead = true;
    w.order(exchange::StartPlay{w.leg, "p1", {"music:default"}, true});
    w.order(w.silence(100));
    w.wire.run(200ms);
    w.media.node.dead = false;
    w.wire.run(1s);
    CHECK(w.commanded("back=\"660\""));
    CHECK(w.count<exchange::RecordingSilenced>() == 1);
    w.clean();
}

TEST_CASE("a hold that was long on its way erases nothing and is not said again") {
    Recorded w;
    w.media.node.dead = true;
    w.order(exchange::SilenceRecording{w.leg, w.segment, {"hold", ""}, 0});
    w.media.node.dead = false;
    w.wire.run(1s);
    CHECK(w.commanded("label=\"hold\" back=\"0\""));
    CHECK(!w.commanded("back=\"500\""));
    CHECK(w.count<exchange::RecordingSilenced>() == 1);
    w.clean();
}

TEST_CASE("a recording starts silent") {
    Recorded w;
    w.order(exchange::StopRecording{w.leg, w.segment, exchange::Cause::normal});
    w.order(w.start({{"paused", "agent 1001"}, {"hold", ""}}));
    CHECK(w.media.commands.back().find("connection=\"c1\"><silence label=\"paused\" by=\"agent-1001\"/>"
                                       "<silence label=\"hold\"/></record>") != std::string::npos);
    CHECK(w.count<exchange::RecordingSilenced>() == 2);
    w.clean();
}

TEST_CASE("a refused silence ends the recording: nothing that must not be kept is recorded on") {
    Recorded w;
    w.media.refuse_command = kSilence;
    w.media.refuse_code = 404;
    w.order(w.silence());
    CHECK(w.media.messages.size() == 1);  // what it has stored already is erased, now that it ends
    CHECK(w.count<exchange::RecordingSilenced>() == 1);
    REQUIRE(w.count<exchange::RecordingFailed>() == 1);
    CHECK(w.last<exchange::RecordingFailed>()->segment == w.segment);
    CHECK(w.media.commands.back().find("action=\"stop\" segment=\"s1\" cause=\"failed\"") != std::string::npos);
    CHECK(w.count<exchange::LegEnded>() == 0);
    const auto said = w.media.commands.size();
    w.order(exchange::StopRecording{w.leg, w.segment, exchange::Cause::failed});
    w.order(w.silence());
    CHECK(w.media.commands.size() == said);
    w.clean();
}

TEST_CASE("a refused resumption ends the recording, which would be silent for ever") {
    Recorded w;
    w.order(w.silence());
    w.media.refuse_command = kResume;
    w.media.refuse_code = 400;
    w.order(exchange::ResumeRecording{w.leg, w.segment, "paused"});
    CHECK(w.count<exchange::RecordingFailed>() == 1);
    CHECK(w.commanded("action=\"stop\""));
    w.clean();
}

TEST_CASE("a silence that finds the journal's buffer full is said again before anything else, up to a limit") {
    Recorded w;
    w.media.refuse_command = kSilence;
    w.order(w.silence());
    w.order(exchange::ResumeRecording{w.leg, w.segment, "paused"});
    w.wire.run(600ms);
    CHECK(w.wire.count_seen("<" + kSilence) == 3);
    CHECK(!w.commanded(kResume));  // the two do not change places
    CHECK(w.count<exchange::RecordingSilenced>() == 0);
    w.media.refuse_command.clear();
    w.wire.run(300ms);
    CHECK(w.count<exchange::RecordingSilenced>() == 1);
    CHECK(w.commanded("back=\"810\""));
    CHECK(w.commanded(kResume));
    w.media.refuse_command = kSilence;
    w.order(w.silence());
    w.wire.run(5s);
    CHECK(w.wire.count_seen("<" + kSilence) == 4 + static_cast<std::size_t>(kSilenceTriesMax) + 1);
    CHECK(w.media.messages.size() == 1);
    CHECK(w.count<exchange::RecordingFailed>() == 1);
    CHECK(w.commanded("action=\"stop\""));
    w.clean();
}

TEST_CASE("a silence that nobody has answered when its leg ends is said outside of the dialog until it is done") {
    Recorded w;
    const auto erasures = [&] {
        std::vector<std::string> found;
        for (const auto& body : w.media.messages)
            if (body.find("<" + kSilence) != std::string::npos) found.push_back(body);
        return found;
    };
    SUBCASE("the media server has not answered") {
        w.media.node.dead = true;
        w.order(w.silence(200));
        w.end(w.leg);
        w.wire.run(700ms);
        CHECK(w.count<exchange::RecordingSilenced>() == 0);
        w.media.message_status = 503;  // then it is there again, but has not got so far
        w.media.node.dead = false;
        w.wire.run(3s);
        CHECK(erasures().size() >= 2);
        CHECK(w.count<exchange::RecordingSilenced>() == 0);
    }
    SUBCASE("the media server is gone, and comes back") {
        w.media.node.dead = true;
        w.order(w.silence(200));
        w.order(w.silence(400));
        w.wire.run(50s);
        CHECK(w.count<exchange::LegEnded>() == 1);
        CHECK(w.count<exchange::RecordingSilenced>() == 0);
        w.media.node.dead = false;
    }
    w.media.message_status = 200;
    w.wire.run(5s);
    REQUIRE(w.count<exchange::RecordingSilenced>() >= 1);
    CHECK(w.last<exchange::RecordingSilenced>()->segment == w.segment);
    CHECK(w.last<exchange::RecordingSilenced>()->label == "paused");
    w.must_be_clean();
}

TEST_CASE("a silence that is over is said as such, unless something that is not must be erased with it") {
    Recorded w;
    auto over = w.silence(700);
    over.is_over = true;
    w.order(over);
    CHECK(w.commanded("label=\"paused\" by=\"agent-1001\" back=\"700\" over=\"true\"/>"));
    CHECK(w.count<exchange::RecordingSilenced>() == 1);
    w.order(exchange::StopRecording{w.leg, w.segment, exchange::Cause::normal});
    w.order(over);
    CHECK(w.media.messages.back().find("back=\"700\" over=\"true\"/>") != std::string::npos);
    w.media.message_status = 503;
    w.order(w.silence(100));
    w.order(over);
    w.media.message_status = 200;
    w.wire.run(5s);
    CHECK(w.media.messages.back().find("over=") == std::string::npos);
    CHECK(w.media.messages.back().find("back=\"70") == std::string::npos);  // it waited, so it is more by now
    w.clean();
}

TEST_CASE("of a recording that has ended a pause is erased for two minutes, and one that was never there is silent") {
    Recorded w;
    w.order(exchange::StopRecording{w.leg, w.segment, exchange::Cause::normal});
    w.end(w.leg);
    w.wire.run(10s);
    w.order(w.silence(12'000));
    CHECK(w.media.messages.back().find("back=\"12060\"") != std::string::npos);
    CHECK(w.count<exchange::RecordingSilenced>() == 1);
    w.media.message_status = 404;  // nothing was stored of it there
    w.order(w.silence(12'000));
    CHECK(w.count<exchange::RecordingSilenced>() == 2);
    const auto said = w.media.messages.size();
    w.order(exchange::SilenceRecording{w.leg, w.segment, {"hold", ""}, 0});  // hides nothing
    w.order(exchange::SilenceRecording{w.leg, SegmentId("never"), {"paused", ""}, 0});
    CHECK(w.media.messages.size() == said);
    CHECK(w.last<exchange::RecordingSilenced>()->segment == SegmentId("never"));
    w.media.message_status = 500;
    w.order(w.silence(20'000));
    w.wire.run(kEndedKeptFor + 10s);
    CHECK(w.count<exchange::RecordingSilenced>() == 3);
    w.must_be_clean();
}

TEST_CASE("a silence that still waits is said outside of the dialog when that ends") {
    Recorded w;
    w.b2bua.carry_out(w.stamp(), exchange::StartPlay{w.leg, "p1", {"music:default"}, true});
    w.b2bua.carry_out(w.stamp(), w.silence(300));
    w.b2bua.carry_out(w.stamp(), exchange::StopRecording{w.leg, w.segment, exchange::Cause::normal});
    w.b2bua.carry_out(w.stamp(), exchange::EndLeg{w.leg, 0, exchange::Cause::normal});
    w.wire.settle();
    REQUIRE(w.media.messages.size() == 1);
    CHECK(w.media.messages[0].find("back=\"360\"") != std::string::npos);
    CHECK(w.count<exchange::RecordingSilenced>() == 1);
    CHECK(w.media.commands.back().find("action=\"stop\"") != std::string::npos);
    CHECK(w.media.ended == 1);
    w.must_be_clean();
}

TEST_CASE("when too many commands wait a silence ends the recording, and the stop is not one too many") {
    Recorded w;
    w.media.node.dead = true;
    for (std::size_t i = 0; i <= kMsmlWaitingMax; ++i) {
        w.order(exchange::StartPlay{w.leg, "p" + std::to_string(i), {"music:default"}, true});
    }
    w.order(w.silence());
    CHECK(w.count<exchange::RecordingFailed>() == 1);
    w.media.node.dead = false;
    w.wire.run(5s);
    CHECK(w.commanded("action=\"stop\" segment=\"s1\""));
    w.clean();
}

TEST_CASE("a recording whose leg ends before its start has an answer is told as failed, unless it had begun") {
    enum class Media { records, refuses, is_gone } media = Media::records;
    SUBCASE("it had begun") {}
    SUBCASE("the media server refuses it") {
        media = Media::refuses;
    }
    SUBCASE("the media server is gone") {
        media = Media::is_gone;
    }
    for (const bool by_us : {false, true}) {
        CAPTURE(by_us);
        World w;
        const LegId leg = w.answered_call();
        const SegmentId segment("s1");
        if (media == Media::refuses) w.media.refuse_command = "record";
        w.media.node.dead = media == Media::is_gone;
        w.b2bua.carry_out(w.stamp(), exchange::StartRecording{leg, segment, CallUuid("u1"), ConnectionId("c1"), {}});
        if (by_us) {
            w.b2bua.carry_out(w.stamp(), exchange::StopRecording{leg, segment, exchange::Cause::normal});
            w.b2bua.carry_out(w.stamp(), exchange::EndLeg{leg, 0, exchange::Cause::normal});
        } else {
            w.carrier.ua->bye(w.wire.now, w.customer);
        }
        w.must_be_clean();
        REQUIRE(w.count<exchange::RecordingFailed>() == (media == Media::records ? 0 : 1));
        if (media != Media::records) CHECK(w.last<exchange::RecordingFailed>()->segment == segment);
    }
}

TEST_CASE("a recording that has been stopped before its start was refused is told as failed") {
    World w;
    const LegId leg = w.answered_call();
    w.media.refuse_command = "record";
    w.b2bua.carry_out(w.stamp(),
                      exchange::StartRecording{leg, SegmentId("s1"), CallUuid("u1"), ConnectionId("c1"), {}});
    w.order(exchange::StopRecording{leg, SegmentId("s1"), exchange::Cause::normal});
    REQUIRE(w.count<exchange::RecordingFailed>() == 1);
    CHECK(w.last<exchange::RecordingFailed>()->why == "503 no room");
    w.end(leg);
    w.must_be_clean();
}

TEST_CASE("digits are heard while they are collected") {
    Recorded w;
    const auto press = [&](const std::string& digit) {
        w.media.tell(
            w.wire.now, w.media.dialogs[0],
            "<event name=\"sheaf.digit\" id=\"conn:x\"><name>digit</name><value>" + digit + "</value></event>");
        w.wire.settle();
    };
    press("1");
    CHECK(w.count<exchange::LegDigit>() == 0);
    w.order(exchange::CollectDigits{w.leg, true});
    CHECK(w.media.commands.back().find("<collect xmlns=\"urn:sheaf:msml:1\" target=\"conn:") != std::string::npos);
    CHECK(w.media.commands.back().find("action=\"start\"/>") != std::string::npos);
    press("#");
    press("12");
    press("E");
    REQUIRE(w.count<exchange::LegDigit>() == 1);
    CHECK(w.last<exchange::LegDigit>()->leg == w.leg);
    CHECK(w.last<exchange::LegDigit>()->digit == "#");
    w.order(exchange::CollectDigits{w.leg, true});
    w.order(exchange::CollectDigits{w.leg, false});
    CHECK(w.media.commands.back().find("action=\"stop\"/>") != std::string::npos);
    CHECK(w.wire.count_seen("<collect") == 2);
    press("2");
    CHECK(w.count<exchange::LegDigit>() == 1);
    w.clean();
}
