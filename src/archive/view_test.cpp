// SPDX-License-Identifier: Apache-2.0
#include "archive/view.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "archive/catalogue.h"
#include "archive/story_test.h"

using namespace sheaf;
using namespace sheaf::archive;
using namespace sheaf::archive::testing;

namespace {

constexpr Ms kLater = Story::kStart + 200'000;
constexpr Ms kHour = 3'600'000;

RecordingView look(const Story& s, const std::string& id = "U1", Ms now = kLater) {
    Catalogue catalogue({});
    for (TypedFact& fact : typed(s.facts)) catalogue.add(std::move(fact));
    const RecordingView* view = catalogue.recording("default", id, now);
    REQUIRE(view != nullptr);
    return *view;
}

// C calls at 0, A1 answers at 1 s, both leave at 20 s; no segment yet.
Story talk() {
    Story s;
    s.call("london", 0, "U1", "inbound", "U1");
    s.joined("london", 0, "U1", "c", "customer", "+44");
    s.joined("london", 1'000, "U1", "a", "agent", "1001");
    return s;
}
// 2001 at paris answers a leg of U1 to there, and is recorded.
void reach_paris(Story& s, std::int64_t at, const char* kind) {
    s.half("london", at - 1'000, "L1", "from", "U1", nullptr, kind, "leg");
    s.half("paris", at - 996, "L1", "to", "U1", "U2", kind, "leg");
    s.answered("paris", at, "L1", "to", "U1");
    s.answered("london", at + 4, "L1", "from", "U2");
    s.joined("london", at + 4, "U1", "leg", "site", "2001@paris", "L1");
    s.joined("paris", at, "U2", "leg", "site", "+44", "L1");
    s.joined("paris", at, "U2", "a2", "agent", "2001");
    s.segment("paris", at, 20'000, "F2", "U2", "a2");
}
void hang_up(Story& s) {
    for (const char* connection : {"c", "a"}) s.left("london", 20'000, "U1", connection);
    s.end("london", 20'000, "U1");
}
void drop(Story& s, const std::string& type) {
    std::erase_if(s.facts, [&](const Fact& f) { return f.type == type; });
}

std::string words(const std::vector<GapView>& gaps) {
    std::string text;
    for (const GapView& g : gaps)
        text += std::string(name_of(g.reason)) + " " + std::to_string(g.from - Story::kStart) + "-" +
                std::to_string(g.to - Story::kStart) + "; ";
    return text;
}
std::string words(const std::vector<TimelineEntry>& timeline) {
    std::string text;
    for (const TimelineEntry& e : timeline)
        text += std::string(name_of(e.label)) + " " + std::to_string(e.from_ms) + "-" + std::to_string(e.to_ms) + "; ";
    return text;
}

}  // namespace

TEST_CASE("a recording is open, then incomplete, and complete with the last thing it lacked") {
    Story s = talk();
    s.segment("london", 1'000, 20'000, "F", "U1", "a");
    drop(s, "segment.stored");
    CHECK(look(s).state == RecordingState::open);
    hang_up(s);
    const Ms end = Story::kStart + 20'000;
    CHECK(look(s, "U1", end + kHour - 1).state == RecordingState::open);
    CHECK(look(s, "U1", end + kHour - 1).changes_at == end + kHour);
    CHECK(look(s, "U1", end + kHour).state == RecordingState::incomplete);
    s.stored("F");
    CHECK(look(s, "U1", end).state == RecordingState::complete);
    CHECK(look(s, "U1", end + 2 * kHour).state == RecordingState::complete);
}

TEST_CASE("a file that overtakes the fact of its end leaves the recording open until that has come") {
    Story s = talk();
    s.segment("london", 1'000, 20'000, "F", "U1", "a");
    hang_up(s);
    const auto sealed =
        std::find_if(s.facts.begin(), s.facts.end(), [](const Fact& f) { return f.type == "segment.sealed"; });
    std::rotate(sealed, sealed + 1, s.facts.end());
    const Fact last = s.facts.back();
    s.facts.pop_back();
    CHECK(look(s).state == RecordingState::open);
    CHECK(look(s).segments.at(0).state == SegmentState::stored);
    CHECK_FALSE(look(s).segments.at(0).ended_at);
    CHECK(look(s, "U1", kLater + kHour).state == RecordingState::incomplete);
    s.facts.push_back(last);
    CHECK(look(s).state == RecordingState::complete);
    CHECK(look(s).segments.at(0).ended_at);
}

TEST_CASE("a signed link needs both halves to be complete; a consult's and a moved link have one") {
    Story s = talk();
    hang_up(s);
    s.half("london", 2'000, "LC", "both", "U1", "U1c", "consult", "");
    s.merge("london", 3'000, "U1c", "U1");
    CHECK(look(s).state == RecordingState::complete);
    s.half("london", 4'000, "L1", "from", "U1", nullptr, "route", "");
    CHECK(look(s).state == RecordingState::open);
    CHECK(look(s, "U1", kLater + kHour).state == RecordingState::incomplete);
    s.half("paris", 4'004, "L1", "to", "U1", "U2", "route", "");
    s.end("paris", 5'000, "U2");
    CHECK(look(s, "U2", kLater + kHour).state == RecordingState::complete);
    CHECK(look(s, "U2").id == CallUuid("U1"));
}

TEST_CASE("a sending half and the answer that names the other call join them, in either order") {
    for (const bool answer_first : {false, true}) {
        Story s;
        s.half("london", 0, "L1", "from", "U1", nullptr, "route", "");
        s.answered("london", 100, "L1", "from", "U2");
        if (answer_first) std::swap(s.facts[0], s.facts[1]);
        const auto view = look(s, "U2");
        CHECK(view.id == CallUuid("U1"));
        CHECK(view.links.at(0).to == CallUuid("U2"));
    }
    Story s;  // but not another site's answer
    s.half("london", 0, "L1", "from", "U1", nullptr, "route", "");
    s.answered("paris", 100, "L1", "from", "U2");
    CHECK(look(s, "U1").aliases.empty());
}

TEST_CASE("a retracted link parts the calls, only for who said it, and every id still resolves") {
    Story s;
    s.half("paris", 0, "L1", "to", "U1", "U2", "route", "");
    CHECK(look(s, "U2").id == CallUuid("U1"));
    s.say("hub", 10, "link.retracted", {{"link", "L1"}, {"reason", "spite"}});
    CHECK(look(s, "U2").id == CallUuid("U1"));
    s.say("paris", 10, "link.retracted", {{"link", "L1"}, {"reason", "wrong"}});
    CHECK(look(s, "U2").id == CallUuid("U2"));
    CHECK(look(s, "U1").id == CallUuid("U1"));
    CHECK(look(s, "U2").links.empty());
    std::rotate(s.facts.begin(), s.facts.begin() + 2, s.facts.end());
    CHECK(look(s, "U2").id == CallUuid("U2"));
    s.half("paris", 20, "L2", "to", "U1", "U2", "route", "");  // another one joins them: of the first no trace is left
    REQUIRE(look(s, "U2").links.size() == 1);
    CHECK(look(s, "U2").links[0].id == LinkId("L2"));
}

TEST_CASE("a suggestion joins nothing, and the standings of links say what became of each") {
    Story s = talk();
    s.call("paris", 0, "U2", "inbound", "U2");
    s.say("paris", 5, "link.opened",
          {{"link", "L9"}, {"from", "U1"}, {"to", "U2"}, {"kind", "cti"}, {"tier", 2}, {"half", "both"}});
    const auto standing = [&] {
        Catalogue catalogue({});
        for (TypedFact& fact : typed(s.facts)) catalogue.add(std::move(fact));
        return catalogue.link_standings("default", "U1").at(0).effect;
    };
    using Effect = Catalogue::LinkStanding::Effect;
    CHECK(look(s, "U2").id == CallUuid("U2"));
    CHECK(standing() == Effect::suggestion);
    s.say("archive", 9, "operator.accept", {{"link", "L9"}, {"version", 1}, {"on", true}, {"by", "me"}});
    CHECK(look(s, "U2").id == CallUuid("U1"));
    CHECK(standing() == Effect::joins);
    s.say("archive", 9, "operator.veto", {{"a", "U2"}, {"b", "U1"}, {"version", 1}, {"on", true}, {"by", "me"}});
    CHECK(look(s, "U2").id == CallUuid("U2"));
    CHECK(standing() == Effect::vetoed);
    s.say("archive", 9, "operator.veto", {{"a", "U1"}, {"b", "U2"}, {"version", 2}, {"on", false}, {"by", "me"}});
    s.say("archive", 9, "operator.link", {{"link", "M1"}, {"from", "U1"}, {"to", "U2"}, {"by", "me"}});
    CHECK(look(s, "U2").links.size() == 2);
}

TEST_CASE("every moment of a customer without a file has its reason") {
    Story s = talk();
    SUBCASE("nobody is recorded") {
        hang_up(s);
        CHECK(words(look(s).gaps) == "unknown 0-1000; not-selected 1000-20000; ");
    }
    SUBCASE("it waits, it rings, it is talked to, it is held") {
        s = {};
        s.call("london", 0, "U1", "inbound", "U1");
        s.joined("london", 5, "U1", "c", "customer", "+44");
        s.queued("london", 5, 600, "U1", "c");
        s.alerting("london", 600, "U1", "a", "agent", "1001");
        s.joined("london", 1'000, "U1", "a", "agent", "1001");
        s.music_off("london", 1'000, "U1", "c");
        s.segment("london", 1'000, 20'000, "F", "U1", "a");
        s.held("london", 5'000, "U1", "c", "a");
        s.held("london", 7'000, "U1", "c", "a", false);
        hang_up(s);
        // The 20 ms until the file begins belong to the ringing before it, those at its end to nobody.
        CHECK(words(look(s).gaps) == "queue 0-600; ringing 600-1020; hold 5000-7000; ");
        CHECK(words(look(s).segments[0].timeline) == "talk 0-3980; hold 3980-5980; talk 5980-18995; ");
    }
    SUBCASE("a part is lost") {
        s.segment("london", 1'000, 20'000, "F", "U1", "a");
        s.say("london", 20'000, "segment.lost",
              {{"segment", "F"},
               {"calluuid", "U1"},
               {"connection", "a"},
               {"from_ms", 3'000},
               {"to_ms", 3'010},
               {"cause", "disk"}});
        hang_up(s);
        const auto view = look(s);
        CHECK(words(view.gaps) == "unknown 0-1020; lost 4020-4030; ");
        CHECK(words(view.segments[0].timeline) == "talk 0-3000; lost 3000-3010; talk 3010-18995; ");
        CHECK(view.state == RecordingState::complete);
    }
    SUBCASE("all of it is lost") {
        s.say("london", 900, "segment.expected",
              {{"segment", "F"}, {"calluuid", "U1"}, {"connection", "a"}, {"rule", "agent always"}});
        s.say("london", 1'000, "segment.lost",
              {{"segment", "F"},
               {"calluuid", "U1"},
               {"connection", "a"},
               {"from_ms", nullptr},
               {"to_ms", nullptr},
               {"cause", "no media server"}});
        hang_up(s);
        const auto view = look(s);
        CHECK(words(view.gaps) == "unknown 0-900; lost 900-20000; ");
        CHECK(view.segments[0].state == SegmentState::lost);
        CHECK(view.segments[0].cause == "no media server");
        CHECK(view.state == RecordingState::complete);
        CHECK(view.alarms.at(0).kind == "segment-lost");
    }
    SUBCASE("it is missing, once a minute has passed") {
        s.segment("london", 1'000, 20'000, "F", "U1", "a");
        drop(s, "segment.sealed");
        drop(s, "segment.stored");
        hang_up(s);
        CHECK(words(look(s, "U1", Story::kStart + 79'999).gaps) == "unknown 0-1020; ");
        const auto view = look(s, "U1", Story::kStart + 80'000);
        CHECK(words(view.gaps) == "unknown 0-1020; missing 1020-20000; ");
        CHECK(view.segments[0].state == SegmentState::missing);
        CHECK(view.alarms.at(0).kind == "segment-missing");
    }
    SUBCASE("somebody paused") {
        s.segment("london", 1'000, 20'000, "F", "U1", "a");
        s.say("london", 4'000, "recording.paused", {{"calluuid", "U1"}, {"by", "1001"}, {"pause", "p"}});
        s.say("london", 6'000, "recording.resumed", {{"calluuid", "U1"}, {"by", "1001"}, {"pause", "p"}});
        hang_up(s);
        const auto view = look(s);
        CHECK(words(view.gaps) == "unknown 0-1020; paused 4000-6000; ");
        CHECK(view.gaps.at(1).detail == "by 1001");
        CHECK(words(view.segments[0].timeline) == "talk 0-2980; paused 2980-4980; talk 4980-18995; ");
    }
}

TEST_CASE("who goes on when a recording was over before it began is not recorded, and not lost") {
    Story s = talk();
    const auto about = [](const char* more, json::value value) {
        return json::object{{"segment", "F"}, {"calluuid", "U1"}, {"connection", "a"}, {more, std::move(value)}};
    };
    s.say("london", 1'000, "segment.expected", about("rule", "agent always"));
    auto lost = about("cause", "not-begun");
    lost["from_ms"] = lost["to_ms"] = nullptr;
    s.say("london", 1'800, "segment.lost", std::move(lost));
    hang_up(s);
    const auto view = look(s);
    CHECK(words(view.gaps) == "unknown 0-1000; lost 1000-1800; not-selected 1800-20000; ");
    CHECK(view.segments[0].ended_at == Story::kStart + 1'800);
}

TEST_CASE("a recording that was over before it began is no alarm, unless it had begun after all") {
    Story s = talk();
    s.say("london", 19'400, "segment.expected",
          {{"segment", "F"}, {"calluuid", "U1"}, {"connection", "a"}, {"rule", "agent always"}});
    s.say("london", 20'000, "segment.lost",
          {{"segment", "F"},
           {"calluuid", "U1"},
           {"connection", "a"},
           {"from_ms", nullptr},
           {"to_ms", nullptr},
           {"cause", "not-begun"}});
    const auto begins = [&] {
        s.say("london", 19'500, "segment.opened", {{"segment", "F"}, {"calluuid", "U1"}, {"connection", "a"}});
    };
    SUBCASE("it never began") {
        hang_up(s);
        const auto view = look(s, "U1", Story::kStart + 90'000);
        CHECK(view.segments[0].state == SegmentState::lost);
        CHECK(view.segments[0].cause == "not-begun");
        CHECK(view.state == RecordingState::complete);
        CHECK(view.alarms.empty());
        CHECK(words(view.gaps) == "unknown 0-1000; not-selected 1000-19400; lost 19400-20000; ");
    }
    SUBCASE("it had begun, and nothing of it comes") {
        begins();
        hang_up(s);
        const auto view = look(s, "U1", Story::kStart + 90'000);
        CHECK(view.segments[0].state == SegmentState::missing);
        CHECK(view.segments[0].cause.empty());
        CHECK(view.alarms.at(0).kind == "segment-missing");
    }
    SUBCASE("it had begun, and its media server has lost it") {
        begins();
        s.say("london", 20'010, "segment.lost",
              {{"segment", "F"},
               {"calluuid", "U1"},
               {"connection", "a"},
               {"from_ms", nullptr},
               {"to_ms", nullptr},
               {"cause", "disk"}});
        hang_up(s);
        const auto view = look(s, "U1", Story::kStart + 90'000);
        CHECK(view.segments[0].state == SegmentState::lost);
        CHECK(view.segments[0].cause == "disk");
        CHECK(view.alarms.at(0).kind == "segment-lost");
    }
}

TEST_CASE("a pause at one site is labelled in every segment that hears the customer") {
    Story s = talk();
    s.set_clock("paris", 600'000);
    reach_paris(s, 3'000, "conference");
    s.say("london", 5'000, "recording.paused", {{"calluuid", "U1"}, {"by", "1001"}, {"pause", "p"}});
    s.say("london", 6'000, "recording.resumed", {{"calluuid", "U1"}, {"by", "1001"}, {"pause", "p"}});
    hang_up(s);
    const auto view = look(s, "U2");
    CHECK(words(view.segments[0].timeline) == "talk 0-1980; paused 1980-2980; talk 2980-16995; ");
    CHECK(view.segments[0].timeline[0].parties.size() == 3);
}

// Of the only segment of a call that the carrier has taken to paris, once all is over there.
static std::vector<TimelineEntry> timeline_at_paris(Story& s) {
    for (const char* connection : {"c2", "a2"}) s.left("paris", 20'000, "U2", connection);
    s.end("paris", 20'000, "U2");
    std::ranges::reverse(s.facts);
    const auto view = look(s, "U2");
    REQUIRE(view.segments.size() == 1);
    return view.segments[0].timeline;
}

TEST_CASE("a pause stays at a site that it came to, until somebody there resumes or the call is over") {
    Story s = talk();
    reach_paris(s, 6'000, "transfer");
    s.call("paris", 5'004, "U2", "inter_site", "U1");
    s.say("london", 5'000, "recording.paused", {{"calluuid", "U1"}, {"by", "1001"}, {"pause", "p"}});
    s.left("london", 6'000, "U1", "a");
    s.left("london", 9'000, "U1", "c");  // its carrier has taken the call to paris
    s.joined("paris", 9'000, "U2", "c2", "customer", "+44");
    s.left("london", 9'000, "U1", "leg");
    s.end("london", 9'000, "U1");
    s.left("paris", 9'000, "U2", "leg");
    std::string wanted = "paused 0-13995; ";
    SUBCASE("until the call is over") {}
    SUBCASE("until it is resumed there") {
        s.say("paris", 12'000, "recording.resumed", {{"calluuid", "U2"}, {"by", "2001"}, {"pause", "p"}});
        wanted = "paused 0-5980; talk 5980-13995; ";
    }
    SUBCASE("another pause is resumed") {
        s.say("paris", 12'000, "recording.resumed", {{"calluuid", "U2"}, {"by", "2001"}, {"pause", "q"}});
    }
    const auto timeline = timeline_at_paris(s);
    CHECK(words(timeline) == wanted);
    CHECK(timeline[0].by == "1001");
}

TEST_CASE("a pause that a leg took along as it ended is where its site has heard of it, whatever the clocks say") {
    Story s = talk();
    reach_paris(s, 6'000, "transfer");
    s.call("paris", 5'004, "U2", "inter_site", "U1");
    s.joined("paris", 9'000, "U2", "c2", "customer", "+44");  // its carrier has taken the call to paris
    s.left("paris", 9'000, "U2", "leg");
    s.say("london", 9'100, "recording.paused", {{"calluuid", "U1"}, {"by", "1001"}, {"pause", "p"}});
    for (const char* connection : {"c", "leg", "a"}) s.left("london", 9'200, "U1", connection);
    s.end("london", 9'200, "U1");
    const auto at_paris = [&](std::int64_t at, const char* type, const char* pause) {
        s.say("paris", at, type, {{"calluuid", "U2"}, {"by", "1001"}, {"pause", pause}});
    };
    std::string wanted;
    SUBCASE("nobody has told it") {
        wanted = "talk 0-2980; talk 2980-13995; ";
    }
    SUBCASE("until the call is over") {
        at_paris(9'150, "pause.told", "p");
        wanted = "talk 0-2980; talk 2980-3130; paused 3130-13995; ";
    }
    SUBCASE("until somebody resumes it there") {
        at_paris(9'150, "pause.told", "p");
        at_paris(12'000, "recording.resumed", "p");
        wanted = "talk 0-2980; talk 2980-3130; paused 3130-5980; talk 5980-13995; ";
    }
    SUBCASE("until it has heard that somebody else has") {
        at_paris(9'150, "pause.told", "p");
        s.say("london", 9'400, "recording.resumed", {{"calluuid", "U1"}, {"by", "1001"}, {"pause", "p"}});
        at_paris(9'650, "pause.told-over", "p");
        wanted = "talk 0-2980; talk 2980-3130; paused 3130-3630; talk 3630-13995; ";
    }
    SUBCASE("another one's end does not end it") {
        at_paris(9'150, "pause.told", "p");
        at_paris(9'650, "pause.told-over", "q");
        at_paris(9'700, "recording.resumed", "q");
        wanted = "talk 0-2980; talk 2980-3130; paused 3130-13995; ";
    }
    CHECK(words(timeline_at_paris(s)) == wanted);
}

TEST_CASE(
    "a pause is over where its site says so, though another that still has it is connected, as two clocks have it") {
    Story s = talk();
    reach_paris(s, 3'000, "conference");
    s.say("london", 5'000, "recording.paused", {{"calluuid", "U1"}, {"by", "1001"}, {"pause", "p"}});
    s.say("paris", 5'020, "pause.told", {{"calluuid", "U2"}, {"by", "1001"}, {"pause", "p"}});
    s.say("paris", 5'990, "pause.told-over", {{"calluuid", "U2"}, {"by", "1001"}, {"pause", "p"}});
    SUBCASE("before that one has said it") {
        s.say("london", 6'000, "recording.resumed", {{"calluuid", "U1"}, {"by", "1001"}, {"pause", "p"}});
    }
    SUBCASE("before that one, which says nothing more") {}
    hang_up(s);
    const auto view = look(s, "U2");
    CHECK(words(view.segments[0].timeline) == "talk 0-1980; paused 1980-2970; talk 2970-16995; ");
}

TEST_CASE("of two pauses that cross, the site's own counts there, and each is over with its own end only") {
    Story s = talk();
    reach_paris(s, 3'000, "conference");
    s.say("london", 5'000, "recording.paused", {{"calluuid", "U1"}, {"by", "1001"}, {"pause", "p"}});
    s.say("paris", 7'000, "recording.paused", {{"calluuid", "U2"}, {"by", "2001"}, {"pause", "q"}});
    s.say("london", 9'000, "recording.resumed", {{"calluuid", "U1"}, {"by", "1001"}, {"pause", "p"}});
    s.say("paris", 12'000, "recording.resumed", {{"calluuid", "U2"}, {"by", "2001"}, {"pause", "q"}});
    hang_up(s);
    std::ranges::reverse(s.facts);
    const auto timeline = look(s, "U2").segments.at(0).timeline;
    CHECK(words(timeline) == "talk 0-1980; paused 1980-3980; paused 3980-8980; talk 8980-16995; ");
    REQUIRE(timeline.size() == 4);
    CHECK(timeline[1].by == "1001");
    CHECK(timeline[2].by == "2001");
}

TEST_CASE("who paused is the party of the event, where it is one of the call") {
    Story s = talk();
    const auto say = [&](std::int64_t at, const char* type, json::object data) {
        data["calluuid"] = "U1";
        data["pause"] = "p";
        s.say("london", at, type, std::move(data));
    };
    say(5'000, "recording.paused", {{"by", "CTI desktop for 1001"}, {"connection", "a"}});
    say(6'000, "recording.resumed", {{"by", "supervisor"}});
    hang_up(s);
    const auto view = look(s);
    const auto agent = std::ranges::find(view.parties, "1001", [](const auto& party) { return party.address; });
    REQUIRE(agent != view.parties.end());
    for (const EventView& event : view.events) {
        if (event.event == "paused") CHECK(event.party == agent->id);
        if (event.event == "resumed") CHECK(event.party.empty());
    }
    CHECK(std::ranges::count(view.events, "paused", [](const auto& event) { return event.event; }) == 1);
}

TEST_CASE("a pause that a site has heard of late goes nowhere else from there") {
    Story s = talk();
    reach_paris(s, 3'000, "conference");
    s.say("paris", 5'000, "recording.paused", {{"calluuid", "U2"}, {"by", "1001"}, {"pause", "p"}});
    s.say("paris", 6'000, "recording.resumed", {{"calluuid", "U2"}, {"by", "1001"}, {"pause", "p"}});
    s.say("london", 6'100, "pause.told", {{"calluuid", "U1"}, {"by", "1001"}, {"pause", "p"}});
    s.say("london", 6'500, "pause.told-over", {{"calluuid", "U1"}, {"by", "1001"}, {"pause", "p"}});
    hang_up(s);
    const auto view = look(s, "U2");
    CHECK(words(view.segments[0].timeline) == "talk 0-1980; paused 1980-2980; talk 2980-16995; ");
}

TEST_CASE(
    "of a recording in which more happens than anybody can look through nothing is accounted for, and it says so") {
    Story s = talk();
    for (int i = 0; i < 2'300; ++i)
        s.joined("london", 2'000 + 60 * i, "U1", "c" + std::to_string(i), "customer", "+" + std::to_string(i));
    hang_up(s);
    const auto view = look(s);
    CHECK(view.needs_review);
    CHECK(view.gaps.empty());
    CHECK(std::ranges::any_of(view.alarms, [](const auto& alarm) { return alarm.kind == "needs-review"; }));
}

TEST_CASE("a file that comes hours later makes nothing longer") {
    Story s = talk();
    reach_paris(s, 3'000, "conference");
    drop(s, "segment.stored");
    drop(s, "call.ended");
    s.left("london", 20'000, "U1", "a");
    s.end("london", 20'000, "U1");
    const auto before = look(s, "U2");
    s.say("archive", 10'800'000, "segment.stored",
          {{"segment", "F2"}, {"sha256", std::string(64, 'a')}, {"bytes", 1}, {"media_type", "audio/wav"}});
    const auto after = look(s, "U2");
    CHECK(after.duration_ms == before.duration_ms);
    CHECK(words(after.gaps) == words(before.gaps));
}

TEST_CASE("only the site of a call is believed about it") {
    Story s = talk();
    s.segment("london", 1'000, 20'000, "F", "U1", "a");
    s.say("rome", 2'000, "recording.paused", {{"calluuid", "U1"}, {"by", "x"}, {"pause", "p"}});
    s.say("rome", 2'500, "call.merged", {{"calluuid", "U1"}, {"into", "nowhere"}});
    s.say("rome", 2'600, "call.ended", {{"calluuid", "U1"}, {"cause", "normal"}});
    s.joined("rome", 2'700, "U1", "c9", "customer", "+99");
    hang_up(s);
    const auto with = look(s);
    std::erase_if(s.facts, [](const auto& fact) { return fact.site == "rome"; });
    const auto without = look(s);
    CHECK(with.calls[0].ended_at == without.calls[0].ended_at);
    CHECK(with.calls[0].merged_into.empty());
    CHECK(with.parties.size() == without.parties.size());
    CHECK(words(with.gaps) == words(without.gaps));
    CHECK(words(with.segments[0].timeline) == words(without.segments[0].timeline));
    CHECK(words(with.segments[0].timeline).find("paused") == std::string::npos);
    CHECK_FALSE(with.needs_review);
    s.call("rome", -5'000, "U1", "inbound", "U1");
    const auto contested = look(s);
    CHECK(contested.needs_review);
    CHECK(std::ranges::any_of(contested.alarms, [](const auto& alarm) { return alarm.kind == "needs-review"; }));
}

TEST_CASE("a pause that a site has not confirmed is an alarm until it has, in whatever order that comes") {
    Story s = talk();
    const auto pause = [](const char* id, const char* site) {
        return json::object{{"calluuid", "U1"}, {"pause", id}, {"by_site", site}};
    };
    s.say("london", 5'500, "pause.unconfirmed", pause("p", "paris"));
    s.say("london", 5'500, "pause.unconfirmed", pause("p", "hub"));
    s.say("london", 5'400, "pause.confirmed", pause("q", "hub"));  // another pause
    s.say("london", 7'000, "pause.confirmed", pause("p", "paris"));
    hang_up(s);
    const auto alarms = look(s).alarms;
    REQUIRE(alarms.size() == 1);
    CHECK(alarms[0].kind == "pause-unconfirmed");
    CHECK(alarms[0].at == Story::kStart + 5'500);
    CHECK(alarms[0].text.starts_with("hub "));
    s.say("london", 8'000, "pause.confirmed", pause("p", "hub"));
    std::ranges::reverse(s.facts);
    CHECK(look(s).alarms.empty());
}

TEST_CASE("a file that a late pause has made another is an alarm until that one has come") {
    Story s = talk();
    s.segment("london", 1'000, 20'000, "F", "U1", "a");
    hang_up(s);
    const std::string was = look(s).segments[0].media->sha256;
    s.say("london", 30'000, "segment.erased",
          {{"segment", "F"},
           {"calluuid", "U1"},
           {"connection", "a"},
           {"from_ms", 3'000},
           {"to_ms", 19'000},
           {"label", "paused"},
           {"by", "1001"},
           {"sha256", std::string(64, 'e')}});
    CHECK(look(s).alarms.at(0).kind == "segment-not-erased");
    CHECK(look(s).segments[0].media->sha256 == was);
    s.say("archive", 31'000, "segment.stored",
          {{"segment", "F"}, {"sha256", std::string(64, 'e')}, {"bytes", 9}, {"media_type", "audio/wav"}});
    CHECK(look(s).alarms.empty());
    CHECK(look(s).segments[0].media->sha256 == std::string(64, 'e'));
    std::ranges::reverse(s.facts);
    CHECK(look(s).segments[0].media->sha256 == std::string(64, 'e'));
}

TEST_CASE("a hold at either site stops the walk in both directions") {
    Story s = talk();
    s.half("london", 2'000, "L1", "from", "U1", nullptr, "transfer", "leg");
    s.half("paris", 2'004, "L1", "to", "U1", "U2", "transfer", "leg");
    s.left("london", 2'500, "U1", "a");
    s.joined("london", 3'000, "U1", "leg", "site", "2001@paris", "L1");
    s.joined("paris", 3'000, "U2", "leg", "site", "+44", "L1");
    s.joined("paris", 3'000, "U2", "a2", "agent", "2001");
    s.segment("london", 1'000, 20'000, "FC", "U1", "c");
    s.segment("paris", 3'000, 20'000, "F2", "U2", "a2");
    s.held("paris", 5'000, "U2", "leg", "a2");
    s.held("paris", 6'000, "U2", "leg", "a2", false);
    hang_up(s);
    const auto view = look(s, "U2");
    REQUIRE(view.segments.size() == 2);
    CHECK(words(view.segments[1].timeline) == "talk 0-1980; hold 1980-2980; talk 2980-16995; ");
    CHECK(view.segments[1].timeline[1].held == std::vector<std::string>{"london/c"});
    CHECK(view.segments[0].timeline.at(3).label == Label::hold);
    CHECK(view.segments[0].timeline.at(3).held == std::vector<std::string>{"paris/a2"});
}

TEST_CASE("a hold behind a recorded leg to another site is a hold in its file and for the customer") {
    Story s;
    s.call("hub", 0, "U1", "inbound", "U1");
    s.joined("hub", 0, "U1", "c", "customer", "+44");
    s.half("hub", 1'000, "L1", "from", "U1", nullptr, "route", "leg");
    s.half("paris", 1'004, "L1", "to", "U1", "U2", "route", "in");
    s.joined("hub", 3'000, "U1", "leg", "site", "2001@paris", "L1");
    s.joined("paris", 3'000, "U2", "in", "site", "+44", "L1");
    s.joined("paris", 3'000, "U2", "a2", "agent", "2001");
    s.segment("hub", 3'000, 20'000, "F1", "U1", "leg");
    s.held("paris", 5'000, "U2", "in", "a2");
    s.held("paris", 6'000, "U2", "in", "a2", false);
    s.left("hub", 20'000, "U1", "c");
    s.end("hub", 20'000, "U1");
    s.end("paris", 20'000, "U2");
    const auto view = look(s);
    REQUIRE(view.segments.size() == 1);
    CHECK(words(view.segments[0].timeline) == "talk 0-1976; hold 1976-2976; talk 2976-16995; ");
    CHECK(view.segments[0].timeline[1].held == std::vector<std::string>{"paris/a2"});
    CHECK(view.segments[0].timeline[0].parties == std::vector<std::string>{"hub/c", "paris/a2"});
    CHECK(words(view.gaps) == "unknown 0-3020; hold 4996-5996; ");
}

TEST_CASE("a leg to a site that has said nothing yet leads to somebody unknown") {
    Story s = talk();
    s.half("london", 2'000, "L1", "from", "U1", nullptr, "conference", "leg");
    s.joined("london", 3'000, "U1", "leg", "site", "2001@paris", "L1");
    s.segment("london", 1'000, 20'000, "F", "U1", "a");
    hang_up(s);
    const auto view = look(s);
    CHECK(view.segments[0].timeline.back().parties == std::vector<std::string>{"london/a", "london/c", "london/leg"});
    CHECK(view.parties.back().role == Role::unknown);
    CHECK(view.parties.back().address == "2001@paris");
}

TEST_CASE("rings of merges and of moved links end") {
    Story s = talk();
    s.merge("london", 2'000, "U1", "U2");
    s.merge("london", 2'000, "U2", "U1");
    s.half("london", 2'000, "L1", "both", "U1", "U2", "transfer", "x", "L2");
    s.half("london", 2'000, "L2", "both", "U2", "U1", "transfer", "x", "L1");
    s.joined("london", 2'000, "U2", "x", "site", "p", "L1");
    s.segment("london", 1'000, 20'000, "F", "U1", "a");
    CHECK(look(s).segments.size() == 1);
}

TEST_CASE("tenants do not see or touch each other") {
    Story s = talk();
    s.segment("london", 1'000, 20'000, "F", "U1", "a");
    auto other = s.facts;
    for (Fact& fact : other) fact.tenant = "other";
    for (Fact& fact : other) fact.id = fact_id(fact).value();
    hang_up(s);
    Catalogue catalogue({});
    for (TypedFact& fact : typed(s.facts)) catalogue.add(std::move(fact));
    for (TypedFact& fact : typed(other)) catalogue.add(std::move(fact));
    CHECK(catalogue.recording("default", "U1", kLater)->state == RecordingState::complete);
    CHECK(catalogue.recording("other", "U1", kLater)->state == RecordingState::open);
    CHECK(catalogue.list("other", {}, kLater).items.size() == 1);
    CHECK(catalogue.recording("nobody", "U1", kLater) == nullptr);
    CHECK(catalogue.segment("other", SegmentId("F"))->stored);
    CHECK_FALSE(catalogue.segment("nobody", SegmentId("F")));
}

TEST_CASE("more calls than a recording may hold are cut, flagged and an alarm") {
    Story s;
    for (int i = 0; i < 6; ++i)
        s.half("london", i, "L" + std::to_string(i), "both", "U" + std::to_string(i),
               ("U" + std::to_string(i + 1)).c_str(), "transfer", "");
    Catalogue catalogue({kHour, 4});
    for (TypedFact& fact : typed(s.facts)) catalogue.add(std::move(fact));
    const RecordingView* view = catalogue.recording("default", "U6", kLater);
    CHECK(view->needs_review);
    CHECK(view->alarms.at(0).kind == "needs-review");
    CHECK(view->calls.size() <= 4);
}

TEST_CASE("what changed is told once, and what becomes late is told by itself") {
    Story s = talk();
    s.segment("london", 1'000, 20'000, "F", "U1", "a");
    drop(s, "segment.sealed");
    drop(s, "segment.stored");
    hang_up(s);
    Catalogue catalogue({});
    for (TypedFact& fact : typed(s.facts)) catalogue.add(std::move(fact));
    const Ms now = Story::kStart + 30'000;
    const std::vector<Catalogue::Key> one = {{"default", "U1"}};
    CHECK(catalogue.take_changed(now) == one);
    CHECK(catalogue.take_changed(now).empty());
    CHECK(catalogue.next_change() == Story::kStart + 80'000);
    CHECK(catalogue.take_changed(catalogue.next_change()) == one);
    CHECK(catalogue.next_change() == Story::kStart + 20'000 + kHour);
    CHECK(catalogue.take_changed(catalogue.next_change()) == one);
    CHECK(catalogue.next_change() == kNever);
    CHECK_FALSE(catalogue.add(typed(s.facts).front()));
    CHECK(catalogue.take_changed(now).empty());
}

TEST_CASE("a segment that is complete at its site and does not come is an alarm by itself, and none once it has come") {
    Story s = talk();
    s.segment("london", 1'000, 20'000, "F", "U1", "a");
    drop(s, "segment.stored");
    hang_up(s);
    const Ms ended = *look(s).segments.at(0).ended_at;
    CHECK(look(s, "U1", ended + kHour - 1).alarms.empty());
    CHECK(look(s, "U1", ended + kHour - 1).changes_at <= ended + kHour);
    const auto alarms = look(s, "U1", ended + kHour).alarms;
    REQUIRE(alarms.size() == 1);
    CHECK(alarms[0].kind == "segment-undelivered");
    CHECK(alarms[0].at == ended + kHour);
    CHECK(alarms[0].segment == SegmentId("F"));
    s.stored("F");
    CHECK(look(s, "U1", ended + kHour).alarms.empty());
}

TEST_CASE("a call of a site that falls silent for good is over with its last fact, two days later") {
    Story s = talk();
    s.segment("london", 1'000, 20'000, "F", "U1", "a");  // its file comes at 100 s, which is no part of the call
    const Ms last = Story::kStart + 20'015;
    CHECK(look(s, "U1", last + kSilentMaxMs - 1).state == RecordingState::open);
    CHECK_FALSE(look(s, "U1", last + kSilentMaxMs - 1).ended_at);
    CHECK(look(s, "U1", last + kSilentMaxMs - 1).changes_at == last + kSilentMaxMs);
    CHECK(look(s, "U1", last + kSilentMaxMs).state != RecordingState::open);
    CHECK(look(s, "U1", last + kSilentMaxMs).ended_at == last);
    CHECK(look(s, "U1", last + kSilentMaxMs).calls.at(0).cause == "lost-control");
    s.say("archive", 300'000'000, "operator.link", {{"link", "M"}, {"from", "U1"}, {"to", "U1"}, {"by", "me"}});
    CHECK(look(s, "U1", last + 2 * kSilentMaxMs).ended_at == last);
}

TEST_CASE("a link whose INVITE was answered by nobody who knows of it lacks nothing") {
    Story s = talk();
    hang_up(s);
    s.half("london", 2'000, "L1", "from", "U1", nullptr, "route", "");
    const auto answer = [&](int status) {
        s.say("london", 2'500, "link.answered",
              {{"link", "L1"}, {"half", "from"}, {"peer_calluuid", nullptr}, {"status", status}});
    };
    RecordingState wanted = RecordingState::incomplete;
    SUBCASE("not answered at all") {}
    SUBCASE("refused") {
        answer(486);
        wanted = RecordingState::complete;
    }
    SUBCASE("answered by somebody who has not said which call") {
        answer(200);
    }
    CHECK(look(s, "U1", kLater + kHour).state == wanted);
}

TEST_CASE("what people were told of a recording is among its events, and what was not is its absence's reason") {
    Story s = talk();
    const json::object of_agent = {{"calluuid", "U1"}, {"connection", "c"}, {"of", "a"}};
    const auto with = [&](json::object more) {
        json::object data = of_agent;
        for (auto& [key, value] : more) data[key] = value;
        return data;
    };
    s.say("london", 0, "treatment.started", {{"calluuid", "U1"}, {"connection", "c"}, {"treatment", "say:welcome"}});
    SUBCASE("told") {
        s.say("london", 10, "treatment.ended", {{"calluuid", "U1"}, {"connection", "c"}, {"treatment", "say:welcome"}});
        s.segment("london", 1'000, 20'000, "F1", "U1", "a");
        s.say("london", 2'000, "consent.announced", with({{"announcement", "say:recorded"}}));
        s.say("london", 2'000, "tone.started", with({{"every_ms", 15'000}}));
        s.say("london", 20'000, "tone.stopped", of_agent);
        hang_up(s);
        const RecordingView view = look(s);
        std::vector<std::string> events;
        for (const EventView& e : view.events)
            if (e.event != "joined" && e.event != "left") events.push_back(e.event);
        CHECK(events ==
              std::vector<std::string>{"announcement-played", "announcement-played", "tone-started", "tone-stopped"});
        const auto tone = std::find_if(view.events.begin(), view.events.end(),
                                       [](const EventView& e) { return e.event == "tone-started"; });
        CHECK(tone->party == "london/c");
    }
    SUBCASE("not told") {
        s.say("london", 10, "treatment.ended",
              {{"calluuid", "U1"}, {"connection", "c"}, {"treatment", "say:welcome"}, {"failed", true}});
        s.say("london", 1'005, "consent.failed", with({{"announcement", "say:recorded"}, {"recorded", false}}));
        s.joined("london", 20'000, "U1", "b", "agent", "1002");
        s.left("london", 20'000, "U1", "a");
        s.segment("london", 20'000, 30'000, "F1", "U1", "b");
        for (const char* connection : {"c", "b"}) s.left("london", 30'000, "U1", connection);
        s.end("london", 30'000, "U1");
        const RecordingView view = look(s);
        for (const EventView& e : view.events) CHECK(e.event != "announcement-played");
        const auto gap = std::find_if(view.gaps.begin(), view.gaps.end(),
                                      [](const GapView& g) { return g.reason == GapReason::not_selected; });
        REQUIRE(gap != view.gaps.end());
        CHECK(gap->detail == "say:recorded could not be played");
        CHECK(gap->from == Story::kStart + 1'000);
    }
}
