// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "sip/message.h"
#include "sip/user_agent.h"

// Phones behind a NAT say addresses that mean nothing here. Pure.
namespace sheaf::b2bua {

// A request that came straight from its sender, and whose Via or Contact names another address than it came from. (A
// phone that has learned its outer address from our answers says that in Contact, and its inner one everywhere else.)
[[nodiscard]] bool is_behind_nat(const sip::Message& request, const sip::Source& source);

// A session description with `address` wherever it names one of its IP version that only its own network knows
// (RFC 1918, 6598, 3927, 4193, 4291 §2.5.6). The ports stay: the media server learns those from the first packets.
// Anything else, also what is no description, as it was.
[[nodiscard]] std::string with_reachable_address(const std::string& sdp, const std::string& address);

}  // namespace sheaf::b2bua
