// SPDX-License-Identifier: Apache-2.0
#include "archive/ingest.h"

#include <doctest/doctest.h>

#include <boost/json.hpp>

#include "archive/story_test.h"
#include "base/bytes.h"
#include "base/digest.h"

using namespace sheaf;
using namespace sheaf::archive;
using sheaf::archive::testing::Story;
namespace json = boost::json;

namespace {

const Caller kLondon{Scope::site, "default", false, "london", {"london-1"}};

std::string body_of(const std::vector<json::value>& facts) {
    json::array list(facts.begin(), facts.end());
    return json::serialize(json::object{{"facts", std::move(list)}});
}

Story one_call() {
    Story story;
    story.call("london", 0, "U1", "inbound", "U1");
    return story;
}

}  // namespace

TEST_CASE("a batch is taken fact by fact, and what breaks a rule is refused with its id and reason") {
    Story story = one_call();
    story.say("london", 1, "party.joined", {{"calluuid", "U1"}, {"connection", "c"}, {"role", "wizard"}});
    story.say("london", 2, "call.ended", {{"calluuid", ""}});
    story.say("london", 3, "something.new", {{"anything", {1, 2}}});
    std::vector<json::value> facts;
    for (const Fact& fact : story.facts) facts.push_back(to_json(fact));
    auto forged = to_json(story.facts.front());
    forged["mono"] = 5;
    facts.push_back(forged);
    facts.push_back("no fact");
    const auto batch = batch_from(body_of(facts), kLondon);
    REQUIRE(batch);
    CHECK(batch->facts == std::vector<Fact>{story.facts[0], story.facts[3]});
    CHECK(batch->typed.size() == 2);
    REQUIRE(batch->rejected.size() == 4);
    CHECK(batch->rejected[0].id == story.facts[1].id);
    CHECK(batch->rejected[0].error == "party.joined: role is not one of the known words");
    CHECK(batch->rejected[1].error == "call.ended: calluuid is missing");
    CHECK(batch->rejected[2].error.find("hash") != std::string::npos);
    CHECK(batch->rejected[3].id.empty());
}

TEST_CASE("a fact of another sender stops the whole batch") {
    for (const Caller& other : {Caller{Scope::site, "other", false, "london", {"london-1"}},
                                Caller{Scope::site, "default", false, "paris", {"london-1"}},
                                Caller{Scope::site, "default", false, "london", {"london-2"}}}) {
        const auto batch = batch_from(body_of({to_json(one_call().facts[0])}), other);
        REQUIRE_FALSE(batch);
        CHECK(batch.error().code == Errc::forbidden);
    }
    CHECK(batch_from(body_of({to_json(one_call().facts[0])}), Caller{Scope::admin, "default", true, {}, {}}));
}

TEST_CASE("a site cannot say that the archive has stored something, nor decide for operators") {
    Story story;
    story.say("london", 0, "segment.stored",
              {{"segment", "f"}, {"sha256", std::string(64, 'a')}, {"bytes", 1}, {"media_type", "audio/wav"}});
    story.say("london", 0, "operator.link", {{"link", "l"}, {"from", "a"}, {"to", "b"}, {"by", "me"}});
    const auto body = body_of({to_json(story.facts[0]), to_json(story.facts[1])});
    const auto batch = batch_from(body, kLondon);
    REQUIRE(batch);
    CHECK(batch->rejected.size() == 2);
    CHECK(batch_from(body, Caller{Scope::admin, "default", true, {}, {}})->rejected.size() == 1);
}

TEST_CASE("batches and facts have their limits") {
    CHECK(batch_from(std::string(kBatchBytesMax + 1, ' '), kLondon).error().code == Errc::exhausted);
    const std::vector<json::value> many(kBatchFactsMax + 1, json::value(1));
    CHECK(batch_from(body_of(many), kLondon).error().code == Errc::exhausted);
    CHECK(batch_from(body_of({many.begin(), many.end() - 1}), kLondon)->rejected.size() == kBatchFactsMax);
    Story story;
    story.say("london", 0, "something.new", {{"words", std::string(kFactBytesMax, 'x')}});
    const auto batch = batch_from(body_of({to_json(story.facts[0])}), kLondon);
    REQUIRE(batch);
    CHECK(batch->rejected.size() == 1);
    for (const char* text : {"", "[]", "{}", "{\"facts\": 1}", "{\"facts\": [", "\xff"})
        CHECK(batch_from(text, kLondon).error().code == Errc::malformed);
}

TEST_CASE("texts, ids and lists inside a fact have their limits") {
    const auto error_of = [](const std::string& type, json::object data) {
        Story story;
        story.say("london", 0, type, std::move(data));
        const auto typed = typed_fact(story.facts[0]);
        return typed ? std::string() : typed.error().what;
    };
    const std::string long_id(kIdBytesMax + 1, 'x');
    CHECK(error_of("call.ended", {{"calluuid", std::string(kIdBytesMax, 'x')}}).empty());
    CHECK_FALSE(error_of("call.ended", {{"calluuid", long_id}}).empty());
    CHECK_FALSE(error_of("call.ended", {{"calluuid", "a b"}}).empty());
    CHECK_FALSE(error_of("call.ended", {{"calluuid", "a\xc3\xa9"}}).empty());
    CHECK_FALSE(error_of("call.ended", {{"calluuid", 7}}).empty());
    CHECK_FALSE(error_of("call.ended", {{"calluuid", "u"}, {"cause", std::string(kTextBytesMax + 1, 'x')}}).empty());
    json::object link = {{"link", "l"}, {"from", "a"}, {"to", "b"}, {"kind", "route"}, {"tier", 1}, {"half", "both"}};
    CHECK(error_of("link.opened", link).empty());
    link["tier"] = 3;
    CHECK_FALSE(error_of("link.opened", link).empty());
    link["tier"] = 0;
    link["evidence"] = json::array(kEvidenceMax + 1, json::object());
    CHECK_FALSE(error_of("link.opened", link).empty());
    link["evidence"] = json::array{json::object{{"messages", json::array(kEvidenceMax + 1, "m")}}};
    CHECK_FALSE(error_of("link.opened", link).empty());
    link["evidence"] = json::array{json::object{{"messages", json::array{"m"}}}};
    link["half"] = "to";
    link["to"] = nullptr;
    CHECK_FALSE(error_of("link.opened", link).empty());
    link["half"] = "from";
    CHECK(error_of("link.opened", link).empty());
    const json::object lost = {{"segment", "f"}, {"calluuid", "u"}, {"connection", "c"}, {"from_ms", 5}};
    CHECK_FALSE(error_of("segment.lost", lost).empty());
    json::object answered = {{"link", "l"}, {"half", "from"}, {"status", 200}, {"answer_mono", 1'000'000'000'000'000}};
    CHECK(error_of("link.answered", answered).empty());
    for (const std::int64_t beyond : {1'000'000'000'000'001, -1'000'000'000'000'001}) {
        answered["answer_mono"] = beyond;
        CHECK(error_of("link.answered", answered).find("out of range") != std::string::npos);
    }
}

TEST_CASE("Content-Digest gives the SHA-256, among others if need be") {
    const auto digest = sha256(as_bytes("abc"));
    const std::string base64 = to_base64(digest);
    CHECK(sha256_from_content_digest("sha-256=:" + base64 + ":").value() == to_hex(digest));
    CHECK(sha256_from_content_digest("sha-512=:AAAA:,  sha-256=:" + base64 + ":").value() == to_hex(digest));
    for (const std::string& wrong : {std::string(), std::string("sha-256"), "sha-256=:" + base64,
                                     "sha-256=:" + base64.substr(1) + ":", "sha-256=:" + std::string(44, '=') + ":",
                                     "sha-256=:" + std::string(43, '*') + "=:", "sha-512=:" + base64 + ":"})
        CHECK(sha256_from_content_digest(wrong).error().code == Errc::malformed);
}

TEST_CASE("media comes in the types we can serve") {
    CHECK(media_type_from("audio/flac; rate=8000").value() == "audio/flac");
    CHECK(media_type_from("text/html").error().code == Errc::unsupported);
    CHECK(media_type_from("").error().code == Errc::unsupported);
}

TEST_CASE("tokens and cookies stand for what is configured, and for nothing else") {
    const Access access({{"s3cret", Scope::site, "default", "london", {"london-1"}},
                         {"reader", Scope::read, "default", {}, {}},
                         {"", Scope::admin, "default", {}, {}}},
                        {});
    CHECK(access.by_token("s3cret")->site == "london");
    CHECK(access.by_token("s3cret")->may_send());
    CHECK_FALSE(access.by_token("s3cret")->may_read());
    CHECK(access.by_token("reader")->may_read());
    CHECK_FALSE(access.by_token("reader")->may_send());
    CHECK_FALSE(access.by_token("reader")->may_operate());
    CHECK_FALSE(access.by_token(""));
    CHECK_FALSE(access.by_token("s3cre"));
    CHECK_FALSE(access.everyone());
    const std::string cookie = access.cookie_for("reader");
    CHECK(cookie.find("reader") == std::string::npos);
    CHECK(access.by_cookie(cookie)->scope == Scope::read);
    CHECK_FALSE(access.by_cookie("reader"));
    CHECK_FALSE(access.by_cookie(""));
    CHECK(access.cookie_for("nobody").empty());
    CHECK(Access({}, "default").everyone()->may_operate());
}
