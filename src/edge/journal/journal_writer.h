// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "edge/journal/journal_files.h"
#include "media/capture.h"
#include "media/journal_format.h"

// From the packet path to the disk:
//
//   worker's thread → ByteRing (bounded, no lock) → writer's thread → journal file, one fdatasync a second
//
// Within one write the records of a segment stand together, so that cutting it out later reads little else.
namespace sheaf::journal {

struct JournalOptions {
    std::uint32_t worker = 0;
    TenantId tenant;
    SiteId site;
    NodeId node;
    std::uint64_t file_bytes = 64ULL << 20;  // allocated at once; at least kFileBytesMin
    std::size_t ring_bytes = 16ULL << 20;    // a power of two
    std::size_t segments_max = media::kSegmentsRunningMax;
    std::chrono::milliseconds gather{50};  // how long records wait to be written together
    std::chrono::milliseconds sync_every{1'000};
};
inline constexpr std::uint64_t kFileBytesMin = 64 * 1024;

// A segment whose records are all in the journal, and synced.
struct ClosedSegment {
    media::SegmentHead head;
    TenantId tenant;
    SiteId site;
    NodeId node;
    std::vector<Extent> extents;
    media::SegmentSlot slot = 0;                    // of its records
    bool recovered = false;                         // it has no close: its recorder died
    std::optional<media::LostRecord> not_synced{};  // the disk may have lost what was written in this time
};

class JournalWriter : public media::CaptureSink {
public:
    struct Counters {  // since the start
        std::uint64_t packets = 0;
        std::uint64_t packets_overflow = 0;   // the ring was full
        std::uint64_t packets_unwritten = 0;  // the disk refused them
        std::uint64_t bytes = 0;
        std::uint64_t errors = 0;  // failed writes, syncs and new files
        std::uint64_t segments_running = 0;
    };
    struct Hooks {  // called on the writer's thread; they may not block
        std::function<void(ClosedSegment)> on_closed;
        std::function<void(const Error&)> on_trouble;  // the segments it touches will say what they lost
        // A silence's ticket: it is in the journal, and what it takes back is overwritten and synced.
        std::function<void(std::uint64_t ticket)> on_silenced = {};
    };
    // `files` outlives the writer.
    [[nodiscard]] static Result<std::unique_ptr<JournalWriter>> start(const JournalOptions& options,
                                                                      JournalFiles& files, Hooks hooks);
    ~JournalWriter() override = default;
    // Writes what the ring holds, syncs, and ends the thread. Segments still open stay so: the next start finds them.
    virtual void stop() = 0;
    [[nodiscard]] virtual Counters counters() const = 0;  // any thread
};

}  // namespace sheaf::journal
