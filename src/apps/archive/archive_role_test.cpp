// SPDX-License-Identifier: Apache-2.0
#include "apps/archive/archive_role.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>

#include "apps/archive/embedded.h"
#include "apps/archive/page.h"
#include "archive/story_test.h"
#include "base/digest.h"
#include "edge/http/client.h"

using namespace sheaf;
using namespace sheaf::archive_role;
using archive::testing::Story;
namespace asio = boost::asio;
namespace json = boost::json;

namespace {

std::string header_of(const http::ClientResponse& response, std::string_view name) {
    for (const auto& [key, value] : response.headers)
        if (std::equal(key.begin(), key.end(), name.begin(), name.end(),
                       [](char a, char b) { return std::tolower(a) == std::tolower(b); }))
            return value;
    return {};
}

// An archive on a folder of its own, and a client, in one thread.
class Lab {
public:
    Lab() {
        char name[] = "/tmp/sheaf-role-XXXXXX";
        folder = mkdtemp(name);
        settings.data = folder + "/data";
        settings.port = 0;
        settings.tokens = {{"london", "london-token", config::TokenScope::site, "default", "london", {"london-1"}},
                           {"paris", "paris-token", config::TokenScope::site, "default", "paris", {"paris-1"}},
                           {"reader", "reader-token", config::TokenScope::read, "default", {}, {}},
                           {"stranger", "stranger-token", config::TokenScope::read, "other", {}, {}}};
    }
    ~Lab() {
        stop();
        std::filesystem::remove_all(folder);
    }
    void start() {
        auto started = ArchiveRole::start(
            io, settings, [this] { return Stamp{Instant(), WallTime(std::chrono::milliseconds(now_ms))}; });
        if (!started) FAIL(to_string(started.error()));
        role = std::move(*started);
        client = http::Client::create(io);
    }
    void stop() {
        client.reset();
        role.reset();
        io.restart();
        io.poll();
    }
    http::ClientResponse ask(const std::string& method, const std::string& path, const std::string& token,
                             std::vector<std::pair<std::string, std::string>> headers = {}, std::string body = {}) {
        http::ClientRequest request;
        request.method = method;
        request.url = "http://127.0.0.1:" + std::to_string(role->port()) + path;
        request.headers = std::move(headers);
        if (!token.empty()) request.headers.emplace_back("Authorization", "Bearer " + token);
        request.body = std::move(body);
        std::optional<Result<http::ClientResponse>> answer;
        client->send(std::move(request), [&](Result<http::ClientResponse> a) { answer = std::move(a); });
        io.restart();
        while (!answer) io.run_one();
        if (!*answer) FAIL(to_string(answer->error()));
        return **answer;
    }
    json::value get(const std::string& path, const std::string& token = "reader-token") {
        const auto response = ask("GET", path, token);
        REQUIRE(response.status == 200);
        return json::parse(response.body);
    }
    http::ClientResponse say(const std::vector<Fact>& facts, const std::string& token) {
        json::array list;
        for (const Fact& fact : facts) list.push_back(to_json(fact));
        return ask("POST", "/v1/facts", token, {{"Content-Type", "application/json"}},
                   json::serialize(json::object{{"facts", std::move(list)}}));
    }
    http::ClientResponse put(const std::string& segment, const std::string& bytes, const std::string& token,
                             const std::string& type = "audio/wav", const std::string& promised = {}) {
        const std::string digest = to_base64(sha256(as_bytes(promised.empty() ? bytes : promised)));
        return ask("PUT", "/v1/segments/" + segment + "/media", token,
                   {{"Content-Type", type}, {"Content-Digest", "sha-256=:" + digest + ":"}}, bytes);
    }

    std::string folder;
    config::ArchiveSettings settings;
    std::int64_t now_ms = Story::kStart + 200'000;
    asio::io_context io;
    std::unique_ptr<ArchiveRole> role;
    std::unique_ptr<http::Client> client;
};

// A connection on which a test writes what it likes.
class Conversation {
public:
    explicit Conversation(Lab& lab) : lab_(lab), socket_(lab.io) {
        socket_.connect({asio::ip::make_address("127.0.0.1"), lab.role->port()});
    }
    void send(const std::string& text) { asio::write(socket_, asio::buffer(text)); }
    void hear(const std::string& words) {
        bool found = false;
        asio::async_read_until(socket_, heard_, words, [&](boost::system::error_code error, std::size_t) {
            CHECK_FALSE(error);
            found = true;
        });
        lab_.io.restart();
        while (!found) lab_.io.run_one();
    }

private:
    Lab& lab_;
    asio::ip::tcp::socket socket_;
    asio::streambuf heard_;
};

// C is answered by A1 at london, sent to paris, and answered by A2: two files of one recording. Without segment.stored.
Story transfer() {
    Story s;
    s.set_clock("paris", 600'000);
    s.call("london", 0, "U1", "inbound", "U1");
    s.joined("london", 5, "U1", "c", "customer", "+447700900123");
    s.joined("london", 1000, "U1", "a1", "agent", "1001");
    s.segment("london", 1000, 5000, "F1", "U1", "a1");
    s.left("london", 5000, "U1", "a1");
    s.queued("london", 5000, 6000, "U1", "c");
    s.half("london", 6000, "L1", "from", "U1", nullptr, "transfer", "leg");
    s.call("paris", 6004, "U2", "inter-site", "U1");
    s.half("paris", 6004, "L1", "to", "U1", "U2", "transfer", "leg");
    s.joined("paris", 8000, "U2", "a2", "agent", "2001");
    s.joined("paris", 8000, "U2", "leg", "site", "+447700900123", "L1");
    s.answered("paris", 8001, "L1", "to", "U1");
    s.answered("london", 8005, "L1", "from", "U2");
    s.joined("london", 8005, "U1", "leg", "site", "2001@paris", "L1");
    s.segment("paris", 8000, 12000, "F2", "U2", "a2");
    s.end("london", 12000, "U1");
    s.end("paris", 12004, "U2");
    std::erase_if(s.facts, [](const Fact& f) { return f.site == "archive"; });
    return s;
}

// A pause has come late at that site; what is left of F1 is this.
void erase_of_f1(Story& s, const std::string& site, const std::string& left) {
    s.say(site, 90'000, "segment.erased",
          {{"segment", "F1"},
           {"calluuid", "U1"},
           {"connection", "a1"},
           {"from_ms", 1'000},
           {"to_ms", 2'000},
           {"label", "paused"},
           {"by", "1001"},
           {"sha256", to_hex(sha256(as_bytes(left)))}});
}

}  // namespace

TEST_CASE("facts and files in any order and twice become one recording with two files, also after a restart") {
    Lab lab;
    lab.start();
    std::mt19937 chance(3);
    const auto once = transfer().facts;
    auto facts = once;
    facts.insert(facts.end(), once.begin(), once.end());
    std::shuffle(facts.begin(), facts.end(), chance);
    CHECK(lab.put("F2", "second file", "paris-token").status == 201);
    for (const Fact& fact : facts) {
        const auto response = lab.say({fact}, fact.site + "-token");
        REQUIRE(response.status == 200);
        CHECK(json::parse(response.body).at("accepted").as_array().size() == 1);
    }
    CHECK(lab.put("F1", "first file", "london-token").status == 201);
    CHECK(lab.put("F1", "first file", "london-token").status == 200);
    const auto up_to = json::parse(lab.say({facts[0]}, facts[0].site + "-token").body).at("up_to");
    CHECK(up_to.at(facts[0].node).as_int64() >= 8);

    for (const bool again : {false, true}) {
        if (again) {
            lab.stop();
            lab.start();
        }
        const json::value page = lab.get("/v1/recordings?party=7700900123&site=paris&q=U2&agent=2001&state=complete");
        REQUIRE(page.at("items").as_array().size() == 1);
        CHECK(page.at("next_cursor").is_null());
        const json::value recording = lab.get("/v1/recordings/U2");
        CHECK(recording == page.at("items").at(0));
        CHECK(recording.at("id") == "U1");
        CHECK(recording.at("aliases") == json::array{"U2"});
        CHECK(recording.at("segments").as_array().size() == 2);
        CHECK(recording.at("segments").at(0).at("calluuid") == "U1");
        CHECK(recording.at("segments").at(1).at("calluuid") == "U2");
        CHECK(recording.at("segments").at(1).at("media").at("sha256").as_string() == sha256_hex("second file"));
        const std::string url(recording.at("segments").at(0).at("media").at("url").as_string());
        const auto media = lab.ask("GET", url, "reader-token");
        CHECK(media.body == "first file");
        CHECK(header_of(media, "content-type") == "audio/wav");
        const auto part = lab.ask("GET", url + "?format=wav", "reader-token", {{"Range", "bytes=6-9"}});
        CHECK(part.status == 206);
        CHECK(part.body == "file");
        CHECK(lab.get("/v1/recordings/U1/why").at("links").at(0).at("effect") == "joins");
    }
}

TEST_CASE("who may do what is judged for each request") {
    Lab lab;
    lab.start();
    const auto facts = transfer().facts;
    CHECK(lab.say({facts[0]}, "").status == 401);
    CHECK(lab.say({facts[0]}, "wrong").status == 401);
    CHECK(lab.say({facts[0]}, "reader-token").status == 403);
    CHECK(lab.say({facts[0]}, "paris-token").status == 403);
    CHECK(lab.put("F1", "x", "").status == 401);
    CHECK(lab.put("F1", "x", "reader-token").status == 403);
    for (const char* path : {"/v1/recordings", "/v1/recordings/U1", "/v1/recordings/U1/why", "/v1/alarms",
                             "/v1/segments/F1/media", "/v1/events"}) {
        CAPTURE(path);
        CHECK(lab.ask("GET", path, "").status == 401);
        CHECK(lab.ask("GET", path, "london-token").status == 403);
    }
    CHECK(lab.get("/v1/recordings").at("items").as_array().empty());
    for (const Fact& fact : facts) REQUIRE(lab.say({fact}, fact.site + "-token").status == 200);
    CHECK(lab.put("F1", "x", "paris-token").status == 403);  // london's segment
    CHECK(lab.put("F1", "x", "london-token").status == 201);
    CHECK(lab.ask("GET", "/v1/recordings/U1", "stranger-token").status == 404);
    CHECK(lab.ask("GET", "/v1/segments/F1/media", "stranger-token").status == 404);
    CHECK(lab.get("/v1/recordings", "stranger-token").at("items").as_array().empty());
}

TEST_CASE("a browser signs in by a link and may look, but not change, with its cookie") {
    Lab lab;
    lab.start();
    CHECK(lab.ask("GET", "/login?token=wrong", "").status == 403);
    CHECK(lab.ask("GET", "/login?token=london-token", "").status == 403);
    const auto login = lab.ask("GET", "/login?token=reader-token", "");
    CHECK(login.status == 303);
    CHECK(header_of(login, "location") == "/");
    const std::string set = header_of(login, "set-cookie");
    CHECK(set.find("HttpOnly") != std::string::npos);
    CHECK(set.find("SameSite=Strict") != std::string::npos);
    CHECK(set.find("reader-token") == std::string::npos);
    const std::string cookie = set.substr(0, set.find(';'));
    CHECK(lab.ask("GET", "/v1/recordings", "", {{"Cookie", cookie}}).status == 200);
    CHECK(lab.ask("POST", "/v1/facts", "", {{"Cookie", cookie}}, "{\"facts\":[]}").status == 401);
}

TEST_CASE("without tokens everyone on this machine may all, but no page of a foreign name") {
    Lab lab;
    lab.settings.auth_none = true;
    lab.start();
    CHECK(lab.say({transfer().facts[0]}, "").status == 200);
    CHECK(lab.ask("GET", "/v1/recordings", "").status == 200);
    Conversation with(lab);
    with.send("GET /v1/recordings HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    with.hear("HTTP/1.1 401");
    const std::string body = R"({"facts":[]})";
    CHECK(lab.ask("POST", "/v1/facts", "", {{"Origin", "http://evil.example"}}, body).status == 401);
    CHECK(lab.ask("POST", "/v1/facts", "", {}, body).status == 200);
}

TEST_CASE("media is what it was promised to be, once and for all") {
    Lab lab;
    lab.start();
    CHECK(lab.put("F1", "abc", "london-token", "text/html").status == 415);
    CHECK(lab.put("F1", "abc", "london-token", "audio/wav", "abd").status == 400);
    CHECK(lab.ask("PUT", "/v1/segments/F1/media", "london-token", {{"Content-Type", "audio/wav"}}, "abc").status ==
          400);
    CHECK(lab.put("F%201", "abc", "london-token").status == 404);
    CHECK(lab.put("..%2F..%2Fetc", "abc", "london-token", "audio/flac").status == 201);
    CHECK(lab.ask("GET", "/v1/segments/..%2F..%2Fetc/media", "reader-token").body == "abc");
    CHECK(lab.ask("GET", "/v1/segments/..%2F..%2Fetc/media?format=wav", "reader-token").status == 501);
    CHECK(lab.put("F1", "abc", "london-token").status == 201);
    CHECK(lab.put("F1", "abd", "london-token").status == 409);
    CHECK(lab.ask("GET", "/v1/segments/F1/media", "reader-token").body == "abc");
    CHECK(lab.ask("GET", "/v1/segments/F9/media", "reader-token").status == 404);
    CHECK(std::filesystem::is_empty(lab.folder + "/data/spool"));
}

TEST_CASE("a file of which a late pause has erased something goes at once, and only the one without it is taken") {
    Lab lab;
    lab.start();
    for (const Fact& fact : transfer().facts) REQUIRE(lab.say({fact}, fact.site + "-token").status == 200);
    REQUIRE(lab.put("F1", "with it", "london-token").status == 201);
    const auto erased = [](const std::string& site, const std::string& left) {
        Story s;
        for (int i = 0; i < 1'000; ++i) s.skip_seq(site);
        erase_of_f1(s, site, left);
        return s.facts;
    };
    CHECK(lab.say(erased("paris", "x"), "paris-token").status == 200);  // not its segment
    CHECK(lab.ask("GET", "/v1/segments/F1/media", "reader-token").body == "with it");
    REQUIRE(lab.say(erased("london", "without"), "london-token").status == 200);
    CHECK(lab.ask("GET", "/v1/segments/F1/media", "reader-token").status == 404);
    const auto has_alarm = [&] {
        const auto alarms = lab.get("/v1/alarms").at("items").as_array();
        return std::ranges::any_of(alarms, [](const json::value& a) { return a.at("kind") == "segment-not-erased"; });
    };
    CHECK(has_alarm());
    lab.stop();
    lab.start();
    CHECK(lab.put("F1", "with it", "london-token").status == 409);
    CHECK(lab.put("F1", "without", "london-token").status == 201);
    CHECK(lab.put("F1", "without", "london-token").status == 200);
    CHECK(lab.ask("GET", "/v1/segments/F1/media", "reader-token").body == "without");
    CHECK(!has_alarm());
    for (const auto& entry : std::filesystem::recursive_directory_iterator(lab.folder + "/data")) {
        if (!entry.is_regular_file()) continue;
        std::ifstream file(entry.path(), std::ios::binary);
        const std::string bytes((std::istreambuf_iterator<char>(file)), {});
        CHECK_MESSAGE(bytes.find("with it") == std::string::npos, entry.path().string());
    }
}

TEST_CASE("a file that is what the last of several late pauses has left stays when the archive starts anew") {
    Lab lab;
    lab.start();
    const Story told = transfer();
    for (const Fact& fact : told.facts) REQUIRE(lab.say({fact}, fact.site + "-token").status == 200);
    Story s;
    for (int i = 0; i < 1'000; ++i) s.skip_seq("london");
    for (const char* left : {"less", "least"}) erase_of_f1(s, "london", left);
    REQUIRE(lab.say({s.facts[0]}, "london-token").status == 200);
    REQUIRE(lab.put("F1", "less", "london-token").status == 201);
    REQUIRE(lab.say({s.facts[1]}, "london-token").status == 200);
    CHECK(lab.ask("GET", "/v1/segments/F1/media", "reader-token").status == 404);
    CHECK(lab.put("F1", "less", "london-token").status == 409);
    REQUIRE(lab.put("F1", "least", "london-token").status == 201);
    REQUIRE(lab.say({s.facts[0]}, "london-token").status == 200);  // said again, it takes nothing back
    CHECK(lab.ask("GET", "/v1/segments/F1/media", "reader-token").body == "least");
    lab.stop();
    lab.start();
    CHECK(lab.ask("GET", "/v1/segments/F1/media", "reader-token").body == "least");
    CHECK(lab.put("F1", "less", "london-token").status == 409);
}

TEST_CASE("what is not a request of ours gets a proper answer") {
    Lab lab;
    lab.start();
    CHECK(lab.ask("POST", "/v1/facts", "london-token", {}, "{").status == 400);
    CHECK(lab.ask("POST", "/v1/facts", "london-token", {}, std::string((1 << 20) + 1, ' ')).status == 413);
    CHECK(lab.say(std::vector<Fact>(1'001), "london-token").status == 413);
    CHECK(lab.ask("DELETE", "/v1/recordings/U1", "reader-token").status == 405);
    CHECK(lab.ask("GET", "/v1/facts", "reader-token").status == 405);
    CHECK(lab.ask("GET", "/v1/nothing", "reader-token").status == 404);
    CHECK(lab.ask("GET", "/v1/recordings/nobody", "reader-token").status == 404);
    CHECK(lab.ask("GET", "/v1/recordings?limit=201", "reader-token").status == 200);
    const auto wrong = lab.ask("GET", "/v1/recordings?limit=0", "reader-token");
    CHECK(wrong.status == 400);
    CHECK(header_of(wrong, "content-type") == "application/problem+json");
    CHECK(lab.ask("GET", "/v1/recordings?colour=red", "reader-token").status == 400);
    CHECK(lab.ask("GET", "/v1/recordings?cursor=x", "reader-token").status == 400);
    CHECK(lab.ask("GET", "/livez", "").status == 200);
    CHECK(lab.ask("GET", "/readyz", "").status == 200);
    CHECK(lab.ask("GET", "/metrics", "").body.find("sheaf_archive_facts_new_total 0") != std::string::npos);
}

TEST_CASE("recordings come in pages, newest first, each once") {
    Lab lab;
    lab.start();
    Story s;
    for (int i = 0; i < 7; ++i) {
        const std::string n = std::to_string(i);
        s.call("london", 1000 * i, "U" + n, "inbound", "U" + n);
        s.segment("london", 1000 * i + 500, 1000 * i + 900, "F" + n, "U" + n, "a" + n);
        s.end("london", 1000 * i + 950, "U" + n);
    }
    std::erase_if(s.facts, [](const Fact& f) { return f.site == "archive"; });
    REQUIRE(lab.say(s.facts, "london-token").status == 200);
    std::vector<std::string> ids;
    std::string cursor;
    for (int pages = 0; pages < 4; ++pages) {
        const json::value page = lab.get("/v1/recordings?limit=3&cursor=" + cursor);
        for (const json::value& item : page.at("items").as_array()) ids.emplace_back(item.at("id").as_string());
        if (page.at("next_cursor").is_null()) break;
        cursor = std::string(page.at("next_cursor").as_string());
    }
    CHECK(ids == std::vector<std::string>{"U6", "U5", "U4", "U3", "U2", "U1", "U0"});
    const auto some = lab.get("/v1/recordings?from=2026-01-05T09:30:02Z&to=2026-01-05T09:30:04Z");
    CHECK(some.at("items").as_array().size() == 2);
}

TEST_CASE("a segment that does not come is an alarm after a minute, and none once it has come") {
    Lab lab;
    lab.now_ms = Story::kStart + 12'500;
    lab.start();
    auto facts = transfer().facts;
    const auto sealed = std::ranges::find_if(
        facts, [](const Fact& f) { return f.type == "segment.sealed" && f.data.at("segment") == "F1"; });
    REQUIRE(sealed != facts.end());
    const Fact late = *sealed;
    facts.erase(sealed);
    for (const Fact& fact : facts) REQUIRE(lab.say({fact}, fact.site + "-token").status == 200);
    const auto kinds = [&] {
        std::vector<std::string> list;
        const json::value alarms = lab.get("/v1/alarms");
        for (const json::value& alarm : alarms.at("items").as_array()) list.emplace_back(alarm.at("kind").as_string());
        return list;
    };
    CHECK(kinds().empty());
    CHECK(lab.get("/v1/recordings/U1").at("state") == "open");
    lab.now_ms += 60'000;
    CHECK(kinds() == std::vector<std::string>{"segment-missing"});
    CHECK(lab.get("/v1/recordings/U1").at("gaps").at(1).at("reason") == "missing");
    lab.now_ms += 3'600'000;
    CHECK(lab.get("/v1/recordings/U1").at("state") == "incomplete");
    CHECK(lab.put("F1", "late", "london-token").status == 201);
    CHECK(lab.put("F2", "late too", "paris-token").status == 201);
    CHECK(kinds().empty());
    CHECK(lab.get("/v1/recordings/U1").at("state") == "incomplete");  // nobody knows yet how long the file is
    REQUIRE(lab.say({late}, late.site + "-token").status == 200);
    CHECK(lab.get("/v1/recordings/U1").at("state") == "complete");
    Story s;
    s.say("london", 0, "call.ended", {});
    s.facts[0].seq = 99;
    s.facts[0].id = fact_id(s.facts[0]).value();
    const auto said = json::parse(lab.say(s.facts, "london-token").body);
    CHECK(said.at("rejected").as_array().size() == 1);
    CHECK(said.at("up_to").at("london-1").as_int64() > 0);  // where it is heard up to, whatever has been refused
    CHECK(kinds() == std::vector<std::string>{"facts-refused"});
}

TEST_CASE("listeners hear of their tenant's recordings when they change") {
    Lab lab;
    lab.start();
    Conversation with(lab);
    with.send(
        "GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
        "Authorization: Bearer reader-token\r\n\r\n");
    with.hear("ready");
    REQUIRE(lab.say({transfer().facts[0]}, "london-token").status == 200);
    with.hear(R"("id":"U1")");
}

TEST_CASE("the page is allowed what it brings along and nothing else") {
    const std::string policy = policy_for("<style>a{}</style><script>1</script>");
    CHECK(policy.find("script-src 'sha256-" + to_base64(sha256(as_bytes("1"))) + "'") != std::string::npos);
    CHECK(policy.find("style-src 'sha256-" + to_base64(sha256(as_bytes("a{}"))) + "'") != std::string::npos);
    Lab lab;
    lab.start();
    const auto page = lab.ask("GET", "/", "");
    CHECK(page.status == 200);
    CHECK(page.body == kPage);
    CHECK(header_of(page, "content-security-policy") == policy_for(kPage));
    CHECK(std::all_of(kPage.begin(), kPage.end(), [](char c) { return static_cast<signed char>(c) > 0; }));
    for (const char* foreign : {"http://", "https://", "//cdn", " style=", " onclick=", "innerHTML"}) {
        CAPTURE(foreign);
        CHECK(kPage.find(foreign) == std::string_view::npos);
    }
}

TEST_CASE("the description of the API has every path that is served") {
    const json::value description = json::parse(kOpenapi);
    for (const char* path :
         {"/v1/facts", "/v1/recordings", "/v1/recordings/{id}", "/v1/recordings/{id}/why", "/v1/segments/{id}/media",
          "/v1/alarms", "/v1/events", "/livez", "/readyz", "/metrics", "/openapi.json", "/login", "/"}) {
        CAPTURE(path);
        CHECK(description.at("paths").as_object().contains(path));
    }
    Lab lab;
    lab.start();
    CHECK(lab.ask("GET", "/openapi.json", "").body == kOpenapi);
}
