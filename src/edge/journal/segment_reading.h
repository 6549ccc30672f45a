// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "edge/journal/journal_files.h"
#include "edge/journal/journal_writer.h"
#include "media/packet_ledger.h"
#include "media/segment_format.h"

// Segments on disk: out of the journal into a file, and that file read whole.
namespace sheaf::journal {

// Cuts a segment out of the journal into `path`, synced. A part that cannot be read is a lost stretch in the file.
// `now`: what a segment without a close has missed ends here at the latest.
[[nodiscard]] Result<void> cut_segment(const ClosedSegment& segment, const JournalFiles& files, const std::string& path,
                                       WallTime now);

// Everything but the audio of a segment file.
struct SegmentContent {
    media::SegmentHeader header;
    std::optional<media::StoredTail> tail;
    std::vector<media::Stretch> stretches;
    std::vector<media::LostStretch> lost;
    media::PacketLedger said;
    media::PacketLedger heard;
    Duration last{};  // of the latest packet
    media::SegmentReader::State state;
};
inline constexpr std::size_t kStretchesMax = 10'000;  // kept of each kind

[[nodiscard]] Result<SegmentContent> read_segment(const std::string& path);

}  // namespace sheaf::journal
