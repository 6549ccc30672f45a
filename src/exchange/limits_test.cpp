// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "exchange/test_site.h"

using namespace sheaf;
using namespace sheaf::exchange;
using namespace std::chrono_literals;

TEST_CASE("one call more than the site takes is refused with 503") {
    SiteSettings settings = london_settings();
    settings.calls_max = 2;
    TestSite site{settings};
    site.step(from_carrier("1", "8000"));
    site.step(from_carrier("2", "8000"));
    CHECK(site.any<AnswerLeg>());
    site.step(from_carrier("3", "8000"));
    CHECK(site.one<RejectLeg>().status == 503);
    CHECK(site.one<Log>().warning);
    CHECK_FALSE(site.any<SayFact>());
    CHECK(site.exchange.counts().calls == 2);
    site.step(LegEnded{LegId{"1"}, Cause::normal, "m"});
    site.step(from_carrier("4", "8000"));
    CHECK(site.any<AnswerLeg>());
}

TEST_CASE("make-call has the same limit") {
    SiteSettings settings = london_settings();
    settings.calls_max = 0;
    TestSite site{settings};
    site.register_agent("1002");
    site.step(CtiRequest{1, "t", {"*"}, "make-call", "", "1002", "8000", ""});
    CHECK(site.one<CtiReply>().status == 503);
}

TEST_CASE("one call more than a queue takes is refused with 486") {
    SiteSettings settings = london_settings();
    settings.queue_max = 1;
    TestSite site{settings};
    site.step(from_carrier("1", "8000"));
    site.step(LegConnected{LegId{"1"}, "m"});
    CHECK(site.exchange.counts().queued == 1);
    site.step(from_carrier("2", "8000"));
    CHECK(site.one<RejectLeg>().status == 486);
    site.step(from_carrier("3", "8001"));
    CHECK(site.any<AnswerLeg>());
}

TEST_CASE("callers who are being answered count as waiting, so a burst cannot overfill a queue") {
    SiteSettings settings = london_settings();
    settings.queue_max = 1;
    TestSite site{settings};
    site.step(from_carrier("1", "8000"));
    site.step(from_carrier("2", "8000"));
    CHECK(site.one<RejectLeg>().status == 486);
    SUBCASE("the first gives up") {
        site.step(LegEnded{LegId{"1"}, Cause::cancelled, "m"});
        site.step(from_carrier("3", "8000"));
        CHECK(site.any<AnswerLeg>());
    }
    SUBCASE("the routing point leaves the settings meanwhile") {
        settings.routing_points.clear();
        site.step(SettingsChanged{settings});
        site.step(LegConnected{LegId{"1"}, "m"});
        CHECK(site.exchange.counts().queued == 1);
        site.step(LegEnded{LegId{"1"}, Cause::normal, "m"});
        CHECK(site.exchange.counts().calls == 0);
    }
}

TEST_CASE("unknown numbers are 404, forbidden ones 403, and neither leaves a fact") {
    TestSite site{london_settings()};
    LegOffered offered = from_carrier("1", "5555");
    site.step(offered);
    CHECK(site.one<RejectLeg>().status == 404);
    offered = from_carrier("2", "933123");
    site.step(offered);
    CHECK(site.one<RejectLeg>().status == 403);
    offered = from_carrier("3", "1001");
    offered.from = {DeviceKind::stranger, ""};
    site.step(offered);
    CHECK(site.one<RejectLeg>().status == 404);  // to strangers as if there were no such number
    offered = from_carrier("4", "8000");
    offered.from = {DeviceKind::agent, "9999"};
    site.step(offered);
    CHECK(site.one<RejectLeg>().status == 403);
    CHECK_FALSE(site.any<SayFact>());
    CHECK(site.one<Log>().warning);
    offered.leg = LegId{"5"};
    offered.from = {DeviceKind::stranger, ""};
    site.step(offered);
    CHECK(site.any<AnswerLeg>());
}

TEST_CASE("what a peer sends as numbers and names cannot make a fact too long or unreadable") {
    TestSite site{london_settings()};
    LegOffered offered = from_carrier("1", "8000");
    offered.calling = std::string(100'000, '1');
    offered.calling_name = "\xFF\n";
    offered.session_id = std::string(100'000, 's');
    site.step(offered);
    CHECK(site.fact("call.started").at("ani").as_string().size() == 128);
    CHECK(site.fact("call.started").at("session_id").as_string().size() == 32);
    site.step(LegConnected{offered.leg, "m"});
    CHECK(site.fact("party.joined").at("name") == "??");
}

TEST_CASE("a shutdown ends every call, and no new one is taken") {
    TestSite site{london_settings()};
    site.register_agent("1001");
    site.step(from_carrier("1", "8000"));
    site.step(LegConnected{LegId{"1"}, "m"});
    site.step(LegAnswered{site.one<PlaceLeg>().leg, {}, {}, "m"});
    site.step(from_carrier("2", "8000"));
    site.step(LegConnected{LegId{"2"}, "m"});
    site.step(Shutdown{});
    CHECK(site.all<EndLeg>().size() == 3);
    CHECK(site.one<StopRecording>().cause == Cause::shutdown);
    CHECK(site.facts("call.ended").size() == 2);
    CHECK_FALSE(site.any<PlaceLeg>());
    CHECK(site.exchange.counts().legs == 0);
    site.step(from_carrier("3", "8000"));
    CHECK(site.one<RejectLeg>().status == 503);
}

TEST_CASE("a recording that fails is a lost segment and a warning, and the call goes on") {
    TestSite site{london_settings()};
    site.register_agent("1001");
    site.step(from_carrier("1", "8000"));
    site.step(LegConnected{LegId{"1"}, "m"});
    const LegId agent = site.one<PlaceLeg>().leg;
    site.step(LegAnswered{agent, {}, {}, "m"});
    const SegmentId segment = site.one<StartRecording>().segment;
    site.step(RecordingOpened{agent, segment});
    site.wait(3s);
    site.step(RecordingFailed{agent, segment, "disk\nfull"});
    CHECK(site.fact("segment.lost").at("segment").as_string() == segment.text());
    CHECK(site.fact("segment.lost").at("from_ms") == 3000);
    CHECK(site.one<Log>().warning);
    CHECK(site.exchange.counts().recordings == 0);
    CHECK(site.exchange.counts().legs == 2);
    site.step(LegEnded{agent, Cause::normal, "m"});
    CHECK_FALSE(site.any<StopRecording>());
}
