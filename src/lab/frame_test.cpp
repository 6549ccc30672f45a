// SPDX-License-Identifier: Apache-2.0
#include "lab/frame.h"

#include <doctest/doctest.h>

#include "rtp/g711.h"
#include "rtp/tone.h"

namespace sheaf::lab {
namespace {

std::vector<std::uint8_t> spoken(FrameMark mark) {
    std::array<std::int16_t, kFrameSamples> samples{};
    rtp::Tone tone(kTones.at(mark.speaker), kToneDbfs);
    tone.fill(samples);
    std::vector<std::uint8_t> codes(kFrameSamples);
    rtp::encode_ulaw(samples, codes.data());
    stamp(codes, mark);
    return codes;
}

Bytes view(const std::vector<std::uint8_t>& codes) {
    return {codes.data(), codes.size()};
}

// Frames first to last of speaker 0, each 20 ms after the one before.
void hear(FrameLog& log, int first, int last, std::int64_t extra_us = 0) {
    for (int n = first; n <= last; ++n) {
        log.heard({0, static_cast<std::uint16_t>(n % kNumbers)}, n * kFrameUs + extra_us);
    }
}

}  // namespace

TEST_CASE("a frame says who speaks and its number") {
    for (const FrameMark mark : {FrameMark{0, 0}, FrameMark{1, 1}, FrameMark{2, kNumbers - 1}}) {
        CHECK(mark_of(view(spoken(mark))) == mark);
    }
}

TEST_CASE("silence, a plain tone and a cut frame carry no number") {
    CHECK_FALSE(mark_of(view(std::vector<std::uint8_t>(kFrameSamples, rtp::kUlawSilence))));
    CHECK_FALSE(mark_of(view(std::vector<std::uint8_t>(kFrameSamples, 0))));
    auto codes = spoken({0, 77});
    codes[20] ^= 1U;
    CHECK_FALSE(mark_of(view(codes)));
    codes = spoken({0, 77});
    codes.resize(31);
    CHECK_FALSE(mark_of(view(codes)));
}

TEST_CASE("the number is heard nowhere near another tone") {
    std::vector<std::int16_t> second;
    for (std::uint16_t n = 0; n < 50; ++n) {
        const auto codes = spoken({0, n});
        std::array<std::int16_t, kFrameSamples> samples{};
        rtp::decode_ulaw(view(codes), samples.data());
        second.insert(second.end(), samples.begin(), samples.end());
    }
    // One second of this tone starts anew with each frame here, so only the level of the others is looked at.
    CHECK(rtp::tone_level_dbfs(second, 619) < -46);
}

TEST_CASE("frames that all come in time are no run") {
    FrameLog log;
    hear(log, 100, 199);
    REQUIRE(log.reports().size() == 1);
    CHECK(log.reports().front() == FrameReport{.tone_hz = 467, .heard = 100, .longest_gap_us = kFrameUs});
}

TEST_CASE("frames that never come are counted, and the longest run of them") {
    FrameLog log;
    hear(log, 0, 9);
    hear(log, 12, 20);
    hear(log, 26, 40);
    const FrameReport report = log.reports().front();
    CHECK(report.missing == 7);
    CHECK(report.late == 0);
    CHECK(report.longest_run == 5);
    CHECK(report.longest_gap_us == 6 * kFrameUs);
}

TEST_CASE("frames more than 40 ms behind count as late, and with missing ones as one run") {
    FrameLog log;
    hear(log, 0, 9);
    hear(log, 12, 14, 50'000);
    hear(log, 15, 40, 40'000);
    const FrameReport report = log.reports().front();
    CHECK(report.missing == 2);
    CHECK(report.late == 3);
    CHECK(report.longest_run == 5);
}

TEST_CASE("a frame heard twice or out of order is heard once") {
    FrameLog log;
    hear(log, 0, 3);
    log.heard({0, 5}, 5 * kFrameUs);
    log.heard({0, 4}, 5 * kFrameUs + 1);
    log.heard({0, 4}, 8 * kFrameUs);
    const FrameReport report = log.reports().front();
    CHECK(report.missing == 0);
    CHECK(report.longest_run == 0);
}

TEST_CASE("numbers come round without a gap") {
    FrameLog log;
    hear(log, kNumbers - 5, kNumbers + 5);
    CHECK(log.reports().front().missing == 0);
    CHECK(log.reports().front().heard == 11);
}

TEST_CASE("each speaker has a report of its own, and a restart forgets") {
    FrameLog log;
    log.heard({2, 1}, 0);
    log.heard({0, 9}, 0);
    REQUIRE(log.reports().size() == 2);
    CHECK(log.reports().front().tone_hz == 467);
    CHECK(log.reports().back().tone_hz == 853);
    log.restart();
    CHECK(log.reports().empty());
}

TEST_CASE("what one speaker's log keeps is bounded") {
    FrameLog log;
    hear(log, 0, static_cast<int>(kFramesKept) + 10);
    CHECK(log.reports().front().heard == kFramesKept);
}

}  // namespace sheaf::lab
