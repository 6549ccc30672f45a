// SPDX-License-Identifier: Apache-2.0
#include "edge/net/socket_address.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <system_error>

#include "base/text.h"

namespace sheaf::net {

static_assert(offsetof(sockaddr_in6, sin6_port) == offsetof(sockaddr_in, sin_port));
static_assert(sizeof(sockaddr_in) <= sizeof(sockaddr_in6));

Result<SocketAddress> SocketAddress::from_text(const std::string& address, std::uint16_t port) {
    SocketAddress out;
    sockaddr_in four{};
    if (inet_pton(AF_INET, address.c_str(), &four.sin_addr) == 1) {
        four.sin_family = AF_INET;
        std::memcpy(&out.storage_, &four, sizeof(four));
    } else if (inet_pton(AF_INET6, address.c_str(), &out.storage_.sin6_addr) == 1) {
        out.storage_.sin6_family = AF_INET6;
    } else {
        return fail(Errc::malformed, "'" + address + "' is not an IP address");
    }
    out.storage_.sin6_port = htons(port);
    return out;
}

Result<SocketAddress> SocketAddress::of_socket(int fd) {
    SocketAddress out;
    socklen_t size = kSizeMax;
    if (getsockname(fd, out.data(), &size) != 0) return fail(Errc::io, std::generic_category().message(errno));
    return out;
}

std::string SocketAddress::address() const {
    if (family() == AF_INET) {  // of every datagram: inet_ntop's printf costs ten times as much
        sockaddr_in four{};
        std::memcpy(&four, &storage_, sizeof(four));
        std::string text;
        for (int shift = 24; shift >= 0; shift -= 8) {
            append_number(text, ntohl(four.sin_addr.s_addr) >> shift & 0xff);
            if (shift > 0) text += '.';
        }
        return text;
    }
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (family() == AF_INET6) inet_ntop(AF_INET6, &storage_.sin6_addr, text.data(), text.size());
    return text.data();
}

std::uint16_t SocketAddress::port() const {
    return ntohs(storage_.sin6_port);
}
sockaddr* SocketAddress::data() {
    return reinterpret_cast<sockaddr*>(&storage_);
}
const sockaddr* SocketAddress::data() const {
    return reinterpret_cast<const sockaddr*>(&storage_);
}
socklen_t SocketAddress::size() const {
    return family() == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
}

bool operator==(const SocketAddress& a, const SocketAddress& b) {
    if (a.family() != b.family() || a.storage_.sin6_port != b.storage_.sin6_port) return false;
    if (a.family() == AF_INET) {
        sockaddr_in four_a{};
        sockaddr_in four_b{};
        std::memcpy(&four_a, &a.storage_, sizeof(four_a));
        std::memcpy(&four_b, &b.storage_, sizeof(four_b));
        return four_a.sin_addr.s_addr == four_b.sin_addr.s_addr;
    }
    return std::memcmp(&a.storage_.sin6_addr, &b.storage_.sin6_addr, sizeof(in6_addr)) == 0;
}

}  // namespace sheaf::net
