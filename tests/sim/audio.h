// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/id.h"

namespace sheaf::sim {

using LineId = std::uint64_t;  // one dialog of a person's phone; never reused; 0: none

// One end of an RTP stream: a person's line, or a leg at a media server.
struct AudioEnd {
    std::string at;  // "address:port", ours
    std::string to;  // the other end's; empty: nothing has been agreed
    bool sends = false, receives = false;
    LineId line = 0;  // a person's; else a leg's:
    std::string server;
    RoomId room;
    bool plays = false;   // something instead of its room
    bool treats = false;  // and that is not the music of a hold

    [[nodiscard]] bool is_active() const { return !to.empty() && (sends || receives); }
};

// Who is sent to whom, in the whole world at once: no packet ever flows, but every way it would take is known. Media
// servers and phones say what they have agreed on; nothing here believes a switch.
class Audio {
public:
    // A line somebody is connected with. `hears`: what it says arrives; `heard`: what we say arrives there.
    struct Reached {
        LineId line;  // 0: nobody's; a queue at another site plays there
        bool hears, heard;
        bool behind;  // of a leg asked about: on its peer's side, not in its room
        bool operator<(const Reached& o) const { return line < o.line; }
    };

    AudioEnd& add(AudioEnd end);
    void remove(const std::string& at);
    [[nodiscard]] AudioEnd* find(const std::string& at);
    void agree(const std::string& at, const std::string& to, bool sends, bool receives);
    void enter(const std::string& at, const RoomId& room);  // empty: none
    void play(const std::string& at, bool plays, bool treats);

    // Everyone the end is connected with, whichever way audio may flow now. In order of line, without itself.
    [[nodiscard]] std::vector<Reached> reach(const std::string& at) const;
    // Told the lines that may hear others than before, or be heard by others.
    std::function<void(const std::set<LineId>& lines)> changed;
    std::function<void(const std::string& at)> removed;  // afterwards

    struct Counts {
        std::size_t ends = 0, rooms = 0;
    };
    [[nodiscard]] Counts counts() const { return {ends_.size(), rooms_.size()}; }
    [[nodiscard]] bool has_room(const std::string& server, const RoomId& room) const {
        return rooms_.contains({server, room});
    }
    [[nodiscard]] std::size_t ends_of(const std::string& server) const;

private:
    using Room = std::pair<std::string, RoomId>;
    struct Visit {
        const AudioEnd* end;
        bool hears, heard;
    };
    void walk_out(const AudioEnd& from, Visit so_far, bool behind, std::set<const AudioEnd*>& seen,
                  std::vector<Reached>& out) const;
    void walk_room(const AudioEnd& from, Visit so_far, bool behind, std::set<const AudioEnd*>& seen,
                   std::vector<Reached>& out) const;
    [[nodiscard]] const AudioEnd* peer_of(const AudioEnd& end) const;
    template <typename F>
    void change(const std::string& at, F&& how);
    void touched_by(const AudioEnd& end, std::set<LineId>& lines) const;

    std::unordered_map<std::string, AudioEnd> ends_;
    std::map<Room, std::set<std::string>> rooms_;
};

}  // namespace sheaf::sim
