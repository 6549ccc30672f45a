// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exchange/state.h"

// This site's halves of the links that legs to and from other sites carry, as facts.
namespace sheaf::exchange {

// The link that a leg of this call to another site is to carry.
[[nodiscard]] LinkHalf new_half(Turn& turn, const LiveCall& live, const std::string& called);
void link_sent(Turn& turn, const LegId& leg, const std::string& message);  // the INVITE has gone
void link_received(Turn& turn, const LegId& leg, const LinkHeader& header, const std::string& message);
// The final response was received (half from) or sent (half to). Once; nothing for a leg without a link.
void link_answered(Turn& turn, const LegId& leg, int status, const CallUuid& peer_call);
void link_ended(Turn& turn, const Leg& leg);

}  // namespace sheaf::exchange
