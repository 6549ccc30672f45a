// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "lab/frame.h"

namespace sheaf::lab {

// Tells which of the lab's tones a person hears, whatever call they come by, and keeps count of numbered frames.
class Ear {
public:
    // Called when the set of tones heard has changed and stayed so for 200 ms.
    using Heard = std::function<void(const std::vector<int>&)>;
    using Clock = std::chrono::steady_clock;

    explicit Ear(Heard heard) : heard_(std::move(heard)) {}

    void take(Clock::time_point now, std::span<const std::int16_t> samples, Bytes codes);
    // Every 100 ms of clock: which tones are in what has come since? Silence counts too.
    void judge(Clock::time_point now);
    void forget();  // the last call is over

    [[nodiscard]] FrameLog& frames() { return frames_; }

private:
    Heard heard_;
    std::vector<std::int16_t> window_;
    Clock::time_point last_judged_{};
    std::vector<int> candidate_;
    int candidate_windows_ = 0;
    std::vector<int> present_;
    FrameLog frames_;
};

}  // namespace sheaf::lab
