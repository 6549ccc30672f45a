// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/mutex.h"
#include "base/result.h"

namespace sheaf::journal {

// A run of one segment's records in a journal file.
struct Extent {
    std::uint64_t file = 0;  // its number
    std::uint64_t offset = 0;
    std::uint32_t bytes = 0;
    bool after_damage = false;  // records before it may be missing
};
inline constexpr std::uint32_t kExtentBytesMax = 256 * 1024;

// The journal files of one worker, and which segments still need which: a file goes when it is full and every segment
// in it has been cut. Shared by the writer's and the sealer's thread; any thread.
class JournalFiles {
public:
    // Makes the folder. Files of an earlier run are there, unknown until `adopt`, and stay until then. No new one has a
    // number below `least`: an erasure's note may name a former one that is gone.
    [[nodiscard]] static Result<std::unique_ptr<JournalFiles>> open(const std::string& folder, std::uint64_t least = 1);

    [[nodiscard]] std::string path_of(std::uint64_t number) const;
    [[nodiscard]] std::uint64_t next_number();  // never one that was used
    [[nodiscard]] std::vector<std::uint64_t> left_behind() const {
        return left_behind_;
    }  // by the earlier run, in order

    void began(std::uint64_t number);                              // a file that is being written
    void mention(std::uint64_t number, const SegmentId& segment);  // it holds records of this segment
    Result<void> ended(std::uint64_t number);                      // nothing more will be written into it
    Result<void> cut(const SegmentId& segment);                    // the segment has its own file, on disk
    [[nodiscard]] bool mentions(const SegmentId& segment) const;   // whether any file still holds records of it
    [[nodiscard]] std::size_t count() const;

private:
    explicit JournalFiles(std::string folder) : folder_(std::move(folder)) {}
    struct Entry {
        bool ended = false;
        std::set<SegmentId> mentioned;
        std::set<SegmentId> uncut;
    };
    Result<void> sweep() REQUIRES(mutex_);

    std::string folder_;
    std::vector<std::uint64_t> left_behind_;
    mutable Mutex mutex_;
    std::uint64_t next_ GUARDED_BY(mutex_) = 1;
    std::map<std::uint64_t, Entry> files_ GUARDED_BY(mutex_);
};

}  // namespace sheaf::journal
