// SPDX-License-Identifier: Apache-2.0
#include "rtp/packet.h"

#include <doctest/doctest.h>

#include <array>
#include <vector>

namespace sheaf::rtp {
namespace {

// 12 + 1 CSRC + extension of 1 word + 3 bytes of payload + 4 of padding.
std::vector<std::uint8_t> everything() {
    return {0xB1, 0x80, 0x12, 0x34, 0, 0,    0, 0xA0, 1, 2,    3,    4, 0xC1, 0xC2, 0xC3, 0xC4,
            0xBE, 0xDE, 0,    1,    1, 0x55, 0, 0,    9, 0xAA, 0xBB, 0, 0,    0,    4};
}

TEST_CASE("a packet with CSRC, extension and padding is read to its payload") {
    const auto bytes = everything();
    const auto packet = parse_packet(bytes);
    REQUIRE(packet);
    CHECK(packet->marker);
    CHECK(packet->payload_type == 0);
    CHECK(packet->sequence == 0x1234);
    CHECK(packet->timestamp == 160);
    CHECK(packet->ssrc == 0x01020304);
    CHECK(packet->csrc_count == 1);
    CHECK(packet->csrc.front() == 0xC1);
    CHECK(packet->has_extension);
    CHECK(packet->extension_profile == 0xBEDE);
    CHECK(packet->extension.size() == 4);
    REQUIRE(packet->payload.size() == 3);
    CHECK(packet->payload[1] == 0xAA);
}

TEST_CASE("a packet cut anywhere is refused or shorter, never read past its end") {
    const auto bytes = everything();
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const std::vector<std::uint8_t> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
        const auto packet = parse_packet(cut);
        if (size < 12) CHECK(packet.error() == PacketFault::too_short);
        if (size >= 12 && size < 16) CHECK(packet.error() == PacketFault::csrc_cut);
        if (size >= 16 && size < 24) CHECK(packet.error() == PacketFault::extension_cut);
        if (size == 24) CHECK(packet.error() == PacketFault::bad_padding);
    }
}

TEST_CASE("padding that is nought or longer than the packet is refused") {
    auto bytes = everything();
    bytes.back() = 0;
    CHECK(parse_packet(bytes).error() == PacketFault::bad_padding);
    bytes.back() = 8;
    CHECK(parse_packet(bytes).error() == PacketFault::bad_padding);
    bytes.back() = 7;
    REQUIRE(parse_packet(bytes));
    CHECK(parse_packet(bytes)->payload.empty());
}

TEST_CASE("another version, and a packet over the limit, are refused") {
    auto bytes = everything();
    bytes[0] = 0x31;
    CHECK(parse_packet(bytes).error() == PacketFault::wrong_version);
    std::vector<std::uint8_t> longest(kPacketBytesMax, 0);
    longest[0] = 0x80;
    CHECK(parse_packet(longest));
    longest.push_back(0);
    CHECK(parse_packet(longest).error() == PacketFault::too_long);
}

TEST_CASE("a header written is the header read") {
    std::array<std::uint8_t, kHeaderBytes> bytes{};
    write_header(bytes.data(),
                 {.marker = true, .payload_type = 101, .sequence = 65'535, .timestamp = 0xFFFFFFFF, .ssrc = 7});
    const auto packet = parse_packet(bytes);
    REQUIRE(packet);
    CHECK(packet->marker);
    CHECK(packet->payload_type == 101);
    CHECK(packet->sequence == 65'535);
    CHECK(packet->timestamp == 0xFFFFFFFF);
    CHECK(packet->ssrc == 7);
    CHECK(packet->payload.empty());
}

}  // namespace
}  // namespace sheaf::rtp
