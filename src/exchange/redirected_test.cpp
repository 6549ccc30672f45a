// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "exchange/test_site.h"

// Who is called and names another number instead (302).
using namespace sheaf;
using namespace sheaf::exchange;

namespace {

struct Site : TestSite {
    Site() : TestSite(london_settings()) {
        for (const char* dn : {"1001", "1002", "1003"}) register_agent(dn);
    }
    // The leg that the call of a customer to this number has been sent to.
    PlaceLeg called(const std::string& number) {
        step(from_carrier("C", number));
        return one<PlaceLeg>();
    }
    void redirects(const LegId& leg, const std::string& number) {
        step(LegPlaced{leg, "m"});
        step(LegFailed{leg, 302, {}, "m", number});
    }
};

}  // namespace

TEST_CASE("an agent's phone that redirects sends the call on, as the agent might: to an agent, a site, outside") {
    for (const auto& [number, kind, name] :
         {std::tuple{"1003", DeviceKind::agent, "1003"}, std::tuple{"2001", DeviceKind::site, "paris"},
          std::tuple{"94420", DeviceKind::trunk, "carrier"}}) {
        CAPTURE(number);
        Site site;
        const auto placed = site.called("1001");
        site.redirects(placed.leg, number);
        const auto next = site.one<PlaceLeg>();
        CHECK(next.to == Device{kind, name});
        CHECK_FALSE(site.any<RejectLeg>());
        if (kind == DeviceKind::agent) continue;
        REQUIRE(next.diversions.size() == 1);
        CHECK(next.diversions.front() == Diversion{"1001", "unconditional"});
    }
}

TEST_CASE("a trunk that redirects is called at the number that it names") {
    Site site;
    LegOffered offered = from_carrier("A", "94420");
    offered.from = {DeviceKind::agent, "1001"};
    site.step(offered);
    const auto placed = site.one<PlaceLeg>();
    site.redirects(placed.leg, "+4430");
    CHECK(site.one<PlaceLeg>().to == Device{DeviceKind::trunk, "carrier"});
    CHECK(site.one<PlaceLeg>().number == "+4430");
}

TEST_CASE("a redirection to nobody, to who is busy, or of a site is a refusal") {
    for (const char* number : {"7777", "1001", ""}) {
        CAPTURE(number);
        Site site;
        const auto placed = site.called("1001");
        site.step(LegPlaced{placed.leg, "m"});
        // Meanwhile the agent talks on another line, so that its own number is no way out.
        site.step(LegFailed{placed.leg, 302, {}, "m", number});
        if (std::string(number) == "1001") continue;  // its own number: told by the limit below
        CHECK_FALSE(site.any<PlaceLeg>());
        CHECK(site.one<RejectLeg>().status == 480);
    }
    Site site;
    const auto placed = site.called("2001");
    site.redirects(placed.leg, "1001");
    CHECK_FALSE(site.any<PlaceLeg>());
    CHECK(site.any<RejectLeg>());
}

TEST_CASE("phones that redirect in a circle are followed so many times") {
    Site site;
    auto placed = site.called("1001");
    int followed = 0;
    while (placed.to.kind == DeviceKind::agent && followed < 50) {
        site.redirects(placed.leg, placed.to.name == "1001" ? "1003" : "1001");
        if (!site.any<PlaceLeg>()) break;
        placed = site.one<PlaceLeg>();
        ++followed;
    }
    CHECK(followed == 5);
    CHECK(site.any<RejectLeg>());
    CHECK(site.exchange.counts().calls == 0);
}

TEST_CASE("a caller in a queue stays there when an agent's phone redirects: the next agent is tried") {
    Site site;
    site.step(from_carrier("C", "8001"));
    site.step(LegConnected{LegId{"C"}, "m"});
    const auto placed = site.one<PlaceLeg>();
    site.redirects(placed.leg, "94420");
    CHECK(site.one<PlaceLeg>().to.kind == DeviceKind::agent);
    CHECK(site.one<PlaceLeg>().to.name != placed.to.name);
}
