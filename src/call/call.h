// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "call/cause.h"
#include "call/seen.h"

// One call at one site: who is connected, who is recorded, what is played, when it is over. A pure function: a call and
// an event in, a call and effects out. Who is called next, and why, the exchange decides; ids come from it too.
//
//   Offered ─┬─> Answering ──> Queued <──> Connected <──> Held        a connection of a leg offered to us
//   Initiated ──> Alerting ────────────────> Connected                a connection of a leg that we placed
//   (entered) ───────────────────────────> Connected                  of a leg that stands already: a consult's caller
//
// A leg carries one connection at a time, and a recording belongs to a connection: so one leg may serve a consult call
// while its connection in the main call, and that connection's recording, go on.
//
// Hold. A party holds when its phone or its desktop says so, or while its leg serves another call: then it neither
// hears nor is heard, and its leg leaves the room. Who is left with nobody but holders is Held by them and hears music;
// with two or more others who talk on, the holder itself is the one who is Held.
namespace sheaf::call {

enum class Direction { inbound, outbound, internal, inter_site };
enum class Role { customer, agent, site };
[[nodiscard]] std::string_view name_of(Direction direction);
[[nodiscard]] std::string_view name_of(Role role);  // both: the words of docs/formats/facts.md

// ---- A connection: a party in this call, in one of these states (the words are CSTA's, ECMA-269 §6.1.5) -----------
struct Offered {  // their INVITE, which we have not answered
    bool ringing = false;
};
struct Answering {  // our 200 is on its way; then into the queue of this routing point, or (empty) into the call
    std::string routing_point;
};
struct Initiated {};  // our INVITE; nothing has come back
struct Alerting {};
struct Queued {  // waits at a routing point, hears its treatment
    std::string routing_point;
};
struct Connected {};
struct Held {  // hears nobody, because that connection holds; by itself: it holds and the others talk on
    ConnectionId by;
};
using ConnectionState = std::variant<Offered, Answering, Initiated, Alerting, Queued, Connected, Held>;

// What is to be said of a recording, and to whom: consent.cpp.
enum class Hearers { others, recorded, all };
struct Consent {
    std::vector<std::string> announcement;  // prompts; empty: none
    Hearers hearers = Hearers::others;
    std::int64_t tone_ms = 0;  // 0: no tone
    bool required = false;     // without it there is no recording
    [[nodiscard]] bool is_any() const { return !announcement.empty() || tone_ms > 0; }
};

struct NotRecorded {
    bool is_stopped = false;  // because somebody wanted so
};
struct ToRecord {  // as soon as the party is connected
    SegmentId segment;
    std::string rule;           // why: "agent always"
    bool with_company = false;  // and not before somebody else is: a consult's caller
    Consent consent = {};
    // Who is being told; the recording begins when they hear it. Also who has been told in the former's place.
    std::vector<ConnectionId> asked = {};
};
struct Recording {
    SegmentId segment;
    CallUuid calluuid;              // under which it began: its own for life
    std::string rule;               // why
    std::optional<Instant> opened;  // the media server has said so
    bool on_hold = false;           // nothing is stored, because there is nobody to hear
    bool paused = false;            // nothing is stored, because somebody wants so
    Consent consent = {};
    std::vector<ConnectionId> told = {};   // who has heard the announcement, or hears it now
    std::vector<ConnectionId> toned = {};  // who is sent the tone
};
using RecordingState = std::variant<NotRecorded, ToRecord, Recording>;

// Items are played one by one, each as a play of its own, the last one for ever unless `once`.
struct Treatment {
    std::vector<std::string> items;
    std::size_t at = 0;
    std::string play;  // the running one; empty: not begun, or at its end
    bool for_hold = false;
    bool once = false;
    bool is_said = false;  // the fact of its begin is out, that of its end is not
    bool is_over = false;
};
inline constexpr std::string_view kHoldMusic = "music:hold";
inline constexpr std::string_view kDigits = "digits";  // an item that is silence: the caller is to press something
inline constexpr std::string_view kTone = "tone:beep";

// Played once before whatever else the leg hears; a treatment goes on after it, with the item that it interrupted.
struct Notice {
    std::string play;
    std::vector<std::string> items;
    SegmentId segment;  // whose consent it is; empty: the place in the queue
    bool is_tone = false;
    bool has_begun = false;
};

struct Party {
    Role role = Role::customer;
    std::string address;  // number, dn
    std::string name;
    LinkId link;  // what a leg to another site carries, or empty
};

struct Connection {
    ConnectionId id;
    LegId leg;
    Party party;
    ConnectionState state;
    RecordingState recording;
    std::optional<Treatment> treatment;
    std::optional<Notice> notice;
    bool phone_holds = false;    // by its own re-INVITE
    bool desktop_holds = false;  // by CTI
    bool is_away = false;        // its leg serves another call
    bool in_room = true;         // its leg is in this call's room
    bool far_held = false;       // a leg to a site: everybody behind it is on hold
    [[nodiscard]] bool holds() const { return phone_holds || desktop_holds || is_away; }
};

struct Pause {
    std::string id, by;
    friend bool operator==(const Pause&, const Pause&) = default;
};

struct Call {
    CallUuid id;
    CallUuid root;  // as known here; itself when nothing leads to it
    Direction direction = Direction::inbound;
    CallUuid consult_of;  // empty: no consult
    std::string ani, dnis;
    std::string diverted_from;  // the number called first, where the call was sent on from it before; else empty
    std::string session_id;
    bool record_hold = false;  // store what is heard and said on hold, where the leg serves this call
    std::optional<Pause> pause;
    std::vector<Connection> connections;  // in the order they came
    unsigned plays = 0;                   // begun so far, to name the next
};

// ---- Events -------------------------------------------------------------------------------------------------------
struct Begun {};  // said once, before all others
struct Arrived {  // a leg was offered to us
    ConnectionId connection;
    LegId leg;
    Party party;
    std::optional<ToRecord> record;
};
struct Entered {  // a leg that stands already takes part
    ConnectionId connection;
    LegId leg;
    Party party;
    std::optional<ToRecord> record;
};
struct Accept {  // an offered leg is answered into the call
    LegId leg;
};
struct Called {  // we place a leg
    ConnectionId connection;
    LegId leg;
    Party party;
    std::optional<ToRecord> record;
};
struct Alerted {  // a leg we placed rings
    LegId leg;
};
struct Answered {  // a leg we placed answered: it joins, and whoever waited for it
    LegId leg;
    bool by_overflow = false;  // it was no target of the queue
};
struct Established {  // our 200 to an offered leg has gone
    LegId leg;
    LegId former = {};  // in whose place it comes: that goes with the same step; empty: nobody's
};
struct Refused {  // a leg we placed will not be; the call goes on, whoever owns it decides how
    LegId leg;
    Cause cause = Cause::failed;
};
struct Left {  // hung up, or vanished. With nobody to talk to, the others are released
    LegId leg;
    Cause cause = Cause::normal;
};
struct Clear {  // as Left, at our wish
    LegId leg;
    Cause cause = Cause::normal;
};
struct Withdraw {  // we release this leg and the call goes on without it: a transfer, a ring time-out
    LegId leg;
    Cause cause = Cause::normal;
};
struct Enqueue {  // to a routing point; an offered leg is answered first, one that waits leaves its queue (overflow)
    LegId leg;
    std::string routing_point;
    std::vector<std::string> treatment;
};
struct Treat {  // plays this to a connected party until somebody answers, or once
    LegId leg;
    std::vector<std::string> treatment;
    bool once = false;
};
struct Untreat {
    LegId leg;
};
struct Announce {  // to a party that waits: its place in the queue. Not before the treatment's last item
    LegId leg;
    std::string item;
};
struct ToneDue {  // of the recording of this leg's connection
    LegId leg;
};
enum class HoldWay { phone, desktop, other_call };
struct PutOnHold {  // this leg's party holds
    LegId leg;
    HoldWay way = HoldWay::phone;
};
struct Retrieved {
    LegId leg;
    HoldWay way = HoldWay::phone;
};
struct FarSide {  // of a leg to a site
    LegId leg;
    bool held = false;  // everybody there is on hold
};
struct Merged {  // this call goes on in another: the leg's party leaves it, the others' connections are for Absorbed
    CallUuid into;
    LegId leg;
};
struct Absorbed {  // the connections of a call that has merged into this one
    std::vector<Connection> connections;
};
struct PlayBegan {
    LegId leg;
    std::string play;
};
struct PlayEnded {
    LegId leg;
    std::string play;
    bool failed = false;
};
struct Record {  // from now on, at somebody's wish
    LegId leg;
    ToRecord record;
};
struct StopRecord {
    LegId leg;
};
struct PauseRecording {
    Pause pause;
    std::int64_t back_ms = 0;  // from so long ago
    bool is_told = false;      // by another site, where it was asked for
    ConnectionId asker = {};   // of this call; empty: none of it
};
struct ResumeRecording {
    std::string by;
    bool is_told = false;
    ConnectionId asker = {};
};
struct RecordingOpened {
    SegmentId segment;
    Instant at;
};
struct RecordingFailed {
    SegmentId segment;
    Instant at;
};
struct End {  // everybody is released
    Cause cause = Cause::normal;
    int status = 0;  // for a leg that has not been answered
    std::string reason;
};
using Event = std::variant<Begun, Arrived, Entered, Accept, Called, Alerted, Answered, Established, Refused, Left,
                           Clear, Withdraw, Enqueue, Treat, Untreat, Announce, ToneDue, PutOnHold, Retrieved, FarSide,
                           Merged, Absorbed, Record, StopRecord, PauseRecording, ResumeRecording, PlayBegan, PlayEnded,
                           RecordingOpened, RecordingFailed, End>;

// ---- Effects ------------------------------------------------------------------------------------------------------
struct Ring {
    LegId leg;
};
struct Answer {
    LegId leg;
};
struct Reject {
    LegId leg;
    int status = 0;
    std::string reason;
};
struct Release {
    LegId leg;
    int status = 0;
    Cause cause = Cause::normal;
};
struct StartPlay {
    LegId leg;
    std::string play;
    std::string item;
    bool forever = false;
};
struct StartNotice {  // as one play; PlayBegan and PlayEnded tell of it
    LegId leg;
    std::string play;
    std::vector<std::string> items;
};
struct StopPlay {
    LegId leg;
    std::string play;
};
struct ToneRuns {  // of this leg's recording: until it ends, ToneDue is wanted every so many milliseconds
    LegId leg;
    std::int64_t every_ms = 0;  // 0: no longer
};
struct Join {  // the leg hears and is heard in this call's room
    LegId leg;
};
struct Unjoin {
    LegId leg;
};
struct StartRecording {
    LegId leg;
    SegmentId segment;
    ConnectionId connection;
    bool on_hold = false;            // begins silent
    std::optional<Pause> paused_by;  // likewise
};
struct Silence {
    LegId leg;
    SegmentId segment;
    bool is_pause = false;  // else hold
    std::string by;
    std::int64_t back_ms = 0;
};
struct Unsilence {
    LegId leg;
    SegmentId segment;
    bool is_pause = false;
};
struct StopRecording {
    LegId leg;
    SegmentId segment;
    Cause cause = Cause::normal;
};
struct Say {  // a fact
    std::string type;
    boost::json::object data;
};
struct Tell {  // a CSTA event of this call
    std::string type;
    Seen device;
    std::string cause;
    std::vector<Seen> parties;
};
struct Waits {  // this connection now waits at a routing point
    LegId leg;
    std::string routing_point;
};
struct WaitsNoMore {
    LegId leg;
    std::string routing_point;
};
struct Gone {  // the connection is no more; its leg has ended or been told to
    LegId leg;
    Party party;
    bool was_connected = false;
    bool refused = false;  // it was called and would not, while the call went on
    Cause cause = Cause::normal;
    int status = 0;            // with which we refused it, or 0
    std::string play;          // what its leg plays for this call, or empty
    bool phone_holds = false;  // in whichever call its leg goes on
};
struct Over {};  // nobody is left; the call has ended
using Effect =
    std::variant<Ring, Answer, Reject, Release, Join, Unjoin, StartPlay, StartNotice, StopPlay, ToneRuns,
                 StartRecording, Silence, Unsilence, StopRecording, Say, Tell, Waits, WaitsNoMore, Gone, Over>;

struct Step {
    Call call;
    std::vector<Effect> effects;
};

// Events that name a leg or a segment this call does not have, or that its state does not allow, change nothing.
[[nodiscard]] Step step(Call call, const Event& event);

[[nodiscard]] const Connection* find(const Call& call, const LegId& leg);
[[nodiscard]] bool is_talking(const Connection& connection);  // Connected or Held
[[nodiscard]] bool is_audible(const Connection& connection);  // to the others: Connected, not holding, not held afar
[[nodiscard]] bool is_rung(const Connection& connection);     // Initiated or Alerting
[[nodiscard]] bool is_treated(const Connection& connection);  // a treatment that plays once has come to its end
[[nodiscard]] std::string_view state_name(const Connection& connection);  // as desktops are told: ECMA-269's word
[[nodiscard]] std::vector<Seen> parties_of(const Call& call);
[[nodiscard]] Seen seen(const Party& party);

}  // namespace sheaf::call
