// SPDX-License-Identifier: Apache-2.0
#include "sip/grammar.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "sip/endpoint.h"

namespace sheaf::sip {
namespace {

constexpr CharClass kTokenChar([](char c) {
    return is_alphanumeric(c) || std::string_view("-.!%*_+`'~").find(c) != std::string_view::npos;
});
// What real peers put into an unquoted parameter value: a token, a host, an IPv6 address with or without brackets,
// base64. Only what would change the structure is refused.
constexpr CharClass kValueChar([](char c) {
    return !is_control(c) && std::string_view(" \t;,\"<>\\").find(c) == std::string_view::npos;
});
// Names with an underscore are outside the grammar but common.
constexpr CharClass kHostChar([](char c) { return is_alphanumeric(c) || c == '-' || c == '.' || c == '_'; });

}  // namespace

bool is_token(std::string_view text) {
    return !text.empty() && kTokenChar.has_all(text);
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), [](char c) { return lower(c); });
    return out;
}

std::string printable(std::string_view text, std::size_t max) {
    std::string out(text.substr(0, max));
    std::erase_if(out, [](char c) { return c <= ' ' || c >= 0x7f; });
    return out;
}

std::optional<std::uint64_t> number_from_text(std::string_view text, std::uint64_t max) {
    if (text.empty()) return std::nullopt;
    std::uint64_t n = 0;
    for (const char c : text) {
        if (!is_digit(c)) return std::nullopt;
        const auto digit = static_cast<std::uint64_t>(c - '0');
        if (digit > max || n > (max - digit) / 10) return std::nullopt;
        n = n * 10 + digit;
    }
    return n;
}

Result<std::string> take_quoted(std::string_view& rest) {
    std::string out;
    for (std::size_t i = 1; i < rest.size(); ++i) {
        if (rest[i] == '"') {
            rest.remove_prefix(i + 1);
            return out;
        }
        if (rest[i] == '\\') ++i;
        if (i == rest.size()) break;
        if (rest[i] == '\r' || rest[i] == '\n') return fail(Errc::malformed, "Line end in quoted string");
        out += rest[i];
    }
    return fail(Errc::malformed, "Quoted string has no end");
}

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '\r' || c == '\n') {
            out += ' ';
            continue;
        }
        if (c == '"' || c == '\\' || is_control(c)) out += '\\';
        out += c;
    }
    return out += '"';
}

namespace {

// `take` is told each name and its value, if it has one.
template <typename Take>
Result<void> each_header_param(std::string_view text, Take take) {
    for (auto rest = trimmed(text); !rest.empty(); rest = trimmed(rest)) {
        if (rest.front() != ';') return fail(Errc::malformed, "Text after header value");
        rest = trimmed(rest.substr(1));
        const auto name = rest.substr(0, end_before(rest, " \t;="));
        if (!is_token(name)) return fail(Errc::malformed, "Header parameter without a name");
        rest = trimmed(rest.substr(name.size()));
        if (rest.empty() || rest.front() != '=') {
            take(name, std::optional<std::string_view>{});
            continue;
        }
        rest = trimmed(rest.substr(1));
        if (!rest.empty() && rest.front() == '"') {
            TRY(const auto value, take_quoted(rest));
            take(name, std::optional<std::string_view>{value});
            continue;
        }
        const auto value = rest.substr(0, kValueChar.length_in(rest));
        if (value.empty()) return fail(Errc::malformed, "Header parameter without a value");
        rest.remove_prefix(value.size());
        take(name, std::optional{value});
    }
    return {};
}

}  // namespace

Result<Params> header_params_from_text(std::string_view text) {
    constexpr std::ptrdiff_t kUsual = 8;
    Params params;
    params.items.reserve(static_cast<std::size_t>(std::min(std::ranges::count(text, ';'), kUsual)));
    TRY_VOID(each_header_param(text, [&](std::string_view name, std::optional<std::string_view> value) {
        params.items.emplace_back(name, value);
    }));
    return params;
}

Result<void> check_header_params(std::string_view text) {
    return each_header_param(text, [](std::string_view, std::optional<std::string_view>) {});
}

Result<std::optional<std::string>> header_param(std::string_view text, std::string_view name) {
    std::optional<std::string> found;
    TRY_VOID(each_header_param(text, [&](std::string_view one, std::optional<std::string_view> value) {
        if (!found && same_name(one, name)) found.emplace(value.value_or(""));
    }));
    return found;
}

void append_header_params(std::string& out, const Params& params) {
    for (const auto& [name, value] : params.items) {
        out += ';';
        out += name;
        if (!value) continue;
        out += '=';
        const bool plain = !value->empty() && kValueChar.has_all(*value);
        out += plain ? std::string_view(*value) : std::string_view(quoted(*value));
    }
}

std::string_view first_item(std::string_view text) {
    if (text.find(',') == std::string_view::npos) return trimmed(text);
    const auto items = list_items(text);
    return items.empty() ? std::string_view{} : items.front();
}

Items list_items(std::string_view text) {
    Items items;
    if (text.find(',') == std::string_view::npos) {
        if (text = trimmed(text); !text.empty()) items.push_back(text);
        return items;
    }
    const auto add = [&](std::string_view item) {
        if (item = trimmed(item); !item.empty()) items.push_back(item);
    };
    std::size_t from = 0;
    bool in_quotes = false;
    bool in_angles = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_quotes) {
            if (c == '\\') ++i;
            if (c == '"') in_quotes = false;
        } else if (in_angles) {
            if (c == '>') in_angles = false;
        } else if (c == '"') {
            in_quotes = true;
        } else if (c == '<') {
            in_angles = true;
        } else if (c == ',') {
            add(text.substr(from, i - from));
            from = i + 1;
        }
    }
    add(text.substr(from));
    return items;
}

namespace {

// Without its brackets, else as it stands.
Result<std::string_view> checked_host(std::string_view text) {
    if (text.starts_with('[')) {
        if (!text.ends_with(']')) return fail(Errc::malformed, "IPv6 reference has no end");
        const auto address = text.substr(1, text.size() - 2);
        if (address.find(':') == std::string_view::npos || !is_ip_literal(address)) {
            return fail(Errc::malformed, "Invalid IPv6 reference");
        }
        return address;
    }
    if (text.empty() || !kHostChar.has_all(text)) return fail(Errc::malformed, "Invalid host");
    return text;
}

struct HostPortView {
    std::string_view host;
    std::uint16_t port = 0;
};

Result<HostPortView> checked_host_port(std::string_view text, bool spaced) {
    HostPortView out;
    const auto bracket = text.starts_with('[') ? text.rfind(']') : std::string_view::npos;
    const auto colon = text.find(':', bracket == std::string_view::npos ? 0 : bracket);
    auto host = text.substr(0, colon);
    if (colon != std::string_view::npos) {
        auto digits = text.substr(colon + 1);
        if (spaced) {
            host = trimmed(host);
            digits = trimmed(digits);
        }
        const auto port = number_from_text(digits, 65'535);
        if (!port || *port == 0) return fail(Errc::malformed, "Invalid port");
        out.port = static_cast<std::uint16_t>(*port);
    }
    TRY(out.host, checked_host(host));
    return out;
}

}  // namespace

Result<std::string> host_from_text(std::string_view text) {
    TRY(const auto host, checked_host(text));
    return lower(host);
}

std::string host_to_text(std::string_view host) {
    if (host.find(':') == std::string_view::npos) return std::string(host);
    std::string out = "[";
    out += host;
    return out += ']';
}

void append_host_port(std::string& out, std::string_view host, std::uint16_t port) {
    if (host.find(':') == std::string_view::npos) {
        out += host;
    } else {
        ((out += '[') += host) += ']';
    }
    if (port != 0) append_number(out += ':', port);
}

Result<HostPort> host_port_from_text(std::string_view text, bool spaced) {
    TRY(const auto parts, checked_host_port(text, spaced));
    return HostPort{lower(parts.host), parts.port};
}

Result<void> check_host_port(std::string_view text, bool spaced) {
    if (auto parts = checked_host_port(text, spaced); !parts) return std::unexpected(std::move(parts).error());
    return {};
}

}  // namespace sheaf::sip
