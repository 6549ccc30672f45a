// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "media/player.h"

namespace sheaf::media {

inline constexpr std::size_t kMixDepthMax = 8 * kFrameSamples;     // waiting; beyond, the oldest go
inline constexpr std::uint32_t kMixPatienceFrames = 500;           // 10 s with a frame to spare: it is left out
inline constexpr std::size_t kMixFadeSamples = kFrameSamples / 2;  // into and out of what is missing

// One party's way into a mix: its packets, in any order, become a frame of 20 ms whenever one is asked for.
//
// It waits no longer than it must: a frame that is not there when it is due is silence, and everything behind it is
// played that much later, so that the delay grows to what jitter and reordering need. Where a frame was to spare for
// long (the jitter went, or the sender's clock is fast) one is left out, cross-faded. A slow clock runs dry once in a
// while. What comes after its place was played is dropped. Every edge is faded. Nothing allocates.
class MixInput {
public:
    struct Counters {
        std::uint64_t late = 0;      // packets: their place had been played
        std::uint64_t dropped = 0;   // frames left out: to spare, or too many waiting
        std::uint64_t starved = 0;   // frames that were silence because nothing was there
        std::uint64_t restarts = 0;  // of the source's numbering or clock
    };

    // Empty. `goes_on`: its voice was audible just now, so its first sample is not faded in.
    void reset(bool goes_on);
    // A packet's samples. `source`: whose clock `timestamp` counts by; another one begins anew.
    void packet(std::uint64_t source, std::uint32_t timestamp, std::span<const std::int16_t> samples);
    // The frame that is due. False: there is none, `frame` is silence or the fade into it.
    bool next(Frame& frame);
    // What is left, at most a frame of it: the number of samples. For the end of a mix.
    [[nodiscard]] std::size_t rest(Frame& frame);
    // The party leaves: what it would have said next, faded out. Then it is empty.
    void farewell(Frame& frame);

    [[nodiscard]] std::size_t waiting() const { return static_cast<std::size_t>(head_ - at_); }
    [[nodiscard]] const Counters& counters() const { return counters_; }

private:
    static constexpr std::size_t kRing = 4'096;
    static_assert(kRing >= kMixDepthMax + 1'500);  // and one packet of the longest kind

    void begin(std::uint64_t source, std::uint32_t timestamp);
    void drop(std::size_t samples);
    void read(std::span<std::int16_t> out);
    void leave_one_out(Frame& frame);
    [[nodiscard]] std::int16_t missing();
    void fade_on();

    std::array<std::int16_t, kRing> samples_{};
    std::array<bool, kRing> is_there_{};
    std::uint64_t source_ = 0;  // 0: none yet
    std::int64_t at_ = 0;       // played next, in samples since begin()
    std::int64_t head_ = 0;     // behind the last that came
    std::int64_t newest_ = 0;   // of the last packet's timestamp
    std::uint32_t newest_timestamp_ = 0;
    std::int64_t starved_ = 0;  // samples of silence given out since something was missing at at_
    bool is_short_ = false;     // something came late: wait a frame longer
    std::size_t gain_ = 0;      // of kMixFadeSamples
    std::int32_t last_ = 0;     // the voice's sample given out last
    std::int32_t fade_ = 0;     // what is left of it after it broke off
    std::int32_t fade_step_ = 0;
    std::size_t spare_ = 0;     // the least that was waiting since
    std::uint32_t frames_ = 0;  // so many frames ago
    Counters counters_;
};

// Keeps the sum of many within 16 bits: below kMixKnee it is as it is, above it bends towards full scale and never
// wraps around.
inline constexpr std::int32_t kMixKnee = 28'000;
[[nodiscard]] std::int16_t limited(std::int32_t sum);

}  // namespace sheaf::media
