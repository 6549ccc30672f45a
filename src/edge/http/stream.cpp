// SPDX-License-Identifier: Apache-2.0
#include "edge/http/stream.h"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/websocket.hpp>
#include <deque>
#include <string>

#include "edge/http/message.h"

namespace sheaf::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;

constexpr std::size_t kIncomingMessageMax = 64 * 1024;

// Texts on their way out: one is being written, the others wait; together at most kStreamBytesMax, and beside them one
// that is larger alone: what there is to be told at the beginning.
class Outgoing {
public:
    [[nodiscard]] bool takes(std::size_t bytes) const {
        return bytes > kStreamBytesMax ? !has_large_ : bytes_ + bytes <= kStreamBytesMax;
    }
    // True: nothing was under way, write front() now.
    [[nodiscard]] bool push(std::string text) {
        if (text.size() > kStreamBytesMax)
            has_large_ = true;
        else
            bytes_ += text.size();
        waiting_.push_back(std::move(text));
        return waiting_.size() == 1;
    }
    [[nodiscard]] const std::string& front() const { return waiting_.front(); }
    // True: there is another to write.
    [[nodiscard]] bool pop() {
        if (waiting_.front().size() > kStreamBytesMax)
            has_large_ = false;
        else
            bytes_ -= waiting_.front().size();
        waiting_.pop_front();
        return !waiting_.empty();
    }
    [[nodiscard]] bool empty() const { return waiting_.empty(); }

private:
    std::deque<std::string> waiting_;
    std::size_t bytes_ = 0;  // without the large one
    bool has_large_ = false;
};

// What the application holds: it may outlive the connection, even the io_context.
class Handle final : public Stream {
public:
    explicit Handle(std::weak_ptr<OpenStream> stream) : stream_(std::move(stream)) {}
    void send(std::string_view text) override {
        if (const auto stream = stream_.lock()) stream->send(text);
    }
    void close() override {
        if (const auto stream = stream_.lock()) stream->close();
    }
    [[nodiscard]] bool is_open() const override {
        const auto stream = stream_.lock();
        return stream && stream->is_open();
    }

private:
    std::weak_ptr<OpenStream> stream_;
};

class WebSocket final : public OpenStream, public std::enable_shared_from_this<WebSocket> {
public:
    explicit WebSocket(StreamStart start)
        : socket_(std::move(start.socket)),
          request_(std::move(start.request)),
          received_(std::move(start.received)),
          idle_(start.idle),
          opened_(std::move(start.opened)),
          ended_(std::move(start.ended)) {}

    void run() {
        beast::get_lowest_layer(socket_).expires_never();
        // Silent for half of the idle time: a ping; for all of it: gone.
        socket_.set_option(websocket::stream_base::timeout{idle_, idle_, true});
        socket_.read_message_max(kIncomingMessageMax);
        socket_.text(true);
        socket_.async_accept(request_, [self = shared_from_this()](error_code error) {
            if (error) return self->abort();
            self->open_ = true;
            self->read();
            self->opened_(std::make_shared<Handle>(self));
        });
    }

    void send(std::string_view text) override {
        if (!is_open()) return;
        if (!outgoing_.takes(text.size())) return abort();
        if (outgoing_.push(std::string(text))) write();
    }

    void close() override {
        if (!is_open()) return;
        closing_ = true;
        if (outgoing_.empty()) say_goodbye();
    }

    void abort() override {
        open_ = false;
        if (auto ended = std::exchange(ended_, nullptr)) {
            beast::get_lowest_layer(socket_).close();
            ended();
        }
    }

    [[nodiscard]] bool is_open() const override { return open_ && !closing_; }

private:
    // What a client says is not listened to, but read: closes and pings come that way.
    void read() {
        socket_.async_read(received_, [self = shared_from_this()](error_code error, std::size_t) {
            if (error) return self->abort();
            self->received_.clear();
            self->read();
        });
    }

    void write() {
        socket_.async_write(asio::buffer(outgoing_.front()),
                            [self = shared_from_this()](error_code error, std::size_t) {
                                if (error) return self->abort();
                                if (self->outgoing_.pop()) return self->write();
                                if (self->closing_) self->say_goodbye();
                            });
    }

    void say_goodbye() {
        socket_.async_close(websocket::close_code::normal, [self = shared_from_this()](error_code) { self->abort(); });
    }

    websocket::stream<beast::tcp_stream, false> socket_;  // no compression
    beast::http::request<beast::http::empty_body> request_;
    beast::flat_buffer received_;
    std::chrono::milliseconds idle_;
    std::function<void(std::shared_ptr<Stream>)> opened_;
    std::function<void()> ended_;
    Outgoing outgoing_;
    bool open_ = false;
    bool closing_ = false;
};

class EventStream final : public OpenStream, public std::enable_shared_from_this<EventStream> {
public:
    explicit EventStream(StreamStart start)
        : socket_(std::move(start.socket)),
          idle_(start.idle),
          opened_(std::move(start.opened)),
          ended_(std::move(start.ended)),
          pulse_(socket_.get_executor()) {}

    void run() {
        socket_.expires_never();
        read();
        pulse();
        start_write(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
            "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n");
        opened_(std::make_shared<Handle>(shared_from_this()));
    }

    void send(std::string_view text) override {
        if (is_open()) start_write(event_text(text));
    }

    void close() override {
        closing_ = true;
        if (outgoing_.empty()) abort();
    }

    void abort() override {
        open_ = false;
        pulse_.cancel();
        if (auto ended = std::exchange(ended_, nullptr)) {
            error_code ignored;
            socket_.socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
            socket_.close();
            ended();
        }
    }

    [[nodiscard]] bool is_open() const override { return open_ && !closing_; }

private:
    void start_write(std::string text) {
        if (!outgoing_.takes(text.size())) return abort();
        if (outgoing_.push(std::move(text))) write();
    }

    void write() {
        asio::async_write(socket_.socket(), asio::buffer(outgoing_.front()),
                          [self = shared_from_this()](error_code error, std::size_t) {
                              if (error) return self->abort();
                              self->wrote_ = true;
                              if (self->outgoing_.pop()) return self->write();
                              if (self->closing_) self->abort();
                          });
    }

    // A client has nothing more to say; reading tells that it has gone.
    void read() {
        socket_.socket().async_read_some(asio::buffer(ignored_),
                                         [self = shared_from_this()](error_code error, std::size_t) {
                                             if (error) return self->abort();
                                             self->read();
                                         });
    }

    // A comment now and then finds out whether the client is still there. Nothing written since the last one: it is
    // not.
    void pulse() {
        pulse_.expires_after(idle_ / 2);
        pulse_.async_wait([self = shared_from_this()](error_code error) {
            if (error || !self->open_) return;
            if (!self->outgoing_.empty() && !self->wrote_) return self->abort();
            self->wrote_ = false;
            if (self->outgoing_.empty()) self->start_write(":\n\n");
            self->pulse();
        });
    }

    beast::tcp_stream socket_;
    std::chrono::milliseconds idle_;
    std::function<void(std::shared_ptr<Stream>)> opened_;
    std::function<void()> ended_;
    asio::steady_timer pulse_;
    Outgoing outgoing_;
    std::array<char, 512> ignored_{};
    bool wrote_ = true;
    bool open_ = true;
    bool closing_ = false;
};

}  // namespace

std::shared_ptr<OpenStream> start_websocket(StreamStart start) {
    auto stream = std::make_shared<WebSocket>(std::move(start));
    stream->run();
    return stream;
}

std::shared_ptr<OpenStream> start_event_stream(StreamStart start) {
    auto stream = std::make_shared<EventStream>(std::move(start));
    stream->run();
    return stream;
}

}  // namespace sheaf::http
