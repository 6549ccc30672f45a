// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "call/stepper.h"

// Notices: what is said over whatever else a leg plays. Above all, that a recording begins and runs.
//
// A recording of which somebody is to be told waits until they hear it (PlayBegan): so what they are told is in the
// file too, where it is the recorded party that hears it. Who comes later is told as they come. What cannot be played
// is said as a fact, and the recording is made or not, as its policy wants.
namespace sheaf::call {
namespace {

bool contains(const std::vector<ConnectionId>& list, const ConnectionId& id) {
    return std::ranges::find(list, id) != list.end();
}

bool can_hear(const Connection& connection) {
    if (std::holds_alternative<Queued>(connection.state)) return true;
    return std::holds_alternative<Connected>(connection.state) && !connection.holds();
}

const SegmentId* segment_of(const Connection& recorded) {
    if (const auto* wanted = std::get_if<ToRecord>(&recorded.recording)) return &wanted->segment;
    if (const auto* recording = std::get_if<Recording>(&recorded.recording)) return &recording->segment;
    return nullptr;
}

bool is_recorded_as(const Connection& recorded, const SegmentId& segment) {
    const SegmentId* own = segment_of(recorded);
    return own && *own == segment;
}

std::string joined(const std::vector<std::string>& items) {
    std::string text;
    for (const std::string& item : items) text += (text.empty() ? "" : " ") + item;
    return text;
}

}  // namespace

void Stepper::on(const Announce& event) {
    Connection* waiting = at(event.leg);
    if (!waiting || !std::holds_alternative<Queued>(waiting->state) || waiting->notice) return;
    if (waiting->treatment && waiting->treatment->at + 1 < waiting->treatment->items.size()) return;
    start_notice(*waiting, {event.item}, {}, false);
}

void Stepper::on(const ToneDue& event) {
    const Connection* recorded = at(event.leg);
    const auto* recording = recorded ? std::get_if<Recording>(&recorded->recording) : nullptr;
    if (!recording || recording->consent.tone_ms == 0) return;
    for (Connection* hearer : hearers_of(*recorded, recording->consent))
        if (!hearer->notice && contains(recording->toned, hearer->id))
            start_notice(*hearer, {std::string(kTone)}, recording->segment, true);
}

void Stepper::on(const PlayBegan& event) {
    Connection* hearer = at(event.leg);
    if (hearer && hearer->notice && hearer->notice->play == event.play) hearer->notice->has_begun = true;
}

std::vector<Connection*> Stepper::hearers_of(const Connection& recorded, const Consent& consent) {
    std::vector<Connection*> hearers;
    for (Connection& connection : call_.connections) {
        const bool is_meant =
            consent.hearers == Hearers::all || (consent.hearers == Hearers::recorded) == (connection.id == recorded.id);
        if (is_meant && can_hear(connection)) hearers.push_back(&connection);
    }
    return hearers;
}

bool Stepper::waits_for_consent(Connection& recorded, ToRecord& wanted) {
    const auto& connections = call_.connections;
    if (!wanted.consent.is_any()) return false;
    if (!wanted.asked.empty()) {
        return std::ranges::any_of(connections, [&](const Connection& c) {
            return c.notice && c.notice->segment == wanted.segment && !c.notice->has_begun;
        });
    }
    const auto comes = [](const Connection& c) { return std::holds_alternative<Answering>(c.state); };
    if (wanted.consent.hearers != Hearers::recorded && std::ranges::any_of(connections, comes)) return true;
    const std::vector<Connection*> hearers = hearers_of(recorded, wanted.consent);
    if (std::ranges::any_of(hearers, [](const Connection* hearer) { return hearer->notice.has_value(); })) return true;
    const bool is_tone = wanted.consent.announcement.empty();
    for (Connection* hearer : hearers) {
        wanted.asked.push_back(hearer->id);
        start_notice(*hearer, is_tone ? std::vector{std::string(kTone)} : wanted.consent.announcement, wanted.segment,
                     is_tone);
    }
    return !hearers.empty();
}

// Whoever has heard all of it from the former's is not told again.
void Stepper::take_over_consent(const Connection& former, Connection& recorded) {
    auto* wanted = std::get_if<ToRecord>(&recorded.recording);
    const auto* recording = std::get_if<Recording>(&former.recording);
    if (!wanted || !recording || wanted->consent.announcement != recording->consent.announcement) return;
    for (const Connection& hearer : call_.connections) {
        const bool hears_it_now = hearer.notice && hearer.notice->segment == recording->segment;
        if (contains(recording->told, hearer.id) && !hears_it_now) wanted->asked.push_back(hearer.id);
    }
}

void Stepper::start_notice(Connection& hearer, std::vector<std::string> items, const SegmentId& segment, bool is_tone) {
    interrupt_treatment(hearer, true);
    hearer.notice = Notice{new_play(), std::move(items), segment, is_tone, false};
    effects_.push_back(StartNotice{hearer.leg, hearer.notice->play, hearer.notice->items});
    if (segment.empty())
        say("treatment.started", {{"connection", hearer.id.text()}, {"treatment", hearer.notice->items.front()}});
}

// Before its end: whoever has not heard all of an announcement is told again when they can hear.
void Stepper::stop_notice(Connection& hearer, bool leg_lives) {
    if (!hearer.notice) return;
    const Notice notice = *std::exchange(hearer.notice, std::nullopt);
    if (leg_lives) effects_.push_back(StopPlay{hearer.leg, notice.play});
    if (notice.segment.empty()) {
        say("treatment.ended", {{"connection", hearer.id.text()}, {"treatment", notice.items.front()}});
        return;
    }
    for (Connection& recorded : call_.connections) {
        if (!is_recorded_as(recorded, notice.segment)) continue;
        if (auto* wanted = std::get_if<ToRecord>(&recorded.recording)) std::erase(wanted->asked, hearer.id);
        if (auto* recording = std::get_if<Recording>(&recorded.recording); recording && !notice.is_tone)
            std::erase(recording->told, hearer.id);
    }
}

void Stepper::notice_ended(Connection& hearer, bool failed) {
    const Notice notice = *std::exchange(hearer.notice, std::nullopt);
    if (notice.segment.empty()) {
        boost::json::object data{{"connection", hearer.id.text()}, {"treatment", notice.items.front()}};
        if (failed) data["failed"] = true;
        say("treatment.ended", std::move(data));
    } else if (failed) {
        consent_failed(hearer, notice);
    } else if (!notice.is_tone) {
        for (const Connection& recorded : call_.connections)
            if (is_recorded_as(recorded, notice.segment))
                say_consent("consent.announced", hearer.id, recorded, {{"announcement", joined(notice.items)}});
    }
    play_next(hearer);
}

void Stepper::consent_failed(const Connection& hearer, const Notice& notice) {
    const auto recorded =
        std::ranges::find_if(call_.connections, [&](const Connection& c) { return is_recorded_as(c, notice.segment); });
    if (recorded == call_.connections.end()) return;
    auto* wanted = std::get_if<ToRecord>(&recorded->recording);
    auto* recording = std::get_if<Recording>(&recorded->recording);
    Consent& consent = wanted ? wanted->consent : recording->consent;
    if (notice.is_tone) consent.tone_ms = 0;
    say_consent("consent.failed", hearer.id, *recorded,
                {{"announcement", joined(notice.items)}, {"recorded", !consent.required}});
    if (!consent.required) return;
    if (recording) return stop_recording(*recorded, Cause::failed);
    end_consent(*recorded);
    recorded->recording = NotRecorded{};
}

// Its recording is over, or will not be.
void Stepper::end_consent(const Connection& recorded) {
    const SegmentId* segment = segment_of(recorded);
    if (!segment) return;
    for (Connection& hearer : call_.connections) {
        if (!hearer.notice || hearer.notice->segment != *segment) continue;
        effects_.push_back(StopPlay{hearer.leg, hearer.notice->play});
        hearer.notice.reset();
        play_next(hearer);
    }
    const auto* recording = std::get_if<Recording>(&recorded.recording);
    if (!recording || recording->toned.empty()) return;
    for (const ConnectionId& hearer : recording->toned) say_consent("tone.stopped", hearer, recorded);
    effects_.push_back(ToneRuns{recorded.leg, 0});
}

// It leaves the call, its leg with it or not.
void Stepper::leave_hearers(const Connection& hearer) {
    stop_notice(*at(hearer.leg), false);
    for (Connection& recorded : call_.connections) {
        auto* recording = std::get_if<Recording>(&recorded.recording);
        if (!recording || std::erase(recording->toned, hearer.id) == 0) continue;
        say_consent("tone.stopped", hearer.id, recorded);
        if (recording->toned.empty()) effects_.push_back(ToneRuns{recorded.leg, 0});
    }
}

void Stepper::stop_notices_unheard() {
    for (Connection& hearer : call_.connections)
        if (hearer.notice && !can_hear(hearer)) stop_notice(hearer, true);
}

void Stepper::begin_notices() {
    for (Connection& recorded : call_.connections) {
        auto* recording = std::get_if<Recording>(&recorded.recording);
        if (!recording || (!recording->consent.is_any() && recording->toned.empty())) continue;
        const std::vector<Connection*> hearers = hearers_of(recorded, recording->consent);
        for (Connection* hearer : hearers) {
            if (hearer->notice || recording->consent.announcement.empty() || contains(recording->told, hearer->id))
                continue;
            recording->told.push_back(hearer->id);
            start_notice(*hearer, recording->consent.announcement, recording->segment, false);
        }
        settle_tone(recorded, *recording, hearers);
    }
}

// The first tone makes somebody one of those who are sent it; they are until they cannot hear it, or nothing is stored.
void Stepper::settle_tone(const Connection& recorded, Recording& recording, const std::vector<Connection*>& hearers) {
    const bool runs = recording.consent.tone_ms > 0 && !recording.paused && !recording.on_hold;
    const bool ran = !recording.toned.empty();
    const std::vector<ConnectionId> toned = recording.toned;
    for (const ConnectionId& id : toned) {
        const bool hears = runs && std::ranges::any_of(hearers, [&](const Connection* c) { return c->id == id; });
        if (hears) continue;
        std::erase(recording.toned, id);
        say_consent("tone.stopped", id, recorded);
    }
    for (Connection* hearer : hearers) {
        if (!runs || contains(recording.toned, hearer->id)) continue;
        if (!hearer->notice) start_notice(*hearer, {std::string(kTone)}, recording.segment, true);
        const Notice& notice = *hearer->notice;
        if (!notice.is_tone || notice.segment != recording.segment || !notice.has_begun) continue;
        recording.toned.push_back(hearer->id);
        say_consent("tone.started", hearer->id, recorded, {{"every_ms", recording.consent.tone_ms}});
    }
    if (ran != !recording.toned.empty())
        effects_.push_back(ToneRuns{recorded.leg, ran ? 0 : recording.consent.tone_ms});
}

void Stepper::say_consent(std::string type, const ConnectionId& hearer, const Connection& recorded,
                          boost::json::object data) {
    data["connection"] = hearer.text();
    data["of"] = recorded.id.text();
    say(std::move(type), std::move(data));
}

}  // namespace sheaf::call
