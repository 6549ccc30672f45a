// SPDX-License-Identifier: Apache-2.0
#include "exchange/neighbours.h"

#include <algorithm>

#include "exchange/leave.h"
#include "exchange/pause.h"
#include "exchange/qualification.h"

namespace sheaf::exchange {
namespace {

void add_to(std::vector<SiteParty>& list, const SiteParty& party) {
    if (list.size() < kSitePartiesMax) list.push_back(party);
}

// Who stands at this connection: itself, or those of whom its site has told.
void add_party(const State& state, const call::Connection& connection, bool held, SiteState& into) {
    const Leg& leg = state.legs.at(connection.leg);
    if (leg.device.kind != DeviceKind::site || !leg.told) {
        const std::string role(leg.device.kind == DeviceKind::site ? "unknown" : call::name_of(connection.party.role));
        if (leg.withheld) return add_to(held ? into.held : into.parties, {role, std::string(kAnonymous), {}});
        return add_to(held ? into.held : into.parties, {role, connection.party.address, connection.party.name});
    }
    for (const SiteParty& party : leg.told->parties) add_to(held ? into.held : into.parties, party);
    for (const SiteParty& party : leg.told->held) add_to(into.held, party);
}

// The call as it is behind this connection's leg.
SiteState state_behind(const Turn& turn, const LiveCall& live, const call::Connection& connection) {
    SiteState behind;
    behind.root = live.call.root;
    const bool is_held = std::holds_alternative<call::Held>(connection.state);
    for (const call::Connection& other : live.call.connections) {
        if (other.id == connection.id || !call::is_talking(other)) continue;
        const bool other_held = std::holds_alternative<call::Held>(other.state) || other.holds();
        add_party(turn.state, other, is_held || other_held, behind);
    }
    behind.paused = pause_for(turn, live, connection.leg);
    return behind;
}

bool is_same_but_for_time(const SiteState& a, const SiteState& b) {
    const auto id = [](const SiteState& s) { return s.paused ? s.paused->id : std::string(); };
    return a.root == b.root && a.parties == b.parties && a.held == b.held && id(a) == id(b);
}

void tell_site(Turn& turn, Leg& leg, const call::Connection& connection, SiteState behind) {
    if (leg.telling && is_same_but_for_time(*leg.telling, behind)) return;
    leg.telling = behind;
    turn.add(TellLeg{connection.leg, std::move(behind)});
}

// Whom a caller has called, and who calls a called one, they know.
void show(Turn& turn, Leg& leg, const call::Connection& connection, const SiteState& behind, bool is_strangers_word) {
    if (behind.parties.empty()) return;
    std::string number = behind.parties.front().address;
    std::string name = behind.parties.front().name;
    if (behind.parties.size() > 1) {
        number = "conference";
        name = "Conference of " + std::to_string(behind.parties.size() + 1);
    }
    if (leg.shown_number == number && (!leg.shown_name || leg.shown_name == name || name.empty())) return;
    leg.shown_number = number;
    leg.shown_name = name;
    turn.add(ShowIdentity{connection.leg, number, name, is_strangers_word});
}

void tell_parties(Turn& turn, const LiveCall& live) {
    for (const call::Connection& connection : live.call.connections) {
        Leg& leg = turn.state.legs.at(connection.leg);
        // Who waits in a queue has nobody behind its leg any more: a hold that its site was told of is over.
        const bool waits = std::holds_alternative<call::Queued>(connection.state) && leg.telling;
        if (!call::is_talking(connection) && !waits) continue;
        if (leg.call != live.call.id) continue;  // it serves another call
        const bool is_leaving =
            live.leaving && (live.leaving->asked == connection.leg || live.leaving->over == connection.leg);
        SiteState behind = state_behind(turn, live, connection);
        // Who is about to leave this site is shown by the next one.
        const bool has_stranger = std::ranges::any_of(live.call.connections, [&](const call::Connection& other) {
            return other.id != connection.id && turn.state.legs.at(other.leg).device.kind == DeviceKind::stranger;
        });
        if (!connection.holds() && !is_leaving) show(turn, leg, connection, behind, has_stranger);
        if (leg.device.kind == DeviceKind::site) tell_site(turn, leg, connection, std::move(behind));
    }
}

}  // namespace

void on(Turn& turn, const LegTold& event) {
    LiveCall* live = call_of(turn, event.leg);
    if (!live) return;
    Leg& leg = turn.state.legs.at(event.leg);
    if (leg.device.kind != DeviceKind::site) return;
    SiteState state = event.state;
    for (auto* list : {&state.parties, &state.held})
        for (SiteParty& party : *list) party = {shown(party.role, 16), shown(party.address), shown(party.name)};
    const bool is_held = state.parties.empty() && !state.held.empty();
    leg.told = state;
    apply(turn, *live, call::FarSide{event.leg, is_held});
    state_told(turn, *live, event.leg, state.paused);
}

void tell_all_again(Turn& turn, const LiveCall& live) {
    for (const call::Connection& connection : live.call.connections) turn.state.legs.at(connection.leg).telling.reset();
}

void tell_neighbours(Turn& turn) {
    for (const CallUuid& id : std::exchange(turn.touched, {})) {
        const auto live = turn.state.calls.find(id);
        if (live == turn.state.calls.end() || live->second.is_over) continue;
        settle_menu(turn, live->second);
        try_leave(turn, live->second);
        tell_parties(turn, live->second);
    }
}

}  // namespace sheaf::exchange
