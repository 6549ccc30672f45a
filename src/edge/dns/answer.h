// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "sip/locate.h"

namespace sheaf::dns {

// The NAPTR or SRV records of an answer as it came, and the least of their times and of the aliases' before them.
// Errc::malformed: it cannot be read. An answer without such records is an answer.
[[nodiscard]] Result<sip::DnsAnswer> answer_from_message(sip::RecordType type, Bytes message);

}  // namespace sheaf::dns
