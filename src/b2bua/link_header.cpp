// SPDX-License-Identifier: Apache-2.0
#include "b2bua/link_header.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/digest.h"
#include "sip/grammar.h"

namespace sheaf::b2bua {
namespace {

constexpr std::size_t kIdBytesMax = 128;
constexpr std::uint64_t kUnixMsMax = 253'402'300'799'999;  // the end of the year 9999

bool is_id(std::string_view text) {
    return !text.empty() && text.size() <= kIdBytesMax && std::ranges::all_of(text, [](char c) {
        return c > ' ' && c < 0x7f && c != ';' && c != '=' && c != ',' && c != '"';
    });
}

bool is_nonce(std::string_view text) {
    return text.size() >= 16 && text.size() <= 64 &&
           std::ranges::all_of(text, [](char c) { return sip::is_digit(c) || (c >= 'a' && c <= 'f'); });
}

bool is_kind(std::string_view text) {
    return text == "route" || text == "transfer" || text == "consult" || text == "conference";
}

std::string mac_of(std::string_view text, const LinkCarrier& carrier, std::string_view secret) {
    std::string bytes(text);
    bytes += '\n';
    bytes += carrier.call_id;
    bytes += '\n';
    bytes += carrier.from_tag;
    return hmac_sha256_hex(secret, bytes);
}

using Fields = std::map<std::string, std::string, std::less<>>;

// The parameters after the link id; each name once.
Result<Fields> fields_of(std::string_view text) {
    Fields fields;
    while (!text.empty()) {
        const auto end = text.find(';');
        const auto item = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
        const auto equals = item.find('=');
        if (equals == std::string_view::npos) return fail(Errc::malformed, "a parameter without value");
        const auto added = fields.emplace(item.substr(0, equals), item.substr(equals + 1));
        if (!added.second) return fail(Errc::malformed, "a parameter twice");
    }
    return fields;
}

struct Parsed {
    exchange::LinkHeader link;
    std::uint64_t unix_ms = 0;
    std::string nonce;
};

Result<Parsed> parsed(std::string_view text) {
    const auto end = text.find(';');
    const auto id = text.substr(0, end);
    if (end == std::string_view::npos || !is_id(id)) return fail(Errc::malformed, "no link id");
    TRY(const Fields fields, fields_of(text.substr(end + 1)));
    const auto value = [&](std::string_view name) {
        const auto it = fields.find(name);
        return it == fields.end() ? std::string() : it->second;
    };
    Parsed out;
    out.link = {LinkId(std::string(id)), CallUuid(value("call")), CallUuid(value("root")), value("kind"),
                value("rec") == "1"};
    if (!is_id(out.link.call.text()) || !is_id(out.link.root.text())) return fail(Errc::malformed, "no call or root");
    if (!is_kind(out.link.kind)) return fail(Errc::malformed, "unknown kind");
    if (value("rec") != "0" && value("rec") != "1") return fail(Errc::malformed, "rec is not 0 or 1");
    const auto unix_ms = sip::number_from_text(value("t"), kUnixMsMax);
    if (!unix_ms) return fail(Errc::malformed, "no time");
    out.unix_ms = *unix_ms;
    out.nonce = value("n");
    if (!is_nonce(out.nonce)) return fail(Errc::malformed, "no nonce");
    return out;
}

}  // namespace

std::string signed_link(const exchange::LinkHeader& link, const LinkCarrier& carrier, std::string_view secret,
                        WallTime now, std::string_view nonce) {
    std::string text = link.link.text();
    text += ";call=" + link.call.text();
    text += ";root=" + link.root.text();
    text += ";kind=" + link.kind;
    text += link.sender_records ? ";rec=1" : ";rec=0";
    text += ";t=" + std::to_string(to_unix_ms(now));
    text += ";n=";
    text += nonce;
    const auto mac = mac_of(text, carrier, secret);
    return text + ";mac=" + mac;
}

Result<exchange::LinkHeader> LinkGuard::check(std::string_view value, const LinkCarrier& carrier, std::string_view site,
                                              std::string_view secret, WallTime now) {
    if (value.size() > kLinkHeaderBytesMax) return fail(Errc::exhausted, "longer than 1,024 bytes");
    const auto at = value.rfind(";mac=");
    if (at == std::string_view::npos) return fail(Errc::forbidden, "no mac");
    const auto text = value.substr(0, at);
    // Nothing of it is looked at before the mac holds.
    if (!equal_in_constant_time(mac_of(text, carrier, secret), value.substr(at + 5))) {
        return fail(Errc::forbidden, "wrong mac");
    }
    TRY(const Parsed header, parsed(text));
    const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(kLinkAgeMax).count();
    const auto age = to_unix_ms(now) - static_cast<std::int64_t>(header.unix_ms);
    if (age > limit || age < -limit) return fail(Errc::forbidden, "more than an hour from our clock");
    auto& seen = seen_[std::string(site)];
    if (!seen.nonces.insert(header.nonce).second) return fail(Errc::conflict, "nonce seen before");
    seen.order.push_back(header.nonce);
    if (seen.order.size() > nonces_max_) {
        seen.nonces.erase(seen.order.front());
        seen.order.pop_front();
    }
    return header.link;
}

std::size_t LinkGuard::nonces_of(const std::string& site) const {
    const auto it = seen_.find(site);
    return it == seen_.end() ? 0 : it->second.order.size();
}

}  // namespace sheaf::b2bua
