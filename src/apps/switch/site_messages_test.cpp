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

TEST_CASE("a pause and its confirmation go out and come in whole") {
    const exchange::TellPause pause{"paris", LinkId("l1"), true, {"agent 1001", "p1", 1'767'605'400'123, 250}};
    const auto body = pause_body(pause);
    // docs/formats/site.md has this example.
    CHECK(body ==
          R"({"link":"l1","on":true,"by":"agent 1001","id":"p1","at":"2026-01-05T09:30:00.123Z","ago_ms":250})");
    const auto told = pause_from_body(body, "london");
    REQUIRE(told);
    CHECK(told->site == "london");
    CHECK(told->link == LinkId("l1"));
    CHECK(told->on);
    CHECK(told->pause == pause.pause);
    const auto confirmed = confirmation_from_body(confirmation_body({"london", LinkId("l1"), "p1"}), "paris");
    REQUIRE(confirmed);
    CHECK(confirmed->site == "paris");
    CHECK(confirmed->link == LinkId("l1"));
    CHECK(confirmed->pause == "p1");
}

TEST_CASE("a pause that breaks a rule is refused, but not for how its maker is called") {
    const std::string good =
        R"({"link":"l1","on":false,"by":"x","id":"p1","at":"2026-01-05T09:30:00.123Z","ago_ms":0})";
    REQUIRE(pause_from_body(good, "london"));
    const auto with = [&](const std::string& from, const std::string& to) {
        auto changed = good;
        changed.replace(changed.find(from), from.size(), to);
        return changed;
    };
    for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{{R"("link":"l1",)", ""},
                                                                                   {"l1", ""},
                                                                                   {"l1", "l 1"},
                                                                                   {"l1", std::string(129, 'l')},
                                                                                   {"false", "\"no\""},
                                                                                   {R"("p1")", "1"},
                                                                                   {"2026-01-05", "yesterday "},
                                                                                   {":0}", ":-1}"},
                                                                                   {":0}", ":86400001}"}}) {
        CAPTURE(to);
        CHECK(!pause_from_body(with(from, to), "london"));
    }
    CHECK(pause_from_body(with(R"("x")", "\"B\xc3\xbcro\""), "london")->pause.by == "B??ro");
    CHECK(pause_from_body(with(R"("x")", "\"" + std::string(500, 'y') + "\""), "london")->pause.by.size() == 128);
    CHECK(!confirmation_from_body(R"({"link":"l1"})", "paris"));
    CHECK(!confirmation_from_body("[]", "paris"));
}

TEST_CASE("a request that has lain about looks older than its site's others, whatever the clocks say") {
    SiteAges ages;
    const auto at = [](std::int64_t ms) { return WallTime(std::chrono::milliseconds(1'767'605'400'000 + ms)); };
    const auto said = [](const std::string& site, std::int64_t ms) {
        return SiteSignature{site, std::to_string(1'767'605'400'000 + ms), {}, {}};
    };
    CHECK(ages.lain_ms(said("paris", 600'000), at(10)) == 0);     // its clock is ten minutes ahead; nothing to compare
    CHECK(ages.lain_ms(said("paris", 605'000), at(5'003)) == 0);  // the youngest
    CHECK(ages.lain_ms(said("paris", 606'000), at(8'003)) == 2'000);
    CHECK(ages.lain_ms(said("hub", 0), at(9'000)) == 0);
    CHECK(ages.lain_ms(said("paris", 670'000), at(70'500)) == 497);  // the span before counts, too
    CHECK(ages.lain_ms(said("paris", 735'000), at(140'000)) == 4'500);
    CHECK(ages.lain_ms(said("paris", 800'000), at(205'000)) == 0);  // it may be slower now
    CHECK(ages.lain_ms({"paris", "soon", {}, {}}, at(205'000)) == 0);
}
