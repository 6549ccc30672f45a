// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

#include "base/bytes.h"

namespace sheaf::rtp {

inline constexpr std::size_t kHeaderBytes = 12;  // without CSRC and extension
inline constexpr std::size_t kPacketBytesMax = 1'500;

// Why bytes are no RTP packet. No text: this is the packet path, where nothing allocates.
enum class PacketFault : std::uint8_t { too_short, too_long, wrong_version, csrc_cut, extension_cut, bad_padding };
[[nodiscard]] std::string_view name_of(PacketFault fault);

// An RTP packet (RFC 3550 §5.1), as a view: valid as long as the bytes it was read from.
//
//   0                   1                   2                   3
//   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//  |V=2|P|X|  CC   |M|     PT      |       sequence number         |
//  |                           timestamp                           |
//  |                             SSRC                              |
//  |            CSRC × CC, extension if X, payload, padding if P   |
struct Packet {
    bool marker = false;
    std::uint8_t payload_type = 0;  // 0 to 127
    std::uint16_t sequence = 0;
    std::uint32_t timestamp = 0;
    std::uint32_t ssrc = 0;
    std::uint8_t csrc_count = 0;
    Bytes csrc;                           // csrc_count × 4
    std::uint16_t extension_profile = 0;  // meaningless when `extension` is empty and `has_extension` false
    bool has_extension = false;
    Bytes extension;  // without its 4-byte header
    Bytes payload;    // without padding; may be empty
};

[[nodiscard]] std::expected<Packet, PacketFault> parse_packet(Bytes bytes);

struct Header {
    bool marker = false;
    std::uint8_t payload_type = 0;
    std::uint16_t sequence = 0;
    std::uint32_t timestamp = 0;
    std::uint32_t ssrc = 0;
};

// Writes kHeaderBytes bytes: version 2, no padding, extension or CSRC.
void write_header(std::uint8_t* to, const Header& header);

}  // namespace sheaf::rtp
