// SPDX-License-Identifier: Apache-2.0
#include "exchange/exchange.h"

#include "base/match.h"
#include "exchange/agents.h"
#include "exchange/calls.h"
#include "exchange/cti.h"
#include "exchange/leave.h"
#include "exchange/neighbours.h"
#include "exchange/pause.h"
#include "exchange/qualification.h"
#include "exchange/transfer.h"
#include "exchange/waiting.h"

namespace sheaf::exchange {
namespace {

// Everything but the calls takes the new settings; calls in progress keep the routing points they wait at.
void configure(Turn& turn, const SiteSettings& settings) {
    State& state = turn.state;
    state.settings = settings;
    state.numbers = NumberPlan(settings);
    for (const std::string& route : state.numbers.bad_routes())
        turn.log(true, "a route is not used: its expression is not one", {{"route", route}});
    for (auto& [dn, point] : state.routing_points) point.configured = false;
    for (const RoutingPointSettings& point : settings.routing_points) {
        state.routing_points[point.dn].settings = point;
        state.routing_points[point.dn].configured = true;
    }
    std::erase_if(state.routing_points, [](const auto& entry) { return entry.second.is_forgotten(); });
    std::map<std::string, RemoteSite, std::less<>> sites;
    for (const PeerSettings& peer : settings.peers)
        if (peer.name != settings.site) sites[peer.name] = std::move(state.sites[peer.name]);
    state.sites = std::move(sites);
    agents_configured(turn);
}

void on(Turn& turn, const SettingsChanged& event) {
    configure(turn, event.settings);
}

void on(Turn& turn, const Shutdown&) {
    turn.state.closing = true;
    for (auto& [id, live] : turn.state.calls)
        if (!live.is_over) apply(turn, live, call::End{call::Cause::shutdown, 503, "shutting down"});
}

void on(Turn& turn, const Tick&) {
    for (const Timer& timer : turn.state.timers.take_due(turn.now.mono)) {
        switch (timer.kind) {
            case Timer::Kind::registration: registration_expired(turn, timer.name); break;
            case Timer::Kind::wrap_up: wrap_up_over(turn, timer.name); break;
            case Timer::Kind::ring: ring_timed_out(turn, LegId{timer.name}); break;
            case Timer::Kind::serve: turn.serve = true; break;
            case Timer::Kind::pause: pause_not_confirmed(turn, timer.name); break;
            case Timer::Kind::overflow: overflow_due(turn, CallUuid{timer.name}); break;
            case Timer::Kind::position: position_due(turn, CallUuid{timer.name}); break;
            case Timer::Kind::menu: menu_timed_out(turn, CallUuid{timer.name}); break;
            case Timer::Kind::tone: tone_due(turn, LegId{timer.name}); break;
        }
    }
}

void forget_calls_that_are_over(Turn& turn) {
    for (const CallUuid& id : std::exchange(turn.over, {})) turn.state.calls.erase(id);
}

}  // namespace

void Turn::add(Effect effect) {
    effects.push_back(std::move(effect));
}
void Turn::say(std::string type, boost::json::object data) {
    add(SayFact{std::move(type), std::move(data)});
}
void Turn::log(bool warning, std::string text, std::vector<std::pair<std::string, std::string>> fields) {
    add(Log{warning, std::move(text), std::move(fields)});
}

Exchange::Exchange(const SiteSettings& settings) : state_(std::make_unique<State>()) {
    // What the first settings have to say, the configuration's own check has said.
    Turn turn{.state = *state_, .now = {}, .entropy = Entropy{{}}, .effects = {}};
    configure(turn, settings);
}
Exchange::~Exchange() = default;
Exchange::Exchange(Exchange&&) noexcept = default;
Exchange& Exchange::operator=(Exchange&&) noexcept = default;

std::vector<Effect> Exchange::step(const Input& input) {
    constexpr std::size_t kUsualEffects = 8;
    Turn turn{.state = *state_, .now = input.now, .entropy = Entropy{input.seed}, .effects = {}};
    turn.effects.reserve(kUsualEffects);
    std::visit([&](const auto& event) { on(turn, event); }, input.event);
    forget_calls_that_are_over(turn);
    if (turn.serve && !state_->closing) serve_queues(turn);
    tell_neighbours(turn);
    if (turn.readiness_changed) turn.add(TellReadiness{});
    return std::move(turn.effects);
}

std::optional<Instant> Exchange::next_deadline() const {
    return state_->timers.next();
}

CallUuid Exchange::call_of(const LegId& leg) const {
    const auto at = state_->legs.find(leg);
    return at == state_->legs.end() ? CallUuid() : at->second.call;
}

RemoteAgents Exchange::readiness(Instant now) const {
    RemoteAgents readiness;
    readiness.site = state_->settings.site;
    for (const auto& [dn, agent] : state_->agents)
        if (agent.configured)
            readiness.agents.push_back({dn, std::string(name_of(agent.state)), to_ms(now - agent.since)});
    return readiness;
}

boost::json::array Exchange::calls(const std::vector<std::string>& devices) const {
    return calls_of(*state_, devices);
}

boost::json::array Exchange::agents(const std::vector<std::string>& devices) const {
    return agents_of(*state_, devices);
}

Exchange::Counts Exchange::counts() const {
    Counts counts;
    counts.calls = state_->calls.size();
    counts.legs = state_->legs.size();
    for (const auto& [dn, point] : state_->routing_points) counts.queued += point.waiting.size();
    for (const auto& [id, live] : state_->calls)
        for (const call::Connection& connection : live.call.connections)
            if (std::holds_alternative<call::Recording>(connection.recording)) ++counts.recordings;
    return counts;
}

}  // namespace sheaf::exchange
