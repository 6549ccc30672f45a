// SPDX-License-Identifier: Apache-2.0
#include "ladder/pcap.h"

#include <arpa/inet.h>

#include <array>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace sheaf::ladder {
namespace {

constexpr std::uint32_t kMagic = 0xA1B2C3D4;  // microseconds
constexpr std::uint32_t kSnapLength = 262'144;
constexpr std::uint32_t kLinkTypeRaw = 101;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kHops = 64;
constexpr std::uint8_t kPushAndAck = 0x18;

using Octets = std::vector<std::uint8_t>;

void put_u16(Octets& out, std::size_t value) {
    out.push_back(static_cast<std::uint8_t>(value >> 8U));
    out.push_back(static_cast<std::uint8_t>(value));
}
void put_u32(Octets& out, std::uint32_t value) {
    put_u16(out, value >> 16U);
    put_u16(out, value & 0xFFFFU);
}
void put_u32le(std::string& out, std::uint32_t value) {
    for (int i = 0; i < 4; ++i) out += static_cast<char>(value >> (8 * i));
}

std::optional<Octets> octets_of(const std::string& address) {
    std::array<std::uint8_t, 16> bytes{};
    if (inet_pton(AF_INET, address.c_str(), bytes.data()) == 1) return Octets(bytes.begin(), bytes.begin() + 4);
    if (inet_pton(AF_INET6, address.c_str(), bytes.data()) == 1) return Octets(bytes.begin(), bytes.end());
    return std::nullopt;
}

// RFC 1071: the ones' complement of the ones' complement sum.
std::uint16_t checksum(const Octets& bytes) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); i += 2) {
        const std::uint32_t low = i + 1 < bytes.size() ? bytes[i + 1] : 0;
        sum += (std::uint32_t{bytes[i]} << 8U) | low;
    }
    while (sum > 0xFFFF) sum = (sum & 0xFFFFU) + (sum >> 16U);
    return static_cast<std::uint16_t>(~sum);
}

struct Way {  // of one packet
    Octets from, to;
    std::uint16_t from_port = 0, to_port = 0;
};

// UDP or TCP, the payload behind it; the checksum is over the pseudo-header of either IP version, which sums alike.
Octets segment_of(const Way& way, std::uint8_t protocol, std::uint32_t sequence, std::uint32_t acknowledged,
                  std::string_view payload) {
    Octets out;
    put_u16(out, way.from_port);
    put_u16(out, way.to_port);
    std::size_t sum_at = 6;
    if (protocol == kUdp) {
        put_u16(out, 8 + payload.size());
        put_u16(out, 0);
    } else {
        put_u32(out, sequence);
        put_u32(out, acknowledged);
        out.push_back(5U << 4U);  // words of this header
        out.push_back(kPushAndAck);
        put_u16(out, 0xFFFF);  // window
        sum_at = out.size();
        put_u32(out, 0);  // checksum, urgent pointer
    }
    out.insert(out.end(), payload.begin(), payload.end());
    Octets summed = way.from;
    summed.insert(summed.end(), way.to.begin(), way.to.end());
    put_u32(summed, static_cast<std::uint32_t>(out.size()));
    put_u32(summed, protocol);
    summed.insert(summed.end(), out.begin(), out.end());
    write_u16be(out.data() + sum_at, checksum(summed));
    return out;
}

Octets packet_of(const Way& way, std::uint8_t protocol, const Octets& segment) {
    Octets out;
    if (way.from.size() == 4) {
        out = {0x45, 0};
        put_u16(out, 20 + segment.size());
        put_u32(out, 0);  // identification, fragment
        out.push_back(kHops);
        out.push_back(protocol);
        put_u16(out, 0);
    } else {
        put_u32(out, 6U << 28U);
        put_u16(out, segment.size());
        out.push_back(protocol);
        out.push_back(kHops);
    }
    out.insert(out.end(), way.from.begin(), way.from.end());
    out.insert(out.end(), way.to.begin(), way.to.end());
    if (way.from.size() == 4) write_u16be(out.data() + 10, checksum(out));
    out.insert(out.end(), segment.begin(), segment.end());
    return out;
}

}  // namespace

std::string pcap_of(std::span<const Message> messages) {
    std::string out;
    put_u32le(out, kMagic);
    put_u32le(out, 2U | (4U << 16U));  // version 2.4
    put_u32le(out, 0);                 // time zone
    put_u32le(out, 0);                 // accuracy
    put_u32le(out, kSnapLength);
    put_u32le(out, kLinkTypeRaw);
    std::map<std::pair<sip::Endpoint, sip::Endpoint>, std::uint32_t> sent;  // octets of each direction of a stream
    for (const Message& message : messages) {
        const sip::Endpoint& from = message.sent ? message.local : message.remote;
        const sip::Endpoint& to = message.sent ? message.remote : message.local;
        auto from_octets = octets_of(from.address);
        auto to_octets = octets_of(to.address);
        if (!from_octets || !to_octets || from_octets->size() != to_octets->size()) continue;
        const Way way{std::move(*from_octets), std::move(*to_octets), from.port, to.port};
        const std::uint8_t protocol = from.transport == sip::Transport::udp ? kUdp : kTcp;
        auto& sequence = sent.try_emplace({from, to}, 1).first->second;
        const std::uint32_t acknowledged = sent.try_emplace({to, from}, 1).first->second;
        const auto text = std::string_view(message.text).substr(0, kTextBytesMax);
        const Octets packet = packet_of(way, protocol, segment_of(way, protocol, sequence, acknowledged, text));
        sequence += static_cast<std::uint32_t>(text.size());
        const std::int64_t ms = to_unix_ms(message.at);
        put_u32le(out, static_cast<std::uint32_t>(ms / 1'000));
        put_u32le(out, static_cast<std::uint32_t>(ms % 1'000 * 1'000));
        put_u32le(out, static_cast<std::uint32_t>(packet.size()));
        put_u32le(out, static_cast<std::uint32_t>(packet.size()));
        out.append(packet.begin(), packet.end());
    }
    return out;
}

}  // namespace sheaf::ladder
