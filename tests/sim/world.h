// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <string>
#include <vector>

#include "base/time.h"
#include "sim/chance.h"

namespace sheaf::sim {

// What a node takes for time: a monotonic clock of its own that runs a little fast or slow, and a wall clock that may
// be minutes off. `true` time is the world's.
struct Clock {
    Duration base{};
    double rate = 1.0;
    std::int64_t wall_ahead_ms = 0;

    [[nodiscard]] Instant mono(Instant true_time) const;
    [[nodiscard]] WallTime wall(Instant true_time) const;
    [[nodiscard]] Stamp stamp(Instant true_time) const { return {mono(true_time), wall(true_time)}; }
    [[nodiscard]] Instant true_at(Instant mono) const;  // never before it
};

inline constexpr Instant kBegin{std::chrono::seconds{1'000}};
inline constexpr std::int64_t kBeginUnixMs = 1'767'605'400'000;

// Virtual time. What is due happens in order of time, then of asking; nothing else ever happens.
class World {
public:
    explicit World(std::uint64_t seed) : chance_(seed) {}
    [[nodiscard]] Instant now() const { return now_; }
    [[nodiscard]] Chance& chance() { return chance_; }
    void at(Instant when, std::function<void()> what) {
        items_.push({std::max(when, now_), ++asked_, std::move(what)});
    }
    void after(Duration wait, std::function<void()> what) { at(now_ + wait, std::move(what)); }
    // Until nothing is due before `end`, or somebody has asked to stop.
    void run_until(Instant end);
    void stop() { stopped_ = true; }
    [[nodiscard]] bool stopped() const { return stopped_; }
    [[nodiscard]] std::uint64_t happened() const { return happened_; }

private:
    struct Item {
        Instant at;
        std::uint64_t order;
        std::function<void()> what;
        bool operator<(const Item& other) const {
            return at != other.at ? at > other.at : order > other.order;  // the queue's top is the earliest
        }
    };
    Instant now_ = kBegin;
    Chance chance_;
    std::uint64_t asked_ = 0, happened_ = 0;
    bool stopped_ = false;
    std::priority_queue<Item> items_;
};

}  // namespace sheaf::sim
