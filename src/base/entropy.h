// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace sheaf {

// Chance as a value: 32 random bytes that came from outside, stretched with SHA-256 into as many identifiers as one
// step needs. The same seed gives the same identifiers, so a replay mints what the run minted.
class Entropy {
public:
    using Seed = std::array<std::uint8_t, 32>;
    explicit Entropy(const Seed& seed) : seed_(seed) {}

    [[nodiscard]] std::string uuid();                   // RFC 9562 version 4, lower case
    [[nodiscard]] std::string token(std::size_t bytes); // hex, 2 characters a byte; bytes ≤ 32
    [[nodiscard]] std::uint32_t number();

private:
    [[nodiscard]] std::array<std::uint8_t, 32> next();
    Seed seed_;
    std::uint64_t drawn_ = 0;
};

}  // namespace sheaf
