// SPDX-License-Identifier: Apache-2.0
#include "apps/media/worker_outbox.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "base/assert.h"

namespace sheaf::media_role {

net::SocketAddress to_socket(const media::Address& address) {
    net::SocketAddress out;
    if (address.is_v6) {
        sockaddr_in6 six{};
        six.sin6_family = AF_INET6;
        six.sin6_port = htons(address.port);
        std::memcpy(&six.sin6_addr, address.ip.data(), 16);
        std::memcpy(out.data(), &six, sizeof(six));
    } else {
        sockaddr_in four{};
        four.sin_family = AF_INET;
        four.sin_port = htons(address.port);
        std::memcpy(&four.sin_addr, address.ip.data(), 4);
        std::memcpy(out.data(), &four, sizeof(four));
    }
    return out;
}

media::Address from_socket(const net::SocketAddress& address) {
    media::Address out;
    out.port = address.port();
    if (address.family() == AF_INET6) {
        sockaddr_in6 six{};
        std::memcpy(&six, address.data(), sizeof(six));
        std::memcpy(out.ip.data(), &six.sin6_addr, 16);
        out.is_v6 = true;
    } else if (address.family() == AF_INET) {
        sockaddr_in four{};
        std::memcpy(&four, address.data(), sizeof(four));
        std::memcpy(out.ip.data(), &four.sin_addr, 4);
    }
    return out;
}

Outbox::Outbox() : room_(kPackets * rtp::kPacketBytesMax) {
    failed_.reserve(kPackets);
}

void Outbox::add(media::LegSlot slot, Sockets sockets) {
    if (slot >= sockets_.size()) sockets_.resize(slot + 1);
    sockets_[slot] = std::move(sockets);
}

void Outbox::remove(media::LegSlot slot) {
    flush();
    sockets_[slot].rtp = net::UdpSocket{};
    sockets_[slot].rtcp = net::UdpSocket{};
}

void Outbox::put(media::LegSlot leg, bool is_rtcp, const media::Address& to, Bytes packet) {
    ASSERT(packet.size() <= rtp::kPacketBytesMax);
    if (count_ == kPackets) flush();
    std::uint8_t* const room = room_.data() + count_ * rtp::kPacketBytesMax;
    std::copy(packet.begin(), packet.end(), room);
    items_[count_] = {leg, is_rtcp};
    packets_[count_] = {.to = to_socket(to), .payload = Bytes{room, packet.size()}};
    ++count_;
}

void Outbox::flush() {
    std::size_t from = 0;
    while (from < count_) {
        std::size_t to = from + 1;
        while (to < count_ && items_[to].slot == items_[from].slot && items_[to].is_rtcp == items_[from].is_rtcp) ++to;
        Sockets& sockets = sockets_[items_[from].slot];
        net::UdpSocket& socket = items_[from].is_rtcp ? sockets.rtcp : sockets.rtp;
        failed_.clear();
        const std::size_t taken = socket.send(std::span(packets_).subspan(from, to - from), &failed_);
        // What the kernel has no room for is late audio by the time it has: it is not tried again.
        sent_ += taken - failed_.size();
        not_sent_ += to - from - taken + failed_.size();
        from = to;
    }
    count_ = 0;
}

}  // namespace sheaf::media_role
