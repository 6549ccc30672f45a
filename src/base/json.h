// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json/fwd.hpp>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sheaf {

inline constexpr std::size_t kJsonDepthMax = 32;

// Parses one JSON text, at most kJsonDepthMax deep. The caller has bounded its size.
[[nodiscard]] Result<boost::json::value> json_from_text(std::string_view text);
// RFC 8785 (JCS) for what facts hold: objects, arrays, strings, booleans, null, integers within ±2^53. Another number
// is an error: facts carry whole milliseconds, so that no two languages disagree about a digit.
[[nodiscard]] Result<std::string> canonical_json(const boost::json::value& value);
// Puts it at the end of `out`; after an error a part of it may be there.
[[nodiscard]] Result<void> append_canonical_json(std::string& out, const boost::json::object& object);
[[nodiscard]] Result<void> append_canonical_json(std::string& out, std::uint64_t number);
[[nodiscard]] Result<void> append_canonical_json(std::string& out, std::int64_t number);

// Appends it as it is: members in their order, any numbers.
void append_json(std::string& out, const boost::json::object& object);
// Appends the text as a JSON string, in quotes, as RFC 8785 §3.2.2.2 writes it. It is UTF-8 already.
void append_json_string(std::string& out, std::string_view text);

}  // namespace sheaf
