// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exchange/calls.h"

// Menus of routing points: a caller from outside is answered, hears an announcement and presses a digit, which says
// where the call goes. Whoever presses nothing, or nothing that there is, hears it again, and in the end waits in the
// routing point's own queue, or where the menu says.
//
// Digits are taken only while a menu waits for one, one at a time, and never while the recording is paused. They stand
// in the journal of inputs, because its replay needs them, and nowhere else: docs/decisions/0003-digits.md.
namespace sheaf::exchange {

// A call that came from outside, and that this point has not asked yet or that has chosen to be asked again.
[[nodiscard]] bool is_to_be_asked(const State& state, const LiveCall& live, const RoutingPointSettings& point);
void ask(Turn& turn, LiveCall& live, const RoutingPointSettings& point);
void begin_menu(Turn& turn, LiveCall& live);      // the caller is there
void menu_announced(Turn& turn, LiveCall& live);  // to its end
void menu_timed_out(Turn& turn, const CallUuid& call);
void on(Turn& turn, const LegDigit& event);
void settle_menu(Turn& turn, LiveCall& live);  // digits are collected, or are not, as its state wants
// The queue that a caller waits in after all, because the menu's choice has not taken the call.
[[nodiscard]] std::optional<std::string> queue_after_menu(const State& state, LiveCall& live);

}  // namespace sheaf::exchange
