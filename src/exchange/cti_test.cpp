// SPDX-License-Identifier: Apache-2.0
#include "exchange/cti.h"

#include <doctest/doctest.h>

#include "exchange/test_site.h"

using namespace sheaf;
using namespace sheaf::exchange;
using namespace std::chrono_literals;

namespace {

CtiRequest request(const std::string& service, const std::string& device = {}, const std::string& to = {}) {
    CtiRequest made;
    made.request = 7;
    made.token = "desktop";
    made.devices = {"1001", "1002"};
    made.service = service;
    made.device = device;
    made.to = to;
    return made;
}

int status(TestSite& site, const CtiRequest& asked) {
    site.step(asked);
    CHECK(site.one<CtiReply>().request == 7);
    return site.one<CtiReply>().status;
}

std::string detail(const TestSite& site) {
    return std::string(site.one<CtiReply>().body.at("detail").as_string());
}

std::vector<std::string> events(const TestSite& site) {
    std::vector<std::string> types;
    for (const CtiEvent& event : site.all<CtiEvent>()) types.push_back(event.type);
    return types;
}

// A customer who rings 1001 by the routing point; gives the call.
struct Rung {
    Rung() : site(london_settings()) {
        site.register_agent("1001");
        site.step(from_carrier("c", "8000"));
        call = site.one<AnswerLeg>().calluuid.text();
        site.step(LegConnected{LegId{"c"}, "m"});
        agent = site.one<PlaceLeg>().leg;
        site.step(LegAlerting{agent});
    }
    int ask(const std::string& service, const std::string& device, const std::string& to = {}) {
        CtiRequest asked = request(service, device, to);
        asked.calluuid = call;
        return status(site, asked);
    }
    TestSite site;
    std::string call;
    LegId agent;
};

}  // namespace

TEST_CASE("an agent's state is changed by its token, and during a call for afterwards") {
    TestSite site{london_settings()};
    CtiRequest asked = request("agent-state", "1001");
    CHECK(status(site, asked) == 400);
    CHECK(detail(site) == "state is missing");
    asked.state = "busy";
    CHECK(status(site, asked) == 400);
    asked.state = "ready";
    CHECK(status(site, asked) == 409);
    asked.device = "1003";
    CHECK(status(site, asked) == 403);
    asked.device = "9999";
    asked.devices = {"*"};
    CHECK(status(site, asked) == 404);
    asked.device = "";
    CHECK(status(site, asked) == 400);

    site.register_agent("1001");
    asked = request("agent-state", "1001");
    asked.state = "not-ready";
    CHECK(status(site, asked) == 200);
    CHECK(events(site) == std::vector<std::string>{"agent-not-ready"});
    CHECK(site.any<TellReadiness>());

    Rung rung;
    asked.state = "not-ready";
    CHECK(status(rung.site, asked) == 200);
    CHECK(rung.site.one<CtiReply>().body.at("afterwards") == "not-ready");
    rung.site.step(LegAnswered{rung.agent, {}, {}, "m"});
    rung.site.step(LegEnded{LegId{"c"}, Cause::normal, "m"});
    CHECK(rung.site.fact("agent.state").at("state") == "not-ready");
}

TEST_CASE("make-call rings the agent's own phone, which answers by itself, and then the number") {
    TestSite site{london_settings()};
    CHECK(status(site, request("make-call", "", "8000")) == 400);
    CHECK(detail(site) == "device is missing");
    CHECK(status(site, request("make-call", "1002")) == 400);
    CHECK(detail(site) == "to is missing");
    CHECK(status(site, request("make-call", "1003", "8000")) == 403);
    CHECK(status(site, request("make-call", "1002", "8000")) == 409);  // not registered
    site.register_agent("1001");
    site.register_agent("1002");
    CHECK(status(site, request("make-call", "1001", "8000")) == 409);  // no auto_answer
    CHECK(status(site, request("make-call", "1002", "5555")) == 404);
    CHECK(status(site, request("make-call", "1002", "1003")) == 409);  // not available
    CHECK(site.exchange.counts().calls == 0);

    CHECK(status(site, request("make-call", "1002", "933123")) == 200);
    const std::string call{site.one<CtiReply>().body.at("calluuid").as_string()};
    CHECK(site.one<CtiReply>().body.at("consult_calluuid").is_null());
    const PlaceLeg own = site.one<PlaceLeg>();
    CHECK(own.auto_answer);
    CHECK(own.to.name == "1002");
    CHECK(status(site, request("make-call", "1002", "8000")) == 409);  // in a call
    SUBCASE("both answer") {
        site.step(LegAnswered{own.leg, {}, {}, "m"});
        const PlaceLeg placed = site.one<PlaceLeg>();
        CHECK(placed.number == "+33123");
        CHECK(placed.calling == "1002");
        site.step(LegAnswered{placed.leg, {}, {}, "m"});
        CHECK(site.exchange.calls()[0].at("parties").as_array().size() == 2);
        site.step(LegEnded{placed.leg, Cause::normal, "m"});
        CHECK(site.one<EndLeg>().leg == own.leg);
    }
    SUBCASE("the phone does not") {
        site.step(LegFailed{own.leg, 486, {}, "m"});
        CHECK(site.fact("call.ended").at("calluuid").as_string() == call);
        CHECK(site.exchange.counts().calls == 0);
    }
    SUBCASE("the number does not") {
        site.step(LegAnswered{own.leg, {}, {}, "m"});
        site.step(LegFailed{site.one<PlaceLeg>().leg, 404, {}, "m"});
        CHECK(site.one<EndLeg>().leg == own.leg);
        CHECK(site.fact("call.ended").at("cause") == "rejected");
    }
    SUBCASE("the number means nothing any more") {
        SiteSettings settings = london_settings();
        settings.routes.clear();
        site.step(SettingsChanged{settings});
        site.step(LegAnswered{own.leg, {}, {}, "m"});
        CHECK(site.one<EndLeg>().leg == own.leg);
        CHECK(site.exchange.counts().calls == 0);
    }
}

TEST_CASE("make-call tells a phone without auto_answer to answer, where it can be told") {
    TestSite site{london_settings()};
    site.step(AgentRegistered{"1001", "sip:1001@10.0.0.1", "udp:10.0.0.1:5060", 3'600'000, true});
    CHECK(status(site, request("make-call", "1001", "933123")) == 200);
    const LegId own = site.one<PlaceLeg>().leg;
    CHECK_FALSE(site.one<PlaceLeg>().auto_answer);
    CHECK(site.one<TellToAnswer>().leg == own);
    site.step(LegAnswered{own, {}, {}, "m"});
    CHECK(site.one<PlaceLeg>().number == "+33123");
    site.register_agent("1002");  // answers by itself
    CHECK(status(site, request("make-call", "1002", "8000")) == 200);
    CHECK_FALSE(site.any<TellToAnswer>());
}

TEST_CASE("make-call to a routing point lets the agent wait there") {
    TestSite site{london_settings()};
    site.register_agent("1002");
    CHECK(status(site, request("make-call", "1002", "8000")) == 200);
    site.step(LegAnswered{site.one<PlaceLeg>().leg, {}, {}, "m"});
    CHECK(site.fact("queue.entered").at("routing_point") == "8000");
    CHECK(site.exchange.counts().queued == 1);
}

TEST_CASE("a service on a call checks call, device and state") {
    Rung rung;
    CtiRequest unknown = request("clear", "1001");
    unknown.calluuid = "nothing";
    CHECK(status(rung.site, unknown) == 404);
    CHECK(rung.ask("clear", "") == 400);
    CHECK(rung.ask("clear", "1003") == 403);
    CHECK(rung.ask("clear", "1002") == 404);
    CHECK(rung.ask("answer", "1001") == 409);
    CHECK(rung.ask("single-step-transfer", "1001") == 400);
    CHECK(rung.ask("single-step-transfer", "1001", "8000") == 409);  // it only rings
    CHECK(rung.ask("hold", "1001") == 409);
    CHECK(rung.ask("recording/start", "1001") == 409);
    CHECK(rung.ask("sing", "1001") == 404);
    CHECK(rung.site.exchange.counts().legs == 2);
    rung.site.step(LegAnswered{rung.agent, {}, {}, "m"});
    CHECK(rung.ask("answer", "1001") == 409);
    CHECK(rung.ask("single-step-transfer", "1001", "5555") == 404);
    CHECK(rung.ask("single-step-transfer", "1001", "1002") == 409);
}

TEST_CASE("a caller whose number is also an agent's is no device of that agent's token") {
    TestSite site{london_settings()};
    site.register_agent("1001");
    LegOffered offered = from_carrier("c", "8000");
    offered.calling = "1002";
    site.step(offered);
    const auto originated = site.one<CtiEvent>();
    CHECK(originated.device.device == "1002");
    CHECK_FALSE(concerns(originated, {"1002"}));
    CHECK(concerns(originated, {"*"}));
    site.step(LegConnected{offered.leg, "m"});
    site.step(LegAlerting{site.one<PlaceLeg>().leg});
    CHECK_FALSE(concerns(site.one<CtiEvent>(), {"1002"}));
    CHECK(concerns(site.one<CtiEvent>(), {"1001"}));
    CHECK(site.exchange.calls({"1002"}).empty());
    CHECK(site.exchange.calls({"1001"}).size() == 1);
    CHECK(site.exchange.calls().size() == 1);
}

TEST_CASE("a service that is asked for twice is done once, and the second is told what state it finds") {
    Rung rung;
    rung.site.step(LegAnswered{rung.agent, {}, {}, "m"});
    CHECK(rung.ask("hold", "1001") == 200);
    CHECK(rung.ask("hold", "1001") == 409);
    CHECK(rung.ask("retrieve", "1001") == 200);
    CHECK(rung.ask("retrieve", "1001") == 409);
    CHECK(rung.ask("recording/pause", "1001") == 200);
    CHECK(rung.ask("recording/pause", "1001") == 409);
    CHECK(rung.ask("consultation", "1001", "8001") == 200);
    CHECK(rung.ask("consultation", "1001", "8001") == 409);
    CHECK(rung.ask("transfer", "1001") == 200);
    CHECK(rung.ask("transfer", "1001") == 404);
    CHECK_FALSE(rung.site.any<SayFact>());
    CHECK(rung.site.exchange.counts().calls == 1);
}

TEST_CASE("clear hangs up for an agent who talks, and declines for one who is rung") {
    Rung rung;
    SUBCASE("talks") {
        rung.site.step(LegAnswered{rung.agent, {}, {}, "m"});
        CHECK(rung.ask("clear", "1001") == 200);
        CHECK(rung.site.all<EndLeg>().size() == 2);
        CHECK(rung.site.all<StopRecording>().size() == 1);
        CHECK(rung.site.exchange.counts().calls == 0);
    }
    SUBCASE("is rung") {
        CHECK(rung.ask("clear", "1001") == 200);
        CHECK(rung.site.one<EndLeg>().leg == rung.agent);
        CHECK(rung.site.exchange.counts().queued == 1);
        CHECK_FALSE(rung.site.any<PlaceLeg>());
    }
}

TEST_CASE("a transfer by CTI does what a REFER does, and says who asked") {
    Rung rung;
    rung.site.step(LegAnswered{rung.agent, {}, {}, "m"});
    CHECK(rung.ask("single-step-transfer", "1001", "2001") == 200);
    CHECK(rung.site.one<CtiReply>().body.at("calluuid").as_string() == rung.call);
    CHECK_FALSE(rung.site.any<AcceptTransfer>());
    CHECK(rung.site.one<EndLeg>().leg == rung.agent);
    rung.site.step(LegPlaced{rung.site.one<PlaceLeg>().leg, "m"});
    CHECK(rung.site.fact("link.opened").at("evidence").at(0).at("source") == "CTI desktop");
}

TEST_CASE("a call into which somebody is being called is not transferred meanwhile") {
    Rung rung;
    rung.site.step(LegAnswered{rung.agent, {}, {}, "m"});
    CHECK(rung.ask("single-step-conference", "1001", "8001") == 200);
    CHECK(rung.site.fact("queue.entered").at("routing_point") == "8001");
    for (const char* to : {"8000", "8001", "2001"}) {
        CAPTURE(to);
        CHECK(rung.ask("single-step-transfer", "1001", to) == 409);
        rung.site.step(TransferAsked{rung.agent, to, "m", {}});
        CHECK(rung.site.one<RefuseTransfer>().status == 491);
    }
    rung.site.pass(60s);  // it waits for somebody, and serving it comes to an end each time
    CHECK(rung.site.exchange.counts().queued == 1);
    rung.site.step(LegEnded{LegId{"c"}, Cause::normal, "m"});
    CHECK(rung.site.exchange.counts().calls == 0);
    CHECK(rung.site.exchange.counts().queued == 0);
}

TEST_CASE("events tell a call's life in CSTA's words") {
    Rung rung;
    CHECK(events(rung.site) == std::vector<std::string>{"delivered"});
    rung.site.step(LegAnswered{rung.agent, {}, {}, "m"});
    CHECK(events(rung.site) == std::vector<std::string>{"diverted", "recording-started", "established"});
    const boost::json::object event = json_of(rung.site.all<CtiEvent>().back(), WallTime{});
    CHECK(event.at("calluuid").as_string() == rung.call);
    CHECK(event.at("device") == "1001");
    CHECK(event.at("parties").as_array().size() == 2);
    CHECK(event.at("parties").at(1).at("state") == "connected");
    // On hold is the connection of whoever holds (ECMA-269); the other's is connected, and a snapshot says held by
    // whom.
    const auto states = [&] {
        std::string text;
        for (const auto& party : json_of(rung.site.all<CtiEvent>().back(), WallTime{}).at("parties").as_array())
            (text += party.at("state").as_string()) += ' ';
        return text;
    };
    const auto held_by = [&] { return rung.site.exchange.calls().at(0).at("parties").at(0).at("held_by"); };
    rung.site.step(LegHeld{rung.agent});
    CHECK(events(rung.site) == std::vector<std::string>{"held"});
    CHECK(states() == "connected hold ");
    CHECK(held_by().is_string());
    rung.site.step(LegRetrieved{rung.agent});
    CHECK(events(rung.site) == std::vector<std::string>{"retrieved"});
    CHECK(states() == "connected connected ");
    CHECK(held_by().is_null());
    rung.site.step(LegEnded{LegId{"c"}, Cause::normal, "m"});
    CHECK(events(rung.site) ==
          std::vector<std::string>{"connection-cleared", "recording-stopped", "connection-cleared", "agent-ready"});
}

TEST_CASE("a token sees its own devices' calls and agents") {
    Rung rung;
    rung.site.step(request("calls"));
    CHECK(rung.site.one<CtiReply>().body.as_array().size() == 1);
    rung.site.step(request("agents"));
    CHECK(rung.site.one<CtiReply>().body.as_array().size() == 2);
    CtiRequest other = request("calls");
    other.devices = {"1003"};
    rung.site.step(other);
    CHECK(rung.site.one<CtiReply>().body.as_array().empty());
    other.service = "agents";
    other.devices = {"*"};
    rung.site.step(other);
    CHECK(rung.site.one<CtiReply>().body.as_array().size() == 3);
}
