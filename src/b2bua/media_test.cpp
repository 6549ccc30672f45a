// SPDX-License-Identifier: Apache-2.0
#include "b2bua/msml_client.h"
#include "b2bua/test_world.h"

using namespace sheaf;
using namespace sheaf::b2bua;
using namespace sheaf::b2bua::test;

namespace {

exchange::StartRecording record(const LegId& leg, const std::string& segment = "s1") {
    return {leg, SegmentId(segment), CallUuid("u1"), ConnectionId("c1")};
}

std::string event(const std::string& name, const std::string& key, const std::string& value,
                  const std::string& dialog = {}) {
    return "<event name=\"" + name + "\" id=\"conn:x" + (dialog.empty() ? "" : "/dialog:" + dialog) + "\"><name>" +
           key + "</name><value>" + value + "</value></event>";
}

}  // namespace

TEST_CASE("a dead media server: the caller hears 503 with Retry-After within five seconds, the next at once") {
    World w;
    w.media.node.dead = true;
    const auto began = w.wire.now;
    w.call(w.carrier, "8000");
    w.order(exchange::AnswerLeg{w.last<exchange::LegOffered>()->leg, RoomId("u1"), CallUuid("u1")});
    while (w.carrier.count<sip::Failed>() == 0 && w.wire.now - began < 10s) w.wire.run(100ms);
    REQUIRE(w.carrier.last<sip::Failed>() != nullptr);
    CHECK(w.wire.now - began <= 5s);
    CHECK(w.carrier.last<sip::Failed>()->status == 503);
    CHECK(*w.carrier.last<sip::Failed>()->response->first("Retry-After") == "10");
    CHECK(w.last<exchange::LegEnded>()->cause == exchange::Cause::failed);
    CHECK(w.logged("media server does not answer"));
    // Set aside: nobody waits for it now.
    w.order(w.to_phone());
    REQUIRE(w.last<exchange::LegFailed>() != nullptr);
    CHECK(w.last<exchange::LegFailed>()->status == 503);
    // And taken again later.
    w.media.node.dead = false;
    w.wire.run(11s);
    w.answered_call();
    w.carrier.ua->bye(w.wire.now, w.customer);
    w.must_be_clean();
}

TEST_CASE("with two media servers a dead one costs two seconds, once") {
    auto settings = World::settings();
    settings.media = {peer("sip:127.0.0.1:5071"), peer("sip:127.0.0.1:5070")};
    World w(settings);
    w.call(w.carrier, "8000");
    w.order(exchange::AnswerLeg{w.last<exchange::LegOffered>()->leg, RoomId("u1"), CallUuid("u1")});
    CHECK(w.count<exchange::LegConnected>() == 0);
    w.wire.run(2s);
    CHECK(w.count<exchange::LegConnected>() == 1);
    w.order(w.to_phone());  // its room stands at the second
    CHECK(w.phone.count<sip::Invited>() == 1);
    w.call(w.carrier, "8000");
    w.order(exchange::AnswerLeg{w.last<exchange::LegOffered>()->leg, RoomId("u2"), CallUuid("u2")});
    CHECK(w.count<exchange::LegConnected>() == 2);
}

TEST_CASE("many dead media servers are not tried for longer than the caller can wait") {
    auto settings = World::settings();
    settings.media.clear();
    for (int i = 0; i < 8; ++i) settings.media.push_back(peer("sip:127.0.0.1:" + std::to_string(5'080 + i)));
    World w(settings);
    w.call(w.carrier, "8000");
    w.order(exchange::AnswerLeg{w.last<exchange::LegOffered>()->leg, RoomId("u1"), CallUuid("u1")});
    w.wire.run(5s);
    REQUIRE(w.carrier.last<sip::Failed>() != nullptr);
    CHECK(w.carrier.last<sip::Failed>()->status == 503);
    w.must_be_clean();
}

TEST_CASE("no free RTP port: the caller hears 503, and the media server is not set aside for it") {
    World w;
    w.media.refuse_invite = 503;
    w.call(w.carrier, "8000");
    w.order(exchange::AnswerLeg{w.last<exchange::LegOffered>()->leg, RoomId("u1"), CallUuid("u1")});
    CHECK(w.carrier.last<sip::Failed>()->status == 503);
    CHECK(w.logged("media server refuses a leg"));
    w.media.refuse_invite = 0;
    w.answered_call();
    w.carrier.ua->bye(w.wire.now, w.customer);
    w.must_be_clean();
}

TEST_CASE("when the switch can take no more transactions the caller hears 503, and no media server counts as silent") {
    auto options = options_of_switch();
    options.transactions_max = 1;
    World w(World::settings(), options);
    w.call(w.carrier, "8000");
    w.order(exchange::AnswerLeg{w.last<exchange::LegOffered>()->leg, RoomId("u1"), CallUuid("u1")});
    REQUIRE(w.carrier.last<sip::Failed>() != nullptr);
    CHECK(w.carrier.last<sip::Failed>()->status == 503);
    CHECK_FALSE(w.logged("media server does not answer"));
    w.must_be_clean();
}

TEST_CASE("no codec in common with the media server: the caller hears 488") {
    World w;
    w.media.refuse_invite = 488;
    w.call(w.carrier, "8000");
    w.order(exchange::AnswerLeg{w.last<exchange::LegOffered>()->leg, RoomId("u1"), CallUuid("u1")});
    CHECK(w.carrier.last<sip::Failed>()->status == 488);
    w.must_be_clean();
}

TEST_CASE("recordings start and stop in order, and what the media server says of them is heard") {
    World w;
    const auto leg = w.answered_call();
    w.order(record(leg));
    REQUIRE(w.media.commands.size() == 1);
    CHECK(w.media.commands[0].find("<record xmlns=\"urn:sheaf:msml:1\" action=\"start\" target=\"conn:") !=
          std::string::npos);
    CHECK(w.media.commands[0].find("segment=\"s1\" calluuid=\"u1\" connection=\"c1\"") != std::string::npos);
    w.media.tell(w.wire.now, w.media.dialogs[0], event("sheaf.record.opened", "segment", "s1"));
    w.wire.settle();
    REQUIRE(w.last<exchange::RecordingOpened>() != nullptr);
    CHECK(w.last<exchange::RecordingOpened>()->segment == SegmentId("s1"));
    w.media.tell(w.wire.now, w.media.dialogs[0], event("sheaf.record.opened", "segment", "somebody else's"));
    w.wire.settle();
    CHECK(w.count<exchange::RecordingOpened>() == 1);
    w.order(exchange::StopRecording{leg, SegmentId("s1"), exchange::Cause::transferred});
    REQUIRE(w.media.commands.size() == 2);
    CHECK(w.media.commands[1].find("action=\"stop\" segment=\"s1\" cause=\"transferred\"") != std::string::npos);
    w.order(exchange::EndLeg{leg, 0, exchange::Cause::normal});
    CHECK(w.count<exchange::RecordingFailed>() == 0);
    w.must_be_clean();
}

TEST_CASE("a recording's stop reaches the media server before the BYE, with its cause") {
    World w;
    const auto leg = w.answered_call();
    w.order(record(leg));
    w.b2bua.carry_out(w.stamp(), exchange::StartPlay{leg, "p1", {"music:default"}, true});
    w.b2bua.carry_out(w.stamp(), exchange::StopRecording{leg, SegmentId("s1"), exchange::Cause::shutdown});
    w.b2bua.carry_out(w.stamp(), exchange::EndLeg{leg, 0, exchange::Cause::shutdown});
    w.wire.settle();
    CHECK(w.media.commands.back().find("cause=\"shutdown\"") != std::string::npos);
    CHECK(w.media.ended == 1);
    w.must_be_clean();
}

TEST_CASE("a recording that is stopped before its start has gone out is told as failed, not left expected") {
    World w;
    const auto leg = w.answered_call();
    w.b2bua.carry_out(w.stamp(), exchange::StartPlay{leg, "p1", {"music:default"}, true});
    w.b2bua.carry_out(w.stamp(), record(leg));
    w.b2bua.carry_out(w.stamp(), exchange::StopRecording{leg, SegmentId("s1"), exchange::Cause::normal});
    w.wire.settle();
    CHECK(w.count<exchange::RecordingFailed>() == 1);
    CHECK(w.wire.count_seen("<record") == 0);
    w.b2bua.carry_out(w.stamp(), exchange::StartPlay{leg, "p2", {"music:default"}, true});
    w.b2bua.carry_out(w.stamp(), record(leg, "s2"));
    w.b2bua.carry_out(w.stamp(), exchange::EndLeg{leg, 0, exchange::Cause::normal});
    w.wire.settle();
    CHECK(w.count<exchange::RecordingFailed>() == 2);
    w.must_be_clean();
}

TEST_CASE("a recording that the media server refuses, or gives up later, is told") {
    World w;
    const auto leg = w.answered_call();
    w.media.refuse_command = "record";
    w.order(record(leg));
    REQUIRE(w.last<exchange::RecordingFailed>() != nullptr);
    CHECK(w.last<exchange::RecordingFailed>()->why == "503 no room");
    w.media.refuse_command.clear();
    w.order(record(leg, "s2"));
    w.media.tell(w.wire.now, w.media.dialogs[0], event("sheaf.record.failed", "segment", "s2"));
    w.wire.settle();
    CHECK(w.last<exchange::RecordingFailed>()->segment == SegmentId("s2"));
    CHECK(w.count<exchange::LegEnded>() == 0);  // the call goes on
    w.order(record(LegId("nobody"), "s3"));
    CHECK(w.b2bua.take_events().empty());
    w.order(exchange::EndLeg{leg, 0, exchange::Cause::normal});
    w.must_be_clean();
}

TEST_CASE("a media server that ends a leg ends the call: its recordings are told, the caller is hung up") {
    World w;
    const auto leg = w.answered_call();
    w.order(record(leg));
    w.media.node.ua->bye(w.wire.now, w.media.dialogs[0]);
    w.wire.settle();
    CHECK(w.count<exchange::RecordingFailed>() == 1);
    REQUIRE(w.last<exchange::LegEnded>() != nullptr);
    CHECK(w.last<exchange::LegEnded>()->cause == exchange::Cause::lost_control);
    CHECK(w.carrier.count<sip::Ended>() == 1);
    w.must_be_clean();
}

TEST_CASE("a media server that dies during a call is found out by asking it") {
    World w;
    const auto leg = w.answered_call();
    w.order(record(leg));
    w.wire.run(60s);
    CHECK(w.count<exchange::LegEnded>() == 0);
    w.media.node.dead = true;
    w.wire.run(50s);
    CHECK(w.count<exchange::RecordingFailed>() == 1);
    CHECK(w.count<exchange::LegEnded>() == 1);
    CHECK(w.carrier.count<sip::Ended>() == 1);
    w.wire.run(40s);
    CHECK(w.b2bua.counts() == B2bua::Counts{});
}

TEST_CASE("a media server that dies while a phone rings fails the leg and cancels the phone") {
    World w;
    w.order(w.to_phone());
    w.media.node.ua->bye(w.wire.now, w.media.dialogs[0]);
    w.wire.settle();
    CHECK(w.last<exchange::LegFailed>()->status == 503);
    CHECK(w.phone.count<sip::Ended>() == 1);
    w.must_be_clean();
}

TEST_CASE("a treatment of several items plays them once and the last for ever") {
    World w;
    const auto leg = w.answered_call();
    w.order(exchange::StartPlay{leg, "p1", {"say:welcome", "say:queue", "music:default"}, true});
    REQUIRE(w.media.commands.size() == 1);
    CHECK(w.media.commands[0].find("name=\"p1\"><play><audio uri=\"say:welcome\"/><audio uri=\"say:queue\"/></play>") !=
          std::string::npos);
    w.media.tell(w.wire.now, w.media.dialogs[0], event("msml.dialog.exit", "play.end", "completed", "p1"));
    w.wire.settle();
    REQUIRE(w.media.commands.size() == 2);
    CHECK(w.media.commands[1].find("<play repeat=\"forever\"><audio uri=\"music:default\"/></play>") !=
          std::string::npos);
    CHECK(w.count<exchange::PlayEnded>() == 0);
    w.order(exchange::StopPlay{leg, "p1"});
    CHECK(w.media.commands[2].find("<dialogend id=\"conn:") != std::string::npos);
    w.media.tell(w.wire.now, w.media.dialogs[0], event("msml.dialog.exit", "play.end", "terminated", "p1"));
    w.wire.settle();
    CHECK(w.count<exchange::PlayEnded>() == 0);
    w.order(exchange::StartPlay{leg, "p2", {"say:goodbye"}, false});
    w.media.tell(w.wire.now, w.media.dialogs[0], event("msml.dialog.exit", "play.end", "completed", "p2"));
    w.wire.settle();
    REQUIRE(w.last<exchange::PlayEnded>() != nullptr);
    CHECK(w.last<exchange::PlayEnded>()->play == "p2");
    w.order(exchange::EndLeg{leg, 0, exchange::Cause::normal});
    w.must_be_clean();
}

TEST_CASE("a treatment that cannot be played has ended") {
    World w;
    const auto leg = w.answered_call();
    w.media.refuse_command = "dialogstart";
    w.order(exchange::StartPlay{leg, "p1", {"say:nothing"}, false});
    REQUIRE(w.last<exchange::PlayEnded>() != nullptr);
    CHECK(w.last<exchange::PlayEnded>()->play == "p1");
    CHECK(w.last<exchange::PlayEnded>()->failed);
    w.order(exchange::StartPlay{leg, "p2", {"say:nothing"}, false, true});
    CHECK(w.last<exchange::PlayEnded>()->play == "p2");
    CHECK(w.count<exchange::PlayBegan>() == 0);
    w.order(exchange::EndLeg{leg, 0, exchange::Cause::normal});
    w.must_be_clean();
}

TEST_CASE("where it is wanted, a play is told of once the leg is sent it, and of its end as ever") {
    World w;
    const auto leg = w.answered_call();
    w.order(exchange::StartPlay{leg, "p1", {"say:recorded"}, false, true});
    REQUIRE(w.last<exchange::PlayBegan>() != nullptr);
    CHECK(w.last<exchange::PlayBegan>()->play == "p1");
    w.media.tell(w.wire.now, w.media.dialogs[0], event("msml.dialog.exit", "play.end", "completed", "p1"));
    w.wire.settle();
    REQUIRE(w.last<exchange::PlayEnded>() != nullptr);
    CHECK_FALSE(w.last<exchange::PlayEnded>()->failed);
    w.order(exchange::StartPlay{leg, "p2", {"music:default"}, true});
    CHECK(w.count<exchange::PlayBegan>() == 1);
    w.order(exchange::EndLeg{leg, 0, exchange::Cause::normal});
    w.must_be_clean();
}

TEST_CASE("a leg moves to another room by join, and a refused join ends it") {
    World w;
    const auto leg = w.answered_call();
    w.order(exchange::MoveLeg{leg, RoomId("u2")});
    REQUIRE(w.media.commands.size() == 1);
    CHECK(w.media.commands[0].find("id2=\"conf:u2\"/>") != std::string::npos);
    w.media.refuse_command = "join";
    w.order(exchange::MoveLeg{leg, RoomId("u3")});
    REQUIRE(w.last<exchange::LegEnded>() != nullptr);
    CHECK(w.last<exchange::LegEnded>()->cause == exchange::Cause::lost_control);
    w.must_be_clean();
}

TEST_CASE("commands that come before the media stands wait for it, up to a limit") {
    World w;
    w.media.holds_invite = true;
    w.call(w.carrier, "8000");
    const auto leg = w.last<exchange::LegOffered>()->leg;
    w.order(exchange::AnswerLeg{leg, RoomId("u1"), CallUuid("u1")});
    for (std::size_t i = 0; i < kMsmlWaitingMax; ++i) w.order(record(leg, "s" + std::to_string(i)));
    CHECK(w.count<exchange::RecordingFailed>() == 0);
    w.order(record(leg, "one too many"));
    CHECK(w.count<exchange::RecordingFailed>() == 1);
    w.order(exchange::EndLeg{leg, 0, exchange::Cause::normal});
    w.must_be_clean();
}

TEST_CASE("a media server's unknown event is answered 400 and logged") {
    World w;
    const auto leg = w.answered_call();
    for (const auto* text :
         {"<event name=\"other\"/>", "<nothing/>", "<event name=\"sheaf.record.opened\"/>", "<broken"}) {
        CAPTURE(text);
        w.logs.clear();
        w.media.tell(w.wire.now, w.media.dialogs[0], text);
        w.wire.settle();
        CHECK(w.logged("unknown event from a media server"));
    }
    w.order(exchange::EndLeg{leg, 0, exchange::Cause::normal});
    w.must_be_clean();
}

TEST_CASE("MSML with a DTD or over 16 KiB is not read") {
    CHECK(!msml_result_from_text("<!DOCTYPE msml [<!ENTITY a \"b\">]><msml><result response=\"200\"/></msml>"));
    CHECK(!msml_result_from_text("<msml>" + std::string(kMsmlBytesMax, ' ') + "<result response=\"200\"/></msml>"));
    CHECK(msml_result_from_text("<msml><result response=\"200\"/></msml>")->code == 200);
}

TEST_CASE("what goes into MSML cannot break out of its attribute") {
    const auto text = to_msml({MsmlPlay{"a\"><x/>&", {"say:<b>"}, false}}, "tag", Instant{});
    CHECK(text.find("name=\"a&quot;&gt;&lt;x/&gt;&amp;\"") != std::string::npos);
    CHECK(text.find("uri=\"say:&lt;b&gt;\"") != std::string::npos);
}
