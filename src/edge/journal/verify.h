// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "media/packet_ledger.h"
#include "media/segment_format.h"

// Integrity of what the recorder wrote, without a server: a segment file, a journal file, or all in a folder.
namespace sheaf::journal {

struct VerifiedChannel {
    media::ChannelCounts counts;  // as the recorder counted; all zero when the file has no tail
    std::uint64_t in_file = 0;    // packets found
    std::uint64_t lost = 0;       // by sequence numbers: never reached the recorder, or lost in it
    std::uint64_t duplicate = 0;  // found twice in the file
    std::vector<media::SourceCount> sources;
};

struct VerifiedSegment {
    media::SegmentHeader header;
    bool sealed = false;
    std::string cause;
    std::int64_t duration_ms = 0;  // without a tail: to the last packet
    VerifiedChannel said;
    VerifiedChannel heard;
    std::vector<media::LostStretch> lost;
    std::vector<media::Stretch> stretches;
};

struct VerifiedFile {
    std::string path;
    bool is_journal = false;
    std::vector<VerifiedSegment> segments;  // one of a segment file; of a journal each that has a record in it
    std::uint64_t damaged_bytes = 0;        // of a journal
    std::uint64_t damaged_chunks = 0;       // of a segment file
    // What is wrong, in an operator's words; empty: nothing. Packets that the network lost are not wrong, packets that
    // reached the recorder and are not in the file are.
    std::vector<std::string> problems;
};

struct VerifyReport {
    std::vector<VerifiedFile> files;
    [[nodiscard]] bool ok() const;
};

inline constexpr std::size_t kVerifyFilesMax = 1'000'000;

// not_found: nothing there, or nothing of ours in the folder.
[[nodiscard]] Result<VerifyReport> verify_path(const std::string& path);
[[nodiscard]] boost::json::object to_json(const VerifyReport& report);
[[nodiscard]] std::string to_text(const VerifyReport& report);  // for people, some lines a file

}  // namespace sheaf::journal
