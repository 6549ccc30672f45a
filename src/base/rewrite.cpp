// SPDX-License-Identifier: Apache-2.0
#include "base/rewrite.h"

#include <regex>
#include <utility>

namespace sheaf {

struct Rewrite::Inside {
    std::regex match;
    std::string to;
};

namespace {

std::string filled_in(const std::string& pattern, const std::smatch& found) {
    std::string text;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        const bool is_group =
            pattern[i] == '$' && i + 1 < pattern.size() && pattern[i + 1] >= '0' && pattern[i + 1] <= '9';
        if (!is_group) {
            text += pattern[i];
            continue;
        }
        text += found[static_cast<std::size_t>(pattern[++i] - '0')].str();
    }
    return text;
}

}  // namespace

Result<Rewrite> Rewrite::from_text(const std::string& match, std::string to) {
    try {
        return Rewrite(std::make_shared<const Inside>(
            Inside{std::regex(match, std::regex::ECMAScript | std::regex::optimize), std::move(to)}));
    } catch (const std::regex_error& error) {  // the library's way to say so
        return fail(Errc::malformed, std::string("is not a regular expression: ") + error.what());
    }
}

std::optional<std::string> Rewrite::apply(const std::string& text) const {
    std::smatch found;
    try {
        if (!std::regex_search(text, found, inside_->match)) return std::nullopt;
    } catch (const std::regex_error&) {  // its own limits of work
        return std::nullopt;
    }
    return inside_->to.empty() ? text : filled_in(inside_->to, found);
}

}  // namespace sheaf
