// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "edge/journal/eraser.h"
#include "edge/journal/journal_writer.h"
#include "media/capture.h"

// A pause that is told when its segment has ended already: what the segment stored since that moment is taken back from
// the journal and from its segment file (docs/formats/segment.md, "Erased afterwards").
namespace sheaf::journal {

struct LateErasure {
    SegmentId segment;
    media::Silence silence;
    Stamp from;                // the recorder's clocks
    std::uint64_t ticket = 0;  // the asker's; 0: nobody asks
    bool is_over = false;      // only up to where the label's first stretch that had not ended at `from` begins
};

// What an erasure is about to do, noted in a file of its own before it begins, so that the next start can do it again.
struct ErasureNote {
    SegmentId segment;
    media::Silence silence;
    Duration after{};  // since the segment's opening
    Erasure journal;
    std::optional<Duration> to{};  // missing: the segment's end
};
inline constexpr std::size_t kNoteBytesMax = 4U << 20U;
[[nodiscard]] Result<std::string> to_text(const ErasureNote& note);  // exhausted: too many places
[[nodiscard]] Result<ErasureNote> note_from_text(std::string_view text);
[[nodiscard]] Result<void> write_note(const std::string& path, const ErasureNote& note);  // durably
[[nodiscard]] Result<ErasureNote> read_note(const std::string& path);
// The largest number of a journal file that a note in this folder names; 0: none.
[[nodiscard]] std::uint64_t last_noted_file(const std::string& folder);

// The moment as a span since the opening; never before it. The monotonic clock tells, unless the machine has been
// started anew in between.
[[nodiscard]] Duration after_opening(const Stamp& opened, const Stamp& from);

// Overwrites the file with zeros, durably, and removes it; none: no change.
[[nodiscard]] Result<void> erase_file(const std::string& path);

struct FileErasure {
    media::SegmentHead head;
    Duration from{};
    Duration to{};
};
// Where in the file the label's first stretch that ends behind `after` begins, or `after` itself.
[[nodiscard]] Result<Duration> silent_from(const std::string& path, Duration after, const std::string& label);
// Makes the segment file one without the packets from `after` to `to` (missing: its end), over which the silence's
// stretch lies, in place of the old one, which is overwritten. Durable when it returns. Nothing when there was nothing
// to erase and the stretch is there.
[[nodiscard]] Result<std::optional<FileErasure>> erase_in_file(const std::string& path, Duration after,
                                                               std::optional<Duration> to,
                                                               const media::Silence& silence);

}  // namespace sheaf::journal
