// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/fact.h"
#include "base/id.h"
#include "base/result.h"
#include "base/time.h"

namespace sheaf::archive {

// docs/formats/facts.md, one struct a type. Texts are UTF-8 and empty where the format says null.

inline constexpr std::size_t kIdBytesMax = 128;      // printable ASCII without space
inline constexpr std::size_t kTextBytesMax = 2'048;  // of any other text field
inline constexpr std::size_t kEvidenceMax = 32;      // items of a link's evidence, and messages of one item

enum class Role { customer, agent, ivr, site, unknown };
enum class LinkKind { route, transfer, consult, conference, siprec, cti, manual };
enum class Half { from, to, both };
[[nodiscard]] std::string_view name_of(Role role);
[[nodiscard]] std::string_view name_of(LinkKind kind);

struct CallStarted {
    CallUuid call;
    std::string direction, ani, dnis;
    CallUuid root, consult_of;
    std::string session_id;
};
struct CallEnded {
    CallUuid call;
    std::string cause;
};
struct CallMerged {
    CallUuid call, into;
};
struct PartyJoined {
    CallUuid call;
    ConnectionId connection;
    Role role = Role::unknown;
    std::string address, name;
    LinkId link;
};
struct PartyAlerting {
    CallUuid call;
    ConnectionId connection;
    Role role = Role::unknown;
    std::string address;
};
struct PartyLeft {
    CallUuid call;
    ConnectionId connection;
    std::string cause;
};
struct PartyHeld {
    CallUuid call;
    ConnectionId connection, by;
};
struct PartyRetrieved {
    CallUuid call;
    ConnectionId connection, by;
};
struct TreatmentStarted {
    CallUuid call;
    ConnectionId connection;
    std::string treatment;
};
struct TreatmentEnded {
    CallUuid call;
    ConnectionId connection;
    std::string treatment;
    bool failed = false;
};
struct ConsentAnnounced {
    CallUuid call;
    ConnectionId connection, of;
    std::string announcement;
};
struct ConsentFailed {
    CallUuid call;
    ConnectionId connection, of;
    std::string announcement;
    bool recorded = false;
};
struct ToneStarted {
    CallUuid call;
    ConnectionId connection, of;
};
struct ToneStopped {
    CallUuid call;
    ConnectionId connection, of;
};
struct QueueEntered {
    CallUuid call;
    ConnectionId connection;
    std::string routing_point;
};
struct QueueLeft {
    CallUuid call;
    ConnectionId connection;
    std::string routing_point, reason;
};
struct AgentState {
    std::string dn, state, reason;
};
struct Evidence {
    std::string rule, source, value;
    std::vector<std::string> messages;
    friend auto operator<=>(const Evidence&, const Evidence&) = default;
};
struct LinkOpened {
    LinkId link;
    CallUuid from, to;  // `to` is empty in a sending half
    CallUuid root;
    LinkKind kind = LinkKind::route;
    int tier = 2;
    Half half = Half::both;
    ConnectionId connection;
    bool header = false;
    LinkId moved_from;
    std::optional<WallTime> invite_at;
    std::optional<std::int64_t> invite_mono;
    std::vector<Evidence> evidence;
};
struct LinkAnswered {
    LinkId link;
    Half half = Half::both;
    CallUuid peer;
    std::int64_t status = 0;
    std::optional<WallTime> answer_at;
    std::optional<std::int64_t> answer_mono;
};
struct LinkEnded {
    LinkId link;
    Half half = Half::both;
};
struct LinkRetracted {
    LinkId link;
    std::string reason;
};
struct SegmentExpected {
    SegmentId segment;
    CallUuid call;
    ConnectionId connection;
    std::string rule;
};
struct SegmentOpened {
    SegmentId segment;
    CallUuid call;
    ConnectionId connection;
};
struct PacketCounts {
    std::int64_t received = 0, stored = 0, duplicate = 0, late = 0, excluded = 0, lost = 0;
};
struct SegmentSealed {
    SegmentId segment;
    CallUuid call;
    ConnectionId connection;
    std::int64_t duration_ms = 0;
    std::string cause;
    PacketCounts said, heard;
};
struct SegmentLost {
    SegmentId segment;
    CallUuid call;
    ConnectionId connection;
    std::optional<std::int64_t> from_ms, to_ms;  // both or neither; neither: all of it
    std::string cause;
};
struct SegmentStored {
    SegmentId segment;
    std::string sha256;
    std::int64_t bytes = 0;
    std::string media_type;
};
struct RecordingPaused {
    CallUuid call;
    std::string by, pause;
    ConnectionId asker;  // empty: not said
};
struct RecordingResumed {
    CallUuid call;
    std::string by, pause;
    ConnectionId asker;
};
struct PauseTold {  // the call's site has heard of another's pause
    CallUuid call;
    std::string by, pause;
};
struct PauseToldOver {
    CallUuid call;
    std::string by, pause;
};
struct PauseUnconfirmed {  // another site has not said in time that it stores nothing of the pause
    CallUuid call;
    std::string pause, by_site;
};
struct PauseConfirmed {
    CallUuid call;
    std::string pause, by_site;
};
struct SegmentErased {  // by a pause that came when the segment had ended; its file is another from then on
    SegmentId segment;
    CallUuid call;
    ConnectionId connection;
    std::int64_t from_ms = 0, to_ms = 0;
    std::string label, by;
    std::string sha256;  // hex, of the file as it is now
};
struct OperatorVeto {
    CallUuid a, b;
    std::int64_t version = 0;
    bool on = false;
    std::string by;
};
struct OperatorLink {
    LinkId link;
    CallUuid from, to;
    std::string by;
};
struct OperatorAccept {
    LinkId link;
    std::int64_t version = 0;
    bool on = false;
    std::string by;
};
struct OperatorHold {
    CallUuid recording;
    std::string by, reason;
};
struct OperatorErase {
    CallUuid recording;
    std::string by, reason;
};
struct UnknownType {};  // kept and ignored

using FactBody =
    std::variant<UnknownType, CallStarted, CallEnded, CallMerged, PartyJoined, PartyAlerting, PartyLeft, PartyHeld,
                 PartyRetrieved, TreatmentStarted, TreatmentEnded, ConsentAnnounced, ConsentFailed, ToneStarted,
                 ToneStopped, QueueEntered, QueueLeft, AgentState, LinkOpened, LinkAnswered, LinkEnded, LinkRetracted,
                 SegmentExpected, SegmentOpened, SegmentSealed, SegmentLost, SegmentStored, RecordingPaused,
                 RecordingResumed, PauseTold, PauseToldOver, PauseUnconfirmed, PauseConfirmed, SegmentErased,
                 OperatorVeto, OperatorLink, OperatorAccept, OperatorHold, OperatorErase>;

// A fact past the wall: who said it, when by its own clock, and what.
struct TypedFact {
    std::string id, tenant, site, node;
    std::uint64_t seq = 0;
    WallTime at{};
    std::int64_t mono = 0;
    FactBody body;
};

// Errc::malformed with the field's name when the data of a known type breaks a rule.
[[nodiscard]] Result<TypedFact> typed_fact(const Fact& fact);
// The call the fact speaks about; empty for links, agents, stored segments and operators.
[[nodiscard]] CallUuid call_of(const FactBody& body);
// The link, or the segment; empty for other facts.
[[nodiscard]] LinkId link_of(const FactBody& body);
[[nodiscard]] SegmentId segment_of(const FactBody& body);
[[nodiscard]] bool is_id(std::string_view text);  // 1 to kIdBytesMax printable ASCII characters without space

}  // namespace sheaf::archive
