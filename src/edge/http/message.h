// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "edge/http/server.h"

namespace sheaf::http {

// The parts of HTTP that need no socket.

struct Target {
    std::string path;  // percent-decoded; begins with '/'
    std::vector<std::pair<std::string, std::string>> query;
};
// Origin form or absolute form (RFC 9112 §3.2). Control characters, also percent-encoded ones, are refused.
[[nodiscard]] Result<Target> target_from_text(std::string_view text);

// What a Range header asks of a file of `size` bytes. Several ranges and other units are ignored (RFC 9110 §14.2).
struct RangeChoice {
    enum class Kind { whole, part, unsatisfiable };
    Kind kind = Kind::whole;
    std::uint64_t first = 0;
    std::uint64_t last = 0;  // inclusive
    friend bool operator==(const RangeChoice&, const RangeChoice&) = default;
};
[[nodiscard]] RangeChoice choose_range(std::string_view header, std::uint64_t size);

// Where no token is asked for, a page of some other site must not reach us by a name that it points at this machine
// (DNS rebinding): the Host header has to be a loopback address or localhost.
[[nodiscard]] bool is_loopback_host(std::string_view host);
// Browsers name the page that asks, for writes and for WebSockets: whether it is another than the one served here.
[[nodiscard]] bool is_of_another_page(std::string_view origin, std::string_view host);

// One server-sent event with this data, each line of it its own field.
[[nodiscard]] std::string event_text(std::string_view data);
// Whether a name and a value may stand in a header: no control characters, and the name is a token.
[[nodiscard]] bool is_header(std::string_view name, std::string_view value);
[[nodiscard]] std::string to_lower(std::string_view text);
[[nodiscard]] bool equal_ignoring_case(std::string_view a, std::string_view b);
// Whether a comma-separated list has this item, whatever its case and parameters.
[[nodiscard]] bool list_has(std::string_view list, std::string_view item);

}  // namespace sheaf::http
