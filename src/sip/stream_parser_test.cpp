// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "sip/message.h"

namespace sheaf::sip {
namespace {

const std::string kStart = "OPTIONS sip:hub.example.com SIP/2.0\r\n";
const std::string kMust =
    "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: c\r\n"
    "CSeq: 1 OPTIONS\r\n";

// A request with further headers (each with its line end) and a body.
std::string request(const std::string& headers = {}, const std::string& body = {}) {
    return kStart + kMust + headers + "\r\n" + body;
}
Message parsed(const std::string& bytes) {
    auto message = message_from_datagram(bytes);
    REQUIRE_MESSAGE(message, (message ? std::string() : to_string(message.error())));
    return *std::move(message);
}

TEST_CASE("a stream is cut into messages wherever its packets end") {
    const auto one = request("l: 3\r\n", "abc");
    const auto two = request("Content-Length: 0\r\n");
    const auto all = one + "\r\n" + two + one;
    for (std::size_t step = 1; step < all.size(); step += 7) {
        StreamParser stream;
        std::vector<Message> got;
        for (std::size_t i = 0; i < all.size(); i += step) {
            stream.feed(std::string_view(all).substr(i, step));
            while (auto message = stream.next()) {
                REQUIRE(*message);
                got.push_back(**message);
            }
        }
        CHECK(got == std::vector<Message>{parsed(one), parsed(two), parsed(one)});
        CHECK(stream.buffered() == 0);
        CHECK(stream.take_pings() == 0);
    }
}

TEST_CASE("double line ends on a stream are pings, single ones are not") {
    StreamParser stream;
    stream.feed("\r\n\r\n\r\n\r\n\r\n");
    CHECK_FALSE(stream.next());
    CHECK(stream.take_pings() == 2);
    CHECK(stream.take_pings() == 0);
    stream.feed("\r\n");
    CHECK_FALSE(stream.next());
    CHECK(stream.take_pings() == 1);
    stream.feed("\r\n" + request("l: 0\r\n"));
    CHECK(stream.next().value());
    CHECK(stream.take_pings() == 0);
    CHECK(stream.buffered() == 0);
}

TEST_CASE("a stream that cannot be followed ends with one error") {
    const auto broken = [](const std::string& bytes, Errc code) {
        StreamParser stream;
        stream.feed(bytes);
        const auto message = stream.next();
        REQUIRE(message);
        REQUIRE_FALSE(*message);
        CHECK(message->error().code == code);
        stream.feed(request("l: 0\r\n"));
        CHECK_FALSE(stream.next());
        CHECK(stream.buffered() == 0);
        CHECK(stream.broken() == bytes.substr(0, kMessageBytesMax));
    };
    broken(request(), Errc::malformed);  // no Content-Length (§18.3)
    broken(request("l: -1\r\n"), Errc::malformed);
    broken(request("l: 1\r\nl: 1\r\n"), Errc::malformed);
    broken("GET / HTTP/1.1\r\nHost: h\r\n\r\n", Errc::malformed);
    broken(request("l: 1\r\n 2\r\n"), Errc::malformed);  // folded: another may read 1
    broken(request("l: 0x1\r\n"), Errc::malformed);
    broken(request("Subject: a\r\n l: 0\r\n"), Errc::malformed);  // goes on a line before, and is none
    broken(request("l: " + std::to_string(kBodyBytesMax + 1) + "\r\n"), Errc::exhausted);
    broken(std::string(kMessageBytesMax + 1, 'x'), Errc::exhausted);
    std::string wide;
    for (int i = 0; i < 3; ++i) wide += "Z: " + std::string(16'000, 'x') + "\r\n";
    broken(request(wide + "l: " + std::to_string(kBodyBytesMax) + "\r\n"), Errc::exhausted);

    // A message that arrives whole before the broken one is still good.
    StreamParser stream;
    stream.feed(request("l: 0\r\n") + request());
    CHECK(*stream.next());
    const auto message = stream.next();
    REQUIRE(message);
    CHECK_FALSE(*message);
    CHECK(stream.is_lost());
    CHECK(salvage_request(stream.broken()));

    StreamParser waiting;
    waiting.feed(request("l: 10\r\n", "short"));
    CHECK_FALSE(waiting.next());
    CHECK(waiting.buffered() > 0);
}

TEST_CASE("what is wrong with a message of a stream concerns that one only, where it is known how long it is") {
    const auto good = request("l: 0\r\n");
    for (const auto& wrong : {request("l: 1\r\nMax-Forwards: x\r\n", "b"), request("l: 1\r\nno colon\r\n", "b"),
                              std::string("no start line\r\nl: 1\r\n\r\nb")}) {
        CAPTURE(wrong);
        StreamParser stream;
        stream.feed(good + wrong + good);
        CHECK(*stream.next());
        const auto message = stream.next();
        REQUIRE(message);
        CHECK_FALSE(*message);
        CHECK(message->error().code == Errc::malformed);
        CHECK_FALSE(stream.is_lost());
        CHECK(stream.broken() == wrong);
        const auto next = stream.next();
        REQUIRE(next);
        CHECK(*next);
        CHECK(stream.buffered() == 0);
    }
}

}  // namespace
}  // namespace sheaf::sip
