// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "exchange/exchange.h"

// A site under test: its own clock, inputs one after the other, the effects of the last. For tests only.
namespace sheaf::exchange {

struct TestSite {
    explicit TestSite(const SiteSettings& settings) : exchange(settings) {}

    const std::vector<Effect>& step(Event event);
    void wait(Duration time) { now += time; }
    // Lets time pass, with a Tick when one is due.
    void pass(Duration time);

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
    [[nodiscard]] std::vector<boost::json::object> facts(std::string_view type) const;
    [[nodiscard]] boost::json::object fact(std::string_view type) const;

    void register_agent(const std::string& dn);

    Exchange exchange;
    Duration now = std::chrono::seconds{1000};
    std::uint32_t steps = 0;
    std::vector<Effect> effects;
};

[[nodiscard]] SiteSettings london_settings();

// A customer's INVITE by the carrier.
[[nodiscard]] LegOffered from_carrier(const std::string& leg, const std::string& called);

// A customer by the routing point 8000 in talk with 1001.
struct TestTalk {
    explicit TestTalk(const SiteSettings& settings = london_settings());

    TestSite site;
    LegId customer{"c"};
    LegId agent;
};

// The same site as its owner may change it: nobody new, but agents, routing points and routes gone.
[[nodiscard]] std::vector<SiteSettings> changes_of(const SiteSettings& settings);

// Feature codes, and something of every policy: 8002 asks first; 8000 overflows into 8001, 8001 into a trunk or an
// agent.
void add_policies(SiteSettings& settings, std::uint64_t seed);

}  // namespace sheaf::exchange
