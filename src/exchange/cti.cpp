// SPDX-License-Identifier: Apache-2.0
#include "exchange/cti.h"

#include <algorithm>

#include "exchange/agents.h"
#include "exchange/cti_answer.h"

namespace sheaf::exchange {
namespace {

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
    if (!agent.settings.auto_answer && !agent.takes_talk)
        return conflict("the phone cannot be told to call: it has no auto_answer and takes no NOTIFY of talk");
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
    const bool is_told = !agent.settings.auto_answer;
    place_to_agent(turn, live, request.device, request.to);
    if (is_told && live.ringing) turn.add(TellToAnswer{*live.ringing});
    return continues(id);
}

Answer serve(Turn& turn, const CtiRequest& request) {
    if (request.service == "calls") return {200, calls_of(turn.state, request.devices)};
    if (request.service == "agents") return {200, agents_of(turn.state, request.devices)};
    if (request.service == "agent-state") return change_agent_state(turn, request);
    if (request.service == "make-call") return make_call(turn, request);
    if (auto answer = serve_call(turn, request)) return *std::move(answer);
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
        const bool visible =
            has(devices, "*") || std::ranges::any_of(connections, [&](const auto& connection) {
                return connection.party.role == call::Role::agent && has(devices, connection.party.address);
            });
        if (!visible) continue;
        boost::json::array parties;
        for (const call::Connection& connection : connections) {
            const auto* held = std::get_if<call::Held>(&connection.state);
            parties.push_back({{"connection", connection.id.text()},
                               {"device", connection.party.address},
                               {"role", call::name_of(connection.party.role)},
                               {"state", call::state_name(connection)},
                               {"held_by", held ? boost::json::value(held->by.text()) : boost::json::value()},
                               {"recorded", std::holds_alternative<call::Recording>(connection.recording)}});
        }
        calls.push_back({{"calluuid", id.text()},
                         {"root", live.call.root.text()},
                         {"direction", call::name_of(live.call.direction)},
                         {"ani", live.call.ani},
                         {"dnis", live.call.dnis},
                         {"parties", std::move(parties)}});
    }
    return calls;
}

void tell(Turn& turn, const LiveCall& live, std::string_view type, const Device& about) {
    const call::Seen device{about.name, {}, about.kind == DeviceKind::agent};
    turn.add(CtiEvent{std::string(type), live.call.id, device, call::parties_of(live.call), std::string()});
}

boost::json::object json_of(const CtiEvent& event, WallTime at) {
    boost::json::array parties;
    for (const call::Seen& party : event.parties) parties.push_back({{"device", party.device}, {"state", party.state}});
    const auto or_null = [](const std::string& text) {
        return text.empty() ? boost::json::value{} : boost::json::value(text);
    };
    return {{"type", event.type},
            {"at", to_rfc3339(at)},
            {"calluuid", or_null(event.call.text())},
            {"device", event.device.device},
            {"parties", std::move(parties)},
            {"cause", or_null(event.cause)}};
}

bool concerns(const CtiEvent& event, const std::vector<std::string>& devices) {
    const auto is_meant = [&](const call::Seen& party) { return party.is_agent && has(devices, party.device); };
    return has(devices, "*") || is_meant(event.device) || std::ranges::any_of(event.parties, is_meant);
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
