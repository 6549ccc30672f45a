// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/assert.h"
#include "media/cutter.h"
#include "media/journal_format.h"

// Any bytes are read as a journal: every record that comes out is whole and lies behind the one before, and a segment
// can be cut from whatever records there are. Read as they stand, and once more with checksums made right.
namespace sheaf::media {
namespace {

std::vector<std::uint8_t> mended(Bytes bytes) {
    std::vector<std::uint8_t> out(bytes.begin(), bytes.end());
    if (out.size() < kJournalHeaderBytes) return out;
    const std::uint32_t seed = crc32c(Bytes(out).first(kJournalHeaderBytes - 4));
    write_u32le(&out[kJournalHeaderBytes - 4], seed);
    for (std::size_t at = kJournalHeaderBytes; at + kRecordHeaderBytes <= out.size();) {
        const std::size_t payload = read_u32le(&out[at + 4]);
        if (payload > out.size() - at - kRecordHeaderBytes) break;
        seal_record(std::span(out).subspan(at), seed);
        at += record_bytes(payload);
    }
    return out;
}

void read(Bytes bytes) {
    MemorySource source(bytes);
    auto reader = JournalReader::open(source);
    if (!reader) return;
    MemorySink sink;
    SegmentWriter writer(sink);
    Cutter cutter(writer, SegmentHeader{});
    ASSERT(cutter.begin().has_value());
    std::uint64_t end = kJournalHeaderBytes;
    while (true) {
        auto at = reader->next();
        ASSERT(at.has_value());
        if (!*at) break;
        const JournalRecord& record = (*at)->record;
        ASSERT((*at)->offset >= end && (*at)->offset % 8 == 0);
        end = (*at)->offset + kRecordHeaderBytes + record.payload.size();
        ASSERT(end <= bytes.size());
        ASSERT(record.slot < kSegmentsRunningMax);
        if (const auto places = places_from(record); record.type == RecordType::erasure && places) {
            // Whatever it names, the record that takes the place is whole and fills it.
            for (const ErasedPlace& place : *places) {
                const auto erased = erased_record(place, record.slot, reader->seed());
                const auto read = record_at(erased, reader->seed());
                ASSERT(erased.size() == place.bytes && read && record_bytes(read->payload.size()) == erased.size());
            }
        }
        ASSERT(cutter.add(record).has_value());
    }
    ASSERT(reader->damaged_bytes() <= bytes.size());
    ASSERT(cutter.finish(WallTime{}).has_value());
    MemorySource cut(sink.data);
    auto segment = SegmentReader::open(cut);
    ASSERT(segment.has_value());
    while (true) {
        auto item = segment->next();
        ASSERT(item.has_value());
        if (!*item) break;
    }
    ASSERT(segment->state().sealed && segment->state().digest_matches && segment->state().damaged_chunks == 0);
}

}  // namespace
}  // namespace sheaf::media

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const sheaf::Bytes bytes(data, size);
    sheaf::media::read(bytes);
    sheaf::media::read(sheaf::media::mended(bytes));
    return 0;
}
