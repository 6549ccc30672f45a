// SPDX-License-Identifier: Apache-2.0
#include "exchange/feature_codes.h"

#include "exchange/agents.h"

namespace sheaf::exchange {
namespace {

struct Meaning {
    AgentState state = AgentState::ready;
    std::string_view prompt;
};

Meaning meaning_of(const FeatureCodes& codes, const std::string& code) {
    if (code == codes.ready) return {AgentState::ready, "say:agent-ready"};
    if (code == codes.not_ready) return {AgentState::not_ready, "say:agent-not-ready"};
    return {AgentState::ready, "say:wrap-up-done"};
}

std::optional<Refusal> refusal_of_code(const State& state, const Agent& agent, const std::string& code) {
    if (state.closing) return Refusal{503, "shutting down"};
    if (state.calls.size() >= state.settings.calls_max) return Refusal{503, "too many calls"};
    if (!agent.registered) return Refusal{480, "the phone is not registered"};
    if (code != state.settings.codes.wrap_up_done) return std::nullopt;
    const bool will_wrap_up = agent.state == AgentState::busy && agent.afterwards == AgentState::ready;
    if (agent.state != AgentState::wrap_up && !will_wrap_up) return Refusal{403, "there is no wrap-up to end"};
    return std::nullopt;
}

}  // namespace

const std::string* feature_code(const State& state, const LegOffered& event) {
    if (event.from.kind != DeviceKind::agent || !state.agents.contains(event.from.name)) return nullptr;
    const FeatureCodes& codes = state.settings.codes;
    for (const std::string* code : {&codes.ready, &codes.not_ready, &codes.wrap_up_done})
        if (!code->empty() && *code == event.called) return code;
    return nullptr;
}

void dialled_code(Turn& turn, const LegOffered& event, const std::string& code) {
    Agent& agent = turn.state.agents.find(event.from.name)->second;
    if (const auto refusal = refusal_of_code(turn.state, agent, code)) {
        turn.log(true, "feature code refused",
                 {{"leg", event.leg.text()},
                  {"agent", event.from.name},
                  {"status", std::to_string(refusal->status)},
                  {"why", refusal->why}});
        return turn.add(RejectLeg{event.leg, refusal->status, refusal->why, {}});
    }
    const Meaning meaning = meaning_of(turn.state.settings.codes, code);
    LiveCall& live = begin(
        turn, {event.from, call::Direction::internal, event.from.name, code, event.session_id, event.message, {}, {}});
    live.code = meaning.prompt;
    Leg leg;
    leg.call = live.call.id;
    leg.came = turn.now.mono;
    leg.connection = ConnectionId{"conn-" + turn.entropy.token(16)};
    leg.device = event.from;
    const call::Party party{call::Role::agent, event.from.name, agent.settings.name, {}};
    const ConnectionId connection = leg.connection;
    turn.state.legs[event.leg] = std::move(leg);
    apply(turn, live, call::Arrived{connection, event.leg, party, std::nullopt});
    seize(turn, event.from.name, event.leg);
    static_cast<void>(choose_state(turn, agent, meaning.state));  // registered, as was asked above
    apply(turn, live, call::Accept{event.leg});
}

}  // namespace sheaf::exchange
