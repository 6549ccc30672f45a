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
            if (!tail) break;
            tail_ = std::move(*tail);
            return end_silences(after(tail_->sealed.mono));
        }
        case RecordType::silence: return silence(record);
        case RecordType::resume: {
            last_ = std::max(last_, at);
            const auto label = label_from(record);
            return label ? resume(*label, at) : Result<void>{};
        }
        case RecordType::erased: {
            const auto erased = erased_from(record);
            if (!erased) break;
            erased_.said += erased->said;
            erased_.heard += erased->heard;
            summary_.said.gap();
            summary_.heard.gap();
            break;
        }
        case RecordType::erasure: break;  // its work is done before anything is cut
    }
    return {};
}

Result<void> Cutter::silence(const JournalRecord& record) {
    const auto read = silence_from(record);
    if (!read) return {};
    last_ = std::max(last_, after(record.when));
    summary_.said.gap();
    summary_.heard.gap();
    const Duration from = std::max(after(read->from), Duration{0});
    if (read->to) {
        if (*read->to == read->from) return {};
        return writer_.stretch({.from = from,
                                .to = std::max(after(*read->to), from),
                                .channels = kBothChannels,
                                .label = read->silence.label,
                                .by = read->silence.by});
    }
    const auto found =
        std::ranges::find_if(silences_, [&](const Open& open) { return open.silence.label == read->silence.label; });
    if (found != silences_.end()) {
        found->from = std::min(found->from, from);
        return {};
    }
    // More at once than a recorder allows: the end of one is in a part of the journal that is damaged.
    if (silences_.size() >= kSilencesMax) TRY_VOID(resume(std::string(silences_.front().silence.label), from));
    silences_.push_back({read->silence, from});
    return {};
}

Result<void> Cutter::resume(const std::string& label, Duration at) {
    const auto found = std::ranges::find_if(silences_, [&](const Open& open) { return open.silence.label == label; });
    if (found == silences_.end()) return {};
    const Open open = std::move(*found);
    silences_.erase(found);
    return writer_.stretch({.from = open.from,
                            .to = std::max(at, open.from),
                            .channels = kBothChannels,
                            .label = open.silence.label,
                            .by = open.silence.by});
}

Result<void> Cutter::end_silences(Duration at) {
    while (!silences_.empty()) TRY_VOID(resume(std::string(silences_.front().silence.label), at));
    return {};
}

Result<void> Cutter::seal_unclosed(WallTime found_at) {
    const Stamp opened = summary_.header.head.opened;
    SegmentTail tail;
    tail.sealed = {opened.mono + last_, opened.wall + std::chrono::duration_cast<std::chrono::milliseconds>(last_)};
    tail.cause = "lost-control";
    tail.said.received = tail.said.stored = writer_.stored(Channel::said);
    tail.heard.received = tail.heard.stored = writer_.stored(Channel::heard);
    // What follows moves them from stored to excluded.
    tail.said.received = tail.said.stored += erased_.said;
    tail.heard.received = tail.heard.stored += erased_.heard;
    TRY_VOID(end_silences(last_));
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
    count_erased(*tail_, erased_);
    summary_.tail = *tail_;
    summary_.duration = std::max(after(tail_->sealed.mono), Duration{0});
    TRY_VOID(writer_.finish(*tail_));
    return std::move(summary_);
}

}  // namespace sheaf::media
