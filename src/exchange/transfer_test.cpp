// SPDX-License-Identifier: Apache-2.0
#include "exchange/transfer.h"

#include <doctest/doctest.h>

#include "exchange/test_site.h"

using namespace sheaf;
using namespace sheaf::exchange;
using namespace std::chrono_literals;

namespace {

const LegId kCustomer{"c"};

struct Talk : TestTalk {
    using TestTalk::TestTalk;
    void refer(const std::string& to) { site.step(TransferAsked{agent, to, "a@b;2;REFER"}); }
};

}  // namespace

TEST_CASE("a transfer to an agent releases the first at once, and the customer hears music until the next answers") {
    Talk talk;
    talk.site.register_agent("1002");
    talk.refer("1002");
    CHECK(talk.site.one<AcceptTransfer>().leg == talk.agent);
    CHECK(talk.site.one<TransferResult>().status == 200);
    CHECK(talk.site.one<StopRecording>().cause == Cause::transferred);
    CHECK(talk.site.one<EndLeg>().leg == talk.agent);
    CHECK(talk.site.one<EndLeg>().cause == Cause::transferred);
    CHECK(talk.site.one<StartPlay>().items == std::vector<std::string>{"music:ringback"});
    const LegId next = talk.site.one<PlaceLeg>().leg;
    CHECK(talk.site.one<PlaceLeg>().calling == "+44");
    SUBCASE("answered") {
        talk.site.step(LegAnswered{next, {}, {}, "m"});
        CHECK(talk.site.one<StopPlay>().leg == kCustomer);
        CHECK(talk.site.one<StartRecording>().leg == next);
        talk.site.step(LegEnded{next, Cause::normal, "m"});
        CHECK(talk.site.one<EndLeg>().leg == kCustomer);
    }
    SUBCASE("refused: the customer returns to the routing point, and may be called for by the first agent again") {
        talk.site.step(LegFailed{next, 486, {}, "m"});
        CHECK(talk.site.fact("queue.entered").at("routing_point") == "8000");
        CHECK(talk.site.one<PlaceLeg>().number == "1001");
    }
    SUBCASE("not answered: likewise") {
        talk.site.pass(20s);
        CHECK(talk.site.fact("queue.entered").at("routing_point") == "8000");
    }
    SUBCASE("the customer hangs up meanwhile") {
        talk.site.step(LegEnded{kCustomer, Cause::normal, "m"});
        CHECK(talk.site.one<EndLeg>().leg == next);
        CHECK(talk.site.exchange.counts().legs == 0);
    }
}

TEST_CASE(
    "a failed transfer of a call that came by no routing point returns to the agent, and then ends with the cause") {
    TestSite site{london_settings()};
    site.register_agent("1001");
    site.register_agent("1002");
    LegOffered offered;
    offered.leg = kCustomer;
    offered.from = {DeviceKind::trunk, "carrier"};
    offered.called = "1001";
    site.step(offered);
    const LegId agent = site.one<PlaceLeg>().leg;
    site.step(LegAnswered{agent, {}, {}, "m"});
    site.step(LegConnected{kCustomer, "m"});
    site.step(TransferAsked{agent, "1002", "m"});
    site.step(LegFailed{site.one<PlaceLeg>().leg, 486, {}, "m"});
    CHECK(site.one<PlaceLeg>().number == "1001");
    CHECK_FALSE(site.any<EndLeg>());
    site.step(LegFailed{site.one<PlaceLeg>().leg, 486, {}, "m"});
    CHECK(site.one<EndLeg>().leg == kCustomer);
    CHECK(site.fact("call.ended").at("cause") == "busy");
    CHECK(site.exchange.counts().legs == 0);
}

TEST_CASE("a customer's recording, which its trunk wants, goes on across all agents it is given to") {
    auto settings = london_settings();
    settings.trunks[0].record = {RecordPolicy::always, 0};
    for (AgentSettings& agent : settings.agents) agent.record = {RecordPolicy::never, 0};
    for (RoutingPointSettings& point : settings.routing_points) point.record = {RecordPolicy::never, 0};
    TestSite site{settings};
    for (const char* dn : {"1001", "1002"}) site.register_agent(dn);
    site.step(from_carrier("c", "8000"));
    site.step(LegConnected{LegId{"c"}, "m"});
    std::vector<SegmentId> started;
    std::size_t stopped = 0;
    const auto look = [&] {
        for (const auto& start : site.all<StartRecording>()) {
            CHECK(start.leg == LegId{"c"});
            started.push_back(start.segment);
        }
        stopped += site.all<StopRecording>().size();
    };
    look();
    const LegId first = site.one<PlaceLeg>().leg;
    site.step(LegAnswered{first, {}, {}, "m"});
    look();
    const std::string agent = site.exchange.calls().at(0).at("parties").at(1).at("device").as_string().c_str();
    site.step(TransferAsked{first, agent == "1001" ? "1002" : "1001", "m", {}});
    look();
    const LegId second = site.one<PlaceLeg>().leg;
    site.step(LegAnswered{second, {}, {}, "m"});
    look();
    CHECK(started.size() == 1);
    CHECK(stopped == 0);
    site.step(LegEnded{LegId{"c"}, Cause::normal, "m"});
    look();
    CHECK(stopped == 1);
    CHECK(started.size() == 1);
}

TEST_CASE("a transfer to another site carries a link of that kind with the REFER as its evidence") {
    Talk talk;
    talk.refer("2001");
    const PlaceLeg placed = talk.site.one<PlaceLeg>();
    REQUIRE(placed.link);
    CHECK(placed.link->kind == "transfer");
    talk.site.step(LegPlaced{placed.leg, "l@x;1;INVITE"});
    const auto evidence = talk.site.fact("link.opened").at("evidence").at(0);
    CHECK(evidence.at("rule") == "own-transfer");
    CHECK(evidence.at("source") == "REFER from 1001");
    CHECK(evidence.at("value") == "2001");
    CHECK(evidence.at("messages") == boost::json::array{"a@b;2;REFER", "l@x;1;INVITE"});
}

TEST_CASE("a transfer by a trunk dials the number of its route") {
    Talk talk;
    talk.refer("933123");
    CHECK(talk.site.one<PlaceLeg>().number == "+33123");
}

TEST_CASE("a refused transfer says why and leaves the call untouched") {
    Talk talk;
    const auto before = talk.site.exchange.calls();
    int status = 0;
    SUBCASE("an unknown number") {
        talk.refer("5555");
        status = 404;
    }
    SUBCASE("an agent who is not there") {
        talk.refer("1002");
        status = 480;
    }
    SUBCASE("an agent in a call: oneself") {
        talk.refer("1001");
        status = 403;
    }
    SUBCASE("in place of its own call") {
        talk.site.step(TransferAsked{talk.agent, {}, "m", talk.agent});
        status = 403;
    }
    SUBCASE("in place of the customer's, which is another phone's") {
        talk.site.step(TransferAsked{talk.agent, {}, "m", kCustomer});
        status = 403;
    }
    SUBCASE("in place of a call that is gone") {
        talk.site.step(TransferAsked{talk.agent, {}, "m", LegId{"gone"}});
        status = 404;
    }
    SUBCASE("asked by the customer's trunk") {
        talk.site.step(TransferAsked{kCustomer, "8000", "m"});
        status = 403;
    }
    CHECK(talk.site.one<RefuseTransfer>().status == status);
    CHECK(talk.site.one<Log>().warning);
    CHECK_FALSE(talk.site.any<AcceptTransfer>());
    CHECK_FALSE(talk.site.any<SayFact>());
    CHECK(talk.site.exchange.calls() == before);
    talk.refer("8000");
    CHECK(talk.site.any<AcceptTransfer>());
}

TEST_CASE("a REFER that names a call of two other people is refused, and both calls go on") {
    Talk talk;
    talk.site.register_agent("1002");
    LegOffered other;
    other.leg = LegId{"d"};
    other.from = {DeviceKind::trunk, "carrier"};
    other.called = "1002";
    talk.site.step(other);
    const LegId foreign = talk.site.one<PlaceLeg>().leg;
    talk.site.step(LegAnswered{foreign, {}, {}, "m"});
    talk.site.step(LegConnected{other.leg, "m"});
    const auto before = talk.site.exchange.calls();
    for (const LegId& named : {foreign, other.leg}) {
        talk.site.step(TransferAsked{talk.agent, {}, "m", named});
        CHECK(talk.site.one<RefuseTransfer>().status == 403);
        CHECK_FALSE(talk.site.any<SayFact>());
        CHECK(talk.site.exchange.calls() == before);
    }
}

TEST_CASE("a transfer into a full queue is refused") {
    SiteSettings settings = london_settings();
    settings.queue_max = 1;
    Talk talk{settings};
    LegOffered other;
    other.leg = LegId{"d"};
    other.from = {DeviceKind::trunk, "carrier"};
    other.called = "8000";
    talk.site.step(other);
    talk.site.step(LegConnected{other.leg, "m"});
    talk.refer("8000");
    CHECK(talk.site.one<RefuseTransfer>().status == 486);
    talk.site.step(LegEnded{other.leg, Cause::normal, "m"});
    talk.refer("8000");
    CHECK(talk.site.any<AcceptTransfer>());
}

TEST_CASE("a transfer while nobody is connected is refused") {
    TestSite site{london_settings()};
    site.register_agent("1001");
    LegOffered offered;
    offered.leg = LegId{"a"};
    offered.from = {DeviceKind::agent, "1001"};
    offered.called = "933123";
    site.step(offered);
    site.step(TransferAsked{offered.leg, "8000", "m"});
    CHECK(site.one<RefuseTransfer>().status == 491);
    site.step(TransferAsked{LegId{"unknown"}, "8000", "m"});
    CHECK_FALSE(site.any<AcceptTransfer>());
}
