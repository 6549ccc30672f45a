// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace sheaf::ladder {

// Puts a star for each character of what nobody should read later into a SIP message: what proves a password (digest
// responses, other credentials), what proves a link between sites, addresses that are keys (pivot tokens), media keys,
// digits that were pressed. Nothing else changes, nor the length. Any bytes will do.
void mask(std::span<char> message);
[[nodiscard]] std::string masked(std::string_view message);

}  // namespace sheaf::ladder
