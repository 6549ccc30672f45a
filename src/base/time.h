// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sheaf {

using Duration = std::chrono::nanoseconds;

// A moment of a node's monotonic clock. Rooms never ask for it: it comes with every input.
struct MonotonicClock {
    using rep = std::int64_t;
    using period = std::nano;
    using duration = Duration;
    using time_point = std::chrono::time_point<MonotonicClock, Duration>;
    static constexpr bool is_steady = true;
};
using Instant = MonotonicClock::time_point;

// A moment on the wall, UTC. May step; never used to order or to time anything within a node.
using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds>;

// Both, read together at the edge.
struct Stamp {
    Instant mono{};
    WallTime wall{};
    friend auto operator<=>(const Stamp&, const Stamp&) = default;
};

[[nodiscard]] constexpr std::int64_t to_ms(Duration d) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
}
[[nodiscard]] constexpr std::int64_t to_ms(Instant t) { return to_ms(t.time_since_epoch()); }
[[nodiscard]] constexpr std::int64_t to_unix_ms(WallTime t) { return t.time_since_epoch().count(); }

// RFC 3339, UTC, three decimals, 'Z': the only form this project writes. Years 0000 to 9999.
[[nodiscard]] std::string to_rfc3339(WallTime t);
// Reads that form and any other RFC 3339 date-time (offsets, more or fewer decimals).
[[nodiscard]] Result<WallTime> wall_from_rfc3339(std::string_view text);

}  // namespace sheaf
