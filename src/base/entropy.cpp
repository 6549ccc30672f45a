// SPDX-License-Identifier: Apache-2.0
#include "base/entropy.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/digest.h"

namespace sheaf {

std::array<std::uint8_t, 32> Entropy::next() {
    std::array<std::uint8_t, 40> block{};
    std::copy(seed_.begin(), seed_.end(), block.begin());
    write_u64le(&block[32], ++drawn_);
    return sha256(block);
}

std::string Entropy::uuid() {
    auto bytes = next();
    bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0F) | 0x40);
    bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3F) | 0x80);
    std::string text = to_hex(Bytes{bytes.data(), 16});
    for (std::size_t at : {20U, 16U, 12U, 8U}) text.insert(at, "-");
    return text;
}

std::string Entropy::token(std::size_t bytes) {
    ASSERT(bytes <= 32);
    const auto block = next();
    return to_hex(Bytes{block.data(), bytes});
}

std::uint32_t Entropy::number() {
    const auto block = next();
    return read_u32le(block.data());
}

}  // namespace sheaf
