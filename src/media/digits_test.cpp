// SPDX-License-Identifier: Apache-2.0
#include "media/digits.h"

#include <doctest/doctest.h>

#include <string>

#include "media/engine_fixture.h"

namespace sheaf::media {
namespace {

using namespace fixture;

std::array<std::uint8_t, 4> event(std::uint8_t code, bool is_end, std::uint16_t duration) {
    return {code, static_cast<std::uint8_t>(is_end ? 0x8A : 0x0A), static_cast<std::uint8_t>(duration >> 8),
            static_cast<std::uint8_t>(duration)};
}

struct Keypad {
    DigitReader reader;
    std::string told;
    void packet(std::uint32_t timestamp, std::uint8_t code, bool is_end = false, std::uint16_t duration = 160,
                std::uint32_t ssrc = 1) {
        take(reader.packet(ssrc, timestamp, event(code, is_end, duration)));
    }
    void take(const DigitReader::Digits& pressed) {
        for (std::size_t i = 0; i < pressed.count; ++i) told += pressed.digits[i];
    }
};

TEST_CASE("all sixteen digits are told by name, other events are none") {
    Keypad keypad;
    for (std::uint8_t code = 0; code < 255; ++code) keypad.packet(1'000U * code, code, true);
    CHECK(keypad.told == "0123456789*#ABCD");
    CHECK(keypad.reader.packet(1, 5, std::array<std::uint8_t, 3>{1, 2, 3}).count == 0);
    CHECK(keypad.reader.packet(1, 5, {}).count == 0);
}

TEST_CASE("a press is one digit whichever of its packets come, and how often") {
    for (unsigned lost = 0; lost < 63; ++lost) {  // of three beginnings and three ends, any but all
        CAPTURE(lost);
        Keypad keypad;
        for (const std::uint8_t code : std::array<std::uint8_t, 3>{5, 5, 6}) {
            const std::uint32_t timestamp = 10'000 + 1'000 * static_cast<std::uint32_t>(keypad.told.size());
            for (unsigned i = 0; i < 6; ++i) {
                if ((lost >> i & 1U) != 0) continue;
                keypad.packet(timestamp, code, i >= 3, static_cast<std::uint16_t>(160 * i));
                keypad.packet(timestamp, code, i >= 3, static_cast<std::uint16_t>(160 * i));
            }
        }
        CHECK(keypad.told == "556");
    }
}

TEST_CASE("a packet that the next press overtook is no press of its own") {
    Keypad keypad;
    keypad.packet(1'000, 1);
    keypad.packet(2'000, 2);
    keypad.packet(1'000, 1, true);
    keypad.packet(2'000, 2, true);
    CHECK(keypad.told == "12");
    keypad.packet(2'000, 2, true, 160, 99);  // another source may use the same numbers
    CHECK(keypad.told == "122");
}

TEST_CASE("presses packed into one packet are each one, there and in their own packets") {
    Keypad keypad;
    std::vector<std::uint8_t> packed;
    for (const std::uint8_t code : std::array<std::uint8_t, 3>{1, 1, 2}) {
        const auto one = event(code, code == 1, 800);
        packed.insert(packed.end(), one.begin(), one.end());
    }
    keypad.take(keypad.reader.packet(1, 10'000, packed));
    keypad.take(keypad.reader.packet(1, 10'000, packed));
    keypad.packet(11'600, 2, true, 1'600);
    CHECK(keypad.told == "112");
    const std::vector<std::uint8_t> many(400, 0);  // no duration: all at once, one press
    keypad.take(keypad.reader.packet(1, 90'000, many));
    CHECK(keypad.told == "1120");
}

TEST_CASE("a key held for half a minute is one press") {
    Keypad keypad;
    std::uint32_t timestamp = 4'294'900'000;
    for (int segment = 0; segment < 4; ++segment, timestamp += 0xFFFF) {
        for (std::uint16_t duration = 160; duration < 65'000; duration += 1'600)
            keypad.packet(timestamp, 7, false, duration);
    }
    keypad.packet(timestamp, 7, true, 800);
    CHECK(keypad.told == "7");
    keypad.packet(timestamp + 0xFFFF, 7);  // it had ended
    CHECK(keypad.told == "77");
}

// Presses a key on a voice's line: `packets` of it, then the ends.
void press(World& world, Voice& voice, std::uint8_t code) {
    const std::uint8_t speech = voice.payload_type;
    voice.payload_type = 101;
    const std::uint32_t began = voice.timestamp;
    for (int i = 0; i < 6; ++i) {
        std::vector<std::uint8_t> bytes = voice.bytes();
        bytes.resize(rtp::kHeaderBytes + 4);
        std::ranges::copy(event(code, i >= 3, static_cast<std::uint16_t>(160 * i)), bytes.begin() + rtp::kHeaderBytes);
        world.engine.rtp_received(voice.leg, world.now, voice.from, bytes);
        voice.step();
        voice.timestamp = began;
        world.pass(20);
    }
    voice.payload_type = speech;
    voice.timestamp = began + 6 * 160;
}

TEST_CASE("digits are told of a leg while asked for, also under a treatment, and recorded nowhere") {
    World world;
    Voice a = world.leg("a", 4000, "room");
    world.leg("b", 5000, "room");
    world.record("a", "s");
    press(world, a, 1);
    CHECK(world.told<DigitReceived>().empty());
    world.must(CollectDigits{.leg = LegId{"a"}, .on = true});
    press(world, a, 2);
    world.must(Play{.leg = LegId{"a"}, .name = "p", .prompts = {prompt(160 * 100)}});
    press(world, a, 11);
    const auto told = world.told<DigitReceived>();
    REQUIRE(told.size() == 2);
    CHECK(told[0].leg == LegId{"a"});
    CHECK(told[0].digit == '2');
    CHECK(told[1].digit == '#');
    world.must(CollectDigits{.leg = LegId{"a"}, .on = false});
    press(world, a, 3);
    CHECK(world.told<DigitReceived>().empty());
    CHECK(world.carry_out(CollectDigits{.leg = LegId{"x"}, .on = true}).error().code == Errc::not_found);
    world.must(StopRecording{.segment = SegmentId{"s"}, .cause = "normal"});
    CHECK(world.journal.segments["s"].tail.said == ChannelCounts{.received = 24, .excluded = 24});
}

TEST_CASE("a press that began before digits were asked for is not told, one told to nobody yet survives its leg") {
    World world;
    Voice a = world.leg("a", 4000);
    Voice before = a;
    press(world, a, 4);
    world.must(CollectDigits{.leg = LegId{"a"}, .on = true});
    Voice again = before;
    again.sequence = static_cast<std::uint16_t>(before.sequence + 20);  // its end, once more
    press(world, again, 4);
    CHECK(world.told<DigitReceived>().empty());
    a.sequence = static_cast<std::uint16_t>(again.sequence + 1);
    press(world, a, 5);
    world.must(RemoveLeg{.leg = LegId{"a"}, .cause = "normal"});
    world.leg("b", 5000);
    const auto told = world.told<DigitReceived>();
    REQUIRE(told.size() == 1);
    CHECK(told[0].leg == LegId{"a"});
}

TEST_CASE("a flood of digits is cut to what may wait") {
    World world;
    Voice a = world.leg("a", 4000);
    world.must(CollectDigits{.leg = LegId{"a"}, .on = true});
    for (std::size_t i = 0; i < kDigitsUntoldMax + 10; ++i) press(world, a, static_cast<std::uint8_t>(i % 16));
    CHECK(world.told<DigitReceived>().size() == kDigitsUntoldMax);
    CHECK(world.engine.counters(LegId{"a"})->digits_dropped == 10);
    press(world, a, 1);
    CHECK(world.told<DigitReceived>().size() == 1);
}

}  // namespace
}  // namespace sheaf::media
