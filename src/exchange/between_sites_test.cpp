// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "exchange/test_site.h"

using namespace sheaf;
using namespace sheaf::exchange;
using namespace std::chrono_literals;

namespace {

LegOffered from_site(const std::string& site, bool with_link = true) {
    LegOffered offered;
    offered.leg = LegId{"in"};
    offered.from = {DeviceKind::site, site};
    offered.called = "1001";
    offered.calling = "+44";
    offered.message = "x@paris;1;INVITE";
    if (with_link) offered.link = LinkHeader{LinkId{"link"}, CallUuid{"theirs"}, CallUuid{"root"}, "transfer", false};
    return offered;
}

}  // namespace

TEST_CASE("a call with a believed header belongs to its root, and both moments of the link are said") {
    TestSite site{london_settings()};
    site.register_agent("1001");
    site.step(from_site("paris"));
    const auto started = site.fact("call.started");
    CHECK(started.at("root") == "root");
    CHECK(started.at("direction") == "inter-site");
    const auto opened = site.fact("link.opened");
    CHECK(opened.at("from") == "theirs");
    CHECK(opened.at("to") == started.at("calluuid"));
    CHECK(opened.at("half") == "to");
    CHECK(opened.at("tier") == 1);
    CHECK(opened.at("kind") == "transfer");
    CHECK(opened.at("evidence").at(0).at("rule") == "signed-header");
    CHECK(opened.at("evidence").at(0).at("messages").at(0) == "x@paris;1;INVITE");
    const LegId agent = site.one<PlaceLeg>().leg;
    site.step(LegAlerting{agent});
    CHECK(site.one<RingLeg>().leg == LegId{"in"});
    CHECK(site.one<RingLeg>().calluuid.text() == started.at("calluuid").as_string());
    site.step(LegAnswered{agent, {}, {}, "m"});
    CHECK(site.one<AnswerLeg>().leg == LegId{"in"});
    CHECK(site.one<StartRecording>().leg == agent);
    site.step(LegConnected{LegId{"in"}, "m"});
    CHECK(site.fact("link.answered").at("half") == "to");
    CHECK(site.fact("link.answered").at("status") == 200);
    CHECK(site.fact("party.joined").at("link") == "link");
    site.step(LegEnded{LegId{"in"}, Cause::normal, "m"});
    CHECK(site.fact("link.ended").at("link") == "link");
}

TEST_CASE("a call without a believed header is a call of its own") {
    TestSite site{london_settings()};
    site.register_agent("1001");
    LegOffered offered = from_site("paris", false);
    SUBCASE("none came") {}
    SUBCASE("its ids are no ids") {
        offered.link = LinkHeader{LinkId{"li nk"}, CallUuid{"u"}, CallUuid{"r"}, "route", false};
    }
    SUBCASE("a stranger's is not looked at") {
        offered = from_site("paris");
        offered.from = {DeviceKind::stranger, ""};
        offered.called = "8000";
    }
    site.step(offered);
    CHECK(site.fact("call.started").at("root") == site.fact("call.started").at("calluuid"));
    CHECK(site.facts("link.opened").empty());
}

TEST_CASE("the half of a link is there also when the agent cannot take the call") {
    TestSite site{london_settings()};
    int status = 480;
    SUBCASE("not registered") {}
    SUBCASE("not ready") {
        site.register_agent("1001");
        site.step(CtiRequest{1, "t", {"*"}, "agent-state", "", "1001", "", "not-ready"});
    }
    SUBCASE("busy") {
        site.register_agent("1001");
        site.step(from_site("hub"));
        status = 486;
    }
    LegOffered offered = from_site("paris");
    offered.leg = LegId{"in2"};
    site.step(offered);
    CHECK(site.one<RejectLeg>().status == status);
    CHECK(site.fact("link.answered").at("status") == status);
    CHECK(site.facts("link.ended").size() == 1);
    CHECK(site.fact("call.ended").at("calluuid") == site.fact("call.started").at("calluuid"));
    CHECK(site.one<RejectLeg>().calluuid.text() == site.fact("call.started").at("calluuid").as_string());
}

TEST_CASE("an agent who does not answer another site's call refuses it with 480") {
    TestSite site{london_settings()};
    site.register_agent("1001");
    site.step(from_site("paris"));
    site.pass(20s);
    CHECK(site.one<RejectLeg>().status == 480);
    CHECK(site.fact("link.answered").at("status") == 480);
    CHECK(site.fact("agent.state").at("state") == "not-ready");
    CHECK(site.exchange.counts().calls == 0);
}

TEST_CASE("the agent is not recorded twice when the sender records the leg, unless the site wants it") {
    TestSite site{london_settings()};
    site.register_agent("1001");
    bool recorded = false;
    LegOffered offered = from_site("paris");
    SUBCASE("the sender records") {
        offered.link->sender_records = true;
    }
    SUBCASE("the sender records, and so do we") {
        offered = from_site("hub");
        offered.link->sender_records = true;
        recorded = true;
    }
    SUBCASE("the sender does not") {
        recorded = true;
    }
    site.step(offered);
    site.step(LegAnswered{site.one<PlaceLeg>().leg, {}, {}, "m"});
    CHECK(site.any<StartRecording>() == recorded);
}

TEST_CASE("the routing point's recording of a leg to a site is told to that site") {
    SiteSettings settings = london_settings();
    settings.routing_points[0].record.policy = RecordPolicy::always;
    TestSite site{settings};
    site.step(RemoteAgents{"paris", "b", 1, {{"2001", "ready", 0}}});
    LegOffered offered;
    offered.leg = LegId{"c"};
    offered.from = {DeviceKind::trunk, "carrier"};
    offered.called = "8000";
    site.step(offered);
    site.step(LegConnected{offered.leg, "m"});
    const PlaceLeg placed = site.one<PlaceLeg>();
    REQUIRE(placed.link);
    CHECK(placed.link->sender_records);
    site.step(LegPlaced{placed.leg, "m"});
    const auto opened = site.fact("link.opened");
    CHECK(opened.at("tier") == 0);
    CHECK(opened.at("to").is_null());
    CHECK(opened.at("evidence").at(0).at("rule") == "own-route");
    CHECK(opened.at("evidence").at(0).at("source") == "routing point 8000");
    site.step(LegAnswered{placed.leg, CallUuid{"theirs"}, {}, "m"});
    CHECK(site.fact("segment.expected").at("rule") == "routing point always");
    CHECK(site.fact("link.answered").at("peer_calluuid") == "theirs");
}

TEST_CASE("who calls a number of another site gets through, and hears that site's refusal") {
    TestSite site{london_settings()};
    site.register_agent("1001");
    LegOffered offered;
    offered.leg = LegId{"a"};
    offered.from = {DeviceKind::agent, "1001"};
    offered.called = "2001";
    site.step(offered);
    CHECK(site.fact("call.started").at("direction") == "internal");
    const PlaceLeg placed = site.one<PlaceLeg>();
    CHECK(placed.to.name == "paris");
    CHECK(placed.calling == "1001");
    CHECK(placed.calling_name == "Ada");
    SUBCASE("answered") {
        site.step(LegPlaced{placed.leg, "m"});
        site.step(LegAnswered{placed.leg, CallUuid{"theirs"}, {}, "m"});
        CHECK_FALSE(site.any<StartRecording>());
        site.step(LegConnected{offered.leg, "m"});
        CHECK(site.fact("segment.expected").at("rule") == "agent always");
    }
    SUBCASE("refused before the INVITE went: no link was opened") {
        site.step(LegFailed{placed.leg, 503, {}, ""});
        CHECK(site.facts("link.answered").empty());
        CHECK(site.facts("link.ended").empty());
        CHECK(site.one<RejectLeg>().status == 503);
    }
    SUBCASE("refused") {
        site.step(LegPlaced{placed.leg, "m"});
        site.step(LegFailed{placed.leg, 486, CallUuid{"theirs"}, "m"});
        CHECK(site.fact("link.answered").at("status") == 486);
        CHECK(site.fact("link.answered").at("peer_calluuid") == "theirs");
        CHECK(site.one<RejectLeg>().status == 486);
        CHECK(site.fact("agent.state").at("state") == "ready");
        CHECK(site.exchange.counts().calls == 0);
    }
}

TEST_CASE("a site that has not signed its call does not dial out by a trunk") {
    TestSite site{london_settings()};
    LegOffered offered;
    offered.leg = LegId{"a"};
    offered.from = {DeviceKind::site, "paris"};
    offered.called = "933123";
    site.step(offered);
    CHECK(site.one<RejectLeg>().status == 403);
    offered.leg = LegId{"b"};
    offered.link = LinkHeader{LinkId{"l"}, CallUuid{"u"}, CallUuid{"u"}, "route", false};
    site.step(offered);
    CHECK(site.one<PlaceLeg>().to == Device{DeviceKind::trunk, "carrier"});
}

TEST_CASE("an agent calls out by a trunk, and both connections are recorded as their policies say") {
    SiteSettings settings = london_settings();
    settings.trunks[0].record = {RecordPolicy::percentage, 100};
    TestSite site{settings};
    site.register_agent("1001");
    LegOffered offered;
    offered.leg = LegId{"a"};
    offered.from = {DeviceKind::agent, "1001"};
    offered.called = "933123";
    site.step(offered);
    CHECK(site.fact("call.started").at("direction") == "outbound");
    const PlaceLeg placed = site.one<PlaceLeg>();
    CHECK(placed.to == Device{DeviceKind::trunk, "carrier"});
    CHECK(placed.number == "+33123");
    CHECK_FALSE(placed.link);
    site.step(LegAnswered{placed.leg, {}, {}, "m"});
    CHECK(site.fact("segment.expected").at("rule") == "trunk 100%");
    site.step(LegConnected{offered.leg, "m"});
    CHECK(site.fact("segment.expected").at("rule") == "agent always");
    CHECK(site.exchange.counts().recordings == 2);
    site.step(LegEnded{placed.leg, Cause::normal, "m"});
    CHECK(site.all<StopRecording>().size() == 2);
    CHECK(site.exchange.counts().legs == 0);
}

TEST_CASE("a leg whose place is being taken may end before that is acknowledged, and nobody is cut off") {
    TestSite site{london_settings()};
    site.register_agent("1001");
    site.step(from_site("paris"));
    const LegId agent = site.one<PlaceLeg>().leg;
    site.step(LegAnswered{agent, {}, {}, "m"});
    site.step(LegConnected{LegId{"in"}, "m"});
    LegOffered replacing;
    replacing.leg = LegId{"customer"};
    replacing.from = {DeviceKind::trunk, "carrier"};
    replacing.replaces = Replacing{LegId{"in"}, true};
    site.step(replacing);
    REQUIRE(site.one<AnswerLeg>().leg == LegId{"customer"});
    site.step(LegEnded{LegId{"in"}, Cause::normal, "m"});
    CHECK_FALSE(site.any<EndLeg>());
    CHECK_FALSE(site.any<StopRecording>());
    CHECK(site.fact("party.left").at("cause") == "transferred");
    CHECK(site.fact("link.ended").at("link") == "link");
    SUBCASE("acknowledged") {
        site.step(LegConnected{LegId{"customer"}, "m"});
        CHECK(site.fact("party.joined").at("role") == "customer");
        CHECK_FALSE(site.any<EndLeg>());
        site.step(LegEnded{LegId{"customer"}, Cause::normal, "m"});
    }
    SUBCASE("never") {
        site.step(LegEnded{LegId{"customer"}, Cause::lost_control, "m"});
    }
    CHECK(site.one<EndLeg>().leg == agent);
    CHECK(site.all<StopRecording>().size() == 1);
    CHECK(site.exchange.counts().calls == 0);
    CHECK(site.exchange.counts().legs == 0);
}

namespace {

// 1001 talks with somebody behind a site that wants its calls back, and consults somebody there.
struct PassedBack {
    PassedBack() : site(settings()) {
        site.register_agent("1001");
        site.step(from_site("paris", false));
        agent = site.one<PlaceLeg>().leg;
        site.step(LegAnswered{agent, {}, {}, "m"});
        site.step(LegConnected{LegId{"in"}, "m"});
        LegOffered consults;
        consults.leg = LegId{"second"};
        consults.from = {DeviceKind::agent, "1001"};
        consults.called = "22001";
        site.step(consults);
        out = site.one<PlaceLeg>().leg;
        site.step(LegAnswered{out, {}, {}, "m"});
        site.step(LegConnected{consults.leg, "m"});
    }
    static SiteSettings settings() {
        SiteSettings settings = london_settings();
        settings.peers[0].return_transfers = true;
        return settings;
    }
    void ask() { site.step(TransferAsked{LegId{"second"}, {}, "m", agent}); }
    // What the agent's desktop hears of it.
    [[nodiscard]] bool tells(const char* type) const {
        return std::ranges::any_of(site.all<CtiEvent>(), [&](const CtiEvent& event) {
            return event.type == type && event.device.device == "1001";
        });
    }
    TestSite site;
    LegId agent, out;
};

}  // namespace

TEST_CASE("a site that ends both legs has taken a transfer back, whether it says so or not") {
    PassedBack talk;
    talk.site.step(TransferAsked{talk.agent, {}, "m", LegId{"second"}});
    REQUIRE(talk.site.one<ReferLeg>().leg == LegId{"in"});
    talk.site.step(LegEnded{talk.out, Cause::normal, "m"});
    CHECK_FALSE(talk.site.any<TransferResult>());
    talk.site.step(LegEnded{LegId{"in"}, Cause::normal, "m"});
    CHECK(talk.site.one<TransferResult>().leg == talk.agent);
    CHECK(talk.site.one<TransferResult>().status == 200);
    CHECK(talk.tells("transferred"));
    CHECK(talk.site.facts("party.left").front().at("cause") == "transferred");
    CHECK(talk.site.exchange.counts().legs == 0);
}

TEST_CASE("a transfer between two calls of one site goes back to it, once, and its end is told to the agent's phone") {
    PassedBack talk;
    talk.ask();
    CHECK(talk.site.one<ReferLeg>().leg == LegId{"in"});
    CHECK(talk.site.one<ReferLeg>().over == talk.out);
    SUBCASE("asked for again meanwhile, it is refused and nothing is asked of the site") {
        talk.ask();
        CHECK(talk.site.one<RefuseTransfer>().status == 491);
        CHECK_FALSE(talk.site.any<ReferLeg>());
    }
    SUBCASE("the site says how it ended") {
        talk.site.step(LegReferred{LegId{"in"}, 200});
        CHECK(talk.site.one<TransferResult>().status == 200);
        CHECK(talk.tells("transferred"));
    }
    SUBCASE("the customer hangs up meanwhile") {
        talk.site.step(LegEnded{LegId{"in"}, Cause::normal, "m"});
        CHECK(talk.site.one<TransferResult>().status == 487);
        CHECK(talk.tells("failed"));
        CHECK(talk.site.facts("party.left").front().at("cause") == "normal");
        CHECK(talk.site.exchange.counts().calls == 1);
    }
    SUBCASE("the site cannot") {
        talk.site.step(LegReferred{LegId{"in"}, 603});
        CHECK(talk.site.one<TransferResult>().status == 603);
        CHECK(talk.tells("failed"));
        CHECK(talk.site.exchange.counts().calls == 2);
        talk.ask();
        CHECK(talk.site.any<ReferLeg>());
    }
}

TEST_CASE("after a Replaces every neighbour is told the call's state, also one for whom nothing has changed") {
    TestSite site{london_settings()};
    site.register_agent("1001");
    site.step(from_site("paris", false));
    const LegId agent = site.one<PlaceLeg>().leg;
    site.step(LegAnswered{agent, {}, {}, "m"});
    site.step(LegConnected{LegId{"in"}, "m"});
    LegOffered other;
    other.leg = LegId{"other phone"};
    other.from = {DeviceKind::agent, "1001"};
    other.replaces = Replacing{agent, false};
    site.step(other);
    site.step(LegConnected{other.leg, "m"});
    CHECK(site.one<TellLeg>().leg == LegId{"in"});
    site.step(LegAlerting{LegId{"in"}, {}});
    CHECK_FALSE(site.any<TellLeg>());
}

TEST_CASE("who asked for a transfer back hears of it when another takes the place of the leg that was asked") {
    PassedBack talk;
    talk.ask();
    REQUIRE(talk.site.one<ReferLeg>().leg == LegId{"in"});
    LegOffered customer;
    customer.leg = LegId{"customer"};
    customer.from = {DeviceKind::trunk, "carrier"};
    customer.replaces = Replacing{LegId{"in"}, true};
    talk.site.step(customer);
    SUBCASE("with its ACK") {
        talk.site.step(LegConnected{LegId{"customer"}, "m"});
    }
    SUBCASE("the former ends first") {
        talk.site.step(LegEnded{LegId{"in"}, Cause::normal, "m"});
    }
    CHECK(talk.site.one<TransferResult>().status == 487);
    talk.site.step(LegConnected{LegId{"customer"}, "m"});
    talk.ask();
    CHECK_FALSE(talk.site.any<RefuseTransfer>());  // nothing is being changed any more
}
