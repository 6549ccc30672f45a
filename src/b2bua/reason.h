// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "call/cause.h"
#include "sip/message.h"

namespace sheaf::b2bua {

// Why a BYE or CANCEL of ours is sent (RFC 3326): the cause value of ITU-T Q.850 that gateways hand on. Nothing for a
// transfer: the call goes on.
[[nodiscard]] std::vector<sip::Header> reason_headers(call::Cause cause);

// Theirs. Where a gateway's status says little (480, 500, 503), what its Q.850 cause makes of it (RFC 3398 §7.2.4.1).
[[nodiscard]] int status_by_reason(int status, const sip::Message& response);
// Of a BYE: a cause that says that something failed.
[[nodiscard]] call::Cause cause_by_reason(call::Cause cause, const sip::Message& request);

}  // namespace sheaf::b2bua
