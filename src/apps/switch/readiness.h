// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "apps/config/switch_settings.h"
#include "edge/http/client.h"
#include "exchange/exchange.h"

namespace sheaf::apps {

inline constexpr int kReadinessEverySeconds = 5;
inline constexpr int kReadinessTimeoutSeconds = 3;

// Tells the peer sites which agents are ready: on every change and every five seconds (docs/formats/site.md). To each
// peer one request at a time; a change meanwhile is told next. One thread.
class ReadinessTeller {
public:
    // `readiness` gives the present state without seq and boot.
    ReadinessTeller(boost::asio::io_context& io, std::string site, std::function<exchange::RemoteAgents()> readiness);

    void set_peers(const std::vector<config::SiteSettings>& peers);
    void tell();  // something changed
    void start();
    void stop();

private:
    struct Peer {
        std::string url;
        std::string secret;
        bool under_way = false;
        bool again = false;
        bool is_away = false;  // said in the log
    };
    void wait();
    void tell(const std::string& name, Peer& peer);
    void on_answer(const std::string& name, const Result<http::ClientResponse>& response);

    std::string site_;
    std::string boot_;
    std::function<exchange::RemoteAgents()> readiness_;
    std::unique_ptr<http::Client> client_;
    boost::asio::steady_timer timer_;
    std::map<std::string, Peer> peers_;
    std::uint64_t seq_ = 0;
    // Tells callbacks that the teller is gone: they hold it weakly.
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sheaf::apps
