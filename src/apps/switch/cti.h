// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/config/switch_settings.h"
#include "apps/switch/site_messages.h"
#include "base/result.h"
#include "edge/http/server.h"
#include "exchange/exchange.h"

namespace boost::asio {
class io_context;
}

namespace sheaf::apps {

inline constexpr std::size_t kCtiWaitingMax = 1'000;  // requests without answer; beyond: 503
inline constexpr std::size_t kCtiStreamsMax = 200;    // open event streams; beyond: 503

// What the CTI API asks of the role.
struct CtiPort {
    std::function<void(exchange::Event)> input;  // a checked request, or a peer site's message
    // What who may see these devices may see, for the snapshot.
    std::function<boost::json::array(const std::vector<std::string>& devices)> calls, agents;
    std::function<void(const CallUuid& call, bool as_pcap, http::Reply reply)> messages;  // the call's SIP ladder
};

// The switch's HTTP API: CTI for desktops (tokens) and messages from peer sites (signed). Parses and checks; what a
// request means is the exchange's business. One thread: the io_context's.
class Cti {
public:
    [[nodiscard]] static Result<std::unique_ptr<Cti>> start(boost::asio::io_context& io,
                                                            const config::SwitchSettings& settings, CtiPort port);
    void reload(const config::SwitchSettings& settings);  // tokens and sites; the address stays
    void answer(const exchange::CtiReply& reply);
    void say(const exchange::CtiEvent& event, WallTime at);
    [[nodiscard]] std::string bound() const;  // "127.0.0.1:8090"
    void close();

private:
    explicit Cti(CtiPort port) : port_(std::move(port)) {}
    void take(const config::SwitchSettings& settings);
    void on_request(const http::Request& request, http::Reply reply);
    void on_site_message(const http::Request& request, const http::Reply& reply);
    void on_messages(const http::Request& request, const config::CtiTokenSettings& token, const std::string& call,
                     http::Reply reply);
    void on_service(const http::Request& request, exchange::CtiRequest wanted, http::Reply reply);
    [[nodiscard]] const config::CtiTokenSettings* bearer_of(const http::Request& request) const;
    [[nodiscard]] std::optional<http::Response> admit(const http::Request& request);
    [[nodiscard]] std::optional<http::Response> admit_body(const http::Request& request) const;
    void forget_closed_listeners();
    void opened(const http::Request& request, std::shared_ptr<http::Stream> stream);

    struct Listener {
        std::shared_ptr<http::Stream> stream;  // shared with the connection
        config::CtiTokenSettings token;        // as it was
    };
    CtiPort port_;
    std::string address_;
    bool without_token_ = false;
    config::CtiTokenSettings anyone_{"none", {}, {"*"}};
    std::vector<config::CtiTokenSettings> tokens_;
    std::vector<config::SiteSettings> sites_;
    SiteGuard guard_;
    SiteAges ages_;
    std::uint64_t last_request_ = 0;
    std::map<std::uint64_t, http::Reply> waiting_;
    std::list<Listener> listeners_;
    std::unique_ptr<http::Server> server_;
};

}  // namespace sheaf::apps
