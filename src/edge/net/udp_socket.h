// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "edge/net/socket_address.h"

// Raw UDP sockets for media (and for SIP's own use): batches in and out, no event loop. One owner, one thread a socket.
namespace sheaf::net {

struct UdpReceived {
    SocketAddress from;
    Bytes payload;                // in the batch, until its next use
    std::chrono::nanoseconds at;  // the kernel's receive time since 1970 (CLOCK_REALTIME); zero without timestamps
    bool truncated = false;       // longer than the batch's packets
};
struct UdpToSend {
    SocketAddress to;
    Bytes payload;
};

// Room for packets to be received into; may serve many sockets in turn. Allocates once.
class UdpBatch {
public:
    UdpBatch(std::size_t packets, std::size_t bytes_each);

private:
    friend class UdpSocket;
    struct Control {
        alignas(cmsghdr) std::byte bytes[CMSG_SPACE(sizeof(timespec))];
    };
    std::size_t bytes_each_;
    std::unique_ptr<std::uint8_t[]> room_;
    std::vector<SocketAddress> from_;
    std::vector<Control> control_;
    std::vector<iovec> vectors_;
    std::vector<mmsghdr> headers_;
    std::vector<UdpReceived> received_;
};

struct UdpSocketOptions {
    int receive_buffer_bytes = 256 * 1024;  // SO_RCVBUF; the kernel may give less (net.core.rmem_max)
    bool timestamps = true;                 // SO_TIMESTAMPNS
};

class UdpSocket {
public:
    // Non-blocking. Port 0: any. Errc::conflict: the port is taken; Errc::io: anything else.
    [[nodiscard]] static Result<UdpSocket> bind(const SocketAddress& at, const UdpSocketOptions& options = {});
    // Takes over a socket that bind() made and release() gave away.
    [[nodiscard]] static Result<UdpSocket> adopt(int fd);
    UdpSocket() = default;  // no socket
    ~UdpSocket();
    UdpSocket(UdpSocket&& other) noexcept;
    UdpSocket& operator=(UdpSocket&& other) noexcept;

    [[nodiscard]] int fd() const { return fd_; }  // -1: none
    [[nodiscard]] int release();                  // the caller closes it
    [[nodiscard]] const SocketAddress& local() const { return local_; }

    // What has come, at most one batch; empty: nothing waits. Errors of earlier sends (ICMP) are skipped.
    [[nodiscard]] std::span<const UdpReceived> receive(UdpBatch& batch);
    // How many the kernel took, in order. Fewer than given: its buffer is full, try the rest later. A packet it refuses
    // for good (no route, too long) counts as taken and is reported in `failed` by its index.
    std::size_t send(std::span<const UdpToSend> packets, std::vector<std::size_t>* failed = nullptr);

private:
    int fd_ = -1;
    SocketAddress local_;
};

// An even RTP port and the odd RTCP port above it (RFC 3550 §11).
struct RtpPair {
    UdpSocket rtp;
    UdpSocket rtcp;
};

// Hands out pairs within [first, last] of one address, going round so that a port just freed is used again last. The
// kernel knows what is in use: closing the sockets gives the pair back.
class RtpPorts {
public:
    RtpPorts(std::string address, std::uint16_t first, std::uint16_t last);
    // Errc::exhausted: every pair of the range is taken.
    [[nodiscard]] Result<RtpPair> allocate(const UdpSocketOptions& options = {});

private:
    std::string address_;
    std::uint32_t first_;  // even
    std::uint32_t pairs_;
    std::uint32_t next_ = 0;
};

}  // namespace sheaf::net
