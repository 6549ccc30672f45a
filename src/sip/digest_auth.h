// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace sheaf::sip {

enum class DigestAlgorithm { md5, sha256 };  // RFC 8760 §2.2; -sess variants are not offered

// One WWW-/Proxy-Authenticate challenge.
struct Challenge {
    std::string realm;
    std::string nonce;
    std::string opaque;
    DigestAlgorithm algorithm = DigestAlgorithm::md5;
    bool qop_auth = false;
    bool stale = false;
};
[[nodiscard]] Result<Challenge> challenge_from_text(std::string_view header_value);  // Errc::unsupported: not ours
[[nodiscard]] std::string to_text(const Challenge& challenge);

// Credentials as they come in Authorization / Proxy-Authorization.
struct Credentials {
    std::string username, realm, nonce, uri, response, cnonce, nc, opaque, qop;
    DigestAlgorithm algorithm = DigestAlgorithm::md5;
};
// Errc::malformed when what a digest needs is missing or said twice, Errc::unsupported for another scheme, algorithm or
// qop.
[[nodiscard]] Result<Credentials> credentials_from_text(std::string_view header_value);
[[nodiscard]] std::string to_text(const Credentials& credentials);
// The `response` these credentials should carry (RFC 7616 §3.4.1), lower-case hex.
[[nodiscard]] std::string digest_response(const Credentials& given, std::string_view password, std::string_view method);

// The client's side: picks the strongest challenge we can answer (SHA-256 before MD5) and answers it.
struct Account {
    std::string user;
    std::string password;
};
[[nodiscard]] Result<Credentials> answer_challenge(const std::vector<Challenge>& challenges, const Account& account,
                                                   std::string_view method, std::string_view uri,
                                                   std::string_view cnonce);

// The server's side. Nonces carry their time and are signed with a key of this process, so nothing is kept for a
// stranger; nonce counts of accepted nonces are, bounded by kNoncesMax (the oldest go first).
class Authenticator {
public:
    Authenticator(std::string realm, std::string key);
    // Both algorithms, SHA-256 first (RFC 8760 §2.3), as header values. `salt` makes the nonce unique: fresh hex.
    [[nodiscard]] std::vector<std::string> challenges(WallTime now, std::string_view salt, bool stale) const;

    // stale: the password is right, the nonce too old, not ours (a restart) or forgotten: challenge anew, stale = true.
    // replayed: right too, but this nonce count was used; a client that never counts is helped by a stale challenge.
    // wrong covers a client that leaves out qop, which we always offer.
    enum class Verdict { accepted, wrong, stale, replayed };
    [[nodiscard]] Verdict check(const Credentials& given, std::string_view password, std::string_view method,
                                WallTime now);
    static constexpr std::size_t kNoncesMax = 16'384;
    static constexpr std::chrono::minutes kNonceLife{5};

    [[nodiscard]] std::size_t nonces() const { return counts_.size(); }  // never over kNoncesMax

private:
    [[nodiscard]] bool is_alive(std::string_view nonce, WallTime now) const;
    std::string realm_;
    std::string key_;
    std::map<std::string, std::uint32_t> counts_;  // nonce -> highest nc seen
    std::string forgotten_;  // the newest nonce that had to go; older ones are stale unless still counted
};

}  // namespace sheaf::sip
