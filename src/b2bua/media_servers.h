// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <vector>

#include "base/id.h"
#include "base/time.h"

// Which media server a leg goes to: round robin over those not set aside, but all legs of one room to one server.
// A pure value; one owner.
namespace sheaf::b2bua {

inline constexpr Duration kMediaAnswerMax = std::chrono::seconds{2};  // silence beyond sets a server aside
inline constexpr Duration kMediaTriesMax = std::chrono::seconds{4};   // one leg tries servers no longer than this
inline constexpr Duration kMediaAside = std::chrono::seconds{10};

class MediaServers {
public:
    explicit MediaServers(std::size_t count) : aside_until_(count), down_(count, false) {}
    // The server for one more leg of `room`, not one of `tried`; takes a place in the room. Nullopt: there is none. An
    // empty room: any server, no place.
    [[nodiscard]] std::optional<std::size_t> enter(const RoomId& room, const std::vector<std::size_t>& tried,
                                                   Instant now);
    [[nodiscard]] bool has_any(Instant now) const;  // that a leg could go to
    void leave(const RoomId& room);
    // One more leg, which stands at `server` already. False: the room stands at another.
    [[nodiscard]] bool join(const RoomId& room, std::size_t server);
    // While `near` is there, `room` goes where it is. One that stands somewhere already stays; an unknown `near` binds
    // nothing.
    void bind(const RoomId& room, const RoomId& near);
    void set_aside(std::size_t server, Instant now);
    void set_down(std::size_t server, bool is_down) { down_[server] = is_down; }  // it gets no legs while it is
    [[nodiscard]] std::size_t rooms() const { return rooms_.size() + bound_.size(); }

private:
    struct Room {
        std::size_t server = 0;
        std::size_t legs = 0;
    };
    [[nodiscard]] const Room* known(const RoomId& room) const;
    [[nodiscard]] bool is_good(std::size_t server, const std::vector<std::size_t>& tried, Instant now) const;

    std::vector<std::optional<Instant>> aside_until_;  // by server
    std::vector<bool> down_;                           // likewise
    std::map<RoomId, Room> rooms_;
    std::map<RoomId, RoomId> bound_;  // a room → the known one it goes to; gone with that one
    std::size_t next_ = 0;
};

}  // namespace sheaf::b2bua
