// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "call/call.h"

namespace sheaf::sim {

// Which events have met a connection in which state: (state, event) pairs of the call model, counted wherever a switch
// of this process steps a call. States and events are the model's variants; new ones appear by themselves. An event
// about a leg counts for the connection of that leg ("none": it has none), any other for every connection of its call.
class Coverage {
public:
    static void count(const call::Call& call, const call::Event& event);
    [[nodiscard]] static std::string table();  // all pairs: how often, and which never
    struct Sum {
        std::size_t pairs = 0, hit = 0;
    };
    [[nodiscard]] static Sum sum();
    static void merge(const std::string& counts);  // of another process
    [[nodiscard]] static std::string counts();
};

}  // namespace sheaf::sim
