// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "base/bytes.h"
#include "edge/journal/late_erasure.h"
#include "media/journal_format.h"
#include "media/segment_format.h"

// Any text is refused as a note of a late erasure, or can be acted upon: what it names is within every limit of the
// journal and the segment file, and it is written back as it was understood.
namespace sheaf::journal {
namespace {

void check(const ErasureNote& note) {
    ASSERT(!note.segment.empty() && note.segment.text().size() <= media::kIdTextMax);
    ASSERT(media::file_name_of(note.segment).find('/') == std::string::npos);
    ASSERT(!note.silence.label.empty() && note.silence.label.size() <= media::kLabelTextMax);
    ASSERT(note.silence.by.size() <= media::kByTextMax);
    ASSERT(note.after >= Duration::zero());
    ASSERT(note.journal.slot < media::kSegmentsRunningMax);
    for (const media::ErasedPlace& place : note.journal.places) {
        ASSERT(place.offset <= UINT64_MAX - place.bytes);
        const auto record = media::erased_record(place, note.journal.slot, 1);
        const auto read = media::record_at(record, 1);
        ASSERT(record.size() == place.bytes && read && read->when == place.when);
        const auto counts = media::erased_from(*read);
        ASSERT(counts && counts->said == place.said && counts->heard == place.heard);
    }
}

}  // namespace
}  // namespace sheaf::journal

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sheaf::journal;
    const auto note = note_from_text(sheaf::as_text({data, size}));
    if (!note) return 0;
    check(*note);
    const auto text = to_text(*note);
    ASSERT(text.has_value());
    const auto again = note_from_text(*text);
    ASSERT(again.has_value() && to_text(*again) == text);
    return 0;
}
