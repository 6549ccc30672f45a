// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "base/planted.h"
#include "call/stepper.h"

// What is stored of whom.
namespace sheaf::call {
namespace {

constexpr std::int64_t kSegmentMaxMs = 86'400'000;  // where a loss has no known end: later than any segment's

}  // namespace

void Stepper::on(const Record& event) {
    Connection* connection = at(event.leg);
    if (!connection || !std::holds_alternative<NotRecorded>(connection->recording)) return;
    connection->recording = event.record;
}

void Stepper::on(const StopRecord& event) {
    Connection* connection = at(event.leg);
    if (!connection) return;
    if (std::holds_alternative<ToRecord>(connection->recording)) end_consent(*connection);
    stop_recording(*connection, Cause::normal);
    connection->recording = NotRecorded{true};
}

void Stepper::on(const PauseRecording& event) {
    if (call_.pause) return;
    call_.pause = event.pause;
    boost::json::object paused{{"by", event.pause.by}, {"pause", event.pause.id}};
    if (!event.asker.empty()) paused["connection"] = event.asker.text();
    say(event.is_told ? "pause.told" : "recording.paused", std::move(paused));
    for (Connection& connection : call_.connections) {
        auto* recording = std::get_if<Recording>(&connection.recording);
        if (!recording || std::exchange(recording->paused, true)) continue;
        effects_.push_back(Silence{connection.leg, recording->segment, true, event.pause.by, event.back_ms});
        tell("recording-paused", connection.party);
    }
}

void Stepper::on(const ResumeRecording& event) {
    if (!call_.pause) return;
    const Pause pause = *std::exchange(call_.pause, std::nullopt);
    boost::json::object resumed{{"by", event.by}, {"pause", pause.id}};
    if (!event.asker.empty()) resumed["connection"] = event.asker.text();
    say(event.is_told ? "pause.told-over" : "recording.resumed", std::move(resumed));
    for (const Connection& connection : call_.connections)
        if (std::holds_alternative<Recording>(connection.recording)) tell("recording-resumed", connection.party);
}

void Stepper::on(const RecordingOpened& event) {
    for (Connection& connection : call_.connections)
        if (auto* recording = std::get_if<Recording>(&connection.recording);
            recording && recording->segment == event.segment && !recording->opened)
            recording->opened = event.at;
}

void Stepper::on(const RecordingFailed& event) {
    for (Connection& connection : call_.connections) {
        const auto* recording = std::get_if<Recording>(&connection.recording);
        if (!recording || recording->segment != event.segment) continue;
        say_lost(connection, *recording, event.at);
        tell("recording-stopped", connection.party, name_of(Cause::failed));
        end_consent(connection);
        connection.recording = NotRecorded{};
    }
}

void Stepper::start_recordings() {
    for (Connection& connection : call_.connections) {
        auto* wanted = std::get_if<ToRecord>(&connection.recording);
        if (!wanted) continue;
        // Who waits is recorded since they came, unless they had to be told first.
        const bool waits = std::holds_alternative<Queued>(connection.state) && wanted->consent.is_any();
        if (!is_talking(connection) && !waits) continue;
        const bool has_company = std::ranges::any_of(
            call_.connections, [&](const Connection& other) { return other.id != connection.id && is_talking(other); });
        if (!has_company && wanted->with_company) continue;
        if (!waits_for_consent(connection, *wanted)) start_recording(connection, ToRecord{*wanted});
    }
}

void Stepper::start_recording(Connection& connection, const ToRecord& record) {
    say("segment.expected",
        {{"segment", record.segment.text()}, {"connection", connection.id.text()}, {"rule", record.rule}});
    const bool on_hold = is_stored_nothing(connection);
    effects_.push_back(StartRecording{connection.leg, record.segment, connection.id, on_hold, call_.pause});
    const bool is_announced = !record.consent.announcement.empty();
    connection.recording = Recording{record.segment,
                                     call_.id,
                                     record.rule,
                                     std::nullopt,
                                     on_hold,
                                     call_.pause.has_value(),
                                     record.consent,
                                     is_announced ? record.asked : std::vector<ConnectionId>{},
                                     {}};
    tell("recording-started", connection.party);
}

// On hold nothing is stored, unless the site wants so; another call's audio on the same leg never is.
bool Stepper::is_stored_nothing(const Connection& connection) const {
    return hears_nobody(connection) && (!call_.record_hold || connection.is_away);
}

void Stepper::silence_recordings() {
    for (Connection& connection : call_.connections) {
        auto* recording = std::get_if<Recording>(&connection.recording);
        if (!recording) continue;
        if (call_.pause && !std::exchange(recording->paused, true))
            effects_.push_back(Silence{connection.leg, recording->segment, true, call_.pause->by, 0});
        if (is_stored_nothing(connection) && !std::exchange(recording->on_hold, true))
            effects_.push_back(Silence{connection.leg, recording->segment, false, {}, 0});
    }
}

void Stepper::resume_recordings() {
    for (Connection& connection : call_.connections) {
        auto* recording = std::get_if<Recording>(&connection.recording);
        if (!recording) continue;
        if (!is_stored_nothing(connection) && std::exchange(recording->on_hold, false))
            effects_.push_back(Unsilence{connection.leg, recording->segment, false});
        if (!call_.pause && std::exchange(recording->paused, false))
            effects_.push_back(Unsilence{connection.leg, recording->segment, true});
    }
}

// As far as is known here. What the media server has of it after all is worth more to the archive than this.
void Stepper::say_lost(const Connection& connection, const Recording& recording, Instant now) {
    boost::json::value from_ms, to_ms;
    if (recording.opened) {
        from_ms = sheaf::to_ms(now - *recording.opened);
        to_ms = kSegmentMaxMs;
    }
    effects_.push_back(Say{"segment.lost",
                           {{"segment", recording.segment.text()},
                            {"connection", connection.id.text()},
                            {"from_ms", from_ms},
                            {"to_ms", to_ms},
                            {"cause", name_of(Cause::failed)},
                            {"calluuid", recording.calluuid.text()}}});
}

void Stepper::stop_recording(Connection& connection, Cause cause) {
    const auto* recording = std::get_if<Recording>(&connection.recording);
    if (!recording) return;
    end_consent(connection);
    if (!is_planted("recording_not_stopped") || cause != Cause::normal)
        effects_.push_back(StopRecording{connection.leg, recording->segment, cause});
    connection.recording = NotRecorded{};
    tell("recording-stopped", connection.party, name_of(cause));
}

}  // namespace sheaf::call
