// SPDX-License-Identifier: Apache-2.0
#include "media/player.h"

#include <algorithm>

#include "base/assert.h"

namespace sheaf::media {

Player::Player(const Play& play, Instant began)
    : name_(play.name), prompts_(play.prompts), forever_(play.forever), began_(began) {
    for (const auto& prompt : prompts_) total_ += prompt->samples.size();
    ASSERT(total_ > 0);
    wrap();
}

bool Player::next(Instant now, Frame& frame, std::uint64_t& index) {
    if (done_ || now < began_) return false;
    const std::uint64_t due = static_cast<std::uint64_t>((now - began_) / kFrame) + 1;
    if (due <= frames_) return false;
    if (due - frames_ > kCatchUpFramesMax) {
        const std::uint64_t passed = due - frames_ - kCatchUpFramesMax;
        advance(passed * kFrameSamples);
        frames_ += passed;
        if (done_) return false;
    }
    fill(frame);
    index = frames_++;
    return true;
}

void Player::fill(Frame& frame) {
    std::size_t filled = 0;
    while (filled < frame.size() && !done_) {
        const auto& samples = prompts_[prompt_]->samples;
        const std::size_t count = std::min(frame.size() - filled, samples.size() - offset_);
        std::copy_n(samples.begin() + static_cast<std::ptrdiff_t>(offset_), count,
                    frame.begin() + static_cast<std::ptrdiff_t>(filled));
        filled += count;
        offset_ += count;
        wrap();
    }
    std::fill(frame.begin() + static_cast<std::ptrdiff_t>(filled), frame.end(), std::int16_t{0});
}

void Player::advance(std::uint64_t samples) {
    if (forever_) samples %= total_;
    while (samples > 0 && !done_) {
        const std::uint64_t left = prompts_[prompt_]->samples.size() - offset_;
        const std::uint64_t step = std::min(samples, left);
        offset_ += static_cast<std::size_t>(step);
        samples -= step;
        wrap();
    }
}

// To the next sample there is: over the end of a prompt, over empty ones, to the list's begin or its end.
void Player::wrap() {
    while (!done_ && offset_ >= prompts_[prompt_]->samples.size()) {
        offset_ = 0;
        if (++prompt_ < prompts_.size()) continue;
        prompt_ = 0;
        done_ = !forever_;
    }
}

}  // namespace sheaf::media
