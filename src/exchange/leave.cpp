// SPDX-License-Identifier: Apache-2.0
#include "exchange/leave.h"

#include <algorithm>
#include <utility>

#include "base/planted.h"
#include "exchange/cti.h"

namespace sheaf::exchange {
namespace {

const TrunkSettings* trunk_of(const State& state, const LegId& leg) {
    const Device& device = state.legs.at(leg).device;
    if (device.kind != DeviceKind::trunk) return nullptr;
    const auto found = std::ranges::find(state.settings.trunks, device.name, &TrunkSettings::name);
    return found == state.settings.trunks.end() ? nullptr : &*found;
}

bool is_plain(const call::Connection& connection) {
    return std::holds_alternative<call::Connected>(connection.state) && !connection.holds() &&
           std::holds_alternative<call::NotRecorded>(connection.recording);
}

const PeerSettings* peer_of(const State& state, const std::string& site) {
    const auto found = std::ranges::find(state.settings.peers, site, &PeerSettings::name);
    return found == state.settings.peers.end() ? nullptr : &*found;
}

struct CustomerAndSite {
    LegId customer, site;
};

// The two that are left of a call that has gone on to another site, with nothing for this one to do.
std::optional<CustomerAndSite> customer_and_site(const Turn& turn, const LiveCall& live) {
    const auto& connections = live.call.connections;
    if (live.adding || live.ringing || connections.size() != 2) return std::nullopt;
    if (!std::ranges::all_of(connections, is_plain)) return std::nullopt;
    CustomerAndSite two;
    for (const call::Connection& connection : connections) {
        const DeviceKind kind = turn.state.legs.at(connection.leg).device.kind;
        if (kind == DeviceKind::trunk || kind == DeviceKind::stranger) two.customer = connection.leg;
        if (kind == DeviceKind::site) two.site = connection.leg;
    }
    if (two.customer.empty() || two.site.empty()) return std::nullopt;
    return two;
}

// This site stays in the loop; its media server need not, unless the customer may be recorded at a moment's notice.
void let_media_pass(Turn& turn, const CustomerAndSite& two) {
    const TrunkSettings* trunk = trunk_of(turn.state, two.customer);
    const bool may_be_recorded = trunk && trunk->record.policy == RecordPolicy::on_demand;
    if (turn.state.settings.direct_media && !may_be_recorded) turn.add(MeetLegs{two.site, two.customer});
}

// The agent, if one has asked, hears what has become of a transfer that was passed back.
void tell_asker(Turn& turn, const LiveCall& live, const Leaving& leaving, int status) {
    const auto asker = turn.state.legs.find(leaving.agent);
    if (asker == turn.state.legs.end()) return;
    if (leaving.by_refer) turn.add(TransferResult{leaving.agent, status});
    tell(turn, live, status < 300 ? "transferred" : "failed", asker->second.device);
}

}  // namespace

void try_leave(Turn& turn, LiveCall& live) {
    if (!live.may_leave || live.leaving) return;
    const auto two = customer_and_site(turn, live);
    if (!two) return;
    live.may_leave = false;  // asked once
    const TrunkSettings* trunk = trunk_of(turn.state, two->customer);
    if (!trunk || !trunk->refer) return let_media_pass(turn, *two);
    live.leaving = Leaving{two->customer, two->site, {}, false};
    turn.add(ReferLeg{two->customer, two->site, {}});
}

bool has_left(Turn& turn, LiveCall& live, const LegId& leg) {
    if (!live.leaving) return false;
    const bool is_passed_back = !live.leaving->agent.empty();
    if (is_planted("replaced_bye_is_a_hang_up") && !is_passed_back) return false;
    if (!is_passed_back) return leg == live.leaving->over;
    if (leg != live.leaving->asked) return false;
    const Leaving leaving = *std::exchange(live.leaving, std::nullopt);  // its REFER has no other end than this
    // The site ends both when it has done it; one alone is somebody's hanging up.
    const bool done = leaving.over.empty() || !turn.state.legs.contains(leaving.over);
    tell_asker(turn, live, leaving, done ? 200 : 487);
    return done;
}

void not_left(Turn& turn, LiveCall& live, const LegId& leg) {
    if (!live.leaving || live.leaving->asked != leg) return;
    tell_asker(turn, live, *std::exchange(live.leaving, std::nullopt), 487);
}

const call::Connection* leg_to_pass(const State& state, const LiveCall& live) {
    for (const call::Connection& connection : live.call.connections) {
        const Leg& leg = state.legs.at(connection.leg);
        if (leg.device.kind != DeviceKind::site || leg.placed || !call::is_talking(connection)) continue;
        const PeerSettings* peer = peer_of(state, leg.device.name);
        if (peer && peer->return_transfers) return &connection;
    }
    return nullptr;
}

void pass_back(Turn& turn, LiveCall& live, const PassBack& wish) {
    live.leaving = Leaving{wish.leg, wish.over, wish.agent, wish.by_refer};
    if (wish.by_refer) turn.add(AcceptTransfer{wish.agent});
    turn.add(ReferLeg{wish.leg, wish.over, wish.number});
}

void on(Turn& turn, const LegReferred& event) {
    LiveCall* live = call_of(turn, event.leg);
    if (!live || !live->leaving || live->leaving->asked != event.leg) return;
    const Leaving leaving = *std::exchange(live->leaving, std::nullopt);
    const bool done = event.status >= 200 && event.status < 300;
    if (is_planted("leg_leaks_when_refer_fails") && !done) live->leaving = leaving;
    tell_asker(turn, *live, leaving, done ? 200 : event.status);
    if (done) return apply(turn, *live, call::End{call::Cause::transferred, 0, {}});
    turn.touched.insert(live->call.id);
    turn.log(!leaving.agent.empty(),
             leaving.agent.empty() ? "the site stays in the loop" : "a transfer was not taken back",
             {{"call", live->call.id.text()}, {"status", std::to_string(event.status)}});
    if (!leaving.agent.empty()) return;
    if (const auto two = customer_and_site(turn, *live)) let_media_pass(turn, *two);
}

}  // namespace sheaf::exchange
