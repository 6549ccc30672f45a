// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exchange/state.h"

// Agents of this site and what is known of other sites' agents.
namespace sheaf::exchange {

void on(Turn& turn, const AgentRegistered& event);
void on(Turn& turn, const AgentUnregistered& event);
void on(Turn& turn, const RemoteAgents& event);
void registration_expired(Turn& turn, const std::string& dn);
void wrap_up_over(Turn& turn, const std::string& dn);
void agents_configured(Turn& turn);  // after the settings have changed

// An agent's leg begins; from the first to the last of them the agent is busy.
void seize(Turn& turn, const std::string& dn, const LegId& leg);
struct LegPast {
    bool refused = false;        // the agent was called and did not take the call
    bool was_connected = false;  // talked
    Cause cause = Cause::normal;
};
void let_go(Turn& turn, const std::string& dn, const LegId& leg, const LegPast& past);
// At the agent's or a supervisor's wish; of a busy agent, for afterwards. False: not registered.
[[nodiscard]] bool choose_state(Turn& turn, Agent& agent, AgentState state);

[[nodiscard]] bool is_free(const Agent& agent, Instant now);  // ready, and not held off
// 0 when the agent can be called now; else 404, 480 or 486.
[[nodiscard]] int refusal_of(const State& state, const std::string& dn);

// The longest idle free agent among the targets ("agent:DN", "agent:DN@SITE"), here or elsewhere.
// `avoided`: not this one.
[[nodiscard]] std::optional<Destination> longest_idle(const State& state, const std::vector<std::string>& targets,
                                                      Instant now, const std::optional<Destination>& avoided);
void remote_refused(Turn& turn, const ToSite& agent);  // hold off that agent

}  // namespace sheaf::exchange
