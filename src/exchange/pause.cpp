// SPDX-License-Identifier: Apache-2.0
#include "exchange/pause.h"

#include <algorithm>

namespace sheaf::exchange {
namespace {

constexpr std::string_view kPaused = "paused";
constexpr std::int64_t kBackMax_ms = 3'600'000;

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

SitePause as_told_now(const Turn& turn, const LivePause& pause) {
    SitePause told = pause.pause;
    told.ago_ms = to_ms(turn.now.mono - pause.began);
    told.at_ms = to_unix_ms(turn.now.wall) - told.ago_ms;
    return told;
}

void tell(Turn& turn, const LegId& id, bool on, const SitePause& pause) {
    const Leg& leg = turn.state.legs.at(id);
    turn.add(TellPause{leg.device.name, leg.header_link, on, pause});
}

void confirm_if_silent(Turn& turn, LiveCall& live) {
    LivePause& pause = *live.pause;
    if (pause.from.empty() || pause.is_confirmed || !pause.sounding.empty()) return;
    const auto leg = turn.state.legs.find(pause.from);
    if (leg == turn.state.legs.end()) return;
    pause.is_confirmed = true;
    turn.add(ConfirmPause{leg->second.device.name, leg->second.header_link, pause.pause.id});
}

void begin(Turn& turn, LiveCall& live, const SitePause& pause, const LegId& from) {
    const std::int64_t back_ms = std::clamp<std::int64_t>(pause.ago_ms, 0, kBackMax_ms);
    live.pause = LivePause{pause, turn.now.mono - std::chrono::milliseconds{back_ms}, from, {}, false, {}};
    for (const call::Connection& connection : live.call.connections)
        if (const auto* recording = recording_of(connection)) live.pause->sounding.insert(recording->segment);
    apply(turn, live, call::PauseRecording{{pause.id, pause.by}, back_ms, !from.empty()});
#ifndef SHEAF_PLANT_pause_only_locally
    for (const LegId& leg : legs_to_tell(turn, live, from)) {
        live.pause->unconfirmed.insert(leg);
        tell(turn, leg, true, as_told_now(turn, *live.pause));
        turn.state.timers.set({Timer::Kind::pause, leg.text()}, turn.now.mono + kPauseConfirmMax);
    }
#endif
    confirm_if_silent(turn, live);
}

// The same pause, from longer ago than was told before: more is erased.
void reach_back(Turn& turn, LiveCall& live, const SitePause& told) {
    const std::int64_t back_ms = std::clamp<std::int64_t>(told.ago_ms, 0, kBackMax_ms);
    const Instant began = turn.now.mono - std::chrono::milliseconds{back_ms};
    if (began >= live.pause->began) return;
    live.pause->began = began;
    for (const call::Connection& connection : live.call.connections)
        if (const auto* recording = recording_of(connection))
            turn.add(SilenceRecording{connection.leg, recording->segment, {std::string(kPaused), told.by}, back_ms});
}

void end(Turn& turn, LiveCall& live, const std::string& by, const LegId& from) {
    const LivePause over = *std::exchange(live.pause, std::nullopt);
    live.pauses_over.push_back(over.pause.id);
    if (live.pauses_over.size() > kPausesKept) live.pauses_over.pop_front();
    for (const LegId& leg : over.unconfirmed) turn.state.timers.cancel({Timer::Kind::pause, leg.text()});
    for (const LegId& leg : legs_to_tell(turn, live, from)) tell(turn, leg, false, over.pause);
    apply(turn, live, call::ResumeRecording{by, !over.from.empty() && !from.empty()});
}

LiveCall* call_linked(Turn& turn, const std::string& site, const LinkId& link, LegId& by) {
    for (const auto& [id, leg] : turn.state.legs) {
        if (leg.device != Device{DeviceKind::site, site} || leg.header_link != link) continue;
        by = id;
        return call_of(turn, id);
    }
    return nullptr;
}

SitePause fit(const SitePause& told) {
    return {shown(told.by), told.id, told.at_ms, told.ago_ms};
}

}  // namespace

std::optional<Refusal> pause(Turn& turn, LiveCall& live, const std::string& by) {
    if (live.pause) return Refusal{491, "the recording is paused already"};
    begin(turn, live, {by, turn.entropy.uuid(), to_unix_ms(turn.now.wall), 0}, {});
    return std::nullopt;
}

std::optional<Refusal> resume(Turn& turn, LiveCall& live, const std::string& by) {
    if (!live.pause) return Refusal{491, "the recording is not paused"};
    end(turn, live, by, {});
    return std::nullopt;
}

void pause_told(Turn& turn, LiveCall& live, const LegId& leg, const std::optional<SitePause>& pause) {
    if (!pause) {
        if (live.pause && live.pause->from == leg) end(turn, live, live.pause->pause.by, leg);
        return;
    }
    if (!is_id(pause->id) || std::ranges::find(live.pauses_over, pause->id) != live.pauses_over.end()) return;
    if (!live.pause) return begin(turn, live, fit(*pause), leg);
    if (live.pause->pause.id == pause->id) reach_back(turn, live, *pause);
}

std::optional<SitePause> pause_for(const Turn& turn, const LiveCall& live, const LegId& leg) {
#ifdef SHEAF_PLANT_pause_only_locally
    return std::nullopt;
#endif
    if (!live.pause || live.pause->from == leg) return std::nullopt;
    return as_told_now(turn, *live.pause);
}

void pause_not_confirmed(Turn& turn, const LegId& id) {
    const LiveCall* live = call_of(turn, id);
    if (!live || !live->pause || !live->pause->unconfirmed.contains(id)) return;
    const std::string& site = turn.state.legs.at(id).device.name;
    turn.log(true, "a site has not confirmed a pause", {{"call", live->call.id.text()}, {"site", site}});
    turn.say("pause.unconfirmed",
             {{"calluuid", live->call.id.text()}, {"pause", live->pause->pause.id}, {"by_site", site}});
}

void on(Turn& turn, const RecordingSilenced& event) {
    LiveCall* live = call_recording(turn, event.leg, event.segment);
    if (!live || !live->pause || event.label != kPaused) return;
    live->pause->sounding.erase(event.segment);
    confirm_if_silent(turn, *live);
}

void on(Turn& turn, const PauseTold& event) {
    LegId leg;
    LiveCall* live = call_linked(turn, event.site, event.link, leg);
    if (!live) return;
    if (event.on) return pause_told(turn, *live, leg, event.pause);
    if (live->pause && live->pause->pause.id == event.pause.id) end(turn, *live, shown(event.pause.by), leg);
}

void on(Turn& turn, const PauseConfirmed& event) {
    LegId leg;
    LiveCall* live = call_linked(turn, event.site, event.link, leg);
    if (!live || !live->pause || live->pause->pause.id != event.pause || !live->pause->unconfirmed.erase(leg)) return;
    turn.state.timers.cancel({Timer::Kind::pause, leg.text()});
    turn.say("pause.confirmed", {{"calluuid", live->call.id.text()}, {"pause", event.pause}, {"by_site", event.site}});
}

}  // namespace sheaf::exchange
