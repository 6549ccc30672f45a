// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "b2bua/whereabouts.h"
#include "edge/dns/resolver.h"

namespace sheaf::apps {

inline constexpr std::chrono::seconds kFirstLookMax{5};

// Asks DNS where the peers are that are configured by name, and tells when one is elsewhere. One thread.
class PeerFinder {
public:
    // `changed` is called from the io_context, once for whatever has changed meanwhile.
    PeerFinder(boost::asio::io_context& io, sip::Reach reach, std::function<void()> changed);

    // Before the io_context runs: blocks until every name has been looked for once, no longer than kFirstLookMax.
    // What has not been found by then is looked for later.
    [[nodiscard]] Result<void> start(const std::vector<std::string>& servers, const std::set<std::string>& uris);
    // Other names, or other servers: all names are looked for anew, and stay where they were meanwhile.
    [[nodiscard]] Result<void> look_anew(const std::vector<std::string>& servers, const std::set<std::string>& uris);
    void stop();
    [[nodiscard]] std::vector<sip::Endpoint> of(const std::string& uri) const { return whereabouts_.of(uri); }

private:
    void look();
    void look_for(dns::Resolver& resolver, const std::string& uri, const std::function<void()>& then);
    void found(const std::string& uri, const Result<sip::Located>& result);
    void write_logs();
    void arm();

    boost::asio::io_context& io_;
    const sip::Reach reach_;
    std::function<void()> changed_;
    boost::asio::steady_timer timer_;
    b2bua::Whereabouts whereabouts_;
    std::unique_ptr<dns::Resolver> resolver_;
    bool is_telling_ = false;
    // Handlers that are due already when the finder goes hold it weakly.
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sheaf::apps
