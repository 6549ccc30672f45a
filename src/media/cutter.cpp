// SPDX-License-Identifier: Apache-2.0
#include "media/cutter.h"

#include <algorithm>

namespace sheaf::media {

Result<void> Cutter::lose(const LostStretch& stretch) {
    if (summary_.lost.size() < kLostStretchesMax) {
        summary_.lost.push_back(stretch);
    } else {
        LostStretch& last = summary_.lost.back();
        last.to = stretch.to;
        last.packets += stretch.packets;
        last.channels |= stretch.channels;
    }
    return writer_.lost(stretch);
}

Result<void> Cutter::add(const JournalRecord& record) {
    if (tail_) return {};
    const Duration at = after(record.when);
    if (damaged_) {
        damaged_ = false;
        TRY_VOID(lose({.from = last_, .to = std::max(at, last_), .cause = "damaged"}));
    }
    switch (record.type) {
        case RecordType::open:
        case RecordType::continued: break;
        case RecordType::packet: {
            if (record.payload.size() > kRtpBytesMax) {
                return lose({at, at, channel_bit(record.channel), 1, "damaged"});
            }
            (record.channel == Channel::said ? summary_.said : summary_.heard).add(record.payload);
            last_ = std::max(last_, at);
            return writer_.packet({record.channel, at, record.payload});
        }
        case RecordType::lost: {
            auto lost = lost_from(record);
            if (!lost) return lose({at, at, channel_bit(record.channel), 0, "damaged"});
            last_ = std::max(last_, after(lost->to));
            return lose({after(lost->from), after(lost->to), channel_bit(record.channel), lost->packets,
                         lost->reason == LostReason::disk ? "disk" : "buffer"});
        }
        case RecordType::close: {
            auto tail = tail_from(record);
            if (tail) tail_ = std::move(*tail);
            break;
        }
    }
    return {};
}

Result<void> Cutter::seal_unclosed(WallTime found_at) {
    const Stamp opened = summary_.header.head.opened;
    SegmentTail tail;
    tail.sealed = {opened.mono + last_, opened.wall + std::chrono::duration_cast<std::chrono::milliseconds>(last_)};
    tail.cause = "lost-control";
    tail.said.received = tail.said.stored = writer_.stored(Channel::said);
    tail.heard.received = tail.heard.stored = writer_.stored(Channel::heard);
    summary_.recovered = true;
    tail_ = tail;
    const Duration found = found_at - opened.wall;
    return lose({.from = last_, .to = std::max(found, last_), .cause = "lost-control"});
}

Result<SegmentSummary> Cutter::finish(std::optional<WallTime> found_at) {
    if (!tail_) {
        if (!found_at) return fail(Errc::malformed, "the segment's close is not in the journal");
        TRY_VOID(seal_unclosed(*found_at));
    }
    summary_.tail = *tail_;
    summary_.duration = std::max(after(tail_->sealed.mono), Duration{0});
    TRY_VOID(writer_.finish(*tail_));
    return std::move(summary_);
}

}  // namespace sheaf::media
