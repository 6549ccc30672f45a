// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/time.h"
#include "link/outbox.h"

namespace sheaf::link {

// The delivery of a node's facts and files to the archive: what to send when. At most one batch and kFilesMax files are
// under way; facts go oldest first. Nothing is forgotten before the archive has said that it has it or will never take
// it; the archive being away costs one small attempt every kBackOffMax.

inline constexpr std::size_t kBatchFactsMax = 1'000;         // docs/formats/facts.md
inline constexpr std::size_t kBatchBytesMax = 1'000 * 1000;  // of 1 MiB, room left for what surrounds the facts
inline constexpr std::size_t kFilesMax = 2;
inline constexpr std::size_t kSkippedMax = 64;  // files set behind the others because they failed lately
inline constexpr Duration kBackOffFirst = std::chrono::milliseconds(200);
inline constexpr Duration kBackOffMax = std::chrono::seconds(30);

// What an answer means.
enum class Outcome {
    taken,    // the archive has it
    refused,  // the archive will never take it: put aside
    denied,   // our credentials are not good (enough): kept, tried again slowly
    failed,   // not now
};
// Status 0: no answer. For a batch `taken` means that the lists of its answer hold.
[[nodiscard]] Outcome outcome_of_status(int status);

// ---- Inputs

struct Added {};  // facts or files wait in the outbox; also said at the start
struct FactsRead {
    std::vector<Fact> facts;
};
struct FilesRead {
    std::vector<OutboxFile> files;
};
struct StoreFailed {  // the outbox could not be read or written
    std::string reason;
};
struct RefusedFact {
    std::string id;
    std::string reason;
};
struct BatchAnswered {
    Outcome outcome = Outcome::failed;
    std::string reason;  // in words, unless taken
    std::vector<std::string> accepted;
    std::vector<RefusedFact> rejected;
};
struct FileAnswered {
    std::string segment;
    Outcome outcome = Outcome::failed;
    std::string reason;
};
struct Tick {};
using DeliveryInput = std::variant<Added, FactsRead, FilesRead, StoreFailed, BatchAnswered, FileAnswered, Tick>;

// ---- Effects, to be carried out in order

struct ReadFacts {  // answered by FactsRead
    std::size_t count = 0;
    std::size_t bytes = 0;
};
struct ReadFiles {  // answered by FilesRead
    std::size_t count = 0;
};
struct SendBatch {  // answered by BatchAnswered
    std::vector<Fact> facts;
};
struct PutFile {  // answered by FileAnswered
    OutboxFile file;
};
struct MarkDelivered {
    std::vector<std::string> fact_ids;
};
struct MarkRefused {
    RefusedFact fact;
};
struct MarkFileDelivered {
    std::string segment;
};
struct MarkFileRefused {
    std::string segment;
    std::string reason;
};
struct WakeAt {  // a Tick then; in place of any former
    Instant at;
};
enum class Notice { archive_away, archive_back, credentials_refused, fact_refused, file_refused, outbox_failed };
struct Say {  // for the log, once for each change; detail begins with "facts" or "files" where it matters
    Notice notice;
    std::string detail;
};
using DeliveryEffect = std::variant<ReadFacts, ReadFiles, SendBatch, PutFile, MarkDelivered, MarkRefused,
                                    MarkFileDelivered, MarkFileRefused, WakeAt, Say>;

class Delivery {
public:
    // `chance` is a fresh random number with every input.
    [[nodiscard]] std::vector<DeliveryEffect> step(const DeliveryInput& input, Instant now, std::uint32_t chance);

private:
    // Facts and files fail each by themselves: failures in a row, until when to wait, and what was said about it.
    struct Lane {
        const char* what;
        int failures = 0;
        std::optional<Instant> until = std::nullopt;
        bool is_away = false;
        bool is_denied = false;
    };
    struct Context {
        Instant now;
        std::uint32_t chance;
        std::vector<DeliveryEffect> effects;
    };

    void on(const Added&, Context& context);
    void on(const FactsRead& read, Context& context);
    void on(const FilesRead& read, Context& context);
    void on(const StoreFailed& failed, Context& context);
    void on(const BatchAnswered& answer, Context& context);
    void on(const FileAnswered& answer, Context& context);
    void on(const Tick&, Context& context);

    void batch_taken(const BatchAnswered& answer, Context& context);
    void batch_refused(const BatchAnswered& answer, Context& context);
    void go_on(Context& context);
    void back_off(Lane& lane, Outcome outcome, const std::string& reason, Context& context);
    void reached(Lane& lane, Context& context);
    void wake(Context& context);

    bool facts_wait_ = false;  // as far as known
    bool reading_facts_ = false;
    std::vector<std::string> batch_;  // ids under way
    std::size_t batch_limit_ = kBatchFactsMax;
    Lane facts_lane_{"facts"};

    bool files_wait_ = false;
    bool reading_files_ = false;
    std::set<std::string> files_;    // segments under way
    std::set<std::string> skipped_;  // failed lately: go when nothing else is there
    Lane files_lane_{"files"};
};

}  // namespace sheaf::link
