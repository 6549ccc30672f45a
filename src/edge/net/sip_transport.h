// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "sip/user_agent.h"

namespace boost::asio {
class io_context;
}

namespace sheaf::net {

struct SipTransportLimits {
    std::size_t connections_max = 4'000;            // TCP, both ways; a further one is closed or fails
    std::size_t connections_per_peer_max = 512;     // of one address
    std::size_t strangers_connections_max = 1'000;  // of those that begin as a stranger's; a further one is closed
    std::size_t stranger_connections_max = 16;      // of one such address
    std::size_t unread_bytes_max = 128 * 1024;      // a message that is not whole yet, a connection; beyond: closed
    std::size_t unsent_bytes_max = 1024 * 1024;     // waiting for a slow peer, a connection; beyond: closed
    std::size_t unsent_datagrams_max = 8'192;  // waiting for the kernel, a socket; beyond: dropped, as the wire does
    Duration unfinished_max =
        std::chrono::seconds{30};                  // till the first message, and for each one's bytes; then closed
    Duration idle_max = std::chrono::minutes{10};  // without a message or keep-alive either way; beyond: closed
    Duration stranger_idle_max =
        std::chrono::minutes{1};  // of a connection that is a stranger's; keep-alives do not count
    Duration connect_max = std::chrono::seconds{2};
};

// What a transport calls, on the io_context's thread and never from within `send`.
struct SipTransportHandlers {
    std::function<void(const sip::Source&, std::string_view)> on_bytes;  // a datagram
    // Bytes of a stream that are no message, and why; false: close it.
    std::function<bool(const sip::Source&, std::string_view, const Error&)> on_broken;
    std::function<bool(const sip::Source&, const sip::Message&)> on_message;  // whole, from a stream; false: close it
    // Of a Send; for transport_failed. `was_up`: the connection it went out on, or was to, had been there before.
    std::function<void(const std::string& branch, bool was_up)> on_failed;
    std::function<void()> on_batch;                               // after one or more of the above
    std::function<bool(const std::string& address)> may_idle;     // a stranger that has a call; empty: none may
    std::function<bool(const std::string& address)> is_stranger;  // who connects; empty: nobody is one
};

// SIP's sockets: UDP and TCP listeners, connections made on demand, reused and closed when idle; double-CRLF
// keep-alives are answered (RFC 5626 §3.5.1). Decides nothing about SIP. One io_context, one thread.
class SipTransport {
public:
    // Binds all of `listen` or nothing. Port 0: any; entries of one address that ask for it get the same port.
    [[nodiscard]] static Result<std::unique_ptr<SipTransport>> start(boost::asio::io_context& io,
                                                                     const std::vector<sip::Endpoint>& listen,
                                                                     const SipTransportLimits& limits,
                                                                     SipTransportHandlers handlers);
    virtual ~SipTransport() = default;  // as close

    [[nodiscard]] virtual const std::vector<sip::Endpoint>& bound() const = 0;  // in the order of `listen`
    virtual void send(std::vector<sip::Send> sends) = 0;
    [[nodiscard]] virtual std::size_t connections() const = 0;
    virtual void close() = 0;  // no handler runs afterwards
};

}  // namespace sheaf::net
