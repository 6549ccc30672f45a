// SPDX-License-Identifier: Apache-2.0
#include "exchange/calls.h"

#include <algorithm>

#include "base/match.h"
#include "exchange/agents.h"
#include "exchange/conference.h"
#include "exchange/cti.h"
#include "exchange/leave.h"
#include "exchange/links.h"
#include "exchange/neighbours.h"
#include "exchange/pause.h"
#include "exchange/qualification.h"
#include "exchange/waiting.h"

namespace sheaf::exchange {
namespace {

constexpr std::string_view kHold = "hold";  // labels of silences, as in segment files
constexpr std::string_view kPaused = "paused";
constexpr std::string_view kNotBegun = "not-begun";  // a cause (docs/formats/facts.md)

void come(Turn& turn, LiveCall& live) {
    const auto point = turn.state.routing_points.find(std::exchange(live.coming_to, {}));
    if (point == turn.state.routing_points.end()) return;
    --point->second.coming;
    if (point->second.is_forgotten()) turn.state.routing_points.erase(point);
}

// Whether the leg lives on in another call once it has left this one.
bool serves_another(const Turn& turn, const LegId& id, const CallUuid& but) {
    const auto leg = turn.state.legs.find(id);
    return leg != turn.state.legs.end() && (leg->second.call != but || !leg->second.parked.empty());
}

bool has_ended(const Turn& turn, const LegId& id) {
    const auto leg = turn.state.legs.find(id);
    return leg != turn.state.legs.end() && leg->second.has_ended;
}

// The leg has left one of its calls and goes on in another: in its main call when that was a consult.
void leg_goes_on(Turn& turn, Leg& leg, const LiveCall& live, const call::Gone& gone) {
    if (leg.call != live.call.id) {
        std::erase_if(leg.parked, [&](const Parked& parked) { return parked.call == live.call.id; });
        return;
    }
    const Parked next = leg.parked.back();
    leg.parked.pop_back();
    leg.call = next.call;
    leg.connection = next.connection;
    if (leg.has_ended) return;
    if (!gone.play.empty()) turn.add(StopPlay{gone.leg, gone.play});
    if (turn.completing == gone.leg) return;
    LiveCall& goes_on = turn.state.calls.at(next.call);
    if (gone.phone_holds) apply(turn, goes_on, call::PutOnHold{gone.leg, call::HoldWay::phone});
    apply(turn, goes_on, call::Retrieved{gone.leg, call::HoldWay::other_call});
}

// An offered leg is answered, and is not to wait: what is said to it first.
void answered(Turn& turn, LiveCall& live, const LegId& leg) {
    if (live.menu) return begin_menu(turn, live);
    if (!live.code.empty()) apply(turn, live, call::Treat{leg, {live.code}, true});
}

// Of the recording in the call that the leg serves: in another nothing is stored, and no tone is heard.
void tone_runs(Turn& turn, const LegId& leg, std::int64_t every_ms) {
    const Timer timer{Timer::Kind::tone, leg.text()};
    if (every_ms > 0)
        turn.state.timers.set(timer, turn.now.mono + std::chrono::milliseconds{every_ms});
    else
        turn.state.timers.cancel(timer);
}

void leg_gone(Turn& turn, LiveCall& live, const call::Gone& gone) {
    const auto found = turn.state.legs.find(gone.leg);
    if (found == turn.state.legs.end()) return;
    if (live.ringing == gone.leg) live.ringing.reset();
    if (serves_another(turn, gone.leg, live.call.id)) return leg_goes_on(turn, found->second, live, gone);
    if (gone.status != 0) link_answered(turn, gone.leg, gone.status, {});
    const Leg leg = std::move(found->second);
    link_ended(turn, leg);
    if (!leg.header_link.empty())
        remember(turn, turn.state.ended_links, {leg.device.name, leg.header_link, live.call.id, turn.now.mono});
    turn.state.legs.erase(found);
    turn.state.timers.cancel(Timer::Kind::ring, gone.leg.text());
    turn.state.timers.cancel(Timer::Kind::tone, gone.leg.text());
    if (!leg.placed && !gone.was_connected) come(turn, live);
    if (leg.device.kind == DeviceKind::agent)
        let_go(turn, leg.device.name, gone.leg, {gone.refused, gone.was_connected, gone.cause});
    if (leg.device.kind == DeviceKind::site && leg.placed) {
        const ToSite to{leg.device.name, gone.party.address};
        const auto site = turn.state.sites.find(to.site);
        if (site == turn.state.sites.end()) return;
        auto& called = site->second.called;
        if (const auto count = called.find(to.number); count != called.end() && --count->second == 0)
            called.erase(count);
        if (gone.refused) remote_refused(turn, to);
        turn.serve = true;
    }
}

void call_over(Turn& turn, LiveCall& live) {
    const CallUuid& id = live.call.id;
    if (live.adding) stop_adding(turn, live);
    live.is_over = true;
    for (const auto kind : {Timer::Kind::serve, Timer::Kind::overflow, Timer::Kind::position, Timer::Kind::menu})
        turn.state.timers.cancel(kind, id.text());
    turn.over.push_back(id);
}

std::vector<Silence> silences_of(const call::StartRecording& start) {
    std::vector<Silence> silences;
    if (start.on_hold) silences.push_back({std::string(kHold), {}});
    if (start.paused_by) silences.push_back({std::string(kPaused), start.paused_by->by});
    return silences;
}

void recording_over(Turn& turn, const SegmentId& segment, const LegId& leg, const CallUuid& call, bool stopped) {
    EndedRecording ended{segment, leg, call, turn.now.mono, std::nullopt};
    if (const auto asked = turn.state.asked_recordings.extract(segment); asked && stopped)
        ended.asked = std::move(asked.mapped());
    remember(turn, turn.state.ended_recordings, std::move(ended));
}

EndedRecording* unbegun(Turn& turn, const SegmentId& segment) {
    const auto ended = std::ranges::find(turn.state.ended_recordings, segment, &EndedRecording::segment);
    return ended != turn.state.ended_recordings.end() && ended->asked ? &*ended : nullptr;
}

// Nothing of it was ever stored, and nothing of it will come.
void say_not_begun(Turn& turn, EndedRecording& ended) {
    const AskedRecording asked = *std::exchange(ended.asked, std::nullopt);
    const bool is_brief = ended.ended - asked.since <= kBriefRecording;
    turn.say("segment.lost", {{"segment", ended.segment.text()},
                              {"connection", asked.connection.text()},
                              {"from_ms", nullptr},
                              {"to_ms", nullptr},
                              {"cause", is_brief ? kNotBegun : call::name_of(call::Cause::failed)},
                              {"calluuid", asked.call.text()}});
}

void translate(Turn& turn, LiveCall& live, call::Effect& effect) {
    const CallUuid& id = live.call.id;
    const auto room = [&id] { return RoomId{id.text()}; };
    std::visit(Match{
                   [&](call::Ring& e) { turn.add(RingLeg{e.leg, room(), id}); },
                   [&](call::Answer& e) { turn.add(AnswerLeg{e.leg, room(), id}); },
                   [&](call::Reject& e) { turn.add(RejectLeg{e.leg, e.status, e.reason, id}); },
                   [&](call::Release& e) {
                       if (!serves_another(turn, e.leg, id) && !has_ended(turn, e.leg))
                           turn.add(EndLeg{e.leg, e.status, e.cause});
                   },
                   [&](call::Join& e) {
                       if (turn.state.legs.at(e.leg).call == id) turn.add(MoveLeg{e.leg, room()});
                   },
                   [&](call::Unjoin& e) {
                       if (turn.state.legs.at(e.leg).call == id) turn.add(MoveLeg{e.leg, {}});
                   },
                   [&](call::StartPlay& e) { turn.add(StartPlay{e.leg, e.play, {e.item}, e.forever}); },
                   [&](call::StartNotice& e) { turn.add(StartPlay{e.leg, e.play, std::move(e.items), false, true}); },
                   [&](call::ToneRuns& e) { tone_runs(turn, e.leg, e.every_ms); },
                   [&](call::StopPlay& e) { turn.add(StopPlay{e.leg, e.play}); },
                   [&](call::StartRecording& e) {
                       turn.add(StartRecording{e.leg, e.segment, id, e.connection, silences_of(e)});
                       turn.state.asked_recordings[e.segment] = {id, e.connection, turn.now.mono};
                   },
                   [&](call::Silence& e) {
                       turn.add(SilenceRecording{
                           e.leg, e.segment, {std::string(e.is_pause ? kPaused : kHold), e.by}, e.back_ms});
                   },
                   [&](call::Unsilence& e) {
                       turn.add(ResumeRecording{e.leg, e.segment, std::string(e.is_pause ? kPaused : kHold)});
                   },
                   [&](call::StopRecording& e) {
                       turn.add(StopRecording{e.leg, e.segment, e.cause});
                       recording_over(turn, e.segment, e.leg, id, true);
                   },
                   [&](call::Say& e) { turn.say(std::move(e.type), std::move(e.data)); },
                   [&](call::Tell& e) {
                       turn.add(CtiEvent{std::move(e.type), id, std::move(e.device), std::move(e.parties),
                                         std::move(e.cause)});
                   },
                   [&](call::Waits& e) {
                       wait_for(turn, live, e.routing_point);
                       come(turn, live);
                   },
                   [&](call::WaitsNoMore& e) { leave_waiting(turn, live, e.routing_point); },
                   [&](call::Gone& e) { leg_gone(turn, live, e); },
                   [&](call::Over&) { call_over(turn, live); },
               },
               effect);
}

}  // namespace

void apply(Turn& turn, LiveCall& live, const call::Event& event) {
    call::Step step = call::step(std::move(live.call), event);
    live.call = std::move(step.call);
    turn.touched.insert(live.call.id);
    for (call::Effect& effect : step.effects) translate(turn, live, effect);
}

LiveCall* call_of(Turn& turn, const LegId& leg) {
    const auto found = turn.state.legs.find(leg);
    return found == turn.state.legs.end() ? nullptr : &turn.state.calls.at(found->second.call);
}

LiveCall* call_recording(Turn& turn, const LegId& leg, const SegmentId& segment) {
    const auto found = turn.state.legs.find(leg);
    if (found == turn.state.legs.end()) return nullptr;
    std::vector<CallUuid> calls{found->second.call};
    for (const Parked& parked : found->second.parked) calls.push_back(parked.call);
    for (const CallUuid& id : calls) {
        LiveCall& live = turn.state.calls.at(id);
        const call::Connection* connection = call::find(live.call, leg);
        const auto* recording = connection ? std::get_if<call::Recording>(&connection->recording) : nullptr;
        if (recording && recording->segment == segment) return &live;
    }
    return nullptr;
}

call::Cause cause_of(int status) {
    switch (status) {
        case 486:
        case 600: return call::Cause::busy;
        case 408:
        case 480: return call::Cause::no_answer;
        case 487: return call::Cause::cancelled;
        case 401:
        case 403:
        case 404:
        case 407:
        case 410:
        case 484:
        case 603: return call::Cause::rejected;
        default: return call::Cause::failed;
    }
}

void on(Turn& turn, const LegConnected& event) {
    LiveCall* live = call_of(turn, event.leg);
    if (!live) return;
    const call::Connection* connection = call::find(live->call, event.leg);
    if (connection && std::holds_alternative<call::Answering>(connection->state))
        link_answered(turn, event.leg, 200, {});
    const LegId former = std::exchange(turn.state.legs.at(event.leg).replaces, {});
    if (!former.empty()) {
        not_left(turn, *live, former);
        tell_all_again(turn, *live);
    }
    apply(turn, *live, call::Established{event.leg, former});
    if (!live->is_over) answered(turn, *live, event.leg);
}

void on(Turn& turn, const LegPlaced& event) {
    if (call_of(turn, event.leg)) link_sent(turn, event.leg, event.message);
}

void on(Turn& turn, const LegAlerting& event) {
    LiveCall* live = call_of(turn, event.leg);
    if (!live) return;
    Leg& leg = turn.state.legs.at(event.leg);
    if (is_id(event.peer_call.text())) leg.peer_call = event.peer_call;
    apply(turn, *live, call::Alerted{event.leg});
}

void on(Turn& turn, const LegAnswered& event) {
    LiveCall* live = call_of(turn, event.leg);
    if (!live || live->ringing != event.leg) return;
    live->ringing.reset();
    live->chosen_at.clear();
    turn.state.timers.cancel(Timer::Kind::ring, event.leg.text());
    if (is_id(event.peer_call.text())) turn.state.legs.at(event.leg).peer_call = event.peer_call;
    link_answered(turn, event.leg, 200, event.peer_call);
    const auto asker = live->adding ? std::optional(added(turn, *live)) : std::nullopt;
    apply(turn, *live, call::Answered{event.leg, live->overflowing == event.leg});
    if (asker) tell(turn, *live, "conferenced", *asker);
    if (live->to_dial.empty()) return;
    const std::string number = std::exchange(live->to_dial, {});
    const auto to = turn.state.numbers.destination_of(number);
    const auto refusal = to ? refusal_now(turn.state, *to) : Refusal{404, "unknown number"};
    if (refusal)
        not_taken(turn, *live, cause_of(refusal->status), *refusal);
    else
        send_to(turn, *live, *to);
}

void on(Turn& turn, const LegFailed& event) {
    LiveCall* live = call_of(turn, event.leg);
    if (!live) return;
    const bool rang = live->ringing == event.leg;
    const call::Cause cause = cause_of(event.status);
    if (!rang) return on(turn, LegEnded{event.leg, cause, event.message});
    link_answered(turn, event.leg, event.status, event.peer_call);
    const Device by = turn.state.legs.at(event.leg).device;
    const call::Connection* called = call::find(live->call, event.leg);
    const std::string number = called ? called->party.address : std::string();
    apply(turn, *live, call::Refused{event.leg, cause});
    if (!event.redirect.empty() && follow_redirection(turn, *live, by, number, event.redirect)) return;
    not_taken(turn, *live, cause, {event.status, {}});
}

// Whether a leg that has our 200 is to stand in for this one. Its ACK may be later than the word of it at the former's
// peer, who then ends the dialog that has been replaced before we do.
bool is_being_replaced(const Turn& turn, const LiveCall& live, const LegId& leg) {
    return std::ranges::any_of(live.call.connections, [&](const call::Connection& connection) {
        return turn.state.legs.at(connection.leg).replaces == leg &&
               std::holds_alternative<call::Answering>(connection.state);
    });
}

void on(Turn& turn, const LegEnded& event) {
    LiveCall* live = call_of(turn, event.leg);
    if (!live) return;
    Leg& leg = turn.state.legs.at(event.leg);
    leg.has_ended = true;
    for (const Parked& parked : std::vector<Parked>(leg.parked))
        apply(turn, turn.state.calls.at(parked.call), call::Left{event.leg, event.cause});
    if (is_being_replaced(turn, *live, event.leg)) {
        not_left(turn, *live, event.leg);
        return apply(turn, *live, call::Withdraw{event.leg, call::Cause::transferred});
    }
    const bool rang = live->ringing == event.leg;
    const call::Cause cause = has_left(turn, *live, event.leg) ? call::Cause::transferred : event.cause;
    apply(turn, *live, call::Left{event.leg, cause});
    if (rang) not_taken(turn, *live, event.cause, {480, {}});
}

void on(Turn& turn, const LegHeld& event) {
    if (LiveCall* live = call_of(turn, event.leg)) apply(turn, *live, call::PutOnHold{event.leg, call::HoldWay::phone});
}

void on(Turn& turn, const LegRetrieved& event) {
    if (LiveCall* live = call_of(turn, event.leg)) apply(turn, *live, call::Retrieved{event.leg, call::HoldWay::phone});
}

void on(Turn& turn, const PlayBegan& event) {
    if (LiveCall* live = call_of(turn, event.leg)) apply(turn, *live, call::PlayBegan{event.leg, event.play});
}

void on(Turn& turn, const PlayEnded& event) {
    LiveCall* live = call_of(turn, event.leg);
    if (!live) return;
    apply(turn, *live, call::PlayEnded{event.leg, event.play, event.failed});
    const call::Connection* connection = call::find(live->call, event.leg);
    if (!connection || !call::is_treated(*connection)) return;
    if (live->menu)
        menu_announced(turn, *live);
    else if (!live->code.empty())
        apply(turn, *live, call::End{});
}

void tone_due(Turn& turn, const LegId& leg) {
    LiveCall* live = call_of(turn, leg);
    const call::Connection* recorded = live ? call::find(live->call, leg) : nullptr;
    const auto* recording = recorded ? std::get_if<call::Recording>(&recorded->recording) : nullptr;
    if (!recording) return;
    tone_runs(turn, leg, recording->consent.tone_ms);
    apply(turn, *live, call::ToneDue{leg});
}

void on(Turn& turn, const RecordingOpened& event) {
    if (turn.state.asked_recordings.erase(event.segment) == 0) {
        if (EndedRecording* ended = unbegun(turn, event.segment)) ended->asked.reset();
    }
    if (LiveCall* live = call_recording(turn, event.leg, event.segment))
        apply(turn, *live, call::RecordingOpened{event.segment, turn.now.mono});
}

void on(Turn& turn, const RecordingFailed& event) {
    LiveCall* live = call_recording(turn, event.leg, event.segment);
    if (!live) {
        if (EndedRecording* ended = unbegun(turn, event.segment)) say_not_begun(turn, *ended);
        return;
    }
    turn.log(true, "a recording has failed",
             {{"call", live->call.id.text()}, {"segment", event.segment.text()}, {"why", shown(event.why)}});
    apply(turn, *live, call::RecordingFailed{event.segment, turn.now.mono});
    recording_over(turn, event.segment, event.leg, live->call.id, false);
}

void ring_timed_out(Turn& turn, const LegId& leg) {
    LiveCall* live = call_of(turn, leg);
    if (!live || live->ringing != leg) return;
    apply(turn, *live, call::Withdraw{leg, call::Cause::no_answer});
    not_taken(turn, *live, call::Cause::no_answer, {480, "no answer"});
}

}  // namespace sheaf::exchange
