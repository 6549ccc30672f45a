// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/match.h"
#include "base/planted.h"
#include "call/selection.h"
#include "exchange/agents.h"
#include "exchange/calls.h"
#include "exchange/conference.h"
#include "exchange/links.h"
#include "exchange/qualification.h"
#include "exchange/waiting.h"

namespace sheaf::exchange {
namespace {

constexpr std::string_view kRingback = "music:ringback";  // to a connected party while somebody else is rung for it

struct Placing {
    Device to;
    std::string number;
    call::Party party;
    std::string rule;  // why its connection is recorded, or empty
    call::Consent consent;
    std::string contact, next_hop;
    std::string calling, calling_name;
    std::optional<Withheld> withheld;
    std::vector<Diversion> diversions;
    bool is_strangers_word = false;
    bool auto_answer = false;
    std::optional<LinkHalf> link;
    Duration ring_limit{};
};

std::optional<call::ToRecord> to_record(Turn& turn, const Placing& placing) {
    if (placing.rule.empty()) return std::nullopt;
    return call::ToRecord{SegmentId{turn.entropy.uuid()}, placing.rule, false, placing.consent};
}

const TrunkSettings* trunk_named(const State& state, const std::string& name) {
    for (const TrunkSettings& trunk : state.settings.trunks)
        if (trunk.name == name) return &trunk;
    return nullptr;
}

bool is_recorded_on_demand(const State& state, const Device& device) {
    if (device.kind == DeviceKind::agent) {
        const auto agent = state.agents.find(device.name);
        return agent != state.agents.end() && agent->second.settings.record.policy == RecordPolicy::on_demand;
    }
    const auto* trunk = device.kind == DeviceKind::trunk ? trunk_named(state, device.name) : nullptr;
    return trunk && trunk->record.policy == RecordPolicy::on_demand;
}

// Whose media need not pass a media server: nothing is played to the caller, and nobody is recorded, nor may be at a
// moment's notice. A consult is to become one with its main call, and without a moment of silence.
LegId direct_with(const State& state, const LiveCall& live, const Placing& placing) {
    const call::Connection* party = waiting_party(live);
    const bool is_plain = party && std::holds_alternative<call::Offered>(party->state) &&
                          std::holds_alternative<call::NotRecorded>(party->recording) && !party->treatment;
    if (!state.settings.direct_media || !is_plain || !placing.rule.empty() || !live.call.consult_of.empty()) return {};
    if (live.menu || live.adding || !live.code.empty()) return {};
    const bool may_be =
        is_recorded_on_demand(state, placing.to) || is_recorded_on_demand(state, state.legs.at(party->leg).device);
    return may_be ? LegId() : party->leg;
}

void place(Turn& turn, LiveCall& live, Placing placing) {
    const LegId id{"leg-" + turn.entropy.token(16)};
    const ConnectionId connection{"conn-" + turn.entropy.token(16)};
    PlaceLeg effect{id,
                    RoomId{live.call.id.text()},
                    placing.to,
                    placing.number,
                    placing.contact,
                    placing.next_hop,
                    placing.calling,
                    placing.calling_name,
                    std::nullopt,
                    live.call.session_id,
                    placing.auto_answer,
                    direct_with(turn.state, live, placing),
                    placing.withheld,
                    placing.diversions,
                    placing.is_strangers_word};
    if (placing.link) {
        placing.party.link = placing.link->link;
        effect.link =
            LinkHeader{placing.link->link, live.call.id, live.call.root, placing.link->kind, !placing.rule.empty()};
    }
    Leg placed;
    placed.call = live.call.id;
    placed.came = turn.now.mono;
    placed.connection = connection;
    placed.device = placing.to;
    placed.placed = true;
    if (placing.link) placed.link = std::move(*placing.link);
    turn.state.legs[id] = std::move(placed);
    live.ringing = id;
    turn.state.timers.set({Timer::Kind::ring, id.text()}, turn.now.mono + placing.ring_limit);
    apply(turn, live, call::Called{connection, id, placing.party, to_record(turn, placing)});
    Leg& leg = turn.state.legs.at(id);
    if (leg.link) leg.header_link = leg.link->link;
    leg.shown_number = placing.calling;
    leg.shown_name = placing.calling_name;
    if (placing.to.kind == DeviceKind::agent) seize(turn, placing.to.name, id);
    if (placing.to.kind == DeviceKind::site) ++turn.state.sites.at(placing.to.name).called[placing.number];
    turn.add(std::move(effect));
}

Duration ring_timeout(const State& state) {
    return std::chrono::milliseconds{state.settings.ring_timeout_ms};
}

bool records_twice(const State& state, const std::string& site) {
    for (const PeerSettings& peer : state.settings.peers)
        if (peer.name == site) return peer.record_duplicate;
    return false;
}

// As the routing point records whom it routes to, where the call waits at one.
void record_by_routing_point(const State& state, const LiveCall& live, Placing& placing) {
    const call::Connection* party = waiting_party(live);
    const auto* queued = party ? std::get_if<call::Queued>(&party->state) : nullptr;
    const std::string& routing_point = queued ? queued->routing_point : live.adding ? live.adding->routing_point : "";
    if (routing_point.empty()) return;
    const RoutingPointSettings& point = state.routing_points.at(routing_point).settings;
    placing.rule = rule_of("routing point", point.record, live.call.root);
    placing.consent = consent_of(point.consent, false);
}

Placing to_agent(const State& state, const LiveCall& live, const std::string& dn) {
    const Agent& agent = state.agents.at(dn);
    Placing placing;
    placing.to = {DeviceKind::agent, dn};
    placing.number = dn;
    placing.party = {call::Role::agent, dn, agent.settings.name, {}};
    placing.rule = agent_rule(state, live, agent);
    placing.consent = consent_of(agent.settings.consent, false);
    if (placing.rule.empty() && !live.recorded_by_peer) record_by_routing_point(state, live, placing);
    placing.contact = agent.contact;
    placing.next_hop = agent.next_hop;
    placing.auto_answer = agent.settings.auto_answer;
    placing.ring_limit = ring_timeout(state);
    return placing;
}

Placing to_site(Turn& turn, const LiveCall& live, const ToSite& to) {
    Placing placing;
    placing.to = {DeviceKind::site, to.site};
    placing.number = to.number;
    placing.party = {call::Role::site, to.number, {}, {}};
    record_by_routing_point(turn.state, live, placing);
    placing.link = new_half(turn, live, to_text(Destination{to}));
    placing.ring_limit = ring_timeout(turn.state) + kSiteRingGrace;
    return placing;
}

Placing to_trunk(const State& state, const LiveCall& live, const ToTrunk& to) {
    Placing placing;
    placing.to = {DeviceKind::trunk, to.trunk};
    placing.number = to.number;
    placing.party = {call::Role::customer, to.number, {}, {}};
    const TrunkSettings* trunk = trunk_named(state, to.trunk);
    if (trunk) placing.rule = rule_of("trunk", trunk->record, live.call.root);
    if (trunk) placing.consent = consent_of(trunk->consent, true);
    if (placing.rule.empty()) record_by_routing_point(state, live, placing);
    placing.ring_limit = kTrunkRing;
    return placing;
}

void add_diversion(std::vector<Diversion>& list, Diversion one) {
    if (list.size() == kDiversionsMax) list.erase(list.begin() + 1);
    list.push_back(std::move(one));
}

// Where the call has been, for who is called outside or at another site; outside it has been here, too.
std::vector<Diversion> diversions_to(const State& state, const LiveCall& live, const call::Connection& party,
                                     const Device& to) {
    if (to.kind == DeviceKind::agent) return {};
    auto out = live.diversions;
    const bool is_from_outside = state.legs.at(party.leg).device.kind != DeviceKind::agent;
    if (to.kind == DeviceKind::site || !is_from_outside || live.call.dnis.empty()) return out;
    if (!out.empty() && out.back().number == live.call.dnis) return out;
    add_diversion(out, {live.call.dnis, live.moved                   ? "deflection"
                                        : live.routing_point.empty() ? "unconditional"
                                                                     : "unavailable"});
    return out;
}

void ring(Turn& turn, LiveCall& live, Placing placing) {
    if (const call::Connection* party = waiting_party(live)) {
        placing.calling = party->party.address;
        placing.calling_name = party->party.name;
        placing.is_strangers_word = turn.state.legs.at(party->leg).device.kind == DeviceKind::stranger;
        if (const auto& withheld = turn.state.legs.at(party->leg).withheld) {
            placing.withheld = *withheld;
            placing.calling = kAnonymous;
            placing.calling_name.clear();
        }
        placing.diversions = diversions_to(turn.state, live, *party, placing.to);
        if (call::is_talking(*party) && !live.adding)
            apply(turn, live, call::Treat{party->leg, {std::string(kRingback)}});
    }
    place(turn, live, std::move(placing));
}

// What a caller is told when the called party's leg was refused with this.
int status_for_caller(int status) {
    switch (status) {
        case 403:
        case 404:
        case 480:
        case 484:
        case 486:
        case 488:
        case 503:
        case 600:
        case 603: return status;
        default: return status >= 500 && status < 600 ? 503 : 480;
    }
}

void send_to_point(Turn& turn, LiveCall& live, const std::string& routing_point) {
    const RoutingPoint& point = turn.state.routing_points.at(routing_point);
    if (is_full(turn.state, point)) {
        const auto instead = instead_of_full(turn.state, point.settings);
        turn.log(false, "the queue is full: the call overflows",
                 {{"call", live.call.id.text()}, {"routing_point", routing_point}});
        if (!instead) return apply(turn, live, call::End{call::Cause::busy, 486, "queue is full"});
        if (const auto* other = std::get_if<ToRoutingPoint>(&*instead)) return enqueue(turn, live, other->dn);
        return send_to(turn, live, *instead);
    }
    if (is_to_be_asked(turn.state, live, point.settings)) return ask(turn, live, point.settings);
    enqueue(turn, live, routing_point);
}

// Back to where a transferred party came from: its routing point, or whoever transferred it.
std::optional<Destination> way_back(const State& state, LiveCall& live) {
    const call::Connection* party = waiting_party(live);
    if (!party || !live.moved || !call::is_talking(*party)) return std::nullopt;
    const auto point = state.routing_points.find(live.routing_point);
    if (point != state.routing_points.end()) {
        if (is_full(state, point->second)) return std::nullopt;
        return ToRoutingPoint{live.routing_point};
    }
    const std::string transferor = std::exchange(live.transferor, {});
    if (transferor.empty() || refusal_of(state, transferor) != 0) return std::nullopt;
    return ToAgent{transferor};
}

// The oldest call that waits and rings nobody, not one of `passed`, of the routing points not in `exhausted`.
LiveCall* oldest_waiting(State& state, const std::set<std::string>& exhausted, const std::set<CallUuid>& passed) {
    LiveCall* oldest = nullptr;
    for (auto& [dn, point] : state.routing_points) {
        if (exhausted.contains(dn)) continue;
        for (const CallUuid& id : point.waiting) {
            LiveCall& live = state.calls.at(id);
            if (live.ringing || passed.contains(id)) continue;
            if (!oldest || live.waiting_since < oldest->waiting_since) oldest = &live;
            break;
        }
    }
    return oldest;
}

}  // namespace

const call::Connection* waiting_party(const LiveCall& live) {
    const auto waits = [](const call::Connection& connection) { return !call::is_rung(connection); };
    const auto found = std::ranges::find_if(live.call.connections, waits);
    return found == live.call.connections.end() ? nullptr : &*found;
}

void enqueue(Turn& turn, LiveCall& live, const std::string& routing_point) {
    const call::Connection* party = waiting_party(live);
    if (!party) return;
    RoutingPoint& point = turn.state.routing_points.at(routing_point);
    if (std::holds_alternative<call::Offered>(party->state)) {
        live.coming_to = routing_point;
        ++point.coming;
    }
    apply(turn, live, call::Enqueue{party->leg, routing_point, point.settings.treatment});
}

call::Consent consent_of(const ConsentSettings& settings, bool of_customer) {
    call::Consent consent{settings.announcement, call::Hearers::all, settings.tone_ms, settings.required};
    if (settings.to != ConsentTo::both) {
        const bool of_hearer = (settings.to == ConsentTo::customer) == of_customer;
        consent.hearers = of_hearer ? call::Hearers::recorded : call::Hearers::others;
    }
    return consent;
}

std::string rule_of(std::string_view whose, const Record& record, const CallUuid& root) {
    switch (record.policy) {
        case RecordPolicy::always: return std::string(whose) + " always";
        case RecordPolicy::percentage:
            if (!call::is_selected(root, record.percent)) return {};
            return std::string(whose) + " " + std::to_string(record.percent) + "%";
        case RecordPolicy::never:
        case RecordPolicy::on_demand: break;
    }
    return {};
}

call::Direction direction_of(const Device& from, const Destination& to) {
    switch (from.kind) {
        case DeviceKind::site: return call::Direction::inter_site;
        case DeviceKind::agent:
            return std::holds_alternative<ToTrunk>(to) ? call::Direction::outbound : call::Direction::internal;
        case DeviceKind::trunk:
        case DeviceKind::media:
        case DeviceKind::stranger: break;
    }
    return call::Direction::inbound;
}

LiveCall& begin(Turn& turn, const Beginning& beginning) {
    LiveCall live;
    live.origin = beginning.origin;
    live.message = beginning.message;
    live.call.id = CallUuid{turn.entropy.uuid()};
    live.call.root = beginning.root.empty() ? live.call.id : beginning.root;
    live.call.direction = beginning.direction;
    live.call.ani = shown(beginning.ani);
    live.call.dnis = shown(beginning.dnis);
    live.call.consult_of = beginning.consult_of;
    live.diversions = beginning.diversions;
    if (!live.diversions.empty()) live.call.diverted_from = live.diversions.front().number;
    live.call.record_hold = turn.state.settings.record_hold;
    live.number = ++turn.state.calls_begun;
    live.call.session_id = is_id(beginning.session_id) ? beginning.session_id : turn.entropy.token(16);
    LiveCall& stored = turn.state.calls[live.call.id] = std::move(live);
    apply(turn, stored, call::Begun{});
    return stored;
}

std::optional<Refusal> refusal_now(const State& state, const Destination& to) {
    return std::visit(Match{
                          [&](const ToAgent& agent) -> std::optional<Refusal> {
                              const int status = refusal_of(state, agent.dn);
                              if (status == 0) return std::nullopt;
                              return Refusal{status, status == 486 ? "agent is busy" : "agent is not available"};
                          },
                          [&](const ToRoutingPoint& point) -> std::optional<Refusal> {
                              const auto found = state.routing_points.find(point.dn);
                              if (found == state.routing_points.end()) return Refusal{404, "no such routing point"};
                              if (!is_full(state, found->second)) return std::nullopt;
                              if (instead_of_full(state, found->second.settings)) return std::nullopt;
                              return Refusal{486, "queue is full"};
                          },
                          [&](const ToSite& site) -> std::optional<Refusal> {
                              if (!state.sites.contains(site.site)) return Refusal{404, "no such site"};
                              return std::nullopt;
                          },
                          [&](const ToTrunk& trunk) -> std::optional<Refusal> {
                              if (!trunk_named(state, trunk.trunk)) return Refusal{404, "no such trunk"};
                              return std::nullopt;
                          },
                      },
                      to);
}

void send_to(Turn& turn, LiveCall& live, const Destination& to) {
    std::visit(Match{
                   [&](const ToAgent& agent) { ring(turn, live, to_agent(turn.state, live, agent.dn)); },
                   [&](const ToRoutingPoint& point) { send_to_point(turn, live, point.dn); },
                   [&](const ToSite& site) { ring(turn, live, to_site(turn, live, site)); },
                   [&](const ToTrunk& trunk) { ring(turn, live, to_trunk(turn.state, live, trunk)); },
               },
               to);
}

void place_to_agent(Turn& turn, LiveCall& live, const std::string& dn, const std::string& calling) {
    Placing placing = to_agent(turn.state, live, dn);
    placing.calling = calling;
    place(turn, live, std::move(placing));
}

void not_taken(Turn& turn, LiveCall& live, call::Cause cause, const Refusal& refusal) {
    if (live.is_over) return;
    const call::Connection* party = waiting_party(live);
    if (party && std::holds_alternative<call::Queued>(party->state)) {
        turn.serve = true;
        return;
    }
    if (live.adding) return not_added(turn, live, cause);
    if (const auto queue = queue_after_menu(turn.state, live)) return enqueue(turn, live, *queue);
    if (const auto back = way_back(turn.state, live)) return send_to(turn, live, *back);
    apply(turn, live, call::End{cause, status_for_caller(refusal.status), refusal.why});
}

bool follow_redirection(Turn& turn, LiveCall& live, const Device& by, const std::string& called,
                        const std::string& number) {
    const call::Connection* party = waiting_party(live);
    // Who waits in a queue stays there, whatever one agent's phone says.
    const bool waits = party && std::holds_alternative<call::Queued>(party->state);
    if (live.is_over || !party || waits || live.adding || number.empty()) return false;
    std::optional<Destination> to;
    // An agent's phone sends on as the agent might; a trunk within itself.
    if (by.kind == DeviceKind::agent) to = turn.state.numbers.destination_of(shown(number));
    if (by.kind == DeviceKind::trunk) to = ToTrunk{by.name, shown(number)};
    const bool may_go = to && !refusal_now(turn.state, *to) && live.redirected < kRedirectionsMax;
    turn.log(!may_go, may_go ? "a call is redirected" : "a redirection is not followed",
             {{"call", live.call.id.text()}, {"by", by.name}, {"to", shown(number)}});
    if (!may_go) return false;
    ++live.redirected;
    if (!called.empty()) add_diversion(live.diversions, {called, "unconditional"});
    send_to(turn, live, *to);
    return true;
}

std::string agent_rule(const State& state, const LiveCall& live, const Agent& agent) {
    const bool is_recorded = live.recorded_by_peer && !is_planted("hub_recorded_twice");
    if (is_recorded && !records_twice(state, live.origin.name)) return {};
    return rule_of("agent", agent.settings.record, live.call.root);
}

void avoid(Turn& turn, LiveCall& live, Destination destination) {
    live.avoided = std::move(destination);
    live.avoided_until = turn.now.mono + kHoldOff;
    turn.state.timers.set({Timer::Kind::serve, live.call.id.text()}, live.avoided_until);
}

void wait_for(Turn& turn, LiveCall& live, const std::string& routing_point) {
    live.routing_point = routing_point;
    live.waiting_since = std::exchange(live.waits_since, std::nullopt).value_or(turn.now.mono);
    auto& waiting = turn.state.routing_points.at(routing_point).waiting;
    const auto later = std::ranges::find_if(
        waiting, [&](const CallUuid& other) { return turn.state.calls.at(other).waiting_since > live.waiting_since; });
    waiting.insert(later, live.call.id);
    turn.serve = true;
    if (!live.adding) waits_from_now(turn, live);
}

void leave_waiting(Turn& turn, const LiveCall& live, const std::string& routing_point) {
    waits_no_more(turn, live);
    const auto point = turn.state.routing_points.find(routing_point);
    if (point == turn.state.routing_points.end()) return;
    std::erase(point->second.waiting, live.call.id);
    if (point->second.is_forgotten()) turn.state.routing_points.erase(point);
}

void serve_queues(Turn& turn) {
    std::set<std::string> exhausted;
    std::set<CallUuid> passed;
    while (LiveCall* live = oldest_waiting(turn.state, exhausted, passed)) {
        const RoutingPoint& point = turn.state.routing_points.at(live->routing_point);
        if (live->avoided && live->avoided_until <= turn.now.mono) live->avoided.reset();
        const auto to = longest_idle(turn.state, point.settings.targets, turn.now.mono, live->avoided);
        passed.insert(live->call.id);  // each call is looked at once: this comes to an end
        if (to)
            send_to(turn, *live, *to);
        else if (!live->avoided)
            exhausted.insert(live->routing_point);  // else somebody behind it may be served
    }
}

}  // namespace sheaf::exchange
