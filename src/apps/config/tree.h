// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace sheaf::config {

inline constexpr std::size_t kFileBytesMax = 1 << 20;

// What a settings file holds, each value with its line (from 1). TOML's dates and fractions are no settings: they come
// as Other.
struct Value;
struct Entry;
struct Other {};
struct Table {
    int line = 1;
    std::vector<Entry> entries;  // in the file's order
    [[nodiscard]] const Value* find(std::string_view key) const;
};
using List = std::vector<Value>;
struct Value {
    int line = 1;
    std::variant<Other, bool, std::int64_t, std::string, List, Table> is;
};
struct Entry {
    std::string key;
    Value value;
};

// Errors are `FILE:LINE: …`.
[[nodiscard]] Result<Table> tree_from_toml(std::string_view text, const std::string& file);

}  // namespace sheaf::config
