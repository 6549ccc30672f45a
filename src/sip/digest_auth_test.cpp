// SPDX-License-Identifier: Apache-2.0
#include "sip/digest_auth.h"

#include <doctest/doctest.h>

#include "base/digest.h"

namespace sheaf::sip {
namespace {

using Verdict = Authenticator::Verdict;

constexpr WallTime kNow{std::chrono::milliseconds{1'700'000'000'000}};
constexpr std::string_view kRfcNonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
constexpr std::string_view kRfcCnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

// What a phone makes of our challenges; `count` instead of the first nonce count.
Credentials phone_answers(const std::vector<std::string>& challenges, std::string_view count = "00000001",
                          const std::string& password = "secret") {
    std::vector<Challenge> parsed;
    for (const auto& text : challenges) parsed.push_back(challenge_from_text(text).value());
    auto out = answer_challenge(parsed, {"2001", password}, "REGISTER", "sip:london", "c0ffee").value();
    out.nc = count;
    out.response = digest_response(out, password, "REGISTER");
    return credentials_from_text(to_text(out)).value();
}

Verdict register_with(Authenticator& door, const Credentials& given, WallTime now = kNow) {
    return door.check(given, "secret", "REGISTER", now);
}

TEST_CASE("the examples of RFC 2617 and RFC 7616 give the published responses") {
    Credentials given;
    given.username = "Mufasa";
    given.realm = "testrealm@host.com";
    given.nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093";
    given.uri = "/dir/index.html";
    given.qop = "auth";
    given.nc = "00000001";
    given.cnonce = "0a4f113b";
    CHECK(digest_response(given, "Circle Of Life", "GET") == "6629fae49393a05397450978507c4ef1");

    given.qop.clear();  // RFC 2069's way, as its erratum computes it
    CHECK(digest_response(given, "Circle Of Life", "GET") == "670fd8c2df070c60b045671b8b24ff02");

    given.realm = "http-auth@example.org";
    given.nonce = kRfcNonce;
    given.cnonce = kRfcCnonce;
    given.qop = "auth";
    CHECK(digest_response(given, "Circle of Life", "GET") == "8ca523f5e9506fed4657c9700eebdbec");
    given.algorithm = DigestAlgorithm::sha256;
    CHECK(digest_response(given, "Circle of Life", "GET") ==
          "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
}

TEST_CASE("a challenge with both algorithms is answered with SHA-256, whatever their order") {
    std::vector<Challenge> challenges;
    for (const std::string_view algorithm : {"MD5", "SHA-256"}) {
        challenges.push_back(challenge_from_text(R"(Digest realm="http-auth@example.org", qop="auth, auth-int", )"
                                                 "algorithm=" +
                                                 std::string(algorithm) + ", nonce=\"" + std::string(kRfcNonce) +
                                                 R"(", opaque="abc")")
                                 .value());
    }
    const Account account{"Mufasa", "Circle of Life"};
    const auto answer = answer_challenge(challenges, account, "GET", "/dir/index.html", kRfcCnonce).value();
    CHECK(answer.algorithm == DigestAlgorithm::sha256);
    CHECK(answer.opaque == "abc");
    CHECK(answer.response == "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
    const auto md5_only = answer_challenge({challenges[0]}, account, "GET", "/dir/index.html", kRfcCnonce).value();
    CHECK(md5_only.response == "8ca523f5e9506fed4657c9700eebdbec");
    CHECK(answer_challenge({}, account, "GET", "/", "").error().code == Errc::unsupported);
}

TEST_CASE("a challenge without qop is answered the old way") {
    const auto challenge = challenge_from_text(R"(Digest realm="pbx",nonce="n1")").value();
    CHECK(challenge.algorithm == DigestAlgorithm::md5);
    CHECK_FALSE(challenge.qop_auth);
    const auto answer = answer_challenge({challenge}, {"u", "p"}, "INVITE", "sip:x", "c").value();
    CHECK(answer.qop.empty());
    CHECK(answer.nc.empty());
    CHECK(to_text(answer).find("qop") == std::string::npos);
    CHECK(answer.response == md5_hex(md5_hex("u:pbx:p") + ":n1:" + md5_hex("INVITE:sip:x")));
}

TEST_CASE("challenges and credentials are read with odd spacing, cases, escapes and commas in quotes") {
    const auto challenge =
        challenge_from_text(R"(dIgEsT  Realm = "a \"b\", c" ,NONCE="n" , stale=TRUE,algorithm=sha-256,qop=auth)")
            .value();
    CHECK(challenge.realm == R"(a "b", c)");
    CHECK(challenge.nonce == "n");
    CHECK(challenge.stale);
    CHECK(challenge.qop_auth);
    CHECK(challenge_from_text(to_text(challenge)).value().realm == challenge.realm);

    Credentials given;
    given.username = "a\"b\\c";
    given.realm = "r";
    given.nonce = "n";
    given.uri = "sip:x;a=1,2";
    given.response = "00ff";
    given.cnonce = "c";
    given.nc = "0000000a";
    given.qop = "auth";
    given.algorithm = DigestAlgorithm::sha256;
    const auto again = credentials_from_text(to_text(given)).value();
    CHECK(again.username == given.username);
    CHECK(again.uri == given.uri);
    CHECK(again.nc == given.nc);
    CHECK(again.algorithm == given.algorithm);
    CHECK(to_text(again) == to_text(given));
}

TEST_CASE("what is not a Digest we know is unsupported, what is broken malformed") {
    CHECK(challenge_from_text("Basic realm=\"x\"").error().code == Errc::unsupported);
    CHECK(challenge_from_text(R"(Digest realm="x", nonce="n", algorithm=MD5-sess)").error().code == Errc::unsupported);
    CHECK(challenge_from_text(R"(Digest realm="x", nonce="n", qop="auth-int")").error().code == Errc::unsupported);
    CHECK(challenge_from_text(R"(Digest realm="x")").error().code == Errc::malformed);
    CHECK(challenge_from_text("Digest").error().code == Errc::malformed);
    CHECK(challenge_from_text(R"(Digest nonce="n", nonce="m")").error().code == Errc::malformed);
    CHECK(challenge_from_text(R"(Digest nonce="n)").error().code == Errc::malformed);
    CHECK(challenge_from_text(R"(Digest nonce="n" x)").error().code == Errc::malformed);
    CHECK(challenge_from_text("Digest nonce").error().code == Errc::malformed);
    CHECK(challenge_from_text(R"(Digest nonce=="n,m")").error().code == Errc::malformed);
    CHECK(challenge_from_text("Digest nonce=a b").error().code == Errc::malformed);
    CHECK(credentials_from_text(R"(Digest username="u", realm="r", nonce="n", uri="sip:x")").error().code ==
          Errc::malformed);
    const std::string whole = R"(Digest username="u", realm="r", nonce="n", uri="sip:x", response="0")";
    CHECK(credentials_from_text(whole));
    CHECK(credentials_from_text(whole + ", nc=\"a,b=c\"").value().nc.empty());
    CHECK(credentials_from_text(whole + ", qop=auth-int").error().code == Errc::unsupported);
    CHECK(credentials_from_text(whole + ", qop=auth, nc=1, cnonce=\"c\"").error().code == Errc::malformed);
    CHECK(credentials_from_text(whole + ", qop=auth, nc=0000000g, cnonce=\"c\"").error().code == Errc::malformed);
    CHECK(credentials_from_text(whole + ", qop=auth, nc=00000001").error().code == Errc::malformed);
    std::string many = whole;
    for (int i = 0; i < 40; ++i) many += ", x" + std::to_string(i) + "=1";
    CHECK(credentials_from_text(many).error().code == Errc::exhausted);
}

TEST_CASE("a phone that knows its password is let in, one that does not is refused") {
    Authenticator door("sheaf", "key");
    const auto challenges = door.challenges(kNow, "5a17", false);
    REQUIRE(challenges.size() == 2);
    CHECK(challenges[0].find("SHA-256") != std::string::npos);
    CHECK(challenges[1].find("MD5") != std::string::npos);
    CHECK(register_with(door, phone_answers(challenges)) == Verdict::accepted);
    CHECK(register_with(door, phone_answers({challenges[1]}, "00000002")) == Verdict::accepted);
    CHECK(register_with(door, phone_answers(challenges, "00000003", "guess")) == Verdict::wrong);
    // The digest covers the method and the URI.
    CHECK(door.check(phone_answers(challenges, "00000004"), "secret", "INVITE", kNow) == Verdict::wrong);
    auto moved = phone_answers(challenges, "00000005");
    moved.uri = "sip:paris";
    CHECK(register_with(door, moved) == Verdict::wrong);
    auto elsewhere = phone_answers(challenges, "00000006");
    elsewhere.realm = "other";
    elsewhere.response = digest_response(elsewhere, "secret", "REGISTER");
    CHECK(register_with(door, elsewhere) == Verdict::wrong);
}

TEST_CASE("a used nonce count is a replay, a higher one is not") {
    Authenticator door("sheaf", "key");
    const auto challenges = door.challenges(kNow, "01", false);
    CHECK(register_with(door, phone_answers(challenges, "00000001")) == Verdict::accepted);
    CHECK(register_with(door, phone_answers(challenges, "00000001")) == Verdict::replayed);
    CHECK(register_with(door, phone_answers(challenges, "0000000a")) == Verdict::accepted);
    CHECK(register_with(door, phone_answers(challenges, "00000009")) == Verdict::replayed);
    CHECK(register_with(door, phone_answers(door.challenges(kNow, "02", false), "00000000")) == Verdict::wrong);
    // Without qop there is no count, so it is not taken.
    auto without = phone_answers(challenges, "0000000b");
    without.qop.clear();
    without.response = digest_response(without, "secret", "REGISTER");
    CHECK(register_with(door, without) == Verdict::wrong);
}

TEST_CASE("a nonce lives five minutes and only with its own realm and key") {
    Authenticator door("sheaf", "key");
    const auto challenges = door.challenges(kNow, "01", false);
    CHECK(register_with(door, phone_answers(challenges, "00000001"), kNow + Authenticator::kNonceLife) ==
          Verdict::accepted);
    CHECK(register_with(door, phone_answers(challenges, "00000002"),
                        kNow + Authenticator::kNonceLife + std::chrono::milliseconds{1}) == Verdict::stale);
    // Stale is only said to one who knows the password.
    CHECK(register_with(door, phone_answers(challenges, "00000002", "guess"), kNow + std::chrono::hours{1}) ==
          Verdict::wrong);
    CHECK(register_with(door, phone_answers(challenges, "00000003"), kNow - std::chrono::hours{1}) == Verdict::stale);

    Authenticator restarted("sheaf", "another key");
    CHECK(register_with(restarted, phone_answers(challenges)) == Verdict::stale);
    auto forged = phone_answers(challenges);
    forged.nonce[3] = forged.nonce[3] == 'f' ? '0' : 'f';
    forged.response = digest_response(forged, "secret", "REGISTER");
    CHECK(register_with(door, forged) == Verdict::stale);
    forged.nonce = "short";
    forged.response = digest_response(forged, "secret", "REGISTER");
    CHECK(register_with(door, forged) == Verdict::stale);
    const auto fresh = challenge_from_text(door.challenges(kNow, "02", true)[0]).value();
    CHECK(fresh.stale);
}

TEST_CASE("nonce counts are bounded, and a forgotten nonce cannot be replayed") {
    Authenticator door("sheaf", "key");
    const auto at = [](std::size_t i) { return kNow + std::chrono::milliseconds{static_cast<std::int64_t>(i)}; };
    const auto first = phone_answers(door.challenges(at(0), "01", false));
    CHECK(register_with(door, first) == Verdict::accepted);
    for (std::size_t i = 1; i <= Authenticator::kNoncesMax; ++i) {
        const auto verdict = register_with(door, phone_answers(door.challenges(at(i), "01", false)), at(i));
        REQUIRE(verdict == Verdict::accepted);
    }
    CHECK(door.nonces() == Authenticator::kNoncesMax);
    CHECK(register_with(door, first, at(Authenticator::kNoncesMax)) == Verdict::stale);
    CHECK(register_with(door, phone_answers(door.challenges(at(1), "01", false)), at(2)) == Verdict::replayed);
}

}  // namespace
}  // namespace sheaf::sip
