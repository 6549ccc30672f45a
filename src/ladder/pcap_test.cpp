// SPDX-License-Identifier: Apache-2.0
#include "ladder/pcap.h"

#include <doctest/doctest.h>

#include <chrono>
#include <vector>

#include "base/bytes.h"

using namespace sheaf;
using namespace sheaf::ladder;
using namespace std::chrono_literals;

namespace {

Message message(const std::string& local, const std::string& remote, bool sent, const std::string& text) {
    return {1,
            WallTime{1'767'605'400'123ms},
            sent,
            *sip::endpoint_from_text(local),
            *sip::endpoint_from_text(remote),
            "a;1;INVITE",
            text};
}

struct Packet {
    std::uint32_t seconds = 0, microseconds = 0;
    std::vector<std::uint8_t> bytes;
};

std::vector<Packet> packets_in(const std::string& file) {
    std::vector<Packet> out;
    const auto bytes = as_bytes(file);
    REQUIRE(bytes.size() >= 24);
    CHECK(read_u32le(bytes.data()) == 0xA1B2C3D4);
    CHECK(read_u32le(bytes.data() + 20) == 101);
    for (std::size_t at = 24; at < bytes.size();) {
        REQUIRE(bytes.size() - at >= 16);
        const std::uint8_t* head = bytes.data() + at;
        const std::size_t length = read_u32le(head + 8);
        CHECK(length == read_u32le(head + 12));
        REQUIRE(bytes.size() - at - 16 >= length);
        out.push_back({read_u32le(head), read_u32le(head + 4), {head + 16, head + 16 + length}});
        at += 16 + length;
    }
    return out;
}

// RFC 1071: with its checksum in it, what is covered sums to all ones.
std::uint32_t sum(const std::vector<std::uint8_t>& bytes) {
    std::uint32_t total = 0;
    for (std::size_t i = 0; i < bytes.size(); i += 2) {
        total += (std::uint32_t{bytes[i]} << 8U) | (i + 1 < bytes.size() ? bytes[i + 1] : 0U);
    }
    while (total > 0xFFFF) total = (total & 0xFFFFU) + (total >> 16U);
    return total;
}

// Of the segment behind an IP header, with the pseudo-header of its version.
std::uint32_t segment_sum(const std::vector<std::uint8_t>& packet, std::size_t header, std::uint8_t protocol) {
    const std::size_t addresses = header == 20 ? 12 : 8;
    std::vector<std::uint8_t> summed(packet.begin() + static_cast<std::ptrdiff_t>(addresses),
                                     packet.begin() + static_cast<std::ptrdiff_t>(header));
    const std::size_t length = packet.size() - header;
    for (const std::size_t value : {length >> 8U, length & 0xFFU, std::size_t{0}, std::size_t{protocol}}) {
        summed.push_back(static_cast<std::uint8_t>(value));
    }
    summed.insert(summed.end(), packet.begin() + static_cast<std::ptrdiff_t>(header), packet.end());
    return sum(summed);
}

}  // namespace

TEST_CASE("a datagram is a packet of IPv4 and UDP, from who sent it") {
    const auto packets =
        packets_in(pcap_of(std::vector{message("udp:127.0.0.1:5060", "udp:127.0.0.9:5061", false, "hello")}));
    REQUIRE(packets.size() == 1);
    CHECK(packets[0].seconds == 1'767'605'400);
    CHECK(packets[0].microseconds == 123'000);
    const auto& bytes = packets[0].bytes;
    REQUIRE(bytes.size() == 20 + 8 + 5);
    CHECK(bytes[0] == 0x45);
    CHECK(read_u16be(bytes.data() + 2) == bytes.size());
    CHECK(bytes[9] == 17);
    CHECK(sum({bytes.begin(), bytes.begin() + 20}) == 0xFFFF);
    CHECK(read_u32be(bytes.data() + 12) == 0x7F000009);
    CHECK(read_u32be(bytes.data() + 16) == 0x7F000001);
    CHECK(read_u16be(bytes.data() + 20) == 5061);
    CHECK(read_u16be(bytes.data() + 22) == 5060);
    CHECK(read_u16be(bytes.data() + 24) == 13);
    CHECK(segment_sum(bytes, 20, 17) == 0xFFFF);
    CHECK(std::string(bytes.begin() + 28, bytes.end()) == "hello");
}

TEST_CASE("over IPv6 too") {
    const auto packets = packets_in(pcap_of(std::vector{message("udp:[::1]:5060", "udp:[::2]:5061", true, "odd")}));
    REQUIRE(packets.size() == 1);
    const auto& bytes = packets[0].bytes;
    REQUIRE(bytes.size() == 40 + 8 + 3);
    CHECK(bytes[0] == 0x60);
    CHECK(read_u16be(bytes.data() + 4) == 11);
    CHECK(bytes[6] == 17);
    CHECK(bytes[23] == 1);
    CHECK(bytes[39] == 2);
    CHECK(segment_sum(bytes, 40, 17) == 0xFFFF);
}

TEST_CASE("a stream's numbers go on in each direction and acknowledge the other") {
    const std::string us = "tcp:127.0.0.1:5060";
    const std::string them = "tcp:127.0.0.9:40000";
    const auto packets = packets_in(pcap_of(
        std::vector{message(us, them, false, "12345"), message(us, them, true, "123"), message(us, them, false, "1")}));
    REQUIRE(packets.size() == 3);
    const auto sequence = [&](std::size_t i) { return read_u32be(packets[i].bytes.data() + 24); };
    const auto acknowledged = [&](std::size_t i) { return read_u32be(packets[i].bytes.data() + 28); };
    CHECK(sequence(0) == 1);
    CHECK(sequence(1) == 1);
    CHECK(acknowledged(1) == 6);
    CHECK(sequence(2) == 6);
    CHECK(acknowledged(2) == 4);
    for (const auto& packet : packets) {
        CHECK(packet.bytes[9] == 6);
        CHECK(segment_sum(packet.bytes, 20, 6) == 0xFFFF);
    }
}

TEST_CASE("addresses that are none, or of two versions, leave a message out; the largest fits") {
    auto named = message("udp:127.0.0.1:5060", "udp:127.0.0.9:5060", true, "x");
    named.remote.address = "phone.example";
    auto mixed = message("udp:127.0.0.1:5060", "udp:[::1]:5060", true, "x");
    const auto large = message("udp:127.0.0.1:5060", "udp:127.0.0.9:5060", true, std::string(70'000, 'x'));
    const auto packets = packets_in(pcap_of(std::vector{named, mixed, large}));
    REQUIRE(packets.size() == 1);
    CHECK(read_u16be(packets[0].bytes.data() + 2) == 20 + 8 + kTextBytesMax);
    CHECK(packets_in(pcap_of({})).empty());
}
