// SPDX-License-Identifier: Apache-2.0
#include "edge/net/clock.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <ctime>

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
        --left_;
        Entropy::Seed seed{};
        const auto from = bytes_.begin() + static_cast<std::ptrdiff_t>(left_ * seed.size());
        std::copy_n(from, seed.size(), seed.begin());
        std::fill_n(from, seed.size(), std::uint8_t{0});
        return seed;
    }

private:
    void draw() {
        for (std::size_t filled = 0; filled < bytes_.size();) {
            const ssize_t got = getrandom(bytes_.data() + filled, bytes_.size() - filled, 0);
            // Without randomness no tag or nonce is safe; nothing may go on.
            ASSERT(got > 0 || errno == EINTR);
            if (got > 0) filled += static_cast<std::size_t>(got);
        }
        left_ = kCount;
    }
    static constexpr std::size_t kCount = 32;
    std::array<std::uint8_t, kCount * sizeof(Entropy::Seed)> bytes_{};
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
