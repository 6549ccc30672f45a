// SPDX-License-Identifier: Apache-2.0
#include "edge/net/sip_stream.h"

#include <netinet/tcp.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <utility>

namespace sheaf::net {

using boost::asio::ip::tcp;
using boost::system::error_code;
using std::chrono::steady_clock;

constexpr int kUnacknowledgedMaxMs = 32'000;  // 64·T1, as long as a request waits for its answer
constexpr std::size_t kPingBytes = 4;         // RFC 5626 §3.5.1: fewer may be a part of one, or its answer

SipStream::SipStream(tcp::socket socket, sip::Source source, const SipTransportLimits& limits, SipStreamOwner& owner)
    : socket_(std::move(socket)),
      timer_(socket_.get_executor()),
      source_(std::move(source)),
      limits_(limits),
      owner_(owner),
      last_use_(steady_clock::now()) {}

void SipStream::accepted() {
    unfinished_since_ = steady_clock::now();
    start();
}

void SipStream::start() {
    connected_ = true;
    error_code ignored;
    socket_.set_option(tcp::no_delay(true), ignored);
    // What a peer that is gone without a word does not acknowledge ends the connection; the next one may work.
    socket_.set_option(boost::asio::socket_base::keep_alive(true), ignored);
    ::setsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_USER_TIMEOUT, &kUnacknowledgedMaxMs,
                 sizeof kUnacknowledgedMaxMs);
    last_use_ = steady_clock::now();
    watch();
    read();
    if (!unsent_.empty() && !writing_) write_next();
}

void SipStream::connect(const tcp::endpoint& to) {
    timer_.expires_after(limits_.connect_max);
    timer_.async_wait([self = shared_from_this()](error_code error) {
        if (!error && !self->connected_) self->give_up();
    });
    socket_.async_connect(to, [self = shared_from_this()](error_code error) {
        if (self->closed_) return;
        if (error) return self->give_up();
        self->start();
    });
}

steady_clock::time_point SipStream::deadline() const {
    const auto idle = last_use_ + limits_.idle_max;
    return unfinished_since_ ? std::min(idle, *unfinished_since_ + limits_.unfinished_max) : idle;
}

// Closes when nothing useful has passed for idle_max, or a message has been on its way for unfinished_max.
void SipStream::watch() {
    timer_.expires_at(deadline());
    timer_.async_wait([self = shared_from_this()](error_code error) {
        if (error || self->closed_) return;
        const bool is_idle = self->deadline() <= steady_clock::now();
        if (is_idle && !self->pings_count_ && !self->unfinished_since_ && self->owner_.may_idle(*self)) {
            self->last_use_ = steady_clock::now();
        } else if (is_idle) {
            return self->give_up();
        }
        self->watch();
    });
}

void SipStream::idle_max(Duration longest, bool pings_count) {
    limits_.idle_max = longest;
    pings_count_ = pings_count;
    if (connected_ && !closed_) watch();
}

void SipStream::read() {
    socket_.async_read_some(boost::asio::buffer(room_), [self = shared_from_this()](error_code error, std::size_t got) {
        if (self->closed_) return;
        if (error) return self->give_up();
        self->on_read(got);
    });
}

void SipStream::on_read(std::size_t length) {
    parser_.feed({room_.data(), length});
    bool is_broken = false;
    bool has_message = false;
    while (auto message = parser_.next()) {
        has_message = true;
        last_use_ = steady_clock::now();
        if (message->has_value()) {
            owner_.on_stream_message(*this, **message);
        } else {
            is_broken = parser_.is_lost() || ++broken_ > kBrokenMax;
            owner_.on_stream_broken(*this, parser_.broken(), message->error());
        }
        if (closed_) return owner_.on_stream_batch();  // what came before has its effects
        if (is_broken) break;
    }
    if (const std::size_t pings = parser_.take_pings(); pings > 0) {
        if (pings_count_) last_use_ = steady_clock::now();
        std::string pongs;
        for (std::size_t i = 0; i < pings; ++i) pongs += "\r\n";
        write(std::move(pongs), {});
    }
    owner_.on_stream_batch();
    if (closed_) return;
    is_unfinished(parser_.buffered() >= kPingBytes, has_message);
    if (parser_.buffered() > limits_.unread_bytes_max) return give_up();
    if (!is_broken) return read();
    ends_after_write_ = true;  // the 400 goes out first
    if (unsent_.empty()) give_up();
}

// Bytes that are no message yet must become one in time; one that comes gives the next one its own.
void SipStream::is_unfinished(bool has_bytes, bool has_message) {
    if (has_message) unfinished_since_.reset();
    if (!has_bytes || unfinished_since_) return;
    unfinished_since_ = steady_clock::now();
    watch();
}

void SipStream::write(std::string bytes, const std::string& branch) {
    if (closed_ || ends_after_write_) return;
    if (!branch.empty()) {
        branches_.push_back(branch);
        if (branches_.size() > kBranchesMax) branches_.pop_front();
    }
    unsent_bytes_ += bytes.size();
    unsent_.push_back(std::move(bytes));
    if (unsent_bytes_ > limits_.unsent_bytes_max) {
        // Not from within `send`: its caller may still hold on to what failing would change.
        boost::asio::post(socket_.get_executor(), [self = shared_from_this()] { self->give_up(); });
        return;
    }
    if (!branch.empty() || pings_count_) last_use_ = steady_clock::now();
    if (connected_ && !writing_) write_next();
}

void SipStream::write_next() {
    writing_ = true;
    boost::asio::async_write(socket_, boost::asio::buffer(unsent_.front()),
                             [self = shared_from_this()](error_code error, std::size_t /*length*/) {
                                 if (self->closed_) return;
                                 if (error) return self->give_up();
                                 self->unsent_bytes_ -= self->unsent_.front().size();
                                 self->unsent_.pop_front();
                                 self->writing_ = false;
                                 if (!self->unsent_.empty()) return self->write_next();
                                 if (self->ends_after_write_) self->give_up();
                             });
}

void SipStream::give_up() {
    if (closed_) return;
    close();
    owner_.on_stream_closed(*this);
}

void SipStream::close() {
    closed_ = true;
    error_code ignored;
    timer_.cancel();
    socket_.close(ignored);
}

}  // namespace sheaf::net
