// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exchange/calls.h"

// Pausing what is recorded of a conversation, at every site of it: here at once, elsewhere in the dialog and directly,
// each erasing back to the moment at which somebody asked for it.
namespace sheaf::exchange {

// By somebody of this site, who is in the call as `asker`.
[[nodiscard]] std::optional<Refusal> pause(Turn& turn, LiveCall& live, const std::string& by,
                                           const ConnectionId& asker);
[[nodiscard]] std::optional<Refusal> resume(Turn& turn, LiveCall& live, const std::string& by,
                                            const ConnectionId& asker);
// As the consult becomes part of the main call: its pauses are that one's, but of nothing that was there before.
void merge_pauses(Turn& turn, LiveCall& main, LiveCall& consult);
// In a state that the site behind this leg has told in the dialog, each newer than the one before it; nullopt: it names
// no pause.
void state_told(Turn& turn, LiveCall& live, const LegId& leg, const std::optional<SitePause>& pause);
// What the site behind this leg is told.
[[nodiscard]] std::optional<SitePause> pause_for(const Turn& turn, const LiveCall& live, const LegId& leg);
void pause_not_confirmed(Turn& turn, const std::string& link_and_pause);
// Of what has ended, for as long as a pause may come late.
template <typename Ended>
void remember(const Turn& turn, std::deque<Ended>& list, Ended ended) {
    while (!list.empty() && (list.size() >= kErasableMax || list.front().ended + kErasable < turn.now.mono))
        list.pop_front();
    list.push_back(std::move(ended));
}

void on(Turn& turn, const RecordingSilenced& event);
void on(Turn& turn, const PauseTold& event);
void on(Turn& turn, const PauseConfirmed& event);

}  // namespace sheaf::exchange
