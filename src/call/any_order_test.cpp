// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "base/match.h"
#include "call/call.h"

// Any event in any state, in any order: what the call model promises all the same.
using namespace sheaf;
using namespace sheaf::call;

namespace {

constexpr std::size_t kStates = std::variant_size_v<ConnectionState> + 1;  // the last: no connection
constexpr std::size_t kEvents = std::variant_size_v<Event>;
using Pairs = std::array<std::array<std::size_t, kEvents>, kStates>;

void count(Pairs& pairs, const Call& call, const Event& event) {
    const auto met = [&](const Connection* connection) {
        ++pairs[connection == nullptr ? kStates - 1 : connection->state.index()][event.index()];
    };
    std::visit(
        [&](const auto& e) {
            if constexpr (requires { e.leg; }) return met(find(call, e.leg));
            if (call.connections.empty()) met(nullptr);
            for (const Connection& connection : call.connections) met(&connection);
        },
        event);
}

// What has begun of each kind and must end: once, and before its call.
class Ledger {
public:
    void heard(const Event& event) {
        std::visit(
            Match{[&](const Left& e) { playing_.erase(e.leg); }, [&](const Refused& e) { playing_.erase(e.leg); },
                  [&](const PlayEnded& e) {
                      if (const auto at = playing_.find(e.leg); at != playing_.end() && at->second == e.play)
                          playing_.erase(at);
                  },
                  [](const auto&) {}},
            event);
    }
    void seen(const std::vector<Effect>& effects) {
        for (const Effect& effect : effects) std::visit([&](const auto& e) { see(e); }, effect);
    }
    // Nothing is left of these connections.
    void is_over(const std::vector<Connection>& connections) {
        for (const Connection& c : connections) {
            if (playing_.contains(c.leg)) broken("a play has outlived " + c.id.text());
            for (const auto& [key, what] : begun_)
                if (key.second == c.id.text()) broken(key.first + " has outlived " + c.id.text());
            for (const auto& [segment, leg] : running_)
                if (leg == c.leg) broken("a recording has outlived " + c.id.text());
        }
    }
    void broken(std::string what) {
        if (what_.empty()) what_ = std::move(what);
    }
    [[nodiscard]] const std::string& what() const { return what_; }
    [[nodiscard]] const std::map<SegmentId, LegId>& running() const { return running_; }

private:
    void begin(const std::string& what, const std::string& whose) {
        if (!begun_.try_emplace({what, whose}).second) broken(what + " begins twice");
    }
    void end(const std::string& what, const std::string& whose) {
        if (begun_.erase({what, whose}) == 0) broken(what + " ends that has not begun");
    }
    void see(const Say& said) {
        static const std::map<std::string_view, std::string_view> begins{{"party.joined", "presence"},
                                                                         {"party.held", "hold"},
                                                                         {"queue.entered", "queue"},
                                                                         {"tone.started", "tone"},
                                                                         {"treatment.started", "treat"}};
        static const std::map<std::string_view, std::string_view> ends{{"party.retrieved", "hold"},
                                                                       {"queue.left", "queue"},
                                                                       {"tone.stopped", "tone"},
                                                                       {"treatment.ended", "treat"}};
        const auto text = [&](const char* key) {
            const auto* value = said.data.if_contains(key);
            return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
        };
        const std::string more = text("of") + text("treatment");
        if (const auto at = begins.find(said.type); at != begins.end())
            begin(std::string(at->second) + more, text("connection"));
        if (const auto at = ends.find(said.type); at != ends.end())
            end(std::string(at->second) + more, text("connection"));
        if (said.type == "party.left") {
            begun_.erase({"presence", text("connection")});
            begun_.erase({"hold", text("connection")});  // who leaves is held no more
        }
        if (said.type == "segment.lost") running_.erase(SegmentId{text("segment")});
    }
    void see(const StartPlay& e) { play(e.leg, e.play); }
    void see(const StartNotice& e) { play(e.leg, e.play); }
    void play(const LegId& leg, const std::string& name) {
        if (!playing_.try_emplace(leg, name).second) broken("two plays on one leg");
        if (!plays_.insert(leg.text() + name).second) broken("two plays of one name");
    }
    void see(const StopPlay& e) {
        const auto at = playing_.find(e.leg);
        if (at == playing_.end() || at->second != e.play) return broken("a play is stopped that does not run");
        playing_.erase(at);
    }
    void see(const StartRecording& e) {
        if (!segments_.insert(e.segment).second) broken("a segment is started twice");
        running_[e.segment] = e.leg;
        if (e.on_hold) begin("hold silence", e.segment.text());
        if (e.paused_by) begin("pause silence", e.segment.text());
    }
    void see(const Silence& e) {
        if (!running_.contains(e.segment)) broken("silence of a segment that does not run");
        begin(e.is_pause ? "pause silence" : "hold silence", e.segment.text());
    }
    void see(const Unsilence& e) {
        if (!running_.contains(e.segment)) broken("the end of a silence of a segment that does not run");
        end(e.is_pause ? "pause silence" : "hold silence", e.segment.text());
    }
    void see(const StopRecording& e) {
        if (running_.erase(e.segment) == 0) broken("a recording is stopped that does not run");
    }
    void see(const Gone& e) { playing_.erase(e.leg); }
    template <typename Other>
    void see(const Other&) {}

    std::map<std::pair<std::string, std::string>, int> begun_;
    std::map<LegId, std::string> playing_;
    std::set<std::string> plays_;
    std::set<SegmentId> segments_;
    std::map<SegmentId, LegId> running_;
    std::string what_;
};

// What must be true of a call after each step.
std::string wrong_in(const Call& call) {
    for (const Connection& c : call.connections) {
        const bool is_held = std::holds_alternative<Held>(c.state);
        if (c.in_room == c.holds()) return "in the room while it holds, or out of it while it does not";
        if (is_held) {
            const auto& by = std::get<Held>(c.state).by;
            const auto holder = std::ranges::find(call.connections, by, &Connection::id);
            if (holder == call.connections.end() || !holder->holds()) return "held by nobody who holds";
        }
        const bool has_music = c.treatment && c.treatment->for_hold;
        if (has_music != (is_held && !c.holds())) return "music on hold for somebody who is not held";
        const bool hears =
            std::holds_alternative<Queued>(c.state) || (std::holds_alternative<Connected>(c.state) && !c.holds());
        if (c.notice && !hears) return "a notice to somebody who cannot hear it";
        const auto* recording = std::get_if<Recording>(&c.recording);
        if (recording != nullptr && recording->paused != call.pause.has_value())
            return "paused and not, or the reverse";
    }
    return {};
}

// A call and a consult beside it, which may merge into the call.
class Walk {
public:
    Walk(std::uint64_t seed, Pairs& pairs) : state_(seed * 0x9E3779B97F4A7C15ULL), pairs_(pairs) {
        for (Call& call : calls_) begin(call);
    }
    // What was broken, or empty.
    std::string go(int events) {
        for (int i = 0; i < events && ledger_.what().empty(); ++i) {
            Call& call = calls_[below(2)];
            step(call, any(call));
        }
        for (Call& call : calls_) step(call, End{});
        if (ledger_.what().empty() && !ledger_.running().empty()) return "a recording has outlived every call";
        return ledger_.what();
    }

private:
    std::size_t below(std::size_t n) {  // xorshift64: the same everywhere
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return static_cast<std::size_t>(state_ % n);
    }
    bool often() { return below(4) != 0; }
    Call& consult() { return calls_[1]; }
    std::string fresh(const char* of) { return of + std::to_string(++made_); }

    void begin(Call& call) {
        call = Call{};
        call.id = call.root = CallUuid{fresh("u")};
        call.record_hold = below(3) == 0;
        if (&call == &consult()) call.consult_of = calls_[0].id;
    }

    void step(Call& call, const Event& event) {
        count(pairs_, call, event);
        ledger_.heard(event);
        const std::vector<Connection> before = call.connections;
        Step done = call::step(call, event);
        if (call::step(call, event).effects.size() != done.effects.size()) ledger_.broken("a step is not repeatable");
        call = std::move(done.call);
        ledger_.seen(done.effects);
        const bool is_over = std::ranges::any_of(done.effects, [](const Effect& e) { return std::get_if<Over>(&e); });
        if (!is_over) return check(call);
        std::vector<Connection> go_on = std::exchange(call.connections, {});
        std::vector<Connection> ended = before;
        std::erase_if(ended, [&](const Connection& c) {
            return std::ranges::any_of(go_on, [&](const Connection& other) { return other.id == c.id; });
        });
        ledger_.is_over(ended);
        begin(call);
        if (!go_on.empty()) step(calls_[0], Absorbed{std::move(go_on)});
    }
    void check(const Call& call) {
        if (const std::string wrong = wrong_in(call); !wrong.empty()) ledger_.broken(wrong);
    }

    LegId leg(const Call& call) {
        if (call.connections.empty() || !often()) return LegId{"none"};
        return call.connections[below(call.connections.size())].leg;
    }
    LegId new_leg(const Call& call) {  // or one that is in the call already
        if (often() || call.connections.empty()) return LegId{fresh("l")};
        return call.connections.front().leg;
    }
    Party party() { return {static_cast<Role>(below(3)), "1001", "", {}}; }
    Cause cause() { return static_cast<Cause>(below(4)); }
    Consent consent() {
        Consent out;
        out.hearers = static_cast<Hearers>(below(3));
        if (below(2) == 0) out.announcement = {"say:recorded"};
        if (below(2) == 0) out.tone_ms = 15'000;
        out.required = below(2) == 0;
        return out;
    }
    ToRecord to_record() { return {SegmentId{fresh("s")}, "rule", below(2) == 0, consent(), {}}; }
    std::optional<ToRecord> maybe_record() { return below(2) == 0 ? std::optional(to_record()) : std::nullopt; }
    std::vector<std::string> treatment() {
        return below(2) == 0 ? std::vector<std::string>{"say:welcome", "music:default"}
                             : std::vector<std::string>{"say:menu", "digits"};
    }
    std::string play_of(const Call& call, const LegId& leg) {
        const Connection* connection = find(call, leg);
        if (connection == nullptr || below(8) == 0) return "another";
        if (connection->notice) return connection->notice->play;
        return connection->treatment ? connection->treatment->play : "none";
    }
    SegmentId segment(const Call& call) {
        for (const Connection& c : call.connections)
            if (const auto* recording = std::get_if<Recording>(&c.recording); recording != nullptr && often())
                return recording->segment;
        return SegmentId{"none"};
    }

    Event any(const Call& call) {
        const std::size_t kind = below(40);
        if (kind < 18) return of_parties(call, kind);
        if (kind < 31) return of_hearing(call, kind);
        return of_recording(call, kind);
    }
    Event of_parties(const Call& call, std::size_t kind) {
        switch (kind) {
            case 0: return Begun{};
            case 1:
            case 2: return Arrived{ConnectionId{fresh("p")}, new_leg(call), party(), maybe_record()};
            case 3: return Entered{ConnectionId{fresh("p")}, new_leg(call), party(), maybe_record()};
            case 4: return Accept{leg(call)};
            case 5:
            case 6:
            case 7: return Called{ConnectionId{fresh("p")}, new_leg(call), party(), maybe_record()};
            case 8: return Alerted{leg(call)};
            case 9:
            case 10: return Answered{leg(call), below(2) == 0};
            case 11: return Established{leg(call), below(4) == 0 ? leg(call) : LegId{}};
            case 12: return Refused{leg(call), cause()};
            case 13: return below(2) == 0 ? Event{Left{leg(call), cause()}} : Event{Clear{leg(call), cause()}};
            case 14: return Withdraw{leg(call), cause()};
            case 15: return &call == &consult() ? Event{Merged{calls_[0].id, leg(call)}} : Event{Alerted{leg(call)}};
            case 16: return below(8) == 0 ? Event{End{cause(), 0, {}}} : Event{Established{leg(call)}};
            default: return below(4) == 0 ? Event{Absorbed{}} : Event{Answered{leg(call), false}};
        }
    }
    Event of_hearing(const Call& call, std::size_t kind) {
        const LegId of = leg(call);
        switch (kind) {
            case 18:
            case 19: return Enqueue{of, "8000", treatment()};
            case 20: return Treat{of, treatment(), below(2) == 0};
            case 21: return Untreat{of};
            case 22: return Announce{of, "say:position"};
            case 23: return ToneDue{of};
            case 24: return PutOnHold{of, static_cast<HoldWay>(below(3))};
            case 25:
            case 26: return Retrieved{of, static_cast<HoldWay>(below(3))};
            case 27: return FarSide{of, below(2) == 0};
            case 28: return PlayBegan{of, play_of(call, of)};
            default: return PlayEnded{of, play_of(call, of), below(4) == 0};
        }
    }
    Event of_recording(const Call& call, std::size_t kind) {
        switch (kind) {
            case 31:
            case 32: return Record{leg(call), to_record()};
            case 33: return StopRecord{leg(call)};
            case 34: return PauseRecording{{fresh("pause"), "1001"}, 0, below(2) == 0};
            case 35: return ResumeRecording{"1001", below(2) == 0};
            case 36:
            case 37: return RecordingOpened{segment(call), {}};
            case 38: return RecordingFailed{segment(call), {}};
            default: return PlayBegan{leg(call), "another"};
        }
    }

    std::uint64_t state_;
    Pairs& pairs_;
    Ledger ledger_;
    std::array<Call, 2> calls_;
    unsigned made_ = 0;
};

}  // namespace

TEST_CASE("any event in any state: what has begun ends once, and nothing outlives its call") {
    Pairs pairs{};
    for (std::uint64_t seed = 1; seed <= 120; ++seed) {
        CAPTURE(seed);
        CHECK(Walk(seed, pairs).go(400) == "");
    }
    for (std::size_t state = 0; state < kStates; ++state)
        for (std::size_t event = 0; event < kEvents; ++event) {
            CAPTURE(state);
            CAPTURE(event);
            CHECK(pairs[state][event] > 0);
        }
}
