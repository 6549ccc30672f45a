// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "exchange/test_site.h"

// Who is shown whom they talk to, and when nobody is shown anything.
using namespace sheaf;
using namespace sheaf::exchange;
using namespace std::chrono_literals;

namespace {

const std::string kCustomer = "+447700900123";

struct Site : TestSite {
    Site() : TestSite(london_settings()) {
        for (const char* dn : {"1001", "1002"}) register_agent(dn);
    }
    static LegOffered offer(const std::string& leg, const Device& from, const std::string& called,
                            const std::string& calling) {
        LegOffered offered;
        offered.leg = LegId{leg};
        offered.from = from;
        offered.called = called;
        offered.calling = calling;
        offered.message = leg + ";1;INVITE";
        return offered;
    }
    // Both give the leg that the call has been sent to.
    LegId customer_calls() {
        step(offer("C", {DeviceKind::trunk, "carrier"}, "8000", kCustomer));
        step(LegConnected{LegId{"C"}, "m"});
        return one<PlaceLeg>().leg;
    }
    LegId agent_calls(const std::string& dn, const std::string& called) {
        step(offer("B", {DeviceKind::agent, dn}, called, dn));
        if (any<AnswerLeg>()) step(LegConnected{LegId{"B"}, "m"});
        return one<PlaceLeg>().leg;
    }
    void answer(const LegId& leg) {
        step(LegPlaced{leg, "m"});
        step(LegAnswered{leg, CallUuid{"theirs"}, {}, "m"});
    }
    void tell(const LegId& leg, std::vector<SiteParty> parties, std::vector<SiteParty> held = {}) {
        step(LegTold{leg, {1, CallUuid{"root"}, std::move(parties), std::move(held), std::nullopt}});
    }
    // "LEG NUMBER NAME" of everything shown by the last input.
    [[nodiscard]] std::vector<std::string> shown() const {
        std::vector<std::string> list;
        for (const auto& show : all<ShowIdentity>())
            list.push_back(show.leg.text() + " " + show.number + " " + show.name);
        return list;
    }
};
using Shown = std::vector<std::string>;

}  // namespace

TEST_CASE("a caller who has waited is shown the agent who answers, once") {
    Site site;
    const LegId agent = site.customer_calls();
    site.answer(agent);
    CHECK(site.shown() == Shown{"C 1001 Ada"});
    site.step(LegHeld{agent});
    CHECK(site.shown().empty());
    site.step(LegRetrieved{agent});
    CHECK(site.shown().empty());
    site.step(LegHeld{LegId{"C"}});
    site.step(LegRetrieved{LegId{"C"}});
    CHECK(site.shown().empty());
}

TEST_CASE("a caller who has waited is shown the other site's agent once that site has told") {
    Site site;
    site.step(CtiRequest{1, "t", {"*"}, "agent-state", "", "1001", "", "not-ready"});
    site.step(RemoteAgents{"paris", "b", 1, {{"2001", "ready", 8000}}});
    const LegId agent = site.customer_calls();
    site.answer(agent);
    CHECK(site.shown() == Shown{"C 2001 "});
    site.tell(agent, {{"agent", "2001", "Zoe"}});
    CHECK(site.shown() == Shown{"C 2001 Zoe"});
    site.tell(agent, {{"agent", "2001", "Zoe"}});
    CHECK(site.shown().empty());
    site.tell(agent, {}, {{"agent", "2001", "Zoe"}});  // on hold it is the same agent
    CHECK(site.shown().empty());
}

TEST_CASE("a caller who waits at another site is shown whoever answers there or behind it") {
    Site site;
    site.step(site.offer("C", {DeviceKind::trunk, "carrier"}, "3800", kCustomer));
    const LegId hub = site.one<PlaceLeg>().leg;
    site.answer(hub);
    site.step(LegConnected{LegId{"C"}, "m"});
    CHECK(site.shown().empty());  // it is what has been called
    site.tell(hub, {});
    CHECK(site.shown().empty());
    site.tell(hub, {{"agent", "2001", "Zoe"}});
    CHECK(site.shown() == Shown{"C 2001 Zoe"});
}

TEST_CASE("whom a caller has called by themselves they are not shown") {
    Site site;
    std::string number;
    SUBCASE("an agent") {
        number = "1001";
    }
    SUBCASE("an agent of another site") {
        number = "2001";
    }
    SUBCASE("somebody outside, by a route") {
        number = "9447700900123";
    }
    const LegId called = site.agent_calls("1002", number);
    site.answer(called);
    CHECK(site.one<AnswerLeg>().leg == LegId{"B"});
    site.step(LegConnected{LegId{"B"}, "m"});
    CHECK(site.shown().empty());
    if (number == "2001") site.tell(called, {{"agent", "2001", "Zoe"}});
    CHECK(site.shown().empty());
}

TEST_CASE("an agent who consults a queue is shown who answers, and once it is done the others are shown each other") {
    Site site;
    const LegId first = site.customer_calls();
    site.answer(first);
    site.step(LegHeld{first});
    const LegId second = site.agent_calls("1001", "8001");
    site.answer(second);
    CHECK(site.shown() == Shown{"B 1002 Bob"});
    site.step(TransferAsked{first, "8001", "m", LegId{"B"}});
    CHECK(site.shown() == Shown{"C 1002 Bob", second.text() + " " + kCustomer + " "});
}

TEST_CASE("a caller who has taken a site's place is shown whom they talk to") {
    Site site;
    auto offered = site.offer("L", {DeviceKind::site, "paris"}, "1001", "2001");
    offered.link = LinkHeader{LinkId{"link"}, CallUuid{"theirs"}, CallUuid{"root"}, "route", false};
    site.step(offered);
    const LegId agent = site.one<PlaceLeg>().leg;
    site.answer(agent);
    site.step(LegConnected{LegId{"L"}, "m"});
    CHECK(site.shown().empty());
    site.tell(LegId{"L"}, {{"customer", kCustomer, ""}});
    CHECK(site.shown() == Shown{agent.text() + " " + kCustomer + " "});
    auto replacing = site.offer("C", {DeviceKind::stranger, ""}, "px-token", "anonymous");
    replacing.replaces = Replacing{LegId{"L"}, true};
    site.step(replacing);
    CHECK(site.shown().empty());
    site.step(LegConnected{LegId{"C"}, "m"});
    CHECK(site.shown() == Shown{"C 1001 Ada"});
}

TEST_CASE("who stays because the trunk does not move them is shown whom they talk to, and not before") {
    Site site;
    const LegId agent = site.customer_calls();
    site.answer(agent);
    site.step(CtiRequest{1,
                         "t",
                         {"*"},
                         "consultation",
                         site.exchange.calls().at(0).at("calluuid").as_string().c_str(),
                         "1001",
                         "2001",
                         ""});
    const LegId paris = site.one<PlaceLeg>().leg;
    site.answer(paris);
    site.tell(paris, {{"agent", "2001", "Zoe"}});
    site.step(CtiRequest{
        2, "t", {"*"}, "transfer", site.exchange.calls().at(0).at("calluuid").as_string().c_str(), "1001", "", ""});
    CHECK(site.one<ReferLeg>().leg == LegId{"C"});
    CHECK(site.shown().empty());
    CHECK(site.one<TellLeg>().state.parties == std::vector<SiteParty>{{"customer", kCustomer, ""}});
    site.step(LegReferred{LegId{"C"}, 603});
    CHECK(site.shown() == Shown{"C 2001 Zoe", paris.text() + " " + kCustomer + " "});
}
