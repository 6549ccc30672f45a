// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/entropy.h"
#include "base/time.h"

namespace sheaf::sim {

// Chance that a seed repeats to the bit, on every machine (SplitMix64). Whoever draws has a stream of their own, so
// that one more draw of the network's leaves people's decisions as they were.
class Chance {
public:
    explicit Chance(std::uint64_t seed) : state_(seed) {}
    [[nodiscard]] Chance fork(std::string_view name) {
        std::uint64_t seed = number();
        for (const char c : name) seed = (seed ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
        return Chance(seed);
    }
    std::uint64_t number() {
        state_ += 0x9e3779b97f4a7c15ULL;
        std::uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31);
    }
    double share() { return static_cast<double>(number() >> 11) * 0x1.0p-53; }  // in [0, 1)
    bool happens(double probability) { return share() < probability; }
    std::size_t below(std::size_t n) { return static_cast<std::size_t>(number() % n); }
    Duration between(Duration least, Duration most) {
        return least + Duration{static_cast<std::int64_t>(share() * static_cast<double>((most - least).count()))};
    }
    Duration about(Duration mean) {  // exponential, at most eight times the mean
        const double times = std::min(8.0, -std::log(1.0 - share()));
        return Duration{static_cast<std::int64_t>(times * static_cast<double>(mean.count()))};
    }
    template <typename T>
    const T& pick(const std::vector<T>& of) {
        return of[below(of.size())];
    }
    Entropy::Seed seed() {
        Entropy::Seed out{};
        for (std::size_t i = 0; i < out.size(); i += 8) {
            const std::uint64_t word = number();
            for (std::size_t b = 0; b < 8; ++b) out[i + b] = static_cast<std::uint8_t>(word >> (8 * b));
        }
        return out;
    }

private:
    std::uint64_t state_;
};

}  // namespace sheaf::sim
