// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "archive/presence.h"
#include "archive/view.h"

namespace sheaf::archive {

// The ledger: for every moment of each customer's presence that no segment holds, why none does. `segments` have their
// timelines, those that never arrived too (as they would be). `until` bounds a presence that has not ended. Ordered by
// time, then customer; adjacent gaps of one customer and reason are one.
[[nodiscard]] std::vector<GapView> gaps_of(const std::vector<SegmentView>& segments, const std::vector<CallView>& calls,
                                           const Presence& presence, Ms until);

}  // namespace sheaf::archive
