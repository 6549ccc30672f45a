// SPDX-License-Identifier: Apache-2.0
#include "edge/delivery/courier.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/json.h"
#include "edge/delivery/messages.h"
#include "edge/http/server.h"

namespace sheaf::delivery {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using std::chrono::seconds;
using std::chrono::steady_clock;

FactDraft draft(int number) {
    return {Stamp{}, "call.started", {{"calluuid", "u" + std::to_string(number)}}};
}

// A node and an archive that keeps what it is given, on one io_context.
struct World {
    World() : folder(fs::temp_directory_path() / ("sheaf-courier-" + std::to_string(::getpid()))) {
        fs::remove_all(folder);
        fs::create_directories(folder);
        options = {folder / "outbox.db", "default", "london", "london-1", "switch", {}, "secret"};
        start_archive();
        options.archive_url = "http://127.0.0.1:" + std::to_string(port);
    }
    ~World() { fs::remove_all(folder); }
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    void start_archive() {
        http::ServerOptions server;
        server.port = port;
        server.upload_bytes_max = 1 << 20;
        server.upload_prefix = "/v1/segments/";
        server.spool = folder;
        auto listening =
            http::Server::listen(io, server, [this](const http::Request& request, const http::Reply& reply) {
                reply(status != 200 ? http::problem(status, "no") : handle(request));
            });
        REQUIRE(listening);
        archive = std::move(*listening);
        port = archive->port();
    }
    http::Response handle(const http::Request& request) {
        if (request.bearer() != "secret") return http::problem(401, "Unauthorized");
        if (request.method == "PUT") {
            std::ifstream file(request.body_file);
            const std::string content(std::istreambuf_iterator<char>(file), {});
            const auto digest = "sha-256=:" + to_base64(Bytes(sha256(as_bytes(content)))) + ":";
            if (request.header("content-digest") != digest) return http::problem(400, "Bad Request");
            if (is_somebody_else) return {.status = 200, .body = "welcome"};
            files[request.path] = content;
            const auto name = request.path.substr(13, request.path.find('/', 13) - 13);
            return http::json_response(
                201, boost::json::serialize(boost::json::object{{"segment", name}, {"sha256", sha256_hex(content)}}));
        }
        const auto body = json_from_text(request.body);
        boost::json::array accepted;
        boost::json::array rejected;
        for (const auto& value : body->at("facts").as_array()) {
            const auto fact = fact_from_json(value);
            REQUIRE(fact);
            const bool bad = fact->data.at("calluuid") == "u666";
            if (bad) rejected.push_back({{"id", fact->id}, {"error", "bad call"}});
            if (!bad) accepted.push_back(value.at("id"));
            if (!bad) seqs.insert(fact->seq);
        }
        return http::json_response(
            200, boost::json::serialize(boost::json::object{{"accepted", accepted}, {"rejected", rejected}}));
    }
    std::unique_ptr<Courier> open() {
        CourierEvents events;
        events.file_delivered = [this](const std::string& segment, const std::string&) { freed.insert(segment); };
        events.notice = [this](link::Notice notice, const std::string&) { notices.push_back(notice); };
        auto courier = Courier::open(io, options, std::move(events));
        REQUIRE(courier);
        return std::move(*courier);
    }
    void run_until(const std::function<bool()>& done) {
        io.restart();
        const auto until = steady_clock::now() + seconds(20);
        while (!done() && steady_clock::now() < until) io.run_one_for(seconds(1));
        REQUIRE(done());
    }
    link::OutboxFile file(const std::string& segment, const std::string& content) const {
        std::ofstream(folder / segment) << content;
        return {segment, folder / segment, sha256_hex(content), content.size(), "audio/wav"};
    }

    asio::io_context io;
    fs::path folder;
    CourierOptions options;
    std::unique_ptr<http::Server> archive;
    std::uint16_t port = 0;
    bool is_somebody_else = false;
    int status = 200;
    std::set<std::uint64_t> seqs;
    std::map<std::string, std::string> files;
    std::set<std::string> freed;
    std::vector<link::Notice> notices;
};

TEST_CASE("facts and files reach the archive, and only then is a file freed") {
    World world;
    const auto courier = world.open();
    REQUIRE(courier->add({draft(1), draft(666), draft(3)}));
    REQUIRE(courier->add_file(world.file("s1", "one")));
    REQUIRE(courier->add_file(world.file("s2", std::string(200'000, 'x'))));
    REQUIRE(courier->add_file(world.file("s3", "three")));
    CHECK(world.freed.empty());
    world.run_until([&] { return world.seqs.size() == 2 && world.freed.size() == 3; });
    CHECK(world.seqs == std::set<std::uint64_t>{1, 3});
    CHECK(world.files.at("/v1/segments/s2/media").size() == 200'000);
    world.run_until([&] { return courier->counts()->facts_refused == 1; });
    CHECK(courier->counts()->facts_pending == 0);
    CHECK(courier->counts()->files_pending == 0);
    CHECK(world.notices == std::vector<link::Notice>{link::Notice::fact_refused});
}

TEST_CASE("while the archive is away everything is kept, and delivered when it comes, also by a later process") {
    World world;
    world.archive.reset();
    {
        const auto courier = world.open();
        REQUIRE(courier->add({draft(1)}));
        REQUIRE(courier->add_file(world.file("s1", "one")));
        world.run_until([&] { return world.notices.size() == 2; });
        CHECK(world.notices[0] == link::Notice::archive_away);
    }
    const auto courier = world.open();
    REQUIRE(courier->add({draft(2)}));
    world.run_until([&] { return world.notices.size() == 4; });
    world.start_archive();
    world.run_until([&] { return world.seqs.size() == 2 && world.freed.size() == 1; });
    CHECK(world.files.size() == 1);
}

TEST_CASE("a file that is gone or not what it was is put aside and does not stop the others") {
    World world;
    const auto courier = world.open();
    auto changed = world.file("changed", "one");
    changed.sha256 = sha256_hex("two");
    auto gone = world.file("gone", "three");
    fs::remove(gone.path);
    REQUIRE(courier->add_file(changed));
    REQUIRE(courier->add_file(gone));
    REQUIRE(courier->add_file(world.file("good", "four")));
    world.run_until([&] { return world.freed.size() == 1 && courier->counts()->files_refused == 2; });
    CHECK(world.freed == std::set<std::string>{"good"});
}

TEST_CASE("a token that the archive refuses keeps everything and is said once") {
    World world;
    world.options.archive_token = "wrong";
    const auto courier = world.open();
    REQUIRE(courier->add({draft(1)}));
    world.run_until([&] { return !world.notices.empty(); });
    CHECK(world.notices == std::vector<link::Notice>{link::Notice::credentials_refused});
    CHECK(courier->counts()->facts_pending == 1);
}

TEST_CASE("without an archive everything stays in the outbox") {
    World world;
    world.options.archive_url.clear();
    const auto courier = world.open();
    REQUIRE(courier->add({draft(1)}));
    world.io.poll();
    CHECK(courier->counts()->facts_pending == 1);
    CHECK(world.seqs.empty());
}

TEST_CASE("an answer that is not what the archive should say is a failure, not a delivery") {
    for (const char* body :
         {"", "[]", "{}", R"({"accepted": 1})", R"({"accepted": [], "rejected": [{"error": "x"}]})"}) {
        CAPTURE(body);
        CHECK(facts_answer(http::ClientResponse{200, {}, body}).outcome == link::Outcome::failed);
    }
    CHECK(facts_answer(http::ClientResponse{503, {}, "x"}).outcome == link::Outcome::failed);
    CHECK(facts_answer(fail(Errc::timeout, "late")).reason == "late");
    const auto refused = facts_answer(http::ClientResponse{
        413, {{"Content-Type", "application/problem+json"}}, R"({"title": "Too Large", "detail": "by far"})"});
    CHECK(refused.outcome == link::Outcome::refused);
    CHECK(refused.reason == "status 413, Too Large, by far");
}

TEST_CASE("whoever else sits at the archive's address neither takes a file nor refuses anything for good") {
    const auto outcome = [](int status, const char* type, const std::string& body) {
        return file_answer("s", "ab", http::ClientResponse{status, {{"content-type", type}}, body}).outcome;
    };
    const std::string ours = R"({"segment": "s", "sha256": "ab"})";
    CHECK(outcome(201, "application/json", ours) == link::Outcome::taken);
    CHECK(outcome(200, "text/html", "<html>") == link::Outcome::failed);
    CHECK(outcome(204, "", "") == link::Outcome::failed);
    CHECK(outcome(200, "application/json", R"({"segment": "s", "sha256": "cd"})") == link::Outcome::failed);
    CHECK(outcome(200, "application/json", R"({"segment": "t", "sha256": "ab"})") == link::Outcome::failed);
    CHECK(outcome(413, "text/html", "<html>") == link::Outcome::failed);
    CHECK(outcome(413, "application/problem+json", "{}") == link::Outcome::refused);
    CHECK(outcome(409, "application/problem+json; charset=utf-8", "{}") == link::Outcome::refused);
    CHECK(outcome(400, "application/problem+json", "{}") == link::Outcome::failed);  // spoilt on its way
    CHECK(facts_answer(http::ClientResponse{400, {{"Content-Type", "text/html"}}, ""}).outcome ==
          link::Outcome::failed);
}

TEST_CASE("a file stays until the archive itself has it") {
    World world;
    world.is_somebody_else = true;
    const auto courier = world.open();
    REQUIRE(courier->add_file(world.file("s1", "one")));
    world.run_until([&] { return !world.notices.empty(); });
    CHECK(world.notices.front() == link::Notice::archive_away);
    CHECK(courier->counts()->files_pending == 1);
    CHECK(world.freed.empty());
    world.is_somebody_else = false;
    world.run_until([&] { return world.freed.size() == 1; });
}

TEST_CASE("a segment's name cannot leave its place in the URL") {
    const auto request = file_request("http://a", "", {"../x?y", "/f", std::string(64, 'a'), 1, "audio/wav"});
    CHECK(request.url == "http://a/v1/segments/..%2Fx%3Fy/media");
    CHECK(request.headers.size() == 2);
}

}  // namespace
}  // namespace sheaf::delivery
