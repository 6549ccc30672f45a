// SPDX-License-Identifier: Apache-2.0
#include "exchange/agents.h"
#include "exchange/calls.h"
#include "exchange/links.h"

namespace sheaf::exchange {
namespace {

std::optional<Refusal> refusal_of_offer(const Turn& turn, const LegOffered& event,
                                        const std::optional<Destination>& to) {
    const State& state = turn.state;
    const Device& from = event.from;
    if (state.closing) return Refusal{503, "shutting down"};
    if (!to) return Refusal{404, "unknown number"};
    if (!may_call(from, *to) || (from.kind == DeviceKind::agent && !state.agents.contains(from.name)))
        return Refusal{403, "not allowed to call this number"};
    // An address proves nothing: a site that has not signed the call dials out on nobody's account.
    if (from.kind == DeviceKind::site && !event.link && std::holds_alternative<ToTrunk>(*to))
        return Refusal{403, "a site must sign a call to a trunk"};
    if (state.calls.size() >= state.settings.calls_max) return Refusal{503, "too many calls"};
    return refusal_now(state, *to);
}

std::optional<LinkHeader> usable_link(Turn& turn, const LegOffered& event) {
    if (event.from.kind != DeviceKind::site || !event.link) return std::nullopt;
    const LinkHeader& link = *event.link;
    if (is_id(link.link.text()) && is_id(link.call.text()) && is_id(link.root.text()) && is_id(link.kind)) return link;
    turn.log(true, "link header with unusable ids ignored", {{"site", event.from.name}, {"leg", event.leg.text()}});
    return std::nullopt;
}

// Who calls, and by which rule that connection is recorded.
std::pair<call::Party, std::string> caller_of(const State& state, const LiveCall& live, const LegOffered& event) {
    call::Party party{call::Role::customer, shown(event.calling), shown(event.calling_name), {}};
    switch (event.from.kind) {
        case DeviceKind::agent: {
            const Agent& agent = state.agents.at(event.from.name);
            party = {call::Role::agent, event.from.name, agent.settings.name, {}};
            return {party, rule_of("agent", agent.settings.record, live.call.root)};
        }
        case DeviceKind::site: party.role = call::Role::site; break;
        case DeviceKind::trunk:
            for (const TrunkSettings& trunk : state.settings.trunks)
                if (trunk.name == event.from.name) return {party, rule_of("trunk", trunk.record, live.call.root)};
            break;
        case DeviceKind::media:
        case DeviceKind::stranger: break;
    }
    return {party, {}};
}

void arrive(Turn& turn, LiveCall& live, const LegOffered& event, const std::optional<LinkHeader>& link) {
    const ConnectionId connection{"conn-" + turn.entropy.token(16)};
    turn.state.legs[event.leg] = Leg{live.call.id, connection, event.from, false, std::nullopt};
    auto [party, rule] = caller_of(turn.state, live, event);
    if (link) {
        party.link = link->link;
        live.recorded_by_peer = link->sender_records;
        link_received(turn, event.leg, *link, event.message);
    }
    std::optional<call::ToRecord> record;
    if (!rule.empty()) record = call::ToRecord{SegmentId{turn.entropy.uuid()}, rule};
    apply(turn, live, call::Arrived{connection, event.leg, party, record});
}

}  // namespace

void on(Turn& turn, const LegOffered& event) {
    if (turn.state.legs.contains(event.leg)) return;
    const auto to = turn.state.numbers.destination_of(event.called);
    const auto refusal = refusal_of_offer(turn, event, to);
    const auto link = usable_link(turn, event);
    if (refusal) {
        turn.log(true, "call refused",
                 {{"leg", event.leg.text()},
                  {"from", shown(event.from.name)},
                  {"called", shown(event.called)},
                  {"status", std::to_string(refusal->status)},
                  {"why", refusal->why}});
        // Nothing is said of a refused call, but to a peer's link: the site that opened it waits for the other half.
        if (!link) return turn.add(RejectLeg{event.leg, refusal->status, refusal->why, {}});
    }
    LiveCall& live =
        begin(turn, {event.from, to ? direction_of(event.from, *to) : call::Direction::inter_site, event.calling,
                     event.called, event.session_id, event.message, link ? link->root : CallUuid{}});
    arrive(turn, live, event, link);
    if (refusal) return apply(turn, live, call::End{cause_of(refusal->status), refusal->status, refusal->why});
    if (event.from.kind == DeviceKind::agent) seize(turn, event.from.name, event.leg);
    send_to(turn, live, *to);
}

}  // namespace sheaf::exchange
