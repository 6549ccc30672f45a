// SPDX-License-Identifier: Apache-2.0
#include "exchange/consult.h"

#include <algorithm>

#include "exchange/conference.h"
#include "exchange/cti.h"
#include "exchange/links.h"
#include "exchange/pause.h"

namespace sheaf::exchange {
namespace {

bool is_of(const Turn& turn, const call::Connection& connection, const std::string& device) {
    const auto leg = turn.state.legs.find(connection.leg);
    return leg != turn.state.legs.end() && leg->second.device == Device{DeviceKind::agent, device};
}

const call::Connection* connection_of(const Turn& turn, const LiveCall& live, const std::string& device) {
    for (const call::Connection& connection : live.call.connections)
        if (is_of(turn, connection, device)) return &connection;
    return nullptr;
}

std::optional<call::ToRecord> consult_record(Turn& turn, const LiveCall& main, const Agent& agent) {
    if (!turn.state.settings.record_consult || agent_rule(turn.state, main, agent).empty()) return std::nullopt;
    return call::ToRecord{SegmentId{turn.entropy.uuid()}, "consult", true, consent_of(agent.settings.consent, false)};
}

// Takes the leg from the call it serves to another.
void serve(Turn& turn, const LegId& id, const LiveCall& from, LiveCall& to, const ConnectionId& connection) {
    Leg& leg = turn.state.legs.at(id);
    leg.parked.push_back({from.call.id, leg.connection});
    leg.call = to.call.id;
    leg.connection = connection;
}

struct Handover {
    std::optional<LegId> ringing;
    std::string routing_point;  // where the agent waited
    Instant waiting_since{};
};

// What the leg did in the one call it does in the other now: it may serve a consult of its own meanwhile.
void go_over(Leg& leg, const CallUuid& from, const CallUuid& to, Instant now) {
    if (leg.call == from) leg.call = to;
    leg.came = now;
    for (Parked& parked : leg.parked)
        if (parked.call == from) parked.call = to;
}

// The consult call ends; everybody in it but the agent goes on in the main call, on a transfer without the agent.
Handover merge(Turn& turn, const Pair& pair, const CompletionWish& wish) {
    LiveCall& main = *pair.main;
    LiveCall& consult = *pair.consult;
    Handover over;
    const call::Connection* own = call::find(consult.call, pair.consult_leg);
    const bool phone_holds = own->phone_holds && pair.is_one_leg();
    if (const auto* queued = std::get_if<call::Queued>(&own->state)) over.routing_point = queued->routing_point;
    over.waiting_since = consult.waiting_since;
    over.ringing = std::exchange(consult.ringing, std::nullopt);
    const std::string_view kind = wish.as_conference ? "conference" : "transfer";
    const Evidence evidence =
        evidence_of(wish.as_conference ? "own-conference" : "own-transfer", wish.asker, wish.value, wish.message);
    merge_pauses(turn, main, consult);
    if (consult.consult_link.empty()) joined_here(turn, main, consult, kind, evidence);
    turn.completing = pair.consult_leg;
    apply(turn, consult, call::Merged{main.call.id, pair.consult_leg});
    turn.completing = {};
    consult_ended(turn, consult);
    // What is heard late of a pause over there is heard of the main call.
    for (EndedRecording& ended : turn.state.ended_recordings)
        if (ended.call == consult.call.id) ended.call = main.call.id;
    const std::vector<call::Connection> others = std::exchange(consult.call.connections, {});
    for (auto& [id, other] : turn.state.calls)  // begun by somebody who was consulted
        if (other.call.consult_of == consult.call.id) other.call.consult_of = main.call.id;
    main.moved = evidence;
    if (!consult.routing_point.empty()) main.routing_point = consult.routing_point;
    for (const call::Connection& other : others) {
        go_over(turn.state.legs.at(other.leg), consult.call.id, main.call.id, turn.now.mono);
        link_moved(turn, other.leg, kind, evidence);
    }
    if (wish.as_conference && phone_holds) apply(turn, main, call::PutOnHold{pair.main_leg, call::HoldWay::phone});
    if (wish.as_conference)
        apply(turn, main, call::Retrieved{pair.main_leg, call::HoldWay::other_call});
    else
        apply(turn, main, call::Withdraw{pair.main_leg, call::Cause::transferred});
    apply(turn, main, call::Absorbed{others});
    if (over.ringing) main.ringing = over.ringing;
    return over;
}

// Whoever is left waits as the agent did: for the phone that rings, or in the queue at the agent's place.
void wait_instead(Turn& turn, LiveCall& main, const Handover& over) {
    const auto party = std::ranges::find_if(main.call.connections, call::is_talking);
    if (std::ranges::count_if(main.call.connections, call::is_talking) != 1) return;
    if (over.ringing) {
        apply(turn, main, call::Treat{party->leg, {"music:ringback"}});
    } else if (!over.routing_point.empty()) {
        main.waits_since = over.waiting_since;
        // One that the settings no longer know has gone with the last who waited there.
        if (!turn.state.routing_points.contains(over.routing_point))
            return apply(turn, main, call::End{call::Cause::failed, 404, "no such routing point"});
        enqueue(turn, main, over.routing_point);
    }
}

}  // namespace

// A call that the device began to consult, while the call it left for that goes on.
bool is_consult_of(Turn& turn, const LiveCall& live, const std::string& device) {
    const auto main = turn.state.calls.find(live.call.consult_of);
    return main != turn.state.calls.end() && connection_of(turn, main->second, device);
}

LiveCall* main_call_of(Turn& turn, const std::string& device, const CallUuid& but) {
    LiveCall* newest = nullptr;
    for (const LegId& id : turn.state.agents.at(device).legs) {
        const auto leg = turn.state.legs.find(id);
        if (leg == turn.state.legs.end() || leg->second.call == but) continue;
        LiveCall& live = turn.state.calls.at(leg->second.call);
        const call::Connection* own = call::find(live.call, id);
        const bool is_code = !live.code.empty();  // whoever dials one talks with nobody
        if (!own || !call::is_talking(*own) || is_code || is_consult_of(turn, live, device)) continue;
        if (!newest || live.number > newest->number) newest = &live;
    }
    return newest;
}

std::optional<Pair> pair_of(Turn& turn, LiveCall& live, const std::string& device) {
    Pair pair;
    if (is_consult_of(turn, live, device)) {
        pair.main = &turn.state.calls.at(live.call.consult_of);
        pair.consult = &live;
    } else {
        pair.main = &live;
        for (auto& [id, other] : turn.state.calls)
            if (other.call.consult_of == live.call.id && connection_of(turn, other, device)) pair.consult = &other;
    }
    if (!pair.consult) return std::nullopt;
    const call::Connection* in_main = connection_of(turn, *pair.main, device);
    const call::Connection* in_consult = connection_of(turn, *pair.consult, device);
    if (!in_main || !in_consult) return std::nullopt;
    pair.main_leg = in_main->leg;
    pair.consult_leg = in_consult->leg;
    return pair;
}

Begun consult(Turn& turn, LiveCall& main, const ConsultWish& wish) {
    const Device device = turn.state.legs.at(wish.leg).device;
    const call::Connection* own = call::find(main.call, wish.leg);
    if (!own || !call::is_talking(*own) || main.call.connections.size() < 2)
        return {Refusal{491, "nobody is in talk with the device"}, {}};
    if (own->phone_holds) return {Refusal{491, "the phone holds the call by itself"}, {}};
    if (own->is_away || pair_of(turn, main, device.name)) return {Refusal{491, "the device consults already"}, {}};
    if (main.leaving || is_consult_of(turn, main, device.name))
        return {Refusal{491, "the call is being changed already"}, {}};
    const auto to = turn.state.numbers.destination_of(wish.to);
    if (!to) return {Refusal{404, "unknown number"}, {}};
    if (!may_call(device, *to)) return {Refusal{403, "not allowed to call this number"}, {}};
    if (turn.state.calls.size() >= turn.state.settings.calls_max) return {Refusal{503, "too many calls"}, {}};
    if (auto refusal = refusal_now(turn.state, *to)) return {std::move(refusal), {}};

    const Agent& agent = turn.state.agents.at(device.name);
    LiveCall& consult =
        begin(turn, {device, direction_of(device, *to), device.name, wish.to, {}, {}, main.call.root, main.call.id});
    consult.recorded_by_peer = main.recorded_by_peer;
    const ConnectionId connection{"conn-" + turn.entropy.token(16)};
    consult_opened(turn, main, consult, connection, evidence_of("own-consult", wish.asker, wish.to, {}));
    turn.add(BindRoom{RoomId{consult.call.id.text()}, RoomId{main.call.id.text()}});
    serve(turn, wish.leg, main, consult, connection);
    apply(turn, main, call::PutOnHold{wish.leg, call::HoldWay::other_call});
    const call::Party party{call::Role::agent, device.name, agent.settings.name, {}};
    apply(turn, consult, call::Entered{connection, wish.leg, party, consult_record(turn, main, agent)});
    send_to(turn, consult, *to);
    return {std::nullopt, consult.call.id};
}

std::optional<Refusal> alternate(Turn& turn, const Pair& pair) {
    if (!pair.is_one_leg()) return Refusal{491, "the phone has two calls of its own"};
    Leg& leg = turn.state.legs.at(pair.main_leg);
    LiveCall& from = leg.call == pair.main->call.id ? *pair.main : *pair.consult;
    LiveCall& to = leg.call == pair.main->call.id ? *pair.consult : *pair.main;
    for (const LiveCall* live : {&from, &to}) {
        const call::Connection* own = call::find(live->call, pair.main_leg);
        if (!own || !call::is_talking(*own) || live->ringing)
            return Refusal{491, "the device is not in talk in both calls"};
        if (own->phone_holds) return Refusal{491, "the phone holds the call by itself"};
    }
    const Parked other = leg.parked.back();
    leg.parked.pop_back();
    serve(turn, pair.main_leg, from, to, other.connection);
    apply(turn, from, call::PutOnHold{pair.main_leg, call::HoldWay::other_call});
    apply(turn, to, call::Retrieved{pair.main_leg, call::HoldWay::other_call});
    return std::nullopt;
}

// The consult call is over for the agent, and with nobody left for all: its one leg returns to the main call by itself.
std::optional<Refusal> reconnect(Turn& turn, const Pair& pair) {
    apply(turn, *pair.consult, call::Clear{pair.consult_leg, call::Cause::normal});
    return std::nullopt;
}

std::optional<Refusal> refusal_of_completion(const Pair& pair, const CompletionWish& wish) {
    const LiveCall& main = *pair.main;
    const LiveCall& consult = *pair.consult;
    const call::Connection* in_main = call::find(main.call, pair.main_leg);
    const call::Connection* in_consult = call::find(consult.call, pair.consult_leg);
    if (!in_main || !in_consult || !call::is_talking(*in_main) || main.call.connections.size() < 2)
        return Refusal{491, "nobody is connected to be transferred"};
    if (main.ringing || main.adding || main.leaving || consult.adding || consult.leaving)
        return Refusal{491, "the call is being changed already"};
    const bool waits = std::holds_alternative<call::Queued>(in_consult->state);
    if (waits && main.call.connections.size() > 2) return Refusal{491, "a conference cannot wait in a queue"};
    if (consult.call.connections.size() < 2 && !waits) return Refusal{491, "nobody is consulted"};
    if (std::holds_alternative<call::Answering>(in_consult->state))
        return Refusal{491, "the consult call has just begun"};
    if (waits && std::ranges::any_of(main.call.connections, [](const call::Connection& c) {
            return std::holds_alternative<call::Answering>(c.state);
        }))
        return Refusal{491, "the call has just begun"};
    if (!wish.as_conference) return std::nullopt;
    if (waits || consult.ringing) return Refusal{491, "nobody has answered the consult call yet"};
    if (!pair.is_one_leg()) return Refusal{491, "the phone holds the call by itself"};
    if (main.call.connections.size() + consult.call.connections.size() - 1 > kPartiesMax)
        return Refusal{503, "the conference would be too large"};
    return std::nullopt;
}

std::optional<Refusal> complete(Turn& turn, const Pair& pair, const CompletionWish& wish) {
    if (auto refusal = refusal_of_completion(pair, wish)) return refusal;
    LiveCall& main = *pair.main;
    const Device device = turn.state.legs.at(pair.main_leg).device;
    const Handover over = merge(turn, pair, wish);
    if (wish.as_conference) {
        main.may_leave = turn.state.settings.leave_conference;
        tell(turn, main, "conferenced", device);
        return std::nullopt;
    }
    main.transferor = device.name;
    if (!over.routing_point.empty()) avoid(turn, main, ToAgent{device.name});
    main.may_leave = true;
    tell(turn, main, "transferred", device);
    wait_instead(turn, main, over);
    return std::nullopt;
}

}  // namespace sheaf::exchange
