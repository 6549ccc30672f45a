// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <set>
#include <string>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/entropy.h"
#include "base/fact.h"
#include "base/json.h"
#include "base/text.h"
#include "base/time.h"

namespace sheaf {
namespace {

Fact sample() {
    Fact fact{.id = {},
              .tenant = "default",
              .site = "london",
              .node = "london-1",
              .seq = 7,
              .at = WallTime{std::chrono::milliseconds{1'700'000'000'123}},
              .mono = 42,
              .type = "call.started",
              .data = {{"calluuid", "u1"}, {"ani", nullptr}}};
    fact.id = fact_id(fact).value();
    return fact;
}

TEST_CASE("a time survives the way to text and back") {
    const WallTime t{std::chrono::milliseconds{1'700'000'000'123}};
    CHECK(to_rfc3339(t) == "2023-11-14T22:13:20.123Z");
    CHECK(wall_from_rfc3339(to_rfc3339(t)).value() == t);
    CHECK(wall_from_rfc3339("2023-11-15T00:13:20.123456+02:00").value() == t);
    CHECK_FALSE(wall_from_rfc3339("2023-02-30T00:00:00Z"));
    CHECK_FALSE(wall_from_rfc3339("yesterday"));
    CHECK_FALSE(wall_from_rfc3339("2023-11-14T22:13:20.123"));
    for (const char* text : {"1970-01-01T00:00:00.000Z", "0000-02-29T23:59:59.999Z", "9999-12-31T00:00:00.001Z"}) {
        CHECK(to_rfc3339(wall_from_rfc3339(text).value()) == text);
    }
}

TEST_CASE("hashes and checksums give the published values") {
    CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(md5_hex("") == "d41d8cd98f00b204e9800998ecf8427e");
    CHECK(crc32c(as_bytes("123456789")) == 0xE3069283U);
    CHECK(crc32c(as_bytes("6789"), crc32c(as_bytes("12345"))) == 0xE3069283U);
    CHECK(to_base64(as_bytes("ab")) == "YWI=");
    for (int again = 0; again < 2; ++again) {  // none remembers the key before it
        CHECK(hmac_sha256_hex("", "") == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
        CHECK(hmac_sha256_hex(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First") ==
              "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");  // RFC 4231 §4.7
    }
    CHECK(hmac_sha256_hex("key", "The quick brown fox jumps over the lazy dog") ==
          "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8");
    Sha256Stream stream;
    stream.add(as_bytes("a"));
    stream.add(as_bytes("bc"));
    CHECK(stream.finish() == sha256(as_bytes("abc")));
}

TEST_CASE("canonical JSON orders names, escapes little and refuses fractions") {
    CHECK(canonical_json(json_from_text(R"({"b":[1,true,null],"a":"\u20ac\u000f\n/"})").value()).value() ==
          "{\"a\":\"\xE2\x82\xAC\\u000f\\n/\",\"b\":[1,true,null]}");
    std::string every = "\x7F";
    for (char c = 0; c < 0x30; ++c) every += c;
    every += "\\ \xE2\x82\xAC";
    std::string text;
    append_json_string(text, every);
    CHECK(json_from_text(text).value() == boost::json::value(every));
    CHECK(text.find("\\u0000\\u0001") != std::string::npos);
    CHECK(text.find("\\b\\t\\n\\u000b\\f\\r") != std::string::npos);
    // Wherever it stands among plain characters: eight of them are looked at together.
    for (const char c : {'"', '\\', '\n', '\x1F'}) {
        for (std::size_t at = 0; at <= 20; ++at) {
            std::string plain = "0123456789 \x7F-./:;<>_\xE2\x82\xAC";
            plain.insert(at, 1, c);
            std::string quoted;
            append_json_string(quoted, plain);
            CHECK(json_from_text(quoted).value() == boost::json::value(plain));
        }
    }
    CHECK_FALSE(canonical_json(json_from_text("[1.5]").value()));
    CHECK_FALSE(canonical_json(json_from_text("[18446744073709551615]").value()));
    CHECK_FALSE(canonical_json(json_from_text("[9007199254740993]").value()));
    // RFC 8785 §3.2.3: an astral name comes before U+FB33.
    CHECK(canonical_json(json_from_text("{\"\xEF\xAC\xB3\":1,\"\xF0\x9F\x98\x80\":2}").value()).value() ==
          "{\"\xF0\x9F\x98\x80\":2,\"\xEF\xAC\xB3\":1}");
}

TEST_CASE("JSON as it is keeps the order of its members and any number") {
    const std::string_view text = R"({"b":[1,-2.5E0,{"":null}],"a":18446744073709551615,"c":"\u0001\"é","d":true})";
    std::string out;
    append_json(out, json_from_text(text).value().get_object());
    CHECK(out == text);
}

TEST_CASE("UTF-8 is told from other bytes wherever they stand") {
    for (const std::string_view good : {"\xC3\xAB", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", ""}) {
        for (std::size_t before = 0; before <= 9; ++before)
            CHECK(is_utf8(std::string(before, 'a') + std::string(good) + "bcdefghij"));
    }
    for (const std::string_view bad : {"\xC3", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\x80"}) {
        for (std::size_t before = 0; before <= 9; ++before) {
            CHECK_FALSE(is_utf8(std::string(before, 'a') + std::string(bad) + "bcdefghij"));
            CHECK_FALSE(is_utf8(std::string(before, 'a') + std::string(bad)));
        }
    }
}

TEST_CASE("a fact whose content was touched is refused") {
    const Fact fact = sample();
    // Of {"at":"2023-11-14T22:13:20.123Z","data":{"ani":null,"calluuid":"u1"},"mono":42,"node":"london-1","seq":7,…}
    CHECK(fact.id == "a1883ee67801556733a10d91125700bb9b155003ca59aacc1f1e5f5fcc7dd8a5");
    CHECK(fact_from_json(to_json(fact)).value() == fact);
    const Stamp stamp{Instant(std::chrono::milliseconds(fact.mono)), fact.at};
    const auto text = sealed(fact, fact.seq, {stamp, fact.type, fact.data});
    REQUIRE(text);
    CHECK(fact_from_json(json_from_text(*text).value()).value() == fact);
    boost::json::object touched = to_json(fact);
    touched["site"] = "paris";
    CHECK(fact_from_json(touched).error().what == "id is not the hash of the other fields");
    boost::json::object extended = to_json(fact);
    extended["extra"] = 1;
    CHECK_FALSE(fact_from_json(extended));
}

TEST_CASE("the same seed mints the same identifiers") {
    Entropy::Seed seed{};
    seed[3] = 9;
    Entropy a(seed);
    Entropy b(seed);
    const std::string first = a.uuid();
    CHECK(first == b.uuid());
    CHECK(first != a.uuid());
    CHECK(first.size() == 36);
    CHECK(first[14] == '4');
    CHECK(a.token(8).size() == 16);
}

TEST_CASE("identifiers are ChaCha20's key stream: RFC 8439 appendix A.1, vectors 1 and 2, and on beyond one stretch") {
    Entropy chance(Entropy::Seed{});
    CHECK(chance.token(32) == "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7");
    CHECK(chance.token(32) == "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586");
    CHECK(chance.token(32) == "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed");
    std::set<std::string> drawn;
    for (int i = 0; i < 100; ++i) drawn.insert(chance.token(32));
    CHECK(drawn.size() == 100);
    CHECK_FALSE(drawn.contains("76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"));
}

TEST_CASE("JSON deeper than the limit is refused") {
    std::string deep(kJsonDepthMax + 1, '[');
    deep.append(kJsonDepthMax + 1, ']');
    CHECK_FALSE(json_from_text(deep));
}

}  // namespace
}  // namespace sheaf
