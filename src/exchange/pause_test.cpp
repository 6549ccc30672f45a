// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "exchange/state.h"
#include "exchange/test_site.h"

using namespace sheaf;
using namespace sheaf::exchange;
using namespace std::chrono_literals;

namespace {

const LegId kIn{"in"};
const LinkId kLink{"link"};

// Agent 1001 at london, recorded, in a call that has come from paris.
struct Linked : TestSite {
    LegId agent;
    SegmentId segment;
    CallUuid call;
    Linked() : TestSite(london_settings()) {
        register_agent("1001");
        LegOffered offered;
        offered.leg = kIn;
        offered.from = {DeviceKind::site, "paris"};
        offered.called = "1001";
        offered.calling = "+44";
        offered.message = "m";
        offered.link = LinkHeader{kLink, CallUuid{"theirs"}, CallUuid{"root"}, "transfer", false};
        step(offered);
        agent = one<PlaceLeg>().leg;
        call = CallUuid(std::string(fact("call.started").at("calluuid").as_string()));
        step(LegAnswered{agent, {}, {}, "m"});
        segment = one<StartRecording>().segment;
        step(LegConnected{kIn, "m"});
        step(RecordingOpened{agent, segment});
        wait(10s);
    }
    void tell(bool on, std::int64_t ago_ms, const std::string& id = "p1") {
        step(PauseTold{"paris", kLink, on, {"agent 2001", id, 0, ago_ms}});
    }
    [[nodiscard]] bool silences(std::int64_t back_ms) const {
        const auto silence = one<SilenceRecording>();
        return silence.leg == agent && silence.segment == segment && silence.silence.label == "paused" &&
               silence.silence.by == "agent 2001" && silence.back_ms == back_ms;
    }
    void silenced() { step(RecordingSilenced{agent, segment, "paused"}); }
    void ask(const std::string& service) {
        step(CtiRequest{1, "t", {"*"}, service, call.text(), "1001", "", ""});
        REQUIRE(one<CtiReply>().status == 200);
    }
};

}  // namespace

TEST_CASE("a pause told by another site is confirmed when nothing of it is stored any more") {
    Linked site;
    site.tell(true, 300);
    CHECK(site.silences(300));
    CHECK(!site.any<ConfirmPause>());
    site.step(RecordingSilenced{site.agent, site.segment, "hold"});
    CHECK(!site.any<ConfirmPause>());
    site.silenced();
    CHECK(site.one<ConfirmPause>().site == "paris");
    CHECK(site.one<ConfirmPause>().link == kLink);
    CHECK(site.one<ConfirmPause>().pause == "p1");
    SUBCASE("a word of it from longer ago erases more") {
        site.tell(true, 500);
        CHECK(site.silences(500));
    }
    SUBCASE("once more after its end, it is confirmed again") {
        site.tell(false, 0);
        CHECK(site.one<ResumeRecording>().label == "paused");
        site.wait(600ms);
        site.tell(true, 900);
        CHECK(!site.any<SilenceRecording>());
        CHECK(site.one<ConfirmPause>().pause == "p1");
    }
    SUBCASE("a word from longer ago after its end erases more, and nothing of what was said after it") {
        site.tell(false, 0);
        site.wait(600ms);
        site.tell(true, 1'200);
        CHECK(site.silences(1'200));
        CHECK(site.one<SilenceRecording>().is_over);
        CHECK(!site.any<ResumeRecording>());
        CHECK(!site.any<ConfirmPause>());
        site.silenced();
        CHECK(site.one<ConfirmPause>().pause == "p1");
        site.tell(true, 1'200);
        CHECK(!site.any<SilenceRecording>());
        CHECK(site.one<ConfirmPause>().pause == "p1");
    }
    SUBCASE("another pause beside it erases, too, and is confirmed by itself") {
        site.tell(true, 2'000, "p0");
        CHECK(site.silences(2'000));
        CHECK(!site.any<ConfirmPause>());
        site.silenced();
        CHECK(site.one<ConfirmPause>().pause == "p0");
    }
}

TEST_CASE("two pauses that cross are two: when one is over the other is in force, with nothing stored in between") {
    Linked site;
    site.ask("recording/pause");
    site.silenced();
    site.wait(100ms);
    site.tell(true, 50);
    site.silenced();
    CHECK(site.one<ConfirmPause>().pause == "p1");
    site.wait(2s);
    SUBCASE("ours is over first") {
        site.ask("recording/resume");
        CHECK(site.one<ResumeRecording>().label == "paused");
        CHECK(site.silences(0));
        CHECK(site.fact("recording.resumed").at("calluuid").as_string() == site.call.text());
        CHECK(site.fact("pause.told").at("pause") == "p1");
        site.wait(1s);
        site.tell(false, 0);
        CHECK(site.one<ResumeRecording>().label == "paused");
        CHECK_FALSE(site.any<SilenceRecording>());
    }
    SUBCASE("theirs is over first") {
        site.tell(false, 0);
        CHECK_FALSE(site.any<ResumeRecording>());
        site.ask("recording/resume");
        CHECK(site.one<ResumeRecording>().label == "paused");
        CHECK_FALSE(site.any<SilenceRecording>());
    }
    SUBCASE("their leg has gone by then") {
        site.step(LegEnded{kIn, Cause::normal, "m"});
        CHECK(site.exchange.counts().calls == 0);
    }
}

TEST_CASE("beside the pause in force so many wait for its end, and of one more the oldest is forgotten") {
    Linked site;
    site.ask("recording/pause");
    site.silenced();
    for (std::size_t i = 0; i <= kPausesBesideMax; ++i) {
        site.wait(10ms);
        site.tell(true, 0, "p" + std::to_string(i));
        CHECK(site.any<SilenceRecording>());  // forgotten or not, what was stored since it began is erased
        site.silenced();
    }
    site.ask("recording/resume");
    CHECK(site.fact("pause.told").at("pause") == "p1");
    CHECK(site.any<SilenceRecording>());
    site.tell(false, 0, "p0");
    CHECK_FALSE(site.any<ResumeRecording>());
    for (std::size_t i = 1; i <= kPausesBesideMax; ++i) {
        site.tell(false, 0, "p" + std::to_string(i));
        CHECK(site.any<SilenceRecording>() == (i < kPausesBesideMax));  // the next one is in force
    }
    CHECK(site.one<ResumeRecording>().label == "paused");
}

TEST_CASE("a state that was on its way when a pause was told beside it ends it only until the next one names it") {
    Linked site;
    SiteState state;
    const auto told = [&](std::optional<SitePause> paused) {
        ++state.seq;
        state.paused = std::move(paused);
        site.step(LegTold{kIn, state});
    };
    site.tell(true, 100);
    told(std::nullopt);
    CHECK(site.one<ResumeRecording>().label == "paused");
    site.wait(50ms);
    SUBCASE("it is in force again, and what was stored meanwhile is erased") {
        told(SitePause{"agent 2001", "p1", 0, 200});
        CHECK(site.silences(200));
        site.tell(false, 0);
        CHECK(site.one<ResumeRecording>().label == "paused");
        told(SitePause{"agent 2001", "p1", 0, 100});  // somebody has said that it is over
        CHECK(!site.any<SilenceRecording>());
    }
    SUBCASE("the word beside the dialog once more is none of that kind: it may be an old one") {
        site.tell(true, 150);
        CHECK(!site.any<SilenceRecording>());
    }
}

TEST_CASE("a pause that is over before the media server has answered is confirmed all the same") {
    Linked site;
    site.tell(true, 300);
    site.tell(false, 0);
    CHECK(!site.any<ConfirmPause>());
    site.silenced();
    CHECK(site.one<ConfirmPause>().pause == "p1");
}

TEST_CASE("what has ended before the pause was told is erased, and only then the pause confirmed") {
    Linked site;
    SUBCASE("the call is over") {
        site.step(LegEnded{kIn, Cause::normal, "m"});
    }
    SUBCASE("the call is over while the media server was to silence it") {
        site.tell(true, 100);
        site.step(LegEnded{kIn, Cause::normal, "m"});
    }
    CHECK(site.exchange.counts().calls == 0);
    site.wait(2s);
    site.tell(true, 2'500);
    CHECK(site.silences(2'500));
    CHECK(!site.any<ConfirmPause>());
    site.silenced();
    CHECK(site.one<ConfirmPause>().pause == "p1");
    site.tell(true, 1'000, "later");  // when nothing was recorded any more
    CHECK(!site.any<SilenceRecording>());
    CHECK(site.one<ConfirmPause>().pause == "later");
    site.step(PauseTold{"paris", LinkId{"unknown"}, true, {"x", "p2", 0, 10}});
    CHECK(!site.any<ConfirmPause>());
    site.wait(kErasable);
    site.tell(true, 200'000, "p3");
    CHECK(site.one<SilenceRecording>().segment == site.segment);  // as long as nothing else has ended since
}

TEST_CASE("a pause is told to the other site, and is an alarm until that confirms it, whatever has ended by then") {
    Linked site;
    site.ask("recording/pause");
    CHECK(site.one<SilenceRecording>().segment == site.segment);
    const auto told = site.one<TellPause>();
    CHECK(told.site == "paris");
    CHECK(told.link == kLink);
    CHECK(told.on);
    const std::string id = told.pause.id;
    site.step(PauseConfirmed{"paris", kLink, "another"});
    bool is_alarm = true;
    SUBCASE("in time") {
        is_alarm = false;
    }
    SUBCASE("late") {
        site.pass(kPauseConfirmMax - 1ms);
    }
    SUBCASE("late, after its end") {
        site.ask("recording/resume");
        CHECK(!site.one<TellPause>().on);
    }
    SUBCASE("late, after the call") {
        site.step(LegEnded{kIn, Cause::normal, "m"});
    }
    if (is_alarm) {
        CHECK(site.facts("pause.unconfirmed").empty());
        site.pass(kPauseConfirmMax);
        const auto alarm = site.fact("pause.unconfirmed");
        CHECK(alarm.at("calluuid").as_string() == site.call.text());
        CHECK(alarm.at("pause").as_string() == id);
        CHECK(alarm.at("by_site").as_string() == std::string_view("paris"));
    }
    site.step(PauseConfirmed{"paris", kLink, id});
    CHECK(site.fact("pause.confirmed").at("pause").as_string() == id);
    CHECK(site.fact("pause.confirmed").at("calluuid").as_string() == site.call.text());
    site.pass(1s);
    CHECK(site.facts("pause.unconfirmed").empty());
    site.step(PauseConfirmed{"paris", kLink, id});
    CHECK(site.facts("pause.confirmed").empty());
}

TEST_CASE("nothing that was said before a consult joined a paused call is taken, on either side") {
    Linked site;
    const auto ask = [&](const std::string& service, const std::string& call, const std::string& to = {}) {
        site.step(CtiRequest{1, "t", {"*"}, service, call, "1001", to, ""});
        REQUIRE(site.one<CtiReply>().status == 200);
    };
    ask("consultation", site.call.text(), "2001");
    const std::string consult(site.one<CtiReply>().body.as_object().at("consult_calluuid").as_string());
    const LegId leg = site.one<PlaceLeg>().leg;
    site.step(LegAnswered{leg, CallUuid{"theirs too"}, {}, "m"});
    site.wait(3s);
    LegId joins = leg;
    SUBCASE("the main call is paused") {
        ask("recording/pause", site.call.text());
    }
    SUBCASE("the consult is paused") {
        ask("recording/pause", consult);
        joins = kIn;
    }
    site.wait(4s);
    ask("transfer", consult);
    std::optional<SitePause> told;
    for (const TellLeg& tell : site.all<TellLeg>())
        if (tell.leg == joins) told = tell.state.paused;
    REQUIRE(told);
    CHECK(told->ago_ms == 0);
}

TEST_CASE("the end of a pause that comes when the call has left the link ends it all the same") {
    Linked site;
    site.tell(true, 300);
    site.register_agent("1002");
    site.step(CtiRequest{1, "t", {"*"}, "single-step-conference", site.call.text(), "1001", "1002", ""});
    REQUIRE(site.one<CtiReply>().status == 200);
    const LegId other = site.one<PlaceLeg>().leg;
    site.step(LegAnswered{other, {}, {}, "m"});
    site.step(LegEnded{kIn, Cause::normal, "m"});
    REQUIRE(site.exchange.counts().calls == 1);
    site.tell(false, 0, "another");
    CHECK(!site.any<ResumeRecording>());
    site.tell(false, 0);
    CHECK(site.any<ResumeRecording>());
    CHECK(site.facts("recording.resumed").empty());  // who resumed has said so
}

TEST_CASE("the end of a pause finds the call also where that is part of another since the link ended") {
    Linked site;
    const auto ask = [&](const std::string& service, const std::string& call, const std::string& to = {}) {
        site.step(CtiRequest{1, "t", {"*"}, service, call, "1001", to, ""});
        REQUIRE(site.one<CtiReply>().status == 200);
    };
    site.register_agent("1002");
    ask("consultation", site.call.text(), "2001");
    const std::string consult(site.one<CtiReply>().body.as_object().at("consult_calluuid").as_string());
    const PlaceLeg to_paris = site.one<PlaceLeg>();
    REQUIRE(to_paris.link);
    site.step(LegAnswered{to_paris.leg, CallUuid{"theirs too"}, {}, "m"});
    site.step(PauseTold{"paris", to_paris.link->link, true, {"agent 2001", "p2", 0, 0}});
    ask("single-step-conference", consult, "1002");
    site.step(LegAnswered{site.one<PlaceLeg>().leg, {}, {}, "m"});
    site.step(LegEnded{to_paris.leg, Cause::normal, "m"});
    ask("conference", consult);
    site.step(PauseTold{"paris", to_paris.link->link, false, {"agent 2001", "p2", 0, 0}});
    CHECK(site.any<ResumeRecording>());
}
