// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "edge/journal/journal_files.h"
#include "media/journal_format.h"

// Taking back what a segment has stored already: its packets on disk are overwritten where they are
// (docs/formats/journal.md, "Erasing").
namespace sheaf::journal {

struct Erasure {
    media::SegmentSlot slot = 0;
    std::vector<media::ErasedPlace> places;
};

// The places of the segment's packets, of either channel, whose moment is not before `from`, and before `to` if there
// is one. `extents`: all of it so far. What cannot be read is told and left out: nobody can say what is there. An error
// (exhausted): try again.
[[nodiscard]] Result<Erasure> plan_erasure(const JournalFiles& files, media::SegmentSlot slot,
                                           const std::vector<Extent>& extents, Instant from, std::optional<Instant> to,
                                           const std::function<void(const Error&)>& on_unreadable);

// Overwrites and syncs. Harmless when it was done before, in part or as a whole: what stands at a place is replaced
// unless a whole record of something else is found there, which is an error (conflict) and stays. A file that is gone
// is success.
[[nodiscard]] Result<void> carry_out(const JournalFiles& files, const Erasure& erasure);

}  // namespace sheaf::journal
