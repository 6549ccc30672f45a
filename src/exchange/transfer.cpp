// SPDX-License-Identifier: Apache-2.0
#include "exchange/transfer.h"

#include <algorithm>

#include "exchange/consult.h"
#include "exchange/cti.h"
#include "exchange/leave.h"
#include "exchange/links.h"

namespace sheaf::exchange {
namespace {

void accept(Turn& turn, const LegId& leg) {
    turn.add(AcceptTransfer{leg});
    turn.add(TransferResult{leg, 200});
}

// Both others are legs to one site that wants its calls back: it is asked to put its own two calls together.
bool both_go_back(const Turn& turn, const Pair& pair, PassBack& wish) {
    if (pair.main->leaving || pair.consult->leaving) return false;
    const call::Connection* main = leg_to_pass(turn.state, *pair.main);
    if (!main || pair.main->call.connections.size() != 2 || pair.consult->call.connections.size() != 2) return false;
    for (const call::Connection& other : pair.consult->call.connections) {
        if (other.leg == pair.consult_leg || !call::is_talking(other)) continue;
        if (turn.state.legs.at(other.leg).device != turn.state.legs.at(main->leg).device) continue;
        wish.agent = pair.main_leg;
        wish.leg = main->leg;
        wish.over = other.leg;
        wish.number = other.party.address;
        return true;
    }
    return false;
}

// REFER with Replaces: two calls of one party become one, whichever of them it names.
std::optional<Refusal> attended(Turn& turn, const TransferAsked& event) {
    LiveCall* asked = call_of(turn, event.leg);
    LiveCall* named = call_of(turn, event.replaces);
    if (!named) return Refusal{404, "no such call to be transferred to"};
    const Leg& asking = turn.state.legs.at(event.leg);
    if (event.leg == event.replaces || asked == named) return Refusal{403, "a call cannot be transferred to itself"};
    if (turn.state.legs.at(event.replaces).device != asking.device)
        return Refusal{403, "the call to replace is not this phone's"};
    const bool is_agent = asking.device.kind == DeviceKind::agent;
    if (!is_agent && !(asking.device.kind == DeviceKind::site && asking.placed))
        return Refusal{403, "only an agent may transfer"};
    Pair pair{asked, named, event.leg, event.replaces};
    const bool named_is_main = asked->call.consult_of == named->call.id ||
                               (named->call.consult_of != asked->call.id && named->number < asked->number);
    if (named_is_main) pair = Pair{named, asked, event.replaces, event.leg};
    PassBack back;
    if (is_agent && both_go_back(turn, pair, back)) {
        back.by_refer = true;
        back.agent = event.leg;
        pass_back(turn, *pair.main, back);
        return std::nullopt;
    }
    CompletionWish wish{false, "REFER from " + asking.device.name, event.replaces.text(), event.message};
    if (auto refusal = refusal_of_completion(pair, wish)) return refusal;
    accept(turn, event.leg);
    auto refused = complete(turn, pair, wish);
    // A site has passed its consult back: from the queue the call is sent on as the first time.
    if (!is_agent && !refused && !pair.main->is_over) pair.main->moved.reset();
    return refused;
}

// A site gives back a call that we sent there: it returns to the queue it came from, or to another of ours.
std::optional<Refusal> taken_back(Turn& turn, LiveCall& live, const TransferAsked& event) {
    const Leg& leg = turn.state.legs.at(event.leg);
    const auto& connections = live.call.connections;
    if (!leg.placed) return Refusal{403, "only calls that were sent there are taken back"};
    if (connections.size() != 2 || !std::ranges::all_of(connections, call::is_talking))
        return Refusal{491, "nobody is connected to be transferred"};
    if (live.adding || live.ringing) return Refusal{491, "the call is being changed already"};
    const auto to = turn.state.numbers.destination_of(event.to);
    const auto* point = to ? std::get_if<ToRoutingPoint>(&*to) : nullptr;
    const std::string dn = point ? point->dn : live.routing_point;
    if (dn.empty()) return Refusal{404, "no routing point to return to"};
    if (auto refusal = refusal_now(turn.state, ToRoutingPoint{dn})) return refusal;
    accept(turn, event.leg);
    live.moved.reset();  // it is sent on from the queue, as the first time
    const Device site = leg.device;
    avoid(turn, live, ToSite{site.name, call::find(live.call, event.leg)->party.address});
    apply(turn, live, call::Withdraw{event.leg, call::Cause::transferred});
    tell(turn, live, "transferred", site);
    send_to(turn, live, ToRoutingPoint{dn});
    return std::nullopt;
}

std::optional<Refusal> asked(Turn& turn, LiveCall& live, const TransferAsked& event) {
    if (!event.replaces.empty()) return attended(turn, event);
    const Leg& leg = turn.state.legs.at(event.leg);
    if (leg.device.kind == DeviceKind::site) return taken_back(turn, live, event);
    return transfer(turn, live, {event.leg, event.to, "REFER from " + leg.device.name, event.message, true});
}

}  // namespace

void on(Turn& turn, const TransferAsked& event) {
    LiveCall* live = call_of(turn, event.leg);
    const auto refusal = live ? asked(turn, *live, event) : Refusal{481, "no such call"};
    if (!refusal) return;
    turn.log(true, "transfer refused",
             {{"leg", event.leg.text()},
              {"to", shown(event.to)},
              {"status", std::to_string(refusal->status)},
              {"why", refusal->why}});
    if (live) turn.add(RefuseTransfer{event.leg, refusal->status, refusal->why});
}

std::optional<Refusal> transfer(Turn& turn, LiveCall& live, const TransferWish& wish) {
    const Leg& leg = turn.state.legs.at(wish.leg);
    if (leg.device.kind != DeviceKind::agent) return Refusal{403, "only an agent may transfer"};
    const auto& connections = live.call.connections;
    if (connections.size() != 2 || !std::ranges::all_of(connections, call::is_talking))
        return Refusal{491, "nobody is connected to be transferred"};
    if (live.leaving || live.adding || live.ringing || !leg.parked.empty() || leg.call != live.call.id)
        return Refusal{491, "the call is being changed already"};
    const auto to = turn.state.numbers.destination_of(wish.to);
    if (const call::Connection* back = leg_to_pass(turn.state, live)) {
        if (!to) return Refusal{404, "unknown number"};
        pass_back(turn, live, {wish.leg, back->leg, {}, wish.to, wish.by_refer});
        return std::nullopt;
    }
    if (!to) return Refusal{404, "unknown number"};
    if (!may_call(leg.device, *to)) return Refusal{403, "not allowed to call this number"};
    if (*to == Destination{ToAgent{leg.device.name}}) return Refusal{403, "a call cannot be transferred to itself"};
    if (auto refusal = refusal_now(turn.state, *to)) return refusal;

    live.moved = evidence_of("own-transfer", wish.asker, wish.to, wish.message);
    live.transferor = leg.device.name;
    if (std::holds_alternative<ToRoutingPoint>(*to)) avoid(turn, live, ToAgent{leg.device.name});
    if (wish.by_refer) accept(turn, wish.leg);
    const Device device = leg.device;
    apply(turn, live, call::Withdraw{wish.leg, call::Cause::transferred});
    tell(turn, live, "transferred", device);
    send_to(turn, live, *to);
    return std::nullopt;
}

bool complete_by_passing_back(Turn& turn, const Pair& pair) {
    PassBack back;
    if (!both_go_back(turn, pair, back)) return false;
    pass_back(turn, *pair.main, back);
    return true;
}

}  // namespace sheaf::exchange
