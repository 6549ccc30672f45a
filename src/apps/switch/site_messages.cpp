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

Result<boost::json::object> object_of(std::string_view body) {
    if (body.size() > kSiteBodyMax) return fail(Errc::exhausted, "more than 1 MiB");
    TRY(auto value, json_from_text(body));
    if (!value.is_object()) return fail(Errc::malformed, "not an object");
    return std::move(value.get_object());
}

Result<std::string> id_of(const boost::json::object& object, std::string_view name) {
    TRY(auto text, string_field(object, name));
    const bool is_good = !text.empty() && text.size() <= kSiteTextMax &&
                         std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
    if (!is_good) return fail(Errc::malformed, std::string(name) + " is not an id");
    return text;
}

// Fit for facts and for the log. No pause is refused for how its maker is called.
std::string shown(std::string_view text) {
    std::string out;
    for (const char c : text.substr(0, kSiteTextMax)) out += c >= ' ' && c < 0x7f ? c : '?';
    return out;
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

std::int64_t SiteAges::lain_ms(const SiteSignature& given, WallTime now) {
    const std::int64_t at = to_unix_ms(now);
    const auto date = sip::number_from_text(given.date, kUnixMsMax);
    if (!date) return 0;
    const std::int64_t age = at - static_cast<std::int64_t>(*date);
    const auto [found, is_first] = youngest_.try_emplace(given.site, Youngest{at, age, age});
    Youngest& youngest = found->second;
    if (at - youngest.began > kSiteAgesMs || at < youngest.began) youngest = {at, age, youngest.now};
    youngest.now = std::min(youngest.now, age);
    return std::clamp<std::int64_t>(age - std::min(youngest.now, youngest.before), 0, kSiteAgoMaxMs);
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
    TRY(const auto object, object_of(body));
    TRY(const auto seq, integer_field(object, "seq"));
    TRY(auto boot, optional_string_field(object, "boot"));
    if (seq < 0 || boot.size() > 128) return fail(Errc::malformed, "seq or boot out of range");
    const auto* field = object.if_contains("agents");
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

std::string pause_body(const exchange::TellPause& pause) {
    const WallTime at{std::chrono::milliseconds{pause.pause.at_ms}};
    return boost::json::serialize(boost::json::object{{"link", pause.link.text()},
                                                      {"on", pause.on},
                                                      {"by", pause.pause.by},
                                                      {"id", pause.pause.id},
                                                      {"at", to_rfc3339(at)},
                                                      {"ago_ms", pause.pause.ago_ms}});
}

Result<exchange::PauseTold> pause_from_body(std::string_view body, const std::string& site) {
    TRY(const auto object, object_of(body));
    exchange::PauseTold out;
    out.site = site;
    TRY(auto link, id_of(object, "link"));
    out.link = LinkId(std::move(link));
    const auto* on = object.if_contains("on");
    if (on == nullptr || !on->is_bool()) return fail(Errc::malformed, "on is neither true nor false");
    out.on = on->get_bool();
    TRY(const auto by, string_field(object, "by"));
    out.pause.by = shown(by);
    TRY(out.pause.id, id_of(object, "id"));
    TRY(const auto at, string_field(object, "at"));
    TRY(const auto wall, wall_from_rfc3339(at));
    out.pause.at_ms = to_unix_ms(wall);
    TRY(out.pause.ago_ms, integer_field(object, "ago_ms"));
    if (out.pause.ago_ms < 0 || out.pause.ago_ms > kSiteAgoMaxMs) {
        return fail(Errc::malformed, "ago_ms is out of range");
    }
    return out;
}

std::string confirmation_body(const exchange::ConfirmPause& confirmation) {
    return boost::json::serialize(boost::json::object{{"link", confirmation.link.text()}, {"id", confirmation.pause}});
}

Result<exchange::PauseConfirmed> confirmation_from_body(std::string_view body, const std::string& site) {
    TRY(const auto object, object_of(body));
    TRY(auto link, id_of(object, "link"));
    TRY(auto pause, id_of(object, "id"));
    return exchange::PauseConfirmed{site, LinkId(std::move(link)), std::move(pause)};
}

}  // namespace sheaf::apps
