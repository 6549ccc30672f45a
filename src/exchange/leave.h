// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exchange/calls.h"

// Leaving the signalling loop: the customer's trunk is asked to go to the next site itself, after the parties have been
// joined here; and transfers passed back to the site that a call came from. Refusal, time-out and silence change
// nothing.
namespace sheaf::exchange {

// When two parties remain, one from outside, one at another site, and nothing needs this site. Where the one's trunk may
// not be asked, or does not do it, their media passes by this site's media server at least.
void try_leave(Turn& turn, LiveCall& live);
// This leg's end is what was asked for, not a hang-up. Who waits to hear of it is told.
[[nodiscard]] bool has_left(Turn& turn, LiveCall& live, const LegId& leg);

// This leg goes because another has taken its place: what was asked of it will have no answer.
void not_left(Turn& turn, LiveCall& live, const LegId& leg);

struct PassBack {
    LegId agent;  // who transfers
    LegId leg;    // to the site that wants its calls back
    LegId over;   // an attended transfer: the consult call's leg to the same site
    std::string number;
    bool by_refer = false;
};
void pass_back(Turn& turn, LiveCall& live, const PassBack& wish);
// The call's leg to a site that takes transfers back, if any.
[[nodiscard]] const call::Connection* leg_to_pass(const State& state, const LiveCall& live);

void on(Turn& turn, const LegReferred& event);

}  // namespace sheaf::exchange
