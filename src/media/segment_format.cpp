// SPDX-License-Identifier: Apache-2.0
#include "media/segment_format.h"

#include <algorithm>

namespace sheaf::media {
namespace {

constexpr std::string_view kMagic = "SHEAFSEG";
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kFixedHeaderBytes = 48;
constexpr std::size_t kChunkHeaderBytes = 20;
constexpr std::size_t kPacketHeaderBytes = 12;
constexpr std::size_t kPacketsChunkBytes = 32'768;  // flushed beyond
constexpr std::size_t kWrappedKeyMax = 1'024;
constexpr std::uint8_t kPackets = 1;
constexpr std::uint8_t kStretch = 2;
constexpr std::uint8_t kLost = 3;
constexpr std::uint8_t kTail = 4;

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

bool fits(const SegmentHeader& h) {
    const auto short_enough = [](const std::string& text) { return text.size() <= kIdTextMax; };
    return short_enough(h.head.segment.text()) && short_enough(h.head.calluuid.text()) &&
           short_enough(h.head.connection.text()) && short_enough(h.tenant.text()) && short_enough(h.site.text()) &&
           short_enough(h.node.text()) && short_enough(h.key_id) && h.wrapped_key.size() <= kWrappedKeyMax;
}

}  // namespace

Result<void> SegmentWriter::put(Bytes bytes) {
    TRY_VOID(sink_.write(bytes));
    digest_.add(bytes);
    return {};
}

Result<void> SegmentWriter::begin(const SegmentHeader& h) {
    if (!fits(h)) return fail(Errc::exhausted, "an id of the segment's header is longer than its limit");
    std::vector<std::uint8_t> out;
    Packer p(out);
    p.bytes(as_bytes(kMagic));
    p.u16(kVersion);
    p.u16(h.cipher);
    p.u32(0);
    p.i64(to_unix_ms(h.head.opened.wall));
    p.i64(h.head.opened.mono.time_since_epoch().count());
    p.u64(0);
    p.u64(0);
    for (const std::string* text : {&h.head.segment.text(), &h.head.calluuid.text(), &h.head.connection.text(),
                                    &h.tenant.text(), &h.site.text(), &h.node.text(), &h.key_id}) {
        p.text(*text, kIdTextMax);
    }
    p.text(h.wrapped_key, kWrappedKeyMax);
    write_u32le(&out[12], static_cast<std::uint32_t>(out.size() + 4));
    seed_ = crc32c(out);
    p.u32(seed_);
    opened_ = h.head.opened.mono;
    return put(out);
}

Result<void> SegmentWriter::chunk(std::uint8_t type, Bytes payload) {
    std::array<std::uint8_t, kChunkHeaderBytes> head{};
    head[0] = type;
    write_u32le(&head[4], static_cast<std::uint32_t>(payload.size()));
    write_u32le(&head[8], chunks_++);
    write_u32le(&head[12], crc32c(payload, seed_));
    write_u32le(&head[16], crc32c(Bytes(head).first(16), seed_));
    TRY_VOID(put(head));
    return put(payload);
}

Result<void> SegmentWriter::flush() {
    if (packets_.empty()) return {};
    auto done = chunk(kPackets, packets_);
    packets_.clear();
    return done;
}

Result<void> SegmentWriter::packet(const StoredPacket& packet) {
    if (packet.rtp.size() > kRtpBytesMax) return fail(Errc::exhausted, "packet longer than a segment takes");
    if (packets_.size() + kPacketHeaderBytes + packet.rtp.size() > kPacketsChunkBytes) TRY_VOID(flush());
    Packer p(packets_);
    p.u8(static_cast<std::uint8_t>(packet.channel));
    p.u8(0);
    p.u16(static_cast<std::uint16_t>(packet.rtp.size()));
    p.i64(packet.after.count());
    p.bytes(packet.rtp);
    ++(packet.channel == Channel::said ? said_ : heard_);
    return {};
}

Result<void> SegmentWriter::stretch(const Stretch& s) {
    TRY_VOID(flush());
    scratch_.clear();
    Packer p(scratch_);
    p.i64(s.from.count());
    p.i64(s.to.count());
    p.u8(s.channels);
    p.text(s.label, kIdTextMax);
    p.text(s.by, kIdTextMax);
    return chunk(kStretch, scratch_);
}

Result<void> SegmentWriter::lost(const LostStretch& l) {
    TRY_VOID(flush());
    scratch_.clear();
    Packer p(scratch_);
    p.i64(l.from.count());
    p.i64(l.to.count());
    p.u8(l.channels);
    p.u64(l.packets);
    p.text(l.cause, kCauseTextMax);
    return chunk(kLost, scratch_);
}

Result<void> SegmentWriter::finish(const SegmentTail& tail) {
    TRY_VOID(flush());
    scratch_.clear();
    Packer p(scratch_);
    p.i64(to_unix_ms(tail.sealed.wall));
    p.i64((tail.sealed.mono - opened_).count());
    pack_counts(p, tail.said);
    pack_counts(p, tail.heard);
    p.u64(said_);
    p.u64(heard_);
    p.u32(chunks_);
    p.bytes(digest_.finish());
    p.text(tail.cause, kCauseTextMax);
    digest_ = Sha256Stream();
    return chunk(kTail, scratch_);
}

Result<SegmentReader> SegmentReader::open(ByteSource& source) {
    SegmentReader reader(source);
    std::vector<std::uint8_t> bytes(kSegmentHeaderMax);
    TRY(const std::size_t got, source.read(0, bytes));
    bytes.resize(got);
    if (got < kFixedHeaderBytes || as_text(Bytes(bytes).first(8)) != kMagic) {
        return fail(Errc::malformed, "not a segment file");
    }
    if (read_u16le(&bytes[8]) != kVersion) return fail(Errc::unsupported, "segment file of another version");
    const std::size_t length = read_u32le(&bytes[12]);
    if (length < kFixedHeaderBytes + 4 || length > got) return fail(Errc::malformed, "segment header is cut off");
    const Bytes checked = Bytes(bytes).first(length - 4);
    reader.seed_ = crc32c(checked);
    if (reader.seed_ != read_u32le(&bytes[length - 4])) return fail(Errc::malformed, "segment header is damaged");

    Unpacker u(checked.subspan(10));
    SegmentHeader& h = reader.header_;
    h.cipher = u.u16();
    (void)u.u32();
    h.head.opened.wall = WallTime(std::chrono::milliseconds(u.wall()));
    h.head.opened.mono = Instant(Duration(u.moment()));
    (void)u.bytes(16);
    h.head.segment = SegmentId(u.text(kIdTextMax));
    h.head.calluuid = CallUuid(u.text(kIdTextMax));
    h.head.connection = ConnectionId(u.text(kIdTextMax));
    h.tenant = TenantId(u.text(kIdTextMax));
    h.site = SiteId(u.text(kIdTextMax));
    h.node = NodeId(u.text(kIdTextMax));
    h.key_id = u.text(kIdTextMax);
    h.wrapped_key = u.text(kWrappedKeyMax);
    if (!u.ok()) return fail(Errc::malformed, "segment header has an impossible field");
    if (h.cipher != 0) return fail(Errc::unsupported, "segment file with a cipher this version does not know");
    reader.digest_.add(Bytes(bytes).first(length));
    reader.at_ = length;
    reader.state_.readable = length;
    return reader;
}

// One more chunk into chunk_; false at the end or at something that is no chunk.
Result<bool> SegmentReader::load_chunk() {
    std::array<std::uint8_t, kChunkHeaderBytes> head{};
    TRY(const std::size_t got, source_->read(at_, head));
    if (got == 0) return false;
    const std::size_t tag = read_u16le(&head[2]);
    const std::size_t length = read_u32le(&head[4]);
    if (got < head.size()) {
        state_.damaged_end = true;
        return false;
    }
    if (read_u32le(&head[16]) != crc32c(Bytes(head).first(16), seed_) || read_u32le(&head[8]) != chunks_ ||
        length > kChunkPayloadMax || tag > kChunkTagMax) {
        state_.damaged_end = true;
        return false;
    }
    chunk_.resize(length + tag);
    TRY(const std::size_t body, source_->read(at_ + head.size(), chunk_));
    if (body < chunk_.size()) {
        state_.damaged_end = true;
        return false;
    }
    at_ += head.size() + body;
    state_.readable = at_;
    ++chunks_;
    type_ = head[0];
    payload_ = length;
    const bool whole = read_u32le(&head[12]) == crc32c(chunk_, seed_);
    if (!whole) {
        ++state_.damaged_chunks;
        type_ = 0;
    }
    if (type_ != kTail) {
        digest_.add(head);
        digest_.add(chunk_);
    }
    return true;
}

std::optional<SegmentItem> SegmentReader::next_packet() {
    Unpacker u(Bytes(chunk_).first(payload_).subspan(packet_at_));
    const std::uint8_t channel = u.u8();
    (void)u.u8();
    const std::size_t length = u.u16();
    const Duration after(u.moment());
    const Bytes rtp = u.bytes(length);
    if (!u.ok() || channel > 1 || length > kRtpBytesMax) {
        if (u.left() != 0 || !u.ok()) ++state_.damaged_chunks;
        in_packets_ = false;
        return std::nullopt;
    }
    packet_at_ += kPacketHeaderBytes + length;
    in_packets_ = packet_at_ < payload_;
    return StoredPacket{channel == 0 ? Channel::said : Channel::heard, after, rtp};
}

std::optional<SegmentItem> SegmentReader::tail_from() {
    Unpacker u(Bytes(chunk_).first(payload_));
    StoredTail t;
    t.tail.sealed.wall = WallTime(std::chrono::milliseconds(u.wall()));
    t.duration = Duration(u.moment());
    t.tail.sealed.mono = header_.head.opened.mono + t.duration;
    t.tail.said = unpack_counts(u);
    t.tail.heard = unpack_counts(u);
    t.said_in_file = u.u64();
    t.heard_in_file = u.u64();
    const std::uint32_t chunks = u.u32();
    const Bytes digest = u.bytes(32);
    t.tail.cause = u.text(kCauseTextMax);
    if (!u.ok()) {
        ++state_.damaged_chunks;
        return std::nullopt;
    }
    state_.sealed = true;
    state_.digest_matches = std::ranges::equal(digest_.finish(), digest) && chunks + 1 == chunks_;
    return t;
}

std::optional<SegmentItem> SegmentReader::item_from(std::uint8_t type) {
    Unpacker u(Bytes(chunk_).first(payload_));
    if (type == kPackets) {
        packet_at_ = 0;
        in_packets_ = payload_ > 0;
        return in_packets_ ? next_packet() : std::nullopt;
    }
    if (type == kTail) return tail_from();
    if (type != kStretch && type != kLost) return std::nullopt;
    const Duration from(u.moment());
    const Duration to(u.moment());
    const auto channels = static_cast<std::uint8_t>(u.u8() & kBothChannels);
    if (type == kStretch) {
        Stretch s{from, to, channels, u.text(kIdTextMax), {}};
        s.by = u.text(kIdTextMax);
        if (u.ok()) return s;
    } else {
        LostStretch l{from, to, channels, u.u64(), {}};
        l.cause = u.text(kCauseTextMax);
        if (u.ok()) return l;
    }
    ++state_.damaged_chunks;
    return std::nullopt;
}

Result<std::optional<SegmentItem>> SegmentReader::next() {
    if (in_packets_) {
        if (auto item = next_packet()) return item;
    }
    while (!done_) {
        TRY(const bool more, load_chunk());
        if (!more) break;
        if (auto item = item_from(type_)) {
            if (std::holds_alternative<StoredTail>(*item)) {
                done_ = true;
                std::array<std::uint8_t, 1> extra{};
                TRY(const std::size_t behind, source_->read(at_, extra));
                state_.trailing = behind != 0;
            }
            return item;
        }
    }
    done_ = true;
    return std::optional<SegmentItem>{};
}

std::string file_name_of(const SegmentId& id) {
    const std::string& text = id.text();
    const bool plain =
        !text.empty() && text.size() <= 100 && text.front() != '.' && std::ranges::all_of(text, [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
                   c == '-';
        });
    return plain ? text : "x-" + sha256_hex(text);
}

}  // namespace sheaf::media
