// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sheaf {

using Bytes = std::span<const std::uint8_t>;

// Integers of the wire, by name, never by cast. The caller has checked that the bytes are there.
[[nodiscard]] constexpr std::uint16_t read_u16be(const std::uint8_t* p) {
    return static_cast<std::uint16_t>((p[0] << 8) | p[1]);
}
[[nodiscard]] constexpr std::uint32_t read_u32be(const std::uint8_t* p) {
    return (std::uint32_t{p[0]} << 24) | (std::uint32_t{p[1]} << 16) | (std::uint32_t{p[2]} << 8) | p[3];
}
[[nodiscard]] constexpr std::uint16_t read_u16le(const std::uint8_t* p) {
    return static_cast<std::uint16_t>((p[1] << 8) | p[0]);
}
[[nodiscard]] constexpr std::uint32_t read_u32le(const std::uint8_t* p) {
    return (std::uint32_t{p[3]} << 24) | (std::uint32_t{p[2]} << 16) | (std::uint32_t{p[1]} << 8) | p[0];
}
[[nodiscard]] constexpr std::uint64_t read_u64le(const std::uint8_t* p) {
    return (std::uint64_t{read_u32le(p + 4)} << 32) | read_u32le(p);
}
constexpr void write_u16be(std::uint8_t* p, std::uint16_t v) {
    p[0] = static_cast<std::uint8_t>(v >> 8);
    p[1] = static_cast<std::uint8_t>(v);
}
constexpr void write_u32be(std::uint8_t* p, std::uint32_t v) {
    for (int i = 0; i < 4; ++i) p[i] = static_cast<std::uint8_t>(v >> (24 - 8 * i));
}
constexpr void write_u16le(std::uint8_t* p, std::uint16_t v) {
    p[0] = static_cast<std::uint8_t>(v);
    p[1] = static_cast<std::uint8_t>(v >> 8);
}
constexpr void write_u32le(std::uint8_t* p, std::uint32_t v) {
    for (int i = 0; i < 4; ++i) p[i] = static_cast<std::uint8_t>(v >> (8 * i));
}
constexpr void write_u64le(std::uint8_t* p, std::uint64_t v) {
    for (int i = 0; i < 8; ++i) p[i] = static_cast<std::uint8_t>(v >> (8 * i));
}

[[nodiscard]] std::string to_hex(Bytes bytes);
[[nodiscard]] std::string to_base64(Bytes bytes);  // RFC 4648 §4, padded
// CRC-32C (Castagnoli), the checksum of everything we write to disk. Chain by passing the former result.
[[nodiscard]] std::uint32_t crc32c(Bytes bytes, std::uint32_t former = 0);

[[nodiscard]] inline Bytes as_bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
[[nodiscard]] inline std::string_view as_text(Bytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace sheaf
