// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "media/capture.h"
#include "media/pack.h"

// The capture journal's bytes (docs/formats/journal.md).
namespace sheaf::media {

inline constexpr std::size_t kJournalHeaderBytes = 1'024;
inline constexpr std::size_t kRecordHeaderBytes = 24;
inline constexpr std::size_t kRecordPayloadMax = 65'536;

struct JournalHeader {
    std::uint32_t worker = 0;
    std::uint64_t number = 0;
    std::uint64_t file_bytes = 0;
    Stamp made = {};
    TenantId tenant = {};
    SiteId site = {};
    NodeId node = {};
};

enum class RecordType : std::uint8_t {
    open = 1,
    packet = 2,
    close = 3,
    lost = 4,
    continued = 5,
    silence = 6,
    resume = 7,
    erased = 8,   // stands where packets stood
    erasure = 9,  // names places that become `erased`
};

struct JournalRecord {
    RecordType type = RecordType::packet;
    Channel channel = Channel::said;
    SegmentSlot slot = 0;
    Instant when{};
    Bytes payload;  // valid until the reader's next step
};

enum class LostReason : std::uint8_t { buffer = 1, disk = 2 };
struct LostRecord {
    Instant from{};
    Instant to{};
    std::uint64_t packets = 0;
    LostReason reason = LostReason::buffer;
};

struct SilenceRecord {
    Instant from{};  // at most the record's moment; what the segment stored in between is erased
    Silence silence;
    std::optional<Instant> to{};  // nothing is silent by it, and what was stored from here on stays
};
struct ErasedRecord {  // how many packets it stands for
    std::uint64_t said = 0;
    std::uint64_t heard = 0;
};
// A place in a journal file, this one or an older one, that holds packets of one segment and nothing else.
struct ErasedPlace {
    std::uint64_t file = 0;
    std::uint64_t offset = 0;
    std::uint32_t bytes = 0;  // kErasedBytesMin to kErasedBytesMax, a multiple of 8
    std::uint32_t said = 0;   // packets
    std::uint32_t heard = 0;
    Instant when{};  // of the first
};
inline constexpr std::size_t kErasedBytesMin = kRecordHeaderBytes + 16;
inline constexpr std::size_t kErasedBytesMax = kRecordHeaderBytes + kRecordPayloadMax;
inline constexpr std::size_t kErasedPlacesMax = 1'024;  // of one erasure record
[[nodiscard]] bool is_place(const ErasedPlace& place);  // whether a journal can have one there, of that size

// The header's bytes and the seed that its records' checksums continue.
struct JournalHeaderBytes {
    std::array<std::uint8_t, kJournalHeaderBytes> bytes{};
    std::uint32_t seed = 0;
};
[[nodiscard]] JournalHeaderBytes to_bytes(const JournalHeader& header);

[[nodiscard]] constexpr std::size_t record_bytes(std::size_t payload) {
    return (kRecordHeaderBytes + payload + 7) & ~std::size_t{7};
}
// Everything but the checksum, into kRecordHeaderBytes at `out`. No allocation: used on the packet path.
void write_record_header(std::uint8_t* out, const JournalRecord& record);
// Puts the checksum into a record of `record_bytes(payload)` bytes.
void seal_record(std::span<std::uint8_t> record, std::uint32_t seed);
// A record's fields without asking for its checksum, of bytes that we wrote ourselves.
[[nodiscard]] JournalRecord peek_record(Bytes record);

// The record at the front of bytes from a file, if there is a whole one whose checksum is right.
[[nodiscard]] std::optional<JournalRecord> record_at(Bytes bytes, std::uint32_t seed);

[[nodiscard]] std::vector<std::uint8_t> open_payload(const SegmentHead& head);  // of open and continued
[[nodiscard]] std::vector<std::uint8_t> close_payload(const SegmentTail& tail);
[[nodiscard]] std::vector<std::uint8_t> lost_payload(const LostRecord& lost);
[[nodiscard]] std::vector<std::uint8_t> silence_payload(const SilenceRecord& silence);
[[nodiscard]] std::vector<std::uint8_t> resume_payload(const std::string& label);
[[nodiscard]] std::vector<std::uint8_t> erasure_payload(std::span<const ErasedPlace> places);  // ≤ kErasedPlacesMax
// The whole record that takes a place's bytes, sealed.
[[nodiscard]] std::vector<std::uint8_t> erased_record(const ErasedPlace& place, SegmentSlot slot, std::uint32_t seed);
[[nodiscard]] Result<SilenceRecord> silence_from(const JournalRecord& silence);
[[nodiscard]] Result<std::string> label_from(const JournalRecord& resume);
[[nodiscard]] Result<ErasedRecord> erased_from(const JournalRecord& erased);
[[nodiscard]] Result<std::vector<ErasedPlace>> places_from(const JournalRecord& erasure);
// Packets counted as stored that were erased afterwards.
void count_erased(SegmentTail& tail, const ErasedRecord& erased);

[[nodiscard]] Result<SegmentHead> head_from(const JournalRecord& open);
[[nodiscard]] Result<SegmentTail> tail_from(const JournalRecord& close);
[[nodiscard]] Result<LostRecord> lost_from(const JournalRecord& lost);

// Reads one journal file front to back, over damage.
class JournalReader {
public:
    // Errors: malformed, unsupported (version), io.
    [[nodiscard]] static Result<JournalReader> open(ByteSource& source);
    [[nodiscard]] const JournalHeader& header() const { return header_; }
    [[nodiscard]] std::uint32_t seed() const { return seed_; }

    struct At {
        std::uint64_t offset = 0;  // of the record in the file
        JournalRecord record;
    };
    // The next whole record; nullopt at the end.
    [[nodiscard]] Result<std::optional<At>> next();
    [[nodiscard]] std::uint64_t damaged_bytes() const { return damaged_; }

private:
    explicit JournalReader(ByteSource& source) : source_(&source) {}
    Result<bool> have(std::size_t bytes);
    [[nodiscard]] const std::uint8_t* here() const { return buffer_.data() + (at_ - base_); }
    Result<bool> whole_record(std::size_t& length);
    void skip_blank();

    ByteSource* source_;
    JournalHeader header_;
    std::uint32_t seed_ = 0;
    std::uint64_t base_ = 0;  // file offset of buffer_'s first byte
    std::uint64_t at_ = kJournalHeaderBytes;
    std::vector<std::uint8_t> buffer_;
    std::size_t filled_ = 0;
    std::uint64_t damaged_ = 0;
    std::uint64_t suspect_from_ = 0;  // end of the last record when something that is none was met; 0: none
    std::uint64_t suspect_ = 0;       // bytes from there to the last that was not blank
};

}  // namespace sheaf::media
