// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "apps/config/node_settings.h"
#include "apps/config/switch_settings.h"

namespace sheaf::config {

// What a value must look like. nullopt or false: it does not.
[[nodiscard]] bool is_name(std::string_view text);      // 1 to 64 of [A-Za-z0-9._-]
[[nodiscard]] bool is_dialable(std::string_view text);  // 1 to 32 of [A-Za-z0-9._-], +, * and #
[[nodiscard]] bool is_ip_literal(const std::string& text);
[[nodiscard]] bool is_loopback(const std::string& address);
[[nodiscard]] bool is_host(std::string_view text);  // a name, an IPv4 literal, or an IPv6 literal in brackets
[[nodiscard]] std::optional<HostPort> host_port_from_text(std::string_view text);  // "127.0.0.1:80", "[::1]:80"
[[nodiscard]] bool is_dns_server(std::string_view text);    // "127.0.0.1", "127.0.0.1:5353", "[::1]"
[[nodiscard]] bool is_sip_endpoint(std::string_view text);  // "udp:127.0.0.1:5060"
[[nodiscard]] bool is_sip_uri(std::string_view text);       // sip:[user@]host[:port][;transport=udp|tcp]
[[nodiscard]] bool is_http_url(std::string_view text);      // http://host[:port], nothing behind it
[[nodiscard]] std::optional<RecordRule> record_rule_from_text(std::string_view text);
[[nodiscard]] bool is_treatment(std::string_view text);  // "say:NAME", "music:NAME"

}  // namespace sheaf::config
