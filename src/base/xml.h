// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace sheaf {

// Fit for an attribute in double quotes, and for text; control characters, which XML cannot have, become spaces.
[[nodiscard]] std::string xml_escaped(std::string_view text);

}  // namespace sheaf
