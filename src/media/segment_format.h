// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "media/capture.h"
#include "media/pack.h"

// The segment file (docs/formats/segment.md), written to a byte sink and read from a byte source, in bounded memory.
namespace sheaf::media {

inline constexpr std::size_t kSegmentHeaderMax = 4'096;
inline constexpr std::size_t kChunkPayloadMax = 65'536;
inline constexpr std::size_t kChunkTagMax = 64;
inline constexpr std::size_t kIdTextMax = 128;
inline constexpr std::size_t kCauseTextMax = 64;
inline constexpr std::size_t kRtpBytesMax = 2'048;  // of a packet we store

struct SegmentHeader {
    SegmentHead head = {};
    TenantId tenant = {};
    SiteId site = {};
    NodeId node = {};
    std::uint16_t cipher = 0;
    std::string key_id = {};
    std::string wrapped_key = {};
};

struct StoredPacket {
    Channel channel;
    Duration after;  // since the segment's opening; a little below zero is possible
    Bytes rtp;       // valid until the reader's next step
};
// Bit 0 said, bit 1 heard.
inline constexpr std::uint8_t kBothChannels = 3;
[[nodiscard]] constexpr std::uint8_t channel_bit(Channel c) {
    return c == Channel::said ? 1 : 2;
}

struct Stretch {  // a label over a part of the time line
    Duration from;
    Duration to;
    std::uint8_t channels = kBothChannels;
    std::string label = {};
    std::string by = {};
};
inline constexpr Duration kUnknownEnd{-1};
struct LostStretch {
    Duration from;
    Duration to;  // kUnknownEnd: nobody knows
    std::uint8_t channels = kBothChannels;
    std::uint64_t packets = 0;  // 0: unknown
    std::string cause = {};
};
struct StoredTail {
    SegmentTail tail;  // sealed.mono counts from the recorder's clock, as opened does
    Duration duration{};
    std::uint64_t said_in_file = 0;
    std::uint64_t heard_in_file = 0;
};
using SegmentItem = std::variant<StoredPacket, Stretch, LostStretch, StoredTail>;

// Packets are gathered into chunks; whatever `finish` has not written may be missing. After a failed write: give up.
class SegmentWriter {
public:
    explicit SegmentWriter(ByteSink& sink) : sink_(sink) {}
    [[nodiscard]] Result<void> begin(const SegmentHeader& header);
    [[nodiscard]] Result<void> packet(const StoredPacket& packet);  // at most kRtpBytesMax
    [[nodiscard]] Result<void> stretch(const Stretch& stretch);
    [[nodiscard]] Result<void> lost(const LostStretch& lost);
    [[nodiscard]] Result<void> finish(const SegmentTail& tail);
    [[nodiscard]] std::uint64_t stored(Channel c) const { return c == Channel::said ? said_ : heard_; }

private:
    Result<void> put(Bytes bytes);
    Result<void> chunk(std::uint8_t type, Bytes payload);
    Result<void> flush();

    ByteSink& sink_;
    Sha256Stream digest_;
    Instant opened_{};
    std::uint32_t seed_ = 0;
    std::uint32_t chunks_ = 0;
    std::uint64_t said_ = 0;
    std::uint64_t heard_ = 0;
    std::vector<std::uint8_t> packets_;
    std::vector<std::uint8_t> scratch_;
};

// Reads as far as the file can be trusted.
class SegmentReader {
public:
    // Errors: malformed (not a segment's header, or a damaged one), unsupported (version, cipher), io.
    [[nodiscard]] static Result<SegmentReader> open(ByteSource& source);

    [[nodiscard]] const SegmentHeader& header() const { return header_; }
    // The next item; nullopt at the end. Only reading itself fails (io): damage is told by `state`.
    [[nodiscard]] Result<std::optional<SegmentItem>> next();

    struct State {
        bool sealed = false;          // a tail was read
        bool digest_matches = false;  // and its digest is that of the bytes before it
        std::uint64_t readable = 0;   // bytes up to which the file was read
        std::uint64_t damaged_chunks = 0;
        bool damaged_end = false;  // reading ended at something that is no chunk, not at the file's end
        bool trailing = false;     // there is something behind the tail
    };
    [[nodiscard]] const State& state() const { return state_; }

private:
    explicit SegmentReader(ByteSource& source) : source_(&source) {}
    Result<bool> load_chunk();
    std::optional<SegmentItem> item_from(std::uint8_t type);
    std::optional<SegmentItem> next_packet();
    std::optional<SegmentItem> tail_from();

    ByteSource* source_;
    SegmentHeader header_;
    State state_;
    Sha256Stream digest_;
    std::uint32_t seed_ = 0;
    std::uint32_t chunks_ = 0;
    std::uint64_t at_ = 0;
    bool done_ = false;
    std::uint8_t type_ = 0;
    std::vector<std::uint8_t> chunk_;
    std::size_t payload_ = 0;  // bytes of chunk_ that are payload
    std::size_t packet_at_ = 0;
    bool in_packets_ = false;
};

// A file name that is safe whatever the id holds, without a suffix.
[[nodiscard]] std::string file_name_of(const SegmentId& id);

}  // namespace sheaf::media
