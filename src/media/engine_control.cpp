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
};

CommandName name_of(const Command& command) {
    return std::visit(Match{[](const AddLeg& c) {
                                return CommandName{c.leg, {}, "AddLeg"};
                            },
                            [](const ConfigureLeg& c) {
                                return CommandName{c.leg, {}, "ConfigureLeg"};
                            },
                            [](const RemoveLeg& c) {
                                return CommandName{c.leg, {}, "RemoveLeg"};
                            },
                            [](const JoinRoom& c) {
                                return CommandName{c.leg, {}, "JoinRoom"};
                            },
                            [](const LeaveRoom& c) {
                                return CommandName{c.leg, {}, "LeaveRoom"};
                            },
                            [](const Play& c) {
                                return CommandName{c.leg, {}, "Play"};
                            },
                            [](const StopPlay& c) {
                                return CommandName{c.leg, {}, "StopPlay"};
                            },
                            [](const StartRecording& c) {
                                return CommandName{c.leg, c.segment, "StartRecording"};
                            },
                            [](const SilenceRecording& c) {
                                return CommandName{{}, c.segment, "SilenceRecording"};
                            },
                            [](const ResumeRecording& c) {
                                return CommandName{{}, c.segment, "ResumeRecording"};
                            },
                            [](const StopRecording& c) {
                                return CommandName{{}, c.segment, "StopRecording"};
                            }},
                      command);
}

}  // namespace

Engine::Engine(Settings settings, PacketSink& packets, CaptureSink& capture)
    : settings_(std::move(settings)), entropy_(settings_.seed), packets_(packets), capture_(capture) {
    ASSERT(!settings_.cname.empty() && settings_.cname.size() <= rtp::kCnameBytesMax);
    ASSERT(settings_.legs_max <= kLegsMax);
    playing_.reserve(settings_.legs_max);
    mixing_.reserve(settings_.legs_max);
}

Engine::~Engine() = default;

Result<void> Engine::carry_out(const Command& command, const Stamp& now) {
    Result<void> result = std::visit(
        Match{[&](const AddLeg& c) { return add(c, now); }, [&](const ConfigureLeg& c) { return configure(c, now); },
              [&](const RemoveLeg& c) { return remove(c, now); }, [&](const JoinRoom& c) { return join(c); },
              [&](const LeaveRoom& c) { return leave(c); }, [&](const Play& c) { return play(c, now); },
              [&](const StopPlay& c) { return stop_play(c); },
              [&](const StartRecording& c) { return start_recording(c, now); },
              [&](const SilenceRecording& c) { return silence_recording(c); },
              [&](const ResumeRecording& c) { return resume_recording(c); },
              [&](const StopRecording& c) { return stop_recording(c, now); }},
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
                                        .error = error});
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

std::vector<Notice> Engine::take_notices() {
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

Result<void> Engine::configure(const ConfigureLeg& command, const Stamp&) {
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
    leg->kinds.fill(PayloadKind::unknown);
    for (const ReceiveFormat& format : media.receive) leg->kinds[format.payload_type] = kind_of(format.codec);
    if (media.dtmf_payload_type != 0xFF) leg->kinds[media.dtmf_payload_type] = PayloadKind::telephone_event;
    if (!leg->room.empty()) connect(rooms_.at(leg->room));
    return {};
}

Result<void> Engine::remove(const RemoveLeg& command, const Stamp& now) {
    TRY(Leg* const leg, find(command.leg));
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
    leg->taps.emplace_back(slot, head, capture_);
    for (const std::string& label : command.silences) leg->taps.back().silence(label);
    notices_.emplace_back(RecordingOpened{.leg = leg->id, .head = std::move(head)});
    return {};
}

Result<Tap*> Engine::tap_of(const SegmentId& segment) {
    const auto found = recordings_.find(segment);
    if (found == recordings_.end()) return fail(Errc::not_found, "no segment " + segment.text());
    Leg& leg = *legs_[found->second.leg];
    const auto tap = std::ranges::find_if(leg.taps, [&](const Tap& one) { return one.head().segment == segment; });
    ASSERT(tap != leg.taps.end());
    return &*tap;
}

Result<void> Engine::silence_recording(const SilenceRecording& command) {
    TRY(Tap* const tap, tap_of(command.segment));
    if (tap->silences() >= kSilencesMax) return fail(Errc::exhausted, "too many silences of one segment");
    tap->silence(command.label);
    return {};
}

Result<void> Engine::resume_recording(const ResumeRecording& command) {
    TRY(Tap* const tap, tap_of(command.segment));
    tap->resume(command.label);
    return {};
}

Result<void> Engine::stop_recording(const StopRecording& command, const Stamp& now) {
    const auto found = recordings_.find(command.segment);
    if (found == recordings_.end()) return fail(Errc::not_found, "no segment " + command.segment.text());
    Leg& leg = *legs_[found->second.leg];
    const auto tap =
        std::ranges::find_if(leg.taps, [&](const Tap& one) { return one.head().segment == command.segment; });
    ASSERT(tap != leg.taps.end());
    close_tap(leg, static_cast<std::size_t>(tap - leg.taps.begin()), now, command.cause);
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
