// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/entropy.h"
#include "base/time.h"

namespace sheaf::net {

// CLOCK_MONOTONIC and CLOCK_REALTIME, read one after the other. Any thread.
[[nodiscard]] Stamp now();
// When to wake for a deadline: the next whole 10 ms, not before it. With thousands of transactions under way there is a
// deadline every moment, and to be woken for each costs more than what is due.
[[nodiscard]] constexpr Instant wake_for(Instant deadline) {
    using Wakes = std::chrono::duration<std::int64_t, std::centi>;
    return Instant{std::chrono::ceil<Wakes>(deadline.time_since_epoch())};
}
// From the kernel's getrandom. Any thread.
[[nodiscard]] Entropy::Seed seed();

}  // namespace sheaf::net
