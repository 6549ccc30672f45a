// SPDX-License-Identifier: Apache-2.0
#include "exchange/cti.h"

#include <algorithm>
#include <array>
#include <ranges>

#include "exchange/agents.h"
#include "exchange/calls.h"
#include "exchange/transfer.h"

namespace sheaf::exchange {
namespace {

// Services of the contract that this version does not have.
constexpr std::array<std::string_view, 12> kLater{
    "hold",      "retrieve",  "single-step-conference", "consultation",    "transfer",         "conference",
    "alternate", "reconnect", "recording/start",        "recording/pause", "recording/resume", "recording/stop"};

bool has(const std::vector<std::string>& devices, const std::string& device) {
    return std::ranges::any_of(devices, [&](const std::string& own) { return own == "*" || own == device; });
}

struct Answer {
    int status = 200;
    boost::json::value body;
};

Answer problem(int status, std::string_view title, std::string detail) {
    return {status, boost::json::object{{"title", title}, {"detail", std::move(detail)}}};
}
Answer missing(std::string_view field) {
    return problem(400, "Missing field", std::string(field) + " is missing");
}
Answer conflict(std::string detail) {
    return problem(409, "Wrong state", std::move(detail));
}
Answer not_yours() {
    return problem(403, "Not yours", "this token does not speak for the device");
}

Answer continues(const CallUuid& call) {
    return {200, boost::json::object{{"calluuid", call.text()}, {"consult_calluuid", nullptr}}};
}

Answer from_refusal(const Refusal& refusal) {
    switch (refusal.status) {
        case 403: return problem(403, "Not allowed", refusal.why);
        case 404: return problem(404, "Unknown", "to: " + refusal.why);
        case 503: return problem(503, "Unavailable", refusal.why);
        default: return conflict(refusal.why);
    }
}

Answer change_agent_state(Turn& turn, const CtiRequest& request) {
    if (request.device.empty()) return missing("device");
    if (!has(request.devices, request.device)) return not_yours();
    const auto found = turn.state.agents.find(request.device);
    if (found == turn.state.agents.end()) return problem(404, "Unknown", "no such agent");
    if (request.state.empty()) return missing("state");
    const auto state = agent_state_from(request.state);
    if (!state || *state == AgentState::busy)
        return problem(400, "Bad field", "state must be ready, not-ready, wrap-up or logged-off");
    Agent& agent = found->second;
    if (!choose_state(turn, agent, *state)) return conflict("the agent's phone is not registered");
    boost::json::value afterwards;
    if (!agent.legs.empty()) afterwards = name_of(agent.afterwards);
    return {200,
            boost::json::object{{"dn", request.device}, {"state", name_of(agent.state)}, {"afterwards", afterwards}}};
}

Answer make_call(Turn& turn, const CtiRequest& request) {
    if (request.device.empty()) return missing("device");
    if (request.to.empty()) return missing("to");
    if (!has(request.devices, request.device)) return not_yours();
    const auto found = turn.state.agents.find(request.device);
    if (found == turn.state.agents.end()) return problem(404, "Unknown", "no such agent");
    const Agent& agent = found->second;
    if (!agent.registered) return conflict("the agent's phone is not registered");
    if (!agent.legs.empty()) return conflict("the agent is in a call");
    if (!agent.settings.auto_answer) return conflict("the phone cannot be told to call: it has no auto_answer");
    const Device device{DeviceKind::agent, request.device};
    const auto to = turn.state.numbers.destination_of(request.to);
    if (!to) return from_refusal({404, "unknown number"});
    if (!may_call(device, *to)) return from_refusal({403, "not allowed to call this number"});
    if (turn.state.closing) return from_refusal({503, "shutting down"});
    if (turn.state.calls.size() >= turn.state.settings.calls_max) return from_refusal({503, "too many calls"});
    if (const auto refusal = refusal_now(turn.state, *to)) return from_refusal(*refusal);
    LiveCall& live = begin(turn, {device, direction_of(device, *to), request.device, request.to, {}, {}, {}});
    live.to_dial = request.to;
    const CallUuid id = live.call.id;
    place_to_agent(turn, live, request.device, request.to);
    return continues(id);
}

// A service on one device's connection in one call.
struct Addressed {
    LiveCall* live = nullptr;
    const call::Connection* connection = nullptr;
};

std::optional<Answer> address(Turn& turn, const CtiRequest& request, Addressed& found) {
    const auto live = turn.state.calls.find(CallUuid{request.calluuid});
    if (live == turn.state.calls.end()) return problem(404, "Unknown", "no such call");
    if (request.device.empty()) return missing("device");
    if (!has(request.devices, request.device)) return not_yours();
    found.live = &live->second;
    for (const call::Connection& connection : found.live->call.connections) {
        const Device& device = turn.state.legs.at(connection.leg).device;
        if (device.kind == DeviceKind::agent && device.name == request.device) found.connection = &connection;
    }
    if (!found.connection) return problem(404, "Unknown", "the device is not in this call");
    return std::nullopt;
}

bool is_rung(const call::Connection& connection) {
    return std::holds_alternative<call::Initiated>(connection.state) ||
           std::holds_alternative<call::Alerting>(connection.state);
}

Answer answer(Turn& turn, const CtiRequest& request) {
    Addressed at;
    if (auto refused = address(turn, request, at)) return *std::move(refused);
    if (!is_rung(*at.connection)) return conflict("the device does not ring in this call");
    return conflict("the phone cannot be told to answer");
}

Answer clear(Turn& turn, const CtiRequest& request) {
    Addressed at;
    if (auto refused = address(turn, request, at)) return *std::move(refused);
    const LegId leg = at.connection->leg;
    const CallUuid id = at.live->call.id;
    if (is_rung(*at.connection)) {  // declines: the call goes on to somebody else
        apply(turn, *at.live, call::Withdraw{leg, call::Cause::rejected});
        not_taken(turn, *at.live, call::Cause::rejected, {603, "declined"});
    } else {
        apply(turn, *at.live, call::Clear{leg, call::Cause::normal});
    }
    return continues(id);
}

Answer single_step_transfer(Turn& turn, const CtiRequest& request) {
    Addressed at;
    if (auto refused = address(turn, request, at)) return *std::move(refused);
    if (request.to.empty()) return missing("to");
    const CallUuid id = at.live->call.id;
    if (const auto refusal =
            transfer(turn, *at.live, {at.connection->leg, request.to, "CTI " + request.token, {}, false}))
        return from_refusal(*refusal);
    return continues(id);
}

Answer serve(Turn& turn, const CtiRequest& request) {
    if (request.service == "calls") return {200, calls_of(turn.state, request.devices)};
    if (request.service == "agents") return {200, agents_of(turn.state, request.devices)};
    if (request.service == "agent-state") return change_agent_state(turn, request);
    if (request.service == "make-call") return make_call(turn, request);
    if (request.service == "answer") return answer(turn, request);
    if (request.service == "clear") return clear(turn, request);
    if (request.service == "single-step-transfer") return single_step_transfer(turn, request);
    if (std::ranges::find(kLater, request.service) != kLater.end())
        return problem(501, "Not there yet", request.service + " is not built yet");
    return problem(404, "Unknown", "no such service");
}

}  // namespace

void on(Turn& turn, const CtiRequest& request) {
    Answer answer = serve(turn, request);
    turn.add(CtiReply{request.request, answer.status, std::move(answer.body)});
}

boost::json::array calls_of(const State& state, const std::vector<std::string>& devices) {
    boost::json::array calls;
    for (const auto& [id, live] : state.calls) {
        const auto& connections = live.call.connections;
        const bool visible = has(devices, "*") || std::ranges::any_of(connections, [&](const auto& connection) {
                                 return has(devices, connection.party.address);
                             });
        if (!visible) continue;
        boost::json::array parties;
        for (const call::Connection& connection : connections)
            parties.push_back({{"connection", connection.id.text()},
                               {"device", connection.party.address},
                               {"role", call::name_of(connection.party.role)},
                               {"state", call::state_name(connection)},
                               {"recorded", std::holds_alternative<call::Recording>(connection.recording)}});
        calls.push_back({{"calluuid", id.text()},
                         {"root", live.call.root.text()},
                         {"direction", call::name_of(live.call.direction)},
                         {"ani", live.call.ani},
                         {"dnis", live.call.dnis},
                         {"parties", std::move(parties)}});
    }
    return calls;
}

boost::json::array agents_of(const State& state, const std::vector<std::string>& devices) {
    boost::json::array agents;
    for (const auto& [dn, agent] : state.agents)
        if (has(devices, dn))
            agents.push_back({{"dn", dn},
                              {"name", agent.settings.name},
                              {"state", name_of(agent.state)},
                              {"reason", agent.reason},
                              {"registered", agent.registered}});
    return agents;
}

}  // namespace sheaf::exchange
