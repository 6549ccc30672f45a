// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"

// The sound of the lab's people, 20 ms at a time. Every frame carries who speaks and its number in the lowest bits of
// its G.711 codes, far below its tone: whoever gets it unmixed can tell which frames never came and which came late,
// across every change of dialog, port and SSRC on the way.
namespace sheaf::lab {

// The tones of the lab's people; who hears which is how a call is checked while it runs.
inline constexpr std::array<int, 3> kTones{467, 619, 853};
inline constexpr double kToneDbfs = -16.0;

inline constexpr std::size_t kFrameSamples = 160;
inline constexpr std::int64_t kFrameUs = 20'000;
inline constexpr std::uint16_t kNumbers = 1U << 14U;  // numbers come round after 327 s

struct FrameMark {
    std::uint8_t speaker = 0;  // index into kTones
    std::uint16_t number = 0;  // below kNumbers
    friend bool operator==(const FrameMark&, const FrameMark&) = default;
};

void stamp(std::span<std::uint8_t> codes, FrameMark mark);
// Nothing when the payload is no frame of ours as it was sent: mixed, transcoded, music, silence.
[[nodiscard]] std::optional<FrameMark> mark_of(Bytes codes);

// What came of one speaker's frames: from the first that was heard to the last one.
struct FrameReport {
    int tone_hz = 0;
    std::size_t heard = 0;
    std::size_t missing = 0;      // numbers that never came
    std::size_t late = 0;         // came more than kLateUs after the time that the fastest frame would have given it
    std::size_t longest_run = 0;  // of consecutive frames missing or late
    std::int64_t longest_gap_us = 0;  // between two arrivals
    friend bool operator==(const FrameReport&, const FrameReport&) = default;
};
inline constexpr std::int64_t kLateUs = 2 * kFrameUs;
inline constexpr std::size_t kFramesKept = 20'000;  // of one speaker; later ones are not counted

class FrameLog {
public:
    void restart() { heard_.clear(); }
    void heard(FrameMark mark, std::int64_t now_us);
    [[nodiscard]] std::vector<FrameReport> reports() const;  // of everyone heard, in the order of kTones

private:
    struct Frame {
        std::int64_t number = 0;  // without coming round
        std::int64_t at_us = 0;
    };
    std::map<std::uint8_t, std::vector<Frame>> heard_;
};

}  // namespace sheaf::lab
