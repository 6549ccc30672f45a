// SPDX-License-Identifier: Apache-2.0
#include <deque>
#include <utility>

#include "archive/presence.h"

// Which call's recording is paused when. A pause is the conversation's: it goes to whatever call it is connected with
// by a leg between sites, then and later, and stays there until somebody resumes it from where the word can come to it.
// A site that has been told of it says so: that holds where the word has overtaken the leg, or has come too late for
// it.
namespace sheaf::archive {

void Presence::spread_pauses() {
    if (pause_words_.empty()) return;
    Running running;
    auto word = pause_words_.begin();
    for (const Ms at : changes_) {
        for (; word != pause_words_.end() && word->first <= at; ++word) hear(word->second, at, running);
        if (!running.pauses.empty()) pass_on(at, running);
        if (running.pauses.empty() && word == pause_words_.end()) break;
    }
    for (auto& [call, pause] : running.pauses) pauses_.push_back(std::move(pause));
}

void Presence::hear(const PauseWord& word, Ms at, Running& running) {
    const CallUuid call = call_at(word.call, at);
    const auto over = [&](const CallUuid& which, bool of_any) {
        const auto found = running.pauses.find(which);
        if (found == running.pauses.end() || (found->second.id != word.pause && !of_any)) return;
        found->second.span.to = at;
        pauses_.push_back(std::move(found->second));
        running.pauses.erase(found);
    };
    switch (word.kind) {
        case PauseWord::Kind::paused: begin_pause(word, call, at, Pause::By::asked, running); return;
        case PauseWord::Kind::told:
            running.told_over.erase({call, word.pause});
            begin_pause(word, call, at, Pause::By::told, running);
            return;
        case PauseWord::Kind::told_over: running.told_over.insert({call, word.pause}); return over(call, false);
        case PauseWord::Kind::resumed:
            for (const CallUuid& each : connected_to(call, at)) over(each, false);
            return;
        case PauseWord::Kind::ended: return over(call, true);
    }
}

// Its site's own word; before that another may only have reached it.
void Presence::begin_pause(const PauseWord& word, const CallUuid& call, Ms at, Pause::By by, Running& running) {
    const Pause own{call, word.pause, {at, kNever, {}, word.by}, by};
    const auto [known, is_new] = running.pauses.try_emplace(call, own);
    Pause& pause = known->second;
    if (is_new) return;
    if (pause.id == word.pause && by == Pause::By::told) pause.by = by;
    if (pause.id == word.pause || pause.by != Pause::By::reached) return;
    Pause former = std::exchange(pause, own);
    former.span.to = at;
    pauses_.push_back(std::move(former));
}

// To calls that have merged, and to those that a leg connects now; not to one whose site knows that it is over.
void Presence::pass_on(Ms at, Running& running) {
    const std::map<CallUuid, Pause> before = running.pauses;
    for (const auto& [call, pause] : before) {
        const CallUuid now = call_at(call, at);
        if (now != call) {
            auto merged = running.pauses.extract(call);
            merged.mapped().span.to = at;
            pauses_.push_back(merged.mapped());
        }
        const bool is_told = pause.by == Pause::By::told;  // whoever else has heard of it says so
        for (const CallUuid& each : is_told ? std::set<CallUuid>{now} : connected_to(now, at)) {
            const Pause::By by = each == now ? pause.by : Pause::By::reached;
            if (!running.told_over.contains({each, pause.id}))
                running.pauses.try_emplace(each, Pause{each, pause.id, {at, kNever, {}, pause.span.by}, by});
        }
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
