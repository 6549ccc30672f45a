// SPDX-License-Identifier: Apache-2.0
#include "exchange/qualification.h"

#include <doctest/doctest.h>

#include "exchange/test_site.h"

using namespace sheaf;
using namespace sheaf::exchange;
using namespace std::chrono_literals;

namespace {

const LegId kC{"c"};

SiteSettings settings_with_menu() {
    SiteSettings settings = london_settings();
    settings.routing_points[0].menu = {
        {"say:menu"}, {"say:invalid"}, {{"1", "routing_point:8001"}, {"2", "agent:1003"}, {"3", "queue"}}, "", 5000, 1};
    return settings;
}

struct Caller : TestSite {
    explicit Caller(SiteSettings settings = settings_with_menu(), Device from = {DeviceKind::trunk, "carrier"})
        : TestSite(std::move(settings)) {
        LegOffered offered;
        offered.leg = kC;
        offered.from = std::move(from);
        offered.called = "8000";
        offered.calling = "+44";
        step(offered);
        step(LegConnected{kC, "m"});
    }
    void menu_is_through() { step(PlayEnded{kC, one<StartPlay>().play}); }
    void presses(const std::string& digit) { step(LegDigit{kC, digit}); }
    [[nodiscard]] bool stops_collecting() const {
        const auto collect = all<CollectDigits>();
        return collect.size() == 1 && !collect[0].on;
    }
    [[nodiscard]] std::string waits_at() const {
        const auto entered = fact("queue.entered");
        return entered.empty() ? std::string() : std::string(entered.at("routing_point").as_string());
    }
};

}  // namespace

TEST_CASE("a caller presses a digit while the menu is said, and goes where it leads") {
    Caller caller;
    CHECK(caller.one<StartPlay>().items == std::vector<std::string>{"say:menu"});
    CHECK(caller.one<CollectDigits>().on);
    CHECK(caller.waits_at().empty());
    const std::string play = caller.one<StartPlay>().play;
    caller.presses("1");
    CHECK(caller.stops_collecting());
    CHECK(caller.all<StopPlay>().at(0).play == play);
    CHECK(caller.waits_at() == "8001");
    caller.presses("3");
    CHECK(caller.effects.empty());
}

TEST_CASE("after the menu a digit is waited for, which the facts call a treatment") {
    Caller caller;
    caller.menu_is_through();
    CHECK(caller.fact("treatment.started").at("treatment") == "digits");
    CHECK_FALSE(caller.any<StartPlay>());
    caller.pass(4s);
    caller.presses("3");
    CHECK(caller.facts("treatment.ended").at(0).at("treatment") == "digits");
    CHECK(caller.waits_at() == "8000");
    caller.pass(1s);
    CHECK(caller.waits_at() == "8000");
}

TEST_CASE("nothing, or a digit that is no choice, brings the menu again, and in the end the queue") {
    Caller caller;
    SUBCASE("nothing twice") {
        caller.menu_is_through();
        caller.pass(5s);
        CHECK(caller.one<StartPlay>().items == std::vector<std::string>{"say:menu"});
        CHECK_FALSE(caller.any<CollectDigits>());
        caller.menu_is_through();
        caller.pass(5s);
    }
    SUBCASE("a wrong digit twice") {
        caller.presses("9");
        CHECK(caller.one<StartPlay>().items == std::vector<std::string>{"say:invalid"});
        caller.menu_is_through();
        CHECK(caller.one<StartPlay>().items == std::vector<std::string>{"say:menu"});
        caller.presses("9");
    }
    CHECK(caller.stops_collecting());
    CHECK(caller.waits_at() == "8000");
}

TEST_CASE("a menu may lead whoever chooses nothing elsewhere") {
    SiteSettings settings = settings_with_menu();
    settings.routing_points[0].menu.otherwise = "routing_point:8001";
    settings.routing_points[0].menu.repeats = 0;
    Caller caller{settings};
    caller.presses("9");
    CHECK(caller.waits_at() == "8001");
}

TEST_CASE("a choice that takes no call leads into the menu's own queue") {
    Caller caller;
    SUBCASE("known at once") {
        caller.presses("2");
        CHECK(caller.one<Log>().warning);
        CHECK(caller.waits_at() == "8000");
    }
    SUBCASE("after it has rung") {
        caller.register_agent("1003");
        caller.presses("2");
        const PlaceLeg placed = caller.one<PlaceLeg>();
        CHECK(placed.number == "1003");
        CHECK(caller.all<StartPlay>().back().items == std::vector<std::string>{"music:ringback"});
        caller.step(LegFailed{placed.leg, 486, {}, "m"});
        CHECK(caller.waits_at() == "8000");
    }
    SUBCASE("and full is full: the caller is released") {
        SiteSettings settings = settings_with_menu();
        settings.routing_points[0].queue_max = 1;
        Caller second{settings};
        LegOffered agent;
        agent.leg = LegId{"a"};
        agent.from = {DeviceKind::agent, "1001"};
        agent.called = "8000";
        second.step(agent);
        second.step(LegConnected{LegId{"a"}, "m"});
        second.presses("3");
        CHECK(second.one<EndLeg>().leg == kC);
        second.step(LegEnded{LegId{"a"}, Cause::normal, "m"});
        CHECK(second.exchange.counts().calls == 0);
    }
}

TEST_CASE("only callers from outside are asked") {
    const Caller agent{settings_with_menu(), {DeviceKind::agent, "1001"}};
    CHECK_FALSE(agent.any<CollectDigits>());
    CHECK(agent.waits_at() == "8000");
    const Caller site{settings_with_menu(), {DeviceKind::site, "paris"}};
    CHECK(site.waits_at() == "8000");
    const Caller stranger{settings_with_menu(), {DeviceKind::stranger, ""}};
    CHECK(stranger.any<CollectDigits>());
}

TEST_CASE("a call that an agent gives back waits at once, and a choice asks again") {
    Caller caller;
    caller.presses("3");
    caller.register_agent("1001");
    const LegId agent = caller.one<PlaceLeg>().leg;
    caller.step(LegAnswered{agent, {}, {}, "m"});
    caller.step(TransferAsked{agent, "8000", "m", {}});
    CHECK(caller.waits_at() == "8000");
    CHECK_FALSE(caller.any<CollectDigits>());

    SiteSettings settings = settings_with_menu();
    settings.routing_points[0].menu.choices.push_back({"0", "routing_point:8000"});
    Caller again{settings};
    again.presses("0");
    CHECK(again.waits_at().empty());
    CHECK(again.all<StartPlay>().back().items == std::vector<std::string>{"say:menu"});
    again.presses("3");
    CHECK(again.waits_at() == "8000");
}

TEST_CASE("no digit is collected while the recording is paused") {
    TestSite site{settings_with_menu()};
    site.register_agent("1002");
    LegOffered offered;
    offered.leg = kC;
    offered.from = {DeviceKind::trunk, "carrier"};
    offered.called = "8001";
    site.step(offered);
    site.step(LegConnected{kC, "m"});
    const PlaceLeg placed = site.one<PlaceLeg>();
    site.step(LegAnswered{placed.leg, {}, {}, "m"});
    CtiRequest request{1, "desktop", {"*"}, "recording/pause", placed.room.text(), "1002", {}, {}};
    site.step(request);
    REQUIRE(site.one<CtiReply>().status == 200);
    site.step(TransferAsked{placed.leg, "8000", "m", {}});
    CHECK(site.all<StartPlay>().back().items == std::vector<std::string>{"say:menu"});
    CHECK_FALSE(site.any<CollectDigits>());
    site.step(LegDigit{kC, "1"});
    CHECK(site.effects.empty());
}

TEST_CASE("settings that have changed leave the menu that is being asked alone") {
    Caller caller;
    SiteSettings settings = london_settings();
    settings.routing_points.erase(settings.routing_points.begin());
    caller.step(SettingsChanged{settings});
    SUBCASE("its choices lead where they are still there") {
        caller.presses("1");
        CHECK(caller.waits_at() == "8001");
    }
    SUBCASE("and end the call where they are not") {
        caller.presses("3");
        CHECK(caller.one<EndLeg>().leg == kC);
        CHECK(caller.exchange.counts().calls == 0);
    }
}
