// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "exchange/exchange.h"
#include "sip/message.h"

// What an INVITE says of where the call has been before (RFC 7044, RFC 5806), and of what its sender wants to keep to
// itself (RFC 3323, RFC 3325 §9.3). Pure. Numbers and words that come out are clean (caller.h).
namespace sheaf::b2bua {

inline constexpr std::size_t kHistoryMax = 16;  // entries that are read of one message

struct Privacy {
    bool of_identity = false;  // "id", "user" or "header": who calls is not to be shown
    bool of_history = false;   // "history" or "header": nor where the call has been
};
[[nodiscard]] Privacy privacy_of(const sip::Message& request);

// The numbers the call was sent on from, the first one first: as History-Info tells them, or else Diversion. Entries
// that are private or no number are left out.
[[nodiscard]] std::vector<exchange::Diversion> diversions_of(const sip::Message& request);

// Both headers, for a peer that is trusted with it. `host`: ours; `target`: whom the INVITE is for.
[[nodiscard]] std::vector<sip::Header> history_headers(const std::vector<exchange::Diversion>& diversions,
                                                       const sip::Uri& target, const std::string& host);

}  // namespace sheaf::b2bua
