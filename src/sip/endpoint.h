// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sheaf::sip {

enum class Transport { udp, tcp };

// A transport address: a literal IPv4 or IPv6 (no brackets) and a port.
struct Endpoint {
    Transport transport = Transport::udp;
    std::string address;
    std::uint16_t port = 0;
    friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

// "udp:127.0.0.1:5060", "tcp:[::1]:5060", "udp:0.0.0.0:0".
[[nodiscard]] Result<Endpoint> endpoint_from_text(std::string_view text);
[[nodiscard]] std::string to_text(const Endpoint& endpoint);
[[nodiscard]] bool is_ip_literal(std::string_view host);
[[nodiscard]] bool is_loopback(std::string_view address);
// What stands for one sender: an IPv4 address as it is; of an IPv6 one the first 64 bits, for whoever has one of them
// has them all. What is no address: as it is.
[[nodiscard]] std::string network_of(std::string_view address);

}  // namespace sheaf::sip
