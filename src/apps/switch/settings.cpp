// SPDX-License-Identifier: Apache-2.0
#include "apps/switch/settings.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>

#include "sip/locate.h"

namespace sheaf::apps {
namespace {

exchange::Record record_of(const config::RecordRule& rule) {
    switch (rule.when) {
        case config::RecordWhen::never: return {exchange::RecordPolicy::never, 0};
        case config::RecordWhen::always: return {exchange::RecordPolicy::always, 0};
        case config::RecordWhen::on_demand: return {exchange::RecordPolicy::on_demand, 0};
        case config::RecordWhen::percent: return {exchange::RecordPolicy::percentage, rule.percent};
    }
    return {};
}

exchange::ConsentSettings consent_of(const config::ConsentRule& rule) {
    const auto to = rule.to == config::ConsentTo::both    ? exchange::ConsentTo::both
                    : rule.to == config::ConsentTo::agent ? exchange::ConsentTo::agent
                                                          : exchange::ConsentTo::customer;
    return {rule.announcement, to, rule.tone_ms, rule.required};
}

exchange::RoutingPointSettings routing_point_of(const config::RoutingPointSettings& point) {
    exchange::RoutingPointSettings out;
    out.dn = point.dn;
    out.numbers = point.numbers;
    out.treatment = point.treatment;
    out.targets = point.targets;
    out.record = record_of(point.record);
    out.consent = consent_of(point.consent);
    out.queue_max = static_cast<std::size_t>(point.queue_max);
    out.overflow = point.overflow;
    out.overflow_after_ms = point.overflow_after_ms;
    out.position_ms = point.position_ms;
    out.menu.announcement = point.menu.announcement;
    out.menu.invalid = point.menu.invalid;
    for (const auto& [digit, target] : point.menu.choices) out.menu.choices.push_back({digit, target});
    out.menu.otherwise = point.menu.otherwise;
    out.menu.timeout_ms = point.menu.timeout_ms;
    out.menu.repeats = point.menu.repeats;
    return out;
}

// Of a URI with a name: each address that it leads to, with the name.
Result<std::vector<b2bua::PeerAddress>> addresses_of(const std::string& text, const WhereIs& where_is) {
    TRY(auto uri, sip::uri_from_text(text));
    std::vector<b2bua::PeerAddress> out;
    if (!sip::is_ip_literal(uri.host)) {
        for (auto& endpoint : where_is(text)) out.push_back({uri, std::move(endpoint)});
        return out;
    }
    boost::system::error_code error;
    const auto address = boost::asio::ip::make_address(uri.host, error);
    if (!error) uri.host = address.to_string();  // as peers' addresses are written
    auto literal = b2bua::literal_address(uri);
    if (!literal) return fail(Errc::malformed, text + ": " + literal.error().what);
    out.push_back(std::move(*literal));
    return out;
}

Result<std::optional<b2bua::PeerAddress>> address_of(const std::string& text, const WhereIs& where_is) {
    TRY(auto addresses, addresses_of(text, where_is));
    return addresses.empty() ? std::nullopt : std::optional{std::move(addresses.front())};
}

// Each name stands for what it leads to, in its place.
Result<std::vector<b2bua::PeerAddress>> addresses_of(const config::TrunkSettings& trunk, const WhereIs& where_is) {
    std::vector<b2bua::PeerAddress> out;
    for (const auto& text : trunk.addresses) {
        TRY(auto addresses, addresses_of(text, where_is));
        for (auto& address : addresses) {
            const bool is_known = std::ranges::find(out, address.at, &b2bua::PeerAddress::at) != out.end();
            if (!is_known && out.size() < sip::kAddressesMax) out.push_back(std::move(address));
        }
    }
    return out;
}

Result<std::vector<b2bua::NumberRule>> rules_of(const config::SwitchSettings& settings, const std::string& trunk) {
    using Use = b2bua::NumberUse;
    std::vector<b2bua::NumberRule> out;
    for (const auto& rule : settings.numbers) {
        if (rule.trunk != trunk) continue;
        const auto use = rule.of == "called-in"    ? Use::called_in
                         : rule.of == "calling-in" ? Use::calling_in
                         : rule.of == "called-out" ? Use::called_out
                                                   : Use::calling_out;
        TRY(auto rewrite, Rewrite::from_text(rule.match, rule.number));
        out.push_back({use, std::move(rewrite)});
    }
    return out;
}

}  // namespace

exchange::SiteSettings exchange_settings(const config::SwitchSettings& settings) {
    exchange::SiteSettings out;
    out.site = settings.node.site;
    out.node = settings.node.name;
    out.record_consult = settings.record_consult;
    out.record_hold = settings.record_hold;
    out.leave_conference = settings.leave_conference;
    out.ready_on_register = settings.ready_on_register;
    out.wrap_up_ms = settings.wrap_up_ms;
    out.ring_timeout_ms = settings.ring_timeout_ms;
    out.direct_media = settings.direct_media;
    out.ready_after_no_answer = settings.ready_after_no_answer;
    out.codes = {settings.ready_code, settings.not_ready_code, settings.wrap_up_done_code};
    for (const auto& agent : settings.agents) {
        out.agents.push_back(
            {agent.dn, agent.name, record_of(agent.record), agent.auto_answer, consent_of(agent.consent)});
    }
    for (const auto& trunk : settings.trunks) {
        out.trunks.push_back({trunk.name, trunk.refer, record_of(trunk.record), consent_of(trunk.consent)});
    }
    for (const auto& site : settings.sites) {
        out.peers.push_back({site.name, site.prefix, site.return_transfers, site.record_duplicate});
    }
    for (const auto& point : settings.routing_points) out.routing_points.push_back(routing_point_of(point));
    for (const auto& route : settings.routes) out.routes.push_back({route.match, route.to, route.number});
    return out;
}

std::set<std::string> named_uris(const config::SwitchSettings& settings) {
    std::set<std::string> out;
    const auto note = [&](const std::string& text) {
        const auto uri = sip::uri_from_text(text);
        if (uri && !sip::is_ip_literal(uri->host)) out.insert(text);
    };
    std::ranges::for_each(settings.media, note);
    for (const auto& trunk : settings.trunks) std::ranges::for_each(trunk.addresses, note);
    for (const auto& site : settings.sites) note(site.address);
    return out;
}

Result<b2bua::Settings> b2bua_settings(const config::SwitchSettings& settings, const std::string& host,
                                       const WhereIs& where_is) {
    b2bua::Settings out;
    out.site = settings.node.site;
    out.node = settings.node.name;
    out.host = host;
    out.nat = settings.nat;
    out.ask_every = std::chrono::milliseconds{settings.options_ms};
    out.stranger_calls_max = static_cast<std::size_t>(settings.limits.stranger_calls);
    out.strangers_calls_max = static_cast<std::size_t>(settings.limits.strangers_calls);
    for (const auto& text : settings.media) {
        TRY(auto address, address_of(text, where_is));
        out.media.push_back(std::move(address));
    }
    for (const auto& trunk : settings.trunks) {
        b2bua::TrunkPeer peer{.name = trunk.name,
                              .addresses = {},
                              .account = std::nullopt,
                              .registers = trunk.registers,
                              .trusted = trunk.trusted,
                              .calls_max = static_cast<std::size_t>(trunk.calls_max)};
        TRY(peer.addresses, addresses_of(trunk, where_is));
        TRY(peer.numbers, rules_of(settings, trunk.name));
        if (!trunk.user.empty()) peer.account = sip::Account{trunk.user, trunk.password};
        out.trunks.push_back(std::move(peer));
    }
    for (const auto& site : settings.sites) {
        TRY(auto address, address_of(site.address, where_is));
        out.sites.push_back({site.name, std::move(address), site.secret});
    }
    for (const auto& agent : settings.agents) out.agents.push_back({agent.dn, agent.password});
    return out;
}

sip::Shares shares_of(const config::LimitSettings& limits) {
    sip::Shares out;
    out.stranger = limits.stranger_messages;
    out.strangers = limits.strangers_messages;
    out.caller = limits.caller_messages;
    out.peer = limits.peer_messages;
    return out;
}

}  // namespace sheaf::apps
