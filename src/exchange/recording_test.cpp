// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "exchange/test_site.h"

// What the site says of recordings that the media server never began.
using namespace sheaf;
using namespace sheaf::exchange;
using namespace std::chrono_literals;

namespace {

struct Recorded : TestSite {
    LegId agent;
    StartRecording start;

    Recorded() : TestSite(london_settings()) {
        register_agent("1001");
        LegOffered offered;
        offered.leg = LegId{"C"};
        offered.from = {DeviceKind::trunk, "carrier"};
        offered.called = "8000";
        offered.calling = "+44";
        step(offered);
        step(LegConnected{offered.leg, "m"});
        agent = one<PlaceLeg>().leg;
        step(LegAnswered{agent, {}, {}, "m"});
        start = one<StartRecording>();
    }
    void hang_up() {
        step(LegEnded{LegId{"C"}, Cause::normal, "m"});
        REQUIRE(one<StopRecording>().segment == start.segment);
    }
    void fails() { step(RecordingFailed{agent, start.segment, "ended before it began"}); }
};

}  // namespace

TEST_CASE("a recording that was over before it began is said to be lost, once") {
    Recorded site;
    std::string cause = "not-begun";
    SUBCASE("within moments") {
        site.wait(2s);
    }
    SUBCASE("the media server was not to be had for longer") {
        site.wait(2001ms);
        cause = "failed";
    }
    site.hang_up();
    CHECK(site.facts("segment.lost").empty());
    site.wait(40s);
    site.fails();
    const auto lost = site.fact("segment.lost");
    CHECK(lost.at("segment").as_string() == site.start.segment.text());
    CHECK(lost.at("calluuid").as_string() == site.start.calluuid.text());
    CHECK(lost.at("connection").as_string() == site.start.connection.text());
    CHECK(lost.at("from_ms").is_null());
    CHECK(lost.at("to_ms").is_null());
    CHECK(lost.at("cause").as_string() == cause);
    site.fails();
    CHECK(site.effects.empty());
}

TEST_CASE("a recording that did begin is never said not to have") {
    Recorded site;
    SUBCASE("before it was stopped") {
        site.step(RecordingOpened{site.agent, site.start.segment});
        site.hang_up();
    }
    SUBCASE("as was heard afterwards") {
        site.hang_up();
        site.step(RecordingOpened{site.agent, site.start.segment});
    }
    site.fails();
    CHECK(site.effects.empty());
}

TEST_CASE("a recording that fails while it is wanted is lost once") {
    Recorded site;
    site.fails();
    CHECK(site.fact("segment.lost").at("cause") == "failed");
    site.fails();
    CHECK(site.effects.empty());
    site.step(LegEnded{LegId{"C"}, Cause::normal, "m"});
    CHECK(!site.any<StopRecording>());
    site.fails();
    CHECK(site.effects.empty());
}
