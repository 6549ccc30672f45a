// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exchange/calls.h"
#include "exchange/consult.h"

// Single-step transfer: the agent is gone at once, the other party goes to the target, or back to where it came from.
namespace sheaf::exchange {

void on(Turn& turn, const TransferAsked& event);

struct TransferWish {
    LegId leg;  // the transferring agent's
    std::string to;
    std::string asker;  // "REFER from 1001", "CTI desktop": the link's evidence
    std::string message;
    bool by_refer = false;  // to be answered in the leg's dialog
};
// Does it, or leaves the call untouched and says why not.
[[nodiscard]] std::optional<Refusal> transfer(Turn& turn, LiveCall& live, const TransferWish& wish);
// A consult transfer whose two far ends are at one site that takes its calls back is that site's to complete: it is
// asked to. False: this one is not.
[[nodiscard]] bool complete_by_passing_back(Turn& turn, const Pair& pair);

}  // namespace sheaf::exchange
