// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <string>

#include "base/result.h"

namespace sheaf::net {

// An IPv4 or IPv6 address and port in the kernel's form: a small value, cheap to compare per packet.
class SocketAddress {
public:
    SocketAddress() = default;  // no address; family AF_UNSPEC
    // Literal addresses only, IPv6 without brackets. Errc::malformed otherwise.
    [[nodiscard]] static Result<SocketAddress> from_text(const std::string& address, std::uint16_t port);
    // What a socket is bound to.
    [[nodiscard]] static Result<SocketAddress> of_socket(int fd);

    [[nodiscard]] std::string address() const;
    [[nodiscard]] std::uint16_t port() const;  // host order
    [[nodiscard]] int family() const { return storage_.sin6_family; }

    // For system calls.
    [[nodiscard]] sockaddr* data();
    [[nodiscard]] const sockaddr* data() const;
    [[nodiscard]] socklen_t size() const;
    static constexpr socklen_t kSizeMax = sizeof(sockaddr_in6);

    friend bool operator==(const SocketAddress& a, const SocketAddress& b);

private:
    sockaddr_in6 storage_{};  // large enough for sockaddr_in, which starts with the same family and port
};

}  // namespace sheaf::net
