// SPDX-License-Identifier: Apache-2.0
#include "sip/endpoint.h"

#include <arpa/inet.h>

#include <array>
#include <cstring>

#include "sip/grammar.h"

namespace sheaf::sip {
namespace {

using Address6 = std::array<std::uint8_t, 16>;
constexpr Address6 kOne = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
constexpr Address6 kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127};  // 127.x.x.x as IPv6: 13 bytes

// inet_pton wants a terminated string; anything longer than the longest literal is none.
template <typename Bytes>
bool read_address(int family, std::string_view text, Bytes& out) {
    std::array<char, INET6_ADDRSTRLEN> copy{};
    if (text.size() >= copy.size() || text.find('\0') != std::string_view::npos) return false;
    std::memcpy(copy.data(), text.data(), text.size());
    return inet_pton(family, copy.data(), out.data()) == 1;
}

}  // namespace

bool is_ip_literal(std::string_view host) {
    std::array<std::uint8_t, 4> four{};
    Address6 six{};
    return read_address(AF_INET, host, four) || read_address(AF_INET6, host, six);
}

bool is_loopback(std::string_view address) {
    std::array<std::uint8_t, 4> four{};
    if (read_address(AF_INET, address, four)) return four[0] == 127;
    Address6 six{};
    if (!read_address(AF_INET6, address, six)) return false;
    return six == kOne || std::memcmp(six.data(), kMapped.data(), 13) == 0;
}

std::string network_of(std::string_view address) {
    Address6 six{};
    if (!read_address(AF_INET6, address, six)) return std::string(address);
    const bool is_mapped = std::memcmp(six.data(), kMapped.data(), 12) == 0;
    return is_mapped ? std::string(address) : std::string(six.begin(), six.begin() + 8);
}

Result<Endpoint> endpoint_from_text(std::string_view text) {
    Endpoint out;
    const auto colon = text.find(':');
    const auto transport = lower(text.substr(0, colon));
    if (colon == std::string_view::npos || (transport != "udp" && transport != "tcp")) {
        return fail(Errc::malformed, "an endpoint is udp:ADDRESS:PORT or tcp:ADDRESS:PORT");
    }
    out.transport = transport == "udp" ? Transport::udp : Transport::tcp;
    const auto rest = text.substr(colon + 1);
    const auto last = rest.rfind(':');
    if (last == std::string_view::npos) return fail(Errc::malformed, "an endpoint needs a port");
    // Port 0 lets the system choose, so it is not host_port_from_text's grammar.
    const auto port = number_from_text(rest.substr(last + 1), 65'535);
    if (!port) return fail(Errc::malformed, "an endpoint's port is 0 to 65535");
    out.port = static_cast<std::uint16_t>(*port);
    TRY(out.address, host_from_text(rest.substr(0, last)));
    if (!is_ip_literal(out.address)) return fail(Errc::malformed, "an endpoint's address is an IP literal");
    return out;
}

std::string to_text(const Endpoint& endpoint) {
    return (endpoint.transport == Transport::udp ? "udp:" : "tcp:") + host_to_text(endpoint.address) + ":" +
           std::to_string(endpoint.port);
}

}  // namespace sheaf::sip
