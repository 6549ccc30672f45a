// SPDX-License-Identifier: Apache-2.0
#include "exchange/agents.h"

#include <array>

#include "base/assert.h"

namespace sheaf::exchange {
namespace {

struct StateName {
    AgentState state;
    std::string_view name, event;  // the facts' word, CSTA's event
};
constexpr std::array<StateName, 5> kStateNames{{
    {AgentState::logged_off, "logged-off", "agent-logged-off"},
    {AgentState::not_ready, "not-ready", "agent-not-ready"},
    {AgentState::ready, "ready", "agent-ready"},
    {AgentState::busy, "busy", "agent-busy"},
    {AgentState::wrap_up, "wrap-up", "agent-working-after-call"},
}};

void become(Turn& turn, Agent& agent, AgentState state, const std::string& reason) {
    if (agent.state == state) return;
    const Timer wrap_up{Timer::Kind::wrap_up, agent.settings.dn};
    const std::int64_t wrap_up_ms = turn.state.settings.wrap_up_ms;
    if (agent.state == AgentState::wrap_up) turn.state.timers.cancel(wrap_up);
    if (state == AgentState::wrap_up && wrap_up_ms > 0)
        turn.state.timers.set(wrap_up, turn.now.mono + std::chrono::milliseconds{wrap_up_ms});
    agent.state = state;
    agent.reason = reason;
    agent.since = turn.now.mono;
    const auto& name = kStateNames.at(static_cast<std::size_t>(state));
    turn.say("agent.state", {{"dn", agent.settings.dn}, {"state", name.name}, {"reason", reason}});
    turn.add(CtiEvent{std::string(name.event), {}, {agent.settings.dn, {}, true}, {}, reason});
    turn.readiness_changed = true;
    if (state == AgentState::ready) turn.serve = true;
}

void hold_off(Turn& turn, Instant& until) {
    until = turn.now.mono + kHoldOff;
    turn.state.timers.set({Timer::Kind::serve, {}}, until);
}

}  // namespace

std::string_view name_of(AgentState state) {
    return kStateNames.at(static_cast<std::size_t>(state)).name;
}

std::optional<AgentState> agent_state_from(std::string_view name) {
    for (const StateName& known : kStateNames)
        if (known.name == name) return known.state;
    return std::nullopt;
}

void on(Turn& turn, const AgentRegistered& event) {
    const auto found = turn.state.agents.find(event.dn);
    if (found == turn.state.agents.end() || !found->second.configured) {
        return turn.log(true, "registration of an unknown agent ignored", {{"dn", shown(event.dn)}});
    }
    if (event.expires_ms <= 0) return on(turn, AgentUnregistered{event.dn});
    Agent& agent = found->second;
    agent.contact = event.contact;
    agent.next_hop = event.next_hop;
    agent.takes_talk = event.takes_talk;
    turn.state.timers.set({Timer::Kind::registration, event.dn},
                          turn.now.mono + std::chrono::milliseconds{event.expires_ms});
    if (agent.registered) return;
    agent.registered = true;
    const AgentState state = turn.state.settings.ready_on_register ? AgentState::ready : AgentState::not_ready;
    if (agent.legs.empty())
        become(turn, agent, state, "registered");
    else
        agent.afterwards = state;
}

void on(Turn& turn, const AgentUnregistered& event) {
    const auto found = turn.state.agents.find(event.dn);
    if (found == turn.state.agents.end() || !found->second.registered) return;
    Agent& agent = found->second;
    agent.registered = false;
    agent.contact.clear();
    agent.next_hop.clear();
    turn.state.timers.cancel(Timer::Kind::registration, event.dn);
    if (agent.legs.empty()) become(turn, agent, AgentState::logged_off, "unregistered");
}

void registration_expired(Turn& turn, const std::string& dn) {
    const auto found = turn.state.agents.find(dn);
    if (found == turn.state.agents.end()) return;
    turn.log(true, "an agent's registration has run out", {{"dn", dn}});
    on(turn, AgentUnregistered{dn});
}

void wrap_up_over(Turn& turn, const std::string& dn) {
    const auto found = turn.state.agents.find(dn);
    if (found == turn.state.agents.end() || found->second.state != AgentState::wrap_up) return;
    become(turn, found->second, AgentState::ready, "wrap-up over");
}

void agents_configured(Turn& turn) {
    std::map<std::string, Agent, std::less<>>& agents = turn.state.agents;
    for (auto& [dn, agent] : agents) agent.configured = false;
    for (const AgentSettings& settings : turn.state.settings.agents) {
        Agent& agent = agents[settings.dn];
        agent.settings = settings;
        agent.configured = true;
    }
    for (auto& [dn, agent] : agents)
        if (!agent.configured) on(turn, AgentUnregistered{dn});
    std::erase_if(agents, [](const auto& entry) { return !entry.second.configured && entry.second.legs.empty(); });
    turn.readiness_changed = true;
    turn.serve = true;
}

void seize(Turn& turn, const std::string& dn, const LegId& leg) {
    Agent& agent = turn.state.agents.at(dn);
    agent.legs.insert(leg);
    if (agent.state == AgentState::busy) return;
    agent.afterwards = agent.state == AgentState::wrap_up ? AgentState::ready : agent.state;
    agent.afterwards_reason = "call ended";
    agent.chosen = false;
    become(turn, agent, AgentState::busy, "call");
}

void let_go(Turn& turn, const std::string& dn, const LegId& leg, const LegPast& past) {
    const auto found = turn.state.agents.find(dn);
    if (found == turn.state.agents.end() || found->second.legs.erase(leg) == 0) return;
    Agent& agent = found->second;
    if (past.refused) {
        turn.log(true, "an agent did not take a call", {{"dn", dn}, {"cause", std::string(call::name_of(past.cause))}});
    }
    const bool is_to_rest = past.cause == Cause::no_answer && !turn.state.settings.ready_after_no_answer;
    if (past.refused && is_to_rest && !agent.chosen) {
        agent.afterwards = AgentState::not_ready;
        agent.afterwards_reason = "no-answer";
    } else if (past.refused) {
        hold_off(turn, agent.hold_off_until);
    }
    if (!agent.legs.empty()) return;
    const std::int64_t wrap_up_ms = turn.state.settings.wrap_up_ms;
    if (!agent.registered) {
        become(turn, agent, AgentState::logged_off, "unregistered");
    } else if (past.was_connected && wrap_up_ms > 0 && !agent.chosen && agent.afterwards == AgentState::ready) {
        become(turn, agent, AgentState::wrap_up, "call ended");
    } else {
        become(turn, agent, agent.afterwards, agent.afterwards_reason);
    }
    if (!agent.configured) turn.state.agents.erase(found);
}

bool choose_state(Turn& turn, Agent& agent, AgentState state) {
    ASSERT(state != AgentState::busy);
    if (!agent.registered && state != AgentState::logged_off) return false;
    if (agent.legs.empty()) {
        become(turn, agent, state, "chosen");
    } else {
        agent.afterwards = state;
        agent.afterwards_reason = "chosen";
        agent.chosen = true;
    }
    return true;
}

bool is_free(const Agent& agent, Instant now) {
    return agent.configured && agent.registered && agent.state == AgentState::ready && agent.legs.empty() &&
           agent.hold_off_until <= now;
}

int refusal_of(const State& state, const std::string& dn) {
    const auto found = state.agents.find(dn);
    if (found == state.agents.end() || !found->second.configured) return 404;
    const Agent& agent = found->second;
    if (!agent.legs.empty()) return 486;
    return agent.registered && agent.state == AgentState::ready ? 0 : 480;
}

void on(Turn& turn, const RemoteAgents& event) {
    const auto found = turn.state.sites.find(event.site);
    if (found == turn.state.sites.end() || event.agents.size() > kRemoteAgentsMax) {
        return turn.log(true, "agents of another site ignored",
                        {{"site", shown(event.site)}, {"agents", std::to_string(event.agents.size())}});
    }
    RemoteSite& site = found->second;
    if (site.heard && site.boot == event.boot && event.seq <= site.seq) return;  // overtaken by a later one
    site.boot = event.boot;
    site.seq = event.seq;
    site.heard = turn.now.mono;
    std::map<std::string, RemoteAgent> former = std::move(site.agents);
    site.agents.clear();
    for (const RemoteAgents::Agent& told : event.agents) {
        const auto state = agent_state_from(told.state);
        if (!state || told.for_ms < 0 || told.dn.empty() || told.dn.size() > kNumberMax) continue;
        const auto for_at_most = std::min<std::int64_t>(told.for_ms, 1'000'000'000'000);
        RemoteAgent& agent = site.agents[told.dn];
        agent.state = *state;
        agent.since = turn.now.mono - std::chrono::milliseconds{for_at_most};
        if (const auto known = former.find(told.dn); known != former.end())
            agent.hold_off_until = known->second.hold_off_until;
    }
    turn.serve = true;
}

void remote_refused(Turn& turn, const ToSite& to) {
    const auto site = turn.state.sites.find(to.site);
    if (site == turn.state.sites.end()) return;
    if (const auto agent = site->second.agents.find(to.number); agent != site->second.agents.end())
        hold_off(turn, agent->second.hold_off_until);
}

namespace {

struct Choice {
    const std::optional<Destination>& avoided;
    std::optional<Destination> to = {};
    Instant since{};
    void consider(Destination candidate, Instant idle_since) {
        if (avoided == candidate || (to && since <= idle_since)) return;
        to = std::move(candidate);
        since = idle_since;
    }
};

void consider_remote(const State& state, const std::string& dn, const std::string& site_name, Instant now,
                     Choice& choice) {
    const auto site = state.sites.find(site_name);
    if (site == state.sites.end() || !site->second.heard || now - *site->second.heard > kRemoteHeard) return;
    const auto agent = site->second.agents.find(dn);
    if (agent == site->second.agents.end() || agent->second.state != AgentState::ready) return;
    if (agent->second.hold_off_until > now || site->second.called.contains(dn)) return;
    choice.consider(ToSite{site_name, dn}, agent->second.since);
}

}  // namespace

std::optional<Destination> longest_idle(const State& state, const std::vector<std::string>& targets, Instant now,
                                        const std::optional<Destination>& avoided) {
    constexpr std::string_view kAgent = "agent:";
    Choice choice{avoided};
    for (const std::string& target : targets) {
        if (!target.starts_with(kAgent)) continue;
        const std::string dn = target.substr(kAgent.size());
        const std::size_t at = dn.find('@');
        if (at != std::string::npos && dn.substr(at + 1) != state.settings.site) {
            consider_remote(state, dn.substr(0, at), dn.substr(at + 1), now, choice);
            continue;
        }
        const auto agent = state.agents.find(dn.substr(0, at));
        if (agent != state.agents.end() && is_free(agent->second, now))
            choice.consider(ToAgent{agent->first}, agent->second.since);
    }
    return choice.to;
}

}  // namespace sheaf::exchange
