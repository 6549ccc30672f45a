// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/time.h"
#include "media/control.h"

namespace sheaf::media {

inline constexpr std::size_t kFrameSamples = 160;
inline constexpr Duration kFrame = std::chrono::milliseconds{20};
inline constexpr std::uint64_t kCatchUpFramesMax = 3;  // sent at once after a late tick; the rest is passed over

using Frame = std::array<std::int16_t, kFrameSamples>;

// A treatment: prompts one after the other, in frames of 20 ms whose place follows time since the start, so that
// late ticks never shift it. Nothing allocates after construction.
class Player {
public:
    // At least one prompt has a sample.
    Player(const Play& play, Instant began);

    // The next frame due at `now`, if any; false: none due, or all played. `index` is its number from the start.
    [[nodiscard]] bool next(Instant now, Frame& frame, std::uint64_t& index);
    [[nodiscard]] bool is_done() const { return done_; }
    [[nodiscard]] const std::string& name() const { return name_; }

private:
    void fill(Frame& frame);
    void advance(std::uint64_t samples);
    void wrap();

    std::string name_;
    std::vector<std::shared_ptr<const Prompt>> prompts_;  // shared with the prompt cache and every leg that plays them
    bool forever_;
    Instant began_;
    std::uint64_t frames_ = 0;  // taken or passed over
    std::uint64_t total_ = 0;   // samples of the whole list
    std::size_t prompt_ = 0;
    std::size_t offset_ = 0;
    bool done_ = false;
};

}  // namespace sheaf::media
