// SPDX-License-Identifier: Apache-2.0
// The engine's control side: what commands change. Allocates freely; nothing here runs per packet.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/match.h"
#include "media/engine.h"

namespace sheaf::media {
namespace {

PayloadKind kind_of(CodecKind codec) {
    return codec == CodecKind::pcmu ? PayloadKind::pcmu : PayloadKind::pcma;
}

Result<void> check_media(const LegMedia& media) {
    if (media.send_payload_type > 127) return fail(Errc::malformed, "payload type over 127");
    for (const ReceiveFormat& format : media.receive) {
        if (format.payload_type > 127) return fail(Errc::malformed, "payload type over 127");
    }
    if (media.dtmf_payload_type > 127 && media.dtmf_payload_type != 0xFF) {
        return fail(Errc::malformed, "telephone-event payload type over 127");
    }
    return {};
}

struct CommandName {
    LegId leg;
    SegmentId segment;
    std::string name;
    std::uint64_t ticket = 0;
};

CommandName name_of(const Command& command) {
    using Name = CommandName;
    return std::visit(Match{[](const AddLeg& c) { return Name{c.leg, {}, "AddLeg"}; },
                            [](const ConfigureLeg& c) { return Name{c.leg, {}, "ConfigureLeg"}; },
                            [](const RemoveLeg& c) { return Name{c.leg, {}, "RemoveLeg"}; },
                            [](const JoinRoom& c) { return Name{c.leg, {}, "JoinRoom"}; },
                            [](const LeaveRoom& c) { return Name{c.leg, {}, "LeaveRoom"}; },
                            [](const Play& c) { return Name{c.leg, {}, "Play"}; },
                            [](const StopPlay& c) { return Name{c.leg, {}, "StopPlay"}; },
                            [](const StartRecording& c) { return Name{c.leg, c.segment, "StartRecording"}; },
                            [](const StopRecording& c) { return Name{{}, c.segment, "StopRecording"}; },
                            [](const SilenceRecording& c) { return Name{{}, c.segment, "SilenceRecording", c.ticket}; },
                            [](const ResumeRecording& c) { return Name{{}, c.segment, "ResumeRecording", c.ticket}; },
                            [](const CollectDigits& c) { return Name{c.leg, {}, "CollectDigits", c.ticket}; }},
                      command);
}

}  // namespace

Engine::Engine(Settings settings, PacketSink& packets, CaptureSink& capture)
    : settings_(std::move(settings)), entropy_(settings_.seed), packets_(packets), capture_(capture) {
    ASSERT(!settings_.cname.empty() && settings_.cname.size() <= rtp::kCnameBytesMax);
    ASSERT(settings_.legs_max <= kLegsMax);
    playing_.reserve(settings_.legs_max);
    mixing_.reserve(settings_.legs_max);
    digits_.reserve(kDigitsUntoldMax);
}

Engine::~Engine() = default;

Result<void> Engine::carry_out(const Command& command, const Stamp& now) {
    Result<void> result = std::visit(
        Match{[&](const AddLeg& c) { return add(c, now); }, [&](const ConfigureLeg& c) { return configure(c, now); },
              [&](const RemoveLeg& c) { return remove(c, now); }, [&](const JoinRoom& c) { return join(c); },
              [&](const LeaveRoom& c) { return leave(c); }, [&](const Play& c) { return play(c, now); },
              [&](const StopPlay& c) { return stop_play(c); },
              [&](const StartRecording& c) { return start_recording(c, now); },
              [&](const StopRecording& c) { return stop_recording(c, now); },
              [&](const SilenceRecording& c) { return silence_recording(c, now); },
              [&](const ResumeRecording& c) { return resume_recording(c, now); },
              [&](const CollectDigits& c) { return collect(c); }},
        command);
    if (!result) tell_failure(command, result.error());
    return result;
}

void Engine::tell_failure(const Command& command, const Error& error) {
    CommandName name = name_of(command);
    if (std::holds_alternative<StartRecording>(command)) {
        notices_.emplace_back(RecordingFailed{.leg = name.leg, .segment = name.segment, .why = to_string(error)});
        return;
    }
    notices_.emplace_back(CommandFailed{.leg = std::move(name.leg),
                                        .segment = std::move(name.segment),
                                        .command = std::move(name.name),
                                        .error = error,
                                        .ticket = name.ticket});
}

std::optional<LegSlot> Engine::slot_of(const LegId& leg) const {
    const auto found = slots_.find(leg);
    return found == slots_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<LegSlot> Engine::slot_recording(const SegmentId& segment) const {
    const auto found = recordings_.find(segment);
    return found == recordings_.end() ? std::nullopt : std::optional(found->second.leg);
}

std::vector<LegId> Engine::legs() const {
    std::vector<LegId> ids;
    ids.reserve(slots_.size());
    for (const auto& [id, slot] : slots_) ids.push_back(id);
    return ids;
}

// By name, while the slots still are those of the legs that pressed.
void Engine::tell_digits() {
    for (const Untold& one : digits_) notices_.emplace_back(DigitReceived{legs_[one.leg]->id, one.digit});
    digits_.clear();
}

std::vector<Notice> Engine::take_notices() {
    tell_digits();
    return std::exchange(notices_, {});
}

Result<Leg*> Engine::find(const LegId& leg) {
    const auto found = slots_.find(leg);
    if (found == slots_.end()) return fail(Errc::not_found, "no leg " + leg.text());
    return legs_[found->second].get();
}

Result<void> Engine::add(const AddLeg& command, const Stamp& now) {
    if (slots_.contains(command.leg)) return fail(Errc::conflict, "leg " + command.leg.text() + " is there already");
    if (slots_.size() >= settings_.legs_max) return fail(Errc::exhausted, "all legs of the worker are taken");
    LegSlot slot = static_cast<LegSlot>(legs_.size());
    if (free_legs_.empty()) {
        legs_.emplace_back();
    } else {
        slot = free_legs_.back();
        free_legs_.pop_back();
    }
    auto leg = std::make_unique<Leg>();
    leg->id = command.leg;
    leg->slot = slot;
    const std::uint32_t ssrc = entropy_.number();
    leg->out = OutStream(ssrc, static_cast<std::uint16_t>(entropy_.number()), entropy_.number());
    leg->taps.reserve(kRecordingsOfLegMax);
    // Spread, so that legs that began together do not all report together (RFC 3550 §6.2).
    leg->rtcp_due = now.mono + kRtcpInterval / 2 + std::chrono::milliseconds{ssrc % 2'500};
    if (slots_.empty()) scan_due_ = now.mono + kRtcpScan;
    legs_[slot] = std::move(leg);
    slots_.emplace(command.leg, slot);
    return {};
}

Result<void> Engine::configure(const ConfigureLeg& command, const Stamp& now) {
    TRY(Leg* const leg, find(command.leg));
    const LegMedia& media = command.media;
    TRY_VOID(check_media(media));
    const auto negotiated = address_from_text(media.remote_address, media.remote_port);
    if (!negotiated) return fail(Errc::malformed, "no IP address: " + media.remote_address);
    if (!leg->room.empty() && Leg::is_active(media) && active_in(leg->room, *leg) >= kActiveLegsInRoomMax) {
        return fail(Errc::exhausted, "room " + leg->room.text() + " has all the active legs it may");
    }
    // A latched port stays while the negotiated address does; either way the phone may show another port once.
    if (!leg->is_configured || *negotiated != leg->negotiated) leg->remote = leg->negotiated = *negotiated;
    leg->may_latch = true;
    leg->remote_rtcp = *negotiated;
    leg->remote_rtcp.port = media.remote_rtcp_port;
    leg->media = media;
    leg->is_configured = true;
    leg->silent_at = now.mono + settings_.silence_max;
    leg->kinds.fill(PayloadKind::unknown);
    for (const ReceiveFormat& format : media.receive) leg->kinds[format.payload_type] = kind_of(format.codec);
    if (media.dtmf_payload_type != 0xFF) leg->kinds[media.dtmf_payload_type] = PayloadKind::telephone_event;
    if (!leg->room.empty()) connect(rooms_.at(leg->room));
    return {};
}

Result<void> Engine::remove(const RemoveLeg& command, const Stamp& now) {
    TRY(Leg* const leg, find(command.leg));
    tell_digits();
    end_play(*leg, false);
    while (!leg->taps.empty()) close_tap(*leg, leg->taps.size() - 1, now, command.cause);
    leave_room(*leg);
    if (leg->out.packets() > 0) report(*leg, now, true);
    slots_.erase(leg->id);
    free_legs_.push_back(leg->slot);
    legs_[leg->slot].reset();
    return {};
}

std::size_t Engine::active_in(const RoomId& room, const Leg& but) const {
    const auto found = rooms_.find(room);
    if (found == rooms_.end()) return 0;
    return static_cast<std::size_t>(std::ranges::count_if(
        found->second.legs, [&](LegSlot slot) { return slot != but.slot && legs_[slot]->is_active(); }));
}

Result<void> Engine::join(const JoinRoom& command) {
    TRY(Leg* const leg, find(command.leg));
    if (command.room.empty()) return fail(Errc::malformed, "a room without a name");
    if (leg->room == command.room) return {};
    if (leg->is_active() && active_in(command.room, *leg) >= kActiveLegsInRoomMax) {
        return fail(Errc::exhausted, "room " + command.room.text() + " has all the active legs it may");
    }
    const auto found = rooms_.find(command.room);
    if (found != rooms_.end() && found->second.legs.size() >= kLegsInRoomMax) {
        return fail(Errc::exhausted, "room " + command.room.text() + " is full");
    }
    leave_room(*leg);
    Room& room = rooms_[command.room];
    room.legs.push_back(leg->slot);
    leg->room = command.room;
    connect(room);
    return {};
}

Result<void> Engine::leave(const LeaveRoom& command) {
    TRY(Leg* const leg, find(command.leg));
    if (leg->room.empty()) return fail(Errc::not_found, "leg " + leg->id.text() + " is in no room");
    leave_room(*leg);
    return {};
}

void Engine::leave_room(Leg& leg) {
    if (leg.room.empty()) return;
    const RoomId id = std::exchange(leg.room, {});
    leg.peer = kNoLeg;
    const auto found = rooms_.find(id);
    ASSERT(found != rooms_.end());
    Room& room = found->second;
    if (leg.is_mixed) leave_mix(room, leg);
    std::erase(room.legs, leg.slot);
    if (!room.legs.empty()) return connect(room);
    std::erase(mixing_, &room);
    rooms_.erase(found);
}

// Says anew who hears whom in the room: two active legs each other, more the mix of the others. A mix ends by itself,
// with a frame.
void Engine::connect(Room& room) {
    std::array<LegSlot, kActiveLegsInRoomMax> active{};
    std::size_t count = 0;
    for (const LegSlot slot : room.legs) {
        if (!legs_[slot]->is_active()) continue;
        ASSERT(count < active.size());
        active[count++] = slot;
    }
    if (count > 2 && !room.is_mixing) return begin_mix(room);
    for (const LegSlot slot : room.legs) {
        Leg& leg = *legs_[slot];
        leg.peer = kNoLeg;
        if (!room.is_mixing) continue;
        if (leg.is_active() && !leg.is_mixed) enter_mix(leg);
        if (!leg.is_active() && leg.is_mixed) leave_mix(room, leg);
    }
    if (room.is_mixing || count != 2) return;
    legs_[active[0]]->peer = active[1];
    legs_[active[1]]->peer = active[0];
}

Result<void> Engine::play(const Play& command, const Stamp& now) {
    TRY(Leg* const leg, find(command.leg));
    if (command.prompts.size() > kPromptsOfPlayMax) return fail(Errc::exhausted, "too many prompts in one play");
    bool has_sample = false;
    for (const auto& prompt : command.prompts) {
        if (!prompt) return fail(Errc::malformed, "a prompt that is not there");
        has_sample = has_sample || !prompt->samples.empty();
    }
    if (!has_sample) return fail(Errc::malformed, "nothing to play");
    end_play(*leg, false);
    if (leg->is_mixed) leave_mix(rooms_.at(leg->room), *leg);  // nobody hears it meanwhile, nor it them
    leg->player.emplace(command, now.mono);
    ++leg->plays;
    playing_.push_back(leg->slot);
    return {};
}

Result<void> Engine::stop_play(const StopPlay& command) {
    TRY(Leg* const leg, find(command.leg));
    if (!leg->player || leg->player->name() != command.name) {
        return fail(Errc::not_found, "no play " + command.name + " on leg " + leg->id.text());
    }
    end_play(*leg, false);
    return {};
}

void Engine::end_play(Leg& leg, bool completed) {
    if (!leg.player) return;
    notices_.emplace_back(PlayEnded{.leg = leg.id, .name = leg.player->name(), .completed = completed});
    leg.player.reset();
    std::erase(playing_, leg.slot);
    if (!leg.room.empty() && rooms_.at(leg.room).is_mixing && leg.is_active()) enter_mix(leg);
}

Result<void> Engine::start_recording(const StartRecording& command, const Stamp& now) {
    TRY(Leg* const leg, find(command.leg));
    if (command.segment.empty()) return fail(Errc::malformed, "a segment without an id");
    if (recordings_.contains(command.segment)) {
        return fail(Errc::conflict, "segment " + command.segment.text() + " is being recorded already");
    }
    if (leg->taps.size() >= kRecordingsOfLegMax) return fail(Errc::exhausted, "too many recordings on one leg");
    if (recordings_.size() >= kSegmentsRunningMax) return fail(Errc::exhausted, "all segments of the worker are taken");
    SegmentSlot slot = fresh_segment_;
    if (fresh_segment_ < kSegmentsRunningMax) {
        ++fresh_segment_;
    } else {
        slot = free_segments_.front();
        free_segments_.pop_front();
    }
    SegmentHead head{
        .segment = command.segment, .calluuid = command.calluuid, .connection = command.connection, .opened = now};
    if (!capture_.open(slot, head)) {
        free_segments_.push_back(slot);
        return fail(Errc::exhausted, "the journal takes no more segments");
    }
    recordings_.emplace(command.segment, Recording{.leg = leg->slot, .slot = slot});
    Tap& tap = leg->taps.emplace_back(slot, head, capture_);
    for (const Silence& silence : command.silences) {
        auto silenced = tap.silence(silence, Duration::zero(), now.mono);
        if (silenced) continue;
        // The journal would not know why nothing is stored: rather no recording than one that cannot be explained.
        static_cast<void>(tap.close(now, "failed"));
        free_segments_.push_back(slot);
        recordings_.erase(command.segment);
        leg->taps.pop_back();
        return silenced;
    }
    notices_.emplace_back(RecordingOpened{.leg = leg->id, .head = std::move(head)});
    return {};
}

Result<Tap*> Engine::find_tap(const SegmentId& segment) {
    const auto found = recordings_.find(segment);
    if (found == recordings_.end()) return fail(Errc::not_found, "no segment " + segment.text());
    Leg& leg = *legs_[found->second.leg];
    const auto tap = std::ranges::find_if(leg.taps, [&](const Tap& one) { return one.head().segment == segment; });
    ASSERT(tap != leg.taps.end());
    return &*tap;
}

Result<void> Engine::stop_recording(const StopRecording& command, const Stamp& now) {
    TRY(Tap* const tap, find_tap(command.segment));
    Leg& leg = *legs_[recordings_.at(command.segment).leg];
    close_tap(leg, static_cast<std::size_t>(tap - leg.taps.data()), now, command.cause);
    return {};
}

Result<void> Engine::silence_recording(const SilenceRecording& command, const Stamp& now) {
    TRY(Tap* const tap, find_tap(command.segment));
    if (command.silence.label.empty()) return fail(Errc::malformed, "a silence without a label");
    if (command.is_over) return tap->reach_back(command.silence, command.back, now.mono, command.ticket);
    return tap->silence(command.silence, command.back, now.mono, command.ticket);
}

Result<void> Engine::resume_recording(const ResumeRecording& command, const Stamp& now) {
    TRY(Tap* const tap, find_tap(command.segment));
    TRY_VOID(tap->resume(command.label, now.mono));
    notices_.emplace_back(CommandDone{command.ticket});
    return {};
}

Result<void> Engine::collect(const CollectDigits& command) {
    TRY(Leg* const leg, find(command.leg));
    leg->collects = command.on;
    notices_.emplace_back(CommandDone{command.ticket});
    return {};
}

void Engine::close_tap(Leg& leg, std::size_t index, const Stamp& now, const std::string& cause) {
    Tap& tap = leg.taps[index];
    SegmentTail tail = tap.close(now, cause);
    SegmentHead head = tap.head();
    free_segments_.push_back(tap.slot());
    recordings_.erase(head.segment);
    leg.taps.erase(leg.taps.begin() + static_cast<std::ptrdiff_t>(index));
    notices_.emplace_back(RecordingSealed{.leg = leg.id, .head = std::move(head), .tail = std::move(tail)});
}

}  // namespace sheaf::media
