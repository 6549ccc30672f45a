// SPDX-License-Identifier: Apache-2.0
// The engine's packet path. Nothing here allocates, locks, logs or calls the system.
#include "media/engine.h"

#include <algorithm>

#include "rtp/g711.h"

namespace sheaf::media {
namespace {

constexpr std::uint64_t kPlaySource = std::uint64_t{1} << 63;

// A source for the out stream: the leg, its SSRC and how often that began anew.
std::uint64_t source_key(LegSlot slot, std::uint32_t ssrc, std::uint64_t restarts) {
    return (std::uint64_t{slot + 1} << 44) | ((restarts & 0xFFF) << 32) | ssrc;
}

}  // namespace

// Media comes from the negotiated address and port. A phone may send from another port than it receives on: the first
// packet from the negotiated host decides, once a negotiation; but what comes as negotiated is always right: the first
// one may have been the last of the stream before.
bool Engine::accept(Leg& leg, const Address& from) {
    if (from == leg.negotiated && from != leg.remote) {
        leg.remote = from;
        leg.may_latch = true;  // for the one before, if this was but a keep-alive
        return true;
    }
    if (from == leg.remote) {
        leg.may_latch = false;
        return true;
    }
    if (!leg.may_latch || !leg.remote.is_set() || !from.same_host(leg.remote)) return false;
    leg.remote = from;
    leg.may_latch = false;
    return true;
}

Leg::Source& Engine::source_of(Leg& leg, std::uint32_t ssrc, Instant when) {
    Leg::Source* chosen = &leg.sources.front();
    for (Leg::Source& source : leg.sources) {
        if (source.is_used && source.ssrc == ssrc) {
            source.heard = when;
            return source;
        }
        if (!chosen->is_used) continue;
        if (!source.is_used || source.heard < chosen->heard) chosen = &source;
    }
    if (chosen->is_used) leg.counters.lost += chosen->reception.sequence().lost();
    *chosen = Leg::Source{};
    chosen->is_used = true;
    chosen->ssrc = ssrc;
    chosen->heard = when;
    return *chosen;
}

void Engine::rtp_received(LegSlot slot, Instant when, const Address& from, Bytes bytes) {
    Leg* const leg = at(slot);
    if (leg == nullptr) return;
    if (!leg->is_configured || !leg->media.we_receive) {
        ++leg->counters.unwanted;
        return;
    }
    const auto packet = rtp::parse_packet(bytes);
    if (!packet) {
        ++leg->counters.malformed;
        return;
    }
    if (!accept(*leg, from)) {
        ++leg->counters.foreign;
        return;
    }
    ++leg->counters.received;
    leg->silent_at = when + settings_.silence_max;
    Leg::Source& source = source_of(*leg, packet->ssrc, when);
    const rtp::Sequenced sequenced = source.reception.packet(packet->sequence, packet->timestamp, when, rtp::kG711Rate);
    source.is_reported = false;
    if (sequenced.kind == rtp::SequenceKind::duplicate) {
        ++leg->counters.duplicate;
        for (Tap& tap : leg->taps) tap.duplicate(Channel::said);
        return;
    }
    const PayloadKind kind = packet->payload.empty() ? PayloadKind::unknown : leg->kinds[packet->payload_type];
    const bool is_audio = kind == PayloadKind::pcmu || kind == PayloadKind::pcma;
    if (!is_audio) ++leg->counters.excluded;
    for (Tap& tap : leg->taps) {
        if (is_audio) {
            tap.packet(Channel::said, when, bytes);
        } else {
            tap.excluded(Channel::said);
        }
    }
    if (kind == PayloadKind::telephone_event) take_digit(*leg, *packet);
    // A stray is kept, but sent on only once its successor shows that the source has restarted.
    if (sequenced.kind == rtp::SequenceKind::stray) return;
    const std::uint64_t key = source_key(slot, packet->ssrc, source.reception.sequence().restarts());
    if (is_in_mix(*leg)) return mix_in(*leg, *packet, kind, key);
    if (leg->peer == kNoLeg) return;
    const OutStream::Incoming incoming{.source = key,
                                       .sequence = sequenced.extended,
                                       .timestamp = packet->timestamp,
                                       .samples = is_audio ? static_cast<std::uint32_t>(packet->payload.size()) : 0,
                                       .marker = packet->marker,
                                       .is_newest = sequenced.kind != rtp::SequenceKind::late};
    forward(*leg, *packet, kind, incoming, when);
}

void Engine::take_digit(Leg& leg, const rtp::Packet& packet) {
    // Read whether asked for or not: a press that began before it was is none later.
    const auto pressed = leg.digits.packet(packet.ssrc, packet.timestamp, packet.payload);
    for (std::size_t i = 0; leg.collects && i < pressed.count; ++i) {
        if (digits_.size() == kDigitsUntoldMax) {
            ++leg.counters.digits_dropped;
            continue;
        }
        digits_.push_back({leg.slot, pressed.digits[i]});
    }
}

void Engine::forward(const Leg& from, const rtp::Packet& packet, PayloadKind kind, const OutStream::Incoming& incoming,
                     Instant when) {
    Leg& to = *legs_[from.peer];
    if (to.player) return;
    if (from.player || !to.media.we_send || !to.remote.is_set()) {
        to.out.interrupt();
        return;
    }
    if (kind == PayloadKind::pcmu || kind == PayloadKind::pcma) {
        const CodecKind codec = kind == PayloadKind::pcmu ? CodecKind::pcmu : CodecKind::pcma;
        send_audio(to, codec, packet.payload, incoming, when);
        return;
    }
    if (kind == PayloadKind::unknown || to.media.dtmf_payload_type == 0xFF) {
        to.out.skip(incoming);
        return;
    }
    rtp::Header header;
    if (!to.out.next(incoming, when, header)) return;
    header.payload_type = to.media.dtmf_payload_type;
    std::copy(packet.payload.begin(), packet.payload.end(), buffer_.begin() + rtp::kHeaderBytes);
    send(to, header, packet.payload.size(), true, when);
}

void Engine::send_audio(Leg& to, CodecKind codec, Bytes payload, const OutStream::Incoming& incoming, Instant when) {
    rtp::Header header;
    if (!to.out.next(incoming, when, header)) return;
    header.payload_type = to.media.send_payload_type;
    std::uint8_t* const body = buffer_.data() + rtp::kHeaderBytes;
    if (codec == to.media.send_codec) {
        std::copy(payload.begin(), payload.end(), body);
    } else if (codec == CodecKind::pcmu) {
        rtp::ulaw_to_alaw(payload, body);
    } else {
        rtp::alaw_to_ulaw(payload, body);
    }
    send(to, header, payload.size(), false, when);
}

// The payload stands in the buffer already: it came from a packet within kPacketBytesMax, so it fits.
void Engine::send(Leg& to, rtp::Header& header, std::size_t payload_bytes, bool is_excluded, Instant when) {
    rtp::write_header(buffer_.data(), header);
    const Bytes packet{buffer_.data(), rtp::kHeaderBytes + payload_bytes};
    packets_.send_rtp(to.slot, to.remote, packet);
    to.out.sent(payload_bytes);
    ++to.counters.sent;
    for (Tap& tap : to.taps) {
        if (is_excluded) {
            tap.excluded(Channel::heard);
        } else {
            tap.packet(Channel::heard, when, packet);
        }
    }
}

void Engine::tick(const Stamp& now) {
    play_frames(now.mono);
    mix_frames(now.mono);
    if (now.mono < scan_due_) return;
    scan_due_ = now.mono + kRtcpScan;
    for (const auto& leg : legs_) {
        if (!leg) continue;
        watch_silence(*leg, now.mono);
        if (now.mono < leg->rtcp_due) continue;
        leg->rtcp_due = now.mono + kRtcpInterval;
        report(*leg, now, false);
    }
}

void Engine::watch_silence(Leg& leg, Instant now) {
    if (settings_.silence_max == Duration::zero() || !leg.is_configured || !leg.media.we_receive) return;
    if (now < leg.silent_at) return;
    leg.silent_at = now + settings_.silence_max;
    notices_.emplace_back(LegSilent{leg.id, settings_.silence_max});
}

void Engine::play_frames(Instant now) {
    // From the back: a play that ends leaves the list.
    for (std::size_t i = playing_.size(); i-- > 0;) {
        Leg& leg = *legs_[playing_[i]];
        if (!leg.player) continue;
        Frame frame;
        std::uint64_t index = 0;
        while (leg.player->next(now, frame, index)) {
            if (!leg.is_configured || !leg.media.we_send || !leg.remote.is_set()) {
                leg.out.interrupt();  // time goes on without it
                continue;
            }
            std::array<std::uint8_t, kFrameSamples> payload;
            if (leg.media.send_codec == CodecKind::pcmu) {
                rtp::encode_ulaw(frame, payload.data());
            } else {
                rtp::encode_alaw(frame, payload.data());
            }
            // Numbered as if no frame was ever passed over: what we do not send leaves a hole in time only.
            const OutStream::Incoming incoming{.source = kPlaySource | (leg.plays << 32) | leg.slot,
                                               .sequence = static_cast<std::int64_t>(leg.out.packets()),
                                               .timestamp = static_cast<std::uint32_t>(index * kFrameSamples),
                                               .samples = kFrameSamples};
            send_audio(leg, leg.media.send_codec, payload, incoming, now);
        }
        if (leg.player->is_done()) end_play(leg, true);
    }
}

}  // namespace sheaf::media
