// SPDX-License-Identifier: Apache-2.0
#include "b2bua/nat.h"

#include <arpa/inet.h>

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "sip/sdp.h"
#include "sip/transaction.h"

namespace sheaf::b2bua {
namespace {

struct Network {
    std::uint32_t address;
    std::uint32_t mask;
};
constexpr std::array kPrivate{
    Network{0x0A000000, 0xFF000000},  // 10/8, RFC 1918
    Network{0xAC100000, 0xFFF00000},  // 172.16/12
    Network{0xC0A80000, 0xFFFF0000},  // 192.168/16
    Network{0x64400000, 0xFFC00000},  // 100.64/10, RFC 6598
    Network{0xA9FE0000, 0xFFFF0000},  // 169.254/16, RFC 3927
};

bool is_ipv6(const std::string& address) {
    return address.find(':') != std::string::npos;
}

bool is_private(const std::string& address) {
    std::array<std::uint8_t, 16> bytes{};
    if (inet_pton(AF_INET, address.c_str(), bytes.data()) == 1) {
        const std::uint32_t value = read_u32be(bytes.data());
        for (const Network& network : kPrivate) {
            if ((value & network.mask) == network.address) return true;
        }
        return false;
    }
    if (inet_pton(AF_INET6, address.c_str(), bytes.data()) != 1) return false;
    const bool is_local = (bytes[0] & 0xFEU) == 0xFC;                     // fc00::/7, RFC 4193
    return is_local || (bytes[0] == 0xFE && (bytes[1] & 0xC0U) == 0x80);  // fe80::/10, RFC 4291
}

}  // namespace

bool is_behind_nat(const sip::Message& request, const sip::Source& source) {
    if (request.list("Via").size() != 1) return false;
    const auto is_elsewhere = [&](const std::string& host) {
        return sip::is_ip_literal(host) && host != source.remote.address;
    };
    if (const auto via = sip::top_via(request)) {
        // RFC 3581 §3: who asks for rport listens where it sends from.
        const bool is_mapped = via->params.has("rport") && source.remote.transport == sip::Transport::udp &&
                               (via->port == 0 ? 5060 : via->port) != source.remote.port;
        if (is_elsewhere(via->host) || is_mapped) return true;
    }
    const auto contacts = request.list("Contact");
    const auto contact =
        contacts.empty() ? fail(Errc::not_found, "Contact") : sip::name_addr_from_text(contacts.front());
    return contact && is_elsewhere(contact->uri.host);
}

std::string with_reachable_address(const std::string& sdp, const std::string& address) {
    auto description = sip::sdp_from_text(sdp);
    if (!description) return sdp;
    bool is_changed = false;
    const auto mend = [&](std::optional<sip::Connection>& connection) {
        if (!connection || !is_private(connection->address) || is_ipv6(connection->address) != is_ipv6(address)) return;
        is_changed = is_changed || connection->address != address;
        connection->address = address;
    };
    mend(description->connection);
    for (auto& media : description->media) mend(media.connection);
    return is_changed ? sip::to_text(*description) : sdp;
}

}  // namespace sheaf::b2bua
