// SPDX-License-Identifier: Apache-2.0
#include "exchange/test_site.h"

#include <utility>

namespace sheaf::exchange {

const std::vector<Effect>& TestSite::step(Event event) {
    Input input;
    input.now = {Instant{now}, WallTime{std::chrono::milliseconds{1'767'605'400'000 + to_ms(now)}}};
    ++steps;
    for (std::size_t i = 0; i < 4; ++i) input.seed.at(i) = static_cast<std::uint8_t>(steps >> (8 * i));
    input.event = std::move(event);
    effects = exchange.step(input);
    return effects;
}

void TestSite::pass(Duration time) {
    const Duration until = now + time;
    while (const auto due = exchange.next_deadline()) {
        if (due->time_since_epoch() > until) break;
        now = due->time_since_epoch();
        step(Tick{});
    }
    now = until;
}

std::vector<boost::json::object> TestSite::facts(std::string_view type) const {
    std::vector<boost::json::object> found;
    for (const SayFact& fact : all<SayFact>())
        if (fact.type == type) found.push_back(fact.data);
    return found;
}

boost::json::object TestSite::fact(std::string_view type) const {
    const auto found = facts(type);
    return found.size() == 1 ? found.front() : boost::json::object{};
}

void TestSite::register_agent(const std::string& dn) {
    step(AgentRegistered{dn, "sip:" + dn + "@10.0.0.1", "udp:10.0.0.1:5060", 3'600'000});
}

SiteSettings london_settings() {
    SiteSettings settings;
    settings.site = "london";
    settings.node = "london-1";
    settings.agents = {{"1001", "Ada", {RecordPolicy::always, 0}, false},
                       {"1002", "Bob", {RecordPolicy::always, 0}, true},
                       {"1003", "Cid", {RecordPolicy::never, 0}, false}};
    settings.trunks = {{"carrier", true, {RecordPolicy::never, 0}}};
    settings.peers = {{"paris", "2", false, false}, {"hub", "3", false, true}};
    settings.routing_points = {
        {"8000",
         {"+442071234567"},
         {"say:welcome", "music:default"},
         {"agent:1001", "agent:2001@paris"},
         {RecordPolicy::never, 0}},
        {"8001", {}, {"music:default"}, {"agent:1002", "agent:1003"}, {RecordPolicy::always, 0}}};
    settings.routes = {{"^9(.*)$", "trunk:carrier", "+$1"}};
    return settings;
}

LegOffered from_carrier(const std::string& leg, const std::string& called) {
    LegOffered offered;
    offered.leg = LegId{leg};
    offered.from = {DeviceKind::trunk, "carrier"};
    offered.called = called;
    offered.calling = "+44";
    return offered;
}

TestTalk::TestTalk(const SiteSettings& settings) : site(settings) {
    site.register_agent("1001");
    site.step(from_carrier(customer.text(), "8000"));
    site.step(LegConnected{customer, "m"});
    agent = site.one<PlaceLeg>().leg;
    site.step(LegAnswered{agent, {}, {}, "m"});
}

std::vector<SiteSettings> changes_of(const SiteSettings& settings) {
    SiteSettings fewer_agents = settings, no_points = settings, nothing = settings;
    fewer_agents.agents.pop_back();
    no_points.routing_points.clear();
    nothing.agents.clear();
    nothing.routing_points.clear();
    nothing.routes.clear();
    nothing.peers.clear();
    nothing.trunks.clear();
    return {settings, settings, fewer_agents, no_points, nothing};
}

void add_policies(SiteSettings& settings, std::uint64_t seed) {
    settings.codes = {"*11", "*12", "*13"};
    settings.ready_after_no_answer = seed % 2 == 0;
    settings.direct_media = seed % 2 == 1;
    RoutingPointSettings asking = settings.routing_points[0];
    asking.dn = "8002";
    asking.numbers = {};
    asking.menu = {{"say:menu"},
                   {"say:invalid"},
                   {{"1", "routing_point:8001"}, {"2", "agent:1003"}, {"3", "routing_point:8002"}, {"#", "queue"}},
                   seed % 3 == 0 ? "routing_point:8001" : "",
                   3000,
                   1};
    asking.position_ms = 3000;
    settings.routing_points[0].overflow = "routing_point:8001";
    settings.routing_points[0].overflow_after_ms = 5000;
    settings.routing_points[1].overflow = seed % 2 == 0 ? "trunk:+33@carrier" : "agent:1001";
    settings.routing_points[1].overflow_after_ms = 4000;
    settings.routing_points[1].queue_max = 2;
    settings.routing_points[1].position_ms = 2000;
    const auto whom = static_cast<ConsentTo>(seed % 3);
    settings.routing_points[1].consent = {{"say:recorded"}, whom, 5000, seed % 2 == 0};
    settings.agents[0].consent = {{"say:recorded", "say:hold"}, whom, 0, seed % 2 == 1};
    settings.agents[1].consent = {{}, whom, 3000, seed % 4 == 0};
    settings.trunks[0].consent = {{"say:recorded"}, ConsentTo::both, 4000, seed % 4 == 1};
    settings.routing_points.push_back(asking);
}

}  // namespace sheaf::exchange
