// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace sheaf::apps {

// Where a replay parts from the run.
struct ReplayDifference {
    std::string file;
    std::size_t line = 0;              // from 1
    std::string input;                 // the journal's line
    std::string expected;              // digest of the run's effects
    std::string got;                   // of the replay's
    std::vector<std::string> effects;  // the replay's, one line each
};
struct ReplayReport {
    std::vector<std::string> files;  // replayed, in order
    std::size_t inputs = 0;
    bool torn_tail = false;                      // the last line was cut off: the run was killed
    std::optional<ReplayDifference> difference;  // the first; nothing after it was replayed
};

// Runs the journal that `path` belongs to through a fresh exchange, from the run's first file up to this one.
// Errc::io, malformed (file and line named), not_found when an earlier file of the run is gone.
[[nodiscard]] Result<ReplayReport> replay_file(const std::string& path);

}  // namespace sheaf::apps
