// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cstdlib>
#include <new>

#include "media/engine.h"
#include "media/engine_fixture.h"

namespace {

std::size_t g_allocations = 0;

}  // namespace

// Counts what the whole test program allocates, so that a test can ask whether a stretch of code did. The thread
// sanitizer brings operators of its own that cannot be replaced: there nothing is counted.
#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define SHEAF_CANNOT_COUNT
#endif
#endif
#ifndef SHEAF_CANNOT_COUNT
void* operator new(std::size_t size) {
    ++g_allocations;
    if (void* p = std::malloc(size == 0 ? 1 : size)) return p;
    throw std::bad_alloc();
}
void operator delete(void* p) noexcept {
    std::free(p);
}
void operator delete(void* p, std::size_t) noexcept {
    std::free(p);
}
#endif

namespace sheaf::media {
namespace {

using namespace fixture;

TEST_CASE("a recording holds every packet the leg said and heard, as it came and as it went") {
    World world;
    Voice a = world.leg("a", 4000, "room");
    Voice b = world.leg("b", 5000, "room", CodecKind::pcma);
    world.say(a, 3);  // before: nobody records
    world.record("a", "s");
    const std::vector<std::uint8_t> first_said = a.bytes();
    const Instant began = world.now;
    world.sent.rtp.clear();
    for (int i = 0; i < 50; ++i) {
        world.say(a);
        world.say(b);
        world.pass(20);
    }
    world.must(StopRecording{.segment = SegmentId{"s"}, .cause = "transfer"});
    world.say(a, 3);

    const Captured& captured = world.journal.segments["s"];
    REQUIRE(captured.said.size() == 50);
    REQUIRE(captured.heard.size() == 50);
    CHECK(captured.said[0].second == first_said);
    CHECK(captured.said[0].first == began);
    CHECK(captured.said[49].first == began + 49 * milliseconds{20});
    std::size_t index = 0;
    for (const Sent& sent : world.sent.rtp) {
        if (sent.leg == a.leg && index < 50) CHECK(captured.heard[index++].second == sent.bytes);
    }
    CHECK(index == 50);
    CHECK(captured.closed);
    CHECK(captured.tail.cause == "transfer");
    CHECK(captured.tail.sealed.mono == began + milliseconds{1'000});
    CHECK(captured.tail.said == ChannelCounts{.received = 50, .stored = 50});
    CHECK(captured.tail.heard == ChannelCounts{.received = 50, .stored = 50});
    CHECK(captured.head.opened.mono == began);
    CHECK(captured.head.calluuid == CallUuid{"u1"});

    const auto notices = world.engine.take_notices();
    REQUIRE(notices.size() == 2);
    CHECK(std::get<RecordingOpened>(notices[0]).head.segment == SegmentId{"s"});
    CHECK(std::get<RecordingSealed>(notices[1]).tail.said.stored == 50);
}

TEST_CASE("a duplicate is counted, not kept and not sent on") {
    World world;
    Voice a = world.leg("a", 4000, "room");
    world.leg("b", 5000, "room");
    world.record("a", "s");
    world.say(a, 5);
    Voice again = a;
    --again.sequence;
    world.say(again, 2);
    world.must(StopRecording{.segment = SegmentId{"s"}, .cause = "normal"});
    // The second copy bears the number of the packet that would have come next.
    CHECK(world.journal.segments["s"].tail.said == ChannelCounts{.received = 7, .stored = 6, .duplicate = 1});
    CHECK(world.sent.rtp.size() == 6);
}

TEST_CASE("a full journal is counted packet by packet") {
    World world;
    Voice a = world.leg("a", 4000);
    world.record("a", "s");
    world.journal.packets_max = 4;
    world.say(a, 10);
    world.must(StopRecording{.segment = SegmentId{"s"}, .cause = "normal"});
    const ChannelCounts& said = world.journal.segments["s"].tail.said;
    CHECK(said.received == 10);
    CHECK(said.stored + said.overflow == 10);
    CHECK(said.stored == 4);
}

TEST_CASE("several recordings of a leg each hold all of it, and end with the leg") {
    World world;
    Voice a = world.leg("a", 4000);
    world.record("a", "s1");
    world.say(a, 2);
    world.record("a", "s2");
    world.say(a, 3);
    world.must(RemoveLeg{.leg = LegId{"a"}, .cause = "hangup"});
    CHECK(world.journal.segments["s1"].tail.said.received == 5);
    CHECK(world.journal.segments["s2"].tail.said.received == 3);
    CHECK(world.journal.segments["s2"].said.size() == world.journal.segments["s2"].tail.said.stored);
    CHECK(world.journal.segments["s1"].tail.cause == "hangup");
    CHECK(world.told<RecordingSealed>().size() == 2);
    CHECK(world.journal.open_slots.empty());
    CHECK(world.engine.is_empty());
}

TEST_CASE("a recording that cannot begin fails by name, and the leg goes on") {
    World world;
    Voice a = world.leg("a", 4000);
    for (std::size_t i = 0; i < kRecordingsOfLegMax; ++i) world.record("a", "s" + std::to_string(i));
    const auto start = [&](const std::string& leg, const std::string& segment) {
        return world.carry_out(
            StartRecording{.leg = LegId{leg}, .segment = SegmentId{segment}, .calluuid = {}, .connection = {}});
    };
    static_cast<void>(world.engine.take_notices());
    CHECK(start("a", "ninth").error().code == Errc::exhausted);
    world.leg("b", 5000);
    CHECK(start("b", "s3").error().code == Errc::conflict);
    CHECK(start("b", "").error().code == Errc::malformed);
    CHECK(start("nobody", "s9").error().code == Errc::not_found);
    world.journal.opens_max = 8;
    CHECK(start("b", "s9").error().code == Errc::exhausted);
    const auto notices = world.engine.take_notices();
    REQUIRE(notices.size() == 5);
    for (const Notice& notice : notices) CHECK(std::holds_alternative<RecordingFailed>(notice));
    world.say(a, 1);
    CHECK(world.journal.segments["s7"].said.size() + world.journal.segments["s0"].said.size() <= 2);
}

TEST_CASE("a worker's segment slots are all used, then used again") {
    World world;
    const std::size_t legs = kSegmentsRunningMax / kRecordingsOfLegMax;
    for (std::size_t i = 0; i < legs; ++i) {
        world.must(AddLeg{.leg = LegId{std::to_string(i)}});
        for (std::size_t k = 0; k < kRecordingsOfLegMax; ++k) {
            world.record(std::to_string(i), std::to_string(i * kRecordingsOfLegMax + k));
        }
    }
    CHECK(world.journal.open_slots.size() == kSegmentsRunningMax);
    CHECK(world.journal.open_slots.rbegin()->first == kSegmentsRunningMax - 1);
    world.must(AddLeg{.leg = LegId{"more"}});
    const StartRecording more{.leg = LegId{"more"}, .segment = SegmentId{"more"}, .calluuid = {}, .connection = {}};
    CHECK(world.carry_out(more).error().code == Errc::exhausted);
    world.must(StopRecording{.segment = SegmentId{"17"}, .cause = "normal"});
    world.must(more);
}

TEST_CASE("an SSRC that comes back among five is still known, one forgotten starts anew") {
    World world;
    Voice a = world.leg("a", 4000);
    world.record("a", "s");
    const Voice first = a;
    for (std::uint32_t ssrc = 1; ssrc <= 4; ++ssrc) {
        Voice other = first;
        other.ssrc = ssrc;
        world.say(other, 1);
    }
    Voice again = first;
    again.ssrc = 1;
    world.say(again, 1);
    CHECK(world.engine.counters(LegId{"a"})->duplicate == 1);
    again = first;
    again.ssrc = 5;  // 2 was not heard for longest
    world.say(again, 1);
    again = first;
    again.ssrc = 2;
    world.say(again, 1);
    CHECK(world.engine.counters(LegId{"a"})->duplicate == 1);
}

TEST_CASE("what a treatment plays is heard, and what is said meanwhile reaches nobody but the recording") {
    World world;
    Voice a = world.leg("a", 4000, "room");
    Voice b = world.leg("b", 5000, "room");
    world.record("a", "s");
    world.must(Play{.leg = LegId{"a"}, .name = "p", .prompts = {prompt(160 * 100)}, .forever = true});
    for (int i = 0; i < 25; ++i) {
        world.engine.tick(world.stamp());
        world.say(a);
        world.say(b);
        world.pass(20);
    }
    world.must(StopPlay{.leg = LegId{"a"}, .name = "p"});
    world.must(StopRecording{.segment = SegmentId{"s"}, .cause = "normal"});
    CHECK(world.sent.rtp.size() == 25);
    for (const Sent& sent : world.sent.rtp) CHECK(sent.leg == a.leg);
    const Captured& captured = world.journal.segments["s"];
    CHECK(captured.tail.said.received == 25);
    CHECK(captured.tail.heard.received == 25);
    CHECK(captured.tail.heard.stored == 25);
    CHECK(captured.heard.size() == 25);
}

TEST_CASE("while any label is in force nothing of a segment is stored, and all of it is counted") {
    World world;
    Voice a = world.leg("a", 4000, "room");
    Voice b = world.leg("b", 5000, "room");
    const auto speak = [&](int frames) {
        for (int i = 0; i < frames; ++i) {
            world.say(a);
            world.say(b);
            world.pass(20);
        }
    };
    world.record("a", "s");
    world.record("a", "other");
    const Instant began = world.now;
    speak(10);
    world.must(SilenceRecording{
        .segment = SegmentId{"s"}, .silence = {"paused", "1001"}, .back = milliseconds{60}, .ticket = 7});
    CHECK(world.told<CommandDone>().empty());  // the journal says when it is done
    CHECK(world.journal.segments["s"].silences.at(0).ticket == 7);
    speak(10);
    world.must(SilenceRecording{.segment = SegmentId{"s"}, .silence = {"hold", ""}});
    world.must(ResumeRecording{.segment = SegmentId{"s"}, .label = "paused"});
    speak(10);
    world.must(ResumeRecording{.segment = SegmentId{"s"}, .label = "paused"});  // not in force
    speak(10);
    world.must(ResumeRecording{.segment = SegmentId{"s"}, .label = "hold"});
    speak(10);
    world.must(StopRecording{.segment = SegmentId{"s"}, .cause = "normal"});
    world.must(StopRecording{.segment = SegmentId{"other"}, .cause = "normal"});
    const Captured& s = world.journal.segments["s"];
    CHECK(s.said.size() == 20);
    CHECK(s.heard.size() == 20);
    CHECK(s.tail.said == ChannelCounts{.received = 50, .stored = 20, .excluded = 30});
    CHECK(s.tail.heard == ChannelCounts{.received = 50, .stored = 20, .excluded = 30});
    REQUIRE(s.silences.size() == 2);
    CHECK(s.silences[0].from == began + milliseconds{140});
    CHECK(s.silences[0].at == began + milliseconds{200});
    CHECK(s.silences[1].from == s.silences[1].at);
    REQUIRE(s.resumed.size() == 2);
    CHECK(s.resumed[0].first == "paused");
    CHECK(world.journal.segments["other"].tail.said.stored == 50);
}

TEST_CASE("a silence that is over reaches back from its own beginning, and takes nothing of what came after it") {
    World world;
    Voice a = world.leg("a", 4000, "room");
    const auto speak = [&](int frames) {
        for (int i = 0; i < frames; ++i) {
            world.say(a);
            world.pass(20);
        }
    };
    const auto silence = [](const char* label, int back_ms, bool is_over) {
        return SilenceRecording{.segment = SegmentId{"s"},
                                .silence = {label, "x"},
                                .back = milliseconds{back_ms},
                                .ticket = 9,
                                .is_over = is_over};
    };
    world.record("a", "s");
    const Instant began = world.now;
    speak(10);
    world.must(silence("paused", 0, false));
    world.must(ResumeRecording{.segment = SegmentId{"s"}, .label = "paused"});  // at once
    world.pass(1);
    speak(10);
    world.must(silence("hold", 0, false));
    world.must(silence("paused", 20, false));
    world.pass(100);
    auto& told = world.journal.segments["s"].silences;
    world.must(silence("paused", 401, true));  // 100 ms before the first
    CHECK(told.back().from == began + milliseconds{-100 + 0 + 200});
    CHECK(told.back().to == began + milliseconds{200});
    CHECK(told.back().ticket == 9);
    world.must(silence("paused", 351, true));  // known by now
    CHECK(told.back().from == told.back().to);
    world.must(silence("paused", 151, true));  // before the second, which is in force
    CHECK(told.back().to == began + milliseconds{381});
    CHECK(told.back().from == began + milliseconds{350});
    const std::size_t count = told.size();
    world.journal.is_full = true;
    CHECK(world.carry_out(silence("paused", 200, true)).error().code == Errc::exhausted);
    world.journal.is_full = false;
    world.must(silence("paused", 200, true));
    REQUIRE(told.size() == count + 1);
    CHECK(told.back().from == began + milliseconds{301});
    CHECK(told.back().to == began + milliseconds{350});
    world.must(silence("never", 200, true));
    CHECK(told.back().from == told.back().to);
    // None of it has put anything in force.
    world.must(ResumeRecording{.segment = SegmentId{"s"}, .label = "hold"});
    world.must(ResumeRecording{.segment = SegmentId{"s"}, .label = "paused"});
    speak(5);
    world.must(StopRecording{.segment = SegmentId{"s"}, .cause = "normal"});
    CHECK(world.journal.segments["s"].tail.said == ChannelCounts{.received = 25, .stored = 25});
}

TEST_CASE("silences of a start are in force before the first packet") {
    World world;
    Voice a = world.leg("a", 4000);
    world.must(StartRecording{.leg = LegId{"a"},
                              .segment = SegmentId{"s"},
                              .calluuid = {},
                              .connection = {},
                              .silences = {{"paused", "1001"}, {"hold", ""}}});
    world.say(a, 5);
    world.must(ResumeRecording{.segment = SegmentId{"s"}, .label = "hold"});
    world.say(a, 5);
    world.must(ResumeRecording{.segment = SegmentId{"s"}, .label = "paused"});
    world.say(a, 5);
    CHECK(world.journal.segments["s"].said.size() == 5);
    CHECK(world.journal.segments["s"].silences[0].from == world.journal.segments["s"].head.opened.mono);
    // A start whose silences cannot be noted is none at all.
    world.journal.is_full = true;
    const auto refused = world.carry_out(StartRecording{
        .leg = LegId{"a"}, .segment = SegmentId{"t"}, .calluuid = {}, .connection = {}, .silences = {{"hold", ""}}});
    CHECK(refused.error().code == Errc::exhausted);
    CHECK(world.told<RecordingFailed>().size() == 1);
    CHECK(world.journal.segments["t"].closed);
    world.journal.is_full = false;
    world.record("a", "t");
}

TEST_CASE("a silence that the journal cannot note stops the storing all the same, and is noted when asked for again") {
    World world;
    Voice a = world.leg("a", 4000);
    world.record("a", "s");
    world.say(a, 3);
    world.journal.is_full = true;
    const SilenceRecording silence{
        .segment = SegmentId{"s"}, .silence = {"paused", ""}, .back = milliseconds{40}, .ticket = 3};
    CHECK(world.carry_out(silence).error().code == Errc::exhausted);
    const auto failed = world.told<CommandFailed>();
    REQUIRE(failed.size() == 1);
    CHECK(failed[0].ticket == 3);
    CHECK(failed[0].command == "SilenceRecording");
    world.say(a, 3);
    CHECK(world.journal.segments["s"].said.size() == 3);
    world.journal.is_full = false;
    world.must(silence);
    CHECK(world.journal.segments["s"].silences.size() == 1);
    world.journal.is_full = true;
    CHECK(world.carry_out(ResumeRecording{.segment = SegmentId{"s"}, .label = "paused"}).error().code ==
          Errc::exhausted);
    world.say(a, 3);
    CHECK(world.journal.segments["s"].said.size() == 3);
    world.journal.is_full = false;
    for (std::size_t i = 1; i < kSilencesMax; ++i) {
        world.must(SilenceRecording{.segment = SegmentId{"s"}, .silence = {"l" + std::to_string(i), ""}});
    }
    CHECK(world.carry_out(SilenceRecording{.segment = SegmentId{"s"}, .silence = {"more", ""}}).error().code ==
          Errc::exhausted);
    CHECK(world.carry_out(SilenceRecording{.segment = SegmentId{"s"}, .silence = {"", ""}}).error().code ==
          Errc::malformed);
    CHECK(world.carry_out(SilenceRecording{.segment = SegmentId{"x"}, .silence = {"l", ""}}).error().code ==
          Errc::not_found);
    CHECK(world.carry_out(ResumeRecording{.segment = SegmentId{"x"}, .label = "l"}).error().code == Errc::not_found);
}

TEST_CASE("what a leg plays and records goes on when it leaves its room and enters another") {
    World world;
    Voice a = world.leg("a", 4000, "one");
    Voice b = world.leg("b", 5000, "one");
    Voice c = world.leg("c", 6000, "two");
    world.record("a", "s");
    const auto speak = [&](int frames) {
        for (int i = 0; i < frames; ++i) {
            world.say(a);
            world.say(b);
            world.say(c);
            world.engine.tick(world.stamp());
            world.pass(20);
        }
    };
    speak(5);
    world.must(LeaveRoom{.leg = LegId{"a"}});
    speak(5);
    world.must(Play{.leg = LegId{"a"}, .name = "p", .prompts = {prompt(160 * 100)}, .forever = true});
    speak(5);
    world.must(JoinRoom{.leg = LegId{"a"}, .room = RoomId{"two"}});
    speak(5);
    CHECK(world.told<PlayEnded>().empty());
    world.must(StopPlay{.leg = LegId{"a"}, .name = "p"});
    speak(5);
    world.must(StopRecording{.segment = SegmentId{"s"}, .cause = "normal"});
    const Captured& s = world.journal.segments["s"];
    CHECK(s.tail.said == ChannelCounts{.received = 25, .stored = 25});
    CHECK(s.tail.heard == ChannelCounts{.received = 20, .stored = 20});
}

struct Nothing : PacketSink, CaptureSink {
    void send_rtp(LegSlot, const Address&, Bytes bytes) override { sent += bytes.size(); }
    void send_rtcp(LegSlot, const Address&, Bytes bytes) override { sent += bytes.size(); }
    bool open(SegmentSlot, const SegmentHead&) override { return true; }
    bool packet(SegmentSlot, Channel, Instant, Bytes bytes) override {
        stored += bytes.size();
        return true;
    }
    bool silence(SegmentSlot, const Silence&, Instant, Instant, std::uint64_t) override { return true; }
    bool reach_back(SegmentSlot, const Silence&, Instant, Instant, Instant, std::uint64_t) override { return true; }
    bool resume(SegmentSlot, const std::string&, Instant) override { return true; }
    void close(SegmentSlot, const SegmentTail&) override {}
    std::size_t sent = 0;
    std::size_t stored = 0;
};

TEST_CASE("no packet and no tick allocates") {
    Nothing sinks;
    Engine engine({}, sinks, sinks);
    Stamp now{.mono = Instant{std::chrono::seconds{10}}, .wall = WallTime{milliseconds{1'700'000'000'000}}};
    for (const std::string name : {"a", "b", "c", "d", "e", "f"}) {
        REQUIRE(engine.carry_out(AddLeg{.leg = LegId{name}}, now));
        const auto codec = name == "b" ? CodecKind::pcma : CodecKind::pcmu;
        REQUIRE(engine.carry_out(ConfigureLeg{.leg = LegId{name}, .media = g711(4000, codec)}, now));
        const RoomId room{name < "c" ? "forwards" : "mixes"};
        if (name != "c") REQUIRE(engine.carry_out(JoinRoom{.leg = LegId{name}, .room = room}, now));
        REQUIRE(engine.carry_out(StartRecording{.leg = LegId{name}, .segment = SegmentId{name}}, now));
    }
    REQUIRE(engine.carry_out(Play{.leg = LegId{"c"}, .name = "p", .prompts = {prompt(1'000)}, .forever = true}, now));
    Voice voice;
    voice.leg = engine.slot_of(LegId{"a"}).value();
    voice.from = address("192.0.2.1", 4000);
    std::vector<std::uint8_t> bytes = voice.bytes();
    std::vector<std::uint8_t> report(200);
    report.resize(rtp::write_compound(report, {.ssrc = 1, .sender = {}, .blocks = {}, .cname = "x"}));
    const Address stranger = address("192.0.2.9", 4000);

    REQUIRE(engine.carry_out(CollectDigits{.leg = LegId{"a"}, .on = true}, now));
    const LegSlot mixed = engine.slot_of(LegId{"d"}).value();

    const std::size_t before = g_allocations;
    for (std::uint32_t i = 0; i < 5'000; ++i) {
        // Lost, reordered, doubled, of many sources, telephone-event, unknown, cut, from strangers.
        const std::uint32_t n = i % 7 == 0 ? i - 3 : i;
        rtp::write_header(bytes.data(), {.marker = false,
                                         .payload_type = static_cast<std::uint8_t>(i % 50 == 0 ? 101
                                                                                   : i % 31    ? 0
                                                                                               : 33),
                                         .sequence = static_cast<std::uint16_t>(n),
                                         .timestamp = n * 160,
                                         .ssrc = i / 700});
        engine.rtp_received(voice.leg, now.mono, i % 90 ? voice.from : stranger, bytes);
        if (i % 9 != 0) engine.rtp_received(mixed, now.mono, voice.from, bytes);
        if (i % 100 == 0) engine.rtp_received(voice.leg, now.mono, voice.from, Bytes{bytes}.first(7));
        if (i % 100 == 0) engine.rtcp_received(voice.leg, now, voice.from, report);
        if (i % 100 == 0) engine.rtcp_received(voice.leg, now, voice.from, Bytes{report}.first(5));
        now.mono += milliseconds{20};
        engine.tick(now);
    }
    const std::size_t allocated = g_allocations - before;
#ifndef SHEAF_CANNOT_COUNT
    CHECK(before > 0);
#endif
    CHECK(allocated == 0);
    CHECK(sinks.sent > 5'000 * 172);
    CHECK(sinks.stored > 10'000 * 160);
}

}  // namespace
}  // namespace sheaf::media
