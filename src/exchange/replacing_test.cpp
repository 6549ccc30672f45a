// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "exchange/test_site.h"

using namespace sheaf;
using namespace sheaf::exchange;

namespace {

// Somebody's INVITE wants to replace one of the legs.
struct Talk : TestTalk {
    using TestTalk::TestTalk;
    void offer(const Device& from, const LegId& former, bool by_pivot = false) {
        LegOffered offered;
        offered.leg = LegId{"r"};
        offered.from = from;
        offered.replaces = Replacing{former, by_pivot};
        site.step(offered);
    }
};

}  // namespace

TEST_CASE("an agent's other phone takes over the agent's own leg") {
    Talk talk;
    talk.offer({DeviceKind::agent, "1001"}, talk.agent);
    CHECK(talk.site.one<AnswerLeg>().leg == LegId{"r"});
    CHECK_FALSE(talk.site.any<RejectLeg>());
}

TEST_CASE("a Replaces from somebody who is no party of the call is refused, and the call goes on as it was") {
    const Device foreign[] = {{DeviceKind::agent, "1002"},
                              {DeviceKind::trunk, "carrier2"},
                              {DeviceKind::trunk, "carrier"},
                              {DeviceKind::site, "paris"},
                              {DeviceKind::stranger, {}}};
    for (const Device& from : foreign) {
        for (const bool is_customers : {false, true}) {
            CAPTURE(from.name);
            Talk talk;
            talk.site.register_agent("1002");
            talk.offer(from, is_customers ? talk.customer : talk.agent);
            CHECK(talk.site.one<RejectLeg>().status == 403);
            CHECK(talk.site.effects.size() == talk.site.all<RejectLeg>().size() + talk.site.all<Log>().size());
            CHECK(talk.site.exchange.counts().legs == 2);
        }
    }
}

TEST_CASE("a pivot address lets nobody into the place of an agent or a customer") {
    Talk talk;
    talk.offer({DeviceKind::stranger, {}}, talk.agent, true);
    CHECK(talk.site.one<RejectLeg>().status == 403);
}

TEST_CASE("a Replaces that names no leg is refused with 481") {
    Talk talk;
    talk.offer({DeviceKind::agent, "1001"}, LegId{"nobody's"});
    CHECK(talk.site.one<RejectLeg>().status == 481);
}

TEST_CASE("who goes on at another phone is recorded as before, and for the same reason") {
    SiteSettings settings = london_settings();
    std::string wish, rule;
    SUBCASE("by policy") {
        rule = "agent always";
    }
    SUBCASE("on demand") {
        settings.agents[0].record = {RecordPolicy::never, 0};
        wish = "recording/start";
        rule = "on demand (CTI t)";
    }
    SUBCASE("no longer, on demand") {
        wish = "recording/stop";
    }
    SUBCASE("never") {
        settings.agents[0].record = {RecordPolicy::never, 0};
    }
    Talk talk{settings};
    const std::string call(talk.site.exchange.calls().at(0).at("calluuid").as_string());
    if (!wish.empty()) talk.site.step(CtiRequest{1, "t", {"*"}, wish, call, "1001", "", ""});
    talk.offer({DeviceKind::agent, "1001"}, talk.agent);
    talk.site.step(LegConnected{LegId{"r"}, "m"});
    CHECK(talk.site.any<StartRecording>() == !rule.empty());
    if (!rule.empty()) CHECK(talk.site.fact("segment.expected").at("rule").as_string() == rule);
    CHECK(talk.site.exchange.counts().recordings == (rule.empty() ? 0 : 1));
}

TEST_CASE("who has been told of the recording is not told again when the agent goes on at another phone") {
    SiteSettings settings = london_settings();
    settings.agents[0].consent = {{"say:recorded"}, ConsentTo::customer, 0, true};
    Talk talk{settings};
    const StartPlay told = talk.site.all<StartPlay>().back();
    REQUIRE(told.leg == talk.customer);
    talk.site.step(PlayBegan{told.leg, told.play});
    REQUIRE(talk.site.any<StartRecording>());
    bool has_heard = true;
    SUBCASE("told all of it") {
        talk.site.step(PlayEnded{told.leg, told.play});
    }
    SUBCASE("told half of it") {
        has_heard = false;
    }
    talk.offer({DeviceKind::agent, "1001"}, talk.agent);
    talk.site.step(LegConnected{LegId{"r"}, "m"});
    CHECK(talk.site.any<StartRecording>() == has_heard);
    CHECK(talk.site.any<StartPlay>() != has_heard);
    if (has_heard) return;
    talk.site.step(PlayBegan{told.leg, talk.site.one<StartPlay>().play});
    CHECK(talk.site.any<StartRecording>());
}

TEST_CASE("a recording that has failed is made again when the agent goes on at another phone") {
    Talk talk;
    const SegmentId segment = talk.site.one<StartRecording>().segment;
    talk.site.step(RecordingFailed{talk.agent, segment, "no space"});
    REQUIRE(talk.site.exchange.counts().recordings == 0);
    talk.offer({DeviceKind::agent, "1001"}, talk.agent);
    talk.site.step(LegConnected{LegId{"r"}, "m"});
    CHECK(talk.site.fact("segment.expected").at("rule") == "agent always");
}

TEST_CASE("a leg that also waits in another call is not replaced: nobody would take that over") {
    Talk talk;
    const std::string call(talk.site.exchange.calls().at(0).at("calluuid").as_string());
    talk.site.step(CtiRequest{1, "t", {"*"}, "consultation", call, "1001", "1002", ""});
    talk.site.register_agent("1002");
    talk.site.step(CtiRequest{2, "t", {"*"}, "consultation", call, "1001", "1002", ""});
    REQUIRE(talk.site.exchange.counts().calls == 2);
    talk.offer({DeviceKind::agent, "1001"}, talk.agent);
    CHECK(talk.site.one<RejectLeg>().status == 491);
    CHECK(talk.site.exchange.counts().calls == 2);
}

TEST_CASE("of two phones that take over one leg the second is refused") {
    Talk talk;
    talk.offer({DeviceKind::agent, "1001"}, talk.agent);
    LegOffered second;
    second.leg = LegId{"r2"};
    second.from = {DeviceKind::agent, "1001"};
    second.replaces = Replacing{talk.agent, false};
    talk.site.step(second);
    CHECK(talk.site.one<RejectLeg>().leg == LegId{"r2"});
    CHECK(talk.site.one<RejectLeg>().status == 491);
    talk.site.step(LegConnected{LegId{"r"}, "m"});
    CHECK(talk.site.exchange.counts().legs == 2);
}
