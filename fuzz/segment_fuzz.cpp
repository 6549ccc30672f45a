// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/assert.h"
#include "media/channels.h"
#include "media/packet_ledger.h"
#include "media/segment_format.h"

// Any bytes are read as a segment file as far as they can be trusted, always the same way, and what comes out becomes
// two channels of equal length. The input is read as it stands and once more with its checksums made right, so that
// what lies behind them is reached.
namespace sheaf::media {
namespace {

constexpr std::size_t kSamplesMax = 8'000 * 2;

struct Count : PcmSink {
    Result<void> write(std::span<const std::int16_t> said, std::span<const std::int16_t> heard) override {
        ASSERT(said.size() == heard.size());
        samples += said.size();
        return {};
    }
    std::uint64_t samples = 0;
};

// Makes the header's and each chunk's checksums right where there is room for them.
std::vector<std::uint8_t> mended(Bytes bytes) {
    std::vector<std::uint8_t> out(bytes.begin(), bytes.end());
    if (out.size() < 52) return out;
    std::size_t at = read_u32le(&out[12]) % (out.size() - 48);
    at = at < 52 ? 52 : at;
    if (at > kSegmentHeaderMax || at > out.size()) return out;
    write_u32le(&out[12], static_cast<std::uint32_t>(at));
    const std::uint32_t seed = crc32c(Bytes(out).first(at - 4));
    write_u32le(&out[at - 4], seed);
    for (std::uint32_t index = 0; at + 20 <= out.size(); ++index) {
        const std::size_t length = std::size_t{read_u32le(&out[at + 4])} + read_u16le(&out[at + 2]);
        if (length > out.size() - at - 20) break;
        write_u32le(&out[at + 8], index);
        write_u32le(&out[at + 12], crc32c(Bytes(out).subspan(at + 20, length), seed));
        write_u32le(&out[at + 16], crc32c(Bytes(out).subspan(at, 16), seed));
        at += 20 + length;
    }
    return out;
}

void read(Bytes bytes) {
    MemorySource source(bytes);
    auto reader = SegmentReader::open(source);
    if (!reader) return;
    ASSERT(reader->header().head.segment.text().size() <= kIdTextMax);
    ASSERT(file_name_of(reader->header().head.segment).find('/') == std::string::npos);
    Count sink;
    const Duration length = std::chrono::seconds{2};
    Channels channels(sink, length);
    PacketLedger ledger;
    std::uint64_t packets = 0;
    while (true) {
        auto item = reader->next();
        ASSERT(item.has_value());  // bytes in memory cannot fail
        if (!*item) break;
        if (const auto* packet = std::get_if<StoredPacket>(&**item)) {
            ASSERT(packet->rtp.size() <= kRtpBytesMax);
            ledger.add(packet->rtp);
            ASSERT(channels.packet(*packet).has_value());
            ++packets;
        }
    }
    ASSERT(reader->state().readable <= bytes.size());
    ASSERT(ledger.packets() == packets);
    ASSERT(channels.finish().has_value());
    ASSERT(sink.samples == kSamplesMax);
    auto more = reader->next();
    ASSERT(more.has_value() && !*more);
}

}  // namespace
}  // namespace sheaf::media

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const sheaf::Bytes bytes(data, size);
    sheaf::media::read(bytes);
    sheaf::media::read(sheaf::media::mended(bytes));
    return 0;
}
