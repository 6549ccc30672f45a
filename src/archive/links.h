// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "archive/presence.h"
#include "archive/view.h"

namespace sheaf::archive {

// The links that `facts` (in order of time) speak of, halves merged: the strongest tier, the evidence of all halves.
// Ordered by time, then id. Retracted ones are flagged; vetoes are not looked at.
[[nodiscard]] std::vector<LinkView> links_of(const std::vector<TimedFact>& facts);

}  // namespace sheaf::archive
