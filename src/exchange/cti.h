// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exchange/state.h"

// The CTI services (CSTA's words), answered by one CtiReply each.
namespace sheaf::exchange {

void on(Turn& turn, const CtiRequest& request);

// What a token with these devices may see; {"*"}: everything.
[[nodiscard]] boost::json::array calls_of(const State& state, const std::vector<std::string>& devices);
[[nodiscard]] boost::json::array agents_of(const State& state, const std::vector<std::string>& devices);

}  // namespace sheaf::exchange
