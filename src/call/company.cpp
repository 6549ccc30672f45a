// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "call/stepper.h"

// Who holds whom, who is in the call's room, and calls that become one.
namespace sheaf::call {
namespace {

bool& flag_of(Connection& connection, HoldWay way) {
    switch (way) {
        case HoldWay::phone: return connection.phone_holds;
        case HoldWay::desktop: return connection.desktop_holds;
        case HoldWay::other_call: break;
    }
    return connection.is_away;
}

bool is_held(const Connection& connection) {
    return std::holds_alternative<Held>(connection.state);
}

}  // namespace

void Stepper::on(const PutOnHold& event) {
    Connection* holder = at(event.leg);
    if (!holder || std::exchange(flag_of(*holder, event.way), true)) return;
    if (is_talking(*holder)) tell("held", holder->party);
}

void Stepper::on(const Retrieved& event) {
    Connection* holder = at(event.leg);
    if (!holder || !std::exchange(flag_of(*holder, event.way), false)) return;
    if (is_talking(*holder) && !holder->holds()) tell("retrieved", holder->party);
}

void Stepper::on(const FarSide& event) {
    if (Connection* site = at(event.leg)) site->far_held = event.held;
}

void Stepper::on(const Merged& event) {
    Connection* own = at(event.leg);
    if (!own) return;
    if (std::holds_alternative<Queued>(own->state)) {
        leave_queue(*own, "transferred");
        own->state = Connected{};
    }
    depart(event.leg, Cause::transferred, Leg::ours_to_end, Departure::hung_up);
    for (Connection& other : call_.connections) {
        stop_notice(other, true);
        stop_treatment(other, true);
        end_hold(other);
    }
    say("call.merged", {{"into", event.into.text()}});
    effects_.push_back(Over{});
    is_over_ = true;
}

void Stepper::on(const Absorbed& event) {
    for (Connection connection : event.connections) {
        connection.in_room = false;
        call_.connections.push_back(std::move(connection));
    }
}

std::optional<ConnectionId> Stepper::holder_of(const Connection& connection) const {
    if (!is_talking(connection)) return std::nullopt;
    const Connection* holder = nullptr;
    std::size_t others = 0;
    std::size_t holders = 0;
    for (const Connection& other : call_.connections) {
        if (other.id == connection.id || !is_talking(other)) continue;
        ++others;
        if (!other.holds()) continue;
        ++holders;
        if (!holder) holder = &other;
    }
    if (others == 0) return std::nullopt;
    if (holders == others) return holder->id;
    if (connection.holds() && others > 1) return connection.id;
    return std::nullopt;
}

void Stepper::end_hold(Connection& connection) {
    if (!is_held(connection)) return;
    const ConnectionId by = std::get<Held>(std::exchange(connection.state, Connected{})).by;
    say("party.retrieved", {{"connection", connection.id.text()}, {"by", by.text()}});
}

bool Stepper::still_holds(const ConnectionId& id) const {
    return std::ranges::any_of(call_.connections,
                               [&](const Connection& c) { return c.id == id && is_talking(c) && c.holds(); });
}

// There is somebody, and nobody of them can be heard; or it does not listen itself, or nobody behind it does.
bool Stepper::hears_nobody(const Connection& connection) const {
    if (connection.holds() || is_held(connection) || connection.far_held) return true;
    bool has_company = false;
    for (const Connection& other : call_.connections) {
        if (other.id == connection.id || !is_talking(other)) continue;
        if (is_audible(other)) return false;
        has_company = true;
    }
    return has_company;
}

void Stepper::settle_holds() {
    for (Connection& connection : call_.connections) {
        const auto holder = holder_of(connection);
        if (is_held(connection) && !(holder && still_holds(std::get<Held>(connection.state).by))) end_hold(connection);
        if (holder && !is_held(connection)) {
            connection.state = Held{*holder};
            say("party.held", {{"connection", connection.id.text()}, {"by", holder->text()}});
        }
    }
}

// Who holds leaves the room; a leg that serves another call has been moved there already.
void Stepper::settle_rooms() {
    for (Connection& connection : call_.connections) {
        if (!connection.holds() || !std::exchange(connection.in_room, false)) continue;
        if (!connection.is_away) effects_.push_back(Unjoin{connection.leg});
    }
    for (Connection& connection : call_.connections) {
        const bool wants_music = is_held(connection) && !connection.holds();
        const bool has_music = connection.treatment && connection.treatment->for_hold;
        if (wants_music && !has_music) begin_treatment(connection, {std::string(kHoldMusic)}, true);
        if (!wants_music && has_music) stop_treatment(connection, true);
    }
    for (Connection& connection : call_.connections)
        if (!connection.holds() && !std::exchange(connection.in_room, true)) effects_.push_back(Join{connection.leg});
}

// Whoever begins to hear nobody is silenced before anything moves, and stored again after everything has.
void Stepper::settle() {
    if (is_over_) return;
    settle_holds();
    stop_notices_unheard();
    silence_recordings();
    settle_rooms();
    resume_recordings();
    start_recordings();
    begin_notices();
}

}  // namespace sheaf::call
