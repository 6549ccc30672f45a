// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/id.h"
#include "base/result.h"

namespace sheaf::apps {

struct LadderFilesOptions {
    std::string folder;                           // made when missing
    std::uint64_t bytes_max = 256ULL << 20;       // of all files; the oldest go first
    std::size_t waiting_bytes_max = 32ULL << 20;  // that the disk has not taken; a further call's ladder is lost
};

// The ladders of recorded calls, one file a call (docs/formats/ladder.md), written and read by a thread of its own: a
// call never waits for a disk. What is kept is written soon; a crash loses what had not been. Destroying it writes what
// waits.
class LadderFiles {
public:
    [[nodiscard]] static Result<std::unique_ptr<LadderFiles>> open(LadderFilesOptions options);
    virtual ~LadderFiles() = default;
    // Any thread. Of the same call again: takes the former one's place.
    virtual void keep(const CallUuid& call, std::string content) = 0;
    // `done`, on the thread: Errc::not_found, or why it cannot be read.
    virtual void read(const CallUuid& call, std::function<void(Result<std::string>)> done) = 0;
};

}  // namespace sheaf::apps
