// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exchange/calls.h"

// Agents without a desktop: numbers that they dial to say that they are ready, not ready, or done with their wrap-up.
// The call is answered, says what has become of it, and ends; until then the agent is busy. For everybody else, and for
// CTI, these numbers are unknown.
namespace sheaf::exchange {

// The code that this call dials, or null.
[[nodiscard]] const std::string* feature_code(const State& state, const LegOffered& event);
void dialled_code(Turn& turn, const LegOffered& event, const std::string& code);

}  // namespace sheaf::exchange
