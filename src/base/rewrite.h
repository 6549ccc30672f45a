// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"

namespace sheaf {

// A text made from another by an expression (ECMAScript), which is found anywhere in it. A value; any thread.
class Rewrite {
public:
    // In `to`, $0 to $9 stand for the match and its groups; empty: the text stays as it was. Errc::malformed: `match`
    // is no expression.
    [[nodiscard]] static Result<Rewrite> from_text(const std::string& match, std::string to);

    // Nullopt: it is not found, or that is more work than the library does. The caller bounds the text's length.
    [[nodiscard]] std::optional<std::string> apply(const std::string& text) const;

private:
    struct Inside;
    explicit Rewrite(std::shared_ptr<const Inside> inside) : inside_(std::move(inside)) {}
    std::shared_ptr<const Inside> inside_;
};

}  // namespace sheaf
