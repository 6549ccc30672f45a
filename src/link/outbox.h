// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fact.h"
#include "base/id.h"

namespace sheaf::link {

// A file on its way to the archive.
struct OutboxFile {
    std::string segment;  // segment id
    std::string path;     // absolute
    std::string sha256;   // hex, of the file's bytes
    std::uint64_t bytes = 0;
    std::string media_type;  // audio/wav, audio/flac
};

// The port of a node's durable outbox (implemented over SQLite in edge/store). What `add` has returned survives kill -9
// and power loss. One thread, and of an owner's facts one outbox at a time.
class Outbox {
public:
    virtual ~Outbox() = default;
    // Stamps the drafts with this node's next seqs and ids and stores them, in one transaction. The seq of the first; the
    // others' follow it. Of none: what the next would get.
    [[nodiscard]] virtual Result<std::uint64_t> add(const std::vector<FactDraft>& drafts) = 0;
    // Again with the same segment and digest: no change, but one that was refused is tried once more. With another digest
    // it takes the former file's place.
    [[nodiscard]] virtual Result<void> add_file(const OutboxFile& file) = 0;

    // The oldest facts not yet delivered, at most `count` and about `bytes` of JSON.
    [[nodiscard]] virtual Result<std::vector<Fact>> pending(std::size_t count, std::size_t bytes) = 0;
    [[nodiscard]] virtual Result<std::vector<OutboxFile>> pending_files(std::size_t count) = 0;
    // Of those that `pending` has given; any other id is passed over.
    [[nodiscard]] virtual Result<void> delivered(const std::vector<std::string>& fact_ids) = 0;
    // Likewise. Refused for good: kept apart with the reason, never sent again.
    [[nodiscard]] virtual Result<void> refused(const std::string& fact_id, const std::string& reason) = 0;
    // With the digest that was delivered: a file that has taken its place meanwhile stays.
    [[nodiscard]] virtual Result<void> file_delivered(const std::string& segment, const std::string& sha256) = 0;
    [[nodiscard]] virtual Result<void> file_refused(const std::string& segment, const std::string& sha256,
                                                    const std::string& reason) = 0;
    // What was in progress when the owner was heard of last: calls of which a `call.started` was added, and no
    // `call.ended` and no `call.merged`.
    struct Unfinished {
        std::vector<CallUuid> calls;
        Stamp last;  // the newest moment of what was added, or of `alive`
    };
    [[nodiscard]] virtual Result<Unfinished> unfinished() = 0;
    [[nodiscard]] virtual Result<void> alive(const Stamp& now) = 0;  // costs nothing while no call is in progress
    [[nodiscard]] virtual Result<std::uint64_t> first_pending() = 0;  // the seq of the oldest such fact; 0: none
    struct Counts {                                                   // looked up in all that is there
        std::uint64_t facts_pending = 0;
        std::uint64_t facts_refused = 0;
        std::uint64_t files_pending = 0;
        std::uint64_t files_refused = 0;
    };
    [[nodiscard]] virtual Result<Counts> counts() = 0;
};

}  // namespace sheaf::link
