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

// Undoes %HEXHEX. Besides `chars` takes '#' and bytes above ASCII, which phones send raw; they are written escaped.
Result<std::string> unescape(std::string_view text, const CharClass& chars) {
    if (chars.has_all(text)) return std::string(text);
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '%') {
            if (text.size() - i < 3) return fail(Errc::malformed, "Invalid escape in URI");
            const int high = hex_digit(text[i + 1]);
            const int low = hex_digit(text[i + 2]);
            if (high < 0 || low < 0) return fail(Errc::malformed, "Invalid escape in URI");
            out += static_cast<char>(high * 16 + low);
            i += 2;
        } else if (chars(c) || c == '#' || static_cast<unsigned char>(c) >= 0x80) {
            out += c;
        } else {
            return fail(Errc::malformed, "Invalid character in URI");
        }
    }
    return out;
}

std::string escape(std::string_view text, const CharClass& chars) {
    if (chars.has_all(text)) return std::string(text);
    std::string out;
    for (const char c : text) {
        if (chars(c)) {
            out += c;
        } else {
            const auto u = static_cast<unsigned char>(c);
            out += '%';
            out += kHex[u >> 4];
            out += kHex[u & 15];
        }
    }
    return out;
}

bool is_visible(std::string_view text) {
    return std::ranges::none_of(
        text, [](char c) { return is_control(c) || c == ' ' || c == '\t' || c == '<' || c == '>' || c == '"'; });
}

bool is_scheme(std::string_view text) {
    const auto good = [](char c) { return is_alphanumeric(c) || c == '+' || c == '-' || c == '.'; };
    return !text.empty() && is_alphanumeric(text.front()) && !is_digit(text.front()) && std::ranges::all_of(text, good);
}

// `text` starts with a semicolon.
Result<Params> uri_params(std::string_view text) {
    Params params;
    while (!text.empty()) {
        text.remove_prefix(1);
        const auto item = text.substr(0, text.find(';'));
        text.remove_prefix(item.size());
        const auto equals = item.find('=');
        TRY(auto name, unescape(item.substr(0, equals), kParamChars));
        if (name.empty()) return fail(Errc::malformed, "URI parameter without a name");
        std::optional<std::string> value;
        if (equals != std::string_view::npos) {
            TRY(value, unescape(item.substr(equals + 1), kParamChars));
        }
        params.items.emplace_back(std::move(name), std::move(value));
    }
    return params;
}

Result<void> read_user(Uri& uri, std::string_view text) {
    const auto colon = text.find(':');
    TRY(uri.user, unescape(text.substr(0, colon), kUserChars));
    if (uri.user.empty()) return fail(Errc::malformed, "URI without a user before @");
    if (colon != std::string_view::npos) {
        TRY(uri.password, unescape(text.substr(colon + 1), kPasswordChars));
    }
    return {};
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
        auto plain = unescape(value, kRawHeaderChars);
        out.emplace_back(lower(item.substr(0, equals)), plain ? *std::move(plain) : std::string(value));
    }
    return out;
}

std::string escaped_header(std::string_view value) {
    return escape(value, kHeaderChars);
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
    Uri uri;
    const auto colon = text.find(':');
    if (colon == std::string_view::npos || !is_scheme(text.substr(0, colon))) {
        return fail(Errc::malformed, "URI without a scheme");
    }
    if (const auto scheme = text.substr(0, colon); scheme != "sip") uri.scheme = lower(scheme);
    auto rest = text.substr(colon + 1);
    if (uri.scheme != "sip" && uri.scheme != "sips") {
        if (rest.empty() || !is_visible(rest)) return fail(Errc::malformed, "Invalid character in URI");
        uri.opaque = rest;
        return uri;
    }
    if (const auto at = rest.find('@'); at != std::string_view::npos) {
        TRY_VOID(read_user(uri, rest.substr(0, at)));
        rest.remove_prefix(at + 1);
    }
    if (const auto question = rest.find('?'); question != std::string_view::npos) {
        uri.headers = rest.substr(question + 1);
        if (uri.headers.empty() || !is_visible(uri.headers)) return fail(Errc::malformed, "Invalid headers in URI");
        rest = rest.substr(0, question);
    }
    const auto semicolon = std::min(rest.find(';'), rest.size());
    TRY(auto where, host_port_from_text(rest.substr(0, semicolon), false));
    uri.host = std::move(where.host);
    uri.port = where.port;
    TRY(uri.params, uri_params(rest.substr(semicolon)));
    return uri;
}

std::string to_text(const Uri& uri) {
    std::string out;
    out.reserve(uri.user.size() + uri.host.size() + 64);
    (out += uri.scheme) += ':';
    if (uri.scheme != "sip" && uri.scheme != "sips") return out += uri.opaque;
    if (!uri.user.empty()) {
        out += escape(uri.user, kUserChars);
        if (!uri.password.empty()) out += ":" + escape(uri.password, kPasswordChars);
        out += '@';
    }
    out += host_to_text(uri.host);
    if (uri.port != 0) out += ":" + std::to_string(uri.port);
    for (const auto& [name, value] : uri.params.items) {
        out += ";" + escape(name, kParamChars);
        if (value) out += "=" + escape(*value, kParamChars);
    }
    if (!uri.headers.empty()) out += "?" + uri.headers;
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
    if (auto uri = uri_from_text(parts.uri); !uri) return std::unexpected(std::move(uri).error());
    return check_header_params(parts.params);
}

Result<std::optional<std::string>> name_addr_param(std::string_view text, std::string_view name) {
    TRY(const auto parts, parts_of_name_addr(text));
    return header_param(parts.params, name);
}

std::string to_text(const NameAddr& value) {
    std::string out;
    if (!value.display.empty()) out = quoted(value.display) + " ";
    return out + "<" + to_text(value.uri) + ">" + header_params_to_text(value.params);
}

}  // namespace sheaf::sip
