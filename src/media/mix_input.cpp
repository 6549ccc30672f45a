// SPDX-License-Identifier: Apache-2.0
#include "media/mix_input.h"

#include <algorithm>
#include <cstdlib>

namespace sheaf::media {
namespace {

constexpr auto kFade = static_cast<std::int32_t>(kMixFadeSamples);
constexpr auto kFrameLength = static_cast<std::int64_t>(kFrameSamples);
constexpr std::size_t kDepthAfterDrop = 2 * kFrameSamples;

}  // namespace

void MixInput::reset(bool goes_on) {
    source_ = 0;
    at_ = head_ = starved_ = 0;
    is_short_ = false;
    is_there_.fill(false);
    gain_ = goes_on ? kMixFadeSamples : 0;
    last_ = fade_ = 0;
    frames_ = 0;
}

void MixInput::begin(std::uint64_t source, std::uint32_t timestamp) {
    if (source_ != 0) {
        ++counters_.restarts;
        static_cast<void>(missing());
    }
    source_ = source;
    is_there_.fill(false);
    at_ = head_ = newest_ = starved_ = 0;
    newest_timestamp_ = timestamp;
    frames_ = 0;
}

void MixInput::packet(std::uint64_t source, std::uint32_t timestamp, std::span<const std::int16_t> samples) {
    const auto count = static_cast<std::int64_t>(std::min(samples.size(), kRing - kMixDepthMax));
    std::int64_t position = newest_ + static_cast<std::int32_t>(timestamp - newest_timestamp_);
    // Further off than anything late or lost can be: another clock.
    constexpr std::int64_t kFar = 8'000;
    if (source != source_ || position + kFar < at_ || position > head_ + starved_ + kFar) {
        begin(source, timestamp);
        position = 0;
    }
    if (position > newest_) {
        newest_ = position;
        newest_timestamp_ = timestamp;
    }
    if (position < at_) {
        ++counters_.late;
        // The next one like it shall be in time.
        constexpr std::int64_t kWorthIt = 5 * kFrameLength;
        is_short_ = at_ - position <= kWorthIt && static_cast<std::int64_t>(waiting()) < kWorthIt;
        return;
    }
    if (starved_ > 0 && waiting() == 0) {
        // What is missing before it has been silence already, for as long as nothing was there.
        const std::int64_t passed = std::min(position - at_, starved_);
        drop(static_cast<std::size_t>(passed));
    }
    starved_ = 0;
    // All that a ring holds may wait ahead of at_; a hole longer than that has nothing in it worth waiting for.
    if (position + count - at_ > static_cast<std::int64_t>(kRing)) drop(static_cast<std::size_t>(position - at_));
    for (std::int64_t i = 0; i < count; ++i) {
        const auto index = static_cast<std::size_t>(position + i) % kRing;
        samples_[index] = samples[static_cast<std::size_t>(i)];
        is_there_[index] = true;
    }
    head_ = std::max(head_, position + count);
    if (waiting() > kMixDepthMax) {
        counters_.dropped += (waiting() - kDepthAfterDrop) / kFrameSamples;
        drop(waiting() - kDepthAfterDrop);
        static_cast<void>(missing());
    }
}

void MixInput::drop(std::size_t samples) {
    for (std::size_t i = 0; i < std::min(samples, kRing); ++i) {
        is_there_[(static_cast<std::size_t>(at_) + i) % kRing] = false;
    }
    at_ += static_cast<std::int64_t>(samples);
    head_ = std::max(head_, at_);
}

// The voice breaks off at its last sample: from there to zero instead of at once.
std::int16_t MixInput::missing() {
    if (gain_ != 0) {
        gain_ = 0;
        fade_ = last_;
        fade_step_ = std::abs(last_) / kFade + 1;
    }
    fade_on();
    return static_cast<std::int16_t>(fade_);
}

void MixInput::fade_on() {
    fade_ = fade_ > 0 ? std::max(fade_ - fade_step_, 0) : std::min(fade_ + fade_step_, 0);
}

// Takes the next samples; around what is not there the voice fades.
void MixInput::read(std::span<std::int16_t> out) {
    for (std::int16_t& sample : out) {
        const std::size_t index = static_cast<std::size_t>(at_) % kRing;
        if (at_ >= head_ || !is_there_[index]) {
            sample = missing();
        } else {
            if (gain_ < kMixFadeSamples) ++gain_;
            fade_on();
            const std::int32_t voice = samples_[index] * static_cast<std::int32_t>(gain_) / kFade + fade_;
            sample = static_cast<std::int16_t>(std::clamp(voice, -32'768, 32'767));
            is_there_[index] = false;
            last_ = sample;
        }
        if (at_ < head_) ++at_;
    }
}

bool MixInput::next(Frame& frame) {
    if (source_ == 0) {
        frame.fill(0);
        return false;
    }
    const bool is_empty = waiting() < kFrameSamples;
    if (is_empty || is_short_) {
        // Nothing is taken: a part of a frame waits for its rest.
        ++counters_.starved;
        if (is_empty) starved_ += kFrameLength;
        is_short_ = false;
        frames_ = 0;
        for (std::int16_t& sample : frame) sample = missing();
        return false;
    }
    read(frame);
    spare_ = frames_ == 0 ? waiting() : std::min(spare_, waiting());
    if (++frames_ >= kMixPatienceFrames) {
        frames_ = 0;
        if (spare_ >= kFrameSamples) leave_one_out(frame);
    }
    return true;
}

// The frame just taken glides into the one behind it.
void MixInput::leave_one_out(Frame& frame) {
    Frame behind;
    read(behind);
    for (std::size_t i = 0; i < kFrameSamples; ++i) {
        const auto n = static_cast<std::int32_t>(i);
        const auto all = static_cast<std::int32_t>(kFrameSamples);
        frame[i] = static_cast<std::int16_t>((frame[i] * (all - n) + behind[i] * n) / all);
    }
    ++counters_.dropped;
}

std::size_t MixInput::rest(Frame& frame) {
    const std::size_t count = std::min(waiting(), kFrameSamples);
    read(std::span(frame).first(count));
    return count;
}

void MixInput::farewell(Frame& frame) {
    frame.fill(0);
    const bool has_frame = source_ != 0 && waiting() >= kFrameSamples;
    read(frame);
    const auto all = static_cast<std::int32_t>(kFrameSamples);
    for (std::int32_t i = 0; has_frame && i < all; ++i) {
        auto& sample = frame[static_cast<std::size_t>(i)];
        sample = static_cast<std::int16_t>(sample * (all - i) / all);
    }
    reset(false);
}

std::int16_t limited(std::int32_t sum) {
    constexpr std::int32_t kRoom = 32'767 - kMixKnee;
    const std::int32_t size = std::abs(sum);
    if (size <= kMixKnee) return static_cast<std::int16_t>(sum);
    const std::int32_t over = size - kMixKnee;
    const auto bent = static_cast<std::int32_t>(kMixKnee + std::int64_t{kRoom} * over / (over + kRoom));
    return static_cast<std::int16_t>(sum < 0 ? -bent : bent);
}

}  // namespace sheaf::media
