// SPDX-License-Identifier: Apache-2.0
#include "b2bua/registrar.h"

#include <algorithm>
#include <array>

#include "b2bua/nat.h"
#include "sip/grammar.h"
#include "sip/transaction.h"

namespace sheaf::b2bua {
namespace {

// Phones that give up at a challenge they cannot compute instead of taking the next one (RFC 8760 §2.4 allows neither
// them nor us to leave it at that): they are offered MD5 alone. By the start of their User-Agent.
constexpr std::array<std::string_view, 2> kMd5Only{"baresip v0.", "baresip v1."};

bool knows_md5_only(const sip::Message& request) {
    const auto* agent = request.first("User-Agent");
    return agent != nullptr &&
           std::ranges::any_of(kMd5Only, [&](std::string_view start) { return agent->starts_with(start); });
}

Registrar::Refusal challenge(const sip::Message& request, const std::vector<std::string>& values, std::string why) {
    Registrar::Refusal out{{401, {}, {}}, std::move(why)};
    const bool md5_only = knows_md5_only(request);
    for (const auto& value : values) {
        const auto parsed = sip::challenge_from_text(value);
        if (md5_only && parsed && parsed->algorithm != sip::DigestAlgorithm::md5) continue;
        out.answer.headers.push_back({"WWW-Authenticate", value});
    }
    return out;
}

// One contact of a REGISTER with the seconds it is wanted for.
struct Wanted {
    sip::Uri uri;
    std::uint32_t seconds = 0;
};

std::uint32_t seconds_from(const std::optional<std::string>& text, std::uint32_t otherwise) {
    if (!text) return otherwise;
    const auto number = sip::number_from_text(*text, 0xffff'ffffU);
    // §10.2.1.1: a value that does not parse counts as 3600.
    return number ? static_cast<std::uint32_t>(*number) : kExpiresMax;
}

Result<std::vector<Wanted>> wanted_contacts(const sip::Message& request) {
    std::optional<std::string> header;
    if (const auto* expires = request.first("Expires")) header = *expires;
    const auto otherwise = seconds_from(header, kExpiresMax);
    std::vector<Wanted> out;
    for (const auto& text : request.list("Contact")) {
        TRY(const auto contact, sip::name_addr_from_text(text));
        if (contact.uri.scheme != "sip") return fail(Errc::unsupported, "contact of scheme " + contact.uri.scheme);
        out.push_back({contact.uri, seconds_from(contact.params.value("expires"), otherwise)});
    }
    return out;
}

// RFC 3327 §5.3. Nullopt: one that cannot be followed.
std::optional<std::vector<std::string>> path_of(const sip::Message& request) {
    std::vector<std::string> path;
    for (const auto& text : request.list("Path")) {
        const auto proxy = sip::name_addr_from_text(text);
        if (!proxy || !endpoint_of(proxy->uri) || path.size() >= kPathMax) return std::nullopt;
        path.emplace_back(sip::trimmed(text));
    }
    return path;
}

Result<sip::Endpoint> first_of(const std::vector<std::string>& path) {
    TRY(const auto proxy, sip::name_addr_from_text(path.front()));
    return endpoint_of(proxy.uri);
}

// Where its requests go: to the first proxy of its path; else back on the way that it came, over a connection, a proxy
// or a NAT; else to where the contact says, which may be another port.
sip::Endpoint way_to(const sip::Uri& contact, const std::vector<std::string>& path, const sip::Message& request,
                     const sip::Source& source) {
    if (!path.empty()) return first_of(path).value_or(source.remote);
    const auto named = endpoint_of(contact);
    const auto via = sip::top_via(request);
    if (!named || !via || source.flow != 0 || request.list("Via").size() != 1) return source.remote;
    const bool is_as_it_says =
        via->host == source.remote.address && (via->port == 0 ? 5060 : via->port) == source.remote.port;
    const bool is_there = named->transport == source.remote.transport && named->address == source.remote.address;
    return is_as_it_says && is_there ? *named : source.remote;
}

}  // namespace

std::optional<Registrar::Refusal> Registrar::authenticate(const sip::Message& request, const AgentAccount* agent,
                                                          Stamp now, const std::string& salt) {
    std::optional<sip::Credentials> given;
    for (const auto& text : request.all("Authorization")) {
        auto credentials = sip::credentials_from_text(text);
        if (credentials && credentials->realm == realm_) given = std::move(*credentials);
    }
    if (!given) return challenge(request, authenticator_.challenges(now.wall, salt, false), {});
    // RFC 7616 §3.4.6: what was said to one address is not believed at another. Some say no user at all.
    const auto meant = sip::uri_from_text(given->uri);
    const bool is_meant =
        meant && meant->opaque == request.uri().opaque && (meant->user.empty() || meant->user == request.uri().user);
    if (!is_meant) return Refusal{{400, {}, {}}, "credentials for another address"};
    // An unknown agent gets what a wrong password gets: nobody learns which directory numbers exist.
    const bool known = agent != nullptr && !agent->password.empty() && given->username == agent->dn;
    const std::string nobody = "?" + salt;
    const auto verdict = authenticator_.check(*given, known ? agent->password : nobody, request.method(), now.wall);
    switch (verdict) {
        case sip::Authenticator::Verdict::accepted:
            if (known) return std::nullopt;
            break;
        case sip::Authenticator::Verdict::stale:
            return challenge(request, authenticator_.challenges(now.wall, salt, true), {});
        case sip::Authenticator::Verdict::replayed:
            return challenge(request, authenticator_.challenges(now.wall, salt, true), "credentials seen before");
        case sip::Authenticator::Verdict::wrong: break;
    }
    return Refusal{{403, {}, {}}, "wrong user or password"};
}

const Binding* Registrar::binding_of(const std::string& dn, Instant now) const {
    const auto it = bindings_.find(dn);
    return it == bindings_.end() || it->second.expires <= now ? nullptr : &it->second;
}

Answer Registrar::current(const std::string& dn, Instant now) const {
    Answer answer;
    if (const auto* binding = binding_of(dn, now)) {
        const auto seconds = (to_ms(binding->expires - now) + 999) / 1'000;
        answer.headers.push_back({"Contact", "<" + binding->contact + ">;expires=" + std::to_string(seconds)});
    }
    return answer;
}

std::size_t Registrar::bindings_at(const std::string& address) const {
    const auto found = at_.find(address);
    return found == at_.end() ? 0 : found->second;
}

void Registrar::bind(const std::string& dn, Binding binding) {
    unbind(dn);
    ++at_[binding.next_hop.address];
    bindings_[dn] = std::move(binding);
}

void Registrar::unbind(const std::string& dn) {
    const auto known = bindings_.find(dn);
    if (known == bindings_.end()) return;
    const auto at = at_.find(known->second.next_hop.address);
    if (--at->second == 0) at_.erase(at);
    bindings_.erase(known);
}

Registrar::Outcome Registrar::register_agent(const sip::Message& request, const sip::Source& source,
                                             const std::string& dn, Instant now) {
    const auto contacts = request.list("Contact");
    const auto* call_id = request.first("Call-ID");
    const std::string id = call_id == nullptr ? std::string() : *call_id;
    const auto cseq = sip::cseq_of(request).number;
    const auto* known = binding_of(dn, now);
    if (contacts.empty()) return {current(dn, now), std::nullopt};  // a question
    // §10.3 step 7: an older request of the same registration changes nothing.
    if (known != nullptr && known->call_id == id && cseq <= known->cseq)
        return {{500, {}, "Out Of Order"}, std::nullopt};
    if (contacts.size() == 1 && sip::trimmed(contacts.front()) == "*") {
        const auto* expires = request.first("Expires");
        if (expires == nullptr || sip::trimmed(*expires) != "0") return {{400, {}, "Contact * needs Expires 0"}, {}};
        unbind(dn);
        return {current(dn, now), exchange::AgentUnregistered{dn}};
    }
    const auto wanted = wanted_contacts(request);
    if (!wanted) return {{400, {}, "Bad Contact"}, std::nullopt};
    const auto newest =
        std::ranges::find_if(wanted->rbegin(), wanted->rend(), [](const Wanted& w) { return w.seconds > 0; });
    if (newest == wanted->rend()) {  // only removals
        const bool ours = known != nullptr && std::ranges::any_of(*wanted, [&](const Wanted& w) {
                              return sip::to_text(w.uri) == known->contact;
                          });
        if (!ours) return {current(dn, now), std::nullopt};
        unbind(dn);
        return {current(dn, now), exchange::AgentUnregistered{dn}};
    }
    if (newest->seconds < kExpiresMin) return {{423, {{"Min-Expires", std::to_string(kExpiresMin)}}, {}}, std::nullopt};
    auto path = path_of(request);
    if (!path) return {{400, {}, "Bad Path"}, std::nullopt};
    // RFC 3327 §6: who registers says where it stands, not where else we are to send what we trust ourselves with.
    if (!path->empty()) {
        const auto at = first_of(*path);
        if (!at || at->address != source.remote.address) return {{403, {}, "Path Of Somebody Else"}, std::nullopt};
    }
    const std::chrono::seconds life{std::min(newest->seconds, kExpiresMax)};
    const auto contact = sip::to_text(newest->uri);
    const auto next_hop = sip::to_text(way_to(newest->uri, *path, request, source));
    const bool behind_nat = path->empty() && is_behind_nat(request, source);  // else that is its proxies' business
    bind(dn, {contact, source.remote, source.local, id, cseq, now + life, behind_nat, std::move(*path)});
    auto answer = current(dn, now);
    for (const auto& proxy : bindings_.at(dn).path) answer.headers.push_back({"Path", proxy});
    return {std::move(answer),
            exchange::AgentRegistered{dn, contact, next_hop, to_ms(life), request.has_token("Allow-Events", "talk")}};
}

}  // namespace sheaf::b2bua
