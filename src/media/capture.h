// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/time.h"

namespace sheaf::media {

// What the recorded connection said (came from it) and heard (was sent to it).
enum class Channel : std::uint8_t { said = 0, heard = 1 };

// A running segment at one worker. Reused after the segment's end has been written.
using SegmentSlot = std::uint32_t;

struct SegmentHead {
    SegmentId segment;
    CallUuid calluuid;
    ConnectionId connection;
    Stamp opened;
};

// Packets of one channel, as the worker counted them while the segment ran.
struct ChannelCounts {
    std::uint64_t received = 0;   // RTP packets that reached the leg (said) or were sent to it (heard)
    std::uint64_t stored = 0;     // handed to the journal
    std::uint64_t duplicate = 0;  // same SSRC and sequence number again; not stored
    std::uint64_t excluded = 0;   // telephone-event, comfort noise, unknown payload types, silenced: not to be stored
    std::uint64_t overflow = 0;   // the journal's buffer was full; the cutter turns them into lost stretches
    friend bool operator==(const ChannelCounts&, const ChannelCounts&) = default;
};

// Why nothing of a segment is stored for a while.
struct Silence {
    std::string label;  // "hold", "paused"; at most kLabelTextMax bytes
    std::string by;     // at most kByTextMax
    friend bool operator==(const Silence&, const Silence&) = default;
};
inline constexpr std::size_t kLabelTextMax = 64;
inline constexpr std::size_t kByTextMax = 128;
inline constexpr std::size_t kSilencesMax = 8;    // labels of one segment at once
inline constexpr std::size_t kSilencesKept = 64;  // of one segment, the newest: what a late word can reach back from
inline constexpr Duration kErasedBackMax = std::chrono::hours{1};

struct SegmentTail {
    Stamp sealed;
    std::string cause;
    ChannelCounts said;
    ChannelCounts heard;
};

// The chain's end on the packet path: a worker's journal. Called on the worker's thread; `packet` never blocks,
// allocates, locks or touches a disk. False: the buffer is full and this packet is not stored.
class CaptureSink {
public:
    virtual ~CaptureSink() = default;
    // Errc-free on purpose: opening takes a slot or, at the limit of running segments, returns false.
    [[nodiscard]] virtual bool open(SegmentSlot slot, const SegmentHead& head) = 0;
    // `rtp` is the packet as received or as sent, header and payload, without SRTP.
    [[nodiscard]] virtual bool packet(SegmentSlot slot, Channel channel, Instant when, Bytes rtp) = 0;
    // The silence is in force from `now`; what the segment stored since `from` (no later than `now`) is erased, soon;
    // whoever owns the sink is told `ticket` once a crash can bring nothing of it back (0: nobody is). Nothing is
    // stored between `now` and the last label's resume: the caller's word. False: the buffer is full, nothing was
    // noted.
    [[nodiscard]] virtual bool silence(SegmentSlot slot, const Silence& silence, Instant from, Instant now,
                                       std::uint64_t ticket) = 0;
    // Of a silence that began too late, whether it is over or not: what was stored from `from` to `to`, no later than
    // where that silence had begun to erase, is erased and told in the same way. Nothing is silent by it.
    [[nodiscard]] virtual bool reach_back(SegmentSlot slot, const Silence& silence, Instant from, Instant to,
                                          Instant now, std::uint64_t ticket) = 0;
    [[nodiscard]] virtual bool resume(SegmentSlot slot, const std::string& label, Instant now) = 0;
    virtual void close(SegmentSlot slot, const SegmentTail& tail) = 0;
};

inline constexpr std::size_t kSegmentsRunningMax = 8'192;  // a worker

}  // namespace sheaf::media
