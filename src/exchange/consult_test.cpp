// SPDX-License-Identifier: Apache-2.0
#include "exchange/consult.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "exchange/test_site.h"

using namespace sheaf;
using namespace sheaf::exchange;
using namespace std::chrono_literals;

TEST_CASE("a consult completed while it waits gives the customer its place, before whoever came after the consult") {
    TestSite site{london_settings()};
    site.register_agent("1001");
    site.step(from_carrier("c", "8000"));
    const CallUuid call = site.one<AnswerLeg>().calluuid;
    site.step(LegConnected{LegId{"c"}, "m"});
    const LegId agent = site.one<PlaceLeg>().leg;
    site.step(LegAnswered{agent, {}, {}, "m"});
    CtiRequest asked;
    asked.token = "desktop";
    asked.devices = {"*"};
    asked.device = "1001";
    asked.calluuid = call.text();
    asked.service = "consultation";
    asked.to = "8001";
    site.step(asked);
    REQUIRE(site.one<CtiReply>().status == 200);
    site.pass(5s);
    site.step(from_carrier("later", "8001"));
    site.step(LegConnected{LegId{"later"}, "m"});
    site.pass(5s);
    asked.service = "transfer";
    asked.to.clear();
    site.step(asked);
    REQUIRE(site.one<CtiReply>().status == 200);
    CHECK(site.fact("call.merged").at("into").as_string() == call.text());
    site.register_agent("1002");
    CHECK(site.one<PlaceLeg>().room == RoomId{call.text()});
}

namespace {

// 1001 talks with a customer and consults somebody at paris, who has answered.
struct Consulting : TestTalk {
    Consulting() {
        call = std::string(site.exchange.calls().at(0).at("calluuid").as_string());
        ask("consultation", "22001");
        opened = site.facts("link.opened");
        leg = site.one<PlaceLeg>().leg;
        site.step(LegPlaced{leg, "m"});
        sent = site.facts("link.opened");
        site.step(LegAnswered{leg, CallUuid{"theirs"}, {}, "m"});
    }
    void ask(const std::string& service, const std::string& to = {}) {
        site.step(CtiRequest{1, "t", {"*"}, service, call, "1001", to, ""});
        REQUIRE(site.one<CtiReply>().status == 200);
    }
    std::string call;
    LegId leg;
    std::vector<boost::json::object> opened, sent;
};

}  // namespace

TEST_CASE("a consult call is linked from its main call from its first moment") {
    const Consulting talk;
    REQUIRE(talk.opened.size() == 1);
    CHECK(talk.opened[0].at("kind") == "consult");
    CHECK(talk.opened[0].at("half") == "both");
    CHECK(talk.opened[0].at("from").as_string() == talk.call);
    CHECK(talk.opened[0].at("evidence").at(0).at("rule") == "own-consult");
}

TEST_CASE("as a consult is completed its link to the other site is one of the main call's") {
    Consulting talk;
    REQUIRE(talk.sent.size() == 1);
    const auto former = talk.sent[0].at("link").as_string();
    talk.ask("transfer");
    const auto ended = talk.site.facts("link.ended");
    CHECK(std::ranges::any_of(ended, [&](const auto& fact) { return fact.at("link").as_string() == former; }));
    const auto moved = talk.site.fact("link.opened");
    REQUIRE_FALSE(moved.empty());
    CHECK(moved.at("moved_from").as_string() == former);
    CHECK(moved.at("from").as_string() == talk.call);
    CHECK(moved.at("to") == "theirs");
    CHECK(moved.at("kind") == "transfer");
}

TEST_CASE("the end of the leg that a trunk was asked to leave is a transfer, and nobody has hung up") {
    Consulting talk;
    talk.ask("transfer");
    REQUIRE(talk.site.one<ReferLeg>().leg == talk.customer);
    CHECK(talk.site.one<ReferLeg>().over == talk.leg);
    talk.site.step(LegEnded{talk.leg, Cause::normal, "m"});
    const auto left = talk.site.facts("party.left");
    REQUIRE_FALSE(left.empty());
    for (const auto& fact : left) CHECK(fact.at("cause") == "transferred");
    CHECK(talk.site.fact("call.ended").at("cause") == "transferred");
}

TEST_CASE("a hold by phone in a consult on the same leg is one in the main call when the leg returns to it") {
    Consulting talk;
    talk.site.step(LegHeld{talk.agent});
    SUBCASE("the consult is over") {
        talk.site.step(LegEnded{talk.leg, Cause::normal, "m"});
    }
    SUBCASE("it becomes a conference") {
        talk.ask("conference");
    }
    CHECK_FALSE(talk.site.any<ResumeRecording>());
    talk.site.step(LegRetrieved{talk.agent});
    const auto moves = talk.site.all<MoveLeg>();
    REQUIRE_FALSE(moves.empty());
    CHECK(moves.back().leg == talk.agent);
    CHECK(moves.back().room == RoomId{talk.call});
    CHECK(talk.site.any<ResumeRecording>());
}

TEST_CASE("a call that waits is not completed while the customer's has just begun") {
    TestSite site{london_settings()};
    site.register_agent("1001");
    auto offered = from_carrier("c", "1001");
    site.step(offered);
    const LegId agent = site.one<PlaceLeg>().leg;
    const std::string call(site.fact("call.started").at("calluuid").as_string());
    site.step(LegAnswered{agent, {}, {}, "m"});  // the customer's ACK is on its way
    const auto ask = [&](const std::string& service, const std::string& to) {
        site.step(CtiRequest{1, "t", {"*"}, service, call, "1001", to, ""});
        return site.one<CtiReply>().status;
    };
    REQUIRE(ask("consultation", "8001") == 200);
    CHECK(ask("transfer", "") == 409);
    site.step(LegConnected{LegId{"c"}, "m"});
    CHECK(ask("transfer", "") == 200);
    CHECK(site.exchange.counts().queued == 1);
}
