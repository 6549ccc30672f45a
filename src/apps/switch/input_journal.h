// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"

namespace sheaf::apps {

// The files of one run: switch-journal-RUN-NNNN.jsonl, NNNN from 0001. Every file begins with the settings of the run's
// start; the inputs of one go on in the next, so a replay begins with 0001 (docs/formats/switch-journal.md has the
// lines).
struct JournalOptions {
    std::string folder;                           // there already
    std::string run;                              // sorts by time; of [A-Za-z0-9]
    std::string settings;                         // first line of every file, without LF
    std::uint64_t file_bytes_max = 64ULL << 20;   // then the next file is begun
    std::uint64_t total_bytes_max = 1ULL << 30;   // of all runs; the oldest files go first
    std::size_t waiting_bytes_max = 64ULL << 20;  // of lines the disk has not taken; beyond, the journal ends
};

[[nodiscard]] std::string journal_file_name(const std::string& run, unsigned number);

// Appends lines by a thread of its own: the caller never waits for a disk. A line is written within 50 ms. A disk that
// fails or cannot follow ends the journal: `failure` says so from then on; what was written stays readable. Destroying
// it writes what is waiting.
class InputJournal {
public:
    [[nodiscard]] static Result<std::unique_ptr<InputJournal>> open(JournalOptions options);
    virtual ~InputJournal() = default;
    virtual void append(std::string line) = 0;              // without LF
    virtual void flush() = 0;                               // returns when all is written
    [[nodiscard]] virtual std::string failure() const = 0;  // empty: none
    [[nodiscard]] virtual std::string path() const = 0;     // of the file being written
};

}  // namespace sheaf::apps
