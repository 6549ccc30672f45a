// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exchange/state.h"

// The CTI services (CSTA's words), answered by one CtiReply each.
namespace sheaf::exchange {

void on(Turn& turn, const CtiRequest& request);

// An event of this call as it stands.
void tell(Turn& turn, const LiveCall& live, std::string_view type, const Device& about);

// What a token with these devices may see; {"*"}: everything.
[[nodiscard]] boost::json::array calls_of(const State& state, const std::vector<std::string>& devices);
[[nodiscard]] boost::json::array agents_of(const State& state, const std::vector<std::string>& devices);

}  // namespace sheaf::exchange
