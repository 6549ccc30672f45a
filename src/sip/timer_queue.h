// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/time.h"

namespace sheaf::sip {

// Of whatever std::hash knows, of enumerations, and of pairs of these.
struct TimerKeyHash {
    template <typename Key>
    std::size_t operator()(const Key& key) const {
        if constexpr (std::is_enum_v<Key>) {
            return static_cast<std::size_t>(key);
        } else if constexpr (requires { key.first, key.second; }) {
            return (*this)(key.first) * 31 + (*this)(key.second);
        } else {
            return std::hash<Key>{}(key);
        }
    }
};

// Deadlines by key, at most one a key; of equal ones that goes first which was set first. To set, clear and take one is
// O(log m) for m different deadlines, of which there are few where they are told roughly. One owner, one thread.
template <typename Key>
class TimerQueue {
public:
    // Moves the key's deadline; nullopt clears it.
    void set(const Key& key, std::optional<Instant> at) {
        const auto known = by_key_.find(key);
        if (known != by_key_.end()) {
            const Index index = known->second;
            if (at == nodes_[index].at) return;
            unlink(index);
            if (at) return link(index, *at);
            by_key_.erase(known);
            forget(index);
        } else if (at) {
            const Index index = node_for(key);
            by_key_.emplace(key, index);
            link(index, *at);
        }
    }
    [[nodiscard]] std::optional<Instant> next() const {
        if (by_time_.empty()) return std::nullopt;
        return by_time_.begin()->first;
    }
    // Takes the earliest key that is due.
    [[nodiscard]] std::optional<Key> pop_due(Instant now) {
        const auto moment = by_time_.begin();
        if (moment == by_time_.end() || moment->first > now) return std::nullopt;
        const Index index = moment->second.first;
        unlink(index);
        by_key_.erase(nodes_[index].key);
        return forget(index);
    }
    [[nodiscard]] std::size_t size() const { return by_key_.size(); }

private:
    // Nodes name each other by where they stand in nodes_: setting a deadline is no piece of memory.
    using Index = std::uint32_t;
    static constexpr Index kNone = std::numeric_limits<Index>::max();
    struct Node {
        Key key;
        Instant at;
        Index before = kNone;  // of those of one moment
        Index after = kNone;   // likewise; of those that are free
    };
    struct Moment {
        Index first = kNone;
        Index last = kNone;
    };

    Index node_for(const Key& key) {
        if (free_ == kNone) {
            ASSERT(nodes_.size() < kNone);
            nodes_.push_back({key, {}});
            return static_cast<Index>(nodes_.size() - 1);
        }
        const Index index = std::exchange(free_, nodes_[free_].after);
        nodes_[index].key = key;
        return index;
    }
    Key forget(Index index) {
        nodes_[index].after = std::exchange(free_, index);
        return std::exchange(nodes_[index].key, Key{});
    }
    void link(Index index, Instant at) {
        Moment& moment = by_time_[at];
        Node& node = nodes_[index];
        node.at = at;
        node.before = moment.last;
        node.after = kNone;
        (moment.last == kNone ? moment.first : nodes_[moment.last].after) = index;
        moment.last = index;
    }
    void unlink(Index index) {
        const Node& node = nodes_[index];
        const auto moment = by_time_.find(node.at);
        (node.before == kNone ? moment->second.first : nodes_[node.before].after) = node.after;
        (node.after == kNone ? moment->second.last : nodes_[node.after].before) = node.before;
        if (moment->second.first == kNone) by_time_.erase(moment);
    }

    std::vector<Node> nodes_;
    Index free_ = kNone;
    std::map<Instant, Moment> by_time_;
    boost::unordered_flat_map<Key, Index, TimerKeyHash> by_key_;
};

}  // namespace sheaf::sip
