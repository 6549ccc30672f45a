// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exchange/calls.h"

// What happens to a call because it waits: it hears its position, and after a while, or because no more may wait, it
// goes to the routing point's overflow target.
namespace sheaf::exchange {

inline constexpr int kOverflowsMax = 8;               // full queues in a row that hand a call on
inline constexpr std::size_t kPositionSpokenMax = 9;  // further behind, a caller hears that they wait

[[nodiscard]] bool is_full(const State& state, const RoutingPoint& point);
// Where a call goes that finds this point's queue full: the first overflow target on the way that takes it.
[[nodiscard]] std::optional<Destination> instead_of_full(const State& state, const RoutingPointSettings& point);

void waits_from_now(Turn& turn, const LiveCall& live);
void waits_no_more(Turn& turn, const LiveCall& live);
void overflow_due(Turn& turn, const CallUuid& call);
void position_due(Turn& turn, const CallUuid& call);

}  // namespace sheaf::exchange
