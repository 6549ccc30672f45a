// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace sheaf::sip {

// Parameters in order; names compare without case. A flag parameter (";lr") has no value.
struct Params {
    std::vector<std::pair<std::string, std::optional<std::string>>> items;
    [[nodiscard]] bool has(std::string_view name) const;
    [[nodiscard]] std::optional<std::string> value(std::string_view name) const;  // nullopt: absent or a flag
    void set(std::string name, std::optional<std::string> value);                 // replaces the first of that name
    friend bool operator==(const Params&, const Params&) = default;
};

// A SIP or SIPS URI (RFC 3261 §19.1), or any other scheme kept whole in `opaque`.
struct Uri {
    std::string scheme = "sip";  // lower case
    std::string user;            // unescaped; empty: none
    std::string password;
    std::string host;        // name, IPv4, or IPv6 without brackets; lower case
    std::uint16_t port = 0;  // 0: not given
    Params params;
    std::string headers;  // what follows '?', as received
    std::string opaque;   // what follows ':' when the scheme is neither sip nor sips
    friend bool operator==(const Uri&, const Uri&) = default;
};

[[nodiscard]] Result<Uri> uri_from_text(std::string_view text);
[[nodiscard]] std::string to_text(const Uri& uri);
void append_uri(std::string& out, const Uri& uri);
// The headers a URI carries after its '?', in order, names in lower case, escapes undone (RFC 3261 §19.1.1); a value
// that does not unescape is left as it is.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> headers_of(const Uri& uri);
[[nodiscard]] std::string escaped_header(std::string_view value);  // to stand there
// RFC 3261 §19.1.4.
[[nodiscard]] bool equivalent(const Uri& a, const Uri& b);

// "Display Name" <uri>;params, or the bare form (RFC 3261 §20.10): From, To, Contact, Route, Refer-To, …
struct NameAddr {
    std::string display;  // unquoted
    Uri uri;
    Params params;  // header parameters (tag, q, expires, …)
    friend bool operator==(const NameAddr&, const NameAddr&) = default;
};

[[nodiscard]] Result<NameAddr> name_addr_from_text(std::string_view text);
[[nodiscard]] Result<void> check_name_addr(std::string_view text);  // it is one
// Of such a text the value of a header parameter, as header_param has it. Its URI may be any.
[[nodiscard]] Result<std::optional<std::string>> name_addr_param(std::string_view text, std::string_view name);
[[nodiscard]] std::string to_text(const NameAddr& value);

}  // namespace sheaf::sip
