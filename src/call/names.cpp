// SPDX-License-Identifier: Apache-2.0
#include "base/assert.h"
#include "base/match.h"
#include "call/call.h"

namespace sheaf::call {

std::string_view name_of(Direction direction) {
    switch (direction) {
        case Direction::inbound: return "inbound";
        case Direction::outbound: return "outbound";
        case Direction::internal: return "internal";
        case Direction::inter_site: return "inter-site";
    }
    ASSERT(false);
}

std::string_view name_of(Role role) {
    switch (role) {
        case Role::customer: return "customer";
        case Role::agent: return "agent";
        case Role::site: return "site";
    }
    ASSERT(false);
}

std::string_view name_of(Cause cause) {
    switch (cause) {
        case Cause::normal: return "normal";
        case Cause::transferred: return "transferred";
        case Cause::busy: return "busy";
        case Cause::no_answer: return "no-answer";
        case Cause::rejected: return "rejected";
        case Cause::cancelled: return "cancelled";
        case Cause::failed: return "failed";
        case Cause::timed_out: return "timed-out";
        case Cause::media_timeout: return "media-timeout";
        case Cause::lost_control: return "lost-control";
        case Cause::shutdown: return "shutdown";
    }
    ASSERT(false);
}

// ECMA-269's connection states: on hold is whoever holds, not whoever is held.
std::string_view state_name(const Connection& connection) {
    if (is_talking(connection)) return connection.holds() ? "hold" : "connected";
    return std::visit(Match{
                          [](const Offered&) { return std::string_view{"initiated"}; },
                          [](const Answering&) { return std::string_view{"initiated"}; },
                          [](const Initiated&) { return std::string_view{"initiated"}; },
                          [](const Alerting&) { return std::string_view{"alerting"}; },
                          [](const Queued&) { return std::string_view{"queued"}; },
                          [](const Connected&) { return std::string_view{"connected"}; },
                          [](const Held&) { return std::string_view{"connected"}; },
                      },
                      connection.state);
}

bool is_talking(const Connection& connection) {
    return std::holds_alternative<Connected>(connection.state) || std::holds_alternative<Held>(connection.state);
}

bool is_audible(const Connection& connection) {
    return std::holds_alternative<Connected>(connection.state) && !connection.holds() && !connection.far_held;
}

bool is_rung(const Connection& connection) {
    return std::holds_alternative<Initiated>(connection.state) || std::holds_alternative<Alerting>(connection.state);
}

bool is_treated(const Connection& connection) {
    return connection.treatment && connection.treatment->is_over;
}

const Connection* find(const Call& call, const LegId& leg) {
    for (const Connection& connection : call.connections)
        if (connection.leg == leg) return &connection;
    return nullptr;
}

Seen seen(const Party& party) {
    return {party.address, {}, party.role == Role::agent};
}

std::vector<Seen> parties_of(const Call& call) {
    std::vector<Seen> parties;
    parties.reserve(call.connections.size());
    for (const Connection& connection : call.connections) {
        parties.push_back(seen(connection.party));
        parties.back().state = state_name(connection);
    }
    return parties;
}

}  // namespace sheaf::call
