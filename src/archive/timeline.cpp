// SPDX-License-Identifier: Apache-2.0
#include "archive/timeline.h"

#include <algorithm>

namespace sheaf::archive {
namespace {

// The recorded connection's own time in the segment's call.
struct Own {
    std::size_t connection;
    Ms from, to;
};

std::optional<Own> own_time(const SegmentView& segment, const Presence& presence) {
    const auto at = presence.find(segment.site, segment.connection);
    if (!at) return std::nullopt;
    std::optional<Own> own;
    for (const Stay& stay : presence.connections()[*at].stays) {
        const Ms last = stay.to == kNever ? kNever - 1 : stay.to;
        if (presence.call_at(stay.call, last) != presence.call_at(segment.call, last)) continue;
        if (!own) own = Own{*at, stay.from, stay.to};
        own->from = std::min(own->from, stay.from);
        own->to = std::max(own->to, stay.to);
    }
    return own;
}

std::vector<std::string> ids_of(const std::set<std::size_t>& connections, const Presence& presence) {
    std::vector<std::string> ids;
    ids.reserve(connections.size());
    for (std::size_t c : connections) ids.push_back(presence.parties()[presence.connections()[c].party].id);
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
}

TimelineEntry entry_at(const SegmentView& segment, const Presence& presence, const std::optional<Own>& own, Ms t) {
    TimelineEntry entry;
    if (!own) return entry;
    // A file begins and ends a little beside the moments that the switch says; what its edges hold is what the
    // connection heard first and last.
    t = std::max(t, own->from);
    if (own->to != kNever) t = std::min(t, std::max(own->from, own->to - 1));
    const Reach reach = presence.reach(own->connection, segment.call, t);
    if (!reach.present) return entry;
    // A leg to another site is recorded for the sake of who is at its far end.
    const bool is_leg = presence.connections()[own->connection].party == SIZE_MAX;
    std::set<std::size_t> self;
    if (is_leg)
        self = reach.behind;
    else
        self.insert(own->connection);
    // On hold at its far end, it hears nobody there and nobody hears what comes by it.
    const bool is_held_afar = is_leg && !reach.behind.empty() && reach.behind_held == reach.behind;
    // Who holds a queue that nobody stands behind yet holds all the same.
    const bool is_hold =
        reach.is_held || is_held_afar || (reach.parties.empty() && !(reach.held.empty() && reach.held_calls.empty()));
    const auto pause = presence.pause_over(segment.call, t);
    entry.label = is_hold ? Label::hold : Label::talk;
    if (is_hold) {
        entry.held = ids_of(reach.is_held || is_held_afar ? self : reach.held, presence);
    } else {
        for (const std::size_t held : reach.behind_held) self.erase(held);
        self.insert(reach.parties.begin(), reach.parties.end());
        entry.parties = ids_of(self, presence);
        std::set<std::size_t> all_held = reach.held;
        all_held.insert(reach.behind_held.begin(), reach.behind_held.end());
        entry.held = ids_of(all_held, presence);
        std::erase_if(entry.held, [&](const std::string& id) {
            return std::binary_search(entry.parties.begin(), entry.parties.end(), id);
        });
    }
    if (pause) {
        entry.label = Label::paused;
        entry.by = pause->span.by;
    }
    return entry;
}

std::set<Ms> cuts_of(const Window& window, const SegmentView& segment, const Presence& presence) {
    std::set<Ms> cuts{window.from, window.to};
    const auto cut = [&](Ms at) {
        if (window.from < at && at < window.to) cuts.insert(at);
    };
    for (Ms at : presence.changes()) cut(at);
    for (const auto& [lost_from, lost_to] : segment.lost) {
        cut(window.from + lost_from);
        cut(window.from + std::min(lost_to, window.to - window.from));
    }
    return cuts;
}

bool says_the_same(const TimelineEntry& a, const TimelineEntry& b) {
    return a.label == b.label && a.parties == b.parties && a.held == b.held && a.by == b.by;
}

bool is_sliver(const TimelineEntry& e) {
    const bool keeps = e.label == Label::lost || e.label == Label::paused;  // short or not, somebody must know
    return !keeps && e.to_ms - e.from_ms < kSliverMs;
}

std::vector<TimelineEntry> joined(const std::vector<TimelineEntry>& slices) {
    std::vector<TimelineEntry> out;
    for (const TimelineEntry& slice : slices) {
        if (!out.empty() && says_the_same(out.back(), slice))
            out.back().to_ms = slice.to_ms;
        else
            out.push_back(slice);
    }
    return out;
}

std::vector<TimelineEntry> without_slivers(const std::vector<TimelineEntry>& slices) {
    std::vector<TimelineEntry> out;
    for (const TimelineEntry& slice : slices) {
        if (out.empty()) {
            out.push_back(slice);
        } else if (is_sliver(slice) && out.back().label != Label::lost) {
            out.back().to_ms = slice.to_ms;
        } else if (is_sliver(out.back()) && slice.label != Label::lost) {  // only the first can still be one
            const Ms from = out.back().from_ms;
            out.back() = slice;
            out.back().from_ms = from;
        } else {
            out.push_back(slice);
        }
    }
    return joined(out);
}

}  // namespace

Window window_of(const SegmentView& segment, const Presence& presence, Ms until) {
    const auto own = own_time(segment, presence);
    Window window;
    window.from = segment.started_at.value_or(segment.expected_at.value_or(own ? own->from : until));
    window.to = until;
    if (segment.ended_at)
        window.to = *segment.ended_at;
    else if (own && own->to != kNever)
        window.to = own->to;
    else if (segment.call_ended_at)
        window.to = *segment.call_ended_at;
    window.to = std::max(window.from, window.to);
    return window;
}

std::vector<TimelineEntry> timeline_of(const SegmentView& segment, const Presence& presence, Ms until) {
    const auto [from, to] = window_of(segment, presence, until);
    const auto own = own_time(segment, presence);
    const std::set<Ms> cuts = cuts_of({from, to}, segment, presence);
    std::vector<TimelineEntry> slices;
    for (auto at = cuts.begin(); std::next(at) != cuts.end(); ++at) {
        TimelineEntry entry = entry_at(segment, presence, own, *at);
        entry.from_ms = *at - from;
        entry.to_ms = *std::next(at) - from;
        for (const auto& [lost_from, lost_to] : segment.lost)
            if (lost_from <= entry.from_ms && entry.from_ms < lost_to) entry.label = Label::lost;
        slices.push_back(std::move(entry));
    }
    return without_slivers(joined(slices));
}

std::string recorded_party_of(const SegmentView& segment, const Presence& presence, Ms until) {
    const auto own = own_time(segment, presence);
    if (!own) return {};
    const Connection& connection = presence.connections()[own->connection];
    if (connection.party != SIZE_MAX) return presence.parties()[connection.party].id;
    for (Ms at : cuts_of(window_of(segment, presence, until), segment, presence)) {
        const Reach reach = presence.reach(own->connection, segment.call, std::max(at, own->from));
        for (const bool agents : {true, false})
            for (std::size_t c : reach.behind)
                if (!agents || presence.connections()[c].role == Role::agent)
                    return presence.parties()[presence.connections()[c].party].id;
    }
    return {};
}

}  // namespace sheaf::archive
