// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "call/call.h"
#include "exchange/exchange.h"
#include "exchange/numbers.h"
#include "exchange/text.h"
#include "exchange/timers.h"

// What a site knows, for the files of this room only.
namespace sheaf::exchange {

inline constexpr Duration kRemoteHeard = std::chrono::seconds{15};   // a site silent for longer offers no agents
inline constexpr Duration kHoldOff = std::chrono::seconds{5};        // before an agent that refused is tried again
inline constexpr Duration kSiteRingGrace = std::chrono::seconds{2};  // the site that knows the agent gives up first
inline constexpr Duration kTrunkRing = std::chrono::seconds{180};    // as timer C, RFC 3261 §16.6
inline constexpr std::size_t kRemoteAgentsMax = 10'000;              // of one site

enum class AgentState { logged_off, not_ready, ready, busy, wrap_up };
[[nodiscard]] std::string_view name_of(AgentState state);
[[nodiscard]] std::optional<AgentState> agent_state_from(std::string_view name);

struct Agent {
    AgentSettings settings;
    bool configured = true;  // false: the settings no longer know it; forgotten when its last call is over
    bool registered = false;
    std::string contact, next_hop;
    AgentState state = AgentState::logged_off;
    AgentState afterwards = AgentState::ready;  // what a busy agent becomes
    std::string afterwards_reason;
    bool chosen = false;  // `afterwards` was asked for during the call: it beats wrap-up
    std::string reason;
    Instant since{};           // of `state`
    Instant hold_off_until{};  // not offered calls before
    std::set<LegId> legs;
};

struct RemoteAgent {
    AgentState state = AgentState::logged_off;
    Instant since{};
    Instant hold_off_until{};
};
struct RemoteSite {
    std::string boot;
    std::uint64_t seq = 0;
    std::optional<Instant> heard;
    std::map<std::string, RemoteAgent> agents;
    std::map<std::string, std::size_t> called;  // dn → our legs there
};

struct RoutingPoint {
    RoutingPointSettings settings;
    bool configured = true;
    std::deque<CallUuid> waiting;  // oldest first; one that rings an agent still waits
    std::size_t coming = 0;        // being answered, to wait here
    [[nodiscard]] bool is_forgotten() const { return !configured && waiting.empty() && coming == 0; }
};

// Why a call was sent to where it is.
struct Evidence {
    std::string rule, source, value, message;
};

// Our half of the link that a leg to or from another site carries.
struct LinkHalf {
    LinkId link;
    bool sending = false;  // half "from", else "to"
    std::string kind;
    Evidence evidence;
    bool opened = false, answered = false;
};

struct Leg {
    CallUuid call;
    ConnectionId connection;
    Device device;
    bool placed = false;  // by us
    std::optional<LinkHalf> link;
};

struct LiveCall {
    call::Call call;
    Device origin;
    std::string message;        // the one that began it
    std::string routing_point;  // where it waits or has waited last
    std::string coming_to;      // the routing point it will wait at once it is answered
    Instant waiting_since{};
    std::optional<LegId> ringing;   // the leg placed for it that has not been answered
    std::optional<Evidence> moved;  // by a transfer
    bool recorded_by_peer = false;  // the site it came from records its leg to us
    std::string to_dial;            // make-call: as soon as the device has answered
};

struct State {
    SiteSettings settings;
    NumberPlan numbers;
    std::map<std::string, Agent, std::less<>> agents;
    std::map<std::string, RoutingPoint, std::less<>> routing_points;
    std::map<std::string, RemoteSite, std::less<>> sites;
    std::map<CallUuid, LiveCall> calls;
    std::map<LegId, Leg> legs;
    Timers timers;
    bool closing = false;
};

// One step under way: the state as it becomes and the effects so far.
struct Turn {
    State& state;
    Stamp now;
    Entropy entropy;
    std::vector<Effect> effects;
    std::vector<CallUuid> over;  // calls to forget when the step is done
    bool serve = false;          // a queue may have found an agent
    bool readiness_changed = false;

    template <typename E>
    void add(E effect) {
        effects.emplace_back(std::move(effect));
    }
    void say(std::string type, boost::json::object data) { add(SayFact{std::move(type), std::move(data)}); }
    void log(bool warning, std::string text, std::vector<std::pair<std::string, std::string>> fields) {
        add(Log{warning, std::move(text), std::move(fields)});
    }
};

}  // namespace sheaf::exchange
