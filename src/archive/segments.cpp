// SPDX-License-Identifier: Apache-2.0
#include "archive/segments.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "base/match.h"

namespace sheaf::archive {
namespace {

struct Known {
    SegmentView view;
    std::optional<Ms> sealed_at;
    bool is_lost_whole = false;
    bool has_not_begun = false;  // as its switch believed
    std::optional<Ms> given_up_at;
};

class Gatherer {
public:
    void add(const TimedFact& timed) {
        const Ms at = timed.at;
        std::visit(Match{[&](const SegmentExpected& f) {
                             SegmentView& s = known(f, timed).view;
                             s.expected_at = s.expected_at.value_or(at);
                             if (s.rule.empty()) s.rule = f.rule;
                         },
                         [&](const SegmentOpened& f) {
                             SegmentView& s = known(f, timed).view;
                             s.started_at = s.started_at.value_or(at);
                         },
                         [&](const SegmentSealed& f) {
                             Known& s = known(f, timed);
                             if (s.sealed_at) return;
                             s.sealed_at = at;
                             s.view.duration_ms = f.duration_ms;
                             if (s.view.cause.empty()) s.view.cause = f.cause;
                         },
                         [&](const SegmentLost& f) {
                             Known& s = known(f, timed);
                             if (f.cause == kNotBegun) {
                                 s.has_not_begun = true;
                                 s.given_up_at = timed.at;
                                 return;
                             }
                             if (f.from_ms)
                                 s.view.lost.emplace_back(*f.from_ms, *f.to_ms);
                             else
                                 s.is_lost_whole = true;
                             if (!f.cause.empty()) s.view.cause = f.cause;
                         },
                         [](const auto&) {}},
                   timed.fact->body);
    }
    // Only the site whose segment it is can say so.
    void add_erasure(const SegmentErased& f, const std::string& site) {
        const auto at = segments.find(f.segment);
        if (at != segments.end() && at->second.view.site == site) at->second.view.erased_sha256 = f.sha256;
    }
    // The first file counts, unless it had to be replaced by one of which something was erased.
    void add_media(const SegmentStored& f) {
        const auto at = segments.find(f.segment);
        if (at == segments.end()) return;
        SegmentView& s = at->second.view;
        if (!s.media || s.erased_sha256 == f.sha256) s.media = MediaView{f.sha256, f.media_type, f.bytes};
    }

    std::map<SegmentId, Known> segments;

private:
    template <typename F>
    Known& known(const F& f, const TimedFact& timed) {
        Known& known = segments[f.segment];
        SegmentView& s = known.view;
        if (s.id.empty()) {
            s.id = f.segment;
            s.call = f.call;
            s.site = timed.fact->site;
        }
        if (s.connection.empty()) s.connection = f.connection;
        return known;
    }
};

SegmentState state_of(const Known& known, Ms now, Ms& changes_at) {
    const SegmentView& s = known.view;
    if (s.media) return SegmentState::stored;
    if (known.is_lost_whole || s.has_not_begun) return SegmentState::lost;
    if (known.sealed_at) return SegmentState::sealed;
    if (s.call_ended_at) {
        const Ms late_at = *s.call_ended_at + kMissingAfterMs;
        if (now >= late_at) return SegmentState::missing;
        changes_at = std::min(changes_at, late_at);
    }
    return s.started_at ? SegmentState::recording : SegmentState::expected;
}

}  // namespace

std::vector<SegmentView> segments_of(const std::vector<TimedFact>& facts,
                                     const std::function<std::optional<Ms>(const CallUuid&)>& end_of_call, Ms now,
                                     Ms& changes_at) {
    Gatherer gatherer;
    for (const TimedFact& timed : facts) gatherer.add(timed);
    std::vector<const TypedFact*> erasures;  // in the order in which their node said them: its wall clock may step
    for (const TimedFact& timed : facts)
        if (std::holds_alternative<SegmentErased>(timed.fact->body)) erasures.push_back(timed.fact);
    std::ranges::sort(erasures, {}, [](const TypedFact* fact) { return std::tie(fact->node, fact->seq); });
    for (const TypedFact* fact : erasures) gatherer.add_erasure(std::get<SegmentErased>(fact->body), fact->site);
    for (const TimedFact& timed : facts)
        if (const auto* stored = std::get_if<SegmentStored>(&timed.fact->body)) gatherer.add_media(*stored);
    std::vector<SegmentView> list;
    for (auto& [id, known] : gatherer.segments) {
        SegmentView& s = known.view;
        if (known.sealed_at) {
            s.started_at = s.started_at.value_or(*known.sealed_at - s.duration_ms);
            s.ended_at = *s.started_at + s.duration_ms;
        }
        // What has begun after all is worth an alarm until its file comes.
        s.has_not_begun = known.has_not_begun && !s.started_at && !known.is_lost_whole;
        if (s.has_not_begun) {
            s.cause = kNotBegun;
            s.ended_at = known.given_up_at;  // whoever was to be recorded may go on, and is not recorded then
        }
        s.call_ended_at = end_of_call(s.call);
        s.state = state_of(known, now, changes_at);
        std::sort(s.lost.begin(), s.lost.end());
        list.push_back(std::move(s));
    }
    const auto start = [](const SegmentView& s) { return s.started_at.value_or(s.expected_at.value_or(kNever)); };
    std::sort(list.begin(), list.end(), [&](const SegmentView& a, const SegmentView& b) {
        return std::pair(start(a), a.id) < std::pair(start(b), b.id);
    });
    return list;
}

}  // namespace sheaf::archive
