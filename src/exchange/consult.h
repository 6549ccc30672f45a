// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exchange/calls.h"

// Two-step transfer and conference: an agent holds a call, talks to somebody else in a consult call, and goes back and
// forth until the two become one, or not. By CTI one leg serves both calls; a phone that does it by itself has two.
namespace sheaf::exchange {

// One agent's two calls.
struct Pair {
    LiveCall* main = nullptr;
    LiveCall* consult = nullptr;
    LegId main_leg, consult_leg;  // the same one where one leg serves both
    [[nodiscard]] bool is_one_leg() const { return main_leg == consult_leg; }
};
// The pair that this device's connection in `live` belongs to, whichever of the two that is.
[[nodiscard]] std::optional<Pair> pair_of(Turn& turn, LiveCall& live, const std::string& device);
// The call of this agent that a further one is a consult of, or null.
[[nodiscard]] LiveCall* main_call_of(Turn& turn, const std::string& device, const CallUuid& but);

struct ConsultWish {
    LegId leg;
    std::string to;
    std::string asker;
};
struct Begun {
    std::optional<Refusal> refusal;
    CallUuid consult;
};
// By CTI: the leg is taken from its call to a new one.
[[nodiscard]] Begun consult(Turn& turn, LiveCall& main, const ConsultWish& wish);
[[nodiscard]] std::optional<Refusal> alternate(Turn& turn, const Pair& pair);
[[nodiscard]] std::optional<Refusal> reconnect(Turn& turn, const Pair& pair);

struct CompletionWish {
    bool as_conference = false;
    std::string asker;
    std::string value;  // what it said: the link's evidence
    std::string message;
};
[[nodiscard]] std::optional<Refusal> refusal_of_completion(const Pair& pair, const CompletionWish& wish);
// The consult call becomes one with the main call. On a transfer the agent is gone.
[[nodiscard]] std::optional<Refusal> complete(Turn& turn, const Pair& pair, const CompletionWish& wish);

}  // namespace sheaf::exchange
