// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "b2bua/settings.h"
#include "exchange/exchange.h"
#include "sip/message.h"

namespace sheaf::b2bua {

// RFC 3261 §21.3: the number that an agent's phone or a trunk wants called instead, of several the one it likes best; a
// trunk only at an address of its own, a phone never itself. Empty: none, or the response is no 3xx.
[[nodiscard]] std::string redirection_of(const Settings& settings, const exchange::Device& by,
                                         const sip::Message& response);

}  // namespace sheaf::b2bua
