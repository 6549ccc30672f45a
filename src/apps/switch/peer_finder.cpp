// SPDX-License-Identifier: Apache-2.0
#include "apps/switch/peer_finder.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <utility>

#include "apps/config/log.h"
#include "edge/net/clock.h"

namespace sheaf::apps {

PeerFinder::PeerFinder(boost::asio::io_context& io, sip::Reach reach, std::function<void()> changed)
    : io_(io), reach_(reach), changed_(std::move(changed)), timer_(io) {}

Result<void> PeerFinder::start(const std::vector<std::string>& servers, const std::set<std::string>& uris) {
    boost::asio::io_context io;
    TRY(const auto resolver, dns::Resolver::create(io, {servers, reach_}));
    const auto now = net::now().mono;
    whereabouts_.want(now, uris);
    const auto names = whereabouts_.take_due(now);
    std::set<std::string> open(names.begin(), names.end());
    for (const auto& uri : names) {
        look_for(*resolver, uri, [&io, &open, uri] {
            open.erase(uri);
            if (open.empty()) io.stop();
        });
    }
    if (!open.empty()) io.run_for(kFirstLookMax);
    for (const auto& uri : open) found(uri, fail(Errc::timeout, "DNS does not answer in time"));
    TRY(resolver_, dns::Resolver::create(io_, {servers, reach_}));
    arm();
    return {};
}

Result<void> PeerFinder::look_anew(const std::vector<std::string>& servers, const std::set<std::string>& uris) {
    TRY(resolver_, dns::Resolver::create(io_, {servers, reach_}));  // what was under way is never done
    whereabouts_.want(net::now().mono, uris);
    look();
    return {};
}

void PeerFinder::stop() {
    alive_.reset();
    timer_.cancel();
    resolver_.reset();
}

void PeerFinder::look() {
    if (!resolver_) return;
    for (const auto& uri : whereabouts_.take_due(net::now().mono)) look_for(*resolver_, uri, [this] { arm(); });
    arm();
}

void PeerFinder::look_for(dns::Resolver& resolver, const std::string& uri, const std::function<void()>& then) {
    const auto parsed = sip::uri_from_text(uri);
    if (!parsed) return then();  // it was checked as it was read
    resolver.locate(*parsed, net::seed(), [this, uri, then](const Result<sip::Located>& result) {
        found(uri, result);
        then();
    });
}

void PeerFinder::found(const std::string& uri, const Result<sip::Located>& result) {
    const bool is_changed = whereabouts_.found(net::now().mono, uri, result);
    if (!whereabouts_.is_looking()) write_logs();
    const bool has_started = resolver_ != nullptr;  // else whoever starts it asks anyway
    if (!is_changed || !has_started || std::exchange(is_telling_, true)) return;
    boost::asio::post(io_, [this, alive = std::weak_ptr(alive_)] {
        if (alive.expired()) return;
        is_telling_ = false;
        changed_();
    });
}

// Once for all of them: a line that comes again within a second is left out.
void PeerFinder::write_logs() {
    for (const auto& log : whereabouts_.take_logs())
        config::log_fields(log.warning ? config::LogLevel::warn : config::LogLevel::info, log.text, log.fields);
}

void PeerFinder::arm() {
    timer_.cancel();
    const auto next = whereabouts_.next_deadline();
    if (!next) return;
    timer_.expires_after(std::max(*next - net::now().mono, Duration{0}));
    timer_.async_wait([this, alive = std::weak_ptr(alive_)](const boost::system::error_code& error) {
        if (!error && !alive.expired()) look();
    });
}

}  // namespace sheaf::apps
