// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "b2bua/core.h"
#include "base/match.h"

// MSML in the media server's dialog: one command at a time and in order, so that a lost datagram cannot turn a start
// and its stop around.
namespace sheaf::b2bua {

void B2bua::Core::command(Stamp now, Leg& of, MsmlCommand wanted) {
    if (of.msml.size() >= kMsmlWaitingMax) return on_command_failed(now, of, wanted, "too many commands wait");
    of.msml.push_back(std::move(wanted));
    send_next(now, of);
}

void B2bua::Core::send_next(Stamp now, Leg& of) {
    const auto* media = std::get_if<MediaStands>(&of.media);
    if (media == nullptr || of.msml.empty() || of.msml_request != 0) return;
    of.msml_request =
        ua.request(now.mono, media->dialog, "INFO", {}, std::string(kMsmlType), to_msml({of.msml.front()}, media->tag));
    requests[of.msml_request] = of.id;
}

// What ends a recording goes out before the BYE that would end it too: it says why it ended.
void B2bua::Core::flush_stops(Stamp now, Leg& of) {
    const auto* media = std::get_if<MediaStands>(&of.media);
    std::vector<MsmlCommand> stops;
    for (std::size_t i = of.msml_request == 0 ? 0 : 1; i < of.msml.size(); ++i) {
        if (std::holds_alternative<MsmlEndRecord>(of.msml[i])) stops.push_back(of.msml[i]);
    }
    if (media == nullptr || stops.empty() || !dialogs.contains(media->dialog)) return;
    static_cast<void>(
        ua.request(now.mono, media->dialog, "INFO", {}, std::string(kMsmlType), to_msml(stops, media->tag)));
}

void B2bua::Core::on_msml_result(Stamp now, Leg& of, const sip::Responded& responded) {
    if (of.msml_request != responded.id || of.msml.empty()) return;
    of.msml_request = 0;
    const MsmlCommand done = std::move(of.msml.front());
    of.msml.pop_front();
    std::string why;
    if (responded.status / 100 != 2) {
        why = "status " + std::to_string(responded.status);
    } else if (!responded.response || responded.response->body.empty()) {
        why = "no MSML result";
    } else if (const auto result = msml_result_from_text(responded.response->body); !result) {
        why = result.error().what;
    } else if (result->code != 200) {
        why = std::to_string(result->code) + " " + result->description;
    }
    const LegId id = of.id;
    if (!why.empty()) on_command_failed(now, of, done, why);
    if (Leg* still = leg(id)) send_next(now, *still);
}

void B2bua::Core::on_command_failed(Stamp now, Leg& of, const MsmlCommand& failed, const std::string& why) {
    warn("media server refuses a command", {{"leg", of.id.text()}, {"why", clean_name(why)}});
    std::visit(Match{[&](const MsmlJoin&) {
                         // It is not where the exchange believes it to be: nobody would hear what they should.
                         lose_recordings(of, why);
                         events.emplace_back(exchange::LegEnded{of.id, exchange::Cause::lost_control, {}});
                         drop(now, of.id, 503);
                     },
                     [&](const MsmlPlay& play) {
                         // A play that cannot be had has ended; the exchange goes on to the next.
                         if (of.plays.erase(play.name) == 0) return;
                         events.emplace_back(exchange::PlayEnded{of.id, play.name});
                     },
                     [&](const MsmlRecord& record) {
                         if (of.recordings.erase(record.segment) == 0) return;
                         events.emplace_back(exchange::RecordingFailed{of.id, record.segment, clean_name(why)});
                     },
                     [](const MsmlEndPlay&) {}, [](const MsmlEndRecord&) {}},
               failed);
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
                     [&](const MsmlRecordSealed& e) { of.recordings.erase(e.segment); },
                     [&](const MsmlRecordFailed& e) {
                         if (of.recordings.erase(e.segment) == 0) return;
                         events.emplace_back(exchange::RecordingFailed{of.id, e.segment, "told by the media server"});
                     }},
               *event);
}

void B2bua::Core::on_play_ended(Stamp now, Leg& of, const MsmlPlayEnded& ended) {
    const auto it = of.plays.find(ended.name);
    if (it == of.plays.end() || !ended.completed) return;
    if (!it->second.last.empty()) {
        return command(now, of, MsmlPlay{ended.name, std::exchange(it->second.last, {}), true});
    }
    of.plays.erase(it);
    events.emplace_back(exchange::PlayEnded{of.id, ended.name});
}

void B2bua::Core::move(Stamp now, Leg& of, const RoomId& room) {
    if (of.room == room || of.room.empty()) return;
    if (!servers.move(of.room, room)) {
        return on_command_failed(now, of, MsmlJoin{room}, "the room stands at another media server");
    }
    of.room = room;
    command(now, of, MsmlJoin{room});
}

void B2bua::Core::start_play(Stamp now, Leg& of, const exchange::StartPlay& order) {
    if (order.items.empty()) return;
    // The profile repeats a whole list; of a treatment only the last item is repeated: it becomes a list of its own.
    const bool in_two = order.forever && order.items.size() > 1;
    MsmlPlay first{order.play, order.items, order.forever};
    Play play;
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
    command(now, of, MsmlRecord{order.segment, order.calluuid, order.connection});
}

void B2bua::Core::stop_recording(Stamp now, Leg& of, const exchange::StopRecording& order) {
    if (of.recordings.erase(order.segment) == 0) return;
    if (withdraw_recording(of, order.segment)) return;
    command(now, of, MsmlEndRecord{order.segment, std::string(exchange::name_of(order.cause))});
}

}  // namespace sheaf::b2bua
