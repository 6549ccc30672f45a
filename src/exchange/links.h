// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exchange/state.h"

// This site's halves of the links that legs to and from other sites carry, as facts.
namespace sheaf::exchange {

// How the half is evidenced by somebody's wish: `rule` is one of docs/formats/facts.md.
[[nodiscard]] Evidence evidence_of(std::string_view rule, std::string_view asker, std::string_view value,
                                   std::string_view message);
// The link that a leg of this call to another site is to carry.
[[nodiscard]] LinkHalf new_half(Turn& turn, const LiveCall& live, const std::string& called);
void link_sent(Turn& turn, const LegId& leg, const std::string& message);  // the INVITE has gone
void link_received(Turn& turn, const LegId& leg, const LinkHeader& header, const std::string& message);
// The final response was received (half from) or sent (half to). Once; nothing for a leg without a link.
void link_answered(Turn& turn, const LegId& leg, int status, const CallUuid& peer_call);
void link_ended(Turn& turn, const Leg& leg);

// A consult call belongs to its main call from its first moment.
void consult_opened(Turn& turn, const LiveCall& main, LiveCall& consult, const ConnectionId& connection,
                    const Evidence& evidence);
void consult_ended(Turn& turn, LiveCall& consult);
// The leg's call has merged into the one it serves now: its link moves along.
void link_moved(Turn& turn, const LegId& leg, std::string_view kind, const Evidence& evidence);
// Two calls of this site that one switch has seen become one, and that nothing else joins.
void joined_here(Turn& turn, const LiveCall& from, const LiveCall& to, std::string_view kind, const Evidence& evidence);

}  // namespace sheaf::exchange
