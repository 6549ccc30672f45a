// SPDX-License-Identifier: Apache-2.0
#include "edge/http/client.h"

#include <sys/socket.h>

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/url.hpp>
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "edge/http/message.h"

namespace sheaf::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bhttp = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::uint32_t kClientHeaderMax = 64 * 1024;
constexpr std::size_t kFilePieceBytes = 64 * 1024;

using Done = std::function<void(Result<ClientResponse>)>;

struct Address {
    std::string host;  // without brackets
    std::string port;
    std::string authority;  // as in Host
    std::string target;
};

Result<Address> address_of(const std::string& text) {
    const auto url = boost::urls::parse_uri(text);
    if (!url || url->host().empty()) return fail(Errc::malformed, "not a URL: " + text);
    if (url->scheme() != "http") return fail(Errc::unsupported, "not an http URL: " + text);
    Address address;
    address.host = url->host_address();
    address.port = url->has_port() ? std::string(url->port()) : "80";
    address.authority = std::string(url->encoded_host_and_port());
    address.target = std::string(url->encoded_target());
    if (address.target.empty() || address.target.front() != '/') address.target.insert(0, "/");
    return address;
}

struct Job {
    ClientRequest request;
    Address address;
    Done done;
    [[nodiscard]] bool is_idempotent() const { return request.method != "POST" && request.method != "PATCH"; }
    [[nodiscard]] std::chrono::milliseconds timeout() const {
        return request.timeout_ms > 0 ? std::chrono::milliseconds(request.timeout_ms)
                                      : std::chrono::milliseconds(std::chrono::seconds(request.timeout_seconds));
    }
};

// One TCP connection, at most one exchange at a time.
class Link final : public std::enable_shared_from_this<Link> {
public:
    using Finished = std::function<void(Job, Result<ClientResponse>, bool keep)>;
    Link(asio::io_context& io, Finished finished)
        : socket_(io), resolver_(io), deadline_(io), finished_(std::move(finished)) {}

    void start(Job job) {
        job_ = std::move(job);
        renew();
        if (const auto problem = prepare()) return finish_with(*problem);
        if (socket_.is_open()) {
            reused_ = true;
            write();
        } else {
            resolve();
        }
    }

    // The peer has closed or said something unasked: no use for another exchange.
    [[nodiscard]] bool is_stale() {
        char byte = 0;
        const auto got = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        return got >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
    }

    // No callback from now on.
    void abandon() {
        finished_ = nullptr;
        close();
    }

private:
    [[nodiscard]] std::optional<Error> prepare();
    void resolve();
    void connect(const tcp::resolver::results_type& where);
    void write();
    void write_piece();
    void read();
    void response_read(error_code error);
    void finish_with(Error error) { finish(std::unexpected(std::move(error)), false); }
    void finish(Result<ClientResponse> result, bool keep);
    void failed(std::string_view doing, error_code error);
    void close() {
        error_code ignored;
        resolver_.cancel();
        deadline_.cancel();
        socket_.close(ignored);
    }
    void renew() {
        timed_out_ = false;
        deadline_.expires_after(job_.timeout());
        deadline_.async_wait([self = shared_from_this()](error_code error) {
            if (error || self->deadline_.expiry() > std::chrono::steady_clock::now()) return;
            self->timed_out_ = true;
            error_code ignored;
            self->resolver_.cancel();
            self->socket_.close(ignored);
        });
    }

    tcp::socket socket_;
    tcp::resolver resolver_;
    asio::steady_timer deadline_;
    Finished finished_;
    Job job_;
    beast::flat_buffer buffer_;
    bhttp::request<bhttp::string_body> request_;
    std::optional<bhttp::request_serializer<bhttp::string_body>> serializer_;
    std::optional<bhttp::response_parser<bhttp::string_body>> parser_;
    beast::file file_;
    std::uint64_t file_left_ = 0;
    std::vector<char> piece_;
    bool reused_ = false;
    bool timed_out_ = false;
};

std::optional<Error> Link::prepare() {
    request_ = {};
    request_.method_string(job_.request.method);
    request_.target(job_.address.target);
    request_.set(bhttp::field::host, job_.address.authority);
    for (const auto& [name, value] : job_.request.headers) request_.insert(name, value);
    if (job_.request.body_file.empty()) {
        request_.body() = job_.request.body;
        request_.prepare_payload();
        return std::nullopt;
    }
    error_code error;
    file_ = {};
    file_.open(job_.request.body_file.c_str(), beast::file_mode::scan, error);
    file_left_ = error ? 0 : file_.size(error);
    // Only a file that is gone is gone for good; a lack of descriptors or memory passes.
    const bool is_gone = error == boost::system::errc::no_such_file_or_directory;
    if (error) return Error{is_gone ? Errc::not_found : Errc::io, job_.request.body_file + ": " + error.message()};
    request_.content_length(file_left_);
    return std::nullopt;
}

void Link::resolve() {
    reused_ = false;
    buffer_.clear();
    error_code error;
    const auto literal = asio::ip::make_address(job_.address.host, error);
    if (!error) {
        const auto port = static_cast<std::uint16_t>(std::strtoul(job_.address.port.c_str(), nullptr, 10));
        return connect(tcp::resolver::results_type::create(tcp::endpoint(literal, port), job_.address.host, ""));
    }
    resolver_.async_resolve(job_.address.host, job_.address.port,
                            [self = shared_from_this()](error_code failure, const tcp::resolver::results_type& where) {
                                failure ? self->failed("look up", failure) : self->connect(where);
                            });
}

void Link::connect(const tcp::resolver::results_type& where) {
    if (timed_out_) return failed("look up", asio::error::operation_aborted);
    asio::async_connect(socket_, where, [self = shared_from_this()](error_code error, const tcp::endpoint&) {
        if (error) return self->failed("connect to", error);
        self->socket_.set_option(tcp::no_delay(true), error);
        self->write();
    });
}

void Link::write() {
    serializer_.emplace(request_);
    const auto then = [self = shared_from_this()](error_code error, std::size_t) {
        if (error) return self->failed("write to", error);
        self->job_.request.body_file.empty() ? self->read() : self->write_piece();
    };
    job_.request.body_file.empty() ? bhttp::async_write(socket_, *serializer_, then)
                                   : bhttp::async_write_header(socket_, *serializer_, then);
}

void Link::write_piece() {
    renew();
    if (file_left_ == 0) return read();
    piece_.resize(kFilePieceBytes);
    error_code error;
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(file_left_, piece_.size()));
    const std::size_t count = file_.read(piece_.data(), wanted, error);
    if (error || count == 0) return finish_with({Errc::io, job_.request.body_file + " is shorter than it was"});
    file_left_ -= count;
    asio::async_write(socket_, asio::buffer(piece_.data(), count),
                      [self = shared_from_this()](error_code failure, std::size_t) {
                          // A server that refuses early hangs up: its answer may be there already.
                          failure && !self->timed_out_ ? self->read()
                          : failure                    ? self->failed("write to", failure)
                                                       : self->write_piece();
                      });
}

void Link::read() {
    parser_.emplace();
    parser_->header_limit(kClientHeaderMax);
    parser_->body_limit(kClientBodyMax);
    parser_->skip(job_.request.method == "HEAD");
    bhttp::async_read(socket_, buffer_, *parser_,
                      [self = shared_from_this()](error_code error, std::size_t) { self->response_read(error); });
}

void Link::response_read(error_code error) {
    if (error == bhttp::error::body_limit || error == bhttp::error::header_limit) {
        return finish_with({Errc::exhausted, "the answer of " + job_.address.authority + " is too large"});
    }
    if (error) return failed("read from", error);
    auto response = parser_->release();
    // An interim answer (RFC 9110 §15.2) precedes the real one.
    if (response.result_int() / 100 == 1) return read();
    ClientResponse result;
    result.status = static_cast<int>(response.result_int());
    for (const auto& field : response) result.headers.emplace_back(field.name_string(), field.value());
    result.body = std::move(response.body());
    finish(std::move(result), response.keep_alive() && file_left_ == 0);
}

void Link::failed(std::string_view doing, error_code error) {
    const bool unanswered = !parser_ || !parser_->got_some();
    const std::string where = job_.address.host + " port " + job_.address.port;
    if (timed_out_) return finish_with({Errc::timeout, "no answer in time from " + where});
    if (reused_ && unanswered && job_.is_idempotent()) {
        error_code ignored;
        socket_.close(ignored);
        parser_.reset();
        if (const auto problem = prepare()) return finish_with(*problem);
        return resolve();
    }
    finish_with({Errc::io, "cannot " + std::string(doing) + " " + where + ": " + error.message()});
}

void Link::finish(Result<ClientResponse> result, bool keep) {
    file_ = {};
    file_left_ = 0;
    parser_.reset();
    deadline_.cancel();
    if (!keep) close();
    if (finished_) finished_(std::move(job_), std::move(result), keep);
}

class BeastClient final : public Client {
public:
    BeastClient(asio::io_context& io, std::size_t connections_max)
        : io_(io), connections_max_(connections_max), alive_(std::make_shared<bool>(true)) {}
    ~BeastClient() override {
        *alive_ = false;
        for (auto& [_, host] : hosts_) {
            for (const auto& link : host.busy) link->abandon();
            for (const auto& link : host.idle) link->abandon();
        }
    }
    BeastClient(const BeastClient&) = delete;
    BeastClient& operator=(const BeastClient&) = delete;

    void send(ClientRequest request, Done done) override {
        auto problem = problem_of(request);
        auto address = address_of(request.url);
        if (!problem && !address) problem = address.error();
        if (problem) {
            asio::post(io_, [alive = alive_, done = std::move(done), problem = std::move(*problem)] {
                if (*alive) done(std::unexpected(problem));
            });
            return;
        }
        const std::string key = address->authority;
        hosts_[key].waiting.push_back({std::move(request), std::move(*address), std::move(done)});
        // Later, so that a callback never runs inside send.
        asio::post(io_, [this, alive = alive_, key] {
            if (*alive) start_waiting(key);
        });
    }

private:
    // shared links: their handlers under way hold them too.
    struct Host {
        std::deque<Job> waiting;
        std::vector<std::shared_ptr<Link>> busy;
        std::vector<std::shared_ptr<Link>> idle;
    };

    [[nodiscard]] static std::optional<Error> problem_of(const ClientRequest& request) {
        for (const auto& [name, value] : request.headers) {
            if (!is_header(name, value)) return Error{Errc::malformed, "a bad header"};
        }
        if (!is_header(request.method, "")) return Error{Errc::malformed, "a bad method"};
        return std::nullopt;
    }

    void start_waiting(const std::string& key) {
        auto& host = hosts_[key];
        while (!host.waiting.empty() && host.busy.size() < connections_max_) {
            auto job = std::move(host.waiting.front());
            host.waiting.pop_front();
            auto link = link_for(host, key);
            host.busy.push_back(link);
            link->start(std::move(job));
        }
    }

    std::shared_ptr<Link> link_for(Host& host, const std::string& key) {
        while (!host.idle.empty()) {
            auto link = std::move(host.idle.back());
            host.idle.pop_back();
            if (!link->is_stale()) return link;
            link->abandon();
        }
        // The link is named only while it is busy, so it cannot be gone when it says it has finished.
        auto name = std::make_shared<std::weak_ptr<Link>>();
        auto link = std::make_shared<Link>(io_, [this, key, name](Job job, Result<ClientResponse> result, bool keep) {
            finished(key, name->lock(), std::move(job), std::move(result), keep);
        });
        *name = link;
        return link;
    }

    void finished(const std::string& key, const std::shared_ptr<Link>& link, Job job, Result<ClientResponse> result,
                  bool keep) {
        auto& host = hosts_[key];
        std::erase(host.busy, link);
        if (keep) host.idle.push_back(link);
        // The next first: the callback may end this client.
        asio::post(io_, [this, alive = alive_, key] {
            if (*alive) start_waiting(key);
        });
        asio::post(io_, [alive = alive_, done = std::move(job.done), result = std::move(result)]() mutable {
            if (*alive) done(std::move(result));
        });
    }

    asio::io_context& io_;
    std::size_t connections_max_;
    std::map<std::string, Host> hosts_;
    std::shared_ptr<bool> alive_;  // shared: with what was posted
};

}  // namespace

std::unique_ptr<Client> Client::create(asio::io_context& io, std::size_t connections_max) {
    return std::make_unique<BeastClient>(io, std::max<std::size_t>(1, connections_max));
}

}  // namespace sheaf::http
