// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include "archive/presence.h"
#include "archive/view.h"

namespace sheaf::archive {

// The segments that `facts` (in order of time) speak of, by start, then id; no parties and timelines yet. `end_of_call`
// says when the call that one has become in the end was over. A segment that may become missing lowers `changes_at`.
[[nodiscard]] std::vector<SegmentView> segments_of(const std::vector<TimedFact>& facts,
                                                   const std::function<std::optional<Ms>(const CallUuid&)>& end_of_call,
                                                   Ms now, Ms& changes_at);

}  // namespace sheaf::archive
