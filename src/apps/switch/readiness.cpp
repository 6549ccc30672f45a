// SPDX-License-Identifier: Apache-2.0
#include "apps/switch/readiness.h"

#include <boost/asio/io_context.hpp>
#include <utility>

#include "apps/config/log.h"
#include "apps/switch/site_messages.h"
#include "apps/switch/site_post.h"
#include "base/entropy.h"
#include "edge/net/clock.h"

namespace sheaf::apps {

ReadinessTeller::ReadinessTeller(boost::asio::io_context& io, std::string site,
                                 std::function<exchange::RemoteAgents()> readiness)
    : site_(std::move(site)),
      boot_(Entropy(net::seed()).token(8)),
      readiness_(std::move(readiness)),
      client_(http::Client::create(io)),
      timer_(io) {}

void ReadinessTeller::set_peers(const std::vector<config::SiteSettings>& peers) {
    std::map<std::string, Peer> former = std::move(peers_);
    peers_.clear();
    for (const auto& peer : peers) {
        if (peer.http.empty()) continue;
        auto& now = peers_[peer.name];
        if (const auto known = former.find(peer.name); known != former.end()) now = known->second;
        now.url = peer.http;
        now.secret = peer.secret;
    }
}

void ReadinessTeller::start() {
    tell();
    wait();
}

void ReadinessTeller::stop() {
    alive_.reset();
    timer_.cancel();
    peers_.clear();
}

void ReadinessTeller::wait() {
    timer_.expires_after(std::chrono::seconds{kReadinessEverySeconds});
    timer_.async_wait([this, alive = std::weak_ptr(alive_)](const boost::system::error_code& error) {
        if (error || alive.expired()) return;
        tell();
        wait();
    });
}

void ReadinessTeller::tell() {
    for (auto& [name, peer] : peers_) tell(name, peer);
}

void ReadinessTeller::tell(const std::string& name, Peer& peer) {
    if (peer.under_way) {
        peer.again = true;
        return;
    }
    auto readiness = readiness_();
    readiness.boot = boot_;
    readiness.seq = ++seq_;
    auto request =
        site_post(peer.url, kSiteAgentsPath, site_, peer.secret, readiness_body(readiness), kReadinessTimeoutSeconds);
    peer.under_way = true;
    client_->send(std::move(request),
                  [this, name, alive = std::weak_ptr(alive_)](const Result<http::ClientResponse>& response) {
                      if (!alive.expired()) on_answer(name, response);
                  });
}

void ReadinessTeller::on_answer(const std::string& name, const Result<http::ClientResponse>& response) {
    const auto it = peers_.find(name);
    if (it == peers_.end()) return;
    Peer& peer = it->second;
    peer.under_way = false;
    const bool is_good = response && response->status / 100 == 2;
    if (!is_good && !peer.is_away) {
        const std::string why = response ? "status " + std::to_string(response->status) : response.error().what;
        config::log_warn("a site does not take our agents' readiness", {{"site", name}, {"why", why}});
    }
    if (is_good && peer.is_away) config::log_info("a site takes our agents' readiness again", {{"site", name}});
    peer.is_away = !is_good;
    if (std::exchange(peer.again, false)) tell(name, peer);
}

}  // namespace sheaf::apps
