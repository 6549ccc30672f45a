// SPDX-License-Identifier: Apache-2.0
// The engine's mixes: who enters and leaves, and the frames. What runs on a packet or a tick allocates nothing.
#include <algorithm>

#include "base/assert.h"
#include "media/engine.h"
#include "rtp/g711.h"

namespace sheaf::media {
namespace {

constexpr std::uint64_t kMixSource = std::uint64_t{1} << 62;
constexpr auto kFrameLength = static_cast<std::int32_t>(kFrameSamples);

}  // namespace

// ---- Control ----------------------------------------------------------------------------------------------------
void Engine::enter_mix(Leg& leg) {
    if (!leg.input) leg.input = std::make_unique<MixInput>();
    leg.input->reset(false);
    leg.is_mixed = true;
    leg.fades_in = true;
    leg.patience = 0;
    leg.heard_last = kNoLeg;
    ++leg.mixes;
}

// Those that were talking go on without a fade, and are kept waiting for each other's next frame rather than be sent
// silence before it.
void Engine::begin_mix(Room& room) {
    room.is_mixing = true;
    room.began.reset();
    room.frames = 0;
    room.has_farewell = false;
    mixing_.push_back(&room);
    for (const LegSlot slot : room.legs) {
        Leg& leg = *legs_[slot];
        const LegSlot peer = std::exchange(leg.peer, kNoLeg);
        if (!leg.is_active()) continue;
        enter_mix(leg);
        if (peer == kNoLeg || leg.player || legs_[peer]->player) continue;
        leg.input->reset(true);
        leg.fades_in = false;
        leg.patience = kMixPatience;
        leg.heard_last = peer;
    }
}

void Engine::leave_mix(Room& room, Leg& leg) {
    leg.is_mixed = false;
    if (leg.player) return;
    Frame last;
    leg.input->farewell(last);
    if (!room.has_farewell) room.farewell.fill(0);
    room.has_farewell = true;
    for (std::size_t i = 0; i < kFrameSamples; ++i) room.farewell[i] += last[i];
}

// ---- Packets and frames -----------------------------------------------------------------------------------------
void Engine::mix_in(Leg& from, const rtp::Packet& packet, PayloadKind kind, std::uint64_t source) {
    std::array<std::int16_t, rtp::kPacketBytesMax> samples;
    if (kind == PayloadKind::pcmu) {
        rtp::decode_ulaw(packet.payload, samples.data());
    } else if (kind == PayloadKind::pcma) {
        rtp::decode_alaw(packet.payload, samples.data());
    } else {
        return;  // a digit is not mixed
    }
    from.input->packet(source, packet.timestamp, std::span(samples).first(packet.payload.size()));
}

void Engine::mix_frames(Instant now) {
    // From the back: a mix that ends leaves the list.
    for (std::size_t i = mixing_.size(); i-- > 0;) {
        Room& room = *mixing_[i];
        // Half a frame of room either way, so that a tick a little early or late has its own frame all the same.
        if (!room.began) room.began = now - kFrame / 2;
        const std::uint64_t due = static_cast<std::uint64_t>((now - *room.began) / kFrame) + 1;
        if (due > room.frames + kCatchUpFramesMax) room.frames = due - kCatchUpFramesMax;
        while (room.is_mixing && room.frames < due) {
            mix_frame(room, now);
            // A leg that hears a treatment is in no mix, and yet one of the room's.
            const auto active =
                std::ranges::count_if(room.legs, [&](LegSlot slot) { return legs_[slot]->is_active(); });
            if (active > 2) continue;
            end_mix(room, now);
            break;
        }
    }
}

// Whether this leg is not sent this frame, because the voice it heard until now has none yet.
bool Engine::waits(Leg& leg) {
    leg.is_waiting = false;
    if (leg.patience == 0) return false;
    const Leg* const other = at(leg.heard_last);
    leg.is_waiting = is_in_mix(leg) && other != nullptr && other->room == leg.room && is_in_mix(*other) &&
                     other->input->waiting() < kFrameSamples;
    leg.patience = leg.is_waiting ? static_cast<std::uint8_t>(leg.patience - 1) : std::uint8_t{0};
    return leg.is_waiting;
}

void Engine::mix_frame(Room& room, Instant now) {
    Sum sum{};
    if (room.has_farewell) sum = room.farewell;
    room.has_farewell = false;
    bool someone_waits = false;
    for (const LegSlot slot : room.legs) someone_waits = waits(*legs_[slot]) || someone_waits;
    std::size_t speakers = 0;
    for (const LegSlot slot : room.legs) {
        Leg& leg = *legs_[slot];
        if (!is_in_mix(leg)) continue;
        Frame& spoken = spoken_[speakers++];
        // A newcomer begins, and begins to hear, when all are there: each voice's fade then is for all ears.
        if (someone_waits && leg.heard_last == kNoLeg) {
            spoken.fill(0);
            continue;
        }
        static_cast<void>(leg.input->next(spoken));
        for (std::size_t i = 0; i < kFrameSamples; ++i) sum[i] += spoken[i];
    }
    const std::uint64_t index = room.frames++;
    std::size_t speaker = 0;
    for (const LegSlot slot : room.legs) {
        Leg& leg = *legs_[slot];
        if (!is_in_mix(leg)) continue;
        const Frame& own = spoken_[speaker++];
        if (leg.is_waiting || (someone_waits && leg.fades_in)) continue;
        Frame heard;
        for (std::size_t i = 0; i < kFrameSamples; ++i) {
            const std::int32_t others = sum[i] - own[i];
            heard[i] = limited(leg.fades_in ? others * static_cast<std::int32_t>(i) / kFrameLength : others);
        }
        leg.fades_in = false;
        send_mixed(leg, heard, index, now);
    }
}

// Two are left, or fewer: what they have said and nobody heard yet is sent at once, and then they are forwarded.
void Engine::end_mix(Room& room, Instant now) {
    for (const LegSlot slot : room.legs) {
        Leg& from = *legs_[slot];
        if (!is_in_mix(from)) continue;
        for (const LegSlot other : room.legs) {
            Leg& to = *legs_[other];
            if (other == slot || !is_in_mix(to)) continue;
            Frame rest;
            std::uint64_t index = room.frames;
            while (const std::size_t count = from.input->rest(rest)) {
                send_mixed(to, std::span<const std::int16_t>(rest).first(count), index++, now);
            }
        }
    }
    for (const LegSlot slot : room.legs) legs_[slot]->is_mixed = false;
    room.is_mixing = false;
    std::erase(mixing_, &room);
    connect(room);
}

void Engine::send_mixed(Leg& to, std::span<const std::int16_t> samples, std::uint64_t index, Instant now) {
    if (!to.media.we_send || !to.remote.is_set()) {
        to.out.interrupt();
        return;
    }
    std::array<std::uint8_t, kFrameSamples> payload;
    if (to.media.send_codec == CodecKind::pcmu) {
        rtp::encode_ulaw(samples, payload.data());
    } else {
        rtp::encode_alaw(samples, payload.data());
    }
    // Numbered by what was sent, as a treatment is: a frame passed over leaves a hole in time only.
    const OutStream::Incoming incoming{.source = kMixSource | (to.mixes << 32) | to.slot,
                                       .sequence = static_cast<std::int64_t>(to.out.packets()),
                                       .timestamp = static_cast<std::uint32_t>(index * kFrameSamples),
                                       .samples = static_cast<std::uint32_t>(samples.size())};
    send_audio(to, to.media.send_codec, Bytes(payload).first(samples.size()), incoming, now);
}

}  // namespace sheaf::media
