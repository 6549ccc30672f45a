// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "b2bua/core.h"
#include "sip/sdp.h"

// From a media server back to end to end, where nothing needs it any more. The one is offered what the other describes,
// then the other what the one has answered; until both have agreed each stands where it stood, and whoever has moved
// already goes back when it does not come to that. Only then are their legs at the media server given up.
namespace sheaf::b2bua {

namespace {

// The media server has carried nothing else between them, and lines have no other order for each.
std::string audio_alone(const std::string& text) {
    auto sdp = sip::sdp_from_text(text);
    const auto* audio = sdp ? sip::audio_of(*sdp) : nullptr;
    if (audio == nullptr) return text;
    sdp->media = std::vector<sip::MediaSection>{*audio};
    return sip::to_text(*sdp);
}

}  // namespace

void B2bua::Core::meet(Stamp now, Leg& of, const LegId& with) {
    Leg* other = leg(with);
    if (other == nullptr || of.meeting || other->meeting) return;
    of.meeting = Meeting{with, Meeting::Step::begins, {}, {}};
    other->meeting = Meeting{of.id, Meeting::Step::waits, {}, {}};
    meeting.insert(of.id);
    timers.set({of.id, LegTimer::meet}, now.mono);  // what is yet to be said in this turn goes first
}

// Whether its media could pass the media server now.
bool B2bua::Core::may_meet(const Leg& of) const {
    const auto* talking = std::get_if<Talking>(&of.peer);
    if (talking == nullptr || talking->held || !std::holds_alternative<MediaStands>(of.media)) return false;
    const bool is_used = !of.plays.empty() || !of.recordings.empty() || of.collects || !of.msml.empty() ||
                         of.msml_request != 0 || of.referral.has_value();
    return !is_used && of.nat_address.empty() && !of.room.empty() && legs_in(of.room).size() == 2;
}

bool B2bua::Core::may_meet(const Leg& of, const Leg& other) const {
    const auto family = audio_is_ipv6(of.heard);
    return may_meet(of) && may_meet(other) && of.room == other.room && family && family == audio_is_ipv6(other.heard);
}

// Those who are to meet begin when nothing is being said to their peers, and nothing to the media server about them.
void B2bua::Core::meet_when_idle(Stamp now) {
    for (const LegId& id : std::set<LegId>(meeting)) {
        Leg* of = leg(id);
        Leg* other = of != nullptr && of->meeting ? leg(of->meeting->with) : nullptr;
        if (other == nullptr || !other->meeting || of->meeting->step != Meeting::Step::begins) {
            meeting.erase(id);
        } else if (is_quiet(*of) && is_quiet(*other) && may_meet(*of, *other)) {
            meeting.erase(id);
            offer_end_to_end(now, *of, other->heard);
        }
    }
}

// Neither says nor is told anything about its media.
bool B2bua::Core::is_quiet(const Leg& of) {
    const auto* talking = std::get_if<Talking>(&of.peer);
    if (talking == nullptr || talking->connect_at_ack || talking->reinvite_waits || talking->update_waits != 0)
        return false;
    const auto& showing = of.showing;
    return !talking->offer_given && !is_changing(of) && !showing.out && !showing.waits && !showing.glare &&
           !showing.refresh;
}

void B2bua::Core::offer_end_to_end(Stamp now, Leg& of, const std::string& description) {
    of.meeting->step = Meeting::Step::offered;
    if (of.meeting->before.empty()) of.meeting->before = of.described;
    of.was_direct = true;  // from now on each description is a later version of what it has been told (RFC 3264 §8)
    of.described = as_described(of, audio_alone(description));
    of.showing.refresh = true;
    show_next(now, of);
}

// The peer has answered what the other's has described.
void B2bua::Core::met(Stamp now, Leg& of, const sip::Message& answer) {
    Meeting& own = *of.meeting;
    Leg* other = leg(own.with);
    own.has_moved = true;
    const bool is_off = own.is_off || other == nullptr || !other->meeting;
    if (is_off || !audio_is_ipv6(answer.body) || !may_meet(of, *other)) return part(now, of);
    const bool is_what_is_known = same_media(answer.body, own.answer.empty() ? of.heard : own.answer);
    own.answer = answer.body;
    own.step = Meeting::Step::agreed;
    if (other->meeting->step != Meeting::Step::agreed) {
        if (!is_quiet(*other)) return part(now, of);
        return offer_end_to_end(now, *other, answer.body);
    }
    // It answers with what it had described before, as a rule; else the other has to hear of it.
    if (!is_what_is_known && !std::exchange(other->meeting->is_told_again, true)) {
        if (!is_quiet(*other)) return part(now, of);
        return offer_end_to_end(now, *other, answer.body);
    }
    pass_media_server(now, of, *other);
}

void B2bua::Core::pass_media_server(Stamp now, Leg& of, Leg& other) {
    const RoomId room = of.room;
    for (Leg* one : {&of, &other}) {
        const auto dialog = std::get<MediaStands>(one->media).dialog;
        one->heard = one->meeting->answer;
        one->meeting.reset();
        timers.set({one->id, LegTimer::probe}, std::nullopt);
        if (dialogs.contains(dialog)) ua.release(now.mono, dialog, 480);
        forget(dialog);
        servers.leave(std::exchange(one->place, {}));
        one->media = NoMedia{};
    }
    tie(of, other, room);
    for (Leg* one : {&of, &other}) show_next(now, *one);
}

// Something needs the media server, or one of them describes itself otherwise, while they are on their way.
void B2bua::Core::keep_at_media(Stamp now, Leg& of) {
    if (!of.meeting) return;
    const Leg* other = leg(of.meeting->with);
    const bool has_begun =
        !of.meeting->before.empty() || (other != nullptr && other->meeting && !other->meeting->before.empty());
    if (has_begun) part(now, of);
}

void B2bua::Core::leave_meeting(Stamp now, Leg& of) {
    if (!of.meeting) return;
    Leg* other = leg(of.meeting->with);
    of.meeting.reset();
    if (other != nullptr && other->meeting) stay(now, *other);
}

// It does not come to that: who has moved goes back to the media server, who has been asked does so when it answers.
void B2bua::Core::part(Stamp now, Leg& of) {
    if (!of.meeting) return;
    Leg* other = leg(of.meeting->with);
    stay(now, of);
    if (other != nullptr && other->meeting) stay(now, *other);
}

void B2bua::Core::stay(Stamp now, Leg& of) {
    if (of.meeting->is_out) {
        of.meeting->is_off = true;  // it has not answered yet
        return;
    }
    const bool has_moved = of.meeting->has_moved;
    const std::string before = std::exchange(of.meeting->before, {});
    of.meeting.reset();
    const auto* media = std::get_if<MediaStands>(&of.media);
    if (before.empty() || media == nullptr || !std::holds_alternative<Talking>(of.peer)) return;
    if (has_moved) {
        of.described = as_described(of, media->sdp);
        of.heard.clear();  // whatever it answers is to be applied, and that it answers nothing to be noticed
        of.showing.refresh = true;
    } else {
        of.described = before;
    }
    show_next(now, of);
}

// The peer does not take it. GlareOver follows a 491, and the offer anew unless it is off.
void B2bua::Core::not_met(Stamp now, Leg& of, int status) {
    of.meeting->is_out = false;
    if (status == 491 && !of.meeting->is_off) return;
    part(now, of);
}

}  // namespace sheaf::b2bua
