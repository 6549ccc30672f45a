// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "base/match.h"
#include "mediactl/media_control.h"

// MSML: rooms, treatments and recordings; and what the worker says of them.
namespace sheaf::mediactl {
namespace {

std::string conn(const LegId& leg) {
    return "conn:" + leg.text();
}

boost::json::object names(const SegmentId& segment, const CallUuid& calluuid, const ConnectionId& connection) {
    return {{"segment", segment.text()}, {"calluuid", calluuid.text()}, {"connection", connection.text()}};
}

}  // namespace

void MediaControl::on_msml(const Stamp&, const sip::Requested& event) {
    Done refusal;
    ++ticket_;
    ordered_ = 0;
    const auto elements = msml_from_text(event.request.body);
    if (!elements) {
        refusal = Refusal{elements.error().code == Errc::exhausted ? 503 : 400, elements.error().what};
    } else {
        for (const MsmlElement& element : *elements) {
            refusal = carry_out(element);
            if (refusal) break;
        }
    }
    const Leg* leg = of_dialog(event.dialog);
    const LegId id = leg == nullptr ? LegId() : leg->id;
    if (!refusal && ordered_ > 0) {
        waiting_[ticket_] = {.request = event.id, .leg = id, .left = ordered_, .refusal = {}};
        return;
    }
    respond(event.id, id, refusal);
}

// A leg may have been told to do something that failed, but its own INFO is always answered.
void MediaControl::respond(sip::ServerRequest request, const LegId& leg, const Done& refusal) {
    const int code = refusal ? refusal->code : 200;
    const std::string why = refusal ? refusal->why : std::string();
    if (refusal) put(Complain{"refused a command", leg.text(), std::to_string(code) + " " + why});
    put(RespondTo{request, 200, {}, std::string(kMsmlType), msml_result(code, why)});
}

void MediaControl::settle(std::uint64_t ticket, const Done& refusal) {
    const auto found = waiting_.find(ticket);
    if (found == waiting_.end()) return;  // answered already: a later element of the document was refused
    Waiting& waiting = found->second;
    if (refusal && !waiting.refusal) waiting.refusal = refusal;
    if (--waiting.left > 0) return;
    if (waiting.is_message) {
        put(RespondTo{waiting.request, waiting.refusal ? waiting.refusal->code : 200, {}, {}, {}});
    } else {
        respond(waiting.request, waiting.leg, waiting.refusal);
    }
    waiting_.erase(found);
}

// Outside of any dialog only that can be spoken of whose dialog nobody has any more.
void MediaControl::on_message(const Stamp& now, const sip::Requested& event) {
    Done refusal;
    ++ticket_;
    ordered_ = 0;
    const auto elements = msml_from_text(event.request.body);
    if (!elements) refusal = Refusal{elements.error().code == Errc::exhausted ? 503 : 400, elements.error().what};
    for (std::size_t i = 0; !refusal && i < elements->size(); ++i) {
        refusal = std::visit(
            Match{[&](const SilenceRecord& e) { return erase_ended(e); },
                  [&](const Release& e) { return release(now, e, event.source.remote.address); },
                  [](const Refused& e) -> Done { return Refusal{e.code, e.why}; },
                  [](const auto&) -> Done { return Refusal{501, "only a silence of what has ended, or a release"}; }},
            (*elements)[i]);
    }
    if (!refusal && ordered_ > 0) {
        waiting_[ticket_] = {event.id, {}, ordered_, {}, true};
        return;
    }
    if (!refusal) return put(RespondTo{event.id, 200, {}, {}, {}});
    put(Complain{"refused a message", {}, std::to_string(refusal->code) + " " + refusal->why});
    put(RespondTo{event.id, refusal->code, {}, {}, {}});
}

MediaControl::Done MediaControl::erase_ended(const SilenceRecord& silence) {
    if (recordings_.contains(silence.segment)) return Refusal{503, "it has not ended yet"};
    put(EraseEnded{silence.segment, silence.silence, silence.back, ticket_, silence.is_over});
    ++ordered_;
    return {};
}

// Nobody will say anything in their dialogs any more: as if that had been so for long enough.
MediaControl::Done MediaControl::release(const Stamp& now, const Release& former, const std::string& by) {
    for (auto& [id, leg] : legs_) {
        if (leg.owner != former.owner || leg.from != by || leg.boot == former.boot || leg.is_left) continue;
        leg.is_left = true;
        silent_at_.set(leg.dialog, now.mono);
    }
    return {};
}

MediaControl::Done MediaControl::carry_out(const MsmlElement& element) {
    return std::visit(
        Match{[&](const CreateRoom& e) { return create(e); }, [&](const DestroyRoom& e) { return destroy(e); },
              [&](const Join& e) { return join(e); }, [&](const Unjoin& e) { return unjoin(e); },
              [&](const StartDialog& e) { return start_dialog(e); }, [&](const EndDialog& e) { return end_dialog(e); },
              [&](const StartRecord& e) { return start_record(e); },
              [&](const StopRecord& e) { return stop_record(e); },
              [&](const SilenceRecord& e) { return silence_record(e); },
              [&](const ResumeRecord& e) { return resume_record(e); }, [&](const Collect& e) { return collect(e); },
              [](const Release&) -> Done { return Refusal{501, "release: only outside of a dialog"}; },
              [](const Refused& e) -> Done { return Refusal{e.code, e.why}; }},
        element);
}

MediaControl::Done MediaControl::create(const CreateRoom& e) {
    if (rooms_.size() >= settings_.legs_max && !rooms_.contains(e.room)) return Refusal{503, "too many rooms"};
    rooms_[e.room].lasts = true;
    return {};
}

MediaControl::Done MediaControl::destroy(const DestroyRoom& e) {
    const auto found = rooms_.find(e.room);
    if (found == rooms_.end()) return Refusal{404, "no such room"};
    found->second.lasts = true;  // until the last leg has left, whatever it was
    const std::set<LegId> legs = found->second.legs;
    for (const LegId& id : legs) leave(legs_.at(id));
    rooms_.erase(e.room);
    return {};
}

void MediaControl::enter(Leg& leg, const RoomId& room) {
    if (leg.room == room) return;
    leave(leg);
    rooms_[room].legs.insert(leg.id);
    leg.room = room;
    put(Order{media::JoinRoom{leg.id, room}});
}

void MediaControl::leave(Leg& leg) {
    if (leg.room.empty()) return;
    const auto found = rooms_.find(leg.room);
    if (found != rooms_.end()) {
        found->second.legs.erase(leg.id);
        if (found->second.legs.empty() && !found->second.lasts) rooms_.erase(found);
    }
    leg.room = RoomId();
    put(Order{media::LeaveRoom{leg.id}});
}

MediaControl::Done MediaControl::join(const Join& e) {
    Leg* leg = of_id(e.leg);
    if (leg == nullptr) return Refusal{404, "no such connection"};
    if (!has_place(e.room, *leg, leg->active)) return Refusal{503, "no place in the room"};
    if (rooms_.size() >= settings_.legs_max * 2 && !rooms_.contains(e.room)) return Refusal{503, "too many rooms"};
    enter(*leg, e.room);
    return {};
}

MediaControl::Done MediaControl::unjoin(const Unjoin& e) {
    Leg* leg = of_id(e.leg);
    if (leg == nullptr) return Refusal{404, "no such connection"};
    if (leg->room != e.room) return Refusal{400, "the connection is not in that room"};
    leave(*leg);
    return {};
}

MediaControl::Done MediaControl::start_dialog(const StartDialog& e) {
    Leg* leg = of_id(e.leg);
    if (leg == nullptr) return Refusal{404, "no such connection"};
    media::Play play{leg->id, e.name, {}, e.forever};
    for (const std::string& uri : e.prompts) {
        auto prompt = resources_.find_prompt(uri);
        if (!prompt) return Refusal{404, "no prompt " + uri};
        play.prompts.push_back(std::move(prompt));
    }
    put(Order{std::move(play)});
    return {};
}

MediaControl::Done MediaControl::end_dialog(const EndDialog& e) {
    if (of_id(e.leg) == nullptr) return Refusal{404, "no such connection"};
    put(Order{media::StopPlay{e.leg, e.name}});
    return {};
}

MediaControl::Done MediaControl::start_record(const StartRecord& e) {
    Leg* leg = of_id(e.leg);
    if (leg == nullptr) return Refusal{404, "no such connection"};
    if (recordings_.contains(e.segment)) return Refusal{400, "that segment is being recorded already"};
    if (resources_.knows_segment(e.segment)) return Refusal{400, "that segment has been recorded already"};
    if (leg->recordings.size() >= media::kRecordingsOfLegMax) return Refusal{503, "too many recordings of one leg"};
    leg->recordings.insert(e.segment);
    recordings_[e.segment] = {leg->id, e.calluuid, e.connection};
    put(Order{media::StartRecording{leg->id, e.segment, e.calluuid, e.connection, e.silences}});
    return {};
}

MediaControl::Done MediaControl::stop_record(const StopRecord& e) {
    if (!recordings_.contains(e.segment)) return Refusal{404, "no such recording"};
    put(Order{media::StopRecording{e.segment, e.cause}});
    return {};
}

MediaControl::Done MediaControl::silence_record(const SilenceRecord& e) {
    if (!recordings_.contains(e.segment)) return Refusal{404, "no such recording"};
    put(Order{media::SilenceRecording{e.segment, e.silence, e.back, ticket_, e.is_over}});
    ++ordered_;
    return {};
}

MediaControl::Done MediaControl::resume_record(const ResumeRecord& e) {
    if (!recordings_.contains(e.segment)) return Refusal{404, "no such recording"};
    put(Order{media::ResumeRecording{e.segment, e.label, ticket_}});
    ++ordered_;
    return {};
}

MediaControl::Done MediaControl::collect(const Collect& e) {
    if (of_id(e.leg) == nullptr) return Refusal{404, "no such connection"};
    put(Order{media::CollectDigits{e.leg, e.on, ticket_}});
    ++ordered_;
    return {};
}

std::vector<Effect> MediaControl::notice(const Stamp& now, const media::Notice& notice) {
    std::visit([&](const auto& n) { on_notice(now, n); }, notice);
    return std::exchange(effects_, {});
}

void MediaControl::on_notice(const Stamp&, const media::PlayEnded& n) {
    const Leg* leg = of_id(n.leg);
    if (leg == nullptr) return;
    put(SendInfo{leg->dialog, msml_event("msml.dialog.exit", conn(n.leg) + "/dialog:" + n.name, "play.end",
                                         n.completed ? "completed" : "terminated")});
}

void MediaControl::on_notice(const Stamp&, const media::RecordingOpened& n) {
    put(FactDraft{n.head.opened, "segment.opened", names(n.head.segment, n.head.calluuid, n.head.connection)});
    if (const Leg* leg = of_id(n.leg)) {
        put(SendInfo{leg->dialog, msml_event("sheaf.record.opened", conn(n.leg), "segment", n.head.segment.text())});
    }
}

// The fact is the sealer's, once the file is there: it knows what is in it.
void MediaControl::on_notice(const Stamp&, const media::RecordingSealed& n) {
    recordings_.erase(n.head.segment);
    Leg* leg = of_id(n.leg);
    if (leg == nullptr) return;
    leg->recordings.erase(n.head.segment);
    put(SendInfo{leg->dialog, msml_event("sheaf.record.sealed", conn(n.leg), "segment", n.head.segment.text())});
}

void MediaControl::on_notice(const Stamp& now, const media::RecordingFailed& n) {
    const auto found = recordings_.find(n.segment);
    if (found == recordings_.end()) return;
    boost::json::object data = names(n.segment, found->second.calluuid, found->second.connection);
    data["from_ms"] = nullptr;
    data["to_ms"] = nullptr;
    data["cause"] = n.why;
    recordings_.erase(found);
    put(FactDraft{now, "segment.lost", std::move(data)});
    put(Complain{"could not record", n.leg.text(), n.why});
    Leg* leg = of_id(n.leg);
    if (leg == nullptr) return;
    leg->recordings.erase(n.segment);
    put(SendInfo{leg->dialog, msml_event("sheaf.record.failed", conn(n.leg), "segment", n.segment.text())});
}

// A leg whose media could not be set up is no leg. Anything else was asked for too late (the play or the recording had
// just ended) and changes nothing.
void MediaControl::on_notice(const Stamp&, const media::CommandFailed& n) {
    if (n.ticket != 0) {
        const int code = n.error.code == Errc::not_found ? 404 : n.error.code == Errc::malformed ? 400 : 503;
        return settle(n.ticket, Refusal{code, n.error.what});
    }
    put(Complain{"the media worker refused " + n.command, n.leg.text(), n.error.what});
    const bool is_fatal = n.command == "AddLeg" || n.command == "ConfigureLeg" || n.command == "JoinRoom";
    Leg* leg = of_id(n.leg);
    if (!is_fatal || leg == nullptr) return;
    put(SendBye{leg->dialog});
    remove(*leg, "failed");
}

void MediaControl::on_notice(const Stamp&, const media::CommandDone& n) {
    settle(n.ticket, {});
}

void MediaControl::on_notice(const Stamp&, const media::DigitReceived& n) {
    const Leg* leg = of_id(n.leg);
    if (leg == nullptr) return;
    put(SendInfo{leg->dialog, msml_event("sheaf.digit", conn(n.leg), "digit", std::string(1, n.digit))});
}

void MediaControl::on_notice(const Stamp&, const media::LegSilent& n) {
    const Leg* leg = of_id(n.leg);
    if (leg == nullptr) return;
    put(SendInfo{leg->dialog, msml_event("sheaf.leg.silent", conn(n.leg), "ms", std::to_string(to_ms(n.silent)))});
}

}  // namespace sheaf::mediactl
