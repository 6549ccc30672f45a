// SPDX-License-Identifier: Apache-2.0
#include "exchange/numbers.h"

#include "base/match.h"
#include "exchange/text.h"

namespace sheaf::exchange {
NumberPlan::NumberPlan(const SiteSettings& settings) {
    for (const AgentSettings& agent : settings.agents) exact_.emplace(agent.dn, ToAgent{agent.dn});
    for (const RoutingPointSettings& point : settings.routing_points) {
        exact_.emplace(point.dn, ToRoutingPoint{point.dn});
        for (const std::string& number : point.numbers) exact_.emplace(number, ToRoutingPoint{point.dn});
    }
    for (const PeerSettings& peer : settings.peers)
        if (!peer.prefix.empty()) prefixes_.emplace(peer.prefix, peer.name);
    for (const RouteSettings& route : settings.routes) {
        const std::size_t colon = route.to.find(':');
        auto rewrite = Rewrite::from_text(route.match, route.number);
        if (rewrite && colon != std::string::npos) {
            routes_.push_back({*std::move(rewrite), route.to.substr(0, colon), route.to.substr(colon + 1)});
        } else {
            bad_routes_.push_back(route.match + " to " + route.to);
        }
    }
}

std::optional<Destination> NumberPlan::by_route(const Route& route, const std::string& number) const {
    const auto out = route.rewrite.apply(number);
    if (!out || !is_id(*out) || out->size() > kNumberMax) return std::nullopt;
    if (route.kind == "trunk") return ToTrunk{route.name, *out};
    if (route.kind == "site") return ToSite{route.name, *out};
    if (route.kind == "agent") return ToAgent{route.name};
    if (route.kind == "routing_point") return ToRoutingPoint{route.name};
    return std::nullopt;
}

std::optional<Destination> NumberPlan::destination_of(std::string_view number) const {
    if (!is_id(number) || number.size() > kNumberMax) return std::nullopt;
    if (const auto found = exact_.find(number); found != exact_.end()) return found->second;
    for (std::size_t length = number.size(); length > 0; --length)
        if (const auto found = prefixes_.find(number.substr(0, length)); found != prefixes_.end())
            return ToSite{found->second, std::string(number)};
    const std::string text(number);
    for (const Route& route : routes_)
        if (auto found = by_route(route, text)) return found;
    return std::nullopt;
}

bool may_call(const Device& from, const Destination& to) {
    switch (from.kind) {
        case DeviceKind::agent: return true;
        case DeviceKind::trunk: return !std::holds_alternative<ToTrunk>(to);
        case DeviceKind::site: {
            const auto* site = std::get_if<ToSite>(&to);
            return !site || site->site != from.name;
        }
        case DeviceKind::stranger: return std::holds_alternative<ToRoutingPoint>(to);
        case DeviceKind::media: return false;
    }
    return false;
}

std::optional<Destination> target_from_text(std::string_view text, std::string_view own_site) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const std::string_view kind = text.substr(0, colon);
    const std::size_t at = text.find('@', colon);
    const std::string number(text.substr(colon + 1, at == std::string_view::npos ? at : at - colon - 1));
    const std::string where(at == std::string_view::npos ? std::string_view{} : text.substr(at + 1));
    if (!is_id(number) || number.size() > kNumberMax) return std::nullopt;
    if (kind == "trunk" && !where.empty()) return ToTrunk{where, number};
    if (kind != "agent" && kind != "routing_point") return std::nullopt;
    if (!where.empty() && where != own_site) return ToSite{where, number};
    if (kind == "agent") return ToAgent{number};
    return ToRoutingPoint{number};
}

std::string to_text(const Destination& to) {
    return std::visit(Match{
                          [](const ToAgent& agent) { return agent.dn; },
                          [](const ToRoutingPoint& point) { return point.dn; },
                          [](const ToSite& site) { return site.number + "@" + site.site; },
                          [](const ToTrunk& trunk) { return trunk.number + " by trunk " + trunk.trunk; },
                      },
                      to);
}

}  // namespace sheaf::exchange
