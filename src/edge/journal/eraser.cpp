// SPDX-License-Identifier: Apache-2.0
#include "edge/journal/eraser.h"

#include <algorithm>

#include "edge/journal/extent_reader.h"
#include "edge/journal/file.h"

namespace sheaf::journal {
namespace {

using media::ErasedPlace;
using media::RecordType;

// Moments of one segment go back a little from record to record: a packet's is when the kernel had it.
constexpr std::chrono::seconds kDisorderMax{2};

// Gathers packets that stand side by side into places.
class Places {
public:
    Places(Erasure& out, const Extent& extent) : out_(out), extent_(extent) {}

    void packet(const media::JournalRecord& record, std::size_t at, std::size_t size) {
        const std::uint64_t offset = extent_.offset + at;
        const bool goes_on = open_ && out_.places.back().offset + out_.places.back().bytes == offset &&
                             out_.places.back().bytes + size <= media::kErasedBytesMax;
        if (!goes_on) out_.places.push_back({.file = extent_.file, .offset = offset, .when = record.when});
        open_ = true;
        ErasedPlace& place = out_.places.back();
        place.bytes += static_cast<std::uint32_t>(size);
        ++(record.channel == media::Channel::said ? place.said : place.heard);
    }

private:
    Erasure& out_;
    const Extent& extent_;
    bool open_ = false;  // the last place is of this extent
};

// Whether a place holds nothing but packets of the slot, or what an erasure broken off has made of them.
bool is_ours(Bytes bytes, media::SegmentSlot slot, std::uint32_t seed) {
    while (bytes.size() >= media::kRecordHeaderBytes) {
        const auto record = media::record_at(bytes, seed);
        if (!record) {
            bytes = bytes.subspan(8);
            continue;
        }
        const bool is_voice = record->type == RecordType::packet || record->type == RecordType::erased;
        if (!is_voice || record->slot != slot) return false;
        bytes = bytes.subspan(std::min(media::record_bytes(record->payload.size()), bytes.size()));
    }
    return true;
}

// One journal file open to be erased in.
class Target {
public:
    static Result<Target> open(const std::string& path) {
        Target target;
        TRY(target.file_, File::open_write(path));
        FileSource source(target.file_);
        TRY(const media::JournalReader reader, media::JournalReader::open(source));
        target.seed_ = reader.seed();
        TRY(target.size_, target.file_.size());
        return target;
    }
    Result<void> erase(const ErasedPlace& place, media::SegmentSlot slot) {
        if (place.offset + place.bytes > size_) return fail(Errc::conflict, file_.path() + ": a place behind its end");
        buffer_.resize(place.bytes);
        TRY(const std::size_t got, file_.read_at(place.offset, buffer_));
        const bool ours = got == place.bytes && is_ours(buffer_, slot, seed_);
        const auto record = media::erased_record(place, slot, seed_);
        const bool is_done = ours && std::ranges::equal(buffer_, record);
        std::ranges::fill(buffer_, std::uint8_t{0});
        if (!ours) return fail(Errc::conflict, file_.path() + ": a place to erase holds something else");
        if (is_done) return {};
        return file_.write_at(place.offset, record);
    }
    Result<void> sync() { return file_.sync(); }

private:
    File file_;
    std::uint32_t seed_ = 0;
    std::uint64_t size_ = 0;
    std::vector<std::uint8_t> buffer_;
};

}  // namespace

Result<Erasure> plan_erasure(const JournalFiles& files, media::SegmentSlot slot, const std::vector<Extent>& extents,
                             Instant from, std::optional<Instant> to,
                             const std::function<void(const Error&)>& on_unreadable) {
    Erasure out{.slot = slot, .places = {}};
    ExtentReader reader(files);
    for (auto extent = extents.rbegin(); extent != extents.rend(); ++extent) {
        const auto bytes = reader.read(*extent);
        if (!bytes) {
            if (bytes.error().code == Errc::exhausted) return std::unexpected(bytes.error());
            on_unreadable(bytes.error());
            continue;
        }
        Bytes rest = *bytes;
        Places places(out, *extent);
        std::optional<Instant> newest;
        for (std::size_t at = 0; at < extent->bytes;) {
            const auto record = media::record_at(rest, reader.seed());
            if (!record) break;
            const std::size_t size = std::min(media::record_bytes(record->payload.size()), rest.size());
            if (record->type == RecordType::packet) {
                newest = std::max(newest.value_or(record->when), record->when);
                if (record->when >= from && (!to || record->when < *to)) places.packet(*record, at, size);
            }
            rest = rest.subspan(size);
            at += size;
        }
        if (newest && *newest + kDisorderMax < from) break;
    }
    return out;
}

Result<void> carry_out(const JournalFiles& files, const Erasure& erasure) {
    Result<void> outcome;
    std::vector<ErasedPlace> places = erasure.places;
    std::ranges::sort(places, {}, [](const ErasedPlace& p) { return std::pair(p.file, p.offset); });
    for (auto first = places.begin(); first != places.end();) {
        const auto last =
            std::find_if(first, places.end(), [&](const ErasedPlace& p) { return p.file != first->file; });
        auto target = Target::open(files.path_of(first->file));
        if (!target) {
            if (target.error().code != Errc::not_found) outcome = std::unexpected(target.error());
        } else {
            for (auto place = first; place != last; ++place) {
                if (auto done = target->erase(*place, erasure.slot); !done) outcome = std::move(done);
            }
            if (auto done = target->sync(); !done) outcome = std::move(done);
        }
        first = last;
    }
    return outcome;
}

}  // namespace sheaf::journal
