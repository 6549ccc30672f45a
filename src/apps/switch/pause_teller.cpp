// SPDX-License-Identifier: Apache-2.0
#include "apps/switch/pause_teller.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <utility>

#include "apps/config/log.h"
#include "apps/switch/site_messages.h"
#include "apps/switch/site_post.h"
#include "edge/net/clock.h"

namespace sheaf::apps {

PauseTeller::PauseTeller(boost::asio::io_context& io, std::string site, std::chrono::milliseconds tries_for)
    : io_(io), site_(std::move(site)), tries_for_(tries_for), client_(http::Client::create(io)) {}

void PauseTeller::set_peers(const std::vector<config::SiteSettings>& peers) {
    peers_.clear();
    for (const auto& peer : peers) {
        if (!peer.http.empty()) peers_[peer.name] = {peer.http, peer.secret};
    }
}

void PauseTeller::tell(const exchange::TellPause& pause) {
    put({pause.site, pause.link, false}, pause);
}

void PauseTeller::confirm(const exchange::ConfirmPause& confirmation) {
    exchange::TellPause carried{confirmation.site, confirmation.link, true, {}};
    carried.pause.id = confirmation.pause;
    put({confirmation.site, confirmation.link, true}, std::move(carried));
}

void PauseTeller::confirmed(const exchange::PauseConfirmed& confirmation) {
    const auto it = slots_.find({confirmation.site, confirmation.link, false});
    if (it == slots_.end() || !it->second.pause.on || it->second.pause.pause.id != confirmation.pause) return;
    it->second.is_done = true;
    if (!it->second.under_way) done(it->first, it->second);
}

void PauseTeller::stop() {
    alive_.reset();
    slots_.clear();
    peers_.clear();
}

void PauseTeller::put(Key key, exchange::TellPause pause) {
    if (!alive_) return;
    const bool is_known = slots_.contains(key);
    if (!peers_.contains(key.site) || (!is_known && slots_.size() >= kPausesTelling)) {
        const std::string_view why = peers_.contains(key.site) ? "too many are under way" : "it has no http address";
        config::log_error("a site cannot be told of a pause", {{"site", key.site}, {"why", why}});
        return;
    }
    auto& slot = slots_.try_emplace(key, io_).first->second;
    if (!is_known) {
        begin(slot, std::move(pause), net::now().mono);
        return send(key, slot);
    }
    if (slot.next.size() >= kPausesWaiting) {
        config::log_error("a site cannot be told of a pause", {{"site", key.site}, {"why", "too many wait"}});
        return;
    }
    slot.next.emplace_back(std::move(pause), net::now().mono);
}

void PauseTeller::begin(Slot& slot, exchange::TellPause pause, Instant since) {
    slot.pause = std::move(pause);
    slot.number = ++last_number_;
    slot.since = since;
    slot.began = net::now().mono;
    slot.wait_ms = kPauseFirstRetryMs;
    slot.refused = false;
    slot.is_done = false;
    slot.timer.cancel();
}

void PauseTeller::done(const Key& key, Slot& slot) {
    if (slot.next.empty()) {
        slots_.erase(Key(key));
        return;
    }
    auto [pause, since] = std::move(slot.next.front());
    slot.next.pop_front();
    begin(slot, std::move(pause), since);
    send(key, slot);
}

void PauseTeller::send(const Key& key, Slot& slot) {
    const auto peer = peers_.find(key.site);
    if (peer == peers_.end()) return wait(key, slot);
    auto message = slot.pause;
    message.pause.ago_ms += to_ms(net::now().mono - slot.since);
    const auto path = key.is_confirmation ? kSitePauseConfirmedPath : kSitePausePath;
    auto body = key.is_confirmation ? confirmation_body({key.site, key.link, message.pause.id}) : pause_body(message);
    slot.under_way = true;
    client_->send(site_post(peer->second.url, path, site_, peer->second.secret, std::move(body), kPauseTimeoutSeconds),
                  [this, key, alive = std::weak_ptr(alive_)](const Result<http::ClientResponse>& response) {
                      if (!alive.expired()) on_answer(key, response);
                  });
}

void PauseTeller::on_answer(const Key& key, const Result<http::ClientResponse>& response) {
    const auto it = slots_.find(key);
    if (it == slots_.end()) return;
    Slot& slot = it->second;
    slot.under_way = false;
    const bool is_taken = response && response->status / 100 == 2;
    const bool until_confirmed = !key.is_confirmation && slot.pause.on;
    if (slot.is_done || (is_taken && !until_confirmed)) return done(it->first, slot);
    if (!is_taken && !std::exchange(slot.refused, true)) {
        const std::string why = response ? "status " + std::to_string(response->status) : response.error().what;
        config::log_warn("a site does not take a pause", {{"site", key.site}, {"why", why}});
    }
    wait(key, slot);
}

void PauseTeller::wait(const Key& key, Slot& slot) {
    if (net::now().mono - slot.began >= tries_for_) {
        config::log_error("a site has not answered to a pause", {{"site", key.site}, {"link", key.link.text()}});
        return done(key, slot);
    }
    slot.timer.expires_after(std::chrono::milliseconds{slot.wait_ms});
    slot.wait_ms = std::min(slot.wait_ms * 2, kPauseLastRetryMs);
    slot.timer.async_wait(
        [this, key, number = slot.number, alive = std::weak_ptr(alive_)](const boost::system::error_code& error) {
            if (error || alive.expired()) return;
            const auto it = slots_.find(key);
            // A timer that was due when it was cancelled: another message has its place.
            if (it == slots_.end() || it->second.number != number || it->second.under_way) return;
            send(it->first, it->second);
        });
}

}  // namespace sheaf::apps
