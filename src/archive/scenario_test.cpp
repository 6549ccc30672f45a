// SPDX-License-Identifier: Apache-2.0
// The scenarios of tests/oracle/scenarios.json, told as facts by sites whose clocks are minutes apart; the views must
// be what the oracle says.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <random>
#include <set>
#include <sstream>

#include "archive/api_model.h"
#include "archive/catalogue.h"
#include "archive/story_test.h"

using namespace sheaf;
using namespace sheaf::archive;
using namespace sheaf::archive::testing;

namespace {

constexpr const char* kCustomer = "+447700900123";

struct Told {
    Story story;
    std::map<std::string, std::int64_t> times;  // the oracle's t0, t1, … in true time
};

const json::object& oracle() {
    static const json::value parsed = [] {
        std::ifstream file("tests/oracle/scenarios.json");
        std::stringstream text;
        text << file.rdbuf();
        return json::parse(text.str());
    }();
    return parsed.as_object();
}

const json::object& oracle_of(const std::string& id) {
    for (const char* list : {"scenarios", "also"})
        for (const json::value& scenario : oracle().at(list).as_array())
            if (scenario.at("id").as_string() == id) return scenario.as_object();
    FAIL("no such scenario: " << id);
    std::abort();
}

Told begin(std::initializer_list<std::pair<const std::string, std::int64_t>> times) {
    Told told{{}, times};
    told.story.set_clock("paris", 600'000);
    told.story.set_clock("hub", -180'000);
    return told;
}

// C calls and lands on the routing point; A1 answers at t1.
void tell_head(Told& told) {
    Story& s = told.story;
    const auto t0 = told.times["t0"], t1 = told.times["t1"];
    s.call("london", t0, "U1", "inbound", "U1");
    s.joined("london", t0 + 6, "U1", "c", "customer", kCustomer);
    s.queued("london", t0 + 6, t1 - 2000, "U1", "c");
    s.alerting("london", t1 - 1990, "U1", "a1", "agent", "1001");
    s.joined("london", t1, "U1", "a1", "agent", "1001");
    s.music_off("london", t1, "U1", "c");
}

// London sends a call to paris as U2 over L1; A2 answers at `t4`.
void tell_to_paris(Story& s, std::int64_t t3, std::int64_t t4, const std::string& from, const std::string& kind) {
    s.half("london", t3, "L1", "from", from, nullptr, kind, "to-paris");
    s.alerting("london", t3 + 20, from, "to-paris", "site", "2001@paris");
    s.call("paris", t3 + 4, "U2", "inter-site", "U1");
    s.half("paris", t3 + 4, "L1", "to", from, "U2", kind, "from-london");
    s.alerting("paris", t3 + 15, "U2", "a2", "agent", "2001");
    s.joined("paris", t4, "U2", "a2", "agent", "2001");
    s.joined("paris", t4, "U2", "from-london", "site", kCustomer, "L1");
    s.answered("paris", t4 + 1, "L1", "to", from);
    s.answered("london", t4 + 5, "L1", "from", "U2");
    s.joined("london", t4 + 5, from, "to-paris", "site", "2001@paris", "L1");
}

Told tell_single_step_transfer() {
    Told told = begin({{"t0", 0}, {"t1", 5000}, {"t2", 15000}, {"t3", 18000}, {"t4", 21000}, {"t5", 40000}});
    auto& [s, t] = told;
    tell_head(told);
    s.segment("london", t["t1"], t["t2"], "F1", "U1", "a1");
    s.left("london", t["t2"], "U1", "a1");
    s.queued("london", t["t2"], t["t3"], "U1", "c");
    tell_to_paris(s, t["t3"], t["t4"], "U1", "transfer");
    s.music_off("london", t["t4"] + 5, "U1", "c");
    s.segment("paris", t["t4"], t["t5"], "F2", "U2", "a2");
    for (const char* connection : {"c", "to-paris"}) s.left("london", t["t5"], "U1", connection);
    s.link_ended("london", t["t5"], "L1", "from");
    s.end("london", t["t5"], "U1");
    for (const char* connection : {"from-london", "a2"}) s.left("paris", t["t5"] + 4, "U2", connection);
    s.link_ended("paris", t["t5"] + 4, "L1", "to");
    s.end("paris", t["t5"] + 4, "U2");
    return told;
}

// Up to t4 of a consult: C is held, A1 talks to A2 at paris in U1c and U2.
void tell_consult(Told& told) {
    auto& [s, t] = told;
    tell_head(told);
    s.held("london", t["t2"], "U1", "c", "a1");
    s.say("london", t["t2"], "treatment.started",
          {{"calluuid", "U1"}, {"connection", "c"}, {"treatment", "music:hold"}});
    s.call("london", t["t2"], "U1c", "internal", "U1", "U1");
    s.half("london", t["t2"], "LC", "both", "U1", "U1c", "consult", "a1c");
    s.joined("london", t["t2"], "U1c", "a1c", "agent", "1001");
    s.queued("london", t["t2"] + 10, t["t3"], "U1c", "a1c");
    tell_to_paris(s, t["t3"], t["t4"], "U1c", "route");
    s.segment("london", t["t4"], t["t5"], "F1c", "U1c", "a1c");
}

void tell_completion(Story& s, std::int64_t t5, const std::string& kind) {
    s.merge("london", t5, "U1c", "U1");
    s.link_ended("london", t5, "LC", "both");
    s.link_ended("london", t5, "L1", "from");
    s.half("london", t5, "L2", "both", "U1", "U2", kind, "to-paris", "L1");
    s.held("london", t5, "U1", "c", "a1", false);
    s.say("london", t5, "treatment.ended", {{"calluuid", "U1"}, {"connection", "c"}, {"treatment", "music:hold"}});
}

Told tell_consult_transfer() {
    Told told = begin({{"t0", 0},
                       {"t1", 5000},
                       {"t2", 15000},
                       {"t3", 18000},
                       {"t4", 21000},
                       {"t5", 30000},
                       {"t5x", 30400},
                       {"t6", 50000}});
    auto& [s, t] = told;
    tell_consult(told);
    s.segment("london", t["t1"], t["t5"], "F1", "U1", "a1");
    s.segment("paris", t["t4"], t["t6"], "F2", "U2", "a2");
    tell_completion(s, t["t5"], "transfer");
    for (const char* connection : {"a1", "a1c"}) s.left("london", t["t5"], connection[2] ? "U1c" : "U1", connection);
    // C is taken over by paris, and london leaves the loop.
    s.joined("paris", t["t5x"] - 100, "U2", "c-paris", "customer", kCustomer);
    s.left("paris", t["t5x"] - 100, "U2", "from-london");
    for (const char* connection : {"c", "to-paris"}) s.left("london", t["t5x"], "U1", connection);
    s.end("london", t["t5x"], "U1");
    for (const char* connection : {"c-paris", "a2"}) s.left("paris", t["t6"], "U2", connection);
    s.end("paris", t["t6"], "U2");
    return told;
}

Told tell_two_step_conference() {
    Told told = begin({{"t0", 0},
                       {"t1", 5000},
                       {"t2", 15000},
                       {"t3", 18000},
                       {"t4", 21000},
                       {"t5", 30000},
                       {"t6", 40000},
                       {"t6x", 50000},
                       {"t7", 50000}});
    auto& [s, t] = told;
    tell_consult(told);
    s.segment("london", t["t1"], t["t6"], "F1", "U1", "a1");
    s.segment("paris", t["t4"], t["t7"], "F2", "U2", "a2");
    tell_completion(s, t["t5"], "conference");
    s.left("london", t["t5"], "U1c", "a1c");
    s.left("london", t["t6"], "U1", "a1");
    for (const char* connection : {"c", "to-paris"}) s.left("london", t["t7"], "U1", connection);
    s.end("london", t["t7"], "U1");
    for (const char* connection : {"from-london", "a2"}) s.left("paris", t["t7"] + 4, "U2", connection);
    s.end("paris", t["t7"] + 4, "U2");
    return told;
}

Told tell_single_step_conference() {
    Told told = begin({{"t0", 0},
                       {"t1", 5000},
                       {"t2", 15000},
                       {"t3", 18000},
                       {"t4", 21000},
                       {"t5", 30000},
                       {"t5x", 50000},
                       {"t6", 50000}});
    auto& [s, t] = told;
    tell_head(told);
    s.segment("london", t["t1"], t["t5"], "F1", "U1", "a1");
    tell_to_paris(s, t["t3"], t["t4"], "U1", "conference");
    s.segment("paris", t["t4"], t["t6"], "F2", "U2", "a2");
    s.left("london", t["t5"], "U1", "a1");
    for (const char* connection : {"c", "to-paris"}) s.left("london", t["t6"], "U1", connection);
    s.end("london", t["t6"], "U1");
    for (const char* connection : {"from-london", "a2"}) s.left("paris", t["t6"] + 4, "U2", connection);
    s.end("paris", t["t6"] + 4, "U2");
    return told;
}

// The hub sends UQ to an agent's site and records its own leg there.
void tell_from_hub(Story& s, const std::string& site, const std::string& link, const std::string& id,
                   const std::string& agent, std::int64_t sent, std::int64_t joins, std::int64_t leaves) {
    const std::string leg = "to-" + site;
    s.half("hub", sent, link, "from", "UQ", nullptr, "route", leg);
    s.alerting("hub", sent + 20, "UQ", leg, "site", agent + "@" + site);
    s.call(site, sent + 4, id, "inter-site", "UQ");
    s.half(site, sent + 4, link, "to", "UQ", id.c_str(), "route", "from-hub");
    s.alerting(site, sent + 15, id, "a", "agent", agent);
    s.joined(site, joins, id, "a", "agent", agent);
    s.joined(site, joins, id, "from-hub", "site", kCustomer, link.c_str());
    s.answered(site, joins + 1, link, "to", "UQ");
    s.answered("hub", joins + 5, link, "from", id);
    s.joined("hub", joins + 5, "UQ", leg, "site", agent + "@" + site, link.c_str());
    s.music_off("hub", joins + 5, "UQ", "c");
    s.left(site, leaves, id, "a");
    s.left(site, leaves, id, "from-hub");
    s.end(site, leaves, id);
    s.left("hub", leaves + 4, "UQ", leg);
    s.link_ended("hub", leaves + 4, link, "from");
}

Told tell_central_queue() {
    Told told =
        begin({{"t0", 0}, {"t3", 9000}, {"t4", 12000}, {"t5", 25000}, {"t6", 31000}, {"t7", 34000}, {"t8", 50000}});
    auto& [s, t] = told;
    s.call("hub", t["t0"], "UQ", "inbound", "UQ");
    s.joined("hub", t["t0"] + 5, "UQ", "c", "customer", kCustomer);
    s.queued("hub", t["t0"] + 5, t["t3"], "UQ", "c");
    tell_from_hub(s, "london", "L1", "UA", "1001", t["t3"], t["t4"], t["t5"]);
    s.segment("hub", t["t4"], t["t5"], "F1", "UQ", "to-london");
    s.queued("hub", t["t5"] + 4, t["t6"], "UQ", "c");
    tell_from_hub(s, "paris", "L2", "UA2", "2001", t["t6"], t["t7"], t["t8"]);
    s.segment("hub", t["t7"], t["t8"], "F2", "UQ", "to-paris");
    s.left("hub", t["t8"] + 4, "UQ", "c");
    s.end("hub", t["t8"] + 4, "UQ");
    return told;
}

Told tell_consult_transfer_local() {
    Told told =
        begin({{"t0", 0}, {"t1", 5000}, {"t2", 15000}, {"t3", 17000}, {"t4", 21000}, {"t5", 30000}, {"t6", 50000}});
    auto& [s, t] = told;
    tell_head(told);
    s.segment("london", t["t1"], t["t5"], "F1", "U1", "a1");
    s.held("london", t["t2"], "U1", "c", "a1");
    s.call("london", t["t2"], "U1c", "internal", "U1", "U1");
    s.half("london", t["t2"], "LC", "both", "U1", "U1c", "consult", "");
    s.joined("london", t["t2"], "U1c", "a1c", "agent", "1001");
    s.alerting("london", t["t3"], "U1c", "a2", "agent", "1002");
    s.joined("london", t["t4"], "U1c", "a2", "agent", "1002");
    s.segment("london", t["t4"], t["t6"], "F2", "U1c", "a2");
    s.left("london", t["t5"], "U1", "a1");
    s.merge("london", t["t5"], "U1c", "U1");
    s.left("london", t["t5"], "U1c", "a1c");
    s.link_ended("london", t["t5"], "LC", "both");
    s.held("london", t["t5"], "U1", "c", "a1", false);
    for (const char* connection : {"c", "a2"}) s.left("london", t["t6"], "U1", connection);
    s.end("london", t["t6"], "U1");
    return told;
}

RecordingView view_of(const std::vector<Fact>& facts, const std::string& id = "U2") {
    Catalogue catalogue({});
    for (TypedFact& fact : typed(facts)) catalogue.add(std::move(fact));
    const RecordingView* view = catalogue.recording("default", id, Story::kStart + 200'000);
    REQUIRE(view != nullptr);
    return *view;
}

// Holds a view against the oracle: what is there, and where its boundaries are, to 50 ms on one time line.
class Judge {
public:
    Judge(const std::string& id, const Told& told, const RecordingView& view, std::int64_t root_ahead)
        : scenario_(oracle_of(id)), told_(told), view_(view), zero_(Story::kStart + root_ahead) {}

    void judge() {
        CHECK(view_.state == RecordingState::complete);
        calls();
        links();
        std::size_t wanted = 0;
        for (const json::value& segment : scenario_.at("segments").as_array()) {
            ++wanted;
            judge_segment(segment.as_object());
        }
        CHECK(view_.segments.size() == wanted);
        gaps();
    }

private:
    std::int64_t at(const json::value& name) const {
        const std::string text(name.as_string());
        return zero_ + told_.times.at(text.substr(0, text.find(' ')));
    }
    static bool is_near(std::int64_t a, std::int64_t b) { return std::abs(a - b) <= 50; }
    std::string who(const std::string& party) const {
        for (const PartyView& p : view_.parties)
            if (p.id == party) return p.address == kCustomer ? "C" : p.address.starts_with("1001") ? "A1" : "A2";
        return "nobody: " + party;
    }
    std::set<std::string> who(const std::vector<std::string>& parties) const {
        std::set<std::string> names;
        for (const std::string& party : parties) names.insert(who(party));
        return names;
    }
    static std::set<std::string> names(const json::value* list) {
        std::set<std::string> names;
        if (list != nullptr)
            for (const json::value& name : list->as_array()) names.emplace(name.as_string());
        return names;
    }

    void calls() {
        const auto& wanted = scenario_.at("calls").as_array();
        CHECK(view_.calls.size() == wanted.size());
        CHECK(view_.id.text() == wanted.front().at("call").as_string());
        for (const json::value& call : wanted) {
            INFO(call);
            const auto shown = std::find_if(view_.calls.begin(), view_.calls.end(), [&](const CallView& c) {
                return c.id.text() == call.at("call").as_string();
            });
            REQUIRE(shown != view_.calls.end());
            CHECK(shown->site == call.at("site").as_string());
            CHECK(is_near(*shown->started_at, at(call.at("from"))));
            CHECK(is_near(*shown->ended_at, at(call.at("to"))));
            const auto text = [&](const char* key) {
                const json::value* value = call.as_object().if_contains(key);
                return value == nullptr ? std::string() : std::string(value->as_string());
            };
            CHECK(shown->consult_of.text() == text("consult_of"));
            CHECK(shown->merged_into.text() == text("merged_into"));
        }
    }

    void links() {
        const auto& wanted = scenario_.at("links").as_array();
        CHECK(view_.links.size() == wanted.size());
        for (const json::value& link : wanted) {
            INFO(link);
            const auto shown = std::find_if(view_.links.begin(), view_.links.end(), [&](const LinkView& l) {
                return l.id.text() == link.at("link").as_string();
            });
            REQUIRE(shown != view_.links.end());
            CHECK(shown->from.text() == link.at("from_call").as_string());
            CHECK(shown->to.text() == link.at("to_call").as_string());
            CHECK(name_of(shown->kind) == std::string_view(link.at("kind").as_string()));
            CHECK(is_near(*shown->at, at(link.at("at"))));
            if (const auto* ended = link.as_object().if_contains("ended")) CHECK(is_near(*shown->ended_at, at(*ended)));
            if (const auto* moved = link.as_object().if_contains("moved_from"))
                CHECK(shown->moved_from.text() == moved->as_string());
            CHECK(shown->evidence.size() == (shown->header ? 2 : 1));
        }
    }

    void judge_segment(const json::object& wanted) {
        INFO(wanted);
        const auto shown = std::find_if(view_.segments.begin(), view_.segments.end(), [&](const SegmentView& s) {
            return s.id.text() == wanted.at("segment").as_string();
        });
        REQUIRE(shown != view_.segments.end());
        CHECK(shown->state == SegmentState::stored);
        CHECK(shown->call.text() == wanted.at("call").as_string());
        CHECK(shown->site == wanted.at("site").as_string());
        CHECK(is_near(*shown->started_at, at(wanted.at("from"))));
        CHECK(is_near(*shown->ended_at, at(wanted.at("to"))));
        const auto& voices = wanted.at("voices").as_array();
        REQUIRE(shown->timeline.size() == voices.size());
        for (std::size_t i = 0; i < voices.size(); ++i) {
            const json::object& voice = voices[i].as_object();
            const TimelineEntry& entry = shown->timeline[i];
            INFO(voice);
            CHECK(is_near(*shown->started_at + entry.from_ms, at(voice.at("from"))));
            CHECK(is_near(*shown->started_at + entry.to_ms, at(voice.at("to"))));
            const auto* label = voice.if_contains("label");
            CHECK(name_of(entry.label) == std::string_view(label == nullptr ? "talk" : label->as_string()));
            auto audible = names(&voice.at("said"));
            audible.merge(names(&voice.at("heard")));
            CHECK(who(entry.parties) == audible);
            CHECK(who(entry.held) == names(voice.if_contains("held")));
        }
    }

    void gaps() {
        struct Run {
            std::int64_t from, to;
            std::string reason;
        };
        std::vector<Run> runs;
        for (const GapView& gap : view_.gaps) {
            const bool waits = gap.reason == GapReason::queue || gap.reason == GapReason::treatment ||
                               gap.reason == GapReason::ringing;
            const std::string reason(waits ? "queue" : name_of(gap.reason));
            if (!runs.empty() && runs.back().reason == reason && runs.back().to == gap.from)
                runs.back().to = gap.to;
            else
                runs.push_back({gap.from, gap.to, reason});
        }
        const auto& wanted = scenario_.at("gaps").as_array();
        CHECK(runs.size() == wanted.size());
        for (std::size_t i = 0; i < std::min(runs.size(), wanted.size()); ++i) {
            INFO(wanted[i]);
            CHECK(runs[i].reason == wanted[i].at("reason").as_string());
            CHECK(is_near(runs[i].from, at(wanted[i].at("from"))));
            CHECK(is_near(runs[i].to, at(wanted[i].at("to"))));
        }
    }

    const json::object& scenario_;
    const Told& told_;
    const RecordingView& view_;
    std::int64_t zero_;
};

const std::map<std::string, Told (*)()>& stories() {
    static const std::map<std::string, Told (*)()> all = {{"single-step-transfer", tell_single_step_transfer},
                                                          {"consult-transfer", tell_consult_transfer},
                                                          {"single-step-conference", tell_single_step_conference},
                                                          {"two-step-conference", tell_two_step_conference},
                                                          {"central-queue", tell_central_queue},
                                                          {"consult-transfer-local", tell_consult_transfer_local}};
    return all;
}

}  // namespace

TEST_CASE("every scenario's facts, told by clocks ten minutes apart, become the recording the oracle describes") {
    for (const auto& [id, tell] : stories()) {
        SUBCASE(id.c_str()) {
            const Told told = tell();
            const std::string root(oracle_of(id).at("calls").as_array().front().at("call").as_string());
            const std::string site(oracle_of(id).at("calls").as_array().front().at("site").as_string());
            Judge(id, told, view_of(told.story.facts, root), told.story.ahead(site)).judge();
        }
    }
}

TEST_CASE("the same recording comes out of any order of facts, each said twice") {
    std::mt19937 chance(7);
    for (const auto& [id, tell] : stories()) {
        CAPTURE(id);
        const Told told = tell();
        const std::string root(oracle_of(id).at("calls").as_array().front().at("call").as_string());
        const std::string whole = json::serialize(to_json(view_of(told.story.facts, root)));
        for (int round = 0; round < 20; ++round) {
            auto facts = told.story.facts;
            facts.insert(facts.end(), told.story.facts.begin(), told.story.facts.end());
            std::shuffle(facts.begin(), facts.end(), chance);
            Catalogue catalogue({});
            for (TypedFact& fact : typed(facts)) {
                catalogue.add(std::move(fact));
                // Somebody looks while facts still come: what is folded early must not stick.
                if (chance() % 8 == 0) static_cast<void>(catalogue.list("default", {}, Story::kStart + 150'000));
            }
            const RecordingView* view = catalogue.recording("default", root, Story::kStart + 200'000);
            REQUIRE(view != nullptr);
            REQUIRE(json::serialize(to_json(*view)) == whole);
            REQUIRE(catalogue.list("default", {}, Story::kStart + 200'000).items.size() == 1);
        }
    }
}

TEST_CASE("a scenario cut short at any fact is still one well-formed view") {
    for (const auto& [id, tell] : stories()) {
        CAPTURE(id);
        const Told told = tell();
        Catalogue catalogue({});
        for (TypedFact& fact : typed(told.story.facts)) {
            catalogue.add(std::move(fact));
            for (const RecordingView& view : catalogue.list("default", {}, Story::kStart + 60'000).items) {
                for (const SegmentView& segment : view.segments) {
                    Ms at = 0;
                    for (const TimelineEntry& entry : segment.timeline) {
                        REQUIRE(entry.from_ms == at);
                        REQUIRE(entry.to_ms > at);
                        at = entry.to_ms;
                    }
                    const bool covers_all = segment.timeline.empty() || at == segment.duration_ms;
                    REQUIRE(covers_all);
                }
            }
        }
    }
}
