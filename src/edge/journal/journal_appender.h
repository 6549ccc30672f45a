// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "edge/journal/eraser.h"
#include "edge/journal/file.h"
#include "edge/journal/journal_files.h"
#include "edge/journal/journal_writer.h"

namespace sheaf::journal {

// The writer's thread's end of a journal: batches of records into files. When the disk refuses, opens and closes are
// kept until it takes them, packets become lost records that are written then. A silence that reaches back erases
// before anything behind it is written; where that fails it is tried again, and no segment is handed out before. One
// thread.
class Appender {
public:
    Appender(JournalOptions options, JournalFiles& files, JournalWriter::Hooks hooks);

    // `batch`: whole records as the intake made them, without checksums.
    void append(Stamp now, std::span<std::uint8_t> batch);
    // Tries again what is owed, if it is time to.
    void retry(Stamp now);
    // Syncs what was written and hands out the segments that closed before.
    void sync();
    [[nodiscard]] bool unsynced() const { return unsynced_; }
    [[nodiscard]] bool has_closed() const { return !closed_.empty(); }
    [[nodiscard]] bool owes() const { return !owed_.empty() || !erasures_.empty(); }
    void finish();  // syncs and ends the file

    std::uint64_t bytes = 0;
    std::uint64_t unwritten = 0;  // packets
    std::uint64_t errors = 0;

private:
    struct Slot {
        bool running = false;
        ClosedSegment segment;
        std::optional<media::LostRecord> unsynced[2];  // what the last sync did not cover
    };
    using Piece = std::span<std::uint8_t>;  // one record, with its padding
    struct Owed {
        media::RecordType type;
        media::Channel channel;
        media::SegmentSlot slot;
        Instant when;
        std::vector<std::uint8_t> payload;
        media::LostRecord lost;  // of type lost
    };

    static std::vector<Piece> pieces_of(std::span<std::uint8_t> batch);
    bool write(Stamp now, std::span<const Piece> pieces);
    bool write_plain(Stamp now, std::span<const Piece>& pieces);
    Result<void> erase_before(Stamp now, const Piece& silence);
    void erase();
    void hand_out();
    Result<void> write_run(std::span<const Piece> pieces);
    Result<void> next_file(Stamp now);
    void written(const media::JournalRecord& record, std::uint64_t offset, std::uint32_t size);
    void closed(media::SegmentSlot slot);
    void owe(const media::JournalRecord& record);
    void owe_lost(media::SegmentSlot slot, media::Channel channel, const media::LostRecord& lost);
    void trouble(const Error& error);

    JournalOptions options_;
    JournalFiles& files_;
    JournalWriter::Hooks hooks_;
    File file_;
    std::uint64_t number_ = 0;
    std::uint64_t offset_ = 0;
    std::uint32_t seed_ = 0;
    bool unsynced_ = false;
    std::vector<Slot> slots_;
    std::vector<ClosedSegment> closed_;  // wait for a sync
    std::vector<Owed> owed_;
    std::map<std::pair<media::SegmentSlot, media::Channel>, std::size_t> owed_lost_;  // the open lost record of a slot
    std::vector<Erasure> erasures_;                                                   // logged, and not carried out yet
    Instant retry_at_{};
    std::vector<std::uint8_t> run_;
};

}  // namespace sheaf::journal
