// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sheaf::exchange {

inline constexpr std::size_t kIdMax = 128;  // docs/formats/facts.md

// Text from a peer, fit for facts and log lines: valid UTF-8 without control characters, at most `bytes_max`.
[[nodiscard]] std::string shown(std::string_view text, std::size_t bytes_max = kIdMax);
[[nodiscard]] bool is_id(std::string_view text);  // 1 to 128 printable ASCII characters without space

}  // namespace sheaf::exchange
