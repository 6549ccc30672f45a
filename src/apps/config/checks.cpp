// SPDX-License-Identifier: Apache-2.0
#include "apps/config/checks.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace sheaf::config {
namespace {

constexpr std::size_t kNameMax = 64;
constexpr std::size_t kDialableMax = 32;
constexpr std::size_t kHostMax = 253;

bool is_alphanumeric(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool consists_of(std::string_view text, std::string_view signs) {
    return !text.empty() && std::all_of(text.begin(), text.end(),
                                        [&](char c) { return is_alphanumeric(c) || signs.find(c) != signs.npos; });
}

std::optional<int> number(std::string_view text, int most) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    if (value < 0 || value > most) return std::nullopt;
    return value;
}

// "host:port" or "[v6]:port" or "host": the host without brackets, and the port as text.
struct HostText {
    std::string host;
    std::string_view port;  // empty: none
    bool has_port = false;
    bool is_bracketed = false;
};
std::optional<HostText> host_text(std::string_view text) {
    HostText out;
    const bool v6 = text.starts_with('[');
    const auto end = v6 ? text.find(']') : text.find(':');
    if (v6 && end == text.npos) return std::nullopt;
    out.host = std::string(v6 ? text.substr(1, end - 1) : text.substr(0, end));
    out.is_bracketed = v6;
    const auto rest = end == text.npos ? std::string_view() : text.substr(v6 ? end + 1 : end);
    if (rest.empty()) return out;
    if (rest.front() != ':') return std::nullopt;
    out.has_port = true;
    out.port = rest.substr(1);
    return out;
}

bool is_ipv6(const std::string& text) {
    std::array<unsigned char, 16> bytes{};
    return ::inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1;
}

bool is_host_with_port(std::string_view text) {
    const auto parts = host_text(text);
    if (!parts) return false;
    const bool host =
        parts->is_bracketed ? is_ipv6(parts->host) : consists_of(parts->host, "-.") && parts->host.size() <= kHostMax;
    return host && (!parts->has_port || number(parts->port, 65'535).value_or(0) > 0);
}

}  // namespace

bool is_name(std::string_view text) {
    return text.size() <= kNameMax && consists_of(text, "._-");
}

bool is_dialable(std::string_view text) {
    return text.size() <= kDialableMax && consists_of(text, "._-+*#");
}

bool is_ip_literal(const std::string& text) {
    std::array<unsigned char, 16> bytes{};
    return ::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1 || is_ipv6(text);
}

bool is_loopback(const std::string& address) {
    return address == "::1" || (address.starts_with("127.") && is_ip_literal(address));
}

bool is_host(std::string_view text) {
    return is_host_with_port(text);
}

std::optional<HostPort> host_port_from_text(std::string_view text) {
    const auto parts = host_text(text);
    if (!parts || !is_ip_literal(parts->host) || parts->is_bracketed != is_ipv6(parts->host)) return std::nullopt;
    const auto port = number(parts->port, 65'535);
    if (!port) return std::nullopt;
    return HostPort{parts->host, static_cast<std::uint16_t>(*port)};
}

bool is_dns_server(std::string_view text) {
    const auto parts = host_text(text);
    if (!parts || !is_ip_literal(parts->host) || parts->is_bracketed != is_ipv6(parts->host)) return false;
    return !parts->has_port || number(parts->port, 65'535).value_or(0) > 0;
}

bool is_sip_endpoint(std::string_view text) {
    if (!text.starts_with("udp:") && !text.starts_with("tcp:")) return false;
    return host_port_from_text(text.substr(4)).has_value();
}

bool is_sip_uri(std::string_view text) {
    if (!text.starts_with("sip:")) return false;
    text.remove_prefix(4);
    if (const auto semicolon = text.find(';'); semicolon != text.npos) {
        const auto parameter = text.substr(semicolon);
        if (parameter != ";transport=udp" && parameter != ";transport=tcp") return false;
        text = text.substr(0, semicolon);
    }
    if (const auto at = text.find('@'); at != text.npos) {
        if (!is_dialable(text.substr(0, at))) return false;
        text.remove_prefix(at + 1);
    }
    return is_host_with_port(text);
}

bool is_http_url(std::string_view text) {
    if (!text.starts_with("http://")) return false;
    text.remove_prefix(7);
    return is_host_with_port(text);
}

std::optional<RecordRule> record_rule_from_text(std::string_view text) {
    if (text == "never") return RecordRule{RecordWhen::never, 0};
    if (text == "always") return RecordRule{RecordWhen::always, 0};
    if (text == "on-demand") return RecordRule{RecordWhen::on_demand, 0};
    if (!text.ends_with('%')) return std::nullopt;
    const auto percent = number(text.substr(0, text.size() - 1), 100);
    if (!percent) return std::nullopt;
    return RecordRule{RecordWhen::percent, *percent};
}

bool is_treatment(std::string_view text) {
    const auto colon = text.find(':');
    const auto kind = text.substr(0, colon);
    return colon != text.npos && (kind == "say" || kind == "music") && is_name(text.substr(colon + 1)) &&
           !text.substr(colon + 1).starts_with('.');
}

}  // namespace sheaf::config
