// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/rewrite.h"
#include "exchange/exchange.h"

// What a dialled number means at this site, and who may dial it.
namespace sheaf::exchange {

inline constexpr std::size_t kNumberMax = 64;  // a longer one means nothing: bounds what a route's expression reads

struct ToAgent {
    std::string dn;
    friend bool operator==(const ToAgent&, const ToAgent&) = default;
};
struct ToRoutingPoint {
    std::string dn;
    friend bool operator==(const ToRoutingPoint&, const ToRoutingPoint&) = default;
};
struct ToSite {
    std::string site, number;
    friend bool operator==(const ToSite&, const ToSite&) = default;
};
struct ToTrunk {
    std::string trunk, number;
    friend bool operator==(const ToTrunk&, const ToTrunk&) = default;
};
using Destination = std::variant<ToAgent, ToRoutingPoint, ToSite, ToTrunk>;

class NumberPlan {
public:
    NumberPlan() = default;
    explicit NumberPlan(const SiteSettings& settings);

    // In this order: an agent's or routing point's dn, a routing point's number, the longest prefix of a peer site,
    // the first route whose expression is found in the number.
    [[nodiscard]] std::optional<Destination> destination_of(std::string_view number) const;
    [[nodiscard]] const std::vector<std::string>& bad_routes() const { return bad_routes_; }  // not taken

private:
    struct Route {
        Rewrite rewrite;
        std::string kind, name;
    };
    [[nodiscard]] std::optional<Destination> by_route(const Route& route, const std::string& number) const;

    std::map<std::string, Destination, std::less<>> exact_;
    std::map<std::string, std::string, std::less<>> prefixes_;  // → site
    std::vector<Route> routes_;
    std::vector<std::string> bad_routes_;
};

// Strangers reach routing points only; trunks agents, routing points and sites, never a trunk; a site never itself.
[[nodiscard]] bool may_call(const Device& from, const Destination& to);
// "agent:DN", "routing_point:DN", either with "@SITE" behind, or "trunk:NUMBER@NAME".
[[nodiscard]] std::optional<Destination> target_from_text(std::string_view text, std::string_view own_site);
[[nodiscard]] std::string to_text(const Destination& to);  // "2001@paris", "8000", "trunk carrier"

}  // namespace sheaf::exchange
