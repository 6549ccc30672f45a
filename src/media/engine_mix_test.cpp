// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "media/engine.h"
#include "media/engine_fixture.h"
#include "rtp/tone.h"

namespace sheaf::media {
namespace {

using namespace fixture;

// Somebody in a room who speaks a tone, or numbered frames.
struct Speaker {
    Voice voice;
    rtp::Tone tone{0, -120};
    double hertz = 0;
    int number = -1;  // ≥ 0: each frame is made of one code that counts up
    int phase = 0;    // ms into the frame at which its packets arrive
    bool speaks = true;
    CodecKind codec = CodecKind::pcmu;

    [[nodiscard]] std::vector<std::uint8_t> bytes() {
        std::vector<std::uint8_t> packet = voice.bytes();
        const auto body = std::span(packet).subspan(rtp::kHeaderBytes);
        if (number >= 0) {
            std::ranges::fill(body, static_cast<std::uint8_t>(number++ % 100));
            return packet;
        }
        Frame frame;
        tone.fill(frame);
        if (codec == CodecKind::pcmu) {
            rtp::encode_ulaw(frame, body.data());
        } else {
            rtp::encode_alaw(frame, body.data());
        }
        return packet;
    }
};

struct Conference : World {
    std::vector<Speaker> speakers;
    int ms = 0;
    int tick_phase = 7;

    Speaker& add(const std::string& name, double hertz, double dbfs, const std::string& room = "room",
                 CodecKind codec = CodecKind::pcmu) {
        Speaker speaker;
        speaker.voice = leg(name, static_cast<std::uint16_t>(4'000 + 2 * speakers.size()), room, codec);
        speaker.tone = rtp::Tone(hertz, dbfs);
        speaker.hertz = hertz;
        speaker.codec = codec;
        speakers.push_back(speaker);
        return speakers.back();
    }
    void arrive(Speaker& speaker) {
        engine.rtp_received(speaker.voice.leg, now, speaker.voice.from, speaker.bytes());
        speaker.voice.step();
    }
    void run(int for_ms) {
        for (const int end = ms + for_ms; ms < end; ++ms, pass(1)) {
            for (Speaker& speaker : speakers) {
                if (ms % 20 != speaker.phase || !speaker.speaks) continue;
                arrive(speaker);
            }
            if (ms % 20 == tick_phase) engine.tick(stamp());
        }
    }
    [[nodiscard]] std::vector<rtp::Packet> packets_to(const Speaker& to) const {
        std::vector<rtp::Packet> out;
        for (const Sent& one : sent.rtp) {
            if (one.leg == to.voice.leg) out.push_back(one.packet());
        }
        return out;
    }
    // What a leg was sent, one behind the other.
    [[nodiscard]] std::vector<std::int16_t> heard(const Speaker& by) const {
        std::vector<std::int16_t> out;
        for (const rtp::Packet& packet : packets_to(by)) {
            const std::size_t at = out.size();
            out.resize(at + packet.payload.size());
            if (packet.payload_type == 0) {
                rtp::decode_ulaw(packet.payload, &out[at]);
            } else {
                rtp::decode_alaw(packet.payload, &out[at]);
            }
        }
        return out;
    }
};

int step_max(std::span<const std::int16_t> samples) {
    int most = 0;
    for (std::size_t i = 1; i < samples.size(); ++i) most = std::max(most, std::abs(samples[i] - samples[i - 1]));
    return most;
}

// One stream, whatever it is made of: one SSRC, every number once, no time missing and none twice.
void check_stream(const std::vector<rtp::Packet>& packets, std::uint32_t hole_max = 0) {
    for (std::size_t i = 1; i < packets.size(); ++i) {
        CAPTURE(i);
        REQUIRE(packets[i].ssrc == packets[0].ssrc);
        REQUIRE(packets[i].sequence == static_cast<std::uint16_t>(packets[i - 1].sequence + 1));
        const auto length = static_cast<std::uint32_t>(packets[i - 1].payload.size());
        const std::uint32_t step = packets[i].timestamp - packets[i - 1].timestamp;
        REQUIRE(step >= length);
        REQUIRE(step <= length + hole_max);
    }
}

TEST_CASE("each of three, four and thirty-two hears exactly the others") {
    for (const std::size_t parties : {3U, 4U, 32U}) {
        CAPTURE(parties);
        Conference room;
        for (std::size_t i = 0; i < parties; ++i) {
            room.add(std::to_string(i), 300 + 90.0 * static_cast<double>(i), -36, "room",
                     i % 3 == 1 ? CodecKind::pcma : CodecKind::pcmu);
            room.speakers.back().phase = static_cast<int>(i * 7 % 20);
        }
        room.run(1'500);
        for (const Speaker& listener : room.speakers) {
            const auto all = room.heard(listener);
            REQUIRE(all.size() > 8'000);
            const auto last = std::span(all).last(8'000);
            for (const Speaker& speaker : room.speakers) {
                CAPTURE(speaker.hertz);
                const double level = rtp::tone_level_dbfs(last, speaker.hertz);
                if (speaker.hertz == listener.hertz) {
                    CHECK(level < -65);
                } else {
                    CHECK(level == doctest::Approx(-36).epsilon(0.03));
                }
            }
            check_stream(room.packets_to(listener));
        }
    }
}

TEST_CASE("a room takes thirty-two active legs, and one more only inactive") {
    Conference room;
    for (std::size_t i = 0; i < kActiveLegsInRoomMax; ++i) room.add(std::to_string(i), 500, -40);
    Voice more = room.leg("more", 9'000);
    CHECK(room.carry_out(JoinRoom{.leg = LegId{"more"}, .room = RoomId{"room"}}).error().code == Errc::exhausted);
    const auto failed = room.told<CommandFailed>();
    REQUIRE(failed.size() == 1);
    CHECK(failed[0].leg == LegId{"more"});
    CHECK(failed[0].command == "JoinRoom");
    LegMedia held = g711(9'000);
    held.we_send = held.we_receive = false;
    room.must(ConfigureLeg{.leg = LegId{"more"}, .media = held});
    room.must(JoinRoom{.leg = LegId{"more"}, .room = RoomId{"room"}});
    CHECK(room.carry_out(ConfigureLeg{.leg = LegId{"more"}, .media = g711(9'000)}).error().code == Errc::exhausted);
    room.must(LeaveRoom{.leg = LegId{"5"}});
    room.must(ConfigureLeg{.leg = LegId{"more"}, .media = g711(9'000)});
    room.run(100);
    CHECK(std::ranges::any_of(room.sent.rtp, [&](const Sent& s) { return s.leg == more.leg; }));
}

TEST_CASE("nobody hears a click when a party joins, is held, comes back, leaves or falls silent") {
    Conference room;
    room.add("a", 200, -14);
    room.add("b", 210, -14);
    room.add("c", 190, -14, "");
    room.speakers[1].phase = 11;
    room.speakers[2].phase = 3;
    room.run(333);
    room.must(JoinRoom{.leg = LegId{"c"}, .room = RoomId{"room"}});
    room.run(419);
    LegMedia held = g711(4'004);
    held.we_send = held.we_receive = false;
    room.must(ConfigureLeg{.leg = LegId{"c"}, .media = held});  // two are left: forwarded again
    room.run(407);
    room.must(ConfigureLeg{.leg = LegId{"c"}, .media = g711(4'004)});
    room.run(401);
    room.add("d", 220, -14);
    room.run(413);
    room.must(LeaveRoom{.leg = LegId{"c"}});
    room.run(411);
    room.speakers[3].speaks = false;
    room.run(200);
    room.speakers[3].speaks = true;
    room.speakers[3].voice.timestamp += 1'600;
    room.run(200);
    room.must(RemoveLeg{.leg = LegId{"d"}, .cause = "normal"});
    room.speakers.pop_back();
    room.run(200);
    // Who comes into a conversation fades into it.
    const auto first = room.heard(room.speakers[2]);
    CHECK(std::abs(first[0]) < 300);
    CHECK(step_max(std::span(first).first(1'000)) < 3'900);
    // A sine of -14 dBFS and 220 Hz steps by 1,130 at most, three by 3,390; a click is as high as the wave, 6,500.
    CHECK(step_max(room.heard(room.speakers[0])) < 3'900);
    CHECK(step_max(room.heard(room.speakers[1])) < 3'900);
    check_stream(room.packets_to(room.speakers[0]));
    check_stream(room.packets_to(room.speakers[1]));
}

TEST_CASE("from forwarding to a mix and back, those who stay lose no frame, and wait for one at most") {
    for (int phase = 0; phase < 20; ++phase) {
        for (int moment = 0; moment < 20; moment += 3) {
            CAPTURE(phase);
            CAPTURE(moment);
            Conference room;
            room.add("a", 0, -120);
            room.add("b", 0, -120);
            room.add("c", 0, -120, "");
            room.speakers[0].number = 0;
            room.speakers[0].phase = phase;
            room.speakers[1].phase = (phase + 9) % 20;
            room.speakers[2].speaks = false;
            room.record("b", "s");
            for (int i = 0; i < 3; ++i) {
                room.run(200 + moment);
                room.must(JoinRoom{.leg = LegId{"c"}, .room = RoomId{"room"}});
                room.run(240 - moment);
                room.must(LeaveRoom{.leg = LegId{"c"}});
            }
            room.run(200);
            const auto packets = room.packets_to(room.speakers[1]);
            check_stream(packets);
            int expected = 0;
            int silent = 0;
            for (const rtp::Packet& packet : packets) {
                const bool is_silence = packet.payload[0] == 0xFF;
                REQUIRE(std::ranges::all_of(packet.payload, [&](std::uint8_t b) { return b == packet.payload[0]; }));
                if (is_silence) {
                    ++silent;
                    continue;
                }
                REQUIRE(packet.payload[0] == expected % 100);
                ++expected;
            }
            CHECK(expected == room.speakers[0].number);
            CHECK(silent == 0);
            // What it heard is what it was sent.
            room.must(StopRecording{.segment = SegmentId{"s"}, .cause = "normal"});
            const Captured& captured = room.journal.segments["s"];
            REQUIRE(captured.heard.size() == packets.size());
            std::size_t n = 0;
            for (const Sent& one : room.sent.rtp) {
                if (one.leg == room.speakers[1].voice.leg) CHECK(captured.heard[n++].second == one.bytes);
            }
        }
    }
}

TEST_CASE("what a mix still holds when it ends is sent, all of it and in order") {
    Conference room;
    room.add("a", 0, -120);
    room.add("b", 0, -120);
    room.add("c", 0, -120);
    room.speakers[0].number = 10;  // the loudest codes are bent
    room.speakers[2].speaks = false;
    room.run(200);
    // Three frames late, then all at once: from now on the mix holds three.
    room.speakers[0].speaks = false;
    room.run(60);
    for (int i = 0; i < 3; ++i) room.arrive(room.speakers[0]);
    room.speakers[0].speaks = true;
    room.run(200);
    room.must(LeaveRoom{.leg = LegId{"c"}});
    room.run(200);
    const auto packets = room.packets_to(room.speakers[1]);
    check_stream(packets);
    int expected = 10;
    for (const rtp::Packet& packet : packets) {
        if (packet.payload[80] != 0xFF && packet.payload[159] == packet.payload[80]) {
            REQUIRE(packet.payload[159] == expected++ % 100);
        }
    }
    CHECK(expected == room.speakers[0].number);
}

TEST_CASE("in a mix, too, who hears a treatment hears nothing else and is heard by nobody") {
    Conference room;
    room.add("a", 500, -20);
    room.add("b", 700, -20);
    room.add("c", 900, -20);
    room.run(20'000);  // long enough that frames counted anew would be missed
    auto music = std::make_shared<Prompt>();
    music->samples.resize(8'000);
    rtp::Tone(1'500, -20).fill(music->samples);
    room.must(Play{.leg = LegId{"c"}, .name = "p", .prompts = {music}, .forever = true});
    room.sent.rtp.clear();
    room.run(100);
    CHECK(room.packets_to(room.speakers[0]).size() <= 6);
    room.sent.rtp.clear();
    room.run(1'000);
    const auto c = room.heard(room.speakers[2]);
    CHECK(rtp::tone_level_dbfs(c, 1'500) > -21);
    CHECK(rtp::tone_level_dbfs(c, 500) < -60);
    CHECK(rtp::tone_level_dbfs(room.heard(room.speakers[0]), 900) < -60);
    CHECK(rtp::tone_level_dbfs(room.heard(room.speakers[0]), 700) > -21);
    room.must(StopPlay{.leg = LegId{"c"}, .name = "p"});
    room.run(100);
    room.sent.rtp.clear();
    room.run(1'000);
    CHECK(rtp::tone_level_dbfs(room.heard(room.speakers[0]), 900) > -21);
    CHECK(rtp::tone_level_dbfs(room.heard(room.speakers[2]), 500) > -21);
    check_stream(room.packets_to(room.speakers[2]));
}

TEST_CASE("in a mix, one direction alone works as negotiated, and telephone events are not mixed") {
    Conference room;
    room.add("a", 500, -20);
    room.add("b", 700, -20);
    room.add("c", 900, -20);
    LegMedia listens = g711(4'002);
    listens.we_receive = false;
    room.must(ConfigureLeg{.leg = LegId{"b"}, .media = listens});
    LegMedia speaks = g711(4'004);
    speaks.we_send = false;
    room.must(ConfigureLeg{.leg = LegId{"c"}, .media = speaks});
    room.run(1'200);
    CHECK(room.packets_to(room.speakers[2]).empty());
    const auto a = room.heard(room.speakers[0]);
    CHECK(rtp::tone_level_dbfs(std::span(a).last(8'000), 700) < -60);
    CHECK(rtp::tone_level_dbfs(std::span(a).last(8'000), 900) > -21);
    room.sent.rtp.clear();
    room.speakers[0].voice.payload_type = 101;
    room.run(400);
    for (const Sent& sent : room.sent.rtp) CHECK(sent.packet().payload_type == 0);
    const auto b = room.heard(room.speakers[1]);
    CHECK(rtp::tone_level_dbfs(std::span(b).last(1'600), 500) < -60);
}

TEST_CASE("a mix that is ticked late catches up a little and passes over the rest") {
    Conference room;
    room.add("a", 500, -20);
    room.add("b", 700, -20);
    room.add("c", 900, -20);
    room.run(200);
    const std::size_t before = room.packets_to(room.speakers[0]).size();
    room.pass(1'000);
    room.engine.tick(room.stamp());
    const auto packets = room.packets_to(room.speakers[0]);
    CHECK(packets.size() == before + kCatchUpFramesMax);
    check_stream(packets, 8'000);
}

TEST_CASE("when all leave a mix at once nothing of it stays") {
    Conference room;
    for (const std::string name : {"a", "b", "c", "d"}) room.add(name, 500, -20);
    room.run(100);
    CHECK(room.engine.is_paced());
    for (const std::string name : {"a", "b", "c"}) room.must(RemoveLeg{.leg = LegId{name}, .cause = "normal"});
    room.must(LeaveRoom{.leg = LegId{"d"}});
    CHECK_FALSE(room.engine.is_paced());
    room.speakers.erase(room.speakers.begin(), room.speakers.begin() + 3);
    room.run(100);
    CHECK(room.engine.legs().size() == 1);
}

}  // namespace
}  // namespace sheaf::media
