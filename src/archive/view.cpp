// SPDX-License-Identifier: Apache-2.0
#include "archive/view.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "archive/gaps.h"
#include "archive/links.h"
#include "archive/presence.h"
#include "archive/segments.h"
#include "archive/timeline.h"
#include "base/match.h"

namespace sheaf::archive {
namespace {

// Of a recording: connections times changes that are looked at, and parties named in its timelines.
constexpr std::size_t kMomentsMax = 5'000'000;
constexpr std::size_t kTimelineWordsMax = 1'000'000;

// Facts in an order that depends on their content alone.
std::vector<const TypedFact*> in_order(std::vector<const TypedFact*> facts) {
    std::sort(facts.begin(), facts.end(), [](const TypedFact* a, const TypedFact* b) {
        return std::tie(a->at, a->site, a->node, a->seq, a->id) < std::tie(b->at, b->site, b->node, b->seq, b->id);
    });
    return facts;
}

using Owners = std::map<CallUuid, std::set<std::string>>;
// Who says that a call has started is the one who may speak of it. Two of them: neither is believed more than the
// other.
Owners owners_of_calls(const std::vector<const TypedFact*>& facts) {
    Owners owners;
    for (const TypedFact* fact : facts)
        if (const auto* started = std::get_if<CallStarted>(&fact->body)) owners[started->call].insert(fact->site);
    return owners;
}

// The site of each call: who said that it started, or who speaks of it as its own.
std::map<CallUuid, std::string> sites_of_calls(const std::vector<const TypedFact*>& facts) {
    std::map<CallUuid, std::string> sites;
    for (const TypedFact* fact : facts)
        if (const auto* started = std::get_if<CallStarted>(&fact->body)) sites.try_emplace(started->call, fact->site);
    for (const TypedFact* fact : facts)
        if (const CallUuid call = call_of(fact->body); !call.empty()) sites.try_emplace(call, fact->site);
    for (const TypedFact* fact : facts) {
        const auto* opened = std::get_if<LinkOpened>(&fact->body);
        if (opened == nullptr) continue;
        if (opened->half == Half::from) sites.try_emplace(opened->from, fact->site);
        if (opened->half == Half::to) sites.try_emplace(opened->to, fact->site);
    }
    return sites;
}

class Fold {
public:
    Fold(const Component& component, Ms now, Ms settle_ms) : component_(component), now_(now), settle_ms_(settle_ms) {}

    RecordingView run() {
        facts_ = in_order(component_.facts);
        const Owners owners = owners_of_calls(facts_);
        std::erase_if(facts_, [&](const TypedFact* fact) {
            const auto known = owners.find(call_of(fact->body));
            return known != owners.end() && !known->second.contains(fact->site);
        });
        is_contested_ = std::ranges::any_of(owners, [](const auto& one) { return one.second.size() > 1; });
        sites_ = sites_of_calls(facts_);
        view_.id = component_.root;
        view_.needs_review = component_.needs_review || is_contested_;
        for (const std::string& call : component_.calls)
            if (call != component_.root.text()) view_.aliases.emplace_back(call);
        place_on_one_clock();
        fold_calls();
        fold_links();
        const Presence presence(timed_, view_.links);
        view_.parties = presence.parties();
        fold_segments();
        bound();
        decide_state();
        if (presence.connections().size() * presence.changes().size() > kMomentsMax)
            is_too_much_ = true;
        else
            account(presence);
        view_.needs_review = view_.needs_review || is_too_much_;
        finish_segments(presence);
        fold_events(presence);
        raise_alarms();
        return std::move(view_);
    }

private:
    // Who was heard when, and what is missing; neither where that would be more than anybody can look through.
    void account(const Presence& presence) {
        std::size_t words = 0;
        for (SegmentView& segment : view_.segments) {
            segment.party = recorded_party_of(segment, presence, until_);
            segment.timeline = timeline_of(segment, presence, until_);
            for (const TimelineEntry& entry : segment.timeline) words += 1 + entry.parties.size() + entry.held.size();
            is_too_much_ = words > kTimelineWordsMax;
            if (is_too_much_) break;
        }
        if (!is_too_much_) view_.gaps = gaps_of(view_.segments, view_.calls, presence, until_);
        if (is_too_much_)
            for (SegmentView& segment : view_.segments) segment.timeline.clear();
    }

    void place_on_one_clock() {
        const auto root = sites_.find(component_.root);
        const auto clocks = site_clocks(root == sites_.end() ? std::string() : root->second, facts_);
        for (const TypedFact* fact : facts_)
            timed_.push_back({to_unix_ms(fact->at) - clocks.at(fact->site).offset_ms, fact});
        std::sort(timed_.begin(), timed_.end(), [](const TimedFact& a, const TimedFact& b) {
            const auto key = [](const TimedFact& t) {
                return std::tie(t.at, t.fact->site, t.fact->node, t.fact->seq, t.fact->id);
            };
            return key(a) < key(b);
        });
        std::set<std::string> at_calls;
        for (const auto& [call, site] : sites_) at_calls.insert(site);
        for (const auto& [site, clock] : clocks)
            if (at_calls.contains(site)) view_.clocks.emplace_back(site, clock);
    }

    CallView& call(const CallUuid& id) {
        CallView& call = calls_[id];
        call.id = id;
        return call;
    }

    // A file that comes hours later, and what somebody decides about it, is no part of what happened.
    [[nodiscard]] Ms last_that_happened() const {
        const auto is_late = [](const TimedFact& timed) {
            const FactBody& body = timed.fact->body;
            return std::holds_alternative<SegmentStored>(body) || std::holds_alternative<OperatorLink>(body) ||
                   std::holds_alternative<OperatorAccept>(body);
        };
        const auto last = std::find_if_not(timed_.rbegin(), timed_.rend(), is_late);
        return last == timed_.rend() ? now_ : last->at;
    }

    void fold_calls() {
        for (const std::string& id : component_.calls) {
            CallView& c = call(CallUuid(id));
            if (const auto site = sites_.find(c.id); site != sites_.end()) c.site = site->second;
        }
        std::set<CallUuid> announced;
        for (const auto& [at, fact] : timed_) {
            if (const auto* f = std::get_if<CallStarted>(&fact->body);
                f != nullptr && announced.insert(f->call).second) {
                CallView& c = call(f->call);
                c.started_at = at;
                c.direction = f->direction;
                c.ani = f->ani;
                c.dnis = f->dnis;
                c.consult_of = f->consult_of;
            } else if (const auto* e = std::get_if<CallEnded>(&fact->body)) {
                CallView& c = call(e->call);
                if (c.cause.empty()) c.cause = e->cause;
                c.ended_at = c.ended_at.value_or(at);
            } else if (const auto* m = std::get_if<CallMerged>(&fact->body)) {
                CallView& c = call(m->call);
                if (c.merged_into.empty()) c.merged_into = m->into;
                c.ended_at = c.ended_at.value_or(at);
            }
        }
        // Of a site that has gone for good nobody says the end of its calls.
        const Ms last = last_that_happened();
        for (auto& [id, c] : calls_) {
            if (c.ended_at) continue;
            if (now_ >= last + kSilentMaxMs) {
                c.ended_at = last;
                c.cause = "lost-control";
            } else {
                view_.changes_at = std::min(view_.changes_at, last + kSilentMaxMs);
            }
        }
        for (const auto& [at, fact] : timed_) {  // never announced: from the first that is known of it
            const CallUuid id = call_of(fact->body);
            if (!id.empty() && !call(id).started_at) call(id).started_at = at;
        }
    }

    void fold_links() {
        for (LinkView& link : links_of(timed_)) {
            const bool inside = component_.calls.contains(link.from.text()) &&
                                (link.to.empty() || component_.calls.contains(link.to.text()));
            if (!inside || link.retracted) continue;
            for (const CallUuid& id : {link.from, link.to})  // a call nobody announced: from its link on
                if (!id.empty() && !call(id).started_at) call(id).started_at = link.at;
            view_.links.push_back(std::move(link));
        }
    }

    void fold_segments() {
        view_.segments = segments_of(timed_, [this](const CallUuid& id) { return end_of(id); }, now_, view_.changes_at);
        std::erase_if(view_.segments, [&](const SegmentView& s) { return !component_.calls.contains(s.call.text()); });
        for (const SegmentView& s : view_.segments)
            if (s.state == SegmentState::sealed && now_ < *s.ended_at + settle_ms_)
                view_.changes_at = std::min(view_.changes_at, *s.ended_at + settle_ms_);
    }

    // When the call that this one has become in the end was over; empty: not yet.
    std::optional<Ms> end_of(CallUuid id) {
        for (std::size_t steps = 0; steps <= calls_.size(); ++steps) {
            const auto at = calls_.find(id);
            if (at == calls_.end()) return std::nullopt;
            if (at->second.merged_into.empty()) return at->second.ended_at;
            id = at->second.merged_into;
        }
        return std::nullopt;  // a ring of merges
    }

    // When the recording began and ended, and up to when what is still going on is shown.
    void bound() {
        bool all_ended = true;
        for (auto& [id, c] : calls_) {
            if (!component_.calls.contains(id.text())) continue;
            if (c.started_at && (!view_.started_at || *c.started_at < *view_.started_at))
                view_.started_at = c.started_at;
            all_ended = all_ended && c.ended_at.has_value();
            if (c.ended_at) view_.ended_at = std::max(view_.ended_at.value_or(*c.ended_at), *c.ended_at);
            view_.calls.push_back(c);
        }
        std::sort(view_.calls.begin(), view_.calls.end(), [](const CallView& a, const CallView& b) {
            const Ms x = a.started_at.value_or(kNever);
            const Ms y = b.started_at.value_or(kNever);
            return std::tie(x, a.id) < std::tie(y, b.id);
        });
        until_ = last_that_happened();
        if (!all_ended) {
            view_.ended_at.reset();
            until_ = std::max(until_, now_);
            view_.is_live = true;
        }
        for (const SegmentView& s : view_.segments) until_ = std::max(until_, s.ended_at.value_or(until_));
        if (view_.started_at) view_.duration_ms = std::max<Ms>(0, view_.ended_at.value_or(until_) - *view_.started_at);
    }

    void decide_state() {
        const bool has_all_halves = std::all_of(view_.links.begin(), view_.links.end(), [](const LinkView& l) {
            const bool has_two = l.header && l.kind != LinkKind::consult && l.moved_from.empty() && !l.retracted;
            return !has_two || (l.has_from_half && (l.has_to_half || l.refused));
        });
        // A file may overtake the fact that says how long it is: until both are there it has no end.
        const bool has_all_segments =
            std::all_of(view_.segments.begin(), view_.segments.end(), [](const SegmentView& s) {
                return s.state == SegmentState::lost || (s.state == SegmentState::stored && s.ended_at.has_value());
            });
        view_.state = RecordingState::open;
        if (!view_.ended_at) return;
        if (has_all_halves && has_all_segments) {
            view_.state = RecordingState::complete;
        } else if (now_ - *view_.ended_at >= settle_ms_) {
            view_.state = RecordingState::incomplete;
        } else {
            view_.changes_at = std::min(view_.changes_at, *view_.ended_at + settle_ms_);
        }
    }

    // The timelines of what never arrived have served the ledger; to others they would be a promise.
    void finish_segments(const Presence& presence) {
        for (SegmentView& s : view_.segments) {
            const Window window = window_of(s, presence, until_);
            if (s.started_at && !s.ended_at) s.duration_ms = window.to - window.from;
            if (s.state == SegmentState::expected || s.state == SegmentState::missing) s.timeline.clear();
            if (s.state != SegmentState::lost) continue;
            s.timeline.clear();
            if (window.to > window.from) s.timeline.push_back({0, window.to - window.from, Label::lost, {}, {}, {}});
        }
    }

    // Whether what began then could not be played.
    bool has_failed(const TimedFact& began, const TreatmentStarted& started) const {
        const auto first = std::find_if(timed_.begin(), timed_.end(),
                                        [&](const TimedFact& timed) { return timed.fact == began.fact; });
        for (auto timed = first; timed != timed_.end(); ++timed) {
            const auto* ended = std::get_if<TreatmentEnded>(&timed->fact->body);
            if (ended && timed->fact->site == began.fact->site && ended->connection == started.connection &&
                ended->treatment == started.treatment)
                return ended->failed;
        }
        return false;
    }

    void fold_events(const Presence& presence) {
        for (const TimedFact& timed : timed_) {
            const TypedFact& fact = *timed.fact;
            const auto say = [&](const CallUuid& id, const ConnectionId& connection, const char* event) {
                view_.events.push_back(
                    {timed.at, to_unix_ms(fact.at), id, presence.party_of(fact.site, connection), event});
            };
            const auto is_person = [&](const ConnectionId& id) {  // who was ever connected, and is no leg to a site
                const auto c = presence.find(fact.site, id);
                return c && presence.connections()[*c].role != Role::site;
            };
            std::visit(
                Match{[&](const PartyJoined& f) {
                          if (is_person(f.connection)) say(f.call, f.connection, "joined");
                      },
                      [&](const PartyLeft& f) {
                          if (is_person(f.connection)) say(f.call, f.connection, "left");
                      },
                      [&](const PartyHeld& f) { say(f.call, f.connection, "held"); },
                      [&](const PartyRetrieved& f) { say(f.call, f.connection, "retrieved"); },
                      [&](const RecordingPaused& f) { say(f.call, f.asker, "paused"); },
                      [&](const RecordingResumed& f) { say(f.call, f.asker, "resumed"); },
                      [&](const TreatmentStarted& f) {
                          if (f.treatment.starts_with("say:") && !has_failed(timed, f))
                              say(f.call, f.connection, "announcement-played");
                      },
                      [&](const ConsentAnnounced& f) { say(f.call, f.connection, "announcement-played"); },
                      [&](const ToneStarted& f) { say(f.call, f.connection, "tone-started"); },
                      [&](const ToneStopped& f) { say(f.call, f.connection, "tone-stopped"); }, [](const auto&) {}},
                fact.body);
        }
    }

    void raise_alarms() {
        for (const SegmentView& s : view_.segments) {
            if (s.state == SegmentState::missing)
                view_.alarms.push_back({"segment-missing", *s.call_ended_at + kMissingAfterMs, view_.id, s.id,
                                        "announced at " + s.site + ", and nothing of it has come"});
            if (s.state == SegmentState::sealed && now_ >= *s.ended_at + settle_ms_)
                view_.alarms.push_back({"segment-undelivered", *s.ended_at + settle_ms_, view_.id, s.id,
                                        "complete at " + s.site + ", and its file has not come"});
            if (s.state == SegmentState::lost && !s.has_not_begun)
                view_.alarms.push_back(
                    {"segment-lost", s.expected_at, view_.id, s.id, "lost at " + s.site + ": " + s.cause});
        }
        for (const SegmentView& s : view_.segments)
            if (s.media && !s.erased_sha256.empty() && s.media->sha256 != s.erased_sha256)
                view_.alarms.push_back({"segment-not-erased", s.ended_at, view_.id, s.id,
                                        "a pause came late at " + s.site + ": the file without it has not come yet"});
        raise_pause_alarms();
        const auto review = [&](const char* why) {
            view_.alarms.push_back({"needs-review", view_.started_at, view_.id, {}, why});
        };
        if (component_.needs_review) review("more calls are linked than one recording may hold");
        if (is_too_much_) review("more happens in it than is accounted for");
        if (is_contested_) review("two sites say that a call is theirs");
    }

    void raise_pause_alarms() {
        const auto is_confirmed = [&](const PauseUnconfirmed& open) {
            return std::any_of(timed_.begin(), timed_.end(), [&](const TimedFact& timed) {
                const auto* f = std::get_if<PauseConfirmed>(&timed.fact->body);
                return f != nullptr && f->call == open.call && f->pause == open.pause && f->by_site == open.by_site;
            });
        };
        for (const TimedFact& timed : timed_) {
            const auto* f = std::get_if<PauseUnconfirmed>(&timed.fact->body);
            if (f == nullptr || is_confirmed(*f)) continue;
            view_.alarms.push_back(
                {"pause-unconfirmed",
                 timed.at,
                 view_.id,
                 {},
                 f->by_site + " has not said that it stores nothing of the pause that began at " + timed.fact->site});
        }
    }

    const Component& component_;
    Ms now_, settle_ms_;
    Ms until_ = 0;
    std::vector<const TypedFact*> facts_;
    bool is_contested_ = false;
    bool is_too_much_ = false;
    std::map<CallUuid, std::string> sites_;
    std::vector<TimedFact> timed_;
    std::map<CallUuid, CallView> calls_;
    RecordingView view_;
};

template <typename E>
std::string_view word(E value, std::initializer_list<std::string_view> words) {
    return words.begin()[static_cast<std::size_t>(value)];
}

}  // namespace

std::string_view name_of(SegmentState state) {
    return word(state, {"expected", "recording", "sealed", "stored", "missing", "lost"});
}
std::string_view name_of(Label label) {
    return word(label, {"talk", "hold", "paused", "lost", "unknown"});
}
std::string_view name_of(GapReason reason) {
    return word(reason,
                {"queue", "ringing", "treatment", "hold", "paused", "not-selected", "lost", "missing", "unknown"});
}
std::string_view name_of(RecordingState state) {
    return word(state, {"open", "complete", "incomplete"});
}

RecordingView recording_view(const Component& component, Ms now, Ms settle_ms) {
    return Fold(component, now, settle_ms).run();
}

}  // namespace sheaf::archive
