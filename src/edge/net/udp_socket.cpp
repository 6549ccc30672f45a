// SPDX-License-Identifier: Apache-2.0
#include "edge/net/udp_socket.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <system_error>
#include <utility>

namespace sheaf::net {
namespace {

constexpr std::size_t kSendBatch = 64;  // datagrams in one sendmmsg

std::chrono::nanoseconds receive_time(msghdr& header) {
    for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item)) {
        if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SO_TIMESTAMPNS) continue;
        timespec at{};
        std::memcpy(&at, CMSG_DATA(item), sizeof(at));
        return std::chrono::seconds{at.tv_sec} + std::chrono::nanoseconds{at.tv_nsec};
    }
    return std::chrono::nanoseconds::zero();
}

bool is_full(int error) {
    return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS;
}

}  // namespace

UdpBatch::UdpBatch(std::size_t packets, std::size_t bytes_each)
    : bytes_each_(bytes_each),
      room_(std::make_unique_for_overwrite<std::uint8_t[]>(packets * bytes_each)),
      from_(packets),
      control_(packets),
      vectors_(packets),
      headers_(packets) {
    received_.reserve(packets);
    for (std::size_t i = 0; i < packets; ++i) vectors_[i] = {room_.get() + i * bytes_each, bytes_each};
}

Result<UdpSocket> UdpSocket::bind(const SocketAddress& at, const UdpSocketOptions& options) {
    UdpSocket out;
    out.fd_ = ::socket(at.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (out.fd_ < 0)
        return fail(Errc::io, std::string("cannot open a UDP socket: ") + std::generic_category().message(errno));
    const int on = 1;
    if (at.family() == AF_INET6) setsockopt(out.fd_, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (options.timestamps) setsockopt(out.fd_, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
    setsockopt(out.fd_, SOL_SOCKET, SO_RCVBUF, &options.receive_buffer_bytes, sizeof(options.receive_buffer_bytes));
    if (::bind(out.fd_, at.data(), at.size()) != 0) {
        const Errc code = errno == EADDRINUSE ? Errc::conflict : Errc::io;
        return fail(code, "cannot bind udp " + at.address() + " port " + std::to_string(at.port()) + ": " +
                              std::generic_category().message(errno));
    }
    TRY(out.local_, SocketAddress::of_socket(out.fd_));
    return out;
}

Result<UdpSocket> UdpSocket::adopt(int fd) {
    UdpSocket out;
    out.fd_ = fd;
    TRY(out.local_, SocketAddress::of_socket(fd));
    return out;
}

UdpSocket::~UdpSocket() {
    if (fd_ >= 0) ::close(fd_);
}
UdpSocket::UdpSocket(UdpSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)), local_(other.local_) {}
UdpSocket& UdpSocket::operator=(UdpSocket&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(local_, other.local_);
    return *this;
}
int UdpSocket::release() {
    return std::exchange(fd_, -1);
}

std::span<const UdpReceived> UdpSocket::receive(UdpBatch& batch) {
    batch.received_.clear();
    for (std::size_t i = 0; i < batch.headers_.size(); ++i) {
        msghdr& header = batch.headers_[i].msg_hdr;
        header.msg_name = batch.from_[i].data();
        header.msg_namelen = SocketAddress::kSizeMax;
        header.msg_iov = &batch.vectors_[i];
        header.msg_iovlen = 1;
        header.msg_control = batch.control_[i].bytes;
        header.msg_controllen = sizeof(batch.control_[i].bytes);
        header.msg_flags = 0;
    }
    int count = -1;
    for (int tries = 0; count < 0 && tries < 16; ++tries) {  // each reports one pending error or interruption
        count =
            ::recvmmsg(fd_, batch.headers_.data(), static_cast<unsigned>(batch.headers_.size()), MSG_DONTWAIT, nullptr);
        if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EBADF)) break;
    }
    for (std::size_t i = 0; std::cmp_less(i, count); ++i) {
        msghdr& header = batch.headers_[i].msg_hdr;
        const std::size_t length = std::min<std::size_t>(batch.headers_[i].msg_len, batch.bytes_each_);
        batch.received_.push_back({.from = batch.from_[i],
                                   .payload = {static_cast<const std::uint8_t*>(batch.vectors_[i].iov_base), length},
                                   .at = receive_time(header),
                                   .truncated = (header.msg_flags & MSG_TRUNC) != 0});
    }
    return batch.received_;
}

std::size_t UdpSocket::send(std::span<const UdpToSend> packets, std::vector<std::size_t>* failed) {
    std::array<mmsghdr, kSendBatch> headers;
    std::array<iovec, kSendBatch> vectors;
    std::array<SocketAddress, kSendBatch> to;
    std::size_t taken = 0;
    while (taken < packets.size()) {
        const std::size_t batch = std::min(kSendBatch, packets.size() - taken);
        for (std::size_t i = 0; i < batch; ++i) {
            const UdpToSend& packet = packets[taken + i];
            to[i] = packet.to;
            // The kernel only reads it; iovec has no const.
            vectors[i] = {const_cast<std::uint8_t*>(packet.payload.data()), packet.payload.size()};
            headers[i] = {};
            headers[i].msg_hdr.msg_name = to[i].data();
            headers[i].msg_hdr.msg_namelen = to[i].size();
            headers[i].msg_hdr.msg_iov = &vectors[i];
            headers[i].msg_hdr.msg_iovlen = 1;
        }
        const int count = ::sendmmsg(fd_, headers.data(), static_cast<unsigned>(batch), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count > 0) {
            taken += static_cast<std::size_t>(count);
        } else if (errno == EINTR) {
            continue;
        } else if (is_full(errno)) {
            break;
        } else {
            if (failed != nullptr) failed->push_back(taken);
            ++taken;
        }
    }
    return taken;
}

RtpPorts::RtpPorts(std::string address, std::uint16_t first, std::uint16_t last)
    : address_(std::move(address)), first_((first + 1U) & ~1U), pairs_(last > first_ ? (last + 1U - first_) / 2 : 0) {}

Result<RtpPair> RtpPorts::allocate(const UdpSocketOptions& options) {
    for (std::uint32_t tried = 0; tried < pairs_; ++tried) {
        const auto port = static_cast<std::uint16_t>(first_ + 2 * next_);
        next_ = (next_ + 1) % pairs_;
        TRY(const auto rtp_at, SocketAddress::from_text(address_, port));
        TRY(const auto rtcp_at, SocketAddress::from_text(address_, static_cast<std::uint16_t>(port + 1)));
        auto rtp = UdpSocket::bind(rtp_at, options);
        if (!rtp && rtp.error().code == Errc::conflict) continue;
        if (!rtp) return std::unexpected(rtp.error());
        auto rtcp = UdpSocket::bind(rtcp_at, options);
        if (!rtcp && rtcp.error().code == Errc::conflict) continue;
        if (!rtcp) return std::unexpected(rtcp.error());
        return RtpPair{std::move(*rtp), std::move(*rtcp)};
    }
    return fail(Errc::exhausted, "no free RTP port at " + address_);
}

}  // namespace sheaf::net
