// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exchange/calls.h"

// What a call's neighbours are told: sites its state, everybody whom they talk to.
namespace sheaf::exchange {

void on(Turn& turn, const LegTold& event);
// After the step: whoever's picture of a touched call is no longer right.
void tell_neighbours(Turn& turn);
// After a Replaces all neighbours are told, whether or not it changes anything for them.
void tell_all_again(Turn& turn, const LiveCall& live);

}  // namespace sheaf::exchange
