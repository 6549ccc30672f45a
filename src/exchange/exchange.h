// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/entropy.h"
#include "base/fact.h"
#include "base/id.h"
#include "base/time.h"
#include "call/cause.h"
#include "call/seen.h"

// One site: registrar, agents, routing points, queues, calls. A pure state machine: an Input in, Effects out, in order.
// Whoever drives it carries out the effects one after the other before the next input. The same settings and the same
// inputs give the same effects, so a journal of inputs replays a site.
namespace sheaf::exchange {

// ---- Settings (plain values; made from the configuration by apps/switch, journalled as the first record) -------
enum class RecordPolicy { never, always, on_demand, percentage };
struct Record {
    RecordPolicy policy = RecordPolicy::never;
    int percent = 0;
};
// What those who are recorded are told of it: an announcement as the recording begins, a tone while it runs.
enum class ConsentTo { customer, agent, both };
struct ConsentSettings {
    std::vector<std::string> announcement;  // prompts, said once to each; empty: none
    ConsentTo to = ConsentTo::customer;
    std::int64_t tone_ms = 0;  // from one tone to the next; 0: none
    bool required = false;     // what cannot be announced is not recorded
};
struct AgentSettings {
    std::string dn, name;
    Record record;
    bool auto_answer = false;
    ConsentSettings consent = {};
};
struct TrunkSettings {
    std::string name;
    bool refer = true;
    Record record;
    ConsentSettings consent = {};
};
struct PeerSettings {  // [[switch.site]]
    std::string name;
    std::string prefix;  // numbers that begin with it live there
    bool return_transfers = false;
    bool record_duplicate = false;
};
// Where calls go, as settings name it: "agent:DN", "routing_point:DN", either of them with "@SITE" behind, or
// "trunk:NUMBER@NAME". A choice of a menu may be "queue" too: the menu's own routing point.
struct MenuChoice {
    std::string digit;  // one of 0-9 * # A-D
    std::string to;
};
// Asked of callers from outside before they wait. No more than one digit is taken at a time.
struct MenuSettings {
    std::vector<std::string> announcement;  // empty: no menu
    std::vector<std::string> invalid;       // said of a digit that is no choice, before the announcement comes again
    std::vector<MenuChoice> choices;
    std::string otherwise;           // where a caller goes that makes no choice; empty: the queue
    std::int64_t timeout_ms = 5000;  // from the announcement's end
    std::int64_t repeats = 2;        // of the announcement, whether nothing was chosen or nothing that there is
};
struct RoutingPointSettings {
    std::string dn;
    std::vector<std::string> numbers;
    std::vector<std::string> treatment;
    std::vector<std::string> targets;  // "agent:DN", "agent:DN@SITE"
    Record record;
    ConsentSettings consent = {};
    std::size_t queue_max = 0;           // waiting calls; 0: as many as SiteSettings says
    std::string overflow = {};           // a target for calls that find the queue full or wait too long; empty: none
    std::int64_t overflow_after_ms = 0;  // 0: never for waiting
    std::int64_t position_ms = 0;        // from one announcement of the caller's position to the next; 0: none
    MenuSettings menu = {};
};
struct RouteSettings {  // match: ECMAScript regular expression over the dialled number; number: with $1…
    std::string match, to, number;
};
struct FeatureCodes {  // numbers that agents dial; empty: there is none
    std::string ready, not_ready, wrap_up_done;
};
struct SiteSettings {
    std::string site, node;
    bool record_consult = false, record_hold = false, leave_conference = false, ready_on_register = true;
    std::int64_t wrap_up_ms = 0;
    std::int64_t ring_timeout_ms = 20'000;
    bool direct_media = false;           // of calls that nothing is to be recorded of
    bool ready_after_no_answer = false;  // an agent who does not answer: else not ready
    FeatureCodes codes = {};
    std::vector<AgentSettings> agents;
    std::vector<TrunkSettings> trunks;
    std::vector<PeerSettings> peers;
    std::vector<RoutingPointSettings> routing_points;
    std::vector<RouteSettings> routes;
    std::size_t calls_max = 10'000;
    std::size_t queue_max = 1'000;  // waiting calls a routing point
};

// ---- Who is at the other end of a leg ---------------------------------------------------------------------------
enum class DeviceKind { agent, trunk, site, media, stranger };
struct Device {
    DeviceKind kind = DeviceKind::stranger;
    std::string name;  // dn, trunk name, site name; empty for a stranger
    friend bool operator==(const Device&, const Device&) = default;
};

// What a believed X-Sheaf-Link header said (its mac, age and nonce have been checked).
struct LinkHeader {
    LinkId link;
    CallUuid call;  // the sender's
    CallUuid root;
    std::string kind;
    bool sender_records = false;  // rec=
    friend bool operator==(const LinkHeader&, const LinkHeader&) = default;
};

using call::Cause;
using call::name_of;  // the facts' words

// ---- What sites tell each other of a call (docs/formats/sheaf-call.md) --------------------------------------------
struct SitePause {
    std::string by;  // who paused: "agent 1001", "CTI desktop"
    std::string id;
    std::int64_t at_ms = 0;   // the moment from which nothing may be kept, Unix milliseconds by the teller's clock
    std::int64_t ago_ms = 0;  // the same, before the message was sent: what the receiver reckons with
    friend bool operator==(const SitePause&, const SitePause&) = default;
};
struct SiteParty {
    std::string role;  // as in facts: "customer", "agent", …
    std::string address, name;
    friend bool operator==(const SiteParty&, const SiteParty&) = default;
};
// Always the whole state, as it is behind the leg it is told on.
struct SiteState {
    std::uint64_t seq = 0;
    CallUuid root;
    std::vector<SiteParty> parties;  // whose audio reaches the leg
    std::vector<SiteParty> held;     // who would, were they not on hold
    std::optional<SitePause> paused;
    friend bool operator==(const SiteState&, const SiteState&) = default;
};
inline constexpr std::size_t kSitePartiesMax = 64;  // in each of the two lists

// ---- Inputs -----------------------------------------------------------------------------------------------------
struct AgentRegistered {  // authenticated
    std::string dn;
    std::string contact;   // URI text to send requests to
    std::string next_hop;  // endpoint text of the flow it came by
    std::int64_t expires_ms = 0;
    bool takes_talk = false;  // Allow-Events: talk: a NOTIFY makes it answer
};
struct AgentUnregistered {
    std::string dn;
};
struct Replacing {  // RFC 3891: this INVITE takes the place of one of our legs
    LegId leg;
    bool by_pivot =
        false;  // to that leg's own pivot address, which was single use: believed. Else the sender is an agent
    friend bool operator==(const Replacing&, const Replacing&) = default;
};
struct Diversion {  // a number that the call was sent on from
    std::string number;
    std::string reason;  // a word of RFC 5806 §4.1
    friend bool operator==(const Diversion&, const Diversion&) = default;
};
inline constexpr std::size_t kDiversionsMax = 8;  // of a call: the first one and the latest
struct Withheld {                                 // who calls, and does not want that shown (RFC 3323)
    std::string number, name;
    friend bool operator==(const Withheld&, const Withheld&) = default;
};
inline constexpr std::string_view kAnonymous = "anonymous";  // is shown instead
struct LegOffered {                                          // an INVITE has come; nothing but 100 has been sent
    LegId leg;
    Device from;
    std::string called;   // user part of the Request-URI
    std::string calling;  // user part of From (or P-Asserted-Identity from trunks and sites)
    std::string calling_name;
    std::optional<LinkHeader> link;  // from a peer site
    std::string session_id;          // RFC 7989, the peer's half, or empty
    std::string message;             // message id for evidence
    std::optional<Replacing> replaces;
    std::optional<Withheld> withheld;   // `calling` is kAnonymous then, but of an agent
    std::vector<Diversion> diversions;  // the first one first; from trunks and sites
};
struct LegConnected {  // our 200 to an offered leg has gone out and its media stands; one that replaces: it is ACKed
    LegId leg;
    std::string message;
};
struct LegPlaced {  // the INVITE of a leg we asked for has gone out to the peer
    LegId leg;
    std::string message;
};
struct LegAlerting {
    LegId leg;
    CallUuid peer_call;  // X-Sheaf-Call of a peer site, or empty
};
struct LegAnswered {  // 200 to a leg we placed; its media stands
    LegId leg;
    CallUuid peer_call;  // X-Sheaf-Call of a peer site, or empty
    std::string session_id;
    std::string message;
};
struct LegFailed {  // a leg we placed was refused, or timed out, or its media could not be had (503)
    LegId leg;
    int status = 0;
    CallUuid peer_call;
    std::string message;
    std::string redirect = {};  // the number to call instead (3xx), or empty; a trunk's is one to call by itself
};
struct LegEnded {  // BYE, CANCEL, no ACK, time-out; the leg is gone
    LegId leg;
    Cause cause = Cause::normal;
    std::string message;
};
struct LegHeld {  // the peer's re-INVITE put us on hold (sendonly, inactive, 0.0.0.0)
    LegId leg;
};
struct LegRetrieved {
    LegId leg;
};
struct TransferAsked {  // REFER in the leg's dialog; answered by AcceptTransfer or RefuseTransfer
    LegId leg;
    std::string to;  // user part of Refer-To
    std::string message;
    LegId replaces;  // Refer-To asks to replace this leg of ours (RFC 3891); empty: no leg
};
struct LegReferred {  // the end of a ReferLeg: the final NOTIFY's status, the REFER's own refusal, or 408
    LegId leg;
    int status = 0;
};
struct LegTold {  // INFO of package sheaf-call from a peer site; those that came out of order are left out
    LegId leg;
    SiteState state;
};
struct LegDigit {  // RFC 4733, while CollectDigits is on
    LegId leg;
    std::string digit;  // one of 0-9 * # A-D
};
struct PlayBegan {  // what StartPlay asked to tell: the leg is sent it now
    LegId leg;
    std::string play;
};
struct PlayEnded {  // a treatment came to its end by itself
    LegId leg;
    std::string play;
    bool failed = false;  // nothing, or not all of it, could be played
};
struct RecordingOpened {
    LegId leg;
    SegmentId segment;
};
struct RecordingFailed {  // the media server could not record, or is gone; said also of one that ended before it began
    LegId leg;
    SegmentId segment;
    std::string why;
};
struct RecordingSilenced {  // the media server stores nothing of it any more, for this reason
    LegId leg;
    SegmentId segment;
    std::string label;
};
struct PauseTold {  // by a peer site's signed message: the leg that carries this link is paused, or no longer
    std::string site;
    LinkId link;
    bool on = false;
    SitePause pause;
};
struct PauseConfirmed {  // that site keeps nothing any more
    std::string site;
    LinkId link;
    std::string pause;
};
struct RemoteAgents {  // a peer site's full readiness; `for_ms` is how long each has been in its state
    struct Agent {
        std::string dn;
        std::string state;
        std::int64_t for_ms = 0;
        friend bool operator==(const Agent&, const Agent&) = default;
    };
    std::string site;
    std::string boot;
    std::uint64_t seq = 0;
    std::vector<Agent> agents;
};
struct CtiRequest {                    // a checked and parsed request of the CTI API
    std::uint64_t request = 0;         // to answer
    std::string token;                 // name, for evidence
    std::vector<std::string> devices;  // the token's; {"*"}: any
    std::string service;  // "agent-state", "make-call", "answer", "clear", "single-step-transfer", …, "calls", "agents"
    std::string calluuid;  // from the path, or empty
    std::string device;
    std::string to;
    std::string state;
};
struct SettingsChanged {
    SiteSettings settings;
};
struct Shutdown {};  // ends every call, cause shutdown
struct Tick {};
using Event = std::variant<AgentRegistered, AgentUnregistered, LegOffered, LegConnected, LegPlaced, LegAlerting,
                           LegAnswered, LegFailed, LegEnded, LegHeld, LegRetrieved, TransferAsked, LegReferred, LegTold,
                           LegDigit, PlayBegan, PlayEnded, RecordingOpened, RecordingFailed, RecordingSilenced,
                           PauseTold, PauseConfirmed, RemoteAgents, CtiRequest, SettingsChanged, Shutdown, Tick>;

struct Input {
    Stamp now;
    Entropy::Seed seed{};  // for the ids this step mints
    Event event;
};

// ---- Effects ----------------------------------------------------------------------------------------------------
// To the switch's translator (room b2bua). Every leg of a call stands in a room at the media server named by the
// effect.
struct RingLeg {  // 180 to an offered leg; its media may be prepared now so that an answer is immediate
    LegId leg;
    RoomId room;
    CallUuid calluuid;  // goes out as X-Sheaf-Call to a peer site
};
struct AnswerLeg {  // 200 to an offered leg, media into the room; LegConnected or LegEnded follows
    LegId leg;
    RoomId room;
    CallUuid calluuid;
};
struct RejectLeg {  // an offered leg that has not been answered; nothing follows
    LegId leg;
    int status = 0;
    std::string reason;  // words for the caller; empty: the code's own
    CallUuid calluuid;   // added: goes out as X-Sheaf-Call to a peer site; empty when no call was begun
};
struct PlaceLeg {  // LegPlaced, LegAlerting, LegAnswered or LegFailed follow
    LegId leg;
    RoomId room;
    Device to;
    std::string number;    // user part to call: dn, or the number for a trunk
    std::string contact;   // agents: registered contact URI; else empty
    std::string next_hop;  // agents: endpoint text
    std::string calling, calling_name;
    std::optional<LinkHeader> link;  // to peer sites: to be signed
    std::string session_id;
    bool auto_answer = false;
    LegId direct;  // an offered leg, waiting for this one, whose media may go end to end with it; empty: none
    std::optional<Withheld> withheld;   // `calling` is kAnonymous then: for trunks and sites only
    std::vector<Diversion> diversions;  // the first one first; for trunks and sites only
    bool is_strangers_word = false;     // `calling`: nobody whom we know has said it
};
struct EndLeg {  // CANCEL, BYE or a refusal, as its state demands; nothing follows
    LegId leg;
    int status = 0;  // for a leg not answered yet
    Cause cause = Cause::normal;
};
struct BindRoom {  // the legs of `room` go to the media server of those of `near`: the two may become one
    RoomId room;
    RoomId near;
};
// Nothing needs a media server between the two for now: their media may pass it. What needs one later brings them back.
struct MeetLegs {
    LegId leg;  // the one that is offered first
    LegId other;
};
struct MoveLeg {  // to another room
    LegId leg;
    RoomId room;  // empty: it hears nobody and nobody hears it; what it plays and records goes on
};
struct StartPlay {  // PlayEnded follows, also of a play that cannot be had; not once it is stopped
    LegId leg;
    std::string play;                // id of this treatment on this leg
    std::vector<std::string> items;  // "say:welcome", "music:default", "tone:beep"
    bool forever = false;            // the last item again and again
    bool tell = false;               // PlayBegan before PlayEnded, unless it fails
};
struct StopPlay {
    LegId leg;
    std::string play;
};
struct Silence {
    std::string label;  // "hold", "paused"
    std::string by;
    friend bool operator==(const Silence&, const Silence&) = default;
};
struct StartRecording {
    LegId leg;
    SegmentId segment;
    CallUuid calluuid;
    ConnectionId connection;
    std::vector<Silence> silences;  // in force from its first moment
};
struct SilenceRecording {  // nothing is stored while any label is in force; RecordingSilenced follows
    LegId leg;
    SegmentId segment;
    Silence silence;
    std::int64_t back_ms = 0;  // what was stored so long before now is erased too, also when it has ended since
    // The label's first silence that had not ended by then is known to be over: only what was stored before that one
    // began is erased, and nothing is silent by this.
    bool is_over = false;
};
struct ResumeRecording {
    LegId leg;
    SegmentId segment;
    std::string label;
};
struct CollectDigits {  // LegDigit for each digit its peer sends
    LegId leg;
    bool on = false;
};
struct StopRecording {  // also said, once, of a leg that has just ended: the media server may have ended it already
    LegId leg;
    SegmentId segment;
    Cause cause = Cause::normal;
};
struct AcceptTransfer {  // 202 and NOTIFY 100; then, when known, TransferResult
    LegId leg;
};
struct RefuseTransfer {
    LegId leg;
    int status = 0;
    std::string reason;
};
struct TransferResult {  // the final NOTIFY's sipfrag
    LegId leg;
    int status = 0;
};
// Asks the leg's peer by REFER to leave this site: to the pivot address of the site behind `over`, replacing that leg's
// dialog there; with a number, to that number at its own site (a transfer passed back), replacing `over`'s dialog there
// when it is given. LegReferred follows, once, unless the leg ends before.
struct ReferLeg {
    LegId leg;
    LegId over;
    std::string number;
};
struct TellLeg {  // INFO of package sheaf-call to a peer site; seq is the translator's
    LegId leg;
    SiteState state;
};
struct ShowIdentity {  // connected identity (RFC 4916 by re-INVITE with P-Asserted-Identity): who the peer talks to now
    LegId leg;
    std::string number, name;
    bool is_strangers_word = false;  // as a PlaceLeg's
};
struct TellToAnswer {  // NOTIFY, Event: talk, to a phone that rings
    LegId leg;
};
// To the site's own edges.
struct TellPause {  // to a peer site by HTTP, until PauseConfirmed
    std::string site;
    LinkId link;
    bool on = false;
    SitePause pause;
};
struct ConfirmPause {  // to the peer site that told it: nothing is stored here any more
    std::string site;
    LinkId link;
    std::string pause;
};
struct SayFact {
    std::string type;
    boost::json::object data;
};
struct CtiReply {
    std::uint64_t request = 0;
    int status = 200;
    boost::json::value body;  // of a 2xx; else {"title","detail"}
};
struct CtiEvent {
    std::string type;   // CSTA's word
    CallUuid call;      // empty: of an agent alone
    call::Seen device;  // whom it is about
    std::vector<call::Seen> parties;
    std::string cause;  // empty: none
};
struct TellReadiness {};  // own agents changed: send `Exchange::readiness` to the peers
struct Log {              // one line for the operator
    bool warning = false;
    std::string text;
    std::vector<std::pair<std::string, std::string>> fields;
};
using Effect = std::variant<RingLeg, AnswerLeg, RejectLeg, PlaceLeg, EndLeg, BindRoom, MeetLegs, MoveLeg, StartPlay,
                            StopPlay, StartRecording, StopRecording, SilenceRecording, ResumeRecording, CollectDigits,
                            AcceptTransfer, RefuseTransfer, TransferResult, ReferLeg, TellLeg, ShowIdentity,
                            TellToAnswer, TellPause, ConfirmPause, SayFact, CtiReply, CtiEvent, TellReadiness, Log>;

// As the contract has it: {"type","at","calluuid","device","parties","cause"}.
[[nodiscard]] boost::json::object json_of(const CtiEvent& event, WallTime at);
// Whether a token for these devices hears of it: it is about one of them, or one of them is in the call.
[[nodiscard]] bool concerns(const CtiEvent& event, const std::vector<std::string>& devices);

struct State;

// The site as a value holder. One owner, one thread; nothing is read but the inputs.
class Exchange {
public:
    explicit Exchange(const SiteSettings& settings);
    ~Exchange();
    Exchange(Exchange&&) noexcept;
    Exchange& operator=(Exchange&&) noexcept;

    [[nodiscard]] std::vector<Effect> step(const Input& input);
    [[nodiscard]] std::optional<Instant> next_deadline() const;  // when a Tick is due

    [[nodiscard]] CallUuid call_of(const LegId& leg) const;   // that it serves now; empty: none
    [[nodiscard]] RemoteAgents readiness(Instant now) const;  // of our own agents, seq not filled in
    // GET /v1/calls and /v1/agents, as far as who may see these devices may see them; {"*"}: all.
    [[nodiscard]] boost::json::array calls(const std::vector<std::string>& devices = {"*"}) const;
    [[nodiscard]] boost::json::array agents(const std::vector<std::string>& devices = {"*"}) const;
    struct Counts {
        std::size_t calls = 0;
        std::size_t legs = 0;
        std::size_t queued = 0;
        std::size_t recordings = 0;
    };
    [[nodiscard]] Counts counts() const;  // all zero when every call is over: nothing leaks

private:
    std::unique_ptr<State> state_;
};

}  // namespace sheaf::exchange
