// SPDX-License-Identifier: Apache-2.0
#include "edge/http/server.h"

#include <unistd.h>

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <cerrno>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <set>
#include <system_error>

#include "edge/http/message.h"
#include "edge/http/stream.h"

namespace sheaf::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t kFilePieceBytes = 64 * 1024;
constexpr auto kLinger = std::chrono::seconds(1);              // how long a refused sender may go on before we hang up
constexpr auto kAcceptAgain = std::chrono::milliseconds(100);  // after no file descriptor was left
constexpr std::string_view kSpoolName = "upload-";

class Connection;

// What the server and its connections share; a connection may outlive the server until its handlers have run.
struct Shared {
    ServerOptions options;
    Handler handler;
    std::map<std::string, StreamRoute> streams;
    std::chrono::milliseconds idle{};
    std::set<std::shared_ptr<Connection>> connections;  // shared: with its handlers under way; abort() takes it out
    std::set<std::shared_ptr<OpenStream>> open_streams;
    bool closing = false;                     // no further request is read
    std::map<std::string, std::size_t> from;  // connections, by address

    [[nodiscard]] std::size_t count() const { return connections.size() + open_streams.size(); }
};

Response with_defaults(Response response) {
    for (const auto& [name, value] : response.headers) {
        if (!is_header(name, value)) return problem(500, "Internal Server Error");
    }
    return response;
}

// An upload's file in the spool folder, removed with it.
class SpoolFile {
public:
    explicit SpoolFile(std::string path) : path_(std::move(path)) {}
    ~SpoolFile() { ::unlink(path_.c_str()); }
    SpoolFile(const SpoolFile&) = delete;
    SpoolFile& operator=(const SpoolFile&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    std::string path_;
};

class Connection final : public std::enable_shared_from_this<Connection> {
public:
    // shared: the server's state lives as long as its last connection.
    Connection(tcp::socket socket, std::shared_ptr<Shared> shared)
        : shared_(std::move(shared)), socket_(std::move(socket)) {
        error_code ignored;
        remote_address_ = socket_.socket().remote_endpoint(ignored).address().to_string();
        socket_.socket().set_option(tcp::no_delay(true), ignored);
        ++shared_->from[remote_address_];
    }
    ~Connection() {
        if (--shared_->from[remote_address_] == 0) shared_->from.erase(remote_address_);
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    void run() { read_header(); }
    void finish() {
        if (!answering_) abort();
    }
    void abort() {
        shared_->connections.erase(shared_from_this());
        if (socket_.socket().is_open()) socket_.close();
    }
    void respond(Response response);

private:
    void read_header();
    void header_read(error_code error);
    [[nodiscard]] std::optional<Response> refusal();
    [[nodiscard]] std::optional<Response> bad_framing();
    [[nodiscard]] bool is_upload() const;
    void continue_then(void (Connection::*next)());
    void read_body();
    void start_upload();
    void read_upload();
    void upload_read(error_code error);
    void handle();
    [[nodiscard]] bool become_stream();
    void refuse(Response response);
    void send_text(Response response);
    void send_file(Response response);
    void send_piece();
    void sent(error_code error);
    void drain();
    void renew() { socket_.expires_after(shared_->idle); }
    [[nodiscard]] bhttp::response<bhttp::string_body> head_of(const Response& response);

    std::shared_ptr<Shared> shared_;
    beast::tcp_stream socket_;
    beast::flat_buffer buffer_;
    std::string remote_address_;

    // Of the request under way.
    std::optional<bhttp::request_parser<bhttp::empty_body>> header_;
    std::optional<bhttp::request_parser<bhttp::string_body>> body_;
    std::optional<bhttp::request_parser<bhttp::file_body>> upload_;
    std::unique_ptr<SpoolFile> spooled_;
    Request request_;
    std::string range_;
    std::string if_range_;
    bool is_head_ = false;
    bool keep_alive_ = false;
    bool answering_ = false;
    unsigned version_ = 11;

    // Of the response under way.
    bhttp::response<bhttp::string_body> response_;
    std::optional<bhttp::response_serializer<bhttp::string_body>> serializer_;
    beast::file file_;
    std::uint64_t file_left_ = 0;
    std::array<char, 1024> ignored_{};
    std::vector<char> piece_;
};

// The handler's side of one request: answers 500 when it is dropped.
class PendingReply {
public:
    explicit PendingReply(std::weak_ptr<Connection> connection) : connection_(std::move(connection)) {}
    ~PendingReply() { answer(problem(500, "Internal Server Error", "the request was not answered")); }
    PendingReply(const PendingReply&) = delete;
    PendingReply& operator=(const PendingReply&) = delete;

    void answer(Response response) {
        const auto connection = std::exchange(connection_, {}).lock();
        if (connection) connection->respond(std::move(response));
    }

private:
    std::weak_ptr<Connection> connection_;  // a handler may keep its reply longer than anything here lives
};

// ---- Reading

void Connection::read_header() {
    header_.emplace();
    body_.reset();
    upload_.reset();
    spooled_.reset();
    request_ = {};
    answering_ = false;
    header_->header_limit(static_cast<std::uint32_t>(shared_->options.header_bytes_max));
    header_->body_limit(boost::none);  // judged by refusal() and read_body()
    renew();
    bhttp::async_read_header(socket_, buffer_, *header_,
                             [self = shared_from_this()](error_code error, std::size_t) { self->header_read(error); });
}

Request request_of(const bhttp::request_header<>& header) {
    Request request;
    request.method = std::string(header.method_string());
    request.target = std::string(header.target());
    for (const auto& field : header) {
        auto& value = request.headers[to_lower(field.name_string())];
        if (!value.empty()) value += field.name() == bhttp::field::cookie ? "; " : ", ";
        value += field.value();
    }
    return request;
}

void Connection::header_read(error_code error) {
    if (shared_->closing) return abort();
    if (error == bhttp::error::header_limit) return refuse(problem(431, "Request Header Fields Too Large"));
    const bool is_ours = error.category() == bhttp::make_error_code(bhttp::error::bad_method).category();
    if (error == bhttp::error::end_of_stream || (error && !is_ours)) return abort();
    if (error) return refuse(problem(400, "Bad Request", error.message()));
    if (auto response = refusal()) return refuse(std::move(*response));
    if (become_stream()) return;
    answering_ = true;
    is_upload() ? start_upload() : continue_then(&Connection::read_body);
}

// Messages that are well formed in parts and as a whole not (RFC 9112 §3.2, §6.1).
std::optional<Response> Connection::bad_framing() {
    const auto& header = header_->get();
    if (header.version() != 10 && header.version() != 11) return problem(505, "HTTP Version Not Supported");
    const auto hosts = header.count(bhttp::field::host);
    if (hosts > 1 || (hosts == 0 && header.version() == 11)) return problem(400, "Bad Request", "not one Host");
    const auto coding = header[bhttp::field::transfer_encoding];
    if (!coding.empty() && (header.version() == 10 || !equal_ignoring_case(coding, "chunked"))) {
        return problem(501, "Not Implemented", "the transfer coding is not supported");
    }
    return std::nullopt;
}

// Fills request_, or says why there is nothing to handle.
std::optional<Response> Connection::refusal() {
    if (auto response = bad_framing()) return response;
    const auto& header = header_->get();
    request_ = request_of(header);
    auto target = target_from_text(request_.target);
    if (!target) return problem(400, "Bad Request", target.error().what);
    request_.path = std::move(target->path);
    request_.query = std::move(target->query);
    request_.remote_address = remote_address_;
    version_ = header.version();
    keep_alive_ = header.keep_alive();
    is_head_ = header.method() == bhttp::verb::head;
    if (is_head_) request_.method = "GET";
    range_ = header.method() == bhttp::verb::get ? request_.header("range") : std::string();
    if_range_ = request_.header("if-range");
    const auto limit = is_upload() ? shared_->options.upload_bytes_max : shared_->options.body_bytes_max;
    if (header_->content_length().value_or(0) > limit) return problem(413, "Content Too Large");
    if (is_upload()) return shared_->options.admit_upload ? shared_->options.admit_upload(request_) : std::nullopt;
    const bool has_body = header_->content_length().value_or(0) > 0 || header_->chunked();
    return has_body && shared_->options.admit ? shared_->options.admit(request_) : std::nullopt;
}

bool Connection::is_upload() const {
    const auto& options = shared_->options;
    return options.upload_bytes_max > 0 && request_.method == "PUT" && request_.path.starts_with(options.upload_prefix);
}

// RFC 9110 §10.1.1: a client that waits for it is told to go on.
void Connection::continue_then(void (Connection::*next)()) {
    if (version_ < 11 || !equal_ignoring_case(request_.header("expect"), "100-continue")) return (this->*next)();
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    renew();
    asio::async_write(socket_, asio::buffer(kContinue),
                      [self = shared_from_this(), next](error_code error, std::size_t) {
                          error ? self->abort() : (self.get()->*next)();
                      });
}

void Connection::read_body() {
    body_.emplace(std::move(*header_));
    body_->body_limit(shared_->options.body_bytes_max);
    renew();
    bhttp::async_read(socket_, buffer_, *body_, [self = shared_from_this()](error_code error, std::size_t) {
        if (error == bhttp::error::body_limit) return self->refuse(problem(413, "Content Too Large"));
        const bool is_ours = error.category() == bhttp::make_error_code(bhttp::error::bad_method).category();
        if (error && (!is_ours || error == bhttp::error::partial_message)) return self->abort();
        if (error) return self->refuse(problem(400, "Bad Request", error.message()));
        self->request_.body = std::move(self->body_->get().body());
        self->handle();
    });
}

void Connection::start_upload() {
    std::string path = shared_->options.spool + "/" + std::string(kSpoolName) + "XXXXXX";
    const int fd = ::mkstemp(path.data());
    if (fd < 0) return refuse(problem(507, "Insufficient Storage"));
    ::close(fd);
    spooled_ = std::make_unique<SpoolFile>(path);
    upload_.emplace(std::move(*header_));
    upload_->body_limit(shared_->options.upload_bytes_max);
    error_code error;
    upload_->get().body().open(path.c_str(), beast::file_mode::write, error);
    if (error) return refuse(problem(507, "Insufficient Storage"));
    continue_then(&Connection::read_upload);
}

// Piece by piece, so that a slow line is waited for and a dead one is not.
void Connection::read_upload() {
    if (upload_->is_done()) {
        error_code error;
        upload_->get().body().file().close(error);
        if (error) return refuse(problem(507, "Insufficient Storage"));
        request_.body_file = spooled_->path();
        return handle();
    }
    renew();
    bhttp::async_read_some(socket_, buffer_, *upload_,
                           [self = shared_from_this()](error_code error, std::size_t) { self->upload_read(error); });
}

void Connection::upload_read(error_code error) {
    if (!error) return read_upload();
    if (error == bhttp::error::body_limit) return refuse(problem(413, "Content Too Large"));
    if (error == boost::system::errc::no_space_on_device || error == boost::system::errc::file_too_large ||
        error == boost::system::errc::io_error) {
        return refuse(problem(507, "Insufficient Storage"));
    }
    const bool is_ours = error.category() == bhttp::make_error_code(bhttp::error::bad_method).category();
    if (!is_ours || error == bhttp::error::partial_message || error == bhttp::error::end_of_stream) return abort();
    refuse(problem(400, "Bad Request", error.message()));
}

// ---- Handling

void Connection::handle() {
    socket_.expires_never();
    // shared: the handler's reply is a std::function, which it may copy.
    const auto pending = std::make_shared<PendingReply>(weak_from_this());
    Reply reply = [pending](Response response) { pending->answer(std::move(response)); };
    try {
        shared_->handler(std::move(request_), reply);
    } catch (const std::exception&) {  // not ours; answered by dropping the reply
        pending->answer(problem(500, "Internal Server Error"));
    }
}

bool Connection::become_stream() {
    const auto route = shared_->streams.find(request_.path);
    const auto& header = header_->get();
    if (route == shared_->streams.end() || header.method() != bhttp::verb::get || is_head_) return false;
    const bool is_websocket = beast::websocket::is_upgrade(header);
    const auto accept = request_.header("accept");  // missing: anything (RFC 9110 §12.5.1)
    const bool takes_events = accept.empty() || list_has(accept, "text/event-stream") || list_has(accept, "text/*") ||
                              list_has(accept, "*/*");
    if (!is_websocket && !takes_events) return false;
    if (auto response = route->second.admit(request_)) {
        answering_ = true;
        refuse(std::move(*response));
        return true;
    }
    auto opened = route->second.opened;
    if (route->second.opened_for) {
        opened = [call = route->second.opened_for, request = request_](std::shared_ptr<Stream> stream) {
            call(request, std::move(stream));
        };
    }
    struct Ending {
        std::weak_ptr<OpenStream> stream;
        bool over = false;
    };
    const auto ending = std::make_shared<Ending>();  // shared: a stream may end before it is known here
    shared_->connections.erase(shared_from_this());  // the stream counts in its place
    StreamStart start{std::move(socket_),
                      std::move(buffer_),
                      header_->release(),
                      shared_->idle,
                      std::move(opened),
                      [shared = shared_, ending] {
                          ending->over = true;
                          shared->open_streams.erase(ending->stream.lock());
                      }};
    auto stream = is_websocket ? start_websocket(std::move(start)) : start_event_stream(std::move(start));
    ending->stream = stream;
    if (!ending->over) shared_->open_streams.insert(std::move(stream));
    return true;
}

// ---- Answering

// Answers and hangs up: the rest of the request is not wanted or cannot be understood.
void Connection::refuse(Response response) {
    answering_ = true;
    keep_alive_ = false;
    respond(std::move(response));
}

bhttp::response<bhttp::string_body> Connection::head_of(const Response& response) {
    bhttp::response<bhttp::string_body> head(static_cast<bhttp::status>(response.status), version_);
    head.set("X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : response.headers) head.insert(name, value);
    if (shared_->closing) keep_alive_ = false;
    head.keep_alive(keep_alive_);
    return head;
}

void Connection::respond(Response response) {
    if (!socket_.socket().is_open()) return;
    response = with_defaults(std::move(response));
    serializer_.reset();
    response.file.empty() ? send_text(std::move(response)) : send_file(std::move(response));
}

void Connection::send_text(Response response) {
    response_ = head_of(response);
    const bool has_body = response.status >= 200 && response.status != 204 && response.status != 304;
    if (has_body) response_.content_length(response.body.size());
    if (has_body && !is_head_) response_.body() = std::move(response.body);
    renew();
    serializer_.emplace(response_);
    bhttp::async_write(socket_, *serializer_,
                       [self = shared_from_this()](error_code error, std::size_t) { self->sent(error); });
}

void Connection::send_file(Response response) {
    error_code error;
    file_ = {};
    file_.open(response.file.c_str(), beast::file_mode::scan, error);
    const std::uint64_t size = error ? 0 : file_.size(error);
    if (error) return send_text(problem(500, "Internal Server Error", "the file cannot be read"));
    std::string etag;
    for (const auto& [name, value] : response.headers) {
        if (equal_ignoring_case(name, "etag")) etag = value;
    }
    const bool ranged = response.status == 200 && (if_range_.empty() || (if_range_ == etag && !etag.starts_with("W/")));
    const auto range = ranged ? choose_range(range_, size) : RangeChoice{};
    if (range.kind == RangeChoice::Kind::unsatisfiable) {
        auto refused = problem(416, "Range Not Satisfiable");
        refused.headers.emplace_back("Content-Range", "bytes */" + std::to_string(size));
        return send_text(std::move(refused));
    }
    file_left_ = size;
    if (range.kind == RangeChoice::Kind::part) {
        response.status = 206;
        response.headers.emplace_back("Content-Range", "bytes " + std::to_string(range.first) + "-" +
                                                           std::to_string(range.last) + "/" + std::to_string(size));
        file_left_ = range.last - range.first + 1;
        file_.seek(range.first, error);
        if (error) return send_text(problem(500, "Internal Server Error", "the file cannot be read"));
    }
    response_ = head_of(response);
    response_.set(bhttp::field::accept_ranges, "bytes");
    response_.content_length(file_left_);
    if (is_head_) file_left_ = 0;
    renew();
    serializer_.emplace(response_);
    bhttp::async_write_header(socket_, *serializer_, [self = shared_from_this()](error_code failed, std::size_t) {
        failed ? self->abort() : self->send_piece();
    });
}

void Connection::send_piece() {
    if (file_left_ == 0) {
        file_ = {};
        return sent({});
    }
    piece_.resize(kFilePieceBytes);
    error_code error;
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(file_left_, piece_.size()));
    const std::size_t count = file_.read(piece_.data(), wanted, error);
    if (error || count == 0) return abort();  // shorter than promised: the client must see that it is not whole
    file_left_ -= count;
    renew();
    asio::async_write(
        socket_, asio::buffer(piece_.data(), count),
        [self = shared_from_this()](error_code failed, std::size_t) { failed ? self->abort() : self->send_piece(); });
}

void Connection::sent(error_code error) {
    spooled_.reset();
    if (error) return abort();
    if (keep_alive_ && !shared_->closing) return read_header();
    answering_ = false;
    socket_.socket().shutdown(tcp::socket::shutdown_send, error);
    socket_.expires_after(std::min<std::chrono::milliseconds>(kLinger, shared_->idle));
    drain();
}

// Closing with something unread would reset the connection, and with it the answer still on its way.
void Connection::drain() {
    if (shared_->closing) return abort();
    socket_.async_read_some(asio::buffer(ignored_), [self = shared_from_this()](error_code error, std::size_t) {
        error ? self->abort() : self->drain();
    });
}

// ---- The server

class BeastServer final : public Server {
public:
    BeastServer(asio::io_context& io, tcp::acceptor acceptor, std::shared_ptr<Shared> shared)
        : listener_(std::make_shared<Listener>(io, std::move(acceptor), std::move(shared))) {
        error_code ignored;
        port_ = listener_->acceptor.local_endpoint(ignored).port();
        accept(listener_);
    }
    ~BeastServer() override {
        close();
        auto& shared = *listener_->shared;
        const auto connections = shared.connections;
        for (const auto& connection : connections) connection->abort();
    }
    BeastServer(const BeastServer&) = delete;
    BeastServer& operator=(const BeastServer&) = delete;

    void add_stream(std::string path, StreamRoute route) override {
        listener_->shared->streams.insert_or_assign(std::move(path), std::move(route));
    }
    [[nodiscard]] std::uint16_t port() const override { return port_; }

    void close() override {
        auto& shared = *listener_->shared;
        shared.closing = true;
        error_code ignored;
        listener_->acceptor.close(ignored);
        listener_->again.cancel();
        const auto connections = shared.connections;
        for (const auto& connection : connections) connection->finish();
        const auto streams = shared.open_streams;
        for (const auto& stream : streams) stream->abort();
    }

private:
    // shared: with the accept under way.
    struct Listener {
        Listener(asio::io_context& io, tcp::acceptor from, std::shared_ptr<Shared> state)
            : acceptor(std::move(from)), again(io), shared(std::move(state)) {}
        tcp::acceptor acceptor;
        asio::steady_timer again;
        std::shared_ptr<Shared> shared;
    };

    static void accept(const std::shared_ptr<Listener>& listener) {
        listener->acceptor.async_accept([listener](error_code error, tcp::socket socket) {
            auto& shared = *listener->shared;
            if (shared.closing) return;
            if (error) return accept_later(listener);
            if (takes(shared, socket)) {
                const auto connection = std::make_shared<Connection>(std::move(socket), listener->shared);
                shared.connections.insert(connection);
                connection->run();
            } else {
                turn_away(std::move(socket));
            }
            accept(listener);
        });
    }

    static bool takes(const Shared& shared, const tcp::socket& socket) {
        if (shared.count() >= shared.options.connections_max) return false;
        if (shared.options.connections_of_one_max == 0) return true;
        error_code ignored;
        const auto known = shared.from.find(socket.remote_endpoint(ignored).address().to_string());
        return known == shared.from.end() || known->second < shared.options.connections_of_one_max;
    }

    // No descriptor or memory left: the others may free some.
    static void accept_later(const std::shared_ptr<Listener>& listener) {
        listener->again.expires_after(kAcceptAgain);
        listener->again.async_wait([listener](error_code error) {
            if (!error && !listener->shared->closing) accept(listener);
        });
    }

    static void turn_away(tcp::socket socket) {
        constexpr std::string_view kTurnedAway =
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n";
        error_code ignored;
        socket.non_blocking(true, ignored);
        socket.write_some(asio::buffer(kTurnedAway), ignored);
        socket.shutdown(tcp::socket::shutdown_both, ignored);
    }

    // shared: with the accept under way.
    std::shared_ptr<Listener> listener_;
    std::uint16_t port_ = 0;
};

// Uploads that a former process did not finish.
void clean_spool(const std::string& folder) {
    std::error_code ignored;
    for (std::filesystem::directory_iterator at(folder, ignored), end; at != end; at.increment(ignored))
        if (at->path().filename().string().starts_with(kSpoolName)) std::filesystem::remove(at->path(), ignored);
}

}  // namespace

Result<std::unique_ptr<Server>> Server::listen(asio::io_context& io, ServerOptions options, Handler handler) {
    error_code error;
    const auto address = asio::ip::make_address(options.address, error);
    if (error) return fail(Errc::malformed, "not an IP address: " + options.address);
    if (options.upload_bytes_max > 0) clean_spool(options.spool);
    const tcp::endpoint endpoint(address, options.port);
    tcp::acceptor acceptor(io);
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(tcp::acceptor::max_listen_connections, error);
    if (error) {
        return fail(Errc::io, "cannot listen on " + options.address + " port " + std::to_string(options.port) + ": " +
                                  error.message());
    }
    // shared: with the connections.
    auto shared = std::make_shared<Shared>();
    shared->idle = options.idle_ms > 0 ? std::chrono::milliseconds(options.idle_ms)
                                       : std::chrono::milliseconds(std::chrono::seconds(options.idle_seconds));
    shared->options = std::move(options);
    shared->handler = std::move(handler);
    return std::make_unique<BeastServer>(io, std::move(acceptor), std::move(shared));
}

}  // namespace sheaf::http
