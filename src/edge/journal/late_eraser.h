// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "edge/journal/journal_files.h"
#include "edge/journal/late_erasure.h"
#include "edge/journal/sealer.h"

// The sealer's inside for late erasures: journal, segment file, and what the archive is given instead. Only sealer.cpp
// uses it, on its thread.
namespace sheaf::journal {

struct SealerFolders {  // absolute
    explicit SealerFolders(const std::string& folder)
        : segments(folder + "/segments"),
          done(folder + "/done"),
          encoded(folder + "/encoded"),
          erasing(folder + "/erasing") {}
    std::string segments;
    std::string done;
    std::string encoded;
    std::string erasing;
};

// Where the records of a segment that has ended are.
struct EndedSegment {
    media::SegmentHead head;
    media::SegmentSlot slot = 0;
    std::vector<Extent> extents;  // none: no journal holds anything of it any more
    bool is_cut = false;          // it has a segment file
};

struct PendingErasure {
    LateErasure asked{};
    std::chrono::steady_clock::time_point until{};  // so long its segment may still end
    std::chrono::steady_clock::time_point not_before{};
    std::optional<ErasureNote> note{};  // written; carried out until the journal is done
    std::string note_path{};
    bool is_journal_done = false;
    bool left_behind = false;  // by an earlier run
};

class LateEraser {
public:
    using OnTrouble = std::function<void(const SegmentId&, const Error&)>;
    LateEraser(SealerFolders folders, AudioFormat format, JournalFiles& files, OnTrouble on_trouble)
        : folders_(std::move(folders)), format_(format), files_(files), on_trouble_(std::move(on_trouble)) {}

    // What an earlier run was about to erase, done again in the journal; before anything is read there.
    [[nodiscard]] std::vector<PendingErasure> take_up();
    // Erases in the journal, and once the segment is cut in its file. Nothing: it is not cut yet.
    [[nodiscard]] Result<std::optional<ErasedSegment>> erase(PendingErasure& one, const EndedSegment& ended);
    void forget_notes(const std::string& name);  // the segment file's, without suffix: the archive has it

private:
    Result<void> plan(PendingErasure& one, const EndedSegment& ended, const std::string& path);
    Result<void> overwrite(PendingErasure& one);
    Result<std::optional<ErasedSegment>> publish(const std::string& name, const std::string& path,
                                                 const ErasureNote& note, const std::optional<FileErasure>& erased);
    [[nodiscard]] std::string free_note_path(const SegmentId& segment);

    const SealerFolders folders_;
    const AudioFormat format_;
    JournalFiles& files_;
    const OnTrouble on_trouble_;
    std::uint64_t notes_ = 0;
};

}  // namespace sheaf::journal
