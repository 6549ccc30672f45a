// SPDX-License-Identifier: Apache-2.0
#include "edge/journal/journal_intake.h"

#include "base/assert.h"
#include "media/segment_format.h"

namespace sheaf::journal {
namespace {

constexpr std::size_t kLostBytes = media::record_bytes(25);
// A close and what it missed on both channels.
constexpr std::size_t kReserve = media::record_bytes(8 + 80 + 2 + media::kCauseTextMax) + 2 * kLostBytes;

}  // namespace

Intake::Intake(ByteRing& ring, std::size_t segments_max)
    : ring_(ring), slots_(segments_max), for_marks_(ring.capacity() / 16) {}

void Intake::put(const media::JournalRecord& record) {
    std::array<std::uint8_t, media::kRecordHeaderBytes> head;
    media::write_record_header(head.data(), record);
    ring_.put(head);
    ring_.put(record.payload);
    ring_.skip(media::record_bytes(record.payload.size()) - head.size() - record.payload.size());
}

void Intake::tell_missed(media::SegmentSlot slot, Instant when) {
    for (std::size_t c = 0; c < 2; ++c) {
        Missed& missed = slots_[slot].missed[c];
        if (missed.packets == 0) continue;
        const auto payload = media::lost_payload({missed.from, missed.to, missed.packets, media::LostReason::buffer});
        put({media::RecordType::lost, static_cast<media::Channel>(c), slot, when, payload});
        missed = {};
    }
}

bool Intake::open(media::SegmentSlot slot, const media::SegmentHead& head) {
    if (slot >= slots_.size()) return false;
    ASSERT(!slots_[slot].running);
    const auto payload = media::open_payload(head);
    if (ring_.room() < reserved_ + kReserve + media::record_bytes(payload.size())) return false;
    slots_[slot] = {.running = true, .missed = {}};
    reserved_ += kReserve;
    put({media::RecordType::open, media::Channel::said, slot, head.opened.mono, payload});
    ring_.publish();
    running.fetch_add(1, std::memory_order_relaxed);
    return true;
}

bool Intake::packet(media::SegmentSlot slot, media::Channel channel, Instant when, Bytes rtp) {
    ASSERT(slot < slots_.size() && slots_[slot].running);
    Slot& s = slots_[slot];
    const std::size_t needed = media::record_bytes(rtp.size());
    if (rtp.size() > media::kRtpBytesMax || ring_.room() < reserved_ + for_marks_ + needed + 2 * kLostBytes) {
        Missed& missed = s.missed[static_cast<std::size_t>(channel)];
        if (missed.packets++ == 0) missed.from = when;
        missed.to = when;
        overflow.fetch_add(1, std::memory_order_relaxed);
        return false;
    }
    if (s.missed[0].packets + s.missed[1].packets != 0) tell_missed(slot, when);
    put({media::RecordType::packet, channel, slot, when, rtp});
    ring_.publish();
    packets.fetch_add(1, std::memory_order_relaxed);
    return true;
}

bool Intake::mark(const media::JournalRecord& record) {
    ASSERT(record.slot < slots_.size() && slots_[record.slot].running);
    if (ring_.room() < reserved_ + media::record_bytes(record.payload.size()) + 2 * kLostBytes) return false;
    tell_missed(record.slot, record.when);
    put(record);
    ring_.publish();
    return true;
}

bool Intake::silence(media::SegmentSlot slot, const media::Silence& silence, Instant from, Instant now,
                     std::optional<Instant> to) {
    const auto payload = media::silence_payload({from, silence, to});
    return mark({media::RecordType::silence, media::Channel::said, slot, now, payload});
}

bool Intake::resume(media::SegmentSlot slot, const std::string& label, Instant now) {
    const auto payload = media::resume_payload(label);
    return mark({media::RecordType::resume, media::Channel::said, slot, now, payload});
}

void Intake::close(media::SegmentSlot slot, const media::SegmentTail& tail) {
    ASSERT(slot < slots_.size() && slots_[slot].running);
    tell_missed(slot, tail.sealed.mono);
    put({media::RecordType::close, media::Channel::said, slot, tail.sealed.mono, media::close_payload(tail)});
    ring_.publish();
    reserved_ -= kReserve;
    slots_[slot].running = false;
    running.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace sheaf::journal
