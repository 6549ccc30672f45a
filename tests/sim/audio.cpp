// SPDX-License-Identifier: Apache-2.0
#include "sim/audio.h"

#include <algorithm>

namespace sheaf::sim {

AudioEnd& Audio::add(AudioEnd end) {
    std::string at = end.at;
    return ends_.insert_or_assign(std::move(at), std::move(end)).first->second;
}

AudioEnd* Audio::find(const std::string& at) {
    const auto found = ends_.find(at);
    return found == ends_.end() ? nullptr : &found->second;
}

void Audio::touched_by(const AudioEnd& end, std::set<LineId>& lines) const {
    if (end.line != 0) lines.insert(end.line);
    for (const auto& reached : reach(end.at)) lines.insert(reached.line);
}

template <typename F>
void Audio::change(const std::string& at, F&& how) {
    AudioEnd* end = find(at);
    if (end == nullptr) return;
    std::set<LineId> lines;
    touched_by(*end, lines);
    how(*end);
    if (const AudioEnd* still = find(at)) touched_by(*still, lines);
    if (changed && !lines.empty()) changed(lines);
}

void Audio::remove(const std::string& at) {
    change(at, [&](AudioEnd& end) {
        if (!end.room.empty()) {
            const auto room = rooms_.find({end.server, end.room});
            room->second.erase(at);
            if (room->second.empty()) rooms_.erase(room);
        }
        ends_.erase(at);
    });
    if (removed) removed(at);
}

void Audio::agree(const std::string& at, const std::string& to, bool sends, bool receives) {
    change(at, [&](AudioEnd& end) {
        end.to = to;
        end.sends = sends;
        end.receives = receives;
    });
}

void Audio::enter(const std::string& at, const RoomId& room) {
    change(at, [&](AudioEnd& end) {
        if (!end.room.empty()) {
            const auto former = rooms_.find({end.server, end.room});
            former->second.erase(at);
            if (former->second.empty()) rooms_.erase(former);
        }
        end.room = room;
        if (!room.empty()) rooms_[{end.server, room}].insert(at);
    });
}

void Audio::play(const std::string& at, bool plays, bool treats) {
    change(at, [&](AudioEnd& end) {
        end.plays = plays;
        end.treats = treats;
    });
}

const AudioEnd* Audio::peer_of(const AudioEnd& end) const {
    const auto found = ends_.find(end.to);
    return found == ends_.end() || found->second.to != end.at ? nullptr : &found->second;
}

// Over the wire to the other end of the stream.
void Audio::walk_out(const AudioEnd& from, Visit so_far, bool behind, std::set<const AudioEnd*>& seen,
                     std::vector<Reached>& out) const {
    const AudioEnd* peer = peer_of(from);
    if (peer == nullptr || !seen.insert(peer).second) return;
    so_far.hears = so_far.hears && peer->sends && from.receives;
    so_far.heard = so_far.heard && from.sends && peer->receives;
    if (peer->line != 0) {
        out.push_back({peer->line, so_far.hears, so_far.heard, behind});
        return;
    }
    if (peer->treats && from.line == 0) out.push_back({0, so_far.hears, so_far.heard, behind});
    walk_room(*peer, so_far, behind, seen, out);
}

// Into the room a leg stands in. One that plays neither hears its room nor is heard there.
void Audio::walk_room(const AudioEnd& from, Visit so_far, bool behind, std::set<const AudioEnd*>& seen,
                      std::vector<Reached>& out) const {
    if (from.room.empty() || from.plays) return;
    for (const std::string& at : rooms_.at({from.server, from.room})) {
        const AudioEnd& other = ends_.at(at);
        if (&other == &from || other.plays || !seen.insert(&other).second) continue;
        walk_out(other, so_far, behind, seen, out);
    }
}

std::vector<Audio::Reached> Audio::reach(const std::string& at) const {
    std::vector<Reached> out;
    const auto found = ends_.find(at);
    if (found == ends_.end()) return out;
    const AudioEnd& end = found->second;
    std::set<const AudioEnd*> seen{&end};
    const Visit open{&end, true, true};
    walk_out(end, open, true, seen, out);
    if (end.line == 0) walk_room(end, open, false, seen, out);
    std::sort(out.begin(), out.end());
    return out;
}

std::size_t Audio::ends_of(const std::string& server) const {
    return static_cast<std::size_t>(
        std::count_if(ends_.begin(), ends_.end(), [&](const auto& entry) { return entry.second.server == server; }));
}

}  // namespace sheaf::sim
