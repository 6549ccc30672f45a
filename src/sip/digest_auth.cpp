// SPDX-License-Identifier: Apache-2.0
#include "sip/digest_auth.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/digest.h"
#include "sip/grammar.h"

// Digest access authentication (RFC 7616) as SIP uses it (RFC 3261 §22, RFC 8760).
namespace sheaf::sip {
namespace {

constexpr std::size_t kParamsMax = 32;
constexpr std::size_t kTimeDigits = 16;
constexpr std::size_t kSignatureDigits = 32;

using AuthParams = std::vector<std::pair<std::string, std::string>>;

// "Digest" LWS name=value *("," name=value); a name may come once.
Result<AuthParams> auth_params_from_text(std::string_view text) {
    text = trimmed(text);
    const auto space = text.find_first_of(" \t");
    if (!same_name(text.substr(0, space), "Digest")) return fail(Errc::unsupported, "not Digest");
    if (space == std::string_view::npos) return fail(Errc::malformed, "Digest without parameters");
    AuthParams params;
    for (const auto item : list_items(text.substr(space))) {
        const auto equals = item.find('=');
        if (equals == std::string_view::npos) return fail(Errc::malformed, "Digest parameter without a value");
        const auto name = trimmed(item.substr(0, equals));
        auto value = trimmed(item.substr(equals + 1));
        if (!is_token(name)) return fail(Errc::malformed, "Digest parameter without a name");
        if (std::ranges::any_of(params, [&](const auto& p) { return same_name(p.first, name); })) {
            return fail(Errc::malformed, "Digest parameter given twice");
        }
        if (params.size() == kParamsMax) return fail(Errc::exhausted, "Too many Digest parameters");
        if (value.starts_with('"')) {
            TRY(auto plain, take_quoted(value));
            if (!trimmed(value).empty()) return fail(Errc::malformed, "Text after a Digest value");
            params.emplace_back(name, std::move(plain));
        } else {
            const auto odd = [](char c) { return is_control(c) || c == ' ' || c == '\t' || c == '"' || c == '\\'; };
            if (std::ranges::any_of(value, odd)) return fail(Errc::malformed, "Invalid Digest value");
            params.emplace_back(name, value);
        }
    }
    return params;
}

std::string value_of(const AuthParams& params, std::string_view name) {
    const auto it = std::ranges::find_if(params, [&](const auto& p) { return same_name(p.first, name); });
    return it == params.end() ? std::string() : it->second;
}

Result<DigestAlgorithm> algorithm_from_text(std::string_view text) {
    if (text.empty() || same_name(text, "MD5")) return DigestAlgorithm::md5;
    if (same_name(text, "SHA-256")) return DigestAlgorithm::sha256;
    return fail(Errc::unsupported, "Digest algorithm " + std::string(text));
}

std::string_view name_of(DigestAlgorithm algorithm) {
    return algorithm == DigestAlgorithm::md5 ? "MD5" : "SHA-256";
}

void add_quoted(std::string& out, std::string_view name, std::string_view value) {
    if (value.empty()) return;
    if (!out.ends_with(' ')) out += ", ";
    ((out += name) += '=') += quoted(value);
}

void add_plain(std::string& out, std::string_view name, std::string_view value) {
    if (value.empty()) return;
    if (!out.ends_with(' ')) out += ", ";
    ((out += name) += '=') += value;
}

template <typename Number>
std::optional<Number> hex_number(std::string_view text) {
    Number out{};
    const auto end = std::from_chars(text.data(), text.data() + text.size(), out, 16);
    if (end.ec != std::errc{} || end.ptr != text.data() + text.size()) return std::nullopt;
    return out;
}

std::string hex_text(std::uint64_t number) {
    std::string out(kTimeDigits, '0');
    for (auto& digit : out) {
        digit = "0123456789abcdef"[number >> 60];
        number <<= 4;
    }
    return out;
}

std::string signature_of(std::string_view key, std::string_view realm, std::string_view signed_part) {
    return hmac_sha256_hex(key, std::string(signed_part) + ":" + std::string(realm)).substr(0, kSignatureDigits);
}

}  // namespace

Result<Challenge> challenge_from_text(std::string_view header_value) {
    TRY(const auto params, auth_params_from_text(header_value));
    Challenge out;
    TRY(out.algorithm, algorithm_from_text(value_of(params, "algorithm")));
    out.realm = value_of(params, "realm");
    out.nonce = value_of(params, "nonce");
    out.opaque = value_of(params, "opaque");
    out.stale = same_name(value_of(params, "stale"), "true");
    const auto qop = value_of(params, "qop");
    for (const auto option : list_items(qop)) out.qop_auth = out.qop_auth || same_name(option, "auth");
    if (!qop.empty() && !out.qop_auth) return fail(Errc::unsupported, "Digest qop " + qop);
    if (out.nonce.empty()) return fail(Errc::malformed, "Digest challenge without a nonce");
    return out;
}

std::string to_text(const Challenge& challenge) {
    std::string out = "Digest ";
    out += "realm=" + quoted(challenge.realm);
    add_quoted(out, "nonce", challenge.nonce);
    add_quoted(out, "opaque", challenge.opaque);
    if (challenge.stale) add_plain(out, "stale", "true");
    add_plain(out, "algorithm", name_of(challenge.algorithm));
    if (challenge.qop_auth) add_quoted(out, "qop", "auth");
    return out;
}

Result<Credentials> credentials_from_text(std::string_view header_value) {
    TRY(const auto params, auth_params_from_text(header_value));
    Credentials out;
    TRY(out.algorithm, algorithm_from_text(value_of(params, "algorithm")));
    out.username = value_of(params, "username");
    out.realm = value_of(params, "realm");
    out.nonce = value_of(params, "nonce");
    out.uri = value_of(params, "uri");
    out.response = lower(value_of(params, "response"));
    out.cnonce = value_of(params, "cnonce");
    out.nc = value_of(params, "nc");
    out.opaque = value_of(params, "opaque");
    out.qop = lower(value_of(params, "qop"));
    if (out.username.empty() || out.nonce.empty() || out.uri.empty() || out.response.empty()) {
        return fail(Errc::malformed, "Digest credentials are not complete");
    }
    if (out.qop.empty()) {
        out.cnonce.clear();  // they mean nothing without it
        out.nc.clear();
        return out;
    }
    if (out.qop != "auth") return fail(Errc::unsupported, "Digest qop " + out.qop);
    if (out.cnonce.empty() || out.nc.size() != 8 || !hex_number<std::uint32_t>(out.nc)) {
        return fail(Errc::malformed, "Digest qop without cnonce or nonce count");
    }
    return out;
}

std::string to_text(const Credentials& credentials) {
    std::string out = "Digest ";
    add_quoted(out, "username", credentials.username);
    out += ", realm=" + quoted(credentials.realm);
    add_quoted(out, "nonce", credentials.nonce);
    add_quoted(out, "uri", credentials.uri);
    add_quoted(out, "response", credentials.response);
    add_plain(out, "algorithm", name_of(credentials.algorithm));
    add_quoted(out, "cnonce", credentials.cnonce);
    add_quoted(out, "opaque", credentials.opaque);
    add_plain(out, "qop", credentials.qop);
    add_plain(out, "nc", credentials.nc);
    return out;
}

std::string digest_response(const Credentials& given, std::string_view password, std::string_view method) {
    const auto hash = [&](const std::string& text) {
        return given.algorithm == DigestAlgorithm::md5 ? md5_hex(text) : sha256_hex(text);
    };
    const auto secret = hash(given.username + ":" + given.realm + ":" + std::string(password));
    const auto request = hash(std::string(method) + ":" + given.uri);
    if (given.qop.empty()) return hash(secret + ":" + given.nonce + ":" + request);
    return hash(secret + ":" + given.nonce + ":" + given.nc + ":" + given.cnonce + ":" + given.qop + ":" + request);
}

Result<Credentials> answer_challenge(const std::vector<Challenge>& challenges, const Account& account,
                                     std::string_view method, std::string_view uri, std::string_view cnonce) {
    const Challenge* best = nullptr;
    for (const auto& challenge : challenges) {
        const bool stronger = best != nullptr && best->algorithm == DigestAlgorithm::md5 &&
                              challenge.algorithm == DigestAlgorithm::sha256;
        if (best == nullptr || stronger) best = &challenge;
    }
    if (best == nullptr) return fail(Errc::unsupported, "no challenge we can answer");
    Credentials out;
    out.username = account.user;
    out.realm = best->realm;
    out.nonce = best->nonce;
    out.uri = uri;
    out.opaque = best->opaque;
    out.algorithm = best->algorithm;
    if (best->qop_auth) {
        out.qop = "auth";
        out.nc = "00000001";
        out.cnonce = cnonce;
    }
    out.response = digest_response(out, account.password, method);
    return out;
}

Authenticator::Authenticator(std::string realm, std::string key) : realm_(std::move(realm)), key_(std::move(key)) {}

std::vector<std::string> Authenticator::challenges(WallTime now, std::string_view salt, bool stale) const {
    // time (16 hex digits) | salt | signature (32 hex digits): nonces sort by age.
    std::string nonce = hex_text(static_cast<std::uint64_t>(to_unix_ms(now)));
    nonce += salt;
    nonce += signature_of(key_, realm_, nonce);
    Challenge challenge{realm_, std::move(nonce), {}, DigestAlgorithm::sha256, true, stale};
    std::vector<std::string> out = {to_text(challenge)};
    challenge.algorithm = DigestAlgorithm::md5;
    out.push_back(to_text(challenge));
    return out;
}

bool Authenticator::is_alive(std::string_view nonce, WallTime now) const {
    if (nonce.size() < kTimeDigits + kSignatureDigits) return false;
    const auto signed_part = nonce.substr(0, nonce.size() - kSignatureDigits);
    const auto signature = nonce.substr(signed_part.size());
    if (!equal_in_constant_time(signature_of(key_, realm_, signed_part), signature)) return false;
    const auto made_ms = hex_number<std::uint64_t>(nonce.substr(0, kTimeDigits)).value_or(0);
    const auto age = now - WallTime{std::chrono::milliseconds{static_cast<std::int64_t>(made_ms)}};
    return age <= kNonceLife && age >= -kNonceLife;  // our clock may have stepped back since
}

Authenticator::Verdict Authenticator::check(const Credentials& given, std::string_view password,
                                            std::string_view method, WallTime now) {
    // We always offer qop, so a client must use it (RFC 3261 §22.4 (8)); without it nothing would stop a replay.
    const auto count = hex_number<std::uint32_t>(given.nc);
    if (given.realm != realm_ || given.qop != "auth" || !count) return Verdict::wrong;
    if (!equal_in_constant_time(digest_response(given, password, method), given.response)) return Verdict::wrong;
    if (!is_alive(given.nonce, now)) return Verdict::stale;

    const auto it = counts_.find(given.nonce);
    if (it != counts_.end()) {
        if (*count <= it->second) return Verdict::replayed;
        it->second = *count;
        return Verdict::accepted;
    }
    // One as old as a forgotten one may be that one: its count is not known any more.
    if (given.nonce <= forgotten_) return Verdict::stale;
    if (*count == 0) return Verdict::wrong;
    if (counts_.size() == kNoncesMax) {
        forgotten_ = counts_.begin()->first;
        counts_.erase(counts_.begin());
        if (given.nonce <= forgotten_) return Verdict::stale;
    }
    counts_.emplace(given.nonce, *count);
    return Verdict::accepted;
}

}  // namespace sheaf::sip
