// SPDX-License-Identifier: Apache-2.0
#include "archive/access.h"

#include <algorithm>

#include "base/digest.h"

namespace sheaf::archive {
namespace {

Caller caller_of(const Credential& c) {
    return {c.scope, c.tenant, false, c.site, c.nodes};
}

}  // namespace

Access::Access(std::vector<Credential> credentials, std::optional<std::string> open_tenant)
    : open_tenant_(std::move(open_tenant)) {
    for (Credential& credential : credentials) {
        if (credential.secret.empty()) continue;  // it would let everyone in
        std::string digest = sha256_hex(credential.secret);
        std::string cookie = hmac_sha256_hex(credential.secret, "sheaf archive cookie 1");
        known_.push_back({std::move(credential), std::move(digest), std::move(cookie)});
    }
}

std::optional<Caller> Access::by_token(std::string_view token) const {
    // Digests are of one length, and all are compared, so that time tells neither length nor place.
    const std::string digest = sha256_hex(token);
    const Known* found = nullptr;
    for (const Known& known : known_)
        if (equal_in_constant_time(known.digest, digest) && found == nullptr) found = &known;
    if (found == nullptr) return std::nullopt;
    return caller_of(found->credential);
}

std::string Access::cookie_for(std::string_view token) const {
    const std::string digest = sha256_hex(token);
    for (const Known& known : known_)
        if (equal_in_constant_time(known.digest, digest)) return known.cookie;
    return {};
}

std::optional<Caller> Access::by_cookie(std::string_view cookie) const {
    const std::string digest = sha256_hex(cookie);
    const Known* found = nullptr;
    for (const Known& known : known_)
        if (equal_in_constant_time(sha256_hex(known.cookie), digest) && found == nullptr) found = &known;
    if (found == nullptr) return std::nullopt;
    return caller_of(found->credential);
}

std::optional<Caller> Access::everyone() const {
    if (!open_tenant_) return std::nullopt;
    return Caller{Scope::admin, *open_tenant_, true, {}, {}};
}

}  // namespace sheaf::archive
