// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "archive/clocks.h"
#include "archive/typed_fact.h"
#include "base/id.h"
#include "base/time.h"

// What the archive shows of one recording: a pure fold of the facts of its calls and `now`. Every time is on the root
// site's wall clock, in unix milliseconds; `claimed` ones are as the sender's clock said.
namespace sheaf::archive {

using Ms = std::int64_t;
inline constexpr Ms kNever = INT64_MAX;  // the end of what has not ended

inline constexpr Ms kSilentMaxMs = 172'800'000;  // so long after the last fact a call without an end is over since then
inline constexpr Ms kMissingAfterMs = 60'000;    // a segment not sealed this long after its call's end is missing
// Two sites' clocks are known to a few milliseconds, so a slice shorter than this is not a change anybody made.
inline constexpr Ms kSliverMs = 50;
// Between an answer and the first moment of its file; such a moment belongs to the gap before it.
inline constexpr Ms kEdgeMs = 250;
inline constexpr Ms kEdgeAloneMs = 100;  // …and standing alone between two files, up to this, it is none
inline constexpr std::string_view kNotBegun = "not-begun";  // cause of a loss: over as soon as it was asked for

struct CallView {
    CallUuid id;
    std::string site;  // empty: only others speak of it
    std::optional<Ms> started_at, ended_at;
    std::string direction, ani, dnis;
    CallUuid consult_of, merged_into;
    std::string cause;
};

struct LinkView {
    LinkId id;
    CallUuid from, to;  // `to` empty: not known yet
    LinkKind kind = LinkKind::route;
    int tier = 2;  // the strongest of its halves
    std::optional<Ms> at, ended_at;
    LinkId moved_from;
    bool header = false, has_from_half = false, has_to_half = false;
    bool retracted = false;
    bool refused = false;            // its INVITE was answered by nobody who knows of it
    std::vector<Evidence> evidence;  // of all halves
};

struct PartyView {
    std::string id;
    Role role = Role::unknown;
    std::string address, name;
};

enum class SegmentState { expected, recording, sealed, stored, missing, lost };
enum class Label { talk, hold, paused, lost, unknown };
enum class GapReason { queue, ringing, treatment, hold, paused, not_selected, lost, missing, unknown };
enum class RecordingState { open, complete, incomplete };
[[nodiscard]] std::string_view name_of(SegmentState state);
[[nodiscard]] std::string_view name_of(Label label);
[[nodiscard]] std::string_view name_of(GapReason reason);
[[nodiscard]] std::string_view name_of(RecordingState state);

struct TimelineEntry {
    Ms from_ms = 0, to_ms = 0;  // from the segment's start
    Label label = Label::unknown;
    std::vector<std::string> parties;  // ids, sorted: whose audio can reach the segment
    std::vector<std::string> held;     // ids, sorted: who would, were they not held
    std::string by;                    // who paused
};

struct MediaView {
    std::string sha256, type;
    std::int64_t bytes = 0;
};

struct SegmentView {
    SegmentId id;
    CallUuid call;
    std::string site;
    ConnectionId connection;
    std::string party;  // the recorded one's id; empty: not known
    std::string rule;   // why it is recorded
    std::optional<Ms> expected_at, started_at, ended_at;
    Ms duration_ms = 0;
    SegmentState state = SegmentState::expected;
    std::string cause;
    bool has_not_begun = false;  // lost for that cause alone: nobody's alarm
    std::optional<MediaView> media;
    std::vector<std::pair<Ms, Ms>> lost;  // from its start
    std::string erased_sha256;            // of the file that an erasure has left; empty: none has come late
    std::vector<TimelineEntry> timeline;
    std::optional<Ms> call_ended_at;  // of the call its connection was in at last
};

struct GapView {
    Ms from = 0, to = 0;
    GapReason reason = GapReason::unknown;
    std::string detail, party;
};

struct EventView {
    Ms at = 0, claimed_at = 0;
    CallUuid call;
    std::string party;  // empty: not known, or another site
    std::string event;
};

struct Alarm {
    std::string
        kind;  // segment-missing, segment-lost, segment-not-erased, pause-unconfirmed, needs-review, facts-refused
    std::optional<Ms> at;
    CallUuid recording;
    SegmentId segment;
    std::string text;
};

struct RecordingView {
    CallUuid id;
    std::vector<CallUuid> aliases;
    RecordingState state = RecordingState::open;
    std::optional<Ms> started_at, ended_at;  // ended_at: only when every call has ended
    Ms duration_ms = 0;
    bool needs_review = false;
    std::vector<CallView> calls;
    std::vector<LinkView> links;
    std::vector<PartyView> parties;
    std::vector<SegmentView> segments;
    std::vector<GapView> gaps;
    std::vector<EventView> events;
    std::vector<std::pair<std::string, SiteClock>> clocks;
    std::vector<Alarm> alarms;
    bool is_live = false;    // some call goes on: what is open reaches up to `now`
    Ms changes_at = kNever;  // when, without another fact, a segment is missing or the recording incomplete
};

// The facts of one group of calls, in any order, without duplicates.
struct Component {
    CallUuid root;
    std::set<std::string> calls;
    bool needs_review = false;
    std::vector<const TypedFact*> facts;
};

[[nodiscard]] RecordingView recording_view(const Component& component, Ms now, Ms settle_ms);

}  // namespace sheaf::archive
