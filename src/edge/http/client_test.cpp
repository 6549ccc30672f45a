// SPDX-License-Identifier: Apache-2.0
#include "edge/http/client.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "edge/http/server.h"

namespace sheaf::http {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;

struct Pair {
    explicit Pair(Handler handler, ServerOptions options = {}, std::size_t connections_max = 4)
        : client(Client::create(io, connections_max)) {
        start(std::move(handler), std::move(options));
    }
    void start(Handler handler, ServerOptions options = {}) {
        auto listening = Server::listen(io, std::move(options), std::move(handler));
        REQUIRE(listening);
        server = std::move(*listening);
        url = "http://127.0.0.1:" + std::to_string(server->port());
    }
    Result<ClientResponse> send(ClientRequest request) {
        std::optional<Result<ClientResponse>> result;
        io.restart();
        client->send(std::move(request), [&](Result<ClientResponse> got) { result = std::move(got); });
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (!result && std::chrono::steady_clock::now() < until) io.run_one_for(std::chrono::seconds(1));
        REQUIRE(result);
        return *result;
    }

    asio::io_context io;
    std::unique_ptr<Client> client;
    std::unique_ptr<Server> server;
    std::string url;
};

Handler echo() {
    return [](Request request, const Reply& reply) {
        reply({200, {{"X-Method", request.method}, {"X-Token", request.bearer()}}, request.target + request.body, {}});
    };
}

TEST_CASE("a request and its answer go over one kept connection") {
    Pair pair(echo());
    const auto first = pair.send(
        {.method = "POST", .url = pair.url + "/a?b=c", .headers = {{"Authorization", "Bearer t"}}, .body = "body"});
    REQUIRE(first);
    CHECK(first->status == 200);
    CHECK(first->body == "/a?b=cbody");
    bool seen = false;
    for (const auto& [name, value] : first->headers) seen = seen || (name == "X-Token" && value == "t");
    CHECK(seen);
    CHECK(pair.send({.method = "GET", .url = pair.url})->body == "/");
    CHECK(pair.send({.method = "HEAD", .url = pair.url})->body.empty());
    CHECK(pair.send({.method = "GET", .url = pair.url + "/next"})->body == "/next");
    ServerOptions one;
    one.connections_max = 1;
    Pair kept(echo(), one);
    for (int i = 0; i < 5; ++i) CHECK(kept.send({.url = kept.url})->status == 200);
}

TEST_CASE("a file is streamed as a body") {
    const fs::path path = fs::temp_directory_path() / ("sheaf-client-" + std::to_string(::getpid()));
    const std::string content(300'000, 'f');
    std::ofstream(path) << content;
    ServerOptions options;
    options.upload_bytes_max = 1 << 20;
    options.upload_prefix = "/up/";
    options.spool = fs::temp_directory_path();
    Pair pair(
        [&](const Request& request, const Reply& reply) {
            std::ifstream file(request.body_file);
            const std::string got(std::istreambuf_iterator<char>(file), {});
            reply({got == content ? 201 : 400, {}, {}, {}});
        },
        options);
    CHECK(pair.send({.method = "PUT", .url = pair.url + "/up/1", .body_file = path})->status == 201);
    CHECK(pair.send({.method = "PUT", .url = pair.url + "/up/2", .body_file = path})->status == 201);
    fs::remove(path);
    CHECK(pair.send({.method = "PUT", .url = pair.url + "/up/3", .body_file = path}).error().code == Errc::not_found);
}

TEST_CASE("nobody there, nobody answering and no way to ask are three errors") {
    Reply kept;
    Pair pair([&](const Request&, const Reply& reply) { kept = reply; });
    const auto slow = pair.send({.url = pair.url, .timeout_ms = 30});
    REQUIRE_FALSE(slow);
    CHECK(slow.error().code == Errc::timeout);
    const std::string url = pair.url;
    pair.server.reset();
    CHECK(pair.send({.url = url}).error().code == Errc::io);
    CHECK(pair.send({.url = "https://127.0.0.1/"}).error().code == Errc::unsupported);
    CHECK(pair.send({.url = "nonsense"}).error().code == Errc::malformed);
    CHECK(pair.send({.url = url, .headers = {{"X", "a\r\nb"}}}).error().code == Errc::malformed);
}

TEST_CASE("an answer over the limit is an error, not a memory") {
    const std::string large(kClientBodyMax + 1, 'x');
    Pair pair([&](const Request&, const Reply& reply) { reply({200, {}, large, {}}); });
    const auto result = pair.send({.url = pair.url});
    REQUIRE_FALSE(result);
    CHECK(result.error().code == Errc::exhausted);
}

TEST_CASE("at most so many requests are under way at one host, and the others wait in order") {
    std::vector<Reply> open;
    std::vector<std::string> order;
    Pair pair(
        [&](const Request& request, const Reply& reply) {
            order.push_back(request.path);
            open.push_back(reply);
        },
        {}, 2);
    int done = 0;
    for (const char* path : {"/1", "/2", "/3", "/4"}) {
        pair.client->send({.url = pair.url + path},
                          [&](const Result<ClientResponse>& result) { done += result ? 1 : 0; });
    }
    while (open.size() < 2) pair.io.run_one();
    while (pair.io.poll_one() > 0) {
    }
    CHECK(open.size() == 2);
    open[0]({200, {}, {}, {}});
    while (open.size() < 3) pair.io.run_one();
    CHECK(order.back() == "/3");
    open[1]({200, {}, {}, {}});
    open[2]({200, {}, {}, {}});
    while (open.size() < 4) pair.io.run_one();
    open[3]({200, {}, {}, {}});
    while (done < 4) pair.io.run_one();
    CHECK(order.back() == "/4");
}

TEST_CASE("a server that was restarted is asked again over a new connection") {
    Pair pair(echo());
    CHECK(pair.send({.url = pair.url})->status == 200);
    ServerOptions options;
    options.port = pair.server->port();
    pair.server.reset();
    pair.start(echo(), options);
    CHECK(pair.send({.method = "POST", .url = pair.url + "/again", .body = "x"})->body == "/againx");
}

TEST_CASE("a client that is gone calls nobody back") {
    Pair pair(echo());
    bool called = false;
    pair.client->send({.url = pair.url}, [&](const Result<ClientResponse>&) { called = true; });
    pair.io.run_one();
    pair.client.reset();
    pair.server->close();
    pair.io.run_for(std::chrono::seconds(5));
    CHECK_FALSE(called);
}

}  // namespace
}  // namespace sheaf::http
