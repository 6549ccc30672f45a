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

#include "base/boxed.h"
#include "base/json_fields.h"
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
    bool takes_talk = false;
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
    CallUuid from;         // that the header names
    bool sending = false;  // half "from", else "to"
    std::string kind;
    Evidence evidence;
    bool opened = false, answered = false;
    bool is_whole = false;  // half "both": it moved here, and the other call was known
};

// A connection of a leg that serves another call for now.
struct Parked {
    CallUuid call;
    ConnectionId connection;
};

struct Leg {
    CallUuid call;   // that it serves now
    Instant came{};  // to the call by which its peer is told of the others
    ConnectionId connection;
    Device device;
    bool placed = false;  // by us
    Boxed<LinkHalf> link;
    Boxed<LinkHalf> moved_link;  // the one it carried before, not yet answered
    std::vector<Parked> parked;
    bool has_ended = false;                 // its peer is gone; its calls are being told
    LinkId header_link;                     // that its INVITE carried
    LegId replaces;                         // that leg goes once this one stands
    CallUuid peer_call;                     // of a leg to a site: its call there, once known
    Boxed<SiteState> told;                  // by the peer site: who is behind this leg
    Boxed<SiteState> telling;               // what the peer site was told last
    std::string shown_number;               // whom the peer has been shown, or has called by itself
    std::optional<std::string> shown_name;  // none: of whom it has called
    Boxed<Withheld> withheld;               // who its peer is, and does not want shown
};

// A pause in force over a conversation, as this site knows it.
struct LivePause {
    SitePause pause;
    Instant began{};
    LegId from;      // the leg it was told on; empty: it began here
    Instant came{};  // with a consult that has merged, or in another's place: nothing of this call before that is its
};
struct OverPause {
    std::string id;
    Instant began{};   // as far as this site was told
    Instant came{};    // as of a pause in force
    LegId unnamed_by;  // it is over because the state told on this leg did not name it; empty: somebody said so
};
inline constexpr Duration kPauseConfirmMax = std::chrono::milliseconds{500};  // later is an alarm
inline constexpr std::size_t kPausesKept = 16;  // of a call, that are over: a late word of them may still reach back
inline constexpr std::size_t kPausesBesideMax = 16;  // of a call; beyond, the oldest is forgotten

// A pause that another site was told of and has not confirmed. It outlives the leg, the call and the pause.
struct ToldPause {
    std::string site;
    LinkId link;
    std::string pause;
    CallUuid call;
    Instant since{};
};
// A pause that another site told: it is confirmed once the media server says that nothing of these is stored any more.
struct OwedConfirmation {
    std::string site;
    LinkId link;
    std::string pause;
    std::set<SegmentId> sounding;
};
// A recording that the media server was asked for and has not begun.
struct AskedRecording {
    CallUuid call;
    ConnectionId connection;
    Instant since{};
};
// Over so soon after it was asked for, one that never began is nobody's alarm.
inline constexpr Duration kBriefRecording = std::chrono::seconds{2};
// What has ended and may have stored some of a pause that is told late.
struct EndedRecording {
    SegmentId segment;
    LegId leg;
    CallUuid call;
    Instant ended{};
    std::optional<AskedRecording> asked;  // it ended before it began, as far as is known
};
struct EndedLink {
    std::string site;
    LinkId link;
    CallUuid call;
    Instant ended{};
};
inline constexpr Duration kErasable = std::chrono::seconds{120};  // twice as long as a site tells a pause
inline constexpr std::size_t kErasableMax = 10'000;               // ended recordings, ended links, pauses not confirmed

// Single-step conference, or a call that waits for one more: where the next party is looked for.
struct Adding {
    ConnectionId by;
    std::string device, asker, message;
    std::string routing_point;  // waits there; empty: a leg rings
};

// The site asks a leg's peer by REFER to leave; until that has an end, the legs' going is its success.
struct Leaving {
    LegId asked, over;
    LegId agent;            // a transfer passed back for this leg: it is released when that is done
    bool by_refer = false;  // the agent's phone waits for the result
};

// A menu that a caller is asked (qualification.cpp).
struct Menu {
    RoutingPointSettings point;  // as it was when the caller came
    LegId leg;
    std::int64_t left = 0;   // times that it is said again
    bool has_begun = false;  // the caller is there
    bool collects = false;   // a digit would be taken now
};

struct LiveCall {
    call::Call call;
    Device origin;
    std::string message;        // the one that began it
    std::string routing_point;  // where it waits or has waited last
    std::string coming_to;      // the routing point it will wait at once it is answered
    Instant waiting_since{};
    std::optional<LegId> ringing;  // the leg placed for it that has not been answered
    LegId overflowing;             // the leg placed last because it waited too long
    Boxed<Menu> menu;
    std::set<std::string> asked_at;      // routing points whose menus it has been asked
    std::string chosen_at;               // whose menu's choice is being called
    std::string code;                    // the agent has dialled a feature code: what is said, before the call ends
    std::optional<Evidence> moved;       // by a transfer
    bool recorded_by_peer = false;       // the site it came from records its leg to us
    std::string to_dial;                 // make-call: as soon as the device has answered
    std::uint64_t number = 0;            // in the order they began
    bool is_over = false;                // ended in this step, or merged into another
    std::optional<Instant> waits_since;  // its place in the queue is another call's
    Boxed<Adding> adding;
    Boxed<Leaving> leaving;
    bool may_leave = false;              // two parties remain after a transfer: try to leave the loop
    std::optional<Destination> avoided;  // who has just given it away is not offered it again before that moment
    Instant avoided_until{};
    std::string transferor;  // dn to call when the target of a transfer does not answer
    Boxed<LivePause> pause;
    std::vector<LivePause> pauses_beside;  // told while another was in force; each takes its place when that is over
    std::vector<OverPause> pauses_over;    // the newest last
    std::vector<Diversion> diversions;     // before it came here, and by redirections here
    int redirected = 0;                    // times
    LinkId consult_link;                   // of a consult call to its main call
};

struct State {
    SiteSettings settings;
    NumberPlan numbers;
    std::map<std::string, Agent, std::less<>> agents;
    std::map<std::string, RoutingPoint, std::less<>> routing_points;
    std::map<std::string, RemoteSite, std::less<>> sites;
    std::map<CallUuid, LiveCall> calls;
    std::map<LegId, Leg> legs;
    std::deque<ToldPause> told_pauses;
    std::deque<OwedConfirmation> owed_confirmations;
    std::map<SegmentId, AskedRecording> asked_recordings;
    std::deque<EndedRecording> ended_recordings;
    std::deque<EndedLink> ended_links;
    std::uint64_t calls_begun = 0;
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
    std::set<CallUuid> touched;  // whose parties may have changed: peers are told
    LegId completing;            // this leg's consult is being completed: it does not return to its main call
    bool serve = false;          // a queue may have found an agent
    bool readiness_changed = false;

    void add(Effect effect);
    void say(std::string type, JsonFields data) { say(std::move(type), object_in_one_piece(data)); }
    void say(std::string type, boost::json::object data);
    void log(bool warning, std::string text, std::vector<std::pair<std::string, std::string>> fields);
};

}  // namespace sheaf::exchange
