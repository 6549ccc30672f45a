// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/match.h"
#include "base/planted.h"
#include "exchange/agents.h"
#include "exchange/calls.h"
#include "exchange/consult.h"
#include "exchange/feature_codes.h"
#include "exchange/links.h"

namespace sheaf::exchange {
namespace {

std::optional<Refusal> refusal_of_offer(const Turn& turn, const LegOffered& event,
                                        const std::optional<Destination>& to) {
    const State& state = turn.state;
    const Device& from = event.from;
    if (state.closing) return Refusal{503, "shutting down"};
    if (!to) return Refusal{404, "unknown number"};
    // Nobody learns which numbers there are.
    if (from.kind == DeviceKind::stranger && !may_call(from, *to)) return Refusal{404, "unknown number"};
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
struct Caller {
    call::Party party;
    std::string rule;
    call::Consent consent = {};
};
Caller caller_of(const State& state, const LiveCall& live, const LegOffered& event) {
    call::Party party{call::Role::customer, shown(event.calling), shown(event.calling_name), {}};
    switch (event.from.kind) {
        case DeviceKind::agent: {
            const Agent& agent = state.agents.at(event.from.name);
            party = {call::Role::agent, event.from.name, agent.settings.name, {}};
            return {party, rule_of("agent", agent.settings.record, live.call.root),
                    consent_of(agent.settings.consent, false)};
        }
        case DeviceKind::site: party.role = call::Role::site; break;
        case DeviceKind::trunk:
            for (const TrunkSettings& trunk : state.settings.trunks)
                if (trunk.name == event.from.name)
                    return {party, rule_of("trunk", trunk.record, live.call.root), consent_of(trunk.consent, true)};
            break;
        case DeviceKind::media:
        case DeviceKind::stranger: break;
    }
    return {party, {}};
}

// A peer's word; an agent and a stranger have no say in it.
std::vector<Diversion> diversions_of(const LegOffered& event) {
    if (event.from.kind != DeviceKind::trunk && event.from.kind != DeviceKind::site) return {};
    std::vector<Diversion> out;
    for (const Diversion& one : event.diversions) {
        if (out.size() < kDiversionsMax) out.push_back({shown(one.number), shown(one.reason)});
    }
    return out;
}

// As a party's address would have it.
std::string address_of(const Destination& to) {
    return std::visit(
        Match{[](const ToAgent& agent) { return agent.dn; }, [](const ToRoutingPoint& point) { return point.dn; },
              [](const ToSite& site) { return site.number; }, [](const ToTrunk& trunk) { return trunk.number; }},
        to);
}

void arrive(Turn& turn, LiveCall& live, const LegOffered& event, const std::optional<LinkHeader>& link,
            const std::optional<Destination>& to) {
    const ConnectionId connection{"conn-" + turn.entropy.token(16)};
    Leg leg;
    leg.call = live.call.id;
    leg.came = turn.now.mono;
    leg.connection = connection;
    leg.device = event.from;
    if (event.withheld) leg.withheld = Withheld{shown(event.withheld->number), shown(event.withheld->name)};
    if (to) leg.shown_number = address_of(*to);
    turn.state.legs[event.leg] = std::move(leg);
    auto [party, rule, consent] = caller_of(turn.state, live, event);
    if (link) {
        party.link = link->link;
        live.recorded_by_peer = link->sender_records;
        link_received(turn, event.leg, *link, event.message);
    }
    std::optional<call::ToRecord> record;
    const bool with_company = !live.call.consult_of.empty();
    if (with_company) {  // by the same rule as one begun by CTI
        const bool is_wanted = turn.state.settings.record_consult;
        rule = is_wanted ? agent_rule(turn.state, live, turn.state.agents.at(event.from.name)) : std::string();
    }
    if (!rule.empty()) record = call::ToRecord{SegmentId{turn.entropy.uuid()}, rule, with_company, consent};
    apply(turn, live, call::Arrived{connection, event.leg, party, record});
}

// An agent who calls while in talk consults: the call belongs to the other from its first moment.
LiveCall* main_call(Turn& turn, const LegOffered& event) {
    if (event.from.kind != DeviceKind::agent || !turn.state.agents.contains(event.from.name)) return nullptr;
    return main_call_of(turn, event.from.name, {});
}

// Who may replace a leg: whoever came by its pivot address, for a site's leg; an agent, in a call of theirs.
std::optional<Refusal> refusal_of_replacing(const Turn& turn, const LegOffered& event, const LiveCall* live) {
    if (turn.state.closing) return Refusal{503, "shutting down"};
    if (!live) return Refusal{481, "no such leg to replace"};
    if (event.from.kind == DeviceKind::agent && !turn.state.agents.contains(event.from.name))
        return Refusal{403, "no such agent"};
    const call::Connection* former = call::find(live->call, event.replaces->leg);
    if (!former || !call::is_talking(*former)) return Refusal{481, "no such leg to replace"};
    const bool is_taken = std::ranges::any_of(live->call.connections, [&](const call::Connection& connection) {
        return turn.state.legs.at(connection.leg).replaces == event.replaces->leg;
    });
    if (is_taken) return Refusal{491, "the leg is being replaced already"};
    const Device& device = turn.state.legs.at(event.replaces->leg).device;
    if (!turn.state.legs.at(event.replaces->leg).parked.empty()) return Refusal{491, "the leg goes on in another call"};
    if (event.replaces->by_pivot) {
        if (device.kind == DeviceKind::site) return std::nullopt;
        return Refusal{403, "not a leg to be replaced"};
    }
    if (is_planted("foreign_replaces_believed")) return std::nullopt;
    const bool is_party = std::ranges::any_of(live->call.connections, [&](const call::Connection& connection) {
        return turn.state.legs.at(connection.leg).device == event.from;
    });
    if (event.from.kind == DeviceKind::agent && is_party) return std::nullopt;
    return Refusal{403, "not a call of this phone"};
}

// Whose other phone goes on is recorded as before, for the same reason; not when somebody has stopped that.
std::optional<call::ToRecord> recorded_as(Turn& turn, const LiveCall& live, const call::Connection& former,
                                          const Agent& agent) {
    const SegmentId segment{turn.entropy.uuid()};
    if (const auto* wanted = std::get_if<call::ToRecord>(&former.recording))
        return call::ToRecord{segment, wanted->rule, wanted->with_company, wanted->consent};
    if (const auto* recording = std::get_if<call::Recording>(&former.recording))
        return call::ToRecord{segment, recording->rule, false, recording->consent};
    const bool is_consult = !live.call.consult_of.empty();
    const bool is_wanted = !std::get<call::NotRecorded>(former.recording).is_stopped &&
                           (!is_consult || turn.state.settings.record_consult);
    const std::string rule = is_wanted ? agent_rule(turn.state, live, agent) : std::string();  // it may have failed
    if (rule.empty()) return std::nullopt;
    return call::ToRecord{segment, rule, is_consult, consent_of(agent.settings.consent, false)};
}

// The new leg stands in for the former one from its answer on; the former goes when it has been acknowledged.
void replace(Turn& turn, const LegOffered& event) {
    LiveCall* live = call_of(turn, event.replaces->leg);
    if (const auto refusal = refusal_of_replacing(turn, event, live)) {
        turn.log(true, "call refused",
                 {{"leg", event.leg.text()},
                  {"from", shown(event.from.name)},
                  {"status", std::to_string(refusal->status)},
                  {"why", refusal->why}});
        return turn.add(RejectLeg{event.leg, refusal->status, refusal->why, {}});
    }
    const ConnectionId connection{"conn-" + turn.entropy.token(16)};
    Leg leg;
    leg.call = live->call.id;
    leg.came = turn.state.legs.at(event.replaces->leg).came;
    leg.connection = connection;
    leg.device = event.from;
    leg.replaces = event.replaces->leg;
    turn.state.legs[event.leg] = std::move(leg);
    auto [party, rule, consent] = caller_of(turn.state, *live, event);
    // A customer keeps the number that the site has told, whatever the carrier writes now.
    if (const auto& told = turn.state.legs.at(event.replaces->leg).told; event.replaces->by_pivot && told) {
        const auto is_customer = [](const SiteParty& p) { return p.role == call::name_of(call::Role::customer); };
        if (std::ranges::count_if(told->parties, is_customer) == 1) {
            const auto customer = std::ranges::find_if(told->parties, is_customer);
            party.address = customer->address;
            party.name = customer->name;
        }
    }
    const call::Connection& former = *call::find(live->call, event.replaces->leg);
    std::optional<call::ToRecord> record;
    if (event.from.kind == DeviceKind::agent && turn.state.legs.at(former.leg).device == event.from)
        record = recorded_as(turn, *live, former, turn.state.agents.at(event.from.name));
    else if (!rule.empty())
        record = call::ToRecord{SegmentId{turn.entropy.uuid()}, rule, false, consent};
    if (event.from.kind == DeviceKind::agent) seize(turn, event.from.name, event.leg);
    apply(turn, *live, call::Arrived{connection, event.leg, party, record});
    apply(turn, *live, call::Accept{event.leg});
}

}  // namespace

void on(Turn& turn, const LegOffered& event) {
    if (turn.state.legs.contains(event.leg)) return;
    if (event.replaces) return replace(turn, event);
    if (const std::string* code = feature_code(turn.state, event)) return dialled_code(turn, event, *code);
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
    LiveCall* main = main_call(turn, event);
    Beginning beginning{event.from,
                        to ? direction_of(event.from, *to) : call::Direction::inter_site,
                        event.calling,
                        event.called,
                        event.session_id,
                        event.message,
                        link ? link->root : CallUuid{},
                        {},
                        diversions_of(event)};
    if (main) {
        beginning.root = main->call.root;
        beginning.consult_of = main->call.id;
    }
    LiveCall& live = begin(turn, beginning);
    if (main) live.recorded_by_peer = main->recorded_by_peer;
    arrive(turn, live, event, link, to);
    if (main) {
        consult_opened(turn, *main, live, turn.state.legs.at(event.leg).connection,
                       evidence_of("own-consult", "INVITE from " + event.from.name, event.called, event.message));
        turn.add(BindRoom{RoomId{live.call.id.text()}, RoomId{main->call.id.text()}});
    }
    if (refusal) return apply(turn, live, call::End{cause_of(refusal->status), refusal->status, refusal->why});
    if (event.from.kind == DeviceKind::agent) seize(turn, event.from.name, event.leg);
    send_to(turn, live, *to);
}

}  // namespace sheaf::exchange
