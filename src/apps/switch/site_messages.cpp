// SPDX-License-Identifier: Apache-2.0
#include "apps/switch/site_messages.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/digest.h"
#include "base/fact.h"
#include "base/json.h"
#include "sip/grammar.h"

namespace sheaf::apps {
namespace {

constexpr std::uint64_t kUnixMsMax = 253'402'300'799'999;

std::string signature_of(std::string_view method, std::string_view path, const SiteSignature& of,
                         std::string_view secret, std::string_view body) {
    std::string text;
    for (const std::string_view line :
         {method, path, std::string_view{of.site}, std::string_view{of.date}, std::string_view{of.nonce}}) {
        text += line;
        text += '\n';
    }
    text += sha256_hex(body);
    text += '\n';
    return hmac_sha256_hex(secret, text);
}

bool is_nonce(std::string_view text) {
    return text.size() >= 16 && text.size() <= 64 &&
           std::ranges::all_of(text, [](char c) { return sip::is_digit(c) || (c >= 'a' && c <= 'f'); });
}

}  // namespace

SiteSignature sign_site_request(std::string_view method, std::string_view path, std::string_view site,
                                std::string_view secret, std::string_view body, WallTime now, std::string_view nonce) {
    SiteSignature out{std::string(site), std::to_string(to_unix_ms(now)), std::string(nonce), {}};
    out.signature = signature_of(method, path, out, secret, body);
    return out;
}

Result<void> SiteGuard::check(const SiteSignature& given, std::string_view method, std::string_view path,
                              std::string_view secret, std::string_view body, WallTime now) {
    if (!is_nonce(given.nonce)) return fail(Errc::forbidden, "no nonce");
    if (secret.empty() || !equal_in_constant_time(signature_of(method, path, given, secret, body), given.signature)) {
        return fail(Errc::forbidden, "wrong signature");
    }
    const auto date = sip::number_from_text(given.date, kUnixMsMax);
    const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(kSiteClockMax).count();
    const auto age = to_unix_ms(now) - static_cast<std::int64_t>(date.value_or(0));
    if (!date || age > limit || age < -limit) return fail(Errc::forbidden, "more than an hour from our clock");
    auto& seen = seen_[given.site];
    if (!seen.nonces.insert(given.nonce).second) return fail(Errc::forbidden, "nonce seen before");
    seen.order.push_back(given.nonce);
    if (seen.order.size() > nonces_max_) {
        seen.nonces.erase(seen.order.front());
        seen.order.pop_front();
    }
    return {};
}

std::size_t SiteGuard::nonces_of(const std::string& site) const {
    const auto it = seen_.find(site);
    return it == seen_.end() ? 0 : it->second.order.size();
}

std::string readiness_body(const exchange::RemoteAgents& readiness) {
    boost::json::array agents;
    for (const auto& agent : readiness.agents) {
        agents.push_back({{"dn", agent.dn}, {"state", agent.state}, {"for_ms", agent.for_ms}});
    }
    return boost::json::serialize(
        boost::json::object{{"boot", readiness.boot}, {"seq", readiness.seq}, {"agents", std::move(agents)}});
}

Result<exchange::RemoteAgents> readiness_from_body(std::string_view body, const std::string& site) {
    if (body.size() > kSiteBodyMax) return fail(Errc::exhausted, "more than 1 MiB");
    TRY(const auto value, json_from_text(body));
    const auto* object = value.if_object();
    if (object == nullptr) return fail(Errc::malformed, "not an object");
    TRY(const auto seq, integer_field(*object, "seq"));
    TRY(auto boot, optional_string_field(*object, "boot"));
    if (seq < 0 || boot.size() > 128) return fail(Errc::malformed, "seq or boot out of range");
    const auto* field = object->if_contains("agents");
    const auto* agents = field == nullptr ? nullptr : field->if_array();
    if (agents == nullptr) return fail(Errc::malformed, "agents is not a list");
    if (agents->size() > kSiteAgentsMax) return fail(Errc::exhausted, "more than 10,000 agents");
    exchange::RemoteAgents out;
    out.site = site;
    out.boot = std::move(boot);
    out.seq = static_cast<std::uint64_t>(seq);
    for (const auto& item : *agents) {
        const auto* agent = item.if_object();
        if (agent == nullptr) return fail(Errc::malformed, "an agent is not an object");
        TRY(auto dn, string_field(*agent, "dn"));
        TRY(auto state, string_field(*agent, "state"));
        TRY(const auto for_ms, integer_field(*agent, "for_ms"));
        if (dn.empty() || dn.size() > 128 || state.size() > 32 || for_ms < 0) {
            return fail(Errc::malformed, "an agent's field is out of range");
        }
        out.agents.push_back({std::move(dn), std::move(state), for_ms});
    }
    return out;
}

}  // namespace sheaf::apps
