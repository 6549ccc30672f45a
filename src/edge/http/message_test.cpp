// SPDX-License-Identifier: Apache-2.0
#include "edge/http/message.h"

#include <doctest/doctest.h>

namespace sheaf::http {
namespace {

using Kind = RangeChoice::Kind;

TEST_CASE("a request target is decoded once, and what cannot be a path is refused") {
    const auto target = target_from_text("/v1/recordings/a%20b?party=%2B33&label=a+b&empty=&bare");
    REQUIRE(target);
    CHECK(target->path == "/v1/recordings/a b");
    REQUIRE(target->query.size() == 4);
    CHECK(target->query[0] == std::pair<std::string, std::string>("party", "+33"));
    CHECK(target->query[1].second == "a b");
    CHECK(target->query[3] == std::pair<std::string, std::string>("bare", ""));
    CHECK(target_from_text("http://archive:8080/livez")->path == "/livez");
    CHECK(target_from_text("http://archive")->path == "/");
    for (const char* bad :
         {"", "*", "livez", "//evil/x", "/a%00b", "/a%0d%0ab", "/a b", "/%zz", "ftp://a/b", "/?a%01=1"}) {
        CAPTURE(bad);
        CHECK_FALSE(target_from_text(bad));
    }
}

TEST_CASE("where no token is asked for, only loopback names are served") {
    for (const char* host : {"localhost", "localhost:8080", "127.0.0.1:80", "127.9.9.9", "[::1]:8080"})
        CHECK(is_loopback_host(host));
    for (const char* host :
         {"", "example.org", "127.0.0.1.example.org", "localhost.example.org:80", "[::2]", "10.0.0.1"})
        CHECK_FALSE(is_loopback_host(host));
}

TEST_CASE("a page of another site is told from the one that is served here") {
    CHECK_FALSE(is_of_another_page("", "archive:8080"));
    CHECK_FALSE(is_of_another_page("http://archive:8080", "archive:8080"));
    CHECK_FALSE(is_of_another_page("https://archive", "archive"));
    for (const char* origin : {"http://evil", "null", "http://archive:8080.evil", "ftp://archive:8080", "archive:8080"})
        CHECK(is_of_another_page(origin, "archive:8080"));
}

TEST_CASE("one range of a file is chosen; what is not understood is ignored, what is not there is unsatisfiable") {
    CHECK(choose_range("bytes=0-9", 100) == RangeChoice{Kind::part, 0, 9});
    CHECK(choose_range("bytes=90-", 100) == RangeChoice{Kind::part, 90, 99});
    CHECK(choose_range("bytes=90-500", 100) == RangeChoice{Kind::part, 90, 99});
    CHECK(choose_range("bytes=-10", 100) == RangeChoice{Kind::part, 90, 99});
    CHECK(choose_range("Bytes=-500", 100) == RangeChoice{Kind::part, 0, 99});
    for (const char* whole : {"", "lines=1-2", "bytes=", "bytes=a-b", "bytes=5-4", "bytes=0-1,3-4", "bytes=5",
                              "bytes=-", "bytes=99999999999999999999-"}) {
        CAPTURE(whole);
        CHECK(choose_range(whole, 100) == RangeChoice{});
    }
    CHECK(choose_range("bytes=100-", 100).kind == Kind::unsatisfiable);
    CHECK(choose_range("bytes=-0", 100).kind == Kind::unsatisfiable);
    CHECK(choose_range("bytes=0-", 0).kind == Kind::unsatisfiable);
}

TEST_CASE("an event's data may have several lines, and cannot end the event") {
    CHECK(event_text("a") == "data: a\n\n");
    CHECK(event_text("a\nb\r\nc\rd") == "data: a\ndata: b\ndata: c\ndata: d\n\n");
    CHECK(event_text("") == "data: \n\n");
}

TEST_CASE("a header that would start another line is not a header") {
    CHECK(is_header("Location", "/login?x=1"));
    CHECK_FALSE(is_header("Location", "/a\r\nSet-Cookie: x=1"));
    CHECK_FALSE(is_header("Bad Name", "x"));
    CHECK_FALSE(is_header("", "x"));
}

TEST_CASE("lists of header values are read item by item, whatever their case") {
    CHECK(list_has("text/html, TEXT/event-stream;q=0.9", "text/event-stream"));
    CHECK_FALSE(list_has("text/event-streams", "text/event-stream"));
    CHECK_FALSE(list_has("", "x"));
}

TEST_CASE("a request gives its bearer token and its cookies") {
    Request request;
    request.headers["authorization"] = "bearer  abc ";
    request.headers["cookie"] = "a=1; sheaf=t=2;b=";
    CHECK(request.bearer() == "abc");
    CHECK(request.cookie("sheaf") == "t=2");
    CHECK(request.cookie("b").empty());
    CHECK(request.cookie("c").empty());
    request.headers["authorization"] = "Basic abc";
    CHECK(request.bearer().empty());
}

TEST_CASE("a problem says status, title and detail as RFC 9457 has them") {
    const auto response = problem(404, "Not Found", "no \"such\" call");
    CHECK(response.status == 404);
    CHECK(response.headers[0].second == "application/problem+json");
    CHECK(response.body == R"({"type":"about:blank","title":"Not Found","status":404,"detail":"no \"such\" call"})");
}

}  // namespace
}  // namespace sheaf::http
