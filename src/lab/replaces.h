// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sip/uri.h"

namespace sheaf::lab {

// A Replaces header (RFC 3891 §6.1): a dialog as its recipient sees it, `to_tag` being its own.
struct Replaces {
    std::string call_id, to_tag, from_tag;
    friend bool operator==(const Replaces&, const Replaces&) = default;
};
[[nodiscard]] std::string to_text(const Replaces& replaces);
[[nodiscard]] std::optional<Replaces> replaces_from_text(std::string_view text);

// A value fit for the headers of a URI (RFC 3261 §19.1.1), and back.
[[nodiscard]] std::string escaped(std::string_view text);
[[nodiscard]] std::string unescaped(std::string_view text);
// The header of that name which the URI asks for, unescaped; empty: none.
[[nodiscard]] std::string header_of(const sip::Uri& uri, std::string_view name);

}  // namespace sheaf::lab
