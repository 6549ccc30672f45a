// SPDX-License-Identifier: Apache-2.0
#include "b2bua/caller.h"

#include <algorithm>

#include "base/digest.h"
#include "sip/grammar.h"
#include "sip/transaction.h"

namespace sheaf::b2bua {
namespace {

bool is_hex(char c) {
    return sip::is_digit(c) || (c >= 'a' && c <= 'f');
}

// The peer at this source; with `any_port`, by its address alone.
std::optional<exchange::Device> peer_at(const Settings& settings, const sip::Endpoint& source, bool any_port) {
    const auto here = [&](const PeerAddress& peer) {
        if (peer.at.address != source.address) return false;
        return any_port || (peer.at.port == source.port && peer.at.transport == source.transport);
    };
    for (const auto& site : settings.sites) {
        if (site.address && here(*site.address)) return exchange::Device{exchange::DeviceKind::site, site.name};
    }
    for (const auto& trunk : settings.trunks) {
        if (std::ranges::any_of(trunk.addresses, here)) {
            return exchange::Device{exchange::DeviceKind::trunk, trunk.name};
        }
    }
    return std::nullopt;
}

}  // namespace

Caller caller_of(const Settings& settings, const Registrar& registrar, const sip::Source& source,
                 const std::string& from_user, Instant now) {
    if (auto peer = peer_at(settings, source.remote, false)) return {*peer, false};
    const exchange::Device agent{exchange::DeviceKind::agent, from_user};
    const bool is_agent = agent_with(settings, from_user) != nullptr;
    if (is_agent) {
        const auto* binding = registrar.binding_of(from_user, now);
        if (binding != nullptr && binding->next_hop == source.remote) return {agent, true};
    }
    if (auto peer = peer_at(settings, source.remote, true)) return {*peer, false};
    if (is_agent) return {agent, true};
    return {{exchange::DeviceKind::stranger, {}}, false};
}

Identity identity_of(const sip::Message& request, bool believed) {
    if (believed) {
        for (const auto& text : request.list("P-Asserted-Identity")) {
            const auto asserted = sip::name_addr_from_text(text);
            if (!asserted) continue;
            return {number_of(asserted->uri), clean_name(asserted->display)};
        }
    }
    const auto* text = request.first("From");
    const auto from = text == nullptr ? fail(Errc::not_found, "From") : sip::name_addr_from_text(*text);
    if (!from) return {};
    return {number_of(from->uri), clean_name(from->display)};
}

std::string clean_number(std::string_view text) {
    return sip::printable(text, kNumberBytesMax);
}

// A number may stand in a SIP URI as in a tel URI, with its parameters (RFC 3261 §19.1.6, RFC 4694).
std::string number_of(const sip::Uri& uri) {
    const bool is_tel = uri.scheme == "tel";
    const std::string& text = is_tel ? uri.opaque : uri.user;
    const bool is_number = is_tel || text.starts_with('+') || (!text.empty() && sip::is_digit(text.front()));
    if (!is_number) return clean_number(text);
    auto digits = text.substr(0, text.find(';'));
    if (is_tel || sip::same_name(uri.params.value("user").value_or(""), "phone"))
        std::erase_if(digits, [](char c) { return std::string_view("-.()").find(c) != std::string_view::npos; });
    return clean_number(digits);
}

std::string clean_name(std::string_view text) {
    std::string out;
    for (const char c : text.substr(0, kNumberBytesMax)) {
        if (!sip::is_control(c) && c != '\t') out += c;
    }
    // A character cut in two by the limit goes whole.
    while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xC0U) == 0x80U && text.size() > kNumberBytesMax) {
        out.pop_back();
    }
    if (text.size() > kNumberBytesMax && !out.empty() && (static_cast<unsigned char>(out.back()) & 0x80U) != 0) {
        out.pop_back();
    }
    return out;
}

std::string message_id(const sip::Message& message) {
    const auto* call_id = message.first("Call-ID");
    const auto cseq = sip::cseq_of(message);
    return sip::message_id(call_id == nullptr ? std::string_view{} : std::string_view{*call_id}, cseq.number,
                           cseq.method);
}

std::string session_half_of(const sip::Message& message) {
    const auto* text = message.first("Session-ID");
    if (text == nullptr) return {};
    const auto half = sip::lower(sip::trimmed(std::string_view{*text}.substr(0, text->find(';'))));
    if (half.size() != 32 || !std::ranges::all_of(half, is_hex)) return {};
    return half == std::string(32, '0') ? std::string() : half;
}

std::string session_half_from(std::string_view id) {
    std::string half;
    half.reserve(id.size());
    for (const char c : id) {
        if (c != '-') half += sip::lower(c);
    }
    if (half.size() == 32 && std::ranges::all_of(half, is_hex)) return half;
    return sha256_hex(id).substr(0, 32);
}

}  // namespace sheaf::b2bua
