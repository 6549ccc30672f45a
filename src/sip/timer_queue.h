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
        const auto known = by_key_.find(key);
        if (known != by_key_.end()) {
            if (at == known->second) return;
            by_time_.erase({known->second, key});
            if (!at) by_key_.erase(known);
        }
        if (!at) return;
        by_key_[key] = *at;
        by_time_.insert({*at, key});
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
    std::set<std::pair<Instant, Key>> by_time_;
    std::map<Key, Instant> by_key_;
};

}  // namespace sheaf::sip
