// SPDX-License-Identifier: Apache-2.0
#include "exchange/waiting.h"

#include <algorithm>

namespace sheaf::exchange {
namespace {

constexpr std::int64_t kOverflowAgain = 1000;  // ms after somebody was being called, or the target took nothing

Timer overflow_timer(const LiveCall& live) {
    return {Timer::Kind::overflow, live.call.id.text()};
}

Timer position_timer(const LiveCall& live) {
    return {Timer::Kind::position, live.call.id.text()};
}

void set(Turn& turn, const Timer& timer, std::int64_t in_ms) {
    turn.state.timers.set(timer, turn.now.mono + std::chrono::milliseconds{in_ms});
}

struct Waiting {
    LiveCall* live = nullptr;
    const call::Connection* party = nullptr;
    const RoutingPoint* point = nullptr;
};

// The party of this call that waits at a routing point, if one does.
std::optional<Waiting> waiting(Turn& turn, const CallUuid& id) {
    const auto live = turn.state.calls.find(id);
    if (live == turn.state.calls.end() || live->second.is_over) return std::nullopt;
    const call::Connection* party = waiting_party(live->second);
    const auto* queued = party ? std::get_if<call::Queued>(&party->state) : nullptr;
    if (!queued) return std::nullopt;
    return Waiting{&live->second, party, &turn.state.routing_points.at(queued->routing_point)};
}

}  // namespace

bool is_full(const State& state, const RoutingPoint& point) {
    const std::size_t most = point.settings.queue_max != 0 ? point.settings.queue_max : state.settings.queue_max;
    return point.waiting.size() + point.coming >= most;
}

std::optional<Destination> instead_of_full(const State& state, const RoutingPointSettings& point) {
    const RoutingPointSettings* full = &point;
    for (int hops = 0; hops < kOverflowsMax; ++hops) {
        auto to = target_from_text(full->overflow, state.settings.site);
        const auto* other = to ? std::get_if<ToRoutingPoint>(&*to) : nullptr;
        if (!other) {
            if (to && refusal_now(state, *to)) return std::nullopt;
            return to;
        }
        const auto found = state.routing_points.find(other->dn);
        if (found == state.routing_points.end()) return std::nullopt;
        if (!is_full(state, found->second)) return to;
        full = &found->second.settings;
    }
    return std::nullopt;
}

void waits_from_now(Turn& turn, const LiveCall& live) {
    const RoutingPointSettings& point = turn.state.routing_points.at(live.routing_point).settings;
    if (!point.overflow.empty() && point.overflow_after_ms > 0)
        set(turn, overflow_timer(live), point.overflow_after_ms);
    if (point.position_ms > 0) set(turn, position_timer(live), point.position_ms);
}

void waits_no_more(Turn& turn, const LiveCall& live) {
    turn.state.timers.cancel(overflow_timer(live));
    turn.state.timers.cancel(position_timer(live));
}

namespace {

bool leads_to_a_full_one(const State& state, const Destination& to) {
    const auto* point = std::get_if<ToRoutingPoint>(&to);
    const auto found = point == nullptr ? state.routing_points.end() : state.routing_points.find(point->dn);
    return found != state.routing_points.end() && is_full(state, found->second);
}

}  // namespace

// To another routing point a call goes with the time it has waited. For anybody else it goes on waiting while they are
// called, and for ever if they do not take it.
void overflow_due(Turn& turn, const CallUuid& id) {
    const auto at = waiting(turn, id);
    if (!at) return;
    LiveCall& live = *at->live;
    const RoutingPointSettings& point = at->point->settings;
    const auto to = target_from_text(point.overflow, turn.state.settings.site);
    if (!to || point.overflow_after_ms <= 0) return;
    // One that is full has no place for it; it keeps its own, and asks again.
    if (live.ringing || refusal_now(turn.state, *to) || leads_to_a_full_one(turn.state, *to))
        return set(turn, overflow_timer(live), std::min(point.overflow_after_ms, kOverflowAgain));
    turn.log(false, "a call has waited too long: it overflows", {{"call", id.text()}, {"routing_point", point.dn}});
    if (const auto* other = std::get_if<ToRoutingPoint>(&*to)) {
        live.waits_since = live.waiting_since;
        return enqueue(turn, live, other->dn);
    }
    set(turn, overflow_timer(live), std::max(point.overflow_after_ms, kOverflowAgain));
    send_to(turn, live, *to);
    live.overflowing = live.ringing.value_or(LegId{});
}

void position_due(Turn& turn, const CallUuid& id) {
    const auto at = waiting(turn, id);
    if (!at || at->point->settings.position_ms <= 0) return;
    const auto& queue = at->point->waiting;
    const auto place = static_cast<std::size_t>(std::ranges::find(queue, id) - queue.begin()) + 1;
    set(turn, position_timer(*at->live), at->point->settings.position_ms);
    const std::string item = place > kPositionSpokenMax ? "say:position" : "say:position-" + std::to_string(place);
    apply(turn, *at->live, call::Announce{at->party->leg, item});
}

}  // namespace sheaf::exchange
