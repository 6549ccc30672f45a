// SPDX-License-Identifier: Apache-2.0
#include "edge/journal/journal_scan.h"

#include <algorithm>
#include <map>

#include "edge/journal/eraser.h"
#include "edge/journal/file.h"

namespace sheaf::journal {
namespace {

using media::RecordType;

class Scanner {
public:
    Scanner(JournalFiles& files, JournalScan& out) : files_(files), out_(out) {}

    Result<void> scan(std::uint64_t number) {
        const std::string path = files_.path_of(number);
        TRY(const File file, File::open_read(path));
        FileSource source(file);
        auto reader = media::JournalReader::open(source);
        if (!reader) {
            // Made, but the process died before its header was written: nothing was ever in it.
            std::vector<std::uint8_t> head(media::kJournalHeaderBytes);
            TRY(const std::size_t got, file.read_at(0, head));
            const bool blank = std::all_of(head.begin(), head.begin() + static_cast<std::ptrdiff_t>(got),
                                           [](std::uint8_t b) { return b == 0; });
            if (blank) return remove_file(path);
            return fail(reader.error().code, path + ": " + reader.error().what);
        }
        files_.began(number);
        std::uint64_t damaged = 0;
        while (true) {
            TRY(const auto at, reader->next());
            if (!at) break;
            if (reader->damaged_bytes() != damaged) {
                for (auto& [slot, running] : running_) running.after_damage = true;
                damaged = reader->damaged_bytes();
            }
            add(number, *at, reader->header());
        }
        out_.damaged_bytes += reader->damaged_bytes();
        return files_.ended(number);
    }

    void finish() {
        for (auto& [slot, running] : running_) push(std::move(running.segment), true);
        running_.clear();
    }

private:
    void add(std::uint64_t number, const media::JournalReader::At& at, const media::JournalHeader& header) {
        const media::JournalRecord& record = at.record;
        auto found = running_.find(record.slot);
        if (record.type == RecordType::open || record.type == RecordType::continued) {
            auto head = media::head_from(record);
            if (!head) return;
            const bool same = found != running_.end() && found->second.segment.head.segment == head->segment;
            if (!same) {
                if (found != running_.end()) push(std::move(found->second.segment), true);
                running_[record.slot].segment = {.head = std::move(*head),
                                                 .tenant = header.tenant,
                                                 .site = header.site,
                                                 .node = header.node,
                                                 .extents = {},
                                                 .slot = record.slot};
                found = running_.find(record.slot);
            }
        }
        if (found == running_.end()) return;  // its opening was in a part that is damaged
        ClosedSegment& segment = found->second.segment;
        std::vector<Extent>& extents = segment.extents;
        const auto size = static_cast<std::uint32_t>(media::record_bytes(record.payload.size()));
        if (extents.empty() || extents.back().file != number) files_.mention(number, segment.head.segment);
        if (!extents.empty() && !found->second.after_damage && extents.back().file == number &&
            extents.back().offset + extents.back().bytes == at.offset &&
            extents.back().bytes + size <= kExtentBytesMax) {
            extents.back().bytes += size;
        } else {
            extents.push_back({number, at.offset, size, found->second.after_damage});
        }
        found->second.after_damage = false;
        if (record.type == RecordType::close) {
            push(std::move(segment), false);
            running_.erase(found);
        }
    }

    void push(ClosedSegment segment, bool recovered) {
        segment.recovered = recovered;
        out_.segments.push_back(std::move(segment));
    }

    JournalFiles& files_;
    JournalScan& out_;
    struct Running {
        ClosedSegment segment;
        bool after_damage = false;
    };
    std::map<media::SegmentSlot, Running> running_;
};

// Whatever an erasure names is gone already, is there, or was caught half way: the note is enough to make it gone.
Result<void> finish_erasures(const JournalFiles& files, std::uint64_t number) {
    const auto file = File::open_read(files.path_of(number));
    if (!file) return {};  // what cannot be read is told when it is scanned
    FileSource source(*file);
    auto reader = media::JournalReader::open(source);
    if (!reader) return {};
    Result<void> outcome;
    for (auto at = reader->next(); at && *at; at = reader->next()) {
        if ((*at)->record.type != RecordType::erasure) continue;
        auto places = media::places_from((*at)->record);
        if (!places) continue;
        auto done = carry_out(files, {.slot = (*at)->record.slot, .places = std::move(*places)});
        if (!done && done.error().code != Errc::conflict) outcome = std::move(done);
    }
    return outcome;
}

}  // namespace

JournalScan scan_journals(JournalFiles& files) {
    JournalScan out;
    for (const std::uint64_t number : files.left_behind()) {
        auto done = finish_erasures(files, number);
        if (!done) out.troubles.push_back(done.error());
    }
    if (!out.troubles.empty()) return out;
    Scanner scanner(files, out);
    for (const std::uint64_t number : files.left_behind()) {
        auto done = scanner.scan(number);
        if (!done) out.troubles.push_back(done.error());
    }
    scanner.finish();
    return out;
}

}  // namespace sheaf::journal
