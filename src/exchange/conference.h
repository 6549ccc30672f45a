// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exchange/calls.h"

// Single-step conference: somebody more is called into a call that goes on meanwhile.
namespace sheaf::exchange {

inline constexpr std::size_t kPartiesMax = 32;  // of a call: what a media server mixes

struct ConferenceWish {
    LegId leg;  // the agent's who asks
    std::string to;
    std::string asker;
};
// Begins it, or leaves the call untouched and says why not.
[[nodiscard]] std::optional<Refusal> add_party(Turn& turn, LiveCall& live, const ConferenceWish& wish);
[[nodiscard]] Device added(Turn& turn, LiveCall& live);  // the leg that rang for it has answered; who asked for it
void not_added(Turn& turn, LiveCall& live, call::Cause cause);  // it will not: the next, or nobody
void stop_adding(Turn& turn, LiveCall& live);                   // the call is over, or wants nobody more

}  // namespace sheaf::exchange
