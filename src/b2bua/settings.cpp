// SPDX-License-Identifier: Apache-2.0
#include "b2bua/settings.h"

#include <algorithm>

#include "sip/grammar.h"

namespace sheaf::b2bua {

Result<sip::Endpoint> endpoint_of(const sip::Uri& uri) {
    if (uri.scheme != "sip") return fail(Errc::unsupported, "scheme " + uri.scheme);
    if (!sip::is_ip_literal(uri.host)) return fail(Errc::unsupported, "not a literal address: " + uri.host);
    sip::Endpoint endpoint{sip::Transport::udp, uri.host, uri.port == 0 ? std::uint16_t{5060} : uri.port};
    if (const auto transport = uri.params.value("transport")) {
        if (sip::same_name(*transport, "tcp")) {
            endpoint.transport = sip::Transport::tcp;
        } else if (!sip::same_name(*transport, "udp")) {
            return fail(Errc::unsupported, "transport " + *transport);
        }
    }
    return endpoint;
}

Result<PeerAddress> literal_address(const sip::Uri& uri) {
    TRY(auto at, endpoint_of(uri));
    return PeerAddress{uri, std::move(at)};
}

std::string to_text(const PeerAddress& address) {
    const bool is_literal = address.uri.host == address.at.address;
    return is_literal ? sip::to_text(address.uri) : sip::to_text(address.uri) + " at " + sip::to_text(address.at);
}

const TrunkPeer* trunk_named(const Settings& settings, std::string_view name) {
    const auto it = std::ranges::find(settings.trunks, name, &TrunkPeer::name);
    return it == settings.trunks.end() ? nullptr : &*it;
}

const SitePeer* site_named(const Settings& settings, std::string_view name) {
    const auto it = std::ranges::find(settings.sites, name, &SitePeer::name);
    return it == settings.sites.end() ? nullptr : &*it;
}

const AgentAccount* agent_with(const Settings& settings, std::string_view dn) {
    const auto it = std::ranges::lower_bound(settings.agents, dn, {}, &AgentAccount::dn);
    return it == settings.agents.end() || it->dn != dn ? nullptr : &*it;
}

std::string ruled(const TrunkPeer* trunk, NumberUse use, const std::string& number) {
    if (trunk == nullptr || number.size() > kRuledNumberMax) return number;
    for (const auto& rule : trunk->numbers) {
        if (rule.use != use) continue;
        if (const auto out = rule.rewrite.apply(number)) return sip::printable(*out, kRuledNumberMax);
    }
    return number;
}

}  // namespace sheaf::b2bua
