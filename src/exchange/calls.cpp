// SPDX-License-Identifier: Apache-2.0
#include "exchange/calls.h"

#include <algorithm>

#include "base/match.h"
#include "exchange/agents.h"
#include "exchange/conference.h"
#include "exchange/leave.h"
#include "exchange/links.h"

namespace sheaf::exchange {
namespace {

constexpr std::string_view kHold = "hold";  // labels of silences, as in segment files
constexpr std::string_view kPaused = "paused";

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
    if (leg.has_ended || turn.completing == gone.leg) return;
    if (!gone.play.empty()) turn.add(StopPlay{gone.leg, gone.play});
    apply(turn, turn.state.calls.at(next.call), call::Retrieved{gone.leg, call::HoldWay::other_call});
}

void leg_gone(Turn& turn, LiveCall& live, const call::Gone& gone) {
    const auto found = turn.state.legs.find(gone.leg);
    if (found == turn.state.legs.end()) return;
    if (live.ringing == gone.leg) live.ringing.reset();
    if (serves_another(turn, gone.leg, live.call.id)) return leg_goes_on(turn, found->second, live, gone);
    if (gone.status != 0) link_answered(turn, gone.leg, gone.status, {});
    const Leg leg = std::move(found->second);
    link_ended(turn, leg);
    turn.state.legs.erase(found);
    turn.state.timers.cancel({Timer::Kind::ring, gone.leg.text()});
    turn.state.timers.cancel({Timer::Kind::pause, gone.leg.text()});
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

void translate(Turn& turn, LiveCall& live, call::Effect& effect) {
    const CallUuid& id = live.call.id;
    const RoomId room{id.text()};
    std::visit(
        Match{
            [&](call::Ring& e) {
                turn.add(RingLeg{e.leg, room, id});
            },
            [&](call::Answer& e) {
                turn.add(AnswerLeg{e.leg, room, id});
            },
            [&](call::Reject& e) {
                turn.add(RejectLeg{e.leg, e.status, e.reason, id});
            },
            [&](call::Release& e) {
                if (!serves_another(turn, e.leg, id)) turn.add(EndLeg{e.leg, e.status, e.cause});
            },
            [&](call::Join& e) {
                if (turn.state.legs.at(e.leg).call == id) turn.add(MoveLeg{e.leg, room});
            },
            [&](call::Unjoin& e) {
                if (turn.state.legs.at(e.leg).call == id) turn.add(MoveLeg{e.leg, {}});
            },
            [&](call::StartPlay& e) {
                turn.add(StartPlay{e.leg, e.play, {e.item}, e.forever});
            },
            [&](call::StopPlay& e) {
                turn.add(StopPlay{e.leg, e.play});
            },
            [&](call::StartRecording& e) {
                StartRecording start{e.leg, e.segment, id, e.connection, {}};
                if (e.on_hold) start.silences.push_back({std::string(kHold), {}});
                if (e.paused_by) start.silences.push_back({std::string(kPaused), e.paused_by->by});
                turn.add(std::move(start));
            },
            [&](call::Silence& e) {
                turn.add(
                    SilenceRecording{e.leg, e.segment, {std::string(e.is_pause ? kPaused : kHold), e.by}, e.back_ms});
            },
            [&](call::Unsilence& e) {
                turn.add(ResumeRecording{e.leg, e.segment, std::string(e.is_pause ? kPaused : kHold)});
            },
            [&](call::StopRecording& e) {
                turn.add(StopRecording{e.leg, e.segment, e.cause});
            },
            [&](call::Say& e) { turn.say(std::move(e.type), std::move(e.data)); },
            [&](call::Tell& e) {
                turn.add(CtiEvent{{{"type", e.type},
                                   {"at", to_rfc3339(turn.now.wall)},
                                   {"calluuid", id.text()},
                                   {"device", e.device},
                                   {"parties", std::move(e.parties)},
                                   {"cause", e.cause.empty() ? boost::json::value{} : boost::json::value(e.cause)}}});
            },
            [&](call::Waits& e) {
                wait_for(turn, live, e.routing_point);
                come(turn, live);
            },
            [&](call::WaitsNoMore& e) { leave_waiting(turn, live, e.routing_point); },
            [&](call::Gone& e) { leg_gone(turn, live, e); },
            [&](call::Over&) {
                if (live.adding) stop_adding(turn, live);
                live.is_over = true;
                turn.state.timers.cancel({Timer::Kind::serve, id.text()});
                turn.over.push_back(id);
            },
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
    apply(turn, *live, call::Established{event.leg});
    const LegId former = std::exchange(turn.state.legs.at(event.leg).replaces, {});
    if (!former.empty()) apply(turn, *live, call::Withdraw{former, call::Cause::transferred});
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
    turn.state.timers.cancel({Timer::Kind::ring, event.leg.text()});
    if (is_id(event.peer_call.text())) turn.state.legs.at(event.leg).peer_call = event.peer_call;
    link_answered(turn, event.leg, 200, event.peer_call);
    if (live->adding) added(turn, *live);
    apply(turn, *live, call::Answered{event.leg});
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
    apply(turn, *live, call::Refused{event.leg, cause});
    not_taken(turn, *live, cause, {event.status, {}});
}

void on(Turn& turn, const LegEnded& event) {
    LiveCall* live = call_of(turn, event.leg);
    if (!live) return;
    Leg& leg = turn.state.legs.at(event.leg);
    leg.has_ended = true;
    for (const Parked& parked : std::vector<Parked>(leg.parked))
        apply(turn, turn.state.calls.at(parked.call), call::Left{event.leg, event.cause});
    const bool rang = live->ringing == event.leg;
    const call::Cause cause = is_leaving_by(*live, event.leg) ? call::Cause::transferred : event.cause;
    apply(turn, *live, call::Left{event.leg, cause});
    if (rang) not_taken(turn, *live, event.cause, {480, {}});
}

void on(Turn& turn, const LegHeld& event) {
    if (LiveCall* live = call_of(turn, event.leg)) apply(turn, *live, call::PutOnHold{event.leg, call::HoldWay::phone});
}

void on(Turn& turn, const LegRetrieved& event) {
    if (LiveCall* live = call_of(turn, event.leg)) apply(turn, *live, call::Retrieved{event.leg, call::HoldWay::phone});
}

void on(Turn& turn, const PlayEnded& event) {
    if (LiveCall* live = call_of(turn, event.leg)) apply(turn, *live, call::PlayEnded{event.leg, event.play});
}

void on(Turn& turn, const RecordingOpened& event) {
    if (LiveCall* live = call_recording(turn, event.leg, event.segment))
        apply(turn, *live, call::RecordingOpened{event.segment, turn.now.mono});
}

void on(Turn& turn, const RecordingFailed& event) {
    LiveCall* live = call_recording(turn, event.leg, event.segment);
    if (!live) return;
    turn.log(true, "a recording has failed",
             {{"call", live->call.id.text()}, {"segment", event.segment.text()}, {"why", shown(event.why)}});
    apply(turn, *live, call::RecordingFailed{event.segment, turn.now.mono});
}

void ring_timed_out(Turn& turn, const LegId& leg) {
    LiveCall* live = call_of(turn, leg);
    if (!live || live->ringing != leg) return;
    apply(turn, *live, call::Withdraw{leg, call::Cause::no_answer});
    not_taken(turn, *live, call::Cause::no_answer, {480, "no answer"});
}

}  // namespace sheaf::exchange
