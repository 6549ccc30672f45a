// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <string>

#include "sim/world.h"

namespace sheaf::sim {

// What happened, in words, a conversation at a time. Off, it costs nothing: a failing seed is run again with it on.
class Trace {
public:
    explicit Trace(World& world) : world_(world) {}
    struct Line {
        Instant at;
        int conversation;  // 0: nobody's
        std::string text;
    };
    bool is_on = false;
    template <typename F>
    void note(int conversation, F&& text) {
        if (is_on) lines_.push_back({world_.now(), conversation, text()});
    }
    [[nodiscard]] const std::deque<Line>& lines() const { return lines_; }

private:
    World& world_;
    std::deque<Line> lines_;
};

}  // namespace sheaf::sim
