// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "base/result.h"
#include "media/journal_format.h"
#include "media/packet_ledger.h"
#include "media/segment_format.h"

namespace sheaf::media {

// What a segment came to, once it has been cut.
struct SegmentSummary {
    SegmentHeader header;
    SegmentTail tail;
    Duration duration{};
    std::vector<LostStretch> lost;  // at most kLostStretchesMax; the last one then reaches from its start to the end
    PacketLedger said;              // of the packets in the file
    PacketLedger heard;
    bool recovered = false;  // its recorder died before it was closed
};
inline constexpr std::size_t kLostStretchesMax = 256;

// The records of one segment, in the journal's order, become the chunks of its file. Pure: whoever owns it reads the
// journal and syncs what the writer wrote. A silence becomes its label's stretch; what was erased is counted as
// excluded, not as stored. After an error: throw away what was written.
class Cutter {
public:
    Cutter(SegmentWriter& writer, SegmentHeader header) : writer_(writer) { summary_.header = std::move(header); }
    [[nodiscard]] Result<void> begin() { return writer_.begin(summary_.header); }
    // Open and continued are passed over. A record that cannot be read is a lost stretch.
    [[nodiscard]] Result<void> add(const JournalRecord& record);
    // The recorder's journal is damaged here: packets may be missing between the former record and the next.
    void damaged() { damaged_ = true; }
    // `found_at`: when a journal without a close was found (recovery); what the segment missed ends there at the
    // latest. Without it the close must have been added.
    [[nodiscard]] Result<SegmentSummary> finish(std::optional<WallTime> found_at);

private:
    Result<void> lose(const LostStretch& stretch);
    Result<void> seal_unclosed(WallTime found_at);
    Result<void> silence(const JournalRecord& record);
    Result<void> resume(const std::string& label, Duration at);
    Result<void> end_silences(Duration at);
    [[nodiscard]] Duration after(Instant when) const { return when - summary_.header.head.opened.mono; }

    SegmentWriter& writer_;
    SegmentSummary summary_;
    std::optional<SegmentTail> tail_;
    Duration last_{};  // of the latest packet, or word of a silence
    struct Open {
        Silence silence;
        Duration from;
    };
    std::vector<Open> silences_;  // in force
    ErasedRecord erased_;
    bool damaged_ = false;
};

}  // namespace sheaf::media
