// SPDX-License-Identifier: Apache-2.0
#include "exchange/agents.h"

#include <doctest/doctest.h>

#include "exchange/test_site.h"

using namespace sheaf;
using namespace sheaf::exchange;
using namespace std::chrono_literals;

namespace {

LegId customer_waits(TestSite& site, const std::string& leg, const std::string& number = "8001") {
    LegOffered offered;
    offered.leg = LegId{leg};
    offered.from = {DeviceKind::trunk, "carrier"};
    offered.called = number;
    offered.calling = "+44";
    site.step(offered);
    site.step(LegConnected{offered.leg, "m"});
    return offered.leg;
}

RemoteAgents paris_says(std::uint64_t seq, const std::string& state, std::int64_t for_ms = 0,
                        const std::string& boot = "boot") {
    return {"paris", boot, seq, {{"2001", state, for_ms}}};
}

}  // namespace

TEST_CASE("a registration that is not renewed runs out, and the agent is logged off") {
    TestSite site{london_settings()};
    site.step(AgentRegistered{"1001", "sip:a@b", "udp:10.0.0.1:5060", 60'000});
    CHECK(site.any<TellReadiness>());
    site.wait(50s);
    site.step(AgentRegistered{"1001", "sip:new@b", "udp:10.0.0.1:5060", 60'000});
    CHECK_FALSE(site.any<TellReadiness>());
    site.pass(59s);
    CHECK(site.exchange.agents()[0].at("state") == "ready");
    site.pass(1s);
    CHECK(site.fact("agent.state").at("state") == "logged-off");
    CHECK(site.any<Log>());
    CHECK_FALSE(site.exchange.next_deadline());
    site.step(AgentRegistered{"9999", "sip:a@b", "", 60'000});
    CHECK(site.one<Log>().warning);
}

TEST_CASE("where the site says so, an agent begins as not ready") {
    SiteSettings settings = london_settings();
    settings.ready_on_register = false;
    TestSite site{settings};
    site.register_agent("1001");
    CHECK(site.fact("agent.state").at("state") == "not-ready");
    site.step(AgentRegistered{"1001", "sip:a@b", "", 0});
    CHECK(site.fact("agent.state").at("state") == "logged-off");
}

TEST_CASE("the longest idle ready agent is called, and then the other") {
    TestSite site{london_settings()};
    site.register_agent("1003");
    site.wait(1s);
    site.register_agent("1002");
    customer_waits(site, "c1");
    CHECK(site.one<PlaceLeg>().number == "1003");
    customer_waits(site, "c2");
    CHECK(site.one<PlaceLeg>().number == "1002");
    customer_waits(site, "c3");
    CHECK_FALSE(site.any<PlaceLeg>());
    CHECK(site.exchange.counts().queued == 3);
}

TEST_CASE("whoever waits longest is served first when an agent becomes ready") {
    TestSite site{london_settings()};
    const LegId first = customer_waits(site, "c1");
    site.wait(1s);
    customer_waits(site, "c2");
    site.register_agent("1002");
    const PlaceLeg placed = site.one<PlaceLeg>();
    site.step(LegAnswered{placed.leg, {}, {}, "m"});
    CHECK(site.one<StopPlay>().leg == first);
}

TEST_CASE("after a call an agent wraps up for as long as the site says") {
    SiteSettings settings = london_settings();
    settings.wrap_up_ms = 5000;
    TestSite site{settings};
    site.register_agent("1002");
    const LegId customer = customer_waits(site, "c1");
    const LegId agent = site.one<PlaceLeg>().leg;
    site.step(LegAnswered{agent, {}, {}, "m"});
    site.step(LegEnded{customer, Cause::normal, "m"});
    CHECK(site.fact("agent.state").at("state") == "wrap-up");
    const LegId second = customer_waits(site, "c2");
    CHECK_FALSE(site.any<PlaceLeg>());
    site.pass(5s);
    CHECK(site.one<PlaceLeg>().number == "1002");
    SUBCASE("not after a call that was never answered") {
        site.step(LegEnded{second, Cause::normal, "m"});
        CHECK(site.fact("agent.state").at("state") == "ready");
    }
}

TEST_CASE("a wrap-up that is chosen lasts as long, and choosing it again changes nothing") {
    SiteSettings settings = london_settings();
    settings.wrap_up_ms = 5000;
    TestSite site{settings};
    site.register_agent("1002");
    CtiRequest asked;
    asked.devices = {"1002"};
    asked.service = "agent-state";
    asked.device = "1002";
    asked.state = "wrap-up";
    site.step(asked);
    CHECK(site.fact("agent.state").at("state") == "wrap-up");
    site.wait(3s);
    site.step(asked);
    CHECK(site.one<CtiReply>().status == 200);
    CHECK(site.facts("agent.state").empty());
    site.pass(2s);
    CHECK(site.fact("agent.state").at("state") == "ready");
}

TEST_CASE("an agent that does not answer becomes not ready, and the customer still waits") {
    TestSite site{london_settings()};
    site.register_agent("1002");
    customer_waits(site, "c1");
    const LegId agent = site.one<PlaceLeg>().leg;
    site.step(LegAlerting{agent});
    site.pass(20s);
    CHECK(site.one<EndLeg>().leg == agent);
    CHECK(site.fact("agent.state").at("reason") == "no-answer");
    CHECK_FALSE(site.any<PlaceLeg>());
    CHECK(site.exchange.counts().queued == 1);
    site.step(LegAnswered{agent, {}, {}, "late"});
    CHECK(site.effects.empty());
}

TEST_CASE("an agent that refuses is not called again at once, others are") {
    TestSite site{london_settings()};
    site.register_agent("1002");
    customer_waits(site, "c1");
    const LegId refused = site.one<PlaceLeg>().leg;
    site.step(LegFailed{refused, 486, {}, "m"});
    CHECK_FALSE(site.any<PlaceLeg>());
    site.register_agent("1003");
    CHECK(site.one<PlaceLeg>().number == "1003");
    site.step(LegFailed{site.one<PlaceLeg>().leg, 503, {}, "m"});
    site.pass(4s);
    CHECK_FALSE(site.any<PlaceLeg>());
    site.pass(1s);
    CHECK(site.any<PlaceLeg>());
}

TEST_CASE("an agent of another site is called while the site is heard of, and only once at a time") {
    TestSite site{london_settings()};
    site.step(paris_says(5, "ready", 1000));
    customer_waits(site, "c1", "8000");
    const PlaceLeg placed = site.one<PlaceLeg>();
    CHECK(placed.to == Device{DeviceKind::site, "paris"});
    CHECK(placed.number == "2001");
    REQUIRE(placed.link);
    CHECK(placed.link->kind == "route");
    const LegId second = customer_waits(site, "c2", "8000");
    CHECK_FALSE(site.any<PlaceLeg>());
    site.step(paris_says(4, "ready"));  // overtaken
    CHECK_FALSE(site.any<PlaceLeg>());
    site.step(LegFailed{placed.leg, 486, {}, "m"});
    CHECK_FALSE(site.any<PlaceLeg>());
    site.step(LegEnded{second, Cause::normal, "m"});
    site.pass(5s);
    CHECK(site.any<PlaceLeg>());
}

TEST_CASE("a site that has not been heard of for 15 seconds offers no agents") {
    TestSite site{london_settings()};
    site.step(paris_says(1, "ready"));
    site.wait(16s);
    customer_waits(site, "c1", "8000");
    CHECK_FALSE(site.any<PlaceLeg>());
    SUBCASE("it is heard of again after a restart") {
        site.step(paris_says(1, "ready", 0, "second boot"));
        CHECK(site.any<PlaceLeg>());
    }
    SUBCASE("nor does an agent that is not ready, or an unknown site") {
        site.step(paris_says(2, "busy"));
        CHECK_FALSE(site.any<PlaceLeg>());
        site.step(RemoteAgents{"rome", "b", 1, {{"2001", "ready", 0}}});
        CHECK(site.one<Log>().warning);
    }
    SUBCASE("a message with too many agents is ignored") {
        RemoteAgents many = paris_says(2, "ready");
        many.agents.resize(kRemoteAgentsMax + 1, many.agents[0]);
        site.step(many);
        CHECK_FALSE(site.any<PlaceLeg>());
        many.agents.resize(kRemoteAgentsMax);
        site.step(many);
        CHECK(site.any<PlaceLeg>());
    }
}

TEST_CASE("a leg to a site rings a little longer than the site's own limit") {
    TestSite site{london_settings()};
    site.step(paris_says(1, "ready"));
    customer_waits(site, "c1", "8000");
    const LegId leg = site.one<PlaceLeg>().leg;
    site.pass(21s);
    CHECK_FALSE(site.any<EndLeg>());
    site.pass(1s);
    CHECK(site.one<EndLeg>().leg == leg);
}

TEST_CASE("new settings touch no call; an agent they no longer know goes with its last call") {
    TestSite site{london_settings()};
    site.register_agent("1002");
    const LegId customer = customer_waits(site, "c1");
    const LegId agent = site.one<PlaceLeg>().leg;
    site.step(LegAnswered{agent, {}, {}, "m"});
    customer_waits(site, "c2");
    SiteSettings settings = london_settings();
    settings.agents.erase(settings.agents.begin() + 1);  // 1002
    settings.routing_points.pop_back();                  // 8001
    settings.agents[0].name = "Ada L.";
    site.step(SettingsChanged{settings});
    CHECK(site.exchange.counts().legs == 3);
    CHECK(site.exchange.counts().queued == 1);
    site.step(LegEnded{customer, Cause::normal, "m"});
    CHECK(site.exchange.agents().size() == 2);
    CHECK(site.exchange.agents()[0].at("name") == "Ada L.");
    site.step(LegEnded{LegId{"c2"}, Cause::normal, "m"});
    CHECK(site.exchange.counts().calls == 0);
    customer_waits(site, "c3");
    CHECK(site.exchange.counts().calls == 0);
}

TEST_CASE("readiness tells every agent's state and for how long") {
    TestSite site{london_settings()};
    site.register_agent("1001");
    site.wait(7s);
    const RemoteAgents readiness = site.exchange.readiness(Instant{site.now});
    REQUIRE(readiness.agents.size() == 3);
    CHECK(readiness.site == "london");
    CHECK(readiness.agents[0] == RemoteAgents::Agent{"1001", "ready", 7000});
    CHECK(readiness.agents[1].state == "logged-off");
}
