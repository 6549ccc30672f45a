// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "sip/admission.h"
#include "sip/user_agent.h"

namespace boost::asio {
class io_context;
}

namespace sheaf::net {

// A sip::UserAgent with sockets and a clock: the switch, the media server and the lab's phones stand on it. Everything
// runs on the io_context's thread. After an application has given the user agent commands outside an event handler it
// calls `pump`; within the handler that is done for it.
class SipNode {
public:
    using OnEvent = std::function<void(Instant now, const sip::Event&)>;
    // A message as it passes, before it is looked at or as it is handed to a socket. Of one that came on a stream the
    // bytes are those it would be sent with.
    struct Passed {
        bool sent = false;
        const sip::Endpoint& local;
        const sip::Endpoint& remote;
        std::string_view bytes;
    };
    using OnPassed = std::function<void(const Passed&)>;
    // Who is behind an address, so that each has its share only; asked of every message, before it is read.
    using SenderOf = std::function<sip::Sender(const std::string& address)>;
    // Binds every endpoint of options.listen (port 0: any; UDP and TCP of one address with port 0 get the same port
    // where possible) and replaces options.listen by what was bound.
    [[nodiscard]] static Result<std::unique_ptr<SipNode>> start(boost::asio::io_context& io,
                                                                sip::UserAgentOptions options, OnEvent on_event,
                                                                OnPassed on_passed = {});
    // From now on.
    virtual void admit_by_share(const sip::Shares& shares, SenderOf sender_of) = 0;
    [[nodiscard]] virtual sip::Admission::Turned take_turned() = 0;  // as Admission's
    virtual ~SipNode() = default;

    [[nodiscard]] virtual sip::UserAgent& agent() = 0;
    [[nodiscard]] virtual const std::vector<sip::Endpoint>& bound() const = 0;
    // Sends what is waiting, hands out events, arms the timer.
    virtual void pump() = 0;
    // Closes sockets; no handler runs afterwards.
    virtual void close() = 0;
};

}  // namespace sheaf::net
