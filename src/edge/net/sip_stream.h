// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "edge/net/sip_transport.h"
#include "sip/message.h"

namespace sheaf::net {

inline constexpr std::size_t kBranchesMax = 256;  // remembered a connection, to be failed with it
inline constexpr std::size_t kBrokenMax = 100;  // messages that break a rule, a connection; with one more it is closed

class SipStream;

// Who owns the streams; outlives every one that is not closed.
class SipStreamOwner {
public:
    virtual ~SipStreamOwner() = default;
    virtual void on_stream_message(SipStream& stream, const sip::Message& message) = 0;
    virtual void on_stream_broken(SipStream& stream, std::string_view bytes, const Error& error) = 0;
    virtual void on_stream_batch() = 0;
    virtual bool may_idle(const SipStream& stream) = 0;  // a stranger's, once more as long
    virtual void on_stream_closed(SipStream& stream) = 0;  // the last call
};

// One TCP connection: frames what comes, queues what goes, closes itself when idle, broken or over its limits.
// Shared: its owner and its pending operations hold it.
class SipStream : public std::enable_shared_from_this<SipStream> {
public:
    SipStream(boost::asio::ip::tcp::socket socket, sip::Source source, const SipTransportLimits& limits,
              SipStreamOwner& owner);

    void accepted();
    void connect(const boost::asio::ip::tcp::endpoint& to);
    void write(std::string bytes, const std::string& branch);
    void close();                                       // at once; calls nobody
    void give_up();                                     // at once; its owner hears of it
    void idle_max(Duration longest, bool pings_count);  // from now on

    [[nodiscard]] const sip::Source& source() const { return source_; }
    [[nodiscard]] const std::deque<std::string>& branches() const { return branches_; }
    [[nodiscard]] bool was_up() const { return connected_; }

private:
    void start();
    [[nodiscard]] std::chrono::steady_clock::time_point deadline() const;
    void read();
    void on_read(std::size_t length);
    void is_unfinished(bool has_bytes, bool has_message);
    void write_next();
    void watch();

    boost::asio::ip::tcp::socket socket_;
    boost::asio::steady_timer timer_;
    sip::Source source_;
    SipTransportLimits limits_;
    SipStreamOwner& owner_;
    sip::StreamParser parser_;
    std::array<char, 16 * 1024> room_{};
    std::deque<std::string> unsent_;
    std::size_t unsent_bytes_ = 0;
    std::deque<std::string> branches_;
    std::chrono::steady_clock::time_point last_use_;
    std::optional<std::chrono::steady_clock::time_point> unfinished_since_;  // a message, or the wait for the first
    std::size_t broken_ = 0;
    bool pings_count_ = true;
    bool connected_ = false;
    bool writing_ = false;
    bool ends_after_write_ = false;
    bool closed_ = false;
};

}  // namespace sheaf::net
