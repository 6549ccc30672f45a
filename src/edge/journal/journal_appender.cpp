// SPDX-License-Identifier: Apache-2.0
#include "edge/journal/journal_appender.h"

#include <algorithm>

#include "base/assert.h"

namespace sheaf::journal {
namespace {

using media::JournalRecord;
using media::RecordType;
constexpr std::chrono::milliseconds kRetry{250};

media::SegmentSlot slot_of(std::span<const std::uint8_t> piece) {
    return read_u32le(&piece[12]);
}

// A silence that takes back what was stored.
bool erases(std::span<const std::uint8_t> piece) {
    const JournalRecord record = media::peek_record(piece);
    if (record.type != RecordType::silence) return false;
    const auto silence = media::silence_from(record);
    return silence && silence->from < silence->to.value_or(record.when);
}

void widen(std::optional<media::LostRecord>& lost, Instant when) {
    if (!lost) lost = media::LostRecord{when, when, 0, media::LostReason::disk};
    lost->from = std::min(lost->from, when);
    lost->to = std::max(lost->to, when);
    ++lost->packets;
}

}  // namespace

Appender::Appender(JournalOptions options, JournalFiles& files, JournalWriter::Hooks hooks)
    : options_(std::move(options)), files_(files), hooks_(std::move(hooks)), slots_(options_.segments_max) {}

void Appender::trouble(const Error& error) {
    ++errors;
    if (hooks_.on_trouble) hooks_.on_trouble(error);
}

std::vector<Appender::Piece> Appender::pieces_of(std::span<std::uint8_t> batch) {
    std::vector<Piece> pieces;
    while (!batch.empty()) {
        const std::size_t payload = read_u32le(&batch[4]);
        const std::size_t whole = media::record_bytes(payload);
        ASSERT(whole <= batch.size());
        // The ring's padding is whatever was there before.
        std::ranges::fill(
            batch.subspan(media::kRecordHeaderBytes + payload, whole - media::kRecordHeaderBytes - payload),
            std::uint8_t{0});
        pieces.push_back(batch.first(whole));
        batch = batch.subspan(whole);
    }
    // Records of a segment together, in their order: they lie one behind the other in the batch.
    std::ranges::sort(pieces, {}, [](const Piece& piece) { return std::pair(slot_of(piece), piece.data()); });
    return pieces;
}

void Appender::append(Stamp now, std::span<std::uint8_t> batch) {
    const std::vector<Piece> pieces = pieces_of(batch);
    retry(now);
    if (!owed_.empty()) {
        for (const Piece& piece : pieces) owe(media::peek_record(piece));
        return;
    }
    if (!write(now, pieces)) retry_at_ = now.mono + kRetry;
}

void Appender::retry(Stamp now) {
    if (!owes() || now.mono < retry_at_) return;
    retry_at_ = now.mono + kRetry;
    if (!erasures_.empty()) erase();
    if (owed_.empty()) return;
    std::vector<std::uint8_t> batch;
    for (const Owed& owed : owed_) {
        const auto payload = owed.type == RecordType::lost ? media::lost_payload(owed.lost) : owed.payload;
        const std::size_t at = batch.size();
        batch.resize(at + media::record_bytes(payload.size()));
        media::write_record_header(&batch[at], {owed.type, owed.channel, owed.slot, owed.when, payload});
        std::ranges::copy(payload, batch.begin() + static_cast<std::ptrdiff_t>(at + media::kRecordHeaderBytes));
    }
    owed_.clear();
    owed_lost_.clear();
    if (!write(now, pieces_of(batch))) retry_at_ = now.mono + kRetry;
}

// False when the disk refused; what it did not take is owed then.
bool Appender::write(Stamp now, std::span<const Piece> pieces) {
    while (!pieces.empty()) {
        auto group = pieces.first(static_cast<std::size_t>(std::ranges::find_if(pieces, erases) - pieces.begin()));
        pieces = pieces.subspan(group.size());
        bool done = write_plain(now, group);
        if (done && !pieces.empty()) {
            group = pieces.first(1);
            pieces = pieces.subspan(1);
            const auto erased = erase_before(now, group.front());
            if (!erased) trouble(erased.error());
            done = erased && write_plain(now, group);
            if (done) erase();
            done = done && owed_.empty();  // a sync that failed owes what comes before the rest
        }
        if (done) continue;
        for (const auto& left : {group, pieces}) {
            for (const Piece& piece : left) owe(media::peek_record(piece));
        }
        return false;
    }
    return true;
}

// False when the disk refused: `pieces` is what it did not take.
bool Appender::write_plain(Stamp now, std::span<const Piece>& pieces) {
    while (!pieces.empty()) {
        std::size_t last = 0;
        std::uint64_t size = 0;
        while (last < pieces.size() && offset_ + size + pieces[last].size() <= options_.file_bytes) {
            size += pieces[last++].size();
        }
        Result<void> done;
        if (!file_.is_open() || last == 0) {
            done = next_file(now);
        } else {
            done = write_run(pieces.first(last));
            if (done) pieces = pieces.subspan(last);
        }
        if (!done) {
            trouble(done.error());
            return false;
        }
    }
    return true;
}

Result<void> Appender::write_run(std::span<const Piece> pieces) {
    run_.clear();
    for (const Piece& piece : pieces) {
        media::seal_record(piece, seed_);
        run_.insert(run_.end(), piece.begin(), piece.end());
    }
    const auto done = file_.write_at(offset_, run_);
    const std::size_t size = run_.size();
    std::ranges::fill(run_, std::uint8_t{0});
    TRY_VOID(done);
    unsynced_ = true;
    for (const Piece& piece : pieces) {
        const auto length = static_cast<std::uint32_t>(piece.size());
        written(media::peek_record(piece), offset_, length);
        offset_ += length;
    }
    bytes += size;
    return {};
}

// Before a silence that reaches back is in the journal, what it erases is: whoever finds one after a crash can finish.
Result<void> Appender::erase_before(Stamp now, const Piece& silence) {
    const JournalRecord record = media::peek_record(silence);
    TRY(const media::SilenceRecord read, media::silence_from(record));
    ASSERT(slots_[record.slot].running);
    const auto unreadable = [this](const Error& error) { trouble(error); };
    TRY(Erasure erasure,
        plan_erasure(files_, record.slot, slots_[record.slot].segment.extents, read.from, read.to, unreadable));
    if (erasure.places.empty()) return {};
    std::vector<std::uint8_t> batch;
    for (std::size_t first = 0; first < erasure.places.size(); first += media::kErasedPlacesMax) {
        const auto rest = std::span<const media::ErasedPlace>(erasure.places).subspan(first);
        const auto payload = media::erasure_payload(rest.first(std::min(rest.size(), media::kErasedPlacesMax)));
        const std::size_t at = batch.size();
        batch.resize(at + media::record_bytes(payload.size()));
        media::write_record_header(&batch[at],
                                   {RecordType::erasure, media::Channel::said, record.slot, record.when, payload});
        std::ranges::copy(payload, batch.begin() + static_cast<std::ptrdiff_t>(at + media::kRecordHeaderBytes));
    }
    const std::vector<Piece> made = pieces_of(batch);
    std::span<const Piece> pieces = made;
    if (!write_plain(now, pieces)) return fail(Errc::io, "an erasure cannot be noted in the journal yet");
    erasures_.push_back(std::move(erasure));
    return {};
}

void Appender::erase() {
    if (erasures_.empty()) return;
    sync();  // a power loss finds the note or the packets untouched
    std::erase_if(erasures_, [this](const Erasure& erasure) {
        const auto done = carry_out(files_, erasure);
        if (!done) trouble(done.error());
        return done.has_value();
    });
    hand_out();
}

void Appender::written(const JournalRecord& record, std::uint64_t offset, std::uint32_t size) {
    Slot& slot = slots_[record.slot];
    if (record.type == RecordType::open) {
        auto head = media::head_from(record);
        ASSERT(head);
        slot = {};
        slot.running = true;
        slot.segment = {.head = std::move(*head),
                        .tenant = options_.tenant,
                        .site = options_.site,
                        .node = options_.node,
                        .extents = {},
                        .slot = record.slot};
    }
    ASSERT(slot.running);
    std::vector<Extent>& extents = slot.segment.extents;
    const bool goes_on = !extents.empty() && extents.back().file == number_ &&
                         extents.back().offset + extents.back().bytes == offset &&
                         extents.back().bytes + size <= kExtentBytesMax;
    if (extents.empty() || extents.back().file != number_) files_.mention(number_, slot.segment.head.segment);
    if (goes_on) {
        extents.back().bytes += size;
    } else {
        extents.push_back({number_, offset, size, false});
    }
    if (record.type == RecordType::packet) widen(slot.unsynced[static_cast<std::size_t>(record.channel)], record.when);
    if (record.type == RecordType::close) closed(record.slot);
}

void Appender::closed(media::SegmentSlot slot) {
    Slot& s = slots_[slot];
    for (auto& lost : s.unsynced) {  // kept in case the sync fails
        if (!lost) continue;
        auto& sum = s.segment.not_synced;
        if (!sum) sum = media::LostRecord{lost->from, lost->to, 0, media::LostReason::disk};
        sum->from = std::min(sum->from, lost->from);
        sum->to = std::max(sum->to, lost->to);
        sum->packets += lost->packets;
    }
    closed_.push_back(std::move(s.segment));
    s = {};
}

Result<void> Appender::next_file(Stamp now) {
    if (file_.is_open()) {
        sync();
        // A failed sync has closed the file and owes what it lost: the rest of the batch waits behind that, in order.
        if (!file_.is_open()) return fail(Errc::io, "the journal could not be synced");
        file_.close();
        auto ended = files_.ended(number_);
        if (!ended) trouble(ended.error());
    }
    const std::uint64_t number = files_.next_number();
    const std::string path = files_.path_of(number);
    std::vector<std::uint8_t> continued;
    const auto header = media::to_bytes({.worker = options_.worker,
                                         .number = number,
                                         .file_bytes = options_.file_bytes,
                                         .made = now,
                                         .tenant = options_.tenant,
                                         .site = options_.site,
                                         .node = options_.node});
    std::vector<std::pair<media::SegmentSlot, Extent>> extents;
    for (media::SegmentSlot i = 0; i < slots_.size(); ++i) {
        if (!slots_[i].running) continue;
        const auto payload = media::open_payload(slots_[i].segment.head);
        const std::size_t size = media::record_bytes(payload.size());
        // They help only when an older file is damaged; they may not fill this one.
        if (continued.size() + size > options_.file_bytes / 2) break;
        const std::size_t at = continued.size();
        continued.resize(at + size);
        media::write_record_header(&continued[at], {RecordType::continued, media::Channel::said, i,
                                                    slots_[i].segment.head.opened.mono, payload});
        std::ranges::copy(payload, continued.begin() + static_cast<std::ptrdiff_t>(at + media::kRecordHeaderBytes));
        media::seal_record(std::span(continued).subspan(at, size), header.seed);
        extents.push_back({i, {number, media::kJournalHeaderBytes + at, static_cast<std::uint32_t>(size), false}});
    }
    const auto make = [&]() -> Result<File> {
        TRY(File file, File::create(path));
        TRY_VOID(file.allocate(options_.file_bytes));
        TRY_VOID(file.write_at(0, header.bytes));
        TRY_VOID(file.write_at(media::kJournalHeaderBytes, continued));
        TRY_VOID(file.sync());
        TRY_VOID(sync_folder(path.substr(0, path.rfind('/'))));
        return file;
    };
    auto made = make();
    if (!made) {
        auto removed = remove_file(path);  // half a file without a segment's record would stay for ever
        if (!removed) trouble(removed.error());
        return std::unexpected(made.error());
    }
    file_ = std::move(*made);
    number_ = number;
    seed_ = header.seed;
    offset_ = media::kJournalHeaderBytes + continued.size();
    files_.began(number);
    for (const auto& [slot, extent] : extents) {
        files_.mention(number, slots_[slot].segment.head.segment);
        slots_[slot].segment.extents.push_back(extent);
    }
    return {};
}

void Appender::owe(const JournalRecord& record) {
    if (record.type == RecordType::packet) {
        ++unwritten;
        return owe_lost(record.slot, record.channel, {record.when, record.when, 1, media::LostReason::disk});
    }
    if (record.type != RecordType::lost) {  // what is lost behind it is told behind it
        owed_lost_.erase({record.slot, media::Channel::said});
        owed_lost_.erase({record.slot, media::Channel::heard});
    }
    if (record.type == RecordType::lost) {
        const auto lost = media::lost_from(record);
        if (lost && lost->reason == media::LostReason::disk) return owe_lost(record.slot, record.channel, *lost);
    }
    Owed owed{record.type, record.channel, record.slot, record.when, {record.payload.begin(), record.payload.end()},
              {}};
    if (record.type == RecordType::lost) owed.lost = media::lost_from(record).value_or(media::LostRecord{});
    owed_.push_back(std::move(owed));
}

void Appender::owe_lost(media::SegmentSlot slot, media::Channel channel, const media::LostRecord& lost) {
    const auto [at, fresh] = owed_lost_.try_emplace({slot, channel}, owed_.size());
    if (fresh) {
        owed_.push_back({RecordType::lost, channel, slot, lost.from, {}, lost});
        return;
    }
    media::LostRecord& sum = owed_[at->second].lost;
    sum.from = std::min(sum.from, lost.from);
    sum.to = std::max(sum.to, lost.to);
    sum.packets += lost.packets;
}

// After a failed sync nobody knows what the disk holds (a second sync may lie): all since the last is called lost, and
// the file is left.
void Appender::sync() {
    if (unsynced_) {
        auto done = file_.sync();
        unsynced_ = false;
        if (!done) {
            trouble(done.error());
            file_.close();
            auto ended = files_.ended(number_);
            if (!ended) trouble(ended.error());
        }
        for (media::SegmentSlot i = 0; i < slots_.size(); ++i) {
            for (std::size_t c = 0; c < 2; ++c) {
                auto& lost = slots_[i].unsynced[c];
                if (lost && !done) owe_lost(i, static_cast<media::Channel>(c), *lost);
                lost.reset();
            }
        }
        if (done) {
            for (ClosedSegment& segment : closed_) segment.not_synced.reset();
        }
    }
    hand_out();
}

void Appender::hand_out() {
    if (unsynced_ || !erasures_.empty()) return;
    for (ClosedSegment& segment : closed_) hooks_.on_closed(std::move(segment));
    closed_.clear();
}

void Appender::finish() {
    sync();
    erase();
    if (!file_.is_open()) return;
    file_.close();
    auto ended = files_.ended(number_);
    if (!ended) trouble(ended.error());
}

}  // namespace sheaf::journal
