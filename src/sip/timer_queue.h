// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <iterator>
#include <list>
#include <map>
#include <optional>
#include <type_traits>
#include <unordered_map>

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
        if (!at) {
            if (known == by_key_.end()) return;
            const Place place = known->second;
            by_key_.erase(known);
            place.moment->second.erase(place.key);
            forget_if_empty(place.moment);
            return;
        }
        if (known == by_key_.end()) {
            const auto moment = by_time_.try_emplace(*at).first;
            moment->second.push_back(key);
            by_key_.emplace(key, Place{moment, std::prev(moment->second.end())});
            return;
        }
        Place& place = known->second;
        if (place.moment->first == *at) return;
        const auto former = place.moment;
        place.moment = by_time_.try_emplace(*at).first;
        place.moment->second.splice(place.moment->second.end(), former->second, place.key);
        forget_if_empty(former);
    }
    [[nodiscard]] std::optional<Instant> next() const {
        if (by_time_.empty()) return std::nullopt;
        return by_time_.begin()->first;
    }
    // Takes the earliest key that is due.
    [[nodiscard]] std::optional<Key> pop_due(Instant now) {
        const auto moment = by_time_.begin();
        if (moment == by_time_.end() || moment->first > now) return std::nullopt;
        Key key = std::move(moment->second.front());
        moment->second.pop_front();
        forget_if_empty(moment);
        by_key_.erase(key);
        return key;
    }
    [[nodiscard]] std::size_t size() const { return by_key_.size(); }

private:
    using ByTime = std::map<Instant, std::list<Key>>;
    struct Place {
        typename ByTime::iterator moment;
        typename std::list<Key>::iterator key;
    };

    void forget_if_empty(typename ByTime::iterator moment) {
        if (moment->second.empty()) by_time_.erase(moment);
    }

    ByTime by_time_;
    std::unordered_map<Key, Place, TimerKeyHash> by_key_;
};

}  // namespace sheaf::sip
