// SPDX-License-Identifier: Apache-2.0
#include "exchange/conference.h"

#include <algorithm>

#include "exchange/cti.h"

namespace sheaf::exchange {
namespace {

void leave_queue(Turn& turn, LiveCall& live, std::string_view reason) {
    const Adding& adding = *live.adding;
    if (adding.routing_point.empty()) return;
    turn.say("queue.left", {{"connection", adding.by.text()},
                            {"routing_point", adding.routing_point},
                            {"reason", reason},
                            {"calluuid", live.call.id.text()}});
    leave_waiting(turn, live, adding.routing_point);
}

}  // namespace

std::optional<Refusal> add_party(Turn& turn, LiveCall& live, const ConferenceWish& wish) {
    const Leg& leg = turn.state.legs.at(wish.leg);
    const call::Connection* own = call::find(live.call, wish.leg);
    const auto& connections = live.call.connections;
    if (!own || own->holds() || !call::is_talking(*own) || std::ranges::count_if(connections, call::is_talking) < 2)
        return Refusal{491, "nobody is in talk with the device"};
    if (live.adding || live.ringing) return Refusal{491, "somebody is being called into this call already"};
    if (live.leaving) return Refusal{491, "the call is being changed already"};
    if (connections.size() >= kPartiesMax) return Refusal{503, "the conference is full"};
    const auto to = turn.state.numbers.destination_of(wish.to);
    if (!to) return Refusal{404, "unknown number"};
    if (!may_call(leg.device, *to)) return Refusal{403, "not allowed to call this number"};
    if (auto refusal = refusal_now(turn.state, *to)) return refusal;
    live.adding = Adding{own->id, leg.device.name, wish.asker, {}, {}};
    const auto* point = std::get_if<ToRoutingPoint>(&*to);
    if (!point) {
        send_to(turn, live, *to);
        return std::nullopt;
    }
    live.adding->routing_point = point->dn;
    turn.say("queue.entered",
             {{"connection", own->id.text()}, {"routing_point", point->dn}, {"calluuid", live.call.id.text()}});
    wait_for(turn, live, point->dn);
    return std::nullopt;
}

Device added(Turn& turn, LiveCall& live) {
    leave_queue(turn, live, "routed");
    live.may_leave = turn.state.settings.leave_conference;
    return {DeviceKind::agent, std::exchange(live.adding, std::nullopt)->device};
}

void not_added(Turn& turn, LiveCall& live, call::Cause cause) {
    if (!live.adding->routing_point.empty()) {  // it still waits there
        turn.serve = true;
        return;
    }
    turn.log(false, "nobody was added to a call",
             {{"call", live.call.id.text()}, {"cause", std::string(call::name_of(cause))}});
    live.adding.reset();
}

void stop_adding(Turn& turn, LiveCall& live) {
    leave_queue(turn, live, "abandoned");
    live.adding.reset();
}

}  // namespace sheaf::exchange
