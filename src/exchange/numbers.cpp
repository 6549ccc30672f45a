// SPDX-License-Identifier: Apache-2.0
#include "exchange/numbers.h"

#include "base/match.h"
#include "exchange/text.h"

namespace sheaf::exchange {
namespace {

// $0 to $9 stand for the match and its groups.
std::string filled_in(const std::string& pattern, const std::smatch& found) {
    std::string text;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        const bool group =
            pattern[i] == '$' && i + 1 < pattern.size() && pattern[i + 1] >= '0' && pattern[i + 1] <= '9';
        if (!group) {
            text += pattern[i];
            continue;
        }
        text += found[static_cast<std::size_t>(pattern[++i] - '0')].str();
    }
    return text;
}

}  // namespace

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
        try {
            if (colon == std::string::npos) throw std::regex_error(std::regex_constants::error_ctype);
            routes_.push_back({std::regex(route.match, std::regex::ECMAScript | std::regex::optimize),
                               route.to.substr(0, colon), route.to.substr(colon + 1), route.number});
        } catch (const std::regex_error&) {
            bad_routes_.push_back(route.match + " to " + route.to);
        }
    }
}

std::optional<Destination> NumberPlan::by_route(const Route& route, const std::string& number) const {
    std::smatch found;
    try {
        if (!std::regex_search(number, found, route.match)) return std::nullopt;
    } catch (const std::regex_error&) {  // its own limits of work: no match
        return std::nullopt;
    }
    std::string out = route.number.empty() ? number : filled_in(route.number, found);
    if (!is_id(out) || out.size() > kNumberMax) return std::nullopt;
    if (route.kind == "trunk") return ToTrunk{route.name, out};
    if (route.kind == "site") return ToSite{route.name, out};
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
