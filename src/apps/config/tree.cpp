// SPDX-License-Identifier: Apache-2.0
#include "apps/config/tree.h"

#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <algorithm>
#include <tuple>

namespace sheaf::config {
namespace {

int line_of(const toml::node& node) {
    return static_cast<int>(node.source().begin.line);
}

Value value_of(const toml::node& node);

Table table_of(const toml::table& from) {
    Table table;
    table.line = line_of(from);
    for (const auto& [key, node] : from) {
        Value value = value_of(node);
        value.line = static_cast<int>(key.source().begin.line);
        table.entries.push_back({std::string(key.str()), std::move(value)});
    }
    std::sort(table.entries.begin(), table.entries.end(), [](const Entry& a, const Entry& b) {
        return std::tie(a.value.line, a.key) < std::tie(b.value.line, b.key);
    });
    return table;
}

Value value_of(const toml::node& node) {
    Value value{line_of(node), {}};
    if (const auto* text = node.as_string()) value.is = text->get();
    if (const auto* number = node.as_integer()) value.is = number->get();
    if (const auto* flag = node.as_boolean()) value.is = flag->get();
    if (const auto* table = node.as_table()) value.is = table_of(*table);
    if (const auto* array = node.as_array()) {
        List list;
        for (const auto& item : *array) list.push_back(value_of(item));
        value.is = std::move(list);
    }
    return value;
}

}  // namespace

const Value* Table::find(std::string_view key) const {
    const auto found =
        std::find_if(entries.begin(), entries.end(), [&](const auto& entry) { return entry.key == key; });
    return found == entries.end() ? nullptr : &found->value;
}

Result<Table> tree_from_toml(std::string_view text, const std::string& file) {
    const toml::parse_result parsed = toml::parse(text);
    if (!parsed) {
        const auto& error = parsed.error();
        return fail(Errc::malformed,
                    file + ":" + std::to_string(error.source().begin.line) + ": " + std::string(error.description()));
    }
    return table_of(parsed.table());
}

}  // namespace sheaf::config
