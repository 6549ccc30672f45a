// SPDX-License-Identifier: Apache-2.0
#include "edge/net/clock.h"

#include <sys/random.h>

#include <cerrno>
#include <ctime>

#include "base/assert.h"

namespace sheaf::net {
namespace {

std::chrono::nanoseconds read_clock(clockid_t clock) {
    timespec at{};
    ASSERT(clock_gettime(clock, &at) == 0);
    return std::chrono::seconds{at.tv_sec} + std::chrono::nanoseconds{at.tv_nsec};
}

}  // namespace

Stamp now() {
    Stamp stamp;
    stamp.mono = Instant{read_clock(CLOCK_MONOTONIC)};
    stamp.wall = WallTime{std::chrono::duration_cast<std::chrono::milliseconds>(read_clock(CLOCK_REALTIME))};
    return stamp;
}

Entropy::Seed seed() {
    Entropy::Seed seed{};
    std::size_t filled = 0;
    while (filled < seed.size()) {
        const ssize_t got = getrandom(seed.data() + filled, seed.size() - filled, 0);
        // Without randomness no tag or nonce is safe; nothing may go on.
        ASSERT(got > 0 || errno == EINTR);
        if (got > 0) filled += static_cast<std::size_t>(got);
    }
    return seed;
}

}  // namespace sheaf::net
