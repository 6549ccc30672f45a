// SPDX-License-Identifier: Apache-2.0
#include "sim/town_plan.h"

#include <fmt/format.h>

namespace sheaf::sim {
namespace {

using exchange::RecordPolicy;

b2bua::PeerAddress peer_at(const std::string& address) {
    sip::Uri uri;
    uri.host = address;
    uri.port = 5060;
    return {std::move(uri), {sip::Transport::udp, address, 5060}};
}

std::vector<std::string> agents_at(const std::string& here, const std::vector<int>& sites) {
    std::vector<std::string> targets;
    for (const int site : sites)
        for (int nth = 0; nth < kAgentsOfSite; ++nth) {
            const std::string& name = kSites[static_cast<std::size_t>(site)];
            targets.push_back("agent:" + dn_of(site, nth) + (name == here ? "" : "@" + name));
        }
    return targets;
}

// Of those who are recorded, three have it said, each in another way.
exchange::ConsentSettings consent_of(int nth) {
    switch (nth % 7) {
        case 2: return {{"say:recorded"}, exchange::ConsentTo::customer, 10'000, false};
        case 3: return {{"say:recorded"}, exchange::ConsentTo::both, 0, true};
        case 4: return {{}, exchange::ConsentTo::agent, 7'000, false};
        default: return {};
    }
}

exchange::MenuSettings menu() {
    return {{"say:menu"}, {"say:menu"}, {{"1", "agent:1001"}, {"2", "routing_point:1800"}, {"3", "queue"}},
            {},           3'000,        1};
}

}  // namespace

std::string switch_address(int site) {
    return fmt::format("10.{}.0.1", site + 1);
}
std::string media_address(int site) {
    return fmt::format("10.{}.0.2", site + 1);
}
std::string phone_address(int site, int nth) {
    return fmt::format("10.{}.1.{}", site + 1, nth + 1);
}
std::string dn_of(int site, int nth) {
    return fmt::format("{}00{}", site + 1, nth + 1);
}
bool is_recorded(int nth) {
    return nth % 7 != 5;
}
bool is_auto_answer(int nth) {
    return nth % 7 == 6;
}

bool records_consults(int site) {
    return site == 1;
}

Switch::Settings settings_of(int index) {
    const std::string& site = kSites[static_cast<std::size_t>(index)];
    const bool is_hub = site == "hub";
    Switch::Settings out;
    auto& exchange = out.exchange;
    exchange.site = site;
    exchange.node = site + "-1";
    exchange.wrap_up_ms = index == 0 ? 2'000 : 0;
    exchange.record_consult = records_consults(index);
    exchange.leave_conference = site == "paris";
    exchange.ring_timeout_ms = 12'000;
    exchange.direct_media = true;
    exchange.codes = {kFeatureCodes[0], kFeatureCodes[1], kFeatureCodes[2]};
    auto& b2bua = out.b2bua;
    b2bua.site = site;
    b2bua.host = switch_address(index);
    b2bua.media = {peer_at(media_address(index))};
    for (int nth = 0; !is_hub && nth < kAgentsOfSite; ++nth) {
        const std::string dn = dn_of(index, nth);
        exchange.agents.push_back({dn,
                                   "Agent " + dn,
                                   {is_recorded(nth) ? RecordPolicy::always : RecordPolicy::never, 0},
                                   is_auto_answer(nth),
                                   consent_of(nth)});
        b2bua.agents.push_back({dn, "secret-" + dn});
    }
    exchange.trunks.push_back({"carrier", true, {RecordPolicy::never, 0}});
    b2bua.trunks.push_back({"carrier", {peer_at(kCarrierAddress)}, std::nullopt});
    if (site == "paris") {
        exchange.trunks.push_back({"toll", false, {RecordPolicy::always, 0}});
        b2bua.trunks.push_back({"toll", {peer_at(kTollAddress)}, std::nullopt});
    }
    for (int other = 0; other < static_cast<int>(kSites.size()); ++other) {
        if (other == index) continue;
        const std::string& name = kSites[static_cast<std::size_t>(other)];
        exchange.peers.push_back({name, std::to_string(other + 1), name == "hub", false});
        b2bua.sites.push_back({name, peer_at(switch_address(other)), "secret of " + std::to_string(index + other)});
    }
    const std::string own = std::to_string(index + 1);
    exchange.routing_points.push_back({own + "800",
                                       {"+20" + own + "800"},
                                       {"say:welcome", "music:default"},
                                       agents_at(site, {0, 1}),
                                       {is_hub ? RecordPolicy::always : RecordPolicy::never, 0}});
    if (!is_hub) {
        exchange.routing_points.push_back({own + "801",
                                           {"+20" + own + "801"},
                                           {"music:default"},
                                           agents_at(site, {index}),
                                           {RecordPolicy::never, 0}});
    }
    for (auto& point : exchange.routing_points) {
        if (point.dn == "3800") point.position_ms = 9'000;
        if (point.dn != "1801") continue;
        point.menu = menu();
        point.position_ms = 6'000;
        point.overflow = "routing_point:1800";
        point.overflow_after_ms = 30'000;
    }
    exchange.routes.push_back({"^9(.*)$", "trunk:carrier", "+$1"});
    return out;
}

}  // namespace sheaf::sim
