// SPDX-License-Identifier: Apache-2.0
#include "media/engine.h"

#include <doctest/doctest.h>

#include <set>

#include "media/engine_fixture.h"

namespace sheaf::media {
namespace {

using namespace fixture;

TEST_CASE("two legs of a room hear each other, re-stamped") {
    World world;
    Voice a = world.leg("a", 4000, "room");
    Voice b = world.leg("b", 5000, "room");
    world.say(a, 10);
    REQUIRE(world.sent.rtp.size() == 10);
    CHECK(world.sent.rtp[0].leg == b.leg);
    CHECK(world.sent.rtp[0].to == b.from);
    CHECK(world.sent.rtp[0].packet().marker);
    CHECK(world.sent.rtp[0].packet().ssrc != a.ssrc);
    for (std::size_t i = 1; i < 10; ++i) {
        const auto former = world.sent.rtp[i - 1].packet();
        const auto packet = world.sent.rtp[i].packet();
        CHECK(packet.ssrc == former.ssrc);
        CHECK(packet.sequence == static_cast<std::uint16_t>(former.sequence + 1));
        CHECK(packet.timestamp == former.timestamp + 160);
        CHECK_FALSE(packet.marker);
        CHECK(packet.payload.size() == 160);
        CHECK(packet.payload[0] == 0x55);
    }
    world.sent.rtp.clear();
    world.say(b, 1);
    REQUIRE(world.sent.rtp.size() == 1);
    CHECK(world.sent.rtp[0].leg == a.leg);
}

TEST_CASE("the receiver sees a lost packet as lost, and a late one in its place") {
    World world;
    Voice a = world.leg("a", 4000, "room");
    world.leg("b", 5000, "room");
    world.say(a, 5);
    a.step();  // lost
    Voice late = a;
    a.step();
    world.say(a, 1);
    world.say(late, 1);
    REQUIRE(world.sent.rtp.size() == 7);
    const auto fifth = world.sent.rtp[4].packet();
    CHECK(world.sent.rtp[5].packet().sequence == static_cast<std::uint16_t>(fifth.sequence + 3));
    CHECK(world.sent.rtp[5].packet().timestamp == fifth.timestamp + 3 * 160);
    CHECK(world.sent.rtp[6].packet().sequence == static_cast<std::uint16_t>(fifth.sequence + 2));
    CHECK(world.sent.rtp[6].packet().timestamp == fifth.timestamp + 2 * 160);
}

TEST_CASE("a leg that negotiated the other law gets it, one that shares the law gets the bytes as they came") {
    World world;
    Voice a = world.leg("a", 4000, "room", CodecKind::pcmu);
    Voice b = world.leg("b", 5000, "room", CodecKind::pcma);
    world.say(a, 1);
    world.say(b, 1);
    REQUIRE(world.sent.rtp.size() == 2);
    CHECK(world.sent.rtp[0].packet().payload_type == 8);
    CHECK(world.sent.rtp[0].packet().payload[9] == rtp::alaw_from_ulaw(0x55));
    CHECK(world.sent.rtp[1].packet().payload_type == 0);
    CHECK(world.sent.rtp[1].packet().payload[9] == rtp::ulaw_from_alaw(0x55));
}

TEST_CASE("a new source goes on with numbers and time, and begins with the marker") {
    World world;
    Voice a = world.leg("a", 4000, "room");
    world.leg("b", 5000, "room");
    world.say(a, 5);
    const auto before = world.sent.rtp.back().packet();
    world.pass(480);  // half a second after the last packet
    a.ssrc = 99;
    a.sequence = 12'345;
    a.timestamp = 1;
    world.say(a, 2);
    const auto after = world.sent.rtp[5].packet();
    CHECK(after.marker);
    CHECK(after.ssrc == before.ssrc);
    CHECK(after.sequence == static_cast<std::uint16_t>(before.sequence + 1));
    CHECK(after.timestamp == before.timestamp + 4'000);
    CHECK_FALSE(world.sent.rtp[6].packet().marker);

    SUBCASE("so does the same SSRC when its clock leaps") {
        a.timestamp += 1'000'000;
        world.say(a, 1);
        const auto leapt = world.sent.rtp.back().packet();
        CHECK(leapt.marker);
        CHECK(leapt.timestamp == after.timestamp + 320);
    }
    SUBCASE("and when its numbers restart") {
        a.sequence = 40'000;
        world.say(a, 2);  // the first is a stray: kept, not sent
        const auto restarted = world.sent.rtp.back().packet();
        CHECK(restarted.sequence == static_cast<std::uint16_t>(after.sequence + 2));
    }
}

TEST_CASE("media from anywhere but the negotiated address is refused") {
    World world;
    Voice a = world.leg("a", 4000, "room");
    world.leg("b", 5000, "room");
    world.say(a, 1);
    Voice stranger = a;
    stranger.from = address("192.0.2.66", 4000);
    world.say(stranger, 3);
    stranger.from = address("192.0.2.1", 4002);  // the port is known by now
    world.say(stranger, 2);
    CHECK(world.sent.rtp.size() == 1);
    CHECK(world.engine.counters(LegId{"a"})->foreign == 5);
    CHECK(world.engine.counters(LegId{"a"})->received == 1);
}

TEST_CASE("a phone that sends from another port is latched on to once a negotiation") {
    World world;
    Voice a = world.leg("a", 4000, "room");
    Voice b = world.leg("b", 5000, "room");
    a.from.port = 4444;
    world.say(a, 2);
    CHECK(world.sent.rtp.size() == 2);
    world.say(b, 1);
    CHECK(world.sent.rtp.back().to.port == 4444);
    a.from.port = 4445;
    world.say(a, 1);
    CHECK(world.engine.counters(LegId{"a"})->foreign == 1);
    world.must(ConfigureLeg{.leg = LegId{"a"}, .media = g711(4000)});
    world.say(a, 1);
    CHECK(world.engine.counters(LegId{"a"})->foreign == 1);
    world.must(ConfigureLeg{.leg = LegId{"a"}, .media = g711(6000)});
    world.say(b, 1);
    CHECK(world.sent.rtp.back().to.port == 6000);
}

TEST_CASE("what was still on its way from the port before does not lock out the one that was agreed on") {
    World world;
    Voice a = world.leg("a", 4000, "room");
    Voice b = world.leg("b", 5000, "room");
    world.say(a, 1);
    world.must(ConfigureLeg{.leg = LegId{"a"}, .media = g711(6000)});
    world.say(a, 1);  // as before
    a.from.port = 6000;
    world.say(a, 3);
    CHECK(world.engine.counters(LegId{"a"})->foreign == 0);
    world.say(b, 1);
    CHECK(world.sent.rtp.back().to.port == 6000);
    a.from.port = 4000;
    world.say(a, 1);
    CHECK(world.engine.counters(LegId{"a"})->foreign == 1);
}

TEST_CASE("a leg moves from room to room, and to none") {
    World world;
    Voice a = world.leg("a", 4000, "one");
    Voice b = world.leg("b", 5000, "one");
    Voice c = world.leg("c", 6000, "two");
    world.must(JoinRoom{.leg = LegId{"a"}, .room = RoomId{"two"}});
    world.say(a, 1);
    CHECK(world.sent.rtp.back().leg == c.leg);
    world.say(b, 1);
    CHECK(world.sent.rtp.size() == 1);
    world.must(JoinRoom{.leg = LegId{"a"}, .room = RoomId{"two"}});  // is there already
    world.must(RemoveLeg{.leg = LegId{"c"}, .cause = "normal"});
    world.say(a, 1);
    CHECK(world.sent.rtp.size() == 1);
    world.must(LeaveRoom{.leg = LegId{"a"}});
    CHECK(world.carry_out(LeaveRoom{.leg = LegId{"a"}}).error().code == Errc::not_found);
}

TEST_CASE("a held leg says nothing, hears nothing and leaves nothing in a recording") {
    World world;
    Voice a = world.leg("a", 4000, "room");
    Voice b = world.leg("b", 5000, "room");
    world.record("a", "s");
    LegMedia held = g711(4000);
    held.we_send = held.we_receive = false;
    world.say(a, 2);
    world.must(ConfigureLeg{.leg = LegId{"a"}, .media = held});
    world.say(a, 3);
    world.say(b, 3);
    CHECK(world.sent.rtp.size() == 2);
    world.must(ConfigureLeg{.leg = LegId{"a"}, .media = g711(4000)});
    world.say(a, 2);
    world.say(b, 2);
    world.must(StopRecording{.segment = SegmentId{"s"}, .cause = "normal"});
    const Captured& captured = world.journal.segments["s"];
    CHECK(captured.said.size() == 4);
    CHECK(captured.heard.size() == 2);
    CHECK(world.engine.counters(LegId{"a"})->unwanted == 3);
}

TEST_CASE("one direction alone works as negotiated") {
    World world;
    Voice a = world.leg("a", 4000, "room");
    Voice b = world.leg("b", 5000, "room");
    LegMedia listens = g711(4000);
    listens.we_receive = false;
    world.must(ConfigureLeg{.leg = LegId{"a"}, .media = listens});
    world.say(a, 1);
    CHECK(world.sent.rtp.empty());
    world.say(b, 1);
    CHECK(world.sent.rtp.size() == 1);
}

TEST_CASE("telephone-event goes on with the other's payload type, or not at all, and into no recording") {
    World world;
    Voice a = world.leg("a", 4000, "room");
    LegMedia other = g711(5000);
    other.dtmf_payload_type = 96;
    world.leg("b", 5000, "room");
    world.must(ConfigureLeg{.leg = LegId{"b"}, .media = other});
    world.record("a", "sa");
    world.record("b", "sb");
    world.say(a, 2);
    a.payload_type = 101;
    const std::uint32_t began = a.timestamp;
    for (int i = 0; i < 60; ++i) {  // more than a second: the timestamp stands still meanwhile
        world.say(a, 1);
        a.timestamp = began;
    }
    REQUIRE(world.sent.rtp.size() == 62);
    CHECK(world.sent.rtp[2].packet().payload_type == 96);
    CHECK(world.sent.rtp[61].packet().timestamp == world.sent.rtp[2].packet().timestamp);
    a.payload_type = 0;
    a.timestamp = began + 60 * 160;
    world.say(a, 1);
    CHECK_FALSE(world.sent.rtp[62].packet().marker);
    CHECK(world.sent.rtp[62].packet().timestamp == world.sent.rtp[0].packet().timestamp + 62 * 160);

    other.dtmf_payload_type = 0xFF;
    world.must(ConfigureLeg{.leg = LegId{"b"}, .media = other});
    a.payload_type = 101;
    world.say(a, 3);
    a.payload_type = 0;
    world.say(a, 1);
    REQUIRE(world.sent.rtp.size() == 64);
    // Held back on purpose: no hole in the numbers.
    CHECK(world.sent.rtp[63].packet().sequence == static_cast<std::uint16_t>(world.sent.rtp[62].packet().sequence + 1));

    world.must(StopRecording{.segment = SegmentId{"sa"}, .cause = "normal"});
    world.must(StopRecording{.segment = SegmentId{"sb"}, .cause = "normal"});
    const Captured& said = world.journal.segments["sa"];
    CHECK(said.said.size() == 4);
    CHECK(said.tail.said == ChannelCounts{.received = 67, .stored = 4, .excluded = 63});
    const Captured& heard = world.journal.segments["sb"];
    CHECK(heard.heard.size() == 4);
    CHECK(heard.tail.heard == ChannelCounts{.received = 64, .stored = 4, .excluded = 60});
}

TEST_CASE("what is no RTP, of no known type or empty is counted and harms nobody") {
    World world;
    Voice a = world.leg("a", 4000, "room");
    world.leg("b", 5000, "room");
    world.record("a", "s");
    world.engine.rtp_received(a.leg, world.now, a.from, as_bytes("hello"));
    world.engine.rtp_received(a.leg, world.now, a.from, std::vector<std::uint8_t>(rtp::kPacketBytesMax + 1, 0x80));
    world.engine.rtp_received(12'345, world.now, a.from, a.bytes());
    a.payload_type = 13;
    world.say(a, 1);
    a.payload_type = 0;
    std::vector<std::uint8_t> empty = a.bytes();
    empty.resize(rtp::kHeaderBytes);
    world.engine.rtp_received(a.leg, world.now, a.from, empty);
    a.step();
    std::vector<std::uint8_t> longest = a.bytes();
    longest.resize(rtp::kPacketBytesMax, 0xFF);
    world.engine.rtp_received(a.leg, world.now, a.from, longest);
    CHECK(world.sent.rtp.size() == 1);
    CHECK(world.sent.rtp[0].bytes.size() == rtp::kPacketBytesMax);
    const auto counters = world.engine.counters(LegId{"a"});
    CHECK(counters->malformed == 2);
    CHECK(counters->excluded == 2);
    CHECK(counters->received == 3);
    CHECK(world.engine.is_empty() == false);
}

TEST_CASE("commands that cannot be done change nothing and say why") {
    World world;
    world.leg("a", 4000);
    const LegId a{"a"};
    const LegId nobody{"x"};
    CHECK(world.carry_out(AddLeg{.leg = a}).error().code == Errc::conflict);
    CHECK(world.carry_out(ConfigureLeg{.leg = nobody, .media = g711(1)}).error().code == Errc::not_found);
    CHECK(world.carry_out(RemoveLeg{.leg = nobody, .cause = ""}).error().code == Errc::not_found);
    CHECK(world.carry_out(JoinRoom{.leg = nobody, .room = RoomId{"r"}}).error().code == Errc::not_found);
    CHECK(world.carry_out(JoinRoom{.leg = a, .room = RoomId{}}).error().code == Errc::malformed);
    CHECK(world.carry_out(StopPlay{.leg = a, .name = "p"}).error().code == Errc::not_found);
    CHECK(world.carry_out(StopRecording{.segment = SegmentId{"s"}, .cause = ""}).error().code == Errc::not_found);
    LegMedia wrong = g711(4000);
    wrong.remote_address = "example.com";
    CHECK(world.carry_out(ConfigureLeg{.leg = a, .media = wrong}).error().code == Errc::malformed);
    wrong = g711(4000);
    wrong.receive.push_back({128, CodecKind::pcmu});
    CHECK(world.carry_out(ConfigureLeg{.leg = a, .media = wrong}).error().code == Errc::malformed);
    wrong = g711(4000);
    wrong.dtmf_payload_type = 200;
    CHECK(world.carry_out(ConfigureLeg{.leg = a, .media = wrong}).error().code == Errc::malformed);
    CHECK(world.told<CommandFailed>().size() == 10);
}

TEST_CASE("a worker has a greatest number of legs, a room too") {
    Lists sent;
    Journal journal;
    Engine engine({.legs_max = 66}, sent, journal);
    for (std::size_t i = 0; i < 66; ++i) {
        REQUIRE(engine.carry_out(AddLeg{.leg = LegId{std::to_string(i)}}, {}));
        const auto joined = engine.carry_out(JoinRoom{.leg = LegId{std::to_string(i)}, .room = RoomId{"r"}}, {});
        if (i < kLegsInRoomMax) CHECK(joined);
        if (i >= kLegsInRoomMax) CHECK(joined.error().code == Errc::exhausted);
    }
    CHECK(engine.carry_out(AddLeg{.leg = LegId{"more"}}, {}).error().code == Errc::exhausted);
    REQUIRE(engine.carry_out(RemoveLeg{.leg = LegId{"3"}, .cause = ""}, {}));
    CHECK(engine.carry_out(AddLeg{.leg = LegId{"more"}}, {}));
    CHECK(engine.legs().size() == 66);
}

TEST_CASE("no two legs share an SSRC") {
    World world;
    Voice a = world.leg("a", 4000, "room");
    Voice b = world.leg("b", 5000, "room");
    world.say(a, 1);
    world.say(b, 1);
    CHECK(world.sent.rtp[0].packet().ssrc != world.sent.rtp[1].packet().ssrc);
}

TEST_CASE("reports go out every five seconds and come in") {
    World world;
    Voice a = world.leg("a", 4000, "room");
    Voice b = world.leg("b", 5000, "room");
    for (int i = 0; i < 600; ++i) {
        if (i % 10 != 3) {
            world.say(a);
        } else {
            a.step();
        }
        world.engine.tick(world.stamp());
        world.pass(20);
    }
    std::vector<rtp::Compound> to_a;
    std::vector<rtp::Compound> to_b;
    for (const Sent& sent : world.sent.rtcp) {
        CHECK(sent.to.port == (sent.leg == a.leg ? 4001 : 5001));
        (sent.leg == a.leg ? to_a : to_b).push_back(rtp::parse_compound(sent.bytes).value());
    }
    REQUIRE(to_a.size() == 2);
    REQUIRE(to_b.size() == 2);
    CHECK_FALSE(to_a[1].sender);
    REQUIRE(to_a[1].blocks().size() == 1);
    CHECK(to_a[1].blocks()[0].ssrc == a.ssrc);
    CHECK(to_a[1].blocks()[0].fraction_lost == doctest::Approx(25).epsilon(0.1));
    REQUIRE(to_b[1].sender);
    CHECK(to_b[1].sender->packets > 300);
    CHECK(to_b[1].blocks().empty());
    CHECK(world.engine.counters(LegId{"a"})->lost == 60);

    // The far end answers b's sender report.
    const std::array block{rtp::ReportBlock{.ssrc = to_b[1].ssrc,
                                            .fraction_lost = 128,
                                            .jitter = 80,
                                            .last_sr = rtp::ntp_middle(to_b[1].sender->ntp),
                                            .delay_since_last_sr = 0}};
    std::vector<std::uint8_t> bytes(200);
    bytes.resize(rtp::write_compound(bytes, {.ssrc = b.ssrc, .sender = {}, .blocks = block, .cname = "b"}));
    Stamp later = world.stamp();
    later.wall += milliseconds{40};
    world.engine.rtcp_received(b.leg, later, address("192.0.2.66", 5001), bytes);
    world.engine.rtcp_received(b.leg, later, address("192.0.2.1", 5001), bytes);
    world.engine.rtcp_received(b.leg, later, address("192.0.2.1", 5001), as_bytes("no report"));
    const auto counters = world.engine.counters(LegId{"b"});
    CHECK(counters->rtcp_received == 1);
    CHECK(counters->rtcp_malformed == 1);
    CHECK(counters->far_fraction_lost == 128);
    CHECK(counters->far_jitter_ms == 10);
    CHECK(to_ms(counters->round_trip) == doctest::Approx(40).epsilon(0.05));

    world.must(RemoveLeg{.leg = LegId{"b"}, .cause = "normal"});
    CHECK(rtp::parse_compound(world.sent.rtcp.back().bytes)->byes().size() == 1);
}

TEST_CASE("an address from text is IPv4 or IPv6, and mapped IPv4 is IPv4") {
    CHECK(address_from_text("127.0.0.1", 5)->is_set());
    CHECK(address_from_text("::1", 5)->is_v6);
    CHECK(*address_from_text("::ffff:127.0.0.1", 5) == *address_from_text("127.0.0.1", 5));
    CHECK_FALSE(address_from_text("localhost", 5));
    CHECK_FALSE(address_from_text("", 5)->is_set());
    CHECK_FALSE(address_from_text("0.0.0.0", 5)->is_set());
    CHECK_FALSE(address_from_text("127.0.0.1", 0)->is_set());
}

}  // namespace
}  // namespace sheaf::media
