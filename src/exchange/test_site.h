// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "exchange/exchange.h"

// A site under test: its own clock, inputs one after the other, the effects of the last. For tests only.
namespace sheaf::exchange {

struct TestSite {
    explicit TestSite(SiteSettings settings) : exchange(std::move(settings)) {}

    const std::vector<Effect>& step(Event event) {
        Input input;
        input.now = {Instant{now}, WallTime{std::chrono::milliseconds{1'767'605'400'000 + to_ms(now)}}};
        ++steps;
        for (std::size_t i = 0; i < 4; ++i) input.seed.at(i) = static_cast<std::uint8_t>(steps >> (8 * i));
        input.event = std::move(event);
        effects = exchange.step(input);
        return effects;
    }
    void wait(Duration time) { now += time; }
    // Lets time pass, with a Tick when one is due.
    void pass(Duration time) {
        const Duration until = now + time;
        while (const auto due = exchange.next_deadline()) {
            if (due->time_since_epoch() > until) break;
            now = due->time_since_epoch();
            step(Tick{});
        }
        now = until;
    }

    template <typename E>
    [[nodiscard]] std::vector<E> all() const {
        std::vector<E> found;
        for (const Effect& effect : effects)
            if (const auto* one = std::get_if<E>(&effect)) found.push_back(*one);
        return found;
    }
    template <typename E>
    [[nodiscard]] bool any() const {
        return !all<E>().empty();
    }
    // The only one of its kind among the last effects; an empty one when there is none or there are several.
    template <typename E>
    [[nodiscard]] E one() const {
        const auto found = all<E>();
        return found.size() == 1 ? found.front() : E{};
    }
    [[nodiscard]] std::vector<boost::json::object> facts(std::string_view type) const {
        std::vector<boost::json::object> found;
        for (const SayFact& fact : all<SayFact>())
            if (fact.type == type) found.push_back(fact.data);
        return found;
    }
    [[nodiscard]] boost::json::object fact(std::string_view type) const {
        const auto found = facts(type);
        return found.size() == 1 ? found.front() : boost::json::object{};
    }

    void register_agent(const std::string& dn) {
        step(AgentRegistered{dn, "sip:" + dn + "@10.0.0.1", "udp:10.0.0.1:5060", 3'600'000});
    }

    Exchange exchange;
    Duration now = std::chrono::seconds{1000};
    std::uint32_t steps = 0;
    std::vector<Effect> effects;
};

inline SiteSettings london_settings() {
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

// The same site as its owner may change it: nobody new, but agents, routing points and routes gone.
inline std::vector<SiteSettings> changes_of(const SiteSettings& settings) {
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

}  // namespace sheaf::exchange
