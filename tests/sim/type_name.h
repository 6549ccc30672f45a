// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace sheaf::sim {

// The last part of a type's name, as the compiler spells it.
template <typename T>
std::string type_name() {
    const std::string_view whole = __PRETTY_FUNCTION__;
    const auto from = whole.find("T = ") + 4;
    std::string_view name = whole.substr(from, whole.find_first_of(";]", from) - from);
    if (const auto colon = name.rfind(':'); colon != std::string_view::npos) name.remove_prefix(colon + 1);
    return std::string(name);
}

}  // namespace sheaf::sim
