// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/time.h"

namespace sheaf::sip {

// Deadlines by key, at most one a key: O(log n) to set, clear and take. One owner, one thread.
template <typename Key>
class TimerQueue {
public:
    // Moves the key's deadline; nullopt clears it.
    void set(const Key& key, std::optional<Instant> at) {
        if (!at) {
            const auto known = by_key_.find(key);
            if (known == by_key_.end()) return;
            by_time_.erase(known->second);
            by_key_.erase(known);
            return;
        }
        const auto [known, is_new] = by_key_.try_emplace(key);
        if (!is_new) {
            if (known->second->first == *at) return;
            by_time_.erase(known->second);
        }
        known->second = by_time_.emplace(*at, key).first;
    }
    [[nodiscard]] std::optional<Instant> next() const {
        if (by_time_.empty()) return std::nullopt;
        return by_time_.begin()->first;
    }
    // Takes the earliest key that is due.
    [[nodiscard]] std::optional<Key> pop_due(Instant now) {
        if (by_time_.empty() || by_time_.begin()->first > now) return std::nullopt;
        Key key = by_time_.begin()->second;
        by_time_.erase(by_time_.begin());
        by_key_.erase(key);
        return key;
    }
    [[nodiscard]] std::size_t size() const { return by_key_.size(); }

private:
    using ByTime = std::set<std::pair<Instant, Key>>;
    ByTime by_time_;
    std::map<Key, typename ByTime::iterator> by_key_;
};

}  // namespace sheaf::sip
