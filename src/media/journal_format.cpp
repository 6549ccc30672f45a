// SPDX-License-Identifier: Apache-2.0
#include "media/journal_format.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "media/segment_format.h"

namespace sheaf::media {
namespace {

constexpr std::string_view kMagic = "SHEAFJNL";
constexpr std::uint16_t kVersion = 2;        // written
constexpr std::uint16_t kVersionOldest = 1;  // read: it knows no silences
constexpr std::size_t kPlaceBytes = 36;
constexpr auto kRecordTypeMax = static_cast<std::uint8_t>(RecordType::erasure);
constexpr std::size_t kBufferBytes = 256 * 1024;

void pack_counts(Packer& p, const ChannelCounts& c) {
    p.u64(c.received);
    p.u64(c.stored);
    p.u64(c.duplicate);
    p.u64(c.excluded);
    p.u64(c.overflow);
}

ChannelCounts unpack_counts(Unpacker& u) {
    ChannelCounts c;
    c.received = u.u64();
    c.stored = u.u64();
    c.duplicate = u.u64();
    c.excluded = u.u64();
    c.overflow = u.u64();
    return c;
}

// No more packets than that can have stood in so many bytes.
std::uint64_t packets_most(std::size_t bytes) {
    return bytes / kRecordHeaderBytes;
}

}  // namespace

JournalHeaderBytes to_bytes(const JournalHeader& h) {
    std::vector<std::uint8_t> out;
    Packer p(out);
    p.bytes(as_bytes(kMagic));
    p.u16(kVersion);
    p.u16(0);
    p.u32(h.worker);
    p.u64(h.number);
    p.u64(h.file_bytes);
    p.i64(to_unix_ms(h.made.wall));
    p.i64(h.made.mono.time_since_epoch().count());
    p.text(h.tenant.text(), kIdTextMax);
    p.text(h.site.text(), kIdTextMax);
    p.text(h.node.text(), kIdTextMax);
    JournalHeaderBytes made;
    std::ranges::copy(out, made.bytes.begin());
    made.seed = crc32c(Bytes(made.bytes).first(kJournalHeaderBytes - 4));
    write_u32le(&made.bytes[kJournalHeaderBytes - 4], made.seed);
    return made;
}

void write_record_header(std::uint8_t* out, const JournalRecord& record) {
    write_u32le(out, 0);
    write_u32le(out + 4, static_cast<std::uint32_t>(record.payload.size()));
    out[8] = static_cast<std::uint8_t>(record.type);
    out[9] = static_cast<std::uint8_t>(record.channel);
    write_u16le(out + 10, 0);
    write_u32le(out + 12, record.slot);
    write_u64le(out + 16, static_cast<std::uint64_t>(record.when.time_since_epoch().count()));
}

void seal_record(std::span<std::uint8_t> record, std::uint32_t seed) {
    const std::size_t payload = read_u32le(&record[4]);
    write_u32le(record.data(), crc32c(Bytes(record).subspan(4, kRecordHeaderBytes - 4 + payload), seed));
}

JournalRecord peek_record(Bytes record) {
    const std::size_t payload = read_u32le(&record[4]);
    return {.type = static_cast<RecordType>(record[8]),
            .channel = static_cast<Channel>(record[9]),
            .slot = read_u32le(&record[12]),
            .when = Instant(Duration(static_cast<std::int64_t>(read_u64le(&record[16])))),
            .payload = record.subspan(kRecordHeaderBytes, payload)};
}

std::optional<JournalRecord> record_at(Bytes bytes, std::uint32_t seed) {
    if (bytes.size() < kRecordHeaderBytes) return std::nullopt;
    const std::size_t payload = read_u32le(&bytes[4]);
    const bool plausible = payload <= kRecordPayloadMax && kRecordHeaderBytes + payload <= bytes.size() &&
                           bytes[8] >= 1 && bytes[8] <= kRecordTypeMax && bytes[9] <= 1 && bytes[10] == 0 &&
                           bytes[11] == 0 && read_u32le(&bytes[12]) < kSegmentsRunningMax &&
                           is_moment(static_cast<std::int64_t>(read_u64le(&bytes[16])));
    if (!plausible) return std::nullopt;
    if (read_u32le(bytes.data()) != crc32c(bytes.subspan(4, kRecordHeaderBytes - 4 + payload), seed)) {
        return std::nullopt;
    }
    return peek_record(bytes);
}

std::vector<std::uint8_t> open_payload(const SegmentHead& head) {
    std::vector<std::uint8_t> out;
    Packer p(out);
    p.i64(to_unix_ms(head.opened.wall));
    p.text(head.segment.text(), kIdTextMax);
    p.text(head.calluuid.text(), kIdTextMax);
    p.text(head.connection.text(), kIdTextMax);
    return out;
}

std::vector<std::uint8_t> close_payload(const SegmentTail& tail) {
    std::vector<std::uint8_t> out;
    Packer p(out);
    p.i64(to_unix_ms(tail.sealed.wall));
    pack_counts(p, tail.said);
    pack_counts(p, tail.heard);
    p.text(tail.cause, kCauseTextMax);
    return out;
}

std::vector<std::uint8_t> lost_payload(const LostRecord& lost) {
    std::vector<std::uint8_t> out;
    Packer p(out);
    p.i64(lost.from.time_since_epoch().count());
    p.i64(lost.to.time_since_epoch().count());
    p.u64(lost.packets);
    p.u8(static_cast<std::uint8_t>(lost.reason));
    return out;
}

std::vector<std::uint8_t> silence_payload(const SilenceRecord& silence) {
    std::vector<std::uint8_t> out;
    Packer p(out);
    p.i64(silence.from.time_since_epoch().count());
    p.text(silence.silence.label, kLabelTextMax);
    p.text(silence.silence.by, kByTextMax);
    if (silence.to) p.i64(silence.to->time_since_epoch().count());
    return out;
}

std::vector<std::uint8_t> resume_payload(const std::string& label) {
    std::vector<std::uint8_t> out;
    Packer(out).text(label, kLabelTextMax);
    return out;
}

std::vector<std::uint8_t> erasure_payload(std::span<const ErasedPlace> places) {
    ASSERT(places.size() <= kErasedPlacesMax);
    std::vector<std::uint8_t> out;
    Packer p(out);
    for (const ErasedPlace& place : places) {
        p.u64(place.file);
        p.u64(place.offset);
        p.u32(place.bytes);
        p.u32(place.said);
        p.u32(place.heard);
        p.i64(place.when.time_since_epoch().count());
    }
    return out;
}

std::vector<std::uint8_t> erased_record(const ErasedPlace& place, SegmentSlot slot, std::uint32_t seed) {
    ASSERT(place.bytes >= kErasedBytesMin && place.bytes <= kErasedBytesMax && place.bytes % 8 == 0);
    std::vector<std::uint8_t> payload;
    Packer p(payload);
    p.u64(place.said);
    p.u64(place.heard);
    payload.resize(place.bytes - kRecordHeaderBytes);
    std::vector<std::uint8_t> out(place.bytes);
    write_record_header(out.data(), {RecordType::erased, Channel::said, slot, place.when, payload});
    std::ranges::copy(payload, out.begin() + kRecordHeaderBytes);
    seal_record(out, seed);
    return out;
}

Result<SilenceRecord> silence_from(const JournalRecord& silence) {
    Unpacker u(silence.payload);
    SilenceRecord out;
    out.from = std::min(Instant(Duration(u.moment())), silence.when);
    out.silence.label = u.text(kLabelTextMax);
    out.silence.by = u.text(kByTextMax);
    if (u.left() > 0) out.to = std::clamp(Instant(Duration(u.moment())), out.from, silence.when);
    if (!u.ok() || out.silence.label.empty()) return fail(Errc::malformed, "a silence without a label");
    return out;
}

Result<std::string> label_from(const JournalRecord& resume) {
    Unpacker u(resume.payload);
    std::string label = u.text(kLabelTextMax);
    if (!u.ok()) return fail(Errc::malformed, "a resume record that is too short");
    return label;
}

Result<ErasedRecord> erased_from(const JournalRecord& erased) {
    Unpacker u(erased.payload);
    const ErasedRecord out{.said = u.u64(), .heard = u.u64()};
    const std::uint64_t most = packets_most(kRecordHeaderBytes + erased.payload.size());
    if (!u.ok() || out.said > most || out.heard > most) return fail(Errc::malformed, "an erased record that is wrong");
    return out;
}

bool is_place(const ErasedPlace& place) {
    return place.bytes >= kErasedBytesMin && place.bytes <= kErasedBytesMax && place.bytes % 8 == 0 &&
           place.offset % 8 == 0 && place.offset >= kJournalHeaderBytes && place.offset <= std::uint64_t{1} << 48 &&
           place.said <= packets_most(place.bytes) && place.heard <= packets_most(place.bytes) &&
           is_moment(place.when.time_since_epoch().count());
}

Result<std::vector<ErasedPlace>> places_from(const JournalRecord& erasure) {
    const std::size_t count = erasure.payload.size() / kPlaceBytes;
    if (count * kPlaceBytes != erasure.payload.size() || count > kErasedPlacesMax) {
        return fail(Errc::malformed, "an erasure record of no length it can have");
    }
    Unpacker u(erasure.payload);
    std::vector<ErasedPlace> places(count);
    for (ErasedPlace& place : places) {
        place.file = u.u64();
        place.offset = u.u64();
        place.bytes = u.u32();
        place.said = u.u32();
        place.heard = u.u32();
        place.when = Instant(Duration(u.moment()));
        if (!u.ok() || !is_place(place)) return fail(Errc::malformed, "an erasure record that names no place");
    }
    return places;
}

void count_erased(SegmentTail& tail, const ErasedRecord& erased) {
    const auto count = [](ChannelCounts& counts, std::uint64_t packets) {
        packets = std::min(packets, counts.stored);
        counts.stored -= packets;
        counts.excluded += packets;
    };
    count(tail.said, erased.said);
    count(tail.heard, erased.heard);
}

Result<SegmentHead> head_from(const JournalRecord& open) {
    Unpacker u(open.payload);
    SegmentHead head;
    head.opened = {open.when, WallTime(std::chrono::milliseconds(u.wall()))};
    head.segment = SegmentId(u.text(kIdTextMax));
    head.calluuid = CallUuid(u.text(kIdTextMax));
    head.connection = ConnectionId(u.text(kIdTextMax));
    if (!u.ok() || head.segment.empty()) return fail(Errc::malformed, "an opening record that names no segment");
    return head;
}

Result<SegmentTail> tail_from(const JournalRecord& close) {
    Unpacker u(close.payload);
    SegmentTail tail;
    tail.sealed = {close.when, WallTime(std::chrono::milliseconds(u.wall()))};
    tail.said = unpack_counts(u);
    tail.heard = unpack_counts(u);
    tail.cause = u.text(kCauseTextMax);
    if (!u.ok()) return fail(Errc::malformed, "a closing record that is too short");
    return tail;
}

Result<LostRecord> lost_from(const JournalRecord& lost) {
    Unpacker u(lost.payload);
    LostRecord out;
    out.from = Instant(Duration(u.moment()));
    out.to = Instant(Duration(u.moment()));
    out.packets = u.u64();
    out.reason = u.u8() == 2 ? LostReason::disk : LostReason::buffer;
    if (!u.ok()) return fail(Errc::malformed, "a lost record that is too short");
    return out;
}

Result<JournalReader> JournalReader::open(ByteSource& source) {
    JournalReader reader(source);
    std::array<std::uint8_t, kJournalHeaderBytes> bytes{};
    TRY(const std::size_t got, source.read(0, bytes));
    if (got < bytes.size() || as_text(Bytes(bytes).first(8)) != kMagic) return fail(Errc::malformed, "not a journal");
    const std::uint16_t version = read_u16le(&bytes[8]);
    if (version < kVersionOldest || version > kVersion) return fail(Errc::unsupported, "journal of another version");
    reader.seed_ = crc32c(Bytes(bytes).first(kJournalHeaderBytes - 4));
    if (reader.seed_ != read_u32le(&bytes[kJournalHeaderBytes - 4])) {
        return fail(Errc::malformed, "the journal's header is damaged");
    }
    Unpacker u(Bytes(bytes).subspan(12));
    JournalHeader& h = reader.header_;
    h.worker = u.u32();
    h.number = u.u64();
    h.file_bytes = u.u64();
    h.made.wall = WallTime(std::chrono::milliseconds(u.wall()));
    h.made.mono = Instant(Duration(u.moment()));
    h.tenant = TenantId(u.text(kIdTextMax));
    h.site = SiteId(u.text(kIdTextMax));
    h.node = NodeId(u.text(kIdTextMax));
    if (!u.ok()) return fail(Errc::malformed, "the journal's header has an impossible field");
    reader.buffer_.resize(kBufferBytes);
    return reader;
}

// Makes `bytes` bytes from at_ on available in the buffer; false when the file ends before.
Result<bool> JournalReader::have(std::size_t bytes) {
    ASSERT(bytes <= buffer_.size());
    if (at_ >= base_ && at_ + bytes <= base_ + filled_) return true;
    TRY(filled_, source_->read(at_, buffer_));
    base_ = at_;
    return bytes <= filled_;
}

// Whether a record that passes its checksum stands at at_, and how many bytes it takes.
Result<bool> JournalReader::whole_record(std::size_t& length) {
    const std::size_t payload = read_u32le(here() + 4);
    if (payload > kRecordPayloadMax || here()[8] == 0) return false;
    TRY(const bool there, have(kRecordHeaderBytes + payload));
    if (!there || !record_at({here(), kRecordHeaderBytes + payload}, seed_)) return false;
    length = record_bytes(payload);
    return true;
}

// Leaps over space not yet written. The last 8 bytes of a blank block may begin a record whose checksum is zero.
void JournalReader::skip_blank() {
    constexpr std::size_t kBlock = 4'096;
    static constexpr std::array<std::uint8_t, kBlock> kZeros{};
    while (at_ + kBlock <= base_ + filled_ && std::memcmp(here(), kZeros.data(), kBlock) == 0) at_ += kBlock - 8;
}

Result<std::optional<JournalReader::At>> JournalReader::next() {
    while (true) {
        TRY(const bool there, have(kRecordHeaderBytes));
        if (!there) break;
        std::size_t length = 0;
        TRY(const bool whole, whole_record(length));
        if (whole) {
            // What lay between two records is damage, were it zeros: a writer leaves no holes.
            if (suspect_from_ != 0) damaged_ += at_ - suspect_from_;
            suspect_ = suspect_from_ = 0;
            const At found{at_, peek_record({here(), kRecordHeaderBytes + read_u32le(here() + 4)})};
            at_ += length;
            return std::optional<At>(found);
        }
        if (suspect_from_ == 0) suspect_from_ = at_;
        const std::uint64_t before = at_;
        skip_blank();
        if (at_ != before) continue;
        const std::uint8_t* p = here();
        if (std::any_of(p, p + 8, [](std::uint8_t b) { return b != 0; })) suspect_ = at_ + 8 - suspect_from_;
        at_ += 8;
    }
    // What is left is shorter than a record's head: a torn piece of one counts, blank space does not.
    if (suspect_from_ == 0) suspect_from_ = at_;
    for (std::uint64_t i = at_; i < base_ + filled_; ++i) {
        if (buffer_[i - base_] != 0) suspect_ = i - suspect_from_ + 1;
    }
    damaged_ += suspect_;
    suspect_ = suspect_from_ = 0;
    at_ = std::max(at_, base_ + filled_);
    return std::optional<At>{};
}

}  // namespace sheaf::media
