// SPDX-License-Identifier: Apache-2.0
#include "edge/http/message.h"

#include <algorithm>
#include <boost/json.hpp>
#include <boost/url.hpp>
#include <charconv>
#include <cstring>
#include <optional>

namespace sheaf::http {
namespace {

namespace urls = boost::urls;

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

bool has_control(std::string_view text) {
    return std::any_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

std::optional<std::uint64_t> number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

Result<Target> target_of(const urls::url_view& url) {
    Target target;
    target.path = url.path();
    if (target.path.empty()) target.path = "/";
    if (target.path.front() != '/' || has_control(target.path)) return fail(Errc::malformed, "a bad path");
    for (const auto& param : url.params()) {
        if (has_control(param.key)) return fail(Errc::malformed, "a bad query");
        target.query.emplace_back(param.key, param.value);
    }
    return target;
}

}  // namespace

std::string to_lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), lower);
    return out;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

bool list_has(std::string_view list, std::string_view item) {
    while (!list.empty()) {
        const auto comma = std::min(list.find(','), list.size());
        const auto one = list.substr(0, comma);
        if (equal_ignoring_case(trim(one.substr(0, std::min(one.find(';'), one.size()))), item)) return true;
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
    return false;
}

bool is_header(std::string_view name, std::string_view value) {
    constexpr std::string_view kSigns = "!#$%&'*+-.^_`|~";
    const auto is_token = [&](char c) {
        return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || kSigns.find(c) != kSigns.npos;
    };
    if (name.empty() || !std::all_of(name.begin(), name.end(), is_token)) return false;
    return std::none_of(value.begin(), value.end(),
                        [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; });
}

Result<Target> target_from_text(std::string_view text) {
    const bool origin = text.starts_with('/');
    // A path that begins with two slashes would be read as an authority.
    if (text.starts_with("//")) return fail(Errc::malformed, "a bad path");
    const auto url = origin ? urls::parse_origin_form(text) : urls::parse_uri(text);
    if (!url) return fail(Errc::malformed, "the request target is not a URL");
    if (!origin && url->scheme() != "http" && url->scheme() != "https") return fail(Errc::malformed, "not an http URL");
    return target_of(*url);
}

RangeChoice choose_range(std::string_view header, std::uint64_t size) {
    using Kind = RangeChoice::Kind;
    header = trim(header);
    if (header.size() < 6 || !equal_ignoring_case(header.substr(0, 6), "bytes=")) return {};
    header = trim(header.substr(6));
    const auto dash = header.find('-');
    if (dash == header.npos || header.find(',') != header.npos) return {};
    const auto first = number(header.substr(0, dash));
    const auto last = number(header.substr(dash + 1));
    if (dash == 0) {  // the last so many bytes
        if (!last) return {};
        if (*last == 0 || size == 0) return {Kind::unsatisfiable, 0, 0};
        return {Kind::part, size - std::min(*last, size), size - 1};
    }
    if (!first || (!last && dash + 1 != header.size()) || (last && *last < *first)) return {};
    if (*first >= size) return {Kind::unsatisfiable, 0, 0};
    return {Kind::part, *first, std::min(last.value_or(size - 1), size - 1)};
}

std::string event_text(std::string_view data) {
    std::string out;
    while (true) {
        const auto end = std::min(data.find_first_of("\r\n"), data.size());
        out.append("data: ").append(data.substr(0, end)).append("\n");
        if (end == data.size()) break;
        data.remove_prefix(data.substr(end).starts_with("\r\n") ? end + 2 : end + 1);
    }
    return out.append("\n");
}

std::string Request::query_value(std::string_view name) const {
    const auto found = std::find_if(query.begin(), query.end(), [&](const auto& item) { return item.first == name; });
    return found == query.end() ? std::string() : found->second;
}

std::string Request::header(std::string_view name) const {
    const auto found = headers.find(std::string(name));
    return found == headers.end() ? std::string() : found->second;
}

std::string Request::bearer() const {
    const std::string value = header("authorization");
    if (value.size() < 7 || !equal_ignoring_case(std::string_view(value).substr(0, 7), "bearer ")) return {};
    return std::string(trim(std::string_view(value).substr(7)));
}

std::string Request::cookie(std::string_view name) const {
    const std::string value = header("cookie");
    std::string_view rest = value;
    while (!rest.empty()) {
        const auto end = std::min(rest.find(';'), rest.size());
        const auto pair = trim(rest.substr(0, end));
        const auto equals = pair.find('=');
        if (equals != pair.npos && pair.substr(0, equals) == name) return std::string(pair.substr(equals + 1));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return {};
}

Response json_response(int status, std::string body) {
    return {.status = status, .headers = {{"Content-Type", "application/json"}}, .body = std::move(body), .file = {}};
}

bool is_loopback_host(std::string_view host) {
    if (host.starts_with('[')) {
        const auto end = host.find(']');
        return end != std::string_view::npos && host.substr(0, end + 1) == "[::1]";
    }
    const std::string_view name = host.substr(0, host.find(':'));
    if (name == "localhost") return true;
    if (!name.starts_with("127.")) return false;
    return std::ranges::all_of(name, [](char c) { return c == '.' || (c >= '0' && c <= '9'); });
}

bool is_of_another_page(std::string_view origin, std::string_view host) {
    if (origin.empty()) return false;
    for (const std::string_view scheme : {"http://", "https://"})
        if (origin.starts_with(scheme) && origin.substr(scheme.size()) == host) return false;
    return true;
}

Response problem(int status, std::string_view title, std::string_view detail) {
    boost::json::object body{{"type", "about:blank"}, {"title", title}, {"status", status}};
    if (!detail.empty()) body["detail"] = detail;
    return {.status = status,
            .headers = {{"Content-Type", "application/problem+json"}},
            .body = boost::json::serialize(body),
            .file = {}};
}

}  // namespace sheaf::http
