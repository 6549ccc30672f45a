// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>

#include "media/cutter.h"
#include "media/journal_format.h"
#include "media/segment_format.h"

using namespace sheaf;
using namespace sheaf::media;
using namespace std::chrono_literals;

namespace {

const Stamp kOpened{Instant(100s), WallTime(1'700'000'000'123ms)};
const SegmentHead kHead{SegmentId("seg-1"), CallUuid("call-1"), ConnectionId("conn-1"), kOpened};

std::vector<std::uint8_t> rtp(std::uint16_t sequence, std::uint32_t ssrc = 7, std::size_t payload = 20) {
    std::vector<std::uint8_t> out(12 + payload, static_cast<std::uint8_t>(sequence));
    out[0] = 0x80;
    out[1] = 0;
    write_u16be(&out[2], sequence);
    write_u32be(&out[4], sequence * 160U);
    write_u32be(&out[8], ssrc);
    return out;
}

SegmentHeader header() {
    return {.head = kHead, .tenant = TenantId("t"), .site = SiteId("london"), .node = NodeId("london-1")};
}

SegmentTail tail(std::uint64_t said, std::uint64_t heard, Duration length) {
    SegmentTail t;
    t.sealed = {kOpened.mono + length, kOpened.wall + std::chrono::duration_cast<std::chrono::milliseconds>(length)};
    t.cause = "normal";
    t.said.received = t.said.stored = said;
    t.heard.received = t.heard.stored = heard;
    return t;
}

// A small file with every type of chunk: two packets chunks around a stretch and a lost stretch, then the tail.
std::vector<std::uint8_t> small_segment() {
    MemorySink sink;
    SegmentWriter writer(sink);
    REQUIRE(writer.begin(header()));
    for (std::uint16_t i = 0; i < 3; ++i) REQUIRE(writer.packet({Channel::said, i * 20ms, rtp(i)}));
    REQUIRE(writer.stretch({.from = 60ms, .to = 80ms, .label = "hold", .by = "1001"}));
    REQUIRE(writer.lost({.from = 80ms, .to = 100ms, .channels = 2, .packets = 1, .cause = "buffer"}));
    REQUIRE(writer.packet({Channel::heard, 100ms, rtp(9, 8)}));
    REQUIRE(writer.finish(tail(3, 1, 120ms)));
    return sink.data;
}

struct Read {
    std::size_t packets = 0;
    std::size_t others = 0;
    bool tail = false;
    SegmentReader::State state;
};

Read read_all(Bytes bytes) {
    MemorySource source(bytes);
    auto reader = SegmentReader::open(source);
    Read out;
    if (!reader) return out;
    while (true) {
        auto item = reader->next();
        REQUIRE(item);
        if (!*item) break;
        if (std::holds_alternative<StoredPacket>(**item)) {
            ++out.packets;
        } else if (std::holds_alternative<StoredTail>(**item)) {
            out.tail = true;
        } else {
            ++out.others;
        }
    }
    out.state = reader->state();
    return out;
}

// A journal in memory; records are appended as the writer appends them.
struct Journal {
    Journal() {
        const auto made = to_bytes(JournalHeader{.worker = 2,
                                                 .number = 5,
                                                 .file_bytes = 65'536,
                                                 .made = kOpened,
                                                 .tenant = TenantId("t"),
                                                 .site = SiteId("london"),
                                                 .node = NodeId("london-1")});
        bytes.assign(made.bytes.begin(), made.bytes.end());
        seed = made.seed;
    }
    void add(RecordType type, Instant when, Bytes payload, SegmentSlot slot = 0, Channel channel = Channel::said) {
        const std::size_t at = bytes.size();
        bytes.resize(at + record_bytes(payload.size()));
        write_record_header(&bytes[at], {type, channel, slot, when, payload});
        std::ranges::copy(payload, bytes.begin() + static_cast<std::ptrdiff_t>(at + kRecordHeaderBytes));
        seal_record(std::span(bytes).subspan(at), seed);
        ends.push_back(bytes.size());
        written.push_back(at + kRecordHeaderBytes + payload.size());
    }
    std::vector<std::uint8_t> bytes;
    std::vector<std::size_t> ends;     // where each record's place ends
    std::vector<std::size_t> written;  // where its last byte ends
    std::uint32_t seed = 0;
};

Journal small_journal() {
    Journal j;
    j.add(RecordType::open, kOpened.mono, open_payload(kHead));
    for (std::uint16_t i = 0; i < 4; ++i) j.add(RecordType::packet, kOpened.mono + i * 20ms, rtp(i, 7, 19));
    j.add(RecordType::lost, kOpened.mono + 80ms,
          lost_payload({kOpened.mono + 70ms, kOpened.mono + 80ms, 2, LostReason::buffer}));
    j.add(RecordType::close, kOpened.mono + 100ms, close_payload(tail(4, 0, 100ms)));
    return j;
}

std::size_t count_records(Bytes bytes, std::uint64_t* damaged = nullptr) {
    MemorySource source(bytes);
    auto reader = JournalReader::open(source);
    if (!reader) return 0;
    std::size_t n = 0;
    while (true) {
        auto at = reader->next();
        REQUIRE(at);
        if (!*at) break;
        ++n;
    }
    if (damaged != nullptr) *damaged = reader->damaged_bytes();
    return n;
}

}  // namespace

TEST_CASE("a segment file gives back what was written, sealed and with its digest right") {
    const auto bytes = small_segment();
    MemorySource source(bytes);
    auto reader = SegmentReader::open(source);
    REQUIRE(reader);
    CHECK(reader->header().head.segment == kHead.segment);
    CHECK(reader->header().head.opened == kOpened);
    CHECK(reader->header().node.text() == "london-1");
    auto item = reader->next();
    REQUIRE((item && *item));
    const auto& first = std::get<StoredPacket>(**item);
    CHECK(std::ranges::equal(first.rtp, rtp(0)));
    const Read all = read_all(bytes);
    CHECK(all.packets == 4);
    CHECK(all.others == 2);
    CHECK(all.state.sealed);
    CHECK(all.state.digest_matches);
    CHECK(all.state.readable == bytes.size());
    CHECK_FALSE(all.state.trailing);
}

TEST_CASE("a segment file cut off at any byte is readable up to there") {
    const auto bytes = small_segment();
    const std::size_t header_bytes = read_u32le(&bytes[12]);
    std::size_t most = 0;
    for (std::size_t n = 0; n < bytes.size(); ++n) {
        const Read got = read_all(Bytes(bytes).first(n));
        CHECK_FALSE(got.state.sealed);
        CHECK(got.packets >= most);  // more bytes never give less
        most = std::max(most, got.packets);
        if (n >= header_bytes) CHECK(got.state.readable <= n);
    }
    CHECK(most == 4);
}

TEST_CASE("a flipped bit anywhere in a segment file is noticed") {
    auto bytes = small_segment();
    for (std::size_t i = 0; i < bytes.size() * 8; ++i) {
        bytes[i / 8] ^= static_cast<std::uint8_t>(1U << (i % 8));
        const Read got = read_all(bytes);
        CHECK_FALSE(
            (got.state.sealed && got.state.digest_matches && got.state.damaged_chunks == 0 && got.packets == 4));
        bytes[i / 8] ^= static_cast<std::uint8_t>(1U << (i % 8));
    }
}

TEST_CASE("one damaged chunk costs only itself") {
    auto bytes = small_segment();
    const std::size_t header_bytes = read_u32le(&bytes[12]);
    bytes[header_bytes + 20 + 30] ^= 1;  // within the first packets
    const Read got = read_all(bytes);
    CHECK(got.packets == 1);
    CHECK(got.others == 2);
    CHECK(got.state.damaged_chunks == 1);
    CHECK(got.state.sealed);
    CHECK_FALSE(got.state.digest_matches);
}

TEST_CASE("an id or a packet over its limit is refused, not cut") {
    MemorySink sink;
    SegmentWriter writer(sink);
    SegmentHeader h = header();
    h.head.segment = SegmentId(std::string(kIdTextMax + 1, 'a'));
    CHECK(writer.begin(h).error().code == Errc::exhausted);
    h.head.segment = SegmentId(std::string(kIdTextMax, 'a'));
    REQUIRE(writer.begin(h));
    CHECK(writer.packet({Channel::said, 0ms, std::vector<std::uint8_t>(kRtpBytesMax + 1)}).error().code ==
          Errc::exhausted);
}

TEST_CASE("a segment's file name is safe whatever its id holds") {
    CHECK(file_name_of(SegmentId("9b1c-f_2.x")) == "9b1c-f_2.x");
    for (const char* id : {"../../etc/passwd", ".hidden", "a/b", ""}) {
        const std::string name = file_name_of(SegmentId(id));
        CHECK(name.starts_with("x-"));
        CHECK(name.size() == 66);
    }
    CHECK(file_name_of(SegmentId(std::string(101, 'a'))).size() == 66);
}

TEST_CASE("a journal gives back its records") {
    const Journal j = small_journal();
    MemorySource source(j.bytes);
    auto reader = JournalReader::open(source);
    REQUIRE(reader);
    CHECK(reader->header().number == 5);
    CHECK(reader->header().site.text() == "london");
    auto open = reader->next();
    REQUIRE((open && *open));
    auto head = head_from((*open)->record);
    REQUIRE(head);
    CHECK(head->calluuid == kHead.calluuid);
    CHECK(head->opened == kOpened);
    std::uint64_t damaged = 1;
    CHECK(count_records(j.bytes, &damaged) == 7);
    CHECK(damaged == 0);
}

TEST_CASE("a journal cut off at any byte gives every whole record before") {
    const Journal j = small_journal();
    for (std::size_t n = kJournalHeaderBytes; n <= j.bytes.size(); ++n) {
        const auto whole =
            static_cast<std::size_t>(std::ranges::count_if(j.written, [n](std::size_t end) { return end <= n; }));
        REQUIRE(count_records(Bytes(j.bytes).first(n)) == whole);
        // The same with the file's full size, zeros where nothing has been written.
        std::vector<std::uint8_t> padded(j.bytes.begin(), j.bytes.begin() + static_cast<std::ptrdiff_t>(n));
        padded.resize(j.bytes.size() + 20'000);
        REQUIRE(count_records(padded) >= whole);
    }
}

TEST_CASE("a torn record at a journal's end is told apart from blank space") {
    const Journal j = small_journal();
    std::uint64_t damaged = 1;
    std::vector<std::uint8_t> blank = j.bytes;
    blank.resize(blank.size() + 300'000);
    CHECK(count_records(blank, &damaged) == 7);
    CHECK(damaged == 0);
    const std::size_t torn = j.written[5] + 30;
    std::vector<std::uint8_t> cut(j.bytes.begin(), j.bytes.begin() + static_cast<std::ptrdiff_t>(torn));
    cut.resize(300'000);
    CHECK(count_records(cut, &damaged) == 6);
    CHECK(damaged > 0);
    CHECK(damaged <= 32);
}

TEST_CASE("a flipped bit in a journal costs one record and is counted") {
    Journal j = small_journal();
    for (std::size_t i = kJournalHeaderBytes * 8; i < j.written.back() * 8; ++i) {
        const std::size_t byte = i / 8;
        const bool padding = std::ranges::none_of(j.written, [&](std::size_t end) {
            const std::size_t k = static_cast<std::size_t>(std::ranges::find(j.written, end) - j.written.begin());
            const std::size_t start = k == 0 ? kJournalHeaderBytes : j.ends[k - 1];
            return byte >= start && byte < end;
        });
        if (padding) continue;
        j.bytes[byte] ^= static_cast<std::uint8_t>(1U << (i % 8));
        std::uint64_t damaged = 0;
        REQUIRE(count_records(j.bytes, &damaged) == 6);
        REQUIRE(damaged > 0);
        j.bytes[byte] ^= static_cast<std::uint8_t>(1U << (i % 8));
    }
}

TEST_CASE("records of another file, left behind in the same place, are not taken") {
    Journal j = small_journal();
    const auto other = to_bytes(JournalHeader{.number = 6, .file_bytes = 65'536});
    std::ranges::copy(other.bytes, j.bytes.begin());
    CHECK(count_records(j.bytes) == 0);
}

TEST_CASE("the cutter turns a segment's records into its file") {
    const Journal j = small_journal();
    MemorySource source(j.bytes);
    auto reader = JournalReader::open(source);
    REQUIRE(reader);
    MemorySink sink;
    SegmentWriter writer(sink);
    Cutter cutter(writer, header());
    REQUIRE(cutter.begin());
    for (auto at = reader->next(); at && *at; at = reader->next()) REQUIRE(cutter.add((*at)->record));
    auto summary = cutter.finish(std::nullopt);
    REQUIRE(summary);
    CHECK(summary->duration == 100ms);
    CHECK(summary->said.packets() == 4);
    CHECK(summary->lost.size() == 1);
    CHECK(summary->lost[0].packets == 2);
    CHECK_FALSE(summary->recovered);
    const Read got = read_all(sink.data);
    CHECK(got.packets == 4);
    CHECK(got.state.digest_matches);
}

TEST_CASE("a segment whose recorder died is sealed at its last packet and says what is lost") {
    const Journal j = small_journal();
    MemorySource source(Bytes(j.bytes).first(j.ends[3]));  // open and three packets
    auto reader = JournalReader::open(source);
    REQUIRE(reader);
    MemorySink sink;
    SegmentWriter writer(sink);
    Cutter cutter(writer, header());
    REQUIRE(cutter.begin());
    for (auto at = reader->next(); at && *at; at = reader->next()) REQUIRE(cutter.add((*at)->record));
    CHECK_FALSE(Cutter(cutter).finish(std::nullopt));
    auto summary = cutter.finish(kOpened.wall + 5s);
    REQUIRE(summary);
    CHECK(summary->recovered);
    CHECK(summary->tail.cause == "lost-control");
    CHECK(summary->duration == 40ms);
    CHECK(summary->tail.said.stored == 3);
    REQUIRE(summary->lost.size() == 1);
    CHECK(summary->lost[0].from == 40ms);
    CHECK(summary->lost[0].to == 5s);
}

TEST_CASE("the ledger counts loss, duplicates and reordering by source") {
    PacketLedger ledger;
    for (int s : {65'533, 65'534, 65'535, 0, 1, 4, 3, 4, 5}) ledger.add(rtp(static_cast<std::uint16_t>(s)));
    ledger.add(rtp(40'000));  // a jump: the source began anew
    ledger.add(rtp(1, 99));
    ledger.add(std::vector<std::uint8_t>(5));
    const auto sources = ledger.sources();
    REQUIRE(sources.size() == 2);
    CHECK(sources[0].packets == 10);
    CHECK(sources[0].lost == 1);
    CHECK(sources[0].duplicate == 1);
    CHECK(sources[0].reordered == 1);
    CHECK(sources[0].restarts == 1);
    CHECK(ledger.unsourced() == 1);
    for (std::uint32_t i = 0; i < 100; ++i) ledger.add(rtp(1, 1'000 + i));
    CHECK(ledger.sources().size() == kSourcesMax);
    CHECK(ledger.unsourced() == 1 + 100 - (kSourcesMax - 2));
}

TEST_CASE("an erasure names only places that a journal can have, and the record that takes one is understood") {
    const ErasedPlace place{.file = 1, .offset = kJournalHeaderBytes, .bytes = 72, .said = 3, .heard = 0};
    const auto read = [](const ErasedPlace& one) {
        const auto payload = erasure_payload(std::span(&one, 1));
        return places_from({RecordType::erasure, Channel::said, 0, kOpened.mono, payload});
    };
    const auto is_refused = [&](auto change) {
        ErasedPlace wrong = place;
        change(wrong);
        return !read(wrong).has_value();
    };
    const auto places = read(place);
    REQUIRE((places && places->size() == 1));
    const auto bytes = erased_record(places->front(), 5, 9);
    const auto record = record_at(bytes, 9);
    REQUIRE(record);
    CHECK(erased_from(*record).value().said == 3);
    CHECK(is_refused([](ErasedPlace& p) { p.offset = 8; }));
    CHECK(is_refused([](ErasedPlace& p) { p.offset += 4; }));
    CHECK(is_refused([](ErasedPlace& p) { p.offset = UINT64_MAX - 7; }));
    CHECK(is_refused([](ErasedPlace& p) { p.bytes = 8; }));
    CHECK(is_refused([](ErasedPlace& p) { p.bytes = kErasedBytesMax + 8; }));
    CHECK(is_refused([](ErasedPlace& p) { p.said = 4; }));  // there is no room for so many
    CHECK(is_refused([](ErasedPlace& p) { p.heard = 4; }));
}
