// SPDX-License-Identifier: Apache-2.0
#include "exchange/waiting.h"

#include <doctest/doctest.h>

#include "exchange/test_site.h"

using namespace sheaf;
using namespace sheaf::exchange;
using namespace std::chrono_literals;

namespace {

SiteSettings settings_with_overflow(const std::string& to, std::int64_t after_ms = 10'000) {
    SiteSettings settings = london_settings();
    settings.routing_points[0].overflow = to;
    settings.routing_points[0].overflow_after_ms = after_ms;
    settings.routing_points[0].queue_max = 2;
    return settings;
}

LegId calls(TestSite& site, const std::string& leg, const std::string& number = "8000") {
    LegOffered offered;
    offered.leg = LegId{leg};
    offered.from = {DeviceKind::trunk, "carrier"};
    offered.called = number;
    offered.calling = "+44";
    site.step(offered);
    return offered.leg;
}

LegId waits(TestSite& site, const std::string& leg, const std::string& number = "8000") {
    calls(site, leg, number);
    site.step(LegConnected{LegId{leg}, "m"});
    return LegId{leg};
}

}  // namespace

TEST_CASE("a call that has waited too long goes to another routing point, with the time it has waited") {
    TestSite site{settings_with_overflow("routing_point:8001")};
    const LegId old = waits(site, "c1");
    site.wait(5s);
    waits(site, "c2", "8001");
    site.pass(5s);
    CHECK(site.fact("queue.left").at("reason") == "overflow");
    CHECK(site.fact("queue.entered").at("routing_point") == "8001");
    CHECK(site.all<StartPlay>().back().items == std::vector<std::string>{"music:default"});
    site.register_agent("1002");
    site.step(LegAnswered{site.one<PlaceLeg>().leg, {}, {}, "m"});
    CHECK(site.one<StopPlay>().leg == old);
    CHECK(site.fact("queue.left").at("reason") == "routed");
}

TEST_CASE("a call that has waited too long waits on while the other routing point is full") {
    SiteSettings settings = settings_with_overflow("routing_point:8001");
    auto& other = *std::ranges::find(settings.routing_points, "8001", &RoutingPointSettings::dn);
    other.queue_max = 1;
    other.overflow = "trunk:+33142345678@carrier";
    TestSite site{settings};
    waits(site, "c2", "8001");
    waits(site, "c1");
    site.pass(10s);
    CHECK(site.facts("queue.left").empty());
    site.step(LegEnded{LegId{"c2"}, Cause::normal, "m"});
    site.pass(10s);
    CHECK(site.fact("queue.entered").at("routing_point") == "8001");
}

TEST_CASE("a call that has waited too long keeps its place while somebody else is called for it") {
    TestSite site{settings_with_overflow("trunk:+33142345678@carrier")};
    const LegId customer = waits(site, "c1");
    site.pass(10s);
    const PlaceLeg placed = site.one<PlaceLeg>();
    CHECK(placed.to == Device{DeviceKind::trunk, "carrier"});
    CHECK(placed.number == "+33142345678");
    CHECK_FALSE(site.any<StopPlay>());
    CHECK(site.exchange.counts().queued == 1);
    SUBCASE("who answers") {
        site.step(LegAnswered{placed.leg, {}, {}, "m"});
        CHECK(site.fact("queue.left").at("reason") == "overflow");
        CHECK(site.exchange.counts().queued == 0);
    }
    SUBCASE("who does not: later again, and an agent may come first") {
        site.step(LegFailed{placed.leg, 486, {}, "m"});
        CHECK(site.exchange.counts().queued == 1);
        site.register_agent("1001");
        const LegId agent = site.one<PlaceLeg>().leg;
        site.pass(10s);
        CHECK_FALSE(site.any<PlaceLeg>());  // the agent's phone rings
        site.step(LegFailed{agent, 603, {}, "m"});
        site.pass(1s);
        CHECK(site.one<PlaceLeg>().number == "+33142345678");
        site.step(LegEnded{customer, Cause::normal, "m"});
    }
}

TEST_CASE("an overflow target that takes no call is asked again") {
    TestSite site{settings_with_overflow("agent:1003")};
    const LegId customer = waits(site, "c1");
    site.pass(10s);
    CHECK_FALSE(site.any<PlaceLeg>());
    site.register_agent("1003");
    CHECK_FALSE(site.any<PlaceLeg>());
    site.pass(1s);
    CHECK(site.one<PlaceLeg>().number == "1003");
    site.step(LegEnded{customer, Cause::normal, "m"});
    CHECK_FALSE(site.exchange.next_deadline() == std::nullopt);  // registrations
    CHECK(site.exchange.counts().calls == 0);
}

TEST_CASE("where no more may wait, a call goes to the overflow target at once, or is refused") {
    SUBCASE("a routing point") {
        TestSite site{settings_with_overflow("routing_point:8001", 0)};
        waits(site, "c1");
        waits(site, "c2");
        waits(site, "c3");
        CHECK(site.fact("queue.entered").at("routing_point") == "8001");
    }
    SUBCASE("somebody who is called") {
        TestSite site{settings_with_overflow("trunk:+33@carrier", 0)};
        waits(site, "c1");
        waits(site, "c2");
        calls(site, "c3");
        CHECK(site.one<PlaceLeg>().number == "+33");
    }
    SUBCASE("nobody") {
        TestSite site{settings_with_overflow("", 0)};
        waits(site, "c1");
        waits(site, "c2");
        calls(site, "c3");
        CHECK(site.one<RejectLeg>().status == 486);
    }
    SUBCASE("full queues that lead to each other") {
        SiteSettings settings = settings_with_overflow("routing_point:8001", 0);
        settings.routing_points[1].overflow = "routing_point:8000";
        settings.routing_points[1].queue_max = 1;
        TestSite site{settings};
        for (const char* leg : {"c1", "c2", "c3"}) waits(site, leg);
        CHECK(site.exchange.counts().queued == 3);
        calls(site, "c4");
        CHECK(site.one<RejectLeg>().status == 486);
    }
}

TEST_CASE("who waits hears their place, and behind the ninth that they wait") {
    SiteSettings settings = london_settings();
    settings.routing_points[0].treatment = {"music:default"};
    settings.routing_points[0].position_ms = 30'000;
    TestSite site{settings};
    for (int i = 1; i <= 10; ++i) waits(site, "c" + std::to_string(i));
    const auto said_next = [&] {
        for (int i = 0; i < 10; ++i) {
            site.pass(*site.exchange.next_deadline() - Instant{site.now});
            for (const StartPlay& play : site.all<StartPlay>())
                if (play.leg == LegId{"c10"}) return play;
        }
        return StartPlay{};
    };
    StartPlay said = said_next();
    CHECK(said.items == std::vector<std::string>{"say:position"});
    site.step(PlayEnded{LegId{"c10"}, said.play});
    CHECK(site.one<StartPlay>().items == std::vector<std::string>{"music:default"});
    site.step(LegEnded{LegId{"c1"}, Cause::normal, "m"});
    said = said_next();
    CHECK(said.items == std::vector<std::string>{"say:position-9"});
}
