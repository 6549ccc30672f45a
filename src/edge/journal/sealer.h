// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fact.h"
#include "base/id.h"
#include "base/result.h"
#include "edge/journal/encoder.h"
#include "edge/journal/journal_writer.h"
#include "edge/journal/late_erasure.h"

namespace sheaf::journal {

// A file for the archive.
struct ArchiveFile {
    SegmentId segment;
    std::string path;    // absolute
    std::string sha256;  // hex
    std::uint64_t bytes = 0;
    std::string media_type;
};

struct SealedSegment {
    std::vector<FactDraft> facts;  // segment.sealed, segment.lost; of an earlier run's segment segment.opened as well
    ArchiveFile file;
};

// A late erasure that has been carried out, here: fact and file are for the archive. No file: nothing had to be erased.
struct ErasedSegment {
    std::vector<FactDraft> facts;  // segment.erased
    std::optional<ArchiveFile> file;
};
inline constexpr std::chrono::seconds kLateErasureMax{5};  // so long a segment that is not known may still come

struct SealerOptions {
    std::string folder;  // absolute; holds segments/, done/, encoded/ and erasing/
    AudioFormat format = AudioFormat::wav;
    std::chrono::milliseconds keep{3'600'000};  // how long a delivered segment file stays, from its sealing
};

// A thread of low priority that turns closed segments into files:
//
//   journal → segments/ID.seg (synced, renamed) → encoded/ID.wav|flac → on_sealed … delivered → done/ID.seg → gone
//
// Each step is repeated after a crash until the next has happened, so nothing is lost and the same segment may be
// handed out more than once, with the same bytes. What fails (a full disk) is tried again, for ever, more and more
// slowly.
class Sealer {
public:
    struct Hooks {  // called on the sealer's thread
        std::function<void(SealedSegment)> on_sealed;
        std::function<void(const SegmentId&, const Error&)> on_trouble;  // empty id: none in particular
        // Of `erase`, with its ticket (0: a former run's). Errc::not_found: no such segment has ended here.
        std::function<void(std::uint64_t, Result<ErasedSegment>)> on_erased = {};
    };
    // Takes up what an earlier run left in `files` and in the folder before anything new. `files` outlives the sealer.
    [[nodiscard]] static Result<std::unique_ptr<Sealer>> start(SealerOptions options, JournalFiles& files, Hooks hooks);
    virtual ~Sealer() = default;

    virtual void add(ClosedSegment segment) = 0;  // any thread
    // Any thread: the archive has the file of this digest for good. One that another has replaced meanwhile changes
    // nothing.
    virtual void delivered(const SegmentId& segment, const std::string& sha256) = 0;
    // Any thread. What the segment, which has ended, stored since a moment goes from the journal, its file, and what
    // waits for the archive; what the archive has is replaced by the file handed to on_erased. Done again after a
    // crash.
    virtual void erase(LateErasure erasure) = 0;
    // Until nothing is left to do but retries, at most `limit`; then ends the thread.
    virtual void stop(std::chrono::milliseconds limit) = 0;

    struct Counters {
        std::uint64_t sealed = 0;
        std::uint64_t recovered = 0;
        std::uint64_t failed = 0;   // attempts
        std::uint64_t waiting = 0;  // segments not sealed yet
    };
    [[nodiscard]] virtual Counters counters() const = 0;  // any thread
};

// The segment file of this id below a sealer's folder, whether delivered or not; empty when there is none.
[[nodiscard]] std::string find_segment_file(const std::string& folder, const SegmentId& segment);

}  // namespace sheaf::journal
