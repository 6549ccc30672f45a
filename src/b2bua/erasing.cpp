// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "b2bua/core.h"

// What must not be kept of recordings that have ended: a pause that came late, or whose silence had no answer when its
// leg ended. The leg's dialog is gone, so it is said to the media server in a MESSAGE, until that has done it.
namespace sheaf::b2bua {

// From now on nothing of it can be said in the leg's dialog.
void B2bua::Core::recording_ended(Stamp now, const Leg& of, const SegmentId& segment) {
    const auto* stands = std::get_if<MediaStands>(&of.media);
    if (stands == nullptr) return;
    while (!ended_order.empty() &&
           (ended_order.size() >= kEndedKept || ended_order.front().second + kEndedKeptFor < now.mono)) {
        ended_segments.erase(ended_order.front().first);
        ended_order.pop_front();
    }
    if (ended_segments.insert_or_assign(segment, stands->server).second) ended_order.emplace_back(segment, now.mono);
}

void B2bua::Core::erase_ended(Stamp now, const LegId& leg, MsmlSilence silence) {
    if (!silence.erases()) return;
    const auto server = ended_segments.find(silence.segment);
    if (server == ended_segments.end()) {  // it never began
        events.emplace_back(exchange::RecordingSilenced{leg, silence.segment, silence.silence.label});
        return;
    }
    const auto [at, fresh] = erasing.try_emplace(silence.segment);
    Erasing& one = at->second;
    const auto moment = [](const MsmlSilence& s) { return s.since - std::chrono::milliseconds{s.back_ms}; };
    const bool is_over = silence.is_over && (fresh || one.silence.is_over);
    if (fresh || moment(silence) < moment(one.silence)) one.silence = std::move(silence);
    one.silence.is_over = is_over;
    one.leg = leg;
    one.server = server->second;
    one.until = now.mono + kEndedKeptFor;
    one.wait = kEraseAgain;
    if (one.request == 0) send_erasure(now, one);  // else once that is answered, if it reaches further back
}

void B2bua::Core::send_erasure(Stamp now, Erasing& one) {
    auto request = outside("MESSAGE", *settings.media[one.server]);
    request.content_type = kMsmlType;
    request.body = to_msml({one.silence}, {}, now.mono);
    one.said = one.silence.since - std::chrono::milliseconds{one.silence.back_ms};
    one.request = ua.request_outside(now.mono, request);
    erase_requests[one.request] = one.silence.segment;
}

void B2bua::Core::on_erased(Stamp now, const sip::Responded& responded) {
    const auto request = erase_requests.find(responded.id);
    if (request == erase_requests.end()) return;
    const SegmentId segment = request->second;
    erase_requests.erase(request);
    const auto at = erasing.find(segment);
    if (at == erasing.end()) return;
    Erasing& one = at->second;
    one.request = 0;
    const bool is_done = responded.status / 100 == 2 || responded.status == 404;  // 404: it has never stored any of it
    if (is_done && one.said <= one.silence.since - std::chrono::milliseconds{one.silence.back_ms}) {
        events.emplace_back(exchange::RecordingSilenced{one.leg, segment, one.silence.silence.label});
        erasing.erase(at);
        return;
    }
    if (is_done) return send_erasure(now, one);
    if (now.mono >= one.until) {
        warn("a media server has not erased what a pause came too late for",
             {{"segment", segment.text()}, {"status", std::to_string(responded.status)}});
        erasing.erase(at);
        return;
    }
    timers.set({LegId(segment.text()), LegTimer::erase_again}, now.mono + one.wait);
    one.wait = std::min(one.wait * 2, kEraseAgainMax);
}

void B2bua::Core::erase_again(Stamp now, const SegmentId& segment) {
    const auto at = erasing.find(segment);
    if (at != erasing.end() && at->second.request == 0) send_erasure(now, at->second);
}

// The leg goes with silences that nobody has answered: they are said again outside of its dialog.
void B2bua::Core::leave_silences(Stamp now, Leg& of) {
    for (const SegmentId& segment : of.recordings) recording_ended(now, of, segment);
    for (MsmlCommand& waiting : of.msml) {
        if (auto* silence = std::get_if<MsmlSilence>(&waiting)) erase_ended(now, of.id, *silence);
    }
}

}  // namespace sheaf::b2bua
