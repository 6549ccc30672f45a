// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "edge/journal/journal_files.h"
#include "edge/journal/journal_writer.h"

namespace sheaf::journal {

struct JournalScan {
    std::vector<ClosedSegment> segments;  // all that have a record; `recovered` where the close is missing
    std::uint64_t damaged_bytes = 0;
    std::vector<Error> troubles;  // files that cannot be read; they are left where they are
};

// Reads what an earlier run left behind, and lets `files` know which segment needs which file. First it finishes that
// run's erasures; while one cannot be finished no segment is given out, and the next start tries again.
[[nodiscard]] JournalScan scan_journals(JournalFiles& files);

}  // namespace sheaf::journal
