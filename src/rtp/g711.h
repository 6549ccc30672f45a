// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bytes.h"

// ITU-T G.711: µ-law and A-law, between their bytes and 16-bit linear samples (full scale ±32,767), and directly
// between each other. Nothing allocates.
namespace sheaf::rtp {

inline constexpr std::uint32_t kG711Rate = 8'000;  // samples a second; one byte a sample
inline constexpr std::uint8_t kUlawSilence = 0xFF;
inline constexpr std::uint8_t kAlawSilence = 0xD5;

[[nodiscard]] std::int16_t linear_from_ulaw(std::uint8_t code);
[[nodiscard]] std::int16_t linear_from_alaw(std::uint8_t code);
[[nodiscard]] std::uint8_t ulaw_from_linear(std::int16_t sample);
[[nodiscard]] std::uint8_t alaw_from_linear(std::int16_t sample);
[[nodiscard]] std::uint8_t alaw_from_ulaw(std::uint8_t code);
[[nodiscard]] std::uint8_t ulaw_from_alaw(std::uint8_t code);

// The same for whole payloads; `to` has at least as many elements as `from`.
void decode_ulaw(Bytes from, std::int16_t* to);
void decode_alaw(Bytes from, std::int16_t* to);
void encode_ulaw(std::span<const std::int16_t> from, std::uint8_t* to);
void encode_alaw(std::span<const std::int16_t> from, std::uint8_t* to);
void ulaw_to_alaw(Bytes from, std::uint8_t* to);
void alaw_to_ulaw(Bytes from, std::uint8_t* to);

}  // namespace sheaf::rtp
