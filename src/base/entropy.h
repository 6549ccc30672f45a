// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sheaf {

// Chance as a value: 32 random bytes that came from outside, stretched with ChaCha20 (RFC 8439 §2.4) into as many
// identifiers as one step needs. The same seed gives the same identifiers, so a replay mints what the run minted.
class Entropy {
public:
    using Seed = std::array<std::uint8_t, 32>;
    explicit Entropy(const Seed& seed) : seed_(seed) {}

    [[nodiscard]] std::string uuid();                    // RFC 9562 version 4, lower case
    [[nodiscard]] std::string token(std::size_t bytes);  // hex, 2 characters a byte; bytes ≤ 32
    [[nodiscard]] std::uint32_t number();

private:
    static constexpr std::size_t kStretched = 256;  // at a time: what the calls of a step want, and more
    [[nodiscard]] std::span<std::uint8_t> next(std::size_t bytes);
    Seed seed_;
    std::array<std::uint8_t, kStretched> stretched_{};
    std::size_t left_ = 0;      // of them, at the end
    std::uint64_t blocks_ = 0;  // of the key stream that are stretched
};

}  // namespace sheaf
