// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "sip/message.h"

// What a message carries besides its headers (RFC 3261 §7.4, §8.2.3; RFC 2046 §5.1; RFC 5621). Pure.
namespace sheaf::sip {

inline constexpr std::size_t kBodyPartsMax = 32;  // of one message; beyond: Errc::exhausted
inline constexpr std::size_t kBodyDepthMax = 4;   // bodies within bodies; likewise

// Whether requests of that method, and their answers, describe a session.
[[nodiscard]] bool carries_description(std::string_view method);
// "type/subtype" of a Content-Type, lower case, without parameters; empty: it is none.
[[nodiscard]] std::string media_type(std::string_view content_type);

// Whether an answer may carry a body of that type (RFC 3261 §20.1): without an Accept it may.
[[nodiscard]] bool accepts(const Message& message, std::string_view type);

// The session description in a message, within its body: all of it, or the part that is one (of alternatives the last).
// Empty: it has none. A body without a Content-Type counts as one, a part with another Content-Disposition than
// `session` does not. What is not understood is passed over where it is optional, and in parts that do not say
// `handling=required`.
// Errc::unsupported: it cannot be passed over, or is compressed; for a 415. Errc::malformed: a body that cannot be
// taken apart; for a 400.
[[nodiscard]] Result<std::string_view> description_in(const Message& message);
// Leaves of the body the description alone, as `application/sdp`. One that cannot be read stays.
void keep_description(Message& message);

}  // namespace sheaf::sip
