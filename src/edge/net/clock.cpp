// SPDX-License-Identifier: Apache-2.0
#include "edge/net/clock.h"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <utility>

#include "base/assert.h"

namespace sheaf::net {
namespace {

std::chrono::nanoseconds read_clock(clockid_t clock) {
    timespec at{};
    ASSERT(clock_gettime(clock, &at) == 0);
    return std::chrono::seconds{at.tv_sec} + std::chrono::nanoseconds{at.tv_nsec};
}

// Seeds from the kernel, many at a time. Each is given once.
class Drawn {
public:
    Entropy::Seed next() {
        if (left_ == 0) draw();
        return std::exchange(seeds_.at(--left_), {});
    }

private:
    void draw() {
        auto* const bytes = seeds_.front().data();
        for (std::size_t filled = 0; filled < sizeof seeds_;) {
            const ssize_t got = getrandom(bytes + filled, sizeof seeds_ - filled, 0);
            // Without randomness no tag or nonce is safe; nothing may go on.
            ASSERT(got > 0 || errno == EINTR);
            if (got > 0) filled += static_cast<std::size_t>(got);
        }
        left_ = seeds_.size();
    }
    std::array<Entropy::Seed, 32> seeds_{};
    std::size_t left_ = 0;
};

}  // namespace

Stamp now() {
    Stamp stamp;
    stamp.mono = Instant{read_clock(CLOCK_MONOTONIC)};
    stamp.wall = WallTime{std::chrono::duration_cast<std::chrono::milliseconds>(read_clock(CLOCK_REALTIME))};
    return stamp;
}

Entropy::Seed seed() {
    thread_local Drawn drawn;
    return drawn.next();
}

}  // namespace sheaf::net
