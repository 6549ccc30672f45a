// SPDX-License-Identifier: Apache-2.0
#include "b2bua/media_servers.h"

#include <algorithm>

namespace sheaf::b2bua {

bool MediaServers::is_good(std::size_t server, const std::vector<std::size_t>& tried, Instant now) const {
    const auto& aside = aside_until_[server];
    return (!aside || *aside <= now) && std::ranges::find(tried, server) == tried.end();
}

std::optional<std::size_t> MediaServers::enter(const RoomId& room, const std::vector<std::size_t>& tried, Instant now) {
    const auto known = rooms_.find(room);
    if (known != rooms_.end()) {
        if (!is_good(known->second.server, tried, now)) return std::nullopt;
        ++known->second.legs;
        return known->second.server;
    }
    for (std::size_t i = 0; i < aside_until_.size(); ++i) {
        const auto server = (next_ + i) % aside_until_.size();
        if (!is_good(server, tried, now)) continue;
        next_ = server + 1;
        rooms_[room] = {server, 1};
        return server;
    }
    return std::nullopt;
}

void MediaServers::leave(const RoomId& room) {
    const auto known = rooms_.find(room);
    if (known != rooms_.end() && --known->second.legs == 0) rooms_.erase(known);
}

bool MediaServers::move(const RoomId& from, const RoomId& to) {
    const auto here = rooms_.find(from);
    if (here == rooms_.end()) return false;
    const auto server = here->second.server;
    const auto there = rooms_.find(to);
    if (there != rooms_.end() && there->second.server != server) return false;
    auto& room = rooms_[to];
    room.server = server;
    ++room.legs;
    leave(from);
    return true;
}

void MediaServers::set_aside(std::size_t server, Instant now) {
    aside_until_[server] = now + kMediaAside;
}

}  // namespace sheaf::b2bua
