// SPDX-License-Identifier: Apache-2.0
#include "b2bua/media_servers.h"

#include <algorithm>

namespace sheaf::b2bua {

bool MediaServers::is_good(std::size_t server, const std::vector<std::size_t>& tried, Instant now) const {
    const auto& aside = aside_until_[server];
    return !down_[server] && (!aside || *aside <= now) && std::ranges::find(tried, server) == tried.end();
}

// The room itself, or the one it is bound to.
const MediaServers::Room* MediaServers::known(const RoomId& room) const {
    auto found = rooms_.find(room);
    if (found == rooms_.end()) {
        const auto bound = bound_.find(room);
        if (bound != bound_.end()) found = rooms_.find(bound->second);
    }
    return found == rooms_.end() ? nullptr : &found->second;
}

std::optional<std::size_t> MediaServers::enter(const RoomId& room, const std::vector<std::size_t>& tried, Instant now) {
    if (const auto* there = known(room)) {
        const auto server = there->server;
        if (!is_good(server, tried, now) || !join(room, server)) return std::nullopt;
        return server;
    }
    for (std::size_t i = 0; i < aside_until_.size(); ++i) {
        const auto server = (next_ + i) % aside_until_.size();
        if (!is_good(server, tried, now)) continue;
        next_ = server + 1;
        static_cast<void>(join(room, server));
        return server;
    }
    return std::nullopt;
}

bool MediaServers::has_any(Instant now) const {
    for (std::size_t server = 0; server < down_.size(); ++server)
        if (is_good(server, {}, now)) return true;
    return false;
}

void MediaServers::leave(const RoomId& room) {
    const auto known = rooms_.find(room);
    if (known == rooms_.end() || --known->second.legs != 0) return;
    rooms_.erase(known);
    std::erase_if(bound_, [&](const auto& bound) { return bound.second == room; });
}

bool MediaServers::join(const RoomId& room, std::size_t server) {
    if (room.empty()) return true;
    if (const auto* there = known(room); there != nullptr && there->server != server) return false;
    auto& joined = rooms_[room];
    joined.server = server;
    ++joined.legs;
    return true;
}

void MediaServers::bind(const RoomId& room, const RoomId& near) {
    if (room == near || rooms_.contains(room)) return;
    const auto bound = bound_.find(near);
    const RoomId& there = rooms_.contains(near) || bound == bound_.end() ? near : bound->second;
    if (rooms_.contains(there)) bound_[room] = there;
}

void MediaServers::set_aside(std::size_t server, Instant now) {
    aside_until_[server] = now + kMediaAside;
}

}  // namespace sheaf::b2bua
