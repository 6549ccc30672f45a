// SPDX-License-Identifier: Apache-2.0
#include "rtp/g711.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <vector>

#include "rtp/tone.h"

namespace sheaf::rtp {
namespace {

TEST_CASE("the tables have G.711's published corners") {
    CHECK(linear_from_ulaw(0xFF) == 0);
    CHECK(linear_from_ulaw(0x7F) == 0);
    CHECK(linear_from_ulaw(0x80) == 32'124);
    CHECK(linear_from_ulaw(0x00) == -32'124);
    CHECK(linear_from_alaw(0xD5) == 8);
    CHECK(linear_from_alaw(0x55) == -8);
    CHECK(linear_from_alaw(0xAA) == 32'256);
    CHECK(linear_from_alaw(0x2A) == -32'256);
    CHECK(ulaw_from_linear(0) == kUlawSilence);
    CHECK(alaw_from_linear(0) == kAlawSilence);
}

TEST_CASE("every code survives decoding and encoding") {
    for (unsigned code = 0; code < 256; ++code) {
        const auto byte = static_cast<std::uint8_t>(code);
        CHECK(alaw_from_linear(linear_from_alaw(byte)) == byte);
        // µ-law has two zeros; negative zero comes back as the positive one.
        if (byte != 0x7F) CHECK(ulaw_from_linear(linear_from_ulaw(byte)) == byte);
    }
}

int furthest_from_nearest(std::int16_t (*decode)(std::uint8_t), std::uint8_t (*encode)(std::int16_t)) {
    int worst = 0;
    for (int sample = -32'768; sample <= 32'767; ++sample) {
        int nearest = 65'536;
        for (unsigned code = 0; code < 256; ++code) {
            nearest = std::min(nearest, std::abs(decode(static_cast<std::uint8_t>(code)) - sample));
        }
        const int error = std::abs(decode(encode(static_cast<std::int16_t>(sample))) - sample);
        worst = std::max(worst, error - nearest);
    }
    return worst;
}

TEST_CASE("every sample gets the code that decodes nearest to it, but for rounding at a segment's edge") {
    CHECK(furthest_from_nearest(linear_from_ulaw, ulaw_from_linear) <= 256);
    CHECK(furthest_from_nearest(linear_from_alaw, alaw_from_linear) <= 256);
}

TEST_CASE("a tone goes through both laws and keeps its level") {
    std::array<std::int16_t, 4'000> samples{};
    Tone tone(619, -16);
    tone.fill(samples);
    std::vector<std::uint8_t> ulaw(samples.size());
    std::vector<std::uint8_t> alaw(samples.size());
    encode_ulaw(samples, ulaw.data());
    ulaw_to_alaw(ulaw, alaw.data());
    alaw_to_ulaw(alaw, ulaw.data());
    std::array<std::int16_t, 4'000> after{};
    decode_ulaw(ulaw, after.data());
    CHECK(tone_level_dbfs(after, 619) == doctest::Approx(-16).epsilon(0.01));
    encode_alaw(samples, alaw.data());
    decode_alaw(alaw, after.data());
    CHECK(tone_level_dbfs(after, 619) == doctest::Approx(-16).epsilon(0.01));
    CHECK(tone_level_dbfs(after, 467) < -55);
}

TEST_CASE("the listener tells the lab's tones apart by 60 dB") {
    std::array<std::int16_t, 4'000> samples{};
    Tone(467, -16).fill(samples);
    CHECK(tone_level_dbfs(samples, 467) == doctest::Approx(-16).epsilon(0.005));
    CHECK(tone_level_dbfs(samples, 619) < -76);
    CHECK(tone_level_dbfs(samples, 853) < -76);
    CHECK(level_dbfs(samples) == doctest::Approx(-16).epsilon(0.005));
    CHECK(tone_level_dbfs({}, 467) == -120);
}

TEST_CASE("a tone goes on where it stopped") {
    std::array<std::int16_t, 320> whole{};
    Tone(853, -16).fill(whole);
    std::array<std::int16_t, 160> part{};
    Tone tone(853, -16);
    tone.fill(part);
    tone.fill(part);
    for (std::size_t i = 0; i < part.size(); ++i) CHECK(std::abs(part[i] - whole[160 + i]) <= 1);
}

}  // namespace
}  // namespace sheaf::rtp
