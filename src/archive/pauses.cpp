// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <deque>

#include "archive/presence.h"

// Which call's recording is paused when. A pause is the conversation's: it goes to whatever call it is connected with
// by a leg between sites, then and later, and stays there until somebody resumes it from where the word can come to it.
// A site that has been told of it says so: that holds where the word has overtaken the leg, or has come too late for
// it.
namespace sheaf::archive {

void Presence::spread_pauses() {
    if (pause_words_.empty()) return;
    std::map<CallUuid, Pause> running;
    auto word = pause_words_.begin();
    for (const Ms at : changes_) {
        for (; word != pause_words_.end() && word->first <= at; ++word) hear(word->second, at, running);
        if (!running.empty()) pass_on(at, running);
        if (running.empty() && word == pause_words_.end()) break;
    }
    for (auto& [call, pause] : running) pauses_.push_back(std::move(pause));
}

void Presence::hear(const PauseWord& word, Ms at, std::map<CallUuid, Pause>& running) {
    const CallUuid call = call_at(word.call, at);
    const auto over = [&](const CallUuid& which, bool of_any) {
        const auto found = running.find(which);
        if (found == running.end() || (found->second.id != word.pause && !of_any)) return;
        found->second.span.to = at;
        pauses_.push_back(std::move(found->second));
        running.erase(found);
    };
    const bool is_told = word.kind == PauseWord::Kind::told;
    switch (word.kind) {
        case PauseWord::Kind::paused:
        case PauseWord::Kind::told:
            running.try_emplace(call, Pause{call, word.pause, {at, kNever, {}, word.by}, is_told});
            return;
        case PauseWord::Kind::resumed:
            for (const CallUuid& each : connected_to(call, at)) over(each, false);
            return;
        case PauseWord::Kind::told_over: return over(call, false);
        case PauseWord::Kind::ended: return over(call, true);
    }
}

// To calls that have merged, and to those that a leg connects now.
void Presence::pass_on(Ms at, std::map<CallUuid, Pause>& running) {
    const std::map<CallUuid, Pause> before = running;
    for (const auto& [call, pause] : before) {
        const CallUuid now = call_at(call, at);
        if (now != call) {
            auto merged = running.extract(call);
            merged.mapped().span.to = at;
            pauses_.push_back(merged.mapped());
        }
        if (pause.is_told) {  // whoever else has heard of it says so
            running.try_emplace(now, Pause{now, pause.id, {at, kNever, {}, pause.span.by}, true});
            continue;
        }
        for (const CallUuid& each : connected_to(now, at))
            running.try_emplace(each, Pause{each, pause.id, {at, kNever, {}, pause.span.by}, false});
    }
}

// Itself, and every call that audio or a hold reaches from it by legs between sites.
std::set<CallUuid> Presence::connected_to(const CallUuid& call, Ms t) const {
    const Moment& now = moment(t);
    std::set<CallUuid> calls{call};
    std::deque<CallUuid> todo{call};
    while (!todo.empty()) {
        const auto present = now.by_call.find(todo.front());
        todo.pop_front();
        if (present == now.by_call.end()) continue;
        for (const Here& here : present->second) {
            const Connection& connection = connections_[here.connection];
            const auto leg = connection.link.empty() ? now.by_leg.end() : now.by_leg.find(leg_of(connection.link));
            if (leg == now.by_leg.end()) continue;
            for (const Here& peer : leg->second)
                if (calls.insert(peer.call).second) todo.push_back(peer.call);
        }
    }
    return calls;
}

std::optional<Pause> Presence::pause_over(const CallUuid& call, Ms t) const {
    const CallUuid wanted = call_at(call, t);
    for (const Pause& pause : pauses_)
        if (pause.span.holds(t) && pause.call == wanted) return pause;
    return std::nullopt;
}

}  // namespace sheaf::archive
