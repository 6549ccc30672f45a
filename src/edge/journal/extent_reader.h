// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "edge/journal/file.h"
#include "edge/journal/journal_files.h"

namespace sheaf::journal {

// Reads extents, one journal file at a time opened by number. One thread.
class ExtentReader {
public:
    explicit ExtentReader(const JournalFiles& files) : files_(files) {}
    ~ExtentReader() { wipe(); }
    ExtentReader(const ExtentReader&) = delete;
    ExtentReader& operator=(const ExtentReader&) = delete;

    // The extent's bytes, valid until the next step; an error when the file is not there or its header is damaged.
    [[nodiscard]] Result<Bytes> read(const Extent& extent);
    [[nodiscard]] std::uint32_t seed() const { return seed_; }  // of the file read last

private:
    void wipe();

    const JournalFiles& files_;
    File file_;
    std::uint64_t number_ = 0;
    std::uint32_t seed_ = 0;
    std::vector<std::uint8_t> buffer_;
};

}  // namespace sheaf::journal
