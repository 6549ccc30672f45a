// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
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
    Timers() = default;
    Timers(const Timers&) = delete;  // the queue names entries by address
    Timers& operator=(const Timers&) = delete;
    ~Timers() = default;
    void set(Timer timer, Instant at) {
        cancel(timer.kind, timer.name);
        const auto set = at_.emplace(std::move(timer), at).first;
        queue_.insert(&*set);
    }
    void cancel(Timer::Kind kind, std::string_view name) {
        const auto found = at_.find(std::pair(kind, name));
        if (found == at_.end()) return;
        queue_.erase(&*found);
        at_.erase(found);
    }
    void cancel(const Timer& timer) { cancel(timer.kind, timer.name); }
    [[nodiscard]] std::vector<Timer> take_due(Instant now) {
        std::vector<Timer> due;
        while (!queue_.empty() && (*queue_.begin())->second <= now) {
            const auto first = at_.find((*queue_.begin())->first);
            queue_.erase(queue_.begin());
            due.push_back(std::move(at_.extract(first).key()));
        }
        return due;
    }
    [[nodiscard]] std::optional<Instant> next() const {
        if (queue_.empty()) return std::nullopt;
        return (*queue_.begin())->second;
    }

private:
    struct Less {
        using is_transparent = void;
        using View = std::pair<Timer::Kind, std::string_view>;
        static View view(const Timer& timer) { return {timer.kind, timer.name}; }
        static View view(View named) { return named; }
        bool operator()(const auto& a, const auto& b) const { return view(a) < view(b); }
    };
    using Deadlines = std::map<Timer, Instant, Less>;
    struct Sooner {
        using Deadline = const Deadlines::value_type*;
        bool operator()(Deadline a, Deadline b) const {
            return std::tie(a->second, a->first) < std::tie(b->second, b->first);
        }
    };

    Deadlines at_;
    std::set<const Deadlines::value_type*, Sooner> queue_;  // entries of at_, which stay where they are
};

}  // namespace sheaf::exchange
