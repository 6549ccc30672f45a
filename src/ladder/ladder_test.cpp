// SPDX-License-Identifier: Apache-2.0
#include "ladder/ladder.h"

#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <chrono>

#include "sip/message.h"

using namespace sheaf;
using namespace sheaf::ladder;
using namespace std::chrono_literals;

namespace {

const sip::Endpoint kUs{sip::Transport::udp, "127.0.0.1", 5060};
const sip::Endpoint kThem{sip::Transport::udp, "127.0.0.9", 5060};

std::string request(const std::string& call_id, const std::string& method = "INVITE", int cseq = 1,
                    const std::string& body = {}) {
    return method + " sip:x SIP/2.0\r\nCall-ID: " + call_id + "\r\nCSeq: " + std::to_string(cseq) + " " + method +
           "\r\n\r\n" + body;
}

struct Switch {
    Ladder ladder;
    WallTime now{1'767'605'400'000ms};
    explicit Switch(Limits limits = {}) : ladder(limits) {}
    void pass(const std::string& bytes, bool sent = false) {
        now += 1ms;
        ladder.add(now, sent, kUs, kThem, bytes);
    }
    void leg(const std::string& leg, const std::string& call_id, const std::string& call) {
        pass(request(call_id));
        ladder.begin(LegId(leg), call_id);
        if (!call.empty()) ladder.tie(CallUuid(call), LegId(leg));
    }
    std::vector<std::string> ids(const std::string& call) const {
        std::vector<std::string> out;
        const auto found = ladder.of(CallUuid(call));
        if (!found) return out;
        for (const auto& message : found->messages) out.push_back(message.id);
        return out;
    }
};

using Ids = std::vector<std::string>;

}  // namespace

TEST_CASE("a call's messages are those of all dialogs of its legs, in order, also what came before it was known") {
    Switch s;
    s.leg("customer", "a@c", "u1");
    s.leg("agent", "b@l", "u1");
    s.ladder.begin(LegId("agent"), "m@l");  // the media server's dialog of the same leg
    s.pass(request("m@l"), true);
    s.pass("SIP/2.0 200 OK\r\ni: a@c\r\ncseq: 1 INVITE\r\n\r\n", true);
    s.leg("other", "z@z", "u2");
    CHECK(s.ids("u1") == Ids{"a@c;1;INVITE", "b@l;1;INVITE", "m@l;1;INVITE", "a@c;1;INVITE"});
    const auto first = s.ladder.of(CallUuid("u1"))->messages.front();
    CHECK(first.at == WallTime{1'767'605'400'001ms});
    CHECK_FALSE(first.sent);
    CHECK(first.local == kUs);
    CHECK(first.remote == kThem);
    CHECK(first.text == request("a@c"));
    CHECK_FALSE(s.ladder.of(CallUuid("u3")));
}

TEST_CASE("what comes after a leg's end belongs to it, and a leg belongs to every call that it was part of") {
    Switch s;
    s.leg("agent", "a@c", "u1");
    s.ladder.tie(CallUuid("u2"), LegId("agent"));  // it consults
    s.ladder.end(LegId("agent"));
    s.pass(request("a@c", "BYE", 2));
    CHECK(s.ids("u1") == Ids{"a@c;1;INVITE", "a@c;2;BYE"});
    CHECK(s.ids("u2") == s.ids("u1"));
    s.leg("customer", "b@c", "u3");
    s.ladder.merge(CallUuid("u3"), CallUuid("u1"));
    CHECK(s.ids("u1").size() == 3);
    CHECK(s.ids("u3").size() == 1);
    s.ladder.merge(CallUuid("unknown"), CallUuid("u1"));
    s.ladder.tie(CallUuid("u1"), LegId("unknown"));
    s.ladder.end(LegId("unknown"));
    CHECK(s.ladder.counts().legs == 2);
}

TEST_CASE("a Call-ID that two legs have is of both, and goes from both") {
    Switch s({.bytes_max = 2'000, .messages_of_dialog_max = 10});
    s.leg("one", "a@c", "u1");
    s.leg("two", "a@c", "u2");
    s.ladder.tie(CallUuid("u1"), LegId("two"));
    CHECK(s.ids("u1").size() == 2);
    CHECK(s.ids("u2").size() == 2);
    s.ladder.end(LegId("two"));
    s.pass(request("stray", "INFO", 1, std::string(1'500, 'x')));
    CHECK(s.ids("u1").size() == 2);  // one of them is still in progress
    s.ladder.end(LegId("one"));
    s.leg("three", "b@c", "u3");
    s.pass(request("b@c", "INFO", 2, std::string(1'700, 'x')));
    CHECK_FALSE(s.ladder.of(CallUuid("u1")));
    CHECK_FALSE(s.ladder.of(CallUuid("u2")));
    s.ladder.tie(CallUuid("u4"), LegId("one"));
    CHECK_FALSE(s.ladder.of(CallUuid("u4")));
    CHECK(s.ladder.counts().legs == 1);
}

TEST_CASE("a message's id is the one that evidence names, also where its Call-ID is masked or odd") {
    Switch s;
    for (const std::string& call_id :
         {std::string("px-Ab12@host"), std::string("J\xc3\xb6rg@c"), std::string(300, 'x')}) {
        s.leg(call_id, call_id, "u" + call_id);
        s.pass(request(call_id, "BYE", 2));
        const auto name = sip::message_id(call_id, 2, "BYE");
        REQUIRE(s.ids("u" + call_id).size() == 2);
        CHECK(s.ids("u" + call_id).back() == name);
    }
}

TEST_CASE("registrations and questions whether somebody is there are not kept, nor what names no dialog") {
    Switch s;
    s.pass(request("a@c", "REGISTER"));
    s.pass(request("a@c", "OPTIONS"));
    s.pass("INVITE sip:x SIP/2.0\r\nCall-ID: a\r\n\r\n");
    s.pass("INVITE sip:x SIP/2.0\r\nCall-ID: a\r\nCSeq: 99999999999 INVITE\r\n\r\n");
    s.pass("no SIP");
    CHECK(s.ladder.counts().dialogs == 0);
}

TEST_CASE("strangers go first, then calls that are over, those in progress stay") {
    const std::size_t size = request("call-000").size();
    Switch s({.bytes_max = 100 * (size + 200), .messages_of_dialog_max = 10});
    s.leg("live", "live@c", "u-live");
    for (int i = 0; i < 20; ++i) {
        const auto n = std::to_string(i);
        s.leg("l" + n, "over-" + n, "u" + n);
        s.ladder.end(LegId("l" + n));
    }
    CHECK(s.ladder.counts().calls == 21);
    for (int i = 0; i < 1'000; ++i) s.pass(request("stray-" + std::to_string(i)));
    CHECK(s.ids("u0").size() == 1);  // a flood costs strangers their own share only
    CHECK(s.ladder.counts().dialogs < 21 + 100 / 8 + 2);
    for (int i = 0; i < 200; ++i) {
        const auto n = std::to_string(1'000 + i);
        s.leg("l" + n, "over-" + n, "u" + n);
        s.ladder.end(LegId("l" + n));
    }
    CHECK(s.ids("u0").empty());
    CHECK(s.ids("u1199").size() == 1);
    CHECK(s.ids("u-live").size() == 1);
    CHECK(s.ladder.counts().bytes <= 100 * (size + 200));
    CHECK(s.ladder.counts().calls == s.ladder.counts().legs);
    CHECK(s.ladder.counts().dropped == 0);
}

TEST_CASE("when calls in progress fill the room further messages are counted, and again kept when one is over") {
    Switch s({.bytes_max = 6'000, .messages_of_dialog_max = 1'000});
    s.leg("a", "a@c", "u1");
    s.leg("b", "b@c", "u2");
    for (int i = 2; i < 40; ++i) s.pass(request("a@c", "INFO", i, std::string(100, 'x')));
    CHECK(s.ladder.of(CallUuid("u1"))->dropped > 0);
    CHECK(s.ladder.counts().bytes <= 6'000);
    const auto kept = s.ids("u1").size();
    CHECK(kept > 5);
    CHECK(kept < 39);
    s.ladder.end(LegId("a"));
    s.pass(request("b@c", "INFO", 2, std::string(3'000, 'x')));
    CHECK(s.ids("u2").size() == 2);
    CHECK(s.ids("u1").empty());
}

TEST_CASE("one stranger with one Call-ID drives out no call") {
    Switch s({.bytes_max = 100'000});
    for (int i = 0; i < 20; ++i) {
        const auto n = std::to_string(i);
        s.leg("l" + n, "over-" + n, "u" + n);
        s.ladder.end(LegId("l" + n));
    }
    for (int i = 1; i < 900; ++i) s.pass(request("stray@c", "INFO", i, std::string(1'000, 'x')));
    CHECK(s.ids("u0").size() == 1);
    CHECK(s.ladder.counts().bytes < 40'000);
    CHECK(s.ladder.counts().dropped > 800);
}

TEST_CASE("of a Call-ID that is used for ever more calls the last legs are known") {
    Switch s;
    for (int i = 0; i < 1'000; ++i) {
        const auto n = std::to_string(i);
        s.leg("l" + n, "same@c", "u" + n);
        s.ladder.end(LegId("l" + n));
    }
    CHECK(s.ladder.counts().legs == 16);
    CHECK(s.ladder.counts().calls == 16);
    CHECK(s.ids("u999").size() == 1'000);
    CHECK_FALSE(s.ladder.of(CallUuid("u983")));
}

TEST_CASE("a dialog's messages are counted from the limit on, and a long message is cut") {
    Switch s({.bytes_max = 10'000'000, .messages_of_dialog_max = 10});
    s.leg("a", "a@c", "u1");
    for (int i = 2; i < 30; ++i) s.pass(request("a@c", "INFO", i, std::string(70'000, 'x')));
    const auto found = s.ladder.of(CallUuid("u1"));
    CHECK(found->messages.size() == 10);
    CHECK(found->dropped == 19);
    CHECK(found->messages.back().text.size() == kTextBytesMax);
    // Where it is named may have been cut off.
    s.pass("INVITE sip:x SIP/2.0\r\nCall-ID: b@c\r\nX: " + std::string(61'000, 'x') + "\r\nCSeq: 7 INVITE\r\n\r\n");
    s.ladder.begin(LegId("b"), "b@c");
    s.ladder.tie(CallUuid("u2"), LegId("b"));
    CHECK(s.ids("u2") == Ids{"b@c;7;INVITE"});

    Switch large;
    large.leg("a", "a@c", "u1");
    for (int i = 2; i < 30; ++i) large.pass(request("a@c", "INFO", i, std::string(70'000, 'x')));
    CHECK(large.ids("u1").size() == 18);  // a megabyte
}

TEST_CASE("nothing is left once everything has gone") {
    Switch s({.bytes_max = 3'000, .messages_of_dialog_max = 10});
    for (int i = 0; i < 50; ++i) {
        const auto n = std::to_string(i);
        s.leg("l" + n, "c" + n, i % 3 == 0 ? "" : "u" + n);
        s.ladder.end(LegId("l" + n));
    }
    s.ladder.begin(LegId("last"), "last@c");
    s.pass(request("last@c", "INFO", 1, std::string(2'500, 'x')));
    const auto counts = s.ladder.counts();
    CHECK(counts.dialogs == 1);
    CHECK(counts.legs == 1);
    CHECK(counts.calls == 0);
}

TEST_CASE("a message is JSON and back, whatever its bytes") {
    for (const std::string& text : {request("a@c"), std::string("J\xc3\xb6rg"), std::string("\xff\x00\xe9 latin", 8),
                                    std::string("\xed\xa0\x80"), std::string("\xf4\x90\x80\x80"), std::string()}) {
        CAPTURE(text);
        const Message message{7, WallTime{1'767'605'400'123ms}, true, kUs, kThem, "a;1;INVITE", text};
        const auto json = to_json(message);
        const auto back = message_from_json(boost::json::parse(boost::json::serialize(json)));
        REQUIRE(back);
        CHECK(*back == message);
    }
    const Message plain{1, WallTime{1'767'605'400'000ms}, false, kUs, kThem, "a;1;BYE", "x"};
    CHECK(boost::json::serialize(to_json(plain)) ==
          R"({"number":1,"at":"2026-01-05T09:30:00.000Z","direction":"received","local":"udp:127.0.0.1:5060",)"
          R"("remote":"udp:127.0.0.9:5060","id":"a;1;BYE","message":"x"})");
    for (const char* bad :
         {"5", "{}", R"({"number":1.5})", R"({"number":1,"at":"x","direction":"sent","id":"","message":""})",
          R"({"number":1,"at":"2026-01-05T09:30:00.000Z","direction":"sent","id":"","message":""})"}) {
        CAPTURE(bad);
        CHECK_FALSE(message_from_json(boost::json::parse(bad)));
    }
}
