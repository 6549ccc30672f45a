// SPDX-License-Identifier: Apache-2.0
#include "exchange/feature_codes.h"

#include <doctest/doctest.h>

#include "exchange/test_site.h"

using namespace sheaf;
using namespace sheaf::exchange;
using namespace std::chrono_literals;

namespace {

SiteSettings settings_with_codes() {
    SiteSettings settings = london_settings();
    settings.codes = {"*11", "*12", "*13"};
    settings.wrap_up_ms = 60'000;
    return settings;
}

LegId dials(TestSite& site, const std::string& code, Device from = {DeviceKind::agent, "1002"}) {
    LegOffered offered;
    offered.leg = LegId{"code-" + std::to_string(site.steps)};
    offered.from = std::move(from);
    offered.called = code;
    offered.calling = "1002";
    site.step(offered);
    return offered.leg;
}

std::string state_of(const TestSite& site) {  // of 1002
    return std::string(site.exchange.agents()[1].at("state").as_string());
}

LegId customer_waits(TestSite& site, const std::string& leg) {
    LegOffered offered;
    offered.leg = LegId{leg};
    offered.from = {DeviceKind::trunk, "carrier"};
    offered.called = "8001";
    offered.calling = "+44";
    site.step(offered);
    site.step(LegConnected{offered.leg, "m"});
    return offered.leg;
}

}  // namespace

TEST_CASE("an agent who dials the code for not ready hears that it is so, and gets no calls") {
    TestSite site{settings_with_codes()};
    site.register_agent("1002");
    const LegId leg = dials(site, "*12");
    CHECK(site.one<AnswerLeg>().leg == leg);
    CHECK(state_of(site) == "busy");
    site.step(LegConnected{leg, "m"});
    const StartPlay said = site.one<StartPlay>();
    CHECK(said.items == std::vector<std::string>{"say:agent-not-ready"});
    CHECK_FALSE(said.forever);
    site.step(PlayEnded{leg, said.play});
    CHECK(site.one<EndLeg>().leg == leg);
    CHECK(state_of(site) == "not-ready");
    CHECK(site.exchange.counts().calls == 0);
    customer_waits(site, "c1");
    CHECK_FALSE(site.any<PlaceLeg>());

    SUBCASE("and with the one for ready gets them again, once the phone is free") {
        const LegId again = dials(site, "*11");
        CHECK_FALSE(site.any<PlaceLeg>());
        site.step(LegConnected{again, "m"});
        CHECK_FALSE(site.any<PlaceLeg>());
        SUBCASE("when the announcement is through") {
            site.step(PlayEnded{again, site.one<StartPlay>().play});
        }
        SUBCASE("when it cannot be played") {
            site.step(PlayEnded{again, site.one<StartPlay>().play, true});
        }
        SUBCASE("when the agent hangs up before its end") {
            site.step(LegEnded{again, Cause::normal, "m"});
        }
        CHECK(site.one<PlaceLeg>().number == "1002");
    }
}

TEST_CASE("the code for wrap-up done ends the wrap-up, and nothing else") {
    TestSite site{settings_with_codes()};
    site.register_agent("1002");
    dials(site, "*13");
    CHECK(site.one<RejectLeg>().status == 403);
    const LegId customer = customer_waits(site, "c1");
    const LegId agent = site.one<PlaceLeg>().leg;
    site.step(LegAnswered{agent, {}, {}, "m"});
    SUBCASE("in the wrap-up") {
        site.step(LegEnded{customer, Cause::normal, "m"});
        REQUIRE(state_of(site) == "wrap-up");
        const LegId leg = dials(site, "*13");
        site.step(LegConnected{leg, "m"});
        CHECK(site.one<StartPlay>().items == std::vector<std::string>{"say:wrap-up-done"});
        site.step(LegEnded{leg, Cause::normal, "m"});
        CHECK(state_of(site) == "ready");
    }
    SUBCASE("before it: there will be none") {
        const LegId leg = dials(site, "*13");
        CHECK(site.fact("link.opened").empty());  // no consult
        site.step(LegEnded{leg, Cause::normal, "m"});
        CHECK(state_of(site) == "busy");
        site.step(LegEnded{customer, Cause::normal, "m"});
        CHECK(state_of(site) == "ready");
    }
    CHECK(site.exchange.counts().legs == 0);
}

TEST_CASE("feature codes are for phones of this site's agents that are registered") {
    TestSite site{settings_with_codes()};
    dials(site, "*11");
    CHECK(site.one<RejectLeg>().status == 480);
    site.register_agent("1002");
    dials(site, "*11", {DeviceKind::trunk, "carrier"});
    CHECK(site.one<RejectLeg>().status == 404);
    dials(site, "*11", {DeviceKind::agent, "9999"});
    CHECK(site.one<RejectLeg>().status == 404);
    dials(site, "*11", {DeviceKind::site, "paris"});
    CHECK(site.one<RejectLeg>().status == 404);
    TestSite without{london_settings()};
    without.register_agent("1002");
    dials(without, "");
    CHECK(without.one<RejectLeg>().status == 404);
    site.step(Shutdown{});
    dials(site, "*11");
    CHECK(site.one<RejectLeg>().status == 503);
}

TEST_CASE("where the site says so, an agent who does not answer stays ready, and the next one is called first") {
    SiteSettings settings = settings_with_codes();
    settings.ready_after_no_answer = true;
    TestSite site{settings};
    site.register_agent("1002");
    site.wait(1s);
    site.register_agent("1003");
    customer_waits(site, "c1");
    CHECK(site.one<PlaceLeg>().number == "1002");
    site.pass(20s);
    CHECK(site.one<PlaceLeg>().number == "1003");
    CHECK(state_of(site) == "ready");
    customer_waits(site, "c2");
    CHECK_FALSE(site.any<PlaceLeg>());
    site.pass(5s);
    CHECK(site.one<PlaceLeg>().number == "1002");
}
