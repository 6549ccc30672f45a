// SPDX-License-Identifier: Apache-2.0
#include "sim/world.h"

#include <utility>

namespace sheaf::sim {

Instant Clock::mono(Instant true_time) const {
    const auto passed = static_cast<double>((true_time - kBegin).count());
    return kBegin + base + Duration{static_cast<std::int64_t>(passed * rate)};
}

WallTime Clock::wall(Instant true_time) const {
    const auto passed = static_cast<double>((true_time - kBegin).count());
    const auto ms = static_cast<std::int64_t>(passed * rate) / 1'000'000;
    return WallTime{std::chrono::milliseconds{kBeginUnixMs + wall_ahead_ms + ms}};
}

Instant Clock::true_at(Instant mono) const {
    const auto passed = static_cast<double>((mono - kBegin - base).count());
    return kBegin + Duration{static_cast<std::int64_t>(passed / rate)} + std::chrono::microseconds{1};
}

void World::run_until(Instant end) {
    while (!stopped_ && !items_.empty() && items_.top().at <= end) {
        Item item =
            std::move(const_cast<Item&>(items_.top()));  // popped at once: its place in the heap is not looked at
        items_.pop();
        now_ = item.at;
        ++happened_;
        item.what();
    }
    if (!stopped_) now_ = std::max(now_, end);
}

}  // namespace sheaf::sim
