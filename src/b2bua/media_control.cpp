// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "b2bua/core.h"
#include "base/match.h"

// MSML in the media server's dialog: one command at a time and in order, so that a lost datagram cannot turn a start
// and its stop around.
namespace sheaf::b2bua {
namespace {

// Why a command was not carried out; empty: it was.
std::string refusal_in(const sip::Responded& responded, bool& is_full) {
    if (responded.status / 100 != 2) return "status " + std::to_string(responded.status);
    if (!responded.response || responded.response->body.empty()) return "no MSML result";
    const auto result = msml_result_from_text(responded.response->body);
    if (!result) return result.error().what;
    if (result->code == 200) return {};
    is_full = result->code == 503;
    return std::to_string(result->code) + " " + result->description;
}

}  // namespace

void B2bua::Core::command(Stamp now, Leg& of, MsmlCommand wanted) {
    // A stop is never left out: there is one a recording.
    const bool is_stop = std::holds_alternative<MsmlEndRecord>(wanted);
    keep_at_media(now, of);
    if (lacks_media(of)) {
        const LegId id = of.id;
        const bool is_coming = anchor(now, of);
        Leg* still = leg(id);
        if (still == nullptr) return;
        if (!is_coming) return on_command_failed(now, *still, wanted, "no media server");
    }
    if (of.msml.size() >= kMsmlWaitingMax && !is_stop)
        return on_command_failed(now, of, wanted, "too many commands wait");
    of.msml.push_back(std::move(wanted));
    send_next(now, of);
}

void B2bua::Core::send_next(Stamp now, Leg& of) {
    const auto* media = std::get_if<MediaStands>(&of.media);
    if (media == nullptr || of.msml.empty() || of.msml_request != 0 || of.msml_waits) return;
    of.msml_sent = now.mono;
    of.msml_request = ua.request(now.mono, media->dialog, "INFO", {}, std::string(kMsmlType),
                                 to_msml({of.msml.front()}, media->tag, now.mono));
    requests[of.msml_request] = of.id;
}

// Before the BYE that ends every recording goes out why they end: each in a document of its own, so that one that is
// refused takes no other with it. What must be erased of them is said outside of the dialog, until it is done.
void B2bua::Core::flush_recordings(Stamp now, Leg& of) {
    const auto* media = std::get_if<MediaStands>(&of.media);
    if (media == nullptr || !dialogs.contains(media->dialog)) return;
    for (std::size_t i = of.msml_request == 0 ? 0 : 1; i < of.msml.size(); ++i) {
        const auto& waiting = of.msml[i];
        if (!std::holds_alternative<MsmlEndRecord>(waiting)) continue;
        static_cast<void>(ua.request(now.mono, media->dialog, "INFO", {}, std::string(kMsmlType),
                                     to_msml({waiting}, media->tag, now.mono)));
    }
}

// The leg goes, and whether its last recording has begun is not known yet.
void B2bua::Core::leave_start(Leg& of) {
    if (of.msml_request == 0) return;
    const auto* record = std::get_if<MsmlRecord>(&of.msml.front());
    if (record != nullptr) starting[of.msml_request] = {of.id, record->segment};
}

void B2bua::Core::on_started(const sip::Responded& responded) {
    const auto found = starting.find(responded.id);
    if (found == starting.end()) return;
    bool is_full = false;
    const std::string why = refusal_in(responded, is_full);
    // Begun, it was ended by the BYE; the media server says what it holds.
    if (!why.empty()) {
        events.emplace_back(exchange::RecordingFailed{found->second.leg, found->second.segment, clean_name(why)});
    }
    starting.erase(found);
}

void B2bua::Core::on_msml_result(Stamp now, Leg& of, const sip::Responded& responded) {
    if (of.msml.empty()) return;
    of.msml_request = 0;
    MsmlCommand done = std::move(of.msml.front());
    of.msml.erase(of.msml.begin());
    bool is_full = false;
    const std::string why = refusal_in(responded, is_full);
    if (is_full && says_again(now, of, done)) return;
    const LegId id = of.id;
    if (why.empty()) {
        on_command_done(now, of, std::move(done));
    } else {
        on_command_failed(now, of, done, why);
    }
    if (Leg* still = leg(id)) send_next(now, *still);
}

// The journal's buffer is full: nothing is stored any more, but the erasure or the resumption is still owed. It stays
// first in the queue, so that a silence and its end cannot change places.
bool B2bua::Core::says_again(Stamp now, Leg& of, MsmlCommand& command) {
    auto* silence = std::get_if<MsmlSilence>(&command);
    auto* resume = std::get_if<MsmlResume>(&command);
    int* tries = silence != nullptr ? &silence->tries : resume != nullptr ? &resume->tries : nullptr;
    if (tries == nullptr || ++*tries >= kSilenceTriesMax) return false;
    of.msml.insert(of.msml.begin(), std::move(command));
    of.msml_waits = true;
    timers.set({of.id, LegTimer::msml_again}, now.mono + kSilenceAgain);
    return true;
}

void B2bua::Core::on_command_done(Stamp now, Leg& of, MsmlCommand done) {
    if (const auto* record = std::get_if<MsmlRecord>(&done)) {
        if (!of.recordings.contains(record->segment)) return;
        for (const auto& silence : record->silences) {
            events.emplace_back(exchange::RecordingSilenced{of.id, record->segment, silence.label});
        }
    }
    if (const auto* begun = std::get_if<MsmlPlay>(&done)) {
        const auto play = of.plays.find(begun->name);
        if (play != of.plays.end() && std::exchange(play->second.tell, false)) {
            events.emplace_back(exchange::PlayBegan{of.id, begun->name});
        }
    }
    auto* silence = std::get_if<MsmlSilence>(&done);
    if (silence == nullptr) return;
    // What came between the order and its effect, on a way slower than was reckoned with, is erased by saying it again.
    const Duration took = now.mono - of.msml_sent;
    if (silence->erases() && took > silence->margin && !std::exchange(silence->is_late, true)) {
        silence->margin = took;
        of.msml.insert(of.msml.begin(), std::move(done));
        return;
    }
    events.emplace_back(exchange::RecordingSilenced{of.id, silence->segment, silence->silence.label});
}

void B2bua::Core::on_command_failed(Stamp now, Leg& of, const MsmlCommand& failed, const std::string& why) {
    warn("media server refuses a command", {{"leg", of.id.text()}, {"why", clean_name(why)}});
    std::visit(
        Match{[&](const MsmlJoin&) { misplaced(now, of, why); }, [&](const MsmlUnjoin&) { misplaced(now, of, why); },
              [&](const MsmlPlay& play) {
                  // A play that cannot be had has ended; the exchange goes on to the next.
                  if (of.plays.erase(play.name) == 0) return;
                  events.emplace_back(exchange::PlayEnded{of.id, play.name, true});
              },
              [&](const MsmlRecord& record) {
                  of.recordings.erase(record.segment);  // stopped since, it never began
                  events.emplace_back(exchange::RecordingFailed{of.id, record.segment, clean_name(why)});
              },
              [&](const MsmlSilence& silence) {
                  give_up_recording(now, of, silence.segment, why);
                  erase_ended(now, of.id, silence);
              },
              [&](const MsmlResume& resume) { give_up_recording(now, of, resume.segment, why); },
              [](const MsmlEndPlay&) {}, [](const MsmlEndRecord&) {}, [](const MsmlCollect&) {}},
        failed);
}

// It is not where the exchange believes it to be: nobody would hear what they should.
void B2bua::Core::misplaced(Stamp now, Leg& of, const std::string& why) {
    lose_recordings(now, of, why);
    events.emplace_back(exchange::LegEnded{of.id, exchange::Cause::lost_control, {}});
    drop(now, of.id, 503);
}

// It would store what must not be kept, or keep silent for ever: neither is left running.
void B2bua::Core::give_up_recording(Stamp now, Leg& of, const SegmentId& segment, const std::string& why) {
    if (of.recordings.erase(segment) == 0) return;
    recording_ended(now, of, segment);
    events.emplace_back(exchange::RecordingFailed{of.id, segment, clean_name(why)});
    std::erase_if(of.msml, [&, first = of.msml_request != 0](const MsmlCommand& waiting) mutable {
        if (std::exchange(first, false)) return false;
        const auto* start = std::get_if<MsmlRecord>(&waiting);
        return start != nullptr && start->segment == segment;
    });
    command(now, of, MsmlEndRecord{segment, std::string(exchange::name_of(exchange::Cause::failed))});
}

void B2bua::Core::on_media_info(Stamp now, Leg& of, const sip::Requested& requested) {
    const auto event = msml_event_from_text(requested.request.body);
    if (!event) {
        warn("unknown event from a media server", {{"leg", of.id.text()}, {"why", event.error().what}});
        return ua.respond(now.mono, requested.id, 400);
    }
    ua.respond(now.mono, requested.id, 200);
    std::visit(Match{[&](const MsmlPlayEnded& e) { on_play_ended(now, of, e); },
                     [&](const MsmlRecordOpened& e) {
                         if (of.recordings.contains(e.segment)) {
                             events.emplace_back(exchange::RecordingOpened{of.id, e.segment});
                         }
                     },
                     [&](const MsmlRecordSealed& e) {
                         if (of.recordings.erase(e.segment) != 0) recording_ended(now, of, e.segment);
                     },
                     [&](const MsmlRecordFailed& e) {
                         if (of.recordings.erase(e.segment) == 0) return;
                         events.emplace_back(exchange::RecordingFailed{of.id, e.segment, "told by the media server"});
                     },
                     [&](const MsmlDigit& e) {
                         if (of.collects) events.emplace_back(exchange::LegDigit{of.id, e.digit});
                     },
                     [&](const MsmlLegSilent& e) { on_media_timeout(now, of, e); }},
               *event);
}

// Whoever is there says something, if only RTCP's reports. A peer that holds us need not, and one whose description is
// just being applied has been given no time yet.
void B2bua::Core::on_media_timeout(Stamp now, Leg& of, const MsmlLegSilent& silent) {
    const auto* talking = std::get_if<Talking>(&of.peer);
    const auto* media = std::get_if<MediaStands>(&of.media);
    if (talking == nullptr || talking->held || media == nullptr || media->applying) return;
    if (of.meeting && of.meeting->has_moved) return;  // it speaks elsewhere by now
    warn("ended a leg whose peer sends no media",
         {{"leg", of.id.text()}, {"device", of.device.name}, {"silent_ms", std::to_string(silent.for_ms)}});
    of.why_ended = exchange::Cause::media_timeout;
    events.emplace_back(exchange::LegEnded{of.id, of.why_ended, {}});
    drop(now, of.id, 408);
}

void B2bua::Core::on_play_ended(Stamp now, Leg& of, const MsmlPlayEnded& ended) {
    const auto it = of.plays.find(ended.name);
    if (it == of.plays.end() || !ended.completed) return;
    // The answer to the order is on its way again; that it has been played says as much.
    if (std::exchange(it->second.tell, false)) events.emplace_back(exchange::PlayBegan{of.id, ended.name});
    if (!it->second.last.empty()) {
        return command(now, of, MsmlPlay{ended.name, std::exchange(it->second.last, {}), true});
    }
    of.plays.erase(it);
    events.emplace_back(exchange::PlayEnded{of.id, ended.name});
}

void B2bua::Core::move(Stamp now, Leg& of, const RoomId& room) {
    if (of.room == room) return;
    if (lacks_media(of)) {
        const LegId id = of.id;
        const bool is_coming = anchor(now, of);
        Leg* still = leg(id);
        if (still == nullptr) return;
        if (!is_coming) return misplaced(now, *still, "no media server");
    }
    anchor_room(now, room);
    const auto* asked = std::get_if<MediaAsked>(&of.media);
    const auto* stands = std::get_if<MediaStands>(&of.media);
    if (asked == nullptr && stands == nullptr) return enter(of, room);  // it rings; there it will be asked for
    // Who is out of every room comes back to the last one, unless another takes its place: its server is kept till
    // then.
    if (!room.empty() && room != of.place) {
        if (!servers.join(room, asked != nullptr ? asked->server : stands->server)) {
            return on_command_failed(now, of, MsmlJoin{room}, "the room stands at another media server");
        }
        servers.leave(std::exchange(of.place, room));
    }
    const RoomId left = of.room;
    enter(of, room);
    if (room.empty()) return command(now, of, MsmlUnjoin{left});
    command(now, of, MsmlJoin{room});
}

void B2bua::Core::start_play(Stamp now, Leg& of, const exchange::StartPlay& order) {
    if (order.items.empty()) return;
    // The profile repeats a whole list; of a treatment only the last item is repeated: it becomes a list of its own.
    const bool in_two = order.forever && order.items.size() > 1;
    MsmlPlay first{order.play, order.items, order.forever};
    Play play;
    play.tell = order.tell;
    if (in_two) {
        play.last = {order.items.back()};
        first.items.pop_back();
        first.forever = false;
    }
    of.plays[order.play] = std::move(play);
    command(now, of, std::move(first));
}

void B2bua::Core::stop_play(Stamp now, Leg& of, const exchange::StopPlay& order) {
    if (of.plays.erase(order.play) != 0) command(now, of, MsmlEndPlay{order.play});
}

// A start that has not gone out needs no stop; its segment will never be there, which the exchange is told.
bool B2bua::Core::withdraw_recording(Leg& of, const SegmentId& segment) {
    for (std::size_t i = of.msml_request == 0 ? 0 : 1; i < of.msml.size(); ++i) {
        const auto* record = std::get_if<MsmlRecord>(&of.msml[i]);
        if (record == nullptr || record->segment != segment) continue;
        of.msml.erase(of.msml.begin() + static_cast<std::ptrdiff_t>(i));
        events.emplace_back(exchange::RecordingFailed{of.id, segment, "ended before it began"});
        return true;
    }
    return false;
}

void B2bua::Core::start_recording(Stamp now, Leg& of, const exchange::StartRecording& order) {
    of.recordings.insert(order.segment);
    command(now, of, MsmlRecord{order.segment, order.calluuid, order.connection, order.silences});
}

void B2bua::Core::silence(Stamp now, Leg& of, const exchange::SilenceRecording& order) {
    command(now, of, MsmlSilence{order.segment, order.silence, order.back_ms, now.mono, order.is_over});
}

void B2bua::Core::resume(Stamp now, Leg& of, const exchange::ResumeRecording& order) {
    if (!of.recordings.contains(order.segment)) return;
    command(now, of, MsmlResume{order.segment, order.label});
}

void B2bua::Core::collect(Stamp now, Leg& of, bool on) {
    if (std::exchange(of.collects, on) != on) command(now, of, MsmlCollect{on});
}

void B2bua::Core::stop_recording(Stamp now, Leg& of, const exchange::StopRecording& order) {
    if (of.recordings.erase(order.segment) == 0) return;
    if (withdraw_recording(of, order.segment)) return;
    recording_ended(now, of, order.segment);
    command(now, of, MsmlEndRecord{order.segment, std::string(exchange::name_of(order.cause))});
}

}  // namespace sheaf::b2bua
