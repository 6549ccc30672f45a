// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "sim/town.h"

namespace sheaf::sim {

struct Finding {
    ConversationId conversation = 0;  // 0: the town's
    std::string what;
};

struct Judgement {
    std::vector<Finding> findings;
    std::size_t conversations = 0;  // with at least one call
    std::size_t multi_site = 0;
    std::size_t recordings = 0;        // the archive has of them
    std::size_t segments = 0;          // that must exist
    std::size_t slices = 0;            // of timelines that were compared
    std::size_t held = 0, paused = 0;  // of those: on hold, paused
    std::size_t apart = 0;             // conversations that may be two recordings, and are
    std::size_t gaps = 0;
    std::size_t tangled = 0;  // conversations with changes within changes: likewise
    std::size_t shaken = 0;   // conversations that a fault touched: grouping alone is compared
};

// Holds the archive's recordings against the town's own bookkeeping, and everything that must be gone against nothing.
// What is compared in which profile: docs/operating/simulator.md.
[[nodiscard]] Judgement judge(Town& town);

}  // namespace sheaf::sim
