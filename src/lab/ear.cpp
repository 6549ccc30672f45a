// SPDX-License-Identifier: Apache-2.0
#include "lab/ear.h"

#include "rtp/tone.h"

namespace sheaf::lab {
namespace {

constexpr std::size_t kWindow = 800;  // 100 ms
constexpr auto kWindowTime = std::chrono::milliseconds{100};
constexpr double kPresentDbfs = kToneDbfs - 10;

}  // namespace

void Ear::take(Clock::time_point now, std::span<const std::int16_t> samples, Bytes codes) {
    window_.insert(window_.end(), samples.begin(), samples.end());
    if (const auto mark = mark_of(codes)) {
        frames_.heard(*mark, std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count());
    }
}

void Ear::judge(Clock::time_point now) {
    if (now - last_judged_ < kWindowTime) return;
    last_judged_ = now;
    std::vector<int> tones;
    if (window_.size() >= kWindow / 2) {
        if (window_.size() > kWindow) window_.erase(window_.begin(), window_.end() - kWindow);
        for (const int hz : kTones) {
            if (rtp::tone_level_dbfs(window_, hz) > kPresentDbfs) tones.push_back(hz);
        }
    }
    window_.clear();
    candidate_windows_ = tones == candidate_ ? candidate_windows_ + 1 : 1;
    candidate_ = tones;
    if (candidate_windows_ == 2 && candidate_ != present_) {
        present_ = candidate_;
        heard_(present_);
    }
}

void Ear::forget() {
    window_.clear();
    present_.clear();
    candidate_.clear();
    candidate_windows_ = 0;
}

}  // namespace sheaf::lab
