// SPDX-License-Identifier: Apache-2.0
#include "exchange/consult.h"

#include <doctest/doctest.h>

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
