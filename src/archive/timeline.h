// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "archive/presence.h"
#include "archive/view.h"

namespace sheaf::archive {

// What the segment holds from moment to moment, or would hold had it arrived. Labels: docs/formats/facts.md's words are
// turned into `talk` (somebody's audio reaches it), `hold`, `paused`, `lost`, `unknown` (its connection is not known).
// `segment` has its start, end or the moment it was expected; `until` bounds one that has not ended. Entries are
// relative to the segment's start, adjacent, and cover it whole.
[[nodiscard]] std::vector<TimelineEntry> timeline_of(const SegmentView& segment, const Presence& presence, Ms until);

// From when to when the segment speaks for its connection: what is in the file; before it is opened, or when it never
// is, from the moment it was expected to the end of its connection.
struct Window {
    Ms from = 0, to = 0;
};
[[nodiscard]] Window window_of(const SegmentView& segment, const Presence& presence, Ms until);

// Id of the party recorded: the connection's own, or, of a leg to another site, whoever is first at its far end. Empty:
// not known.
[[nodiscard]] std::string recorded_party_of(const SegmentView& segment, const Presence& presence, Ms until);

}  // namespace sheaf::archive
