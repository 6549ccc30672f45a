// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/config/switch_settings.h"
#include "base/result.h"
#include "exchange/exchange.h"

namespace boost::asio {
class io_context;
}

namespace sheaf::apps {

// A site's switch: SIP on one side, media servers, peers, the archive and the CTI API on the others. Everything runs on
// the io_context's one thread, but for what touches a disk: the journal's writer and the keeper of facts.
//
//   datagram → SipNode → B2bua → Exchange::step → effects, carried out in order → SipNode → datagram
class SwitchRole {
public:
    // Opens the journal and the outbox below settings.node.data and binds every address. Errc::io with words for the
    // operator when one of them cannot be had. Looks up the peers that are names: blocks up to kFirstLookMax.
    [[nodiscard]] static Result<std::unique_ptr<SwitchRole>> start(boost::asio::io_context& io,
                                                                   config::SwitchSettings settings);
    virtual ~SwitchRole() = default;

    struct Bound {
        std::vector<std::string> sip;  // "udp:127.0.0.1:5060"
        std::string cti;               // "127.0.0.1:8090", empty: none
    };
    [[nodiscard]] virtual Bound bound() const = 0;
    // SIGHUP: agents, trunks, sites, tokens, routing points and routes anew, and names looked up anew; calls stay. What
    // needs a restart (addresses, media servers, the archive) is left as it was. Errc: the settings are not taken.
    [[nodiscard]] virtual Result<void> reload(config::SwitchSettings settings) = 0;
    // Ends every call, waits until the peers have confirmed or kStopMax has passed, writes the journal out, closes
    // everything; then `done`, once, from the io_context.
    virtual void stop(std::function<void()> done) = 0;
    [[nodiscard]] virtual exchange::Exchange::Counts counts() const = 0;
};

inline constexpr int kStopMaxMs = 3'000;

}  // namespace sheaf::apps
