// SPDX-License-Identifier: Apache-2.0
#include "exchange/pause.h"

#include <algorithm>
#include <utility>

#include "base/planted.h"

namespace sheaf::exchange {
namespace {

constexpr std::string_view kPaused = "paused";
constexpr std::int64_t kBackMax = 3'600'000;  // ms

const call::Recording* recording_of(const call::Connection& connection) {
    return std::get_if<call::Recording>(&connection.recording);
}

// Legs to other sites by which this call goes on there.
std::vector<LegId> legs_to_tell(const Turn& turn, const LiveCall& live, const LegId& but) {
    std::vector<LegId> legs;
    for (const call::Connection& connection : live.call.connections) {
        const Leg& leg = turn.state.legs.at(connection.leg);
        if (connection.leg == but || leg.device.kind != DeviceKind::site || leg.header_link.empty()) continue;
        if (call::is_talking(connection)) legs.push_back(connection.leg);
    }
    return legs;
}

// What this leg's peer is to erase: nothing from before it was in one call with the pause.
SitePause as_told_now(const Turn& turn, const LivePause& pause, const LegId& leg) {
    SitePause told = pause.pause;
    told.ago_ms = to_ms(turn.now.mono - std::max({pause.began, pause.came, turn.state.legs.at(leg).came}));
    told.at_ms = to_unix_ms(turn.now.wall) - told.ago_ms;
    return told;
}

void tell(Turn& turn, const LegId& id, bool on, const SitePause& pause) {
    const Leg& leg = turn.state.legs.at(id);
    turn.add(TellPause{leg.device.name, leg.header_link, on, pause});
}

std::string timer_of(const LinkId& link, const std::string& pause) {
    return link.text() + " " + pause;
}

void confirm_what_is_silent(Turn& turn) {
    std::erase_if(turn.state.owed_confirmations, [&](const OwedConfirmation& owed) {
        if (owed.sounding.empty()) turn.add(ConfirmPause{owed.site, owed.link, owed.pause});
        return owed.sounding.empty();
    });
}

void owe(Turn& turn, OwedConfirmation owed) {
    auto& all = turn.state.owed_confirmations;
    const auto same = std::ranges::find_if(all, [&](const OwedConfirmation& o) {
        return o.site == owed.site && o.link == owed.link && o.pause == owed.pause;
    });
    if (same != all.end()) return same->sounding.merge(owed.sounding);
    if (all.size() >= kErasableMax) all.pop_front();  // never confirmed: an alarm where it was told
    all.push_back(std::move(owed));
    confirm_what_is_silent(turn);
}

// Takes back what has ended of the call since `began`; adds it to `sounding`.
void erase_ended(Turn& turn, const CallUuid& call, const SitePause& pause, Instant began, std::set<SegmentId>& sounding,
                 bool is_over = false) {
    const std::int64_t back_ms = std::clamp<std::int64_t>(to_ms(turn.now.mono - began), 0, kBackMax);
    for (const EndedRecording& ended : turn.state.ended_recordings) {
        if (ended.call != call || ended.ended < began) continue;
        turn.add(SilenceRecording{ended.leg, ended.segment, {std::string(kPaused), pause.by}, back_ms, is_over});
        sounding.insert(ended.segment);
    }
}

Instant began_of(const Turn& turn, const SitePause& pause) {
    return turn.now.mono - std::chrono::milliseconds{std::clamp<std::int64_t>(pause.ago_ms, 0, kBackMax)};
}

void begin(Turn& turn, LiveCall& live, const SitePause& pause, const LegId& from, Instant came = {},
           const ConnectionId& asker = {}) {
    live.pause = LivePause{pause, std::max(began_of(turn, pause), came), from, came};
    std::set<SegmentId> sounding;
    for (const call::Connection& connection : live.call.connections)
        if (const auto* recording = recording_of(connection)) sounding.insert(recording->segment);
    apply(turn, live,
          call::PauseRecording{{pause.id, pause.by}, to_ms(turn.now.mono - live.pause->began), !from.empty(), asker});
    if (!from.empty()) erase_ended(turn, live.call.id, pause, live.pause->began, sounding);
    for (const LegId& id : legs_to_tell(turn, live, from)) {
        if (is_planted("pause_only_locally")) break;
        const Leg& leg = turn.state.legs.at(id);
        auto& told = turn.state.told_pauses;
        if (told.size() >= kErasableMax) told.pop_front();
        told.push_back({leg.device.name, leg.header_link, pause.id, live.call.id, turn.now.mono});
        tell(turn, id, true, as_told_now(turn, *live.pause, id));
        turn.state.timers.set({Timer::Kind::pause, timer_of(leg.header_link, pause.id)},
                              turn.now.mono + kPauseConfirmMax);
    }
    if (from.empty()) return;
    const Leg& leg = turn.state.legs.at(from);
    owe(turn, {leg.device.name, leg.header_link, pause.id, std::move(sounding)});
}

// The same pause from longer ago than was told before, or one more beside that in force: more is erased.
std::set<SegmentId> reach_back(Turn& turn, LiveCall& live, const SitePause& told, Instant came = {},
                               bool is_over = false) {
    const Instant began = std::max(began_of(turn, told), came);
    const std::int64_t back_ms = to_ms(turn.now.mono - began);
    std::set<SegmentId> sounding;
    for (const call::Connection& connection : live.call.connections) {
        const auto* recording = recording_of(connection);
        if (!recording) continue;
        turn.add(
            SilenceRecording{connection.leg, recording->segment, {std::string(kPaused), told.by}, back_ms, is_over});
        sounding.insert(recording->segment);
    }
    erase_ended(turn, live.call.id, told, began, sounding, is_over);
    return sounding;
}

void remember_over(LiveCall& live, const LivePause& over) {
    live.pauses_over.push_back({over.pause.id, over.began, over.came, {}});
    if (live.pauses_over.size() > kPausesKept) live.pauses_over.erase(live.pauses_over.begin());
}

// `by`: a value, for it may be of the pause that ends. Where only a state has left it unnamed, which may be an old one,
// that is passed on in states as well: a word beside them would be the last one.
enum class Ended { said, unnamed };
void end(Turn& turn, LiveCall& live, std::string by, const LegId& from, bool is_told, Ended how = Ended::said,
         const ConnectionId& asker = {}) {
    const LivePause over = *std::exchange(live.pause, std::nullopt);
    remember_over(live, over);
    if (how == Ended::said)
        for (const LegId& leg : legs_to_tell(turn, live, from)) tell(turn, leg, false, over.pause);
    apply(turn, live, call::ResumeRecording{std::move(by), !over.from.empty() && is_told, asker});
    // Whoever resumes here ends that of a site that has gone as well: nobody there will.
    std::erase_if(live.pauses_beside, [&](const LivePause& one) { return call_of(turn, one.from) != &live; });
    if (live.pauses_beside.empty()) return;
    LivePause next = std::move(live.pauses_beside.front());
    live.pauses_beside.erase(live.pauses_beside.begin());
    next.pause.ago_ms = 0;  // what lay before was erased when it was told
    begin(turn, live, next.pause, next.from, turn.now.mono);
}

// Somebody paused at another site while it was paused here: neither knew of the other's. Gives since when it can be
// about this call.
Instant put_beside(LiveCall& live, LivePause pause) {
    auto& all = live.pauses_beside;
    const auto known = std::ranges::find(all, pause.pause.id, [](const LivePause& one) { return one.pause.id; });
    if (known != all.end()) return known->came;
    if (all.size() >= kPausesBesideMax) all.erase(all.begin());
    all.push_back(std::move(pause));
    return all.back().came;
}

void end_beside(LiveCall& live, const std::string& pause) {
    const auto known = std::ranges::find(live.pauses_beside, pause, [](const LivePause& one) { return one.pause.id; });
    if (known == live.pauses_beside.end()) return;
    remember_over(live, *known);
    live.pauses_beside.erase(known);
}

LiveCall* call_linked(Turn& turn, const std::string& site, const LinkId& link, LegId& by) {
    for (const auto& [id, leg] : turn.state.legs) {
        if (leg.device != Device{DeviceKind::site, site} || leg.header_link != link) continue;
        by = id;
        return call_of(turn, id);
    }
    return nullptr;
}

// A word that was on its way for long makes a pause begin late; one that comes when it is over already may know better.
void told_of_one_over(Turn& turn, LiveCall& live, OverPause& over, const Leg& leg, const SitePause& told) {
    std::set<SegmentId> sounding;
    if (const Instant began = std::max(began_of(turn, told), over.came); began < over.began) {
        over.began = began;
        sounding = reach_back(turn, live, told, over.came, true);
    }
    owe(turn, {leg.device.name, leg.header_link, told.id, std::move(sounding)});
}

SitePause fit(const SitePause& told) {
    return {shown(told.by), told.id, told.at_ms, told.ago_ms};
}

void pause_told(Turn& turn, LiveCall& live, const LegId& id, const SitePause& pause) {
    const Leg& leg = turn.state.legs.at(id);
    const auto over = std::ranges::find(live.pauses_over, pause.id, &OverPause::id);
    if (over != live.pauses_over.end()) return told_of_one_over(turn, live, *over, leg, pause);
    if (!live.pause) return begin(turn, live, pause, id);
    if (live.pause->pause.id != pause.id) {
        const Instant came = put_beside(live, {pause, began_of(turn, pause), id, {}});
        return owe(turn, {leg.device.name, leg.header_link, pause.id, reach_back(turn, live, pause, came)});
    }
    const Instant began = std::max(began_of(turn, pause), live.pause->came);
    if (began >= live.pause->began) return;
    live.pause->began = began;
    const std::set<SegmentId> sounding = reach_back(turn, live, pause, live.pause->came);
    for (OwedConfirmation& owed : turn.state.owed_confirmations)
        if (owed.pause == pause.id) owed.sounding.insert(sounding.begin(), sounding.end());
}

}  // namespace

std::optional<Refusal> pause(Turn& turn, LiveCall& live, const std::string& by, const ConnectionId& asker) {
    if (live.pause) return Refusal{491, "the recording is paused already"};
    begin(turn, live, {by, turn.entropy.uuid(), to_unix_ms(turn.now.wall), 0}, {}, {}, asker);
    return std::nullopt;
}

std::optional<Refusal> resume(Turn& turn, LiveCall& live, const std::string& by, const ConnectionId& asker) {
    if (!live.pause) return Refusal{491, "the recording is not paused"};
    end(turn, live, by, {}, false, Ended::said, asker);
    return std::nullopt;
}

void merge_pauses(Turn& turn, LiveCall& main, LiveCall& consult) {
    const auto is_known = [&](const std::string& id) {
        const auto is_it = [&](const LivePause& one) { return one.pause.id == id; };
        return (main.pause && is_it(*main.pause)) || std::ranges::any_of(main.pauses_beside, is_it) ||
               std::ranges::find(main.pauses_over, id, &OverPause::id) != main.pauses_over.end();
    };
    for (OverPause& over : consult.pauses_over) {
        if (is_known(over.id)) continue;
        over.came = turn.now.mono;
        main.pauses_over.insert(main.pauses_over.begin(), std::move(over));
    }
    if (main.pauses_over.size() > kPausesKept)
        main.pauses_over.erase(main.pauses_over.begin(), main.pauses_over.end() - kPausesKept);
    std::vector<LivePause> theirs = std::exchange(consult.pauses_beside, {});
    if (consult.pause) theirs.insert(theirs.begin(), *std::exchange(consult.pause, std::nullopt));
    for (LivePause& pause : theirs) {
        if (is_known(pause.pause.id)) continue;
        pause.came = turn.now.mono;
        if (main.pause) {
            main.pauses_beside.push_back(std::move(pause));
            continue;
        }
        main.pause = std::move(pause);
        apply(turn, main, call::PauseRecording{{main.pause->pause.id, main.pause->pause.by}, 0, true});
    }
}

// A state may have waited in its dialog while a pause was told beside it, so that it does not name the pause and yet
// comes later; the next one of that leg does, and then it has never been over.
void state_told(Turn& turn, LiveCall& live, const LegId& id, const std::optional<SitePause>& told) {
    if (!told) {
        std::erase_if(live.pauses_beside, [&](const LivePause& one) { return one.from == id; });
        if (!live.pause || live.pause->from != id) return;
        end(turn, live, live.pause->pause.by, id, true, Ended::unnamed);
        live.pauses_over.back().unnamed_by = id;
        return;
    }
    if (!is_id(told->id)) return;
    std::erase_if(live.pauses_over,
                  [&](const OverPause& over) { return over.id == told->id && over.unnamed_by == id; });
    pause_told(turn, live, id, fit(*told));
}

std::optional<SitePause> pause_for(const Turn& turn, const LiveCall& live, const LegId& leg) {
    if (is_planted("pause_only_locally")) return std::nullopt;
    if (!live.pause || live.pause->from == leg) return std::nullopt;
    return as_told_now(turn, *live.pause, leg);
}

void pause_not_confirmed(Turn& turn, const std::string& link_and_pause) {
    for (const ToldPause& told : turn.state.told_pauses) {
        if (timer_of(told.link, told.pause) != link_and_pause) continue;
        turn.log(true, "a site has not confirmed a pause", {{"call", told.call.text()}, {"site", told.site}});
        turn.say("pause.unconfirmed", {{"calluuid", told.call.text()}, {"pause", told.pause}, {"by_site", told.site}});
    }
}

void on(Turn& turn, const RecordingSilenced& event) {
    if (event.label != kPaused) return;
    for (OwedConfirmation& owed : turn.state.owed_confirmations) owed.sounding.erase(event.segment);
    confirm_what_is_silent(turn);
}

void on(Turn& turn, const PauseTold& event) {
    LegId leg;
    if (LiveCall* live = call_linked(turn, event.site, event.link, leg)) {
        if (event.on) return is_id(event.pause.id) ? pause_told(turn, *live, leg, fit(event.pause)) : void();
        end_beside(*live, event.pause.id);
        if (live->pause && live->pause->pause.id == event.pause.id) end(turn, *live, shown(event.pause.by), leg, true);
        return;
    }
    if (!is_id(event.pause.id)) return;
    // The call has left this link meanwhile. What it stored of the pause goes all the same, and a pause that was over
    // before that is over here, too.
    const auto link = std::ranges::find_if(turn.state.ended_links, [&](const EndedLink& ended) {
        return ended.site == event.site && ended.link == event.link;
    });
    if (link == turn.state.ended_links.end()) return;
    if (!event.on) {  // its call may be part of another by now
        for (auto& [id, live] : turn.state.calls) {
            end_beside(live, event.pause.id);
            if (live.pause && live.pause->pause.id == event.pause.id) end(turn, live, shown(event.pause.by), {}, true);
        }
        return;
    }
    const SitePause pause = fit(event.pause);
    std::set<SegmentId> sounding;
    erase_ended(turn, link->call, pause, began_of(turn, pause), sounding);
    owe(turn, {event.site, event.link, pause.id, std::move(sounding)});
}

void on(Turn& turn, const PauseConfirmed& event) {
    auto& all = turn.state.told_pauses;
    const auto told = std::ranges::find_if(all, [&](const ToldPause& one) {
        return one.site == event.site && one.link == event.link && one.pause == event.pause;
    });
    if (told == all.end()) return;
    turn.state.timers.cancel({Timer::Kind::pause, timer_of(event.link, event.pause)});
    turn.say("pause.confirmed", {{"calluuid", told->call.text()}, {"pause", event.pause}, {"by_site", event.site}});
    all.erase(told);
}

}  // namespace sheaf::exchange
