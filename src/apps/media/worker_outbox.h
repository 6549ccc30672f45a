// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "edge/net/udp_socket.h"
#include "media/engine.h"
#include "rtp/packet.h"

namespace sheaf::media_role {

[[nodiscard]] net::SocketAddress to_socket(const media::Address& address);
[[nodiscard]] media::Address from_socket(const net::SocketAddress& address);

// The legs' sockets, and the packets that leave by them: gathered while a batch of input is worked off, then given to
// the kernel socket by socket. The worker's thread only; nothing allocates but add().
class Outbox final : public media::PacketSink {
public:
    struct Sockets {
        net::UdpSocket rtp;
        net::UdpSocket rtcp;
    };
    Outbox();

    void add(media::LegSlot slot, Sockets sockets);
    [[nodiscard]] Sockets& sockets(media::LegSlot slot) { return sockets_[slot]; }
    // Closes the leg's sockets; what they were to send is sent first.
    void remove(media::LegSlot slot);

    void send_rtp(media::LegSlot leg, const media::Address& to, Bytes packet) override { put(leg, false, to, packet); }
    void send_rtcp(media::LegSlot leg, const media::Address& to, Bytes packet) override { put(leg, true, to, packet); }
    void flush();

    [[nodiscard]] std::uint64_t sent() const { return sent_; }
    [[nodiscard]] std::uint64_t not_sent() const { return not_sent_; }

private:
    static constexpr std::size_t kPackets = 64;
    struct Item {
        media::LegSlot slot = 0;
        bool is_rtcp = false;
    };
    void put(media::LegSlot leg, bool is_rtcp, const media::Address& to, Bytes packet);

    std::vector<Sockets> sockets_;  // by slot
    std::vector<std::uint8_t> room_;
    std::array<Item, kPackets> items_{};
    std::array<net::UdpToSend, kPackets> packets_{};
    std::size_t count_ = 0;
    std::vector<std::size_t> failed_;
    std::uint64_t sent_ = 0;
    std::uint64_t not_sent_ = 0;
};

}  // namespace sheaf::media_role
