// SPDX-License-Identifier: Apache-2.0
#include "apps/switch/site_messages.h"

#include <doctest/doctest.h>

#include "base/digest.h"

using namespace sheaf;
using namespace sheaf::apps;
using namespace std::chrono_literals;

namespace {

const WallTime kNow{std::chrono::milliseconds{1'767'605'400'123}};
constexpr std::string_view kNonce = "0123456789abcdef";

SiteSignature signed_now(std::string_view body, std::string_view nonce = kNonce, WallTime at = kNow) {
    return sign_site_request("POST", kSiteAgentsPath, "london", "secret", body, at, nonce);
}

Result<void> check(SiteGuard& guard, const SiteSignature& given, std::string_view body,
                   std::string_view secret = "secret") {
    return guard.check(given, "POST", kSiteAgentsPath, secret, body, kNow);
}

}  // namespace

TEST_CASE("a site's signature is over the documented lines") {
    const auto given = signed_now("{}");
    const std::string lines =
        "POST\n/v1/site/agents\nlondon\n1767605400123\n0123456789abcdef\n" + sha256_hex("{}") + "\n";
    CHECK(given.signature == hmac_sha256_hex("secret", lines));
    SiteGuard guard;
    CHECK(check(guard, given, "{}"));
}

TEST_CASE("a changed, foreign, repeated or dated request is not believed") {
    SiteGuard guard;
    CHECK(!check(guard, signed_now("{}"), "{ }"));
    CHECK(!check(guard, signed_now("{}"), "{}", "another secret"));
    auto other = signed_now("{}");
    other.site = "paris";
    CHECK(!check(guard, other, "{}"));
    CHECK(!check(guard, sign_site_request("PUT", kSiteAgentsPath, "london", "secret", "{}", kNow, kNonce), "{}"));
    CHECK(!check(guard, signed_now("{}", "xyz"), "{}"));
    CHECK(!check(guard, signed_now("{}", kNonce, kNow - 3'601s), "{}"));
    CHECK(!check(guard, signed_now("{}", kNonce, kNow + 3'601s), "{}"));
    CHECK(!check(guard, sign_site_request("POST", kSiteAgentsPath, "london", "", "{}", kNow, kNonce), "{}", ""));
    CHECK(check(guard, signed_now("{}", "fedcba9876543210", kNow - 600s), "{}"));
    CHECK(check(guard, signed_now("{}"), "{}"));
    CHECK(!check(guard, signed_now("{}"), "{}"));
}

TEST_CASE("the memory of nonces is bounded") {
    constexpr std::size_t kMax = 100;
    SiteGuard guard(kMax);
    for (std::size_t i = 0; i <= kMax; ++i) {
        std::string nonce = std::to_string(i);
        nonce.insert(0, 16 - nonce.size(), '0');
        REQUIRE(check(guard, signed_now("{}", nonce), "{}"));
    }
    CHECK(guard.nonces_of("london") == kMax);
}

TEST_CASE("readiness goes out and comes in whole") {
    exchange::RemoteAgents readiness;
    readiness.boot = "b1";
    readiness.seq = 12;
    readiness.agents = {{"2001", "ready", 5'321}, {"2002", "busy", 0}};
    const auto read = readiness_from_body(readiness_body(readiness), "london");
    REQUIRE(read);
    CHECK(read->site == "london");
    CHECK(read->boot == "b1");
    CHECK(read->seq == 12);
    CHECK(read->agents == readiness.agents);
}

TEST_CASE("readiness that breaks a rule is refused") {
    for (const std::string body :
         {"", "[]", "{", R"({"seq":1})", R"({"seq":-1,"agents":[]})", R"({"seq":"1","agents":[]})",
          R"({"seq":1,"agents":[1]})", R"({"seq":1,"agents":[{"dn":"1","state":"ready"}]})",
          R"({"seq":1,"agents":[{"dn":"","state":"ready","for_ms":0}]})",
          R"({"seq":1,"agents":[{"dn":"1","state":"ready","for_ms":-1}]})"}) {
        CAPTURE(body);
        CHECK(!readiness_from_body(body, "london"));
    }
    CHECK(readiness_from_body(R"({"seq":1,"agents":[],"further":true})", "london"));
    CHECK(!readiness_from_body(std::string(kSiteBodyMax + 1, ' '), "london"));
    exchange::RemoteAgents many;
    many.agents.resize(kSiteAgentsMax + 1, {"1", "ready", 0});
    CHECK(!readiness_from_body(readiness_body(many), "london"));
}
