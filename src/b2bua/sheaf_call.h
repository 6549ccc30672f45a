// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "exchange/exchange.h"

// The body of an INFO of package sheaf-call: docs/formats/sheaf-call.md. Pure text.
namespace sheaf::b2bua {

inline constexpr std::string_view kSheafCall = "sheaf-call";
inline constexpr std::string_view kSheafCallType = "application/json";
inline constexpr std::size_t kSheafCallBytesMax = 48 * 1024;
inline constexpr std::size_t kSheafCallTextMax = 128;  // of a number, name or id
inline constexpr std::int64_t kPauseAgoMaxMs = 24 * 3'600'000;

// Parties beyond kSitePartiesMax are left out.
[[nodiscard]] std::string to_sheaf_call(const exchange::SiteState& state);
[[nodiscard]] Result<exchange::SiteState> sheaf_call_from_text(std::string_view text);

}  // namespace sheaf::b2bua
