// SPDX-License-Identifier: Apache-2.0
#include "archive/gaps.h"

#include <algorithm>
#include <tuple>

#include "archive/timeline.h"

namespace sheaf::archive {
namespace {

struct Held {  // a segment with its place in time
    const SegmentView* segment;
    Window window;
};

struct Verdict {
    bool is_gap = true;
    GapReason reason = GapReason::unknown;
    std::string detail;
    bool is_edge = false;  // may be no more than the way from an answer to a file's first moment
};

struct Customer {
    std::size_t party;
    std::vector<std::size_t> connections;
    std::vector<Span> spans;  // of presence, in order, apart; `what` is the call that it begins in
};

bool contains(const std::vector<std::string>& sorted, const std::string& id) {
    return std::binary_search(sorted.begin(), sorted.end(), id);
}

class Ledger {
public:
    Ledger(const std::vector<SegmentView>& segments, const Presence& presence, Ms until)
        : presence_(presence), until_(until) {
        for (const SegmentView& segment : segments)
            segments_.push_back({&segment, window_of(segment, presence, until)});
    }

    std::vector<GapView> gaps_of(const Customer& customer) const {
        struct Slice {
            Span time;
            Verdict verdict;
        };
        std::vector<Slice> slices;
        for (const Span& span : customer.spans) {
            const Ms to = std::min(span.to, until_);
            std::set<Ms> cuts = cuts_within(span.from, to);
            for (auto at = cuts.begin(); at != cuts.end() && std::next(at) != cuts.end(); ++at) {
                Verdict verdict = judge(customer, CallUuid(span.what), *at);
                const bool goes_on = !slices.empty() && slices.back().time.to == *at &&
                                     slices.back().verdict.is_gap == verdict.is_gap &&
                                     slices.back().verdict.reason == verdict.reason;
                if (goes_on) {
                    slices.back().time.to = *std::next(at);
                    slices.back().verdict.is_edge = slices.back().verdict.is_edge && verdict.is_edge;
                    if (slices.back().verdict.detail.empty()) slices.back().verdict.detail = verdict.detail;
                } else {
                    slices.push_back({{*at, *std::next(at), {}, {}}, std::move(verdict)});
                }
            }
        }
        const auto touches = [&](std::size_t a, std::size_t b) {
            return b < slices.size() && slices[a].time.to == slices[b].time.from;
        };
        for (std::size_t i = 0; i < slices.size(); ++i) {
            Slice& slice = slices[i];
            const Ms length = slice.time.to - slice.time.from;
            if (!slice.verdict.is_gap || !slice.verdict.is_edge || length > kEdgeMs) continue;
            const auto explains = [&](std::size_t n) { return slices[n].verdict.is_gap && !slices[n].verdict.is_edge; };
            if (i > 0 && touches(i - 1, i) && explains(i - 1))
                slice.verdict = slices[i - 1].verdict;
            else if (touches(i, i + 1) && explains(i + 1))
                slice.verdict = slices[i + 1].verdict;
            else if (length <= kEdgeAloneMs)
                slice.verdict.is_gap = false;
        }
        std::vector<GapView> gaps;
        for (const Slice& slice : slices) {
            if (!slice.verdict.is_gap) continue;
            if (!gaps.empty() && gaps.back().to == slice.time.from && gaps.back().reason == slice.verdict.reason)
                gaps.back().to = slice.time.to;
            else
                gaps.push_back({slice.time.from, slice.time.to, slice.verdict.reason, slice.verdict.detail,
                                presence_.parties()[customer.party].id});
        }
        return gaps;
    }

private:
    std::set<Ms> cuts_within(Ms from, Ms to) const {
        std::set<Ms> cuts;
        if (from >= to) return cuts;
        cuts = {from, to};
        const auto cut = [&](Ms at) {
            if (from < at && at < to) cuts.insert(at);
        };
        for (Ms at : presence_.changes()) cut(at);
        for (const auto* list : {&presence_.alerting(), &presence_.queued(), &presence_.treated()})
            for (const Attention& a : *list) {
                cut(a.span.from);
                cut(a.span.to);
            }
        for (const Held& held : segments_) {
            cut(held.window.from);
            cut(held.window.to);
            if (held.segment->expected_at) cut(*held.segment->expected_at);
            for (const TimelineEntry& entry : held.segment->timeline) cut(held.window.from + entry.from_ms);
        }
        return cuts;
    }

    // What the segments say of the moment, if any has to do with the customer.
    std::optional<Verdict> by_segments(const std::string& customer, const Reach& reach, Ms t) const {
        std::optional<Verdict> worst;
        const auto say = [&](GapReason reason, std::string detail, bool is_edge = false) {
            const auto weight = [](GapReason r) {
                return r == GapReason::lost ? 3 : r == GapReason::missing ? 2 : r == GapReason::paused ? 1 : 0;
            };
            if (!worst || weight(reason) > weight(worst->reason))
                worst = Verdict{true, reason, std::move(detail), is_edge};
        };
        for (const Held& held : segments_) {
            const SegmentView& segment = *held.segment;
            const std::string name = "segment " + segment.id.text();
            if (segment.expected_at && *segment.expected_at <= t && t < held.window.from) {
                const auto own = presence_.find(segment.site, segment.connection);
                const bool is_there = own && presence_.reach(*own, segment.call, t).present &&
                                      reach.calls.contains(presence_.call_at(segment.call, t));
                if (is_there) say(GapReason::unknown, name + " has not begun", true);
            }
            if (t < held.window.from || t >= held.window.to) continue;
            const auto entry = std::find_if(segment.timeline.begin(), segment.timeline.end(), [&](const auto& e) {
                return t - held.window.from >= e.from_ms && t - held.window.from < e.to_ms;
            });
            if (entry == segment.timeline.end() || !contains(entry->parties, customer)) continue;
            if (segment.state == SegmentState::lost || entry->label == Label::lost)
                say(GapReason::lost, name + (segment.cause.empty() ? "" : ": " + segment.cause));
            else if (segment.state == SegmentState::missing)
                say(GapReason::missing, name);
            else if (entry->label == Label::paused)
                say(GapReason::paused, entry->by.empty() ? "" : "by " + entry->by);
            else if (segment.state == SegmentState::expected)
                say(GapReason::unknown, name + " is expected");
            else
                return Verdict{false, {}, {}, false};  // held
        }
        return worst;
    }

    std::optional<Verdict> by_attention(const Customer& customer, const Reach& reach, Ms t) const {
        const auto concerns = [&](const Attention& a, bool anyone) {
            if (!a.span.holds(t) || !reach.calls.contains(presence_.call_at(a.call, t))) return false;
            if (anyone) return true;
            const auto own = presence_.find(a.site, a.connection);
            if (!own) return true;  // it waits before it is connected: the caller
            const auto& mine = customer.connections;
            return reach.entries.contains(*own) || std::find(mine.begin(), mine.end(), *own) != mine.end();
        };
        for (const Attention& a : presence_.alerting())
            if (concerns(a, true)) return Verdict{true, GapReason::ringing, a.span.what, false};
        for (const Attention& a : presence_.queued())
            if (concerns(a, false)) return Verdict{true, GapReason::queue, a.span.what, false};
        for (const Attention& a : presence_.treated())
            if (concerns(a, false)) return Verdict{true, GapReason::treatment, a.span.what, false};
        return std::nullopt;
    }

    // Consent that could not be asked for is why nobody was recorded.
    std::string why_unannounced(const Reach& reach, Ms t) const {
        for (const Attention& a : presence_.unannounced())
            if (a.span.holds(t) && reach.calls.contains(presence_.call_at(a.call, t)))
                return a.span.what + " could not be played";
        return {};
    }

    Verdict judge(const Customer& customer, const CallUuid& first_call, Ms t) const {
        Reach reach;
        for (std::size_t c : customer.connections) {
            const Reach one = presence_.reach(c, {}, t);
            reach.present |= one.present;
            reach.is_held |= one.is_held;
            reach.parties.insert(one.parties.begin(), one.parties.end());
            reach.held.insert(one.held.begin(), one.held.end());
            reach.unplaced.insert(one.unplaced.begin(), one.unplaced.end());
            reach.calls.insert(one.calls.begin(), one.calls.end());
            reach.held_calls.insert(one.held_calls.begin(), one.held_calls.end());
            reach.entries.insert(one.entries.begin(), one.entries.end());
        }
        for (std::size_t c : customer.connections) {
            reach.parties.erase(c);
            reach.held.erase(c);
        }
        const std::string& id = presence_.parties()[customer.party].id;
        const Reach& others = reach;
        Reach with_self = reach;
        with_self.parties.insert(customer.connections.begin(), customer.connections.end());
        const auto said = by_segments(id, with_self, t);
        if (said && (!said->is_gap || said->reason != GapReason::unknown)) return *said;
        if (!reach.present) reach.calls.insert(presence_.call_at(first_call, t));
        const bool on_hold = others.is_held || (others.parties.empty() && !others.held.empty());
        if (on_hold) return {true, GapReason::hold, {}, false};
        const bool has_company = std::any_of(others.parties.begin(), others.parties.end(), [&](std::size_t c) {
            return presence_.connections()[c].role != Role::ivr && !others.unplaced.contains(c);
        });
        if (said && has_company) return *said;
        if (has_company) return {true, GapReason::not_selected, why_unannounced(reach, t), true};
        if (auto attention = by_attention(customer, reach, t)) return *attention;
        if (said) return *said;
        if (!others.held_calls.empty()) return {true, GapReason::hold, {}, false};
        if (!others.unplaced.empty())
            return {true, GapReason::unknown, "the other site has not said who is there", false};
        return {true, GapReason::unknown, {}, true};
    }

    const Presence& presence_;
    Ms until_;
    std::vector<Held> segments_;
};

std::vector<Span> united(std::vector<Span> spans) {
    std::sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) { return a.from < b.from; });
    std::vector<Span> out;
    for (Span& span : spans) {
        if (!out.empty() && span.from <= out.back().to)
            out.back().to = std::max(out.back().to, span.to);
        else
            out.push_back(std::move(span));
    }
    return out;
}

std::vector<Customer> customers_of(const std::vector<CallView>& calls, const Presence& presence) {
    std::map<std::size_t, Customer> customers;
    std::map<CallUuid, std::size_t> first_in;  // call → the connection that was its first customer
    const auto& connections = presence.connections();
    for (std::size_t i = 0; i < connections.size(); ++i) {
        const Connection& c = connections[i];
        if (c.role != Role::customer || c.party == SIZE_MAX) continue;
        Customer& customer = customers[c.party];
        customer.party = c.party;
        customer.connections.push_back(i);
        for (const Stay& stay : c.stays) {
            customer.spans.push_back({stay.from, stay.to, stay.call.text(), {}});
            const auto [at, is_new] = first_in.try_emplace(stay.call, i);
            const Connection& first = connections[at->second];
            if (!is_new && std::tie(stay.from, c.id) < std::tie(first.stays.front().from, first.id)) at->second = i;
        }
    }
    // A caller is there from the call's first moment, connected or not.
    for (const CallView& call : calls) {
        const auto first = first_in.find(call.id);
        if (first == first_in.end() || call.direction != "inbound" || !call.started_at) continue;
        const Connection& c = connections[first->second];
        if (c.stays.front().call != call.id || c.stays.front().from <= *call.started_at) continue;
        customers[c.party].spans.push_back({*call.started_at, c.stays.front().from, call.id.text(), {}});
    }
    std::vector<Customer> list;
    for (auto& [party, customer] : customers) {
        customer.spans = united(std::move(customer.spans));
        list.push_back(std::move(customer));
    }
    return list;
}

}  // namespace

std::vector<GapView> gaps_of(const std::vector<SegmentView>& segments, const std::vector<CallView>& calls,
                             const Presence& presence, Ms until) {
    const Ledger ledger(segments, presence, until);
    std::vector<GapView> gaps;
    for (const Customer& customer : customers_of(calls, presence)) {
        auto own = ledger.gaps_of(customer);
        gaps.insert(gaps.end(), std::make_move_iterator(own.begin()), std::make_move_iterator(own.end()));
    }
    std::sort(gaps.begin(), gaps.end(),
              [](const GapView& a, const GapView& b) { return std::tie(a.from, a.party) < std::tie(b.from, b.party); });
    return gaps;
}

}  // namespace sheaf::archive
