// SPDX-License-Identifier: Apache-2.0
#include "rtp/packet.h"

namespace sheaf::rtp {

std::string_view name_of(PacketFault fault) {
    switch (fault) {
        case PacketFault::too_short: return "too_short";
        case PacketFault::too_long: return "too_long";
        case PacketFault::wrong_version: return "wrong_version";
        case PacketFault::csrc_cut: return "csrc_cut";
        case PacketFault::extension_cut: return "extension_cut";
        case PacketFault::bad_padding: return "bad_padding";
    }
    return "unknown";
}

std::expected<Packet, PacketFault> parse_packet(Bytes bytes) {
    if (bytes.size() < kHeaderBytes) return std::unexpected(PacketFault::too_short);
    if (bytes.size() > kPacketBytesMax) return std::unexpected(PacketFault::too_long);
    const std::uint8_t* p = bytes.data();
    if ((p[0] >> 6) != 2) return std::unexpected(PacketFault::wrong_version);
    const bool has_padding = (p[0] & 0x20U) != 0;

    Packet packet;
    packet.has_extension = (p[0] & 0x10U) != 0;
    packet.csrc_count = p[0] & 0x0FU;
    packet.marker = (p[1] & 0x80U) != 0;
    packet.payload_type = p[1] & 0x7FU;
    packet.sequence = read_u16be(p + 2);
    packet.timestamp = read_u32be(p + 4);
    packet.ssrc = read_u32be(p + 8);

    Bytes rest = bytes.subspan(kHeaderBytes);
    const std::size_t csrc_bytes = std::size_t{packet.csrc_count} * 4;
    if (rest.size() < csrc_bytes) return std::unexpected(PacketFault::csrc_cut);
    packet.csrc = rest.first(csrc_bytes);
    rest = rest.subspan(csrc_bytes);

    if (packet.has_extension) {
        if (rest.size() < 4) return std::unexpected(PacketFault::extension_cut);
        packet.extension_profile = read_u16be(rest.data());
        const std::size_t extension_bytes = std::size_t{read_u16be(rest.data() + 2)} * 4;
        if (rest.size() - 4 < extension_bytes) return std::unexpected(PacketFault::extension_cut);
        packet.extension = rest.subspan(4, extension_bytes);
        rest = rest.subspan(4 + extension_bytes);
    }
    if (has_padding) {
        // The last byte counts the padding, itself included.
        if (rest.empty() || rest.back() == 0 || rest.back() > rest.size()) {
            return std::unexpected(PacketFault::bad_padding);
        }
        rest = rest.first(rest.size() - rest.back());
    }
    packet.payload = rest;
    return packet;
}

void write_header(std::uint8_t* to, const Header& header) {
    to[0] = 0x80;
    to[1] = static_cast<std::uint8_t>((header.marker ? 0x80U : 0U) | (header.payload_type & 0x7FU));
    write_u16be(to + 2, header.sequence);
    write_u32be(to + 4, header.timestamp);
    write_u32be(to + 8, header.ssrc);
}

}  // namespace sheaf::rtp
