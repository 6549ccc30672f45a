// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"

namespace sheaf::exchange {

// What a site has to do later. The name says for whom: a dn, a leg; one timer a kind and name.
struct Timer {
    enum class Kind { registration, wrap_up, ring, serve, pause, overflow, position, menu, tone };
    Kind kind = Kind::serve;
    std::string name;
    friend auto operator<=>(const Timer&, const Timer&) = default;
};

class Timers {
public:
    void set(const Timer& timer, Instant at) {
        cancel(timer);
        at_[timer] = at;
        queue_.emplace(at, timer);
    }
    void cancel(const Timer& timer) {
        const auto found = at_.find(timer);
        if (found == at_.end()) return;
        queue_.erase({found->second, timer});
        at_.erase(found);
    }
    [[nodiscard]] std::vector<Timer> take_due(Instant now) {
        std::vector<Timer> due;
        while (!queue_.empty() && queue_.begin()->first <= now) {
            due.push_back(queue_.begin()->second);
            at_.erase(due.back());
            queue_.erase(queue_.begin());
        }
        return due;
    }
    [[nodiscard]] std::optional<Instant> next() const {
        if (queue_.empty()) return std::nullopt;
        return queue_.begin()->first;
    }

private:
    std::map<Timer, Instant> at_;
    std::set<std::pair<Instant, Timer>> queue_;
};

}  // namespace sheaf::exchange
