// SPDX-License-Identifier: Apache-2.0
#include "rtp/g711.h"

#include <array>

namespace sheaf::rtp {
namespace {

constexpr int kUlawBias = 132;
constexpr int kUlawClip = 32'635;

constexpr std::int16_t decode_ulaw_code(unsigned code) {
    const unsigned bits = ~code & 0xFFU;
    const int magnitude = ((static_cast<int>(bits & 0x0FU) * 8 + kUlawBias) << ((bits >> 4) & 7U)) - kUlawBias;
    return static_cast<std::int16_t>((bits & 0x80U) != 0 ? -magnitude : magnitude);
}

constexpr std::int16_t decode_alaw_code(unsigned code) {
    const unsigned bits = code ^ 0x55U;
    const unsigned segment = (bits >> 4) & 7U;
    int magnitude = static_cast<int>(bits & 0x0FU) * 16 + 8;
    if (segment > 0) magnitude = (magnitude + 256) << (segment - 1);
    return static_cast<std::int16_t>((bits & 0x80U) != 0 ? magnitude : -magnitude);
}

constexpr std::uint8_t encode_ulaw_sample(int sample) {
    const unsigned sign = sample < 0 ? 0x80U : 0U;
    int magnitude = sample < 0 ? -sample : sample;
    if (magnitude > kUlawClip) magnitude = kUlawClip;
    magnitude += kUlawBias;
    unsigned segment = 7;
    for (int bit = 0x4000; segment > 0 && (magnitude & bit) == 0; bit >>= 1) --segment;
    const unsigned step = (static_cast<unsigned>(magnitude) >> (segment + 3)) & 0x0FU;
    return static_cast<std::uint8_t>(~(sign | (segment << 4) | step) & 0xFFU);
}

constexpr std::uint8_t encode_alaw_sample(int sample) {
    const unsigned sign = sample >= 0 ? 0x80U : 0U;
    // One's complement for negatives, so that the law is symmetric around its half steps.
    const unsigned magnitude = static_cast<unsigned>(sample >= 0 ? sample : -sample - 1);
    unsigned segment = 0;
    for (unsigned limit = 256; segment < 7 && magnitude >= limit; limit <<= 1) ++segment;
    const unsigned step = (magnitude >> (segment == 0 ? 4 : segment + 3)) & 0x0FU;
    return static_cast<std::uint8_t>((sign | (segment << 4) | step) ^ 0x55U);
}

constexpr auto kFromUlaw = [] {
    std::array<std::int16_t, 256> table{};
    for (unsigned i = 0; i < 256; ++i) table[i] = decode_ulaw_code(i);
    return table;
}();
constexpr auto kFromAlaw = [] {
    std::array<std::int16_t, 256> table{};
    for (unsigned i = 0; i < 256; ++i) table[i] = decode_alaw_code(i);
    return table;
}();
constexpr auto kUlawToAlaw = [] {
    std::array<std::uint8_t, 256> table{};
    for (unsigned i = 0; i < 256; ++i) table[i] = encode_alaw_sample(kFromUlaw[i]);
    return table;
}();
constexpr auto kAlawToUlaw = [] {
    std::array<std::uint8_t, 256> table{};
    for (unsigned i = 0; i < 256; ++i) table[i] = encode_ulaw_sample(kFromAlaw[i]);
    return table;
}();

}  // namespace

std::int16_t linear_from_ulaw(std::uint8_t code) {
    return kFromUlaw[code];
}
std::int16_t linear_from_alaw(std::uint8_t code) {
    return kFromAlaw[code];
}
std::uint8_t ulaw_from_linear(std::int16_t sample) {
    return encode_ulaw_sample(sample);
}
std::uint8_t alaw_from_linear(std::int16_t sample) {
    return encode_alaw_sample(sample);
}
std::uint8_t alaw_from_ulaw(std::uint8_t code) {
    return kUlawToAlaw[code];
}
std::uint8_t ulaw_from_alaw(std::uint8_t code) {
    return kAlawToUlaw[code];
}

void decode_ulaw(Bytes from, std::int16_t* to) {
    for (const std::uint8_t code : from) *to++ = kFromUlaw[code];
}
void decode_alaw(Bytes from, std::int16_t* to) {
    for (const std::uint8_t code : from) *to++ = kFromAlaw[code];
}
void encode_ulaw(std::span<const std::int16_t> from, std::uint8_t* to) {
    for (const std::int16_t sample : from) *to++ = encode_ulaw_sample(sample);
}
void encode_alaw(std::span<const std::int16_t> from, std::uint8_t* to) {
    for (const std::int16_t sample : from) *to++ = encode_alaw_sample(sample);
}
void ulaw_to_alaw(Bytes from, std::uint8_t* to) {
    for (const std::uint8_t code : from) *to++ = kUlawToAlaw[code];
}
void alaw_to_ulaw(Bytes from, std::uint8_t* to) {
    for (const std::uint8_t code : from) *to++ = kAlawToUlaw[code];
}

}  // namespace sheaf::rtp
