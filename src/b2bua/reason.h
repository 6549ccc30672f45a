// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "call/cause.h"
#include "sip/message.h"

namespace sheaf::b2bua {

// Why a BYE or CANCEL of ours is sent (RFC 3326): the cause value of ITU-T Q.850 that gateways hand on. Nothing for a
// transfer: the call goes on.
[[nodiscard]] std::vector<sip::Header> reason_headers(call::Cause cause);

}  // namespace sheaf::b2bua
