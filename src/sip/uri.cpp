// SPDX-License-Identifier: Apache-2.0
#include "sip/uri.h"

#include <algorithm>

#include "sip/grammar.h"

namespace sheaf::sip {
namespace {

// RFC 3261 §25.1: what stands unescaped in each part, besides letters and digits.
constexpr CharClass with_marks(std::string_view marks) {
    return CharClass([=](char c) { return is_alphanumeric(c) || marks.find(c) != std::string_view::npos; });
}
constexpr CharClass kUserChars = with_marks("-_.!~*'()&=+$,;?/");
constexpr CharClass kPasswordChars = with_marks("-_.!~*'()&=+$,");
constexpr CharClass kParamChars = with_marks("-_.!~*'()[]/:&+$");
constexpr CharClass kHeaderChars = with_marks("-_.!~*'()[]/?:+$");
// What should have been escaped is taken raw too: phones do so.
constexpr CharClass kRawHeaderChars = with_marks("-_.!~*'()[]/?:+$,;@=<>\"");

constexpr std::string_view kHex = "0123456789ABCDEF";
// A URI with one of these is never equivalent to one without (§19.1.4).
constexpr std::string_view kNeverDefault[] = {"user", "ttl", "method", "maddr", "transport"};

int hex_digit(char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// Escapes are whole. Besides `chars` takes '#' and bytes above ASCII, which phones send raw; they are written escaped.
Result<void> check_escaped(std::string_view text, const CharClass& chars) {
    for (std::size_t i = chars.length_in(text); i < text.size(); ++i) {
        const char c = text[i];
        if (c == '%') {
            const bool is_whole = text.size() - i > 2 && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0;
            if (!is_whole) return fail(Errc::malformed, "Invalid escape in URI");
            i += 2;
        } else if (!chars(c) && c != '#' && static_cast<unsigned char>(c) < 0x80) {
            return fail(Errc::malformed, "Invalid character in URI");
        }
    }
    return {};
}

// Undoes %HEXHEX in what check_escaped has passed.
std::string unescaped(std::string_view text) {
    if (text.find('%') == std::string_view::npos) return std::string(text);
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%') {
            out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

void append_escaped(std::string& out, std::string_view text, const CharClass& chars) {
    const std::size_t plain = chars.length_in(text);
    out += text.substr(0, plain);
    for (const char c : text.substr(plain)) {
        if (chars(c)) {
            out += c;
        } else {
            const auto u = static_cast<unsigned char>(c);
            out += '%';
            out += kHex[u >> 4];
            out += kHex[u & 15];
        }
    }
}

bool is_visible(std::string_view text) {
    return std::ranges::none_of(
        text, [](char c) { return is_control(c) || c == ' ' || c == '\t' || c == '<' || c == '>' || c == '"'; });
}

bool is_scheme(std::string_view text) {
    const auto good = [](char c) { return is_alphanumeric(c) || c == '+' || c == '-' || c == '.'; };
    return !text.empty() && is_alphanumeric(text.front()) && !is_digit(text.front()) && std::ranges::all_of(text, good);
}

// `text` is empty or starts with a semicolon; `take` is told each name and its value, if it has one.
template <typename Take>
Result<void> each_uri_param(std::string_view text, Take take) {
    while (!text.empty()) {
        text.remove_prefix(1);
        const auto item = text.substr(0, text.find(';'));
        text.remove_prefix(item.size());
        const auto equals = std::min(item.find('='), item.size());
        const auto name = item.substr(0, equals);
        TRY_VOID(check_escaped(name, kParamChars));
        if (name.empty()) return fail(Errc::malformed, "URI parameter without a name");
        std::optional<std::string_view> value;
        if (equals < item.size()) {
            value = item.substr(equals + 1);
            TRY_VOID(check_escaped(*value, kParamChars));
        }
        take(name, value);
    }
    return {};
}

// As they stand in the text, escapes and all.
struct UriParts {
    std::string_view scheme, user, password, host_port, params, headers;
    std::string_view opaque;  // when the scheme is neither sip nor sips, and then only this
};

Result<void> read_user(UriParts& parts, std::string_view text) {
    const auto colon = std::min(text.find(':'), text.size());
    parts.user = text.substr(0, colon);
    TRY_VOID(check_escaped(parts.user, kUserChars));
    if (parts.user.empty()) return fail(Errc::malformed, "URI without a user before @");
    parts.password = text.substr(std::min(colon + 1, text.size()));
    return check_escaped(parts.password, kPasswordChars);
}

// All is checked but host and port, and parameters.
Result<UriParts> parts_of_uri(std::string_view text) {
    UriParts parts;
    const auto colon = text.find(':');
    if (colon == std::string_view::npos || !is_scheme(text.substr(0, colon))) {
        return fail(Errc::malformed, "URI without a scheme");
    }
    parts.scheme = text.substr(0, colon);
    auto rest = text.substr(colon + 1);
    if (!same_name(parts.scheme, "sip") && !same_name(parts.scheme, "sips")) {
        if (rest.empty() || !is_visible(rest)) return fail(Errc::malformed, "Invalid character in URI");
        parts.opaque = rest;
        return parts;
    }
    if (const auto at = rest.find('@'); at != std::string_view::npos) {
        TRY_VOID(read_user(parts, rest.substr(0, at)));
        rest.remove_prefix(at + 1);
    }
    if (const auto question = rest.find('?'); question != std::string_view::npos) {
        parts.headers = rest.substr(question + 1);
        if (parts.headers.empty() || !is_visible(parts.headers)) {
            return fail(Errc::malformed, "Invalid headers in URI");
        }
        rest = rest.substr(0, question);
    }
    const auto semicolon = std::min(rest.find(';'), rest.size());
    parts.host_port = rest.substr(0, semicolon);
    parts.params = rest.substr(semicolon);
    return parts;
}

Result<void> check_uri(std::string_view text) {
    TRY(const auto parts, parts_of_uri(text));
    if (!parts.opaque.empty()) return {};
    TRY_VOID(check_host_port(parts.host_port, false));
    return each_uri_param(parts.params, [](std::string_view, std::optional<std::string_view>) {});
}

bool params_equivalent(const Params& a, const Params& b) {
    for (const auto& item : a.items) {
        const auto& name = item.first;
        if (!b.has(name)) {
            if (std::ranges::any_of(kNeverDefault, [&](auto known) { return same_name(known, name); })) return false;
            continue;
        }
        const auto mine = a.value(name);  // of two with one name the first counts
        const auto other = b.value(name);
        if (mine.has_value() != other.has_value() || (mine && !same_name(*mine, *other))) return false;
    }
    return true;
}

// In any order, all must be there (§19.1.4).
bool headers_equivalent(const Uri& a, const Uri& b) {
    auto ours = headers_of(a);
    auto theirs = headers_of(b);
    std::ranges::sort(ours);
    std::ranges::sort(theirs);
    return ours == theirs;
}

struct NameAddrParts {
    std::string unquoted;      // display name
    std::string_view display;  // likewise, where it has no quotes
    std::string_view uri, params;
};

Result<NameAddrParts> parts_of_name_addr(std::string_view text) {
    NameAddrParts out;
    auto rest = trimmed(text);
    if (rest.starts_with('"')) {
        TRY(out.unquoted, take_quoted(rest));
        rest = trimmed(rest);
        if (!rest.starts_with('<')) return fail(Errc::malformed, "Display name without <URI>");
    }
    const auto open = rest.find('<');
    // A '<' further on may belong to a quoted parameter of the bare form, which has no space or quote before it.
    if (open != std::string_view::npos && rest.substr(0, open).find_first_of(";\"") == std::string_view::npos) {
        // Phones send display names that are not tokens ("Bell, Alexander"); only the structure matters here.
        if (open > 0) out.display = trimmed(rest.substr(0, open));
        if (std::ranges::any_of(rest.substr(0, open), is_control)) {
            return fail(Errc::malformed, "Control character in display name");
        }
        const auto close = rest.find('>', open);
        if (close == std::string_view::npos) return fail(Errc::malformed, "<URI> has no end");
        out.uri = trimmed(rest.substr(open + 1, close - open - 1));
        out.params = rest.substr(close + 1);
        return out;
    }
    // Without <>, a semicolon starts a header parameter, and the URI has no comma or question mark (§20.10).
    const auto end = std::min(rest.find(';'), rest.size());
    out.uri = trimmed(rest.substr(0, end));
    out.params = rest.substr(end);
    if (out.uri.find_first_of("?,") != std::string_view::npos) {
        return fail(Errc::malformed, "URI with ? or comma must stand in <>");
    }
    return out;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> headers_of(const Uri& uri) {
    std::vector<std::pair<std::string, std::string>> out;
    std::string_view rest = uri.headers;
    while (!rest.empty()) {
        const auto item = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(item.size() + 1, rest.size()));
        const auto equals = std::min(item.find('='), item.size());
        const auto value = item.substr(std::min(equals + 1, item.size()));
        const bool is_plain = check_escaped(value, kRawHeaderChars).has_value();
        out.emplace_back(lower(item.substr(0, equals)), is_plain ? unescaped(value) : std::string(value));
    }
    return out;
}

std::string escaped_header(std::string_view value) {
    std::string out;
    append_escaped(out, value, kHeaderChars);
    return out;
}

bool Params::has(std::string_view name) const {
    return std::ranges::any_of(items, [&](const auto& item) { return same_name(item.first, name); });
}

std::optional<std::string> Params::value(std::string_view name) const {
    for (const auto& [key, value] : items) {
        if (same_name(key, name)) return value;
    }
    return std::nullopt;
}

void Params::set(std::string name, std::optional<std::string> value) {
    for (auto& item : items) {
        if (same_name(item.first, name)) {
            item.second = std::move(value);
            return;
        }
    }
    items.emplace_back(std::move(name), std::move(value));
}

Result<Uri> uri_from_text(std::string_view text) {
    TRY(const auto parts, parts_of_uri(text));
    Uri uri;
    if (parts.scheme != "sip") uri.scheme = lower(parts.scheme);
    uri.opaque = parts.opaque;
    if (!uri.opaque.empty()) return uri;
    uri.user = unescaped(parts.user);
    uri.password = unescaped(parts.password);
    uri.headers = parts.headers;
    TRY(auto where, host_port_from_text(parts.host_port, false));
    uri.host = std::move(where.host);
    uri.port = where.port;
    TRY_VOID(each_uri_param(parts.params, [&](std::string_view name, std::optional<std::string_view> value) {
        uri.params.items.emplace_back(unescaped(name), value ? std::optional(unescaped(*value)) : std::nullopt);
    }));
    return uri;
}

void append_uri(std::string& out, const Uri& uri) {
    (out += uri.scheme) += ':';
    if (uri.scheme != "sip" && uri.scheme != "sips") {
        out += uri.opaque;
        return;
    }
    if (!uri.user.empty()) {
        append_escaped(out, uri.user, kUserChars);
        if (!uri.password.empty()) append_escaped(out += ':', uri.password, kPasswordChars);
        out += '@';
    }
    append_host_port(out, uri.host, uri.port);
    for (const auto& [name, value] : uri.params.items) {
        append_escaped(out += ';', name, kParamChars);
        if (value) append_escaped(out += '=', *value, kParamChars);
    }
    if (!uri.headers.empty()) (out += '?') += uri.headers;
}

std::string to_text(const Uri& uri) {
    std::string out;
    out.reserve(uri.user.size() + uri.host.size() + uri.opaque.size() + 64);
    append_uri(out, uri);
    return out;
}

bool equivalent(const Uri& a, const Uri& b) {
    return a.scheme == b.scheme && a.user == b.user && a.password == b.password && same_name(a.host, b.host) &&
           a.port == b.port && a.opaque == b.opaque && params_equivalent(a.params, b.params) &&
           params_equivalent(b.params, a.params) && headers_equivalent(a, b);
}

Result<NameAddr> name_addr_from_text(std::string_view text) {
    TRY(auto parts, parts_of_name_addr(text));
    NameAddr out{.display = std::move(parts.unquoted), .uri = {}, .params = {}};
    if (!parts.display.empty()) out.display = parts.display;
    TRY(out.uri, uri_from_text(parts.uri));
    TRY(out.params, header_params_from_text(parts.params));
    return out;
}

Result<void> check_name_addr(std::string_view text) {
    TRY(const auto parts, parts_of_name_addr(text));
    TRY_VOID(check_uri(parts.uri));
    return check_header_params(parts.params);
}

Result<std::optional<std::string>> name_addr_param(std::string_view text, std::string_view name) {
    TRY(const auto parts, parts_of_name_addr(text));
    return header_param(parts.params, name);
}

std::string to_text(const NameAddr& value) {
    std::string out;
    out.reserve(value.display.size() + value.uri.user.size() + value.uri.host.size() + 96);
    if (!value.display.empty()) (out += quoted(value.display)) += ' ';
    append_uri(out += '<', value.uri);
    append_header_params(out += '>', value.params);
    return out;
}

}  // namespace sheaf::sip
