// SPDX-License-Identifier: Apache-2.0
#include "edge/http/server.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <thread>

namespace sheaf::http {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;

// A plain blocking client, so that the server is judged by its bytes. Reads end after 10 s.
class Plain {
public:
    explicit Plain(std::uint16_t port, int receive_buffer = 0) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
        const timeval limit{10, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        if (receive_buffer > 0) ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
    }
    ~Plain() { ::close(fd_); }
    Plain(const Plain&) = delete;
    Plain& operator=(const Plain&) = delete;

    void send(std::string_view text) {
        while (!text.empty()) {
            const auto sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
            if (sent <= 0) return;
            text.remove_prefix(static_cast<std::size_t>(sent));
        }
    }
    // Until `end` is there, or the server has closed.
    std::string read_to(std::string_view end) {
        while (received_.find(end) == std::string::npos && more()) {
        }
        const auto found = received_.find(end);
        const auto length = found == std::string::npos ? received_.size() : found + end.size();
        std::string text = received_.substr(0, length);
        received_.erase(0, length);
        return text;
    }
    std::string read_all() {
        while (more()) {
        }
        return std::exchange(received_, {});
    }
    [[nodiscard]] bool is_closed() const { return closed_; }

private:
    bool more() {
        char piece[4096];
        const auto got = ::recv(fd_, piece, sizeof piece, 0);
        if (got > 0) received_.append(piece, static_cast<std::size_t>(got));
        closed_ = closed_ || got == 0 || (got < 0 && errno == ECONNRESET);
        return got > 0;
    }
    int fd_;
    std::string received_;
    bool closed_ = false;
};

// A server on its own thread; what touches it is done there.
struct Running {
    explicit Running(ServerOptions options, Handler handler = {}) {
        if (!handler) handler = [](Request request, const Reply& reply) { reply({200, {}, request.path, {}}); };
        auto listening = Server::listen(io, std::move(options), std::move(handler));
        REQUIRE(listening);
        server = std::move(*listening);
        port = server->port();
        thread = std::thread([this] { io.run(); });
    }
    ~Running() {
        on_thread([this] { server.reset(); });
        work.reset();
        thread.join();
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    void on_thread(std::function<void()> act) {
        std::promise<void> done;
        asio::post(io, [&] {
            act();
            done.set_value();
        });
        done.get_future().wait();
    }

    asio::io_context io;
    asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(io);
    std::unique_ptr<Server> server;
    std::uint16_t port = 0;
    std::thread thread;
};

struct Folder {
    Folder() : path(fs::temp_directory_path() / ("sheaf-http-" + std::to_string(::getpid()))) {
        fs::create_directories(path);
    }
    ~Folder() { fs::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] std::size_t count() const {
        return static_cast<std::size_t>(std::distance(fs::directory_iterator(path), fs::directory_iterator()));
    }
    fs::path path;
};

std::string talk(std::uint16_t port, std::string_view text) {
    Plain client(port);
    client.send(text);
    return client.read_all();
}

std::string get(std::string_view target, std::string_view headers = {}) {
    return "GET " + std::string(target) + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + std::string(headers) +
           "\r\n";
}

bool begins(std::string_view text, std::string_view with) {
    return text.starts_with(with);
}

TEST_CASE("several requests sent at once on one connection are answered in order, and the connection stays") {
    Running running({});
    Plain client(running.port);
    client.send("GET /one HTTP/1.1\r\nHost: a\r\n\r\nGET /two?x=y HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(client.read_to("/one").ends_with("\r\n\r\n/one"));
    CHECK(client.read_to("/two").ends_with("\r\n\r\n/two"));
    client.send("POST /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    CHECK(client.read_all().ends_with("\r\n\r\n/3"));
    CHECK(client.is_closed());
    CHECK(talk(running.port, "GET /4 HTTP/1.0\r\n\r\n").ends_with("\r\n\r\n/4"));
}

TEST_CASE("a handler gets the request whole") {
    Request seen;
    Running running({}, [&](Request request, const Reply& reply) {
        seen = std::move(request);
        reply(json_response(201, "{}"));
    });
    const auto answer =
        talk(running.port,
             "POST /a%2Bb?q=1&q=2 HTTP/1.1\r\nHost: a\r\nX-Twice: 1\r\nx-twice: 2\r\nConnection: close\r\n"
             "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    CHECK(begins(answer, "HTTP/1.1 201 Created\r\n"));
    CHECK(answer.find("Content-Type: application/json\r\n") != std::string::npos);
    CHECK(seen.method == "POST");
    CHECK(seen.target == "/a%2Bb?q=1&q=2");
    CHECK(seen.path == "/a+b");
    CHECK(seen.query_value("q") == "1");
    CHECK(seen.header("x-twice") == "1, 2");
    CHECK(seen.body == "abcde");
    CHECK(seen.remote_address == "127.0.0.1");
}

TEST_CASE("a malformed request gets 400 and a close") {
    Running running({});
    for (const char* bad :
         {"what\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
          "GET / HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n", "GET /a%00 HTTP/1.1\r\nHost: a\r\n\r\n",
          "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
          "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
          "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
        CAPTURE(bad);
        Plain client(running.port);
        client.send(bad);
        const auto answer = client.read_all();
        CHECK(begins(answer, "HTTP/1.1 400 Bad Request\r\n"));
        CHECK(answer.find("application/problem+json") != std::string::npos);
        CHECK(client.is_closed());
    }
    CHECK(begins(talk(running.port, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"), "HTTP/1.1 501 "));
}

TEST_CASE("a header or body over its limit is refused") {
    ServerOptions options;
    options.header_bytes_max = 512;
    options.body_bytes_max = 10;
    Running running(options);
    CHECK(begins(talk(running.port, get("/" + std::string(600, 'a'))), "HTTP/1.1 431 "));
    CHECK(begins(talk(running.port, get("/", "X: " + std::string(600, 'a') + "\r\n")), "HTTP/1.1 431 "));
    const std::string post = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    CHECK(begins(talk(running.port, post + "Content-Length: 10\r\n\r\n0123456789"), "HTTP/1.1 200 "));
    CHECK(begins(talk(running.port, post + "Content-Length: 11\r\n\r\n0123456789a"), "HTTP/1.1 413 "));
    CHECK(begins(talk(running.port, post + "Transfer-Encoding: chunked\r\n\r\nb\r\n0123456789a\r\n0\r\n\r\n"),
                 "HTTP/1.1 413 "));
}

TEST_CASE("a body that nobody may send is not read") {
    ServerOptions options;
    options.admit = [](const Request& request) -> std::optional<Response> {
        if (request.bearer() == "good") return std::nullopt;
        return problem(401, "Unauthorized");
    };
    Running running(options);
    const std::string post = "POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    CHECK(begins(talk(running.port, post + "Content-Length: 1000000\r\n\r\n"), "HTTP/1.1 401 "));
    CHECK(begins(talk(running.port, post + "Transfer-Encoding: chunked\r\n\r\n"), "HTTP/1.1 401 "));
    CHECK(
        begins(talk(running.port, post + "Authorization: Bearer good\r\nContent-Length: 1\r\n\r\na"), "HTTP/1.1 200 "));
    CHECK(begins(talk(running.port, get("/x")), "HTTP/1.1 200 "));
}

TEST_CASE("one address has not all the connections") {
    ServerOptions options;
    options.connections_max = 4;
    options.connections_of_one_max = 2;
    Running running(options);
    Plain first(running.port), second(running.port);
    for (Plain* one : {&first, &second}) {
        one->send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
        CHECK(one->read_to("/x").ends_with("/x"));
    }
    Plain third(running.port);
    CHECK(begins(third.read_all(), "HTTP/1.1 503 "));
    first.send("GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    CHECK(first.read_all().ends_with("/last"));
    while (!begins(talk(running.port, get("/y")), "HTTP/1.1 200 ")) {  // once the server has seen the close
    }
}

TEST_CASE("one connection too many is turned away, and the next one after a close is served") {
    ServerOptions options;
    options.connections_max = 2;
    Running running(options);
    auto first = std::make_unique<Plain>(running.port);
    Plain second(running.port);
    const std::string keep = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
    first->send(keep);
    second.send(keep);
    CHECK(first->read_to("/x").ends_with("/x"));
    CHECK(second.read_to("/x").ends_with("/x"));
    Plain third(running.port);
    CHECK(begins(third.read_all(), "HTTP/1.1 503 "));
    CHECK(third.is_closed());
    second.send("GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    CHECK(second.read_all().ends_with("/last"));
    first.reset();
    while (!begins(talk(running.port, get("/y")), "HTTP/1.1 200 ")) {  // once the server has seen the close
    }
}

TEST_CASE("a client that says nothing, or half a request, is closed after the idle time") {
    ServerOptions options;
    options.idle_ms = 50;
    Running running(options);
    for (const char* half : {"", "GET / HTTP/1.1\r\nHo", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab"}) {
        Plain client(running.port);
        client.send(half);
        CHECK(client.read_all().empty());
        CHECK(client.is_closed());
    }
}

TEST_CASE("a request that its handler drops or answers badly gets 500") {
    Running running({}, [](const Request& request, const Reply& reply) {
        if (request.path == "/twice") {
            reply({200, {}, "first", {}});
            reply({200, {}, "second", {}});
        }
        if (request.path == "/split") reply({200, {{"X", "a\r\nY: b"}}, {}, {}});
        if (request.path == "/throw") throw std::runtime_error("no");
    });
    CHECK(begins(talk(running.port, get("/dropped")), "HTTP/1.1 500 "));
    CHECK(begins(talk(running.port, get("/split")), "HTTP/1.1 500 "));
    CHECK(begins(talk(running.port, get("/throw")), "HTTP/1.1 500 "));
    CHECK(talk(running.port, get("/twice")).ends_with("first"));
}

TEST_CASE("a file is sent whole, in part, or by its header alone") {
    Folder folder;
    const std::string path = folder.path / "f";
    std::string content;
    for (int i = 0; i < 40'000; ++i) content += std::to_string(i % 10'000);
    std::ofstream(path) << content;
    Running running({}, [&](const Request& request, const Reply& reply) {
        reply({200, {{"Content-Type", "audio/wav"}, {"ETag", "\"1\""}}, {}, request.path == "/f" ? path : path + "x"});
    });
    const auto size = std::to_string(content.size());
    const auto whole = talk(running.port, get("/f"));
    CHECK(begins(whole, "HTTP/1.1 200 "));
    CHECK(whole.find("Content-Length: " + size + "\r\n") != std::string::npos);
    CHECK(whole.substr(whole.find("\r\n\r\n") + 4) == content);
    const auto part = talk(running.port, get("/f", "Range: bytes=10-13\r\n"));
    CHECK(begins(part, "HTTP/1.1 206 "));
    CHECK(part.find("Content-Range: bytes 10-13/" + size + "\r\n") != std::string::npos);
    CHECK(part.ends_with("\r\n\r\n" + content.substr(10, 4)));
    const auto beyond = talk(running.port, get("/f", "Range: bytes=" + size + "-\r\n"));
    CHECK(begins(beyond, "HTTP/1.1 416 "));
    CHECK(beyond.find("Content-Range: bytes */" + size + "\r\n") != std::string::npos);
    CHECK(begins(talk(running.port, get("/f", "Range: bytes=1-2\r\nIf-Range: \"1\"\r\n")), "HTTP/1.1 206 "));
    CHECK(begins(talk(running.port, get("/f", "Range: bytes=1-2\r\nIf-Range: \"2\"\r\n")), "HTTP/1.1 200 "));
    const auto head = talk(running.port, "HEAD /f HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    CHECK(head.find("Content-Length: " + size + "\r\n") != std::string::npos);
    CHECK(head.ends_with("\r\n\r\n"));
    CHECK(begins(talk(running.port, get("/gone")), "HTTP/1.1 500 "));
}

TEST_CASE("HEAD is answered as GET without the body") {
    Running running({});
    const auto head = talk(running.port, "HEAD /abc HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    CHECK(begins(head, "HTTP/1.1 200 "));
    CHECK(head.find("Content-Length: 4\r\n") != std::string::npos);
    CHECK(head.ends_with("\r\n\r\n"));
}

TEST_CASE("an upload is spooled to a file, within its limit, admitted by its header, and leaves nothing behind") {
    Folder folder;
    std::ofstream(folder.path / "upload-old") << "of a former process";
    ServerOptions options;
    options.body_bytes_max = 10;
    options.upload_bytes_max = 200'000;
    options.upload_prefix = "/v1/segments/";
    options.spool = folder.path;
    options.admit_upload = [](const Request& request) -> std::optional<Response> {
        if (request.bearer() == "good") return std::nullopt;
        return problem(401, "Unauthorized");
    };
    std::string spooled;
    Running running(options, [&](const Request& request, const Reply& reply) {
        std::ifstream file(request.body_file);
        spooled.assign(std::istreambuf_iterator<char>(file), {});
        if (request.path.ends_with("keep")) fs::rename(request.body_file, folder.path / "kept");
        reply({201, {}, {}, {}});
    });
    CHECK(folder.count() == 0);
    const std::string content(150'000, 'q');
    const auto put = [](const std::string& name, const std::string& token, const std::string& rest) {
        return "PUT /v1/segments/" + name + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer " +
               token + "\r\n" + rest;
    };
    const std::string length = "Content-Length: " + std::to_string(content.size()) + "\r\n";
    CHECK(begins(talk(running.port, put("a", "good", length + "\r\n" + content)), "HTTP/1.1 201 "));
    CHECK(spooled == content);
    CHECK(folder.count() == 0);
    CHECK(begins(talk(running.port, put("keep", "good", length + "\r\n" + content)), "HTTP/1.1 201 "));
    CHECK(folder.count() == 1);
    CHECK(begins(talk(running.port, put("a", "bad", length + "\r\n" + content)), "HTTP/1.1 401 "));
    CHECK(begins(talk(running.port, put("a", "good", "Content-Length: 200001\r\n\r\n")), "HTTP/1.1 413 "));
    const std::string chunk = "186a0\r\n" + std::string(100'000, 'z') + "\r\n";
    const auto chunked = put("a", "good", "Transfer-Encoding: chunked\r\n\r\n");
    CHECK(begins(talk(running.port, chunked + chunk + chunk + "1\r\na\r\n0\r\n\r\n"), "HTTP/1.1 413 "));
    CHECK(begins(talk(running.port, chunked + chunk + chunk + "0\r\n\r\n"), "HTTP/1.1 201 "));
    CHECK(spooled.size() == 200'000);
    Plain polite(running.port);
    polite.send(put("a", "good", "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"));
    CHECK(polite.read_to("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
    polite.send("abc");
    CHECK(begins(polite.read_all(), "HTTP/1.1 201 "));
    CHECK(spooled == "abc");
    {
        Plain(running.port).send(put("a", "good", length + "\r\nhalf"));
    }
    talk(running.port, get("/"));
    CHECK(folder.count() == 1);
}

TEST_CASE("an upload goes on beyond the idle time as long as something comes") {
    Folder folder;
    ServerOptions options;
    options.upload_bytes_max = 1'000;
    options.upload_prefix = "/";
    options.spool = folder.path;
    options.idle_ms = 60'000;
    Running running(options);
    options.spool = folder.path / "missing";
    Running broken(options);
    CHECK(begins(talk(broken.port, "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"), "HTTP/1.1 507 "));
    options.spool = folder.path;
    options.idle_ms = 50;
    Running hasty(options);
    Plain client(hasty.port);
    client.send("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc");
    CHECK(client.read_all().empty());
    CHECK(client.is_closed());
    talk(hasty.port, get("/"));
    CHECK(folder.count() == 0);
}

TEST_CASE("a large answer reaches a client that reads late") {
    const std::string large(8 << 20, 'x');
    Running running({}, [&](const Request&, const Reply& reply) { reply({200, {}, large, {}}); });
    const auto answer = talk(running.port, get("/"));
    CHECK(answer.size() > large.size());
    CHECK(answer.ends_with("xxx"));
}

TEST_CASE("an address in use or not an address is an error in words") {
    Running running({});
    asio::io_context io;
    ServerOptions options;
    options.port = running.port;
    const auto twice = Server::listen(io, options, {});
    REQUIRE_FALSE(twice);
    CHECK(twice.error().code == Errc::io);
    options.address = "localhost";
    CHECK(Server::listen(io, options, {}).error().code == Errc::malformed);
    options.address = "::1";
    options.port = 0;
    CHECK(Server::listen(io, options, {}));
}

TEST_CASE("after close nothing is accepted, and a request under way is still answered") {
    Reply held;
    std::promise<void> handled;
    Running running({}, [&](const Request&, const Reply& reply) {
        held = reply;
        handled.set_value();
    });
    Plain waiting(running.port);
    Plain idle(running.port);
    waiting.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    handled.get_future().wait();
    running.on_thread([&] { running.server->close(); });
    CHECK(idle.read_all().empty());
    CHECK(idle.is_closed());
    running.on_thread([&] { held({200, {}, "late", {}}); });
    const auto answer = waiting.read_all();
    CHECK(answer.ends_with("late"));
    CHECK(answer.find("Connection: close") != std::string::npos);
    running.on_thread([&] { held = {}; });
}

// ---- Streams

struct Streams {
    std::vector<std::shared_ptr<Stream>> open;  // shared: as StreamRoute says
    std::promise<void> opened;
    StreamRoute route() {
        return {[](const Request& request) -> std::optional<Response> {
                    if (request.query_value("token") == "good") return std::nullopt;
                    return problem(401, "Unauthorized");
                },
                [this](std::shared_ptr<Stream> stream) {
                    stream->send("hello");
                    open.push_back(std::move(stream));
                    if (open.size() == 1) opened.set_value();
                }};
    }
};

const char* const kUpgrade =
    "GET /events?token=good HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

TEST_CASE("an event stream is opened, sends events and is closed") {
    Streams streams;
    Running running({});
    running.on_thread([&] { running.server->add_stream("/events", streams.route()); });
    CHECK(begins(talk(running.port, get("/events", "Accept: text/event-stream\r\n")), "HTTP/1.1 401 "));
    CHECK(begins(talk(running.port, get("/events?token=good", "Accept: application/json, text/html\r\n")),
                 "HTTP/1.1 200 "));  // no stream asked for: the handler
    for (const char* accept : {"", "Accept: */*\r\n", "Accept: text/html, text/*;q=0.5\r\n"}) {
        CAPTURE(accept);
        Plain anybody(running.port);
        anybody.send(get("/events?token=good", accept));
        CHECK(anybody.read_to("\r\n\r\n").find("Content-Type: text/event-stream\r\n") != std::string::npos);
        CHECK(anybody.read_to("\n\n") == "data: hello\n\n");
    }
    Plain client(running.port);
    client.send(get("/events?token=good", "Accept: text/event-stream\r\n"));
    const auto head = client.read_to("\r\n\r\n");
    CHECK(begins(head, "HTTP/1.1 200 "));
    CHECK(head.find("Content-Type: text/event-stream\r\n") != std::string::npos);
    CHECK(client.read_to("\n\n") == "data: hello\n\n");
    running.on_thread([&] {
        auto& stream = streams.open.back();
        stream->send("two\nlines");
        stream->close();
        stream->send("never");
    });
    CHECK(client.read_all() == "data: two\ndata: lines\n\n");
    CHECK(client.is_closed());
    running.on_thread([&] { CHECK_FALSE(streams.open[0]->is_open()); });
}

TEST_CASE("a WebSocket is opened, sends messages and says goodbye") {
    Streams streams;
    Running running({});
    running.on_thread([&] { running.server->add_stream("/events", streams.route()); });
    std::string wrong = kUpgrade;
    wrong.replace(wrong.find("good"), 4, "evil");
    CHECK(begins(talk(running.port, wrong), "HTTP/1.1 401 "));
    Plain client(running.port);
    client.send(kUpgrade);
    const auto head = client.read_to("\r\n\r\n");
    CHECK(begins(head, "HTTP/1.1 101 "));
    CHECK(head.find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n") != std::string::npos);
    CHECK(client.read_to("hello") == "\x81\x05hello");
    running.on_thread([&] {
        streams.open[0]->send("bye");
        streams.open[0]->close();
    });
    CHECK(client.read_to("bye") ==
          "\x81\x03"
          "bye");
    CHECK(client.read_to("\x03\xe8") == "\x88\x02\x03\xe8");
    client.send(std::string("\x88\x82\0\0\0\0\x03\xe8", 8));
    CHECK(client.read_all().empty());
    CHECK(client.is_closed());
}

TEST_CASE("a stream whose client does not read is cut off when it is too far behind") {
    for (const bool websocket : {false, true}) {
        CAPTURE(websocket);
        Streams streams;
        Running running({});
        running.on_thread([&] { running.server->add_stream("/events", streams.route()); });
        Plain client(running.port, 4096);
        client.send(websocket ? kUpgrade : get("/events?token=good", "Accept: text/event-stream\r\n"));
        streams.opened.get_future().wait();
        const std::string text(100'000, 'x');
        int sent = 0;
        for (; sent < 1'000; ++sent) {  // far more than the kernel's buffers take
            bool is_open = false;
            running.on_thread([&] {
                streams.open[0]->send(text);
                is_open = streams.open[0]->is_open();
            });
            if (!is_open) break;
        }
        CHECK(sent >= static_cast<int>(kStreamBytesMax / text.size()));
        CHECK(sent < 1'000);
    }
}

TEST_CASE("a stream takes one text that is larger than what may wait, and what follows it") {
    for (const bool websocket : {false, true}) {
        CAPTURE(websocket);
        Streams streams;
        Running running({});
        running.on_thread([&] { running.server->add_stream("/events", streams.route()); });
        Plain client(running.port);
        client.send(websocket ? kUpgrade : get("/events?token=good", "Accept: text/event-stream\r\n"));
        streams.opened.get_future().wait();
        client.read_to("hello");
        running.on_thread([&] {
            streams.open[0]->send(std::string(3 * kStreamBytesMax, 'x') + "!");
            streams.open[0]->send("then");
            CHECK(streams.open[0]->is_open());
        });
        CHECK(client.read_to("!").size() > 3 * kStreamBytesMax);
        CHECK(client.read_to("then").size() < 30);
        running.on_thread([&] {
            streams.open[0]->send(std::string(3 * kStreamBytesMax, 'y'));
            streams.open[0]->send(std::string(3 * kStreamBytesMax, 'z'));  // a second one beside it is too much
            CHECK_FALSE(streams.open[0]->is_open());
        });
    }
}

TEST_CASE("streams count as connections, end with the server, and free their place when the client goes") {
    Streams streams;
    ServerOptions options;
    options.connections_max = 1;
    options.idle_ms = 100;
    Running running(options);
    running.on_thread([&] { running.server->add_stream("/events", streams.route()); });
    {
        Plain client(running.port);
        client.send(get("/events?token=good", "Accept: text/event-stream\r\n"));
        client.read_to("hello\n\n");
        CHECK(client.read_to("\n\n") == ":\n\n");  // the pulse
        CHECK(begins(talk(running.port, ""), "HTTP/1.1 503 "));
    }
    bool is_open = true;
    while (is_open) running.on_thread([&] { is_open = streams.open[0]->is_open(); });
    streams.opened = {};
    Plain client(running.port);
    client.send(kUpgrade);
    client.read_to("hello");
    running.on_thread([&] { running.server->close(); });
    client.read_all();
    CHECK(client.is_closed());
}

}  // namespace
}  // namespace sheaf::http
