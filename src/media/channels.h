// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "media/segment_format.h"
#include "rtp/placement.h"

namespace sheaf::media {

inline constexpr std::uint32_t kPcmRate = 8'000;  // samples a second of each channel
// Of one segment as audio: within what a WAV file's 32-bit lengths can say.
inline constexpr Duration kSegmentDurationMax = std::chrono::hours{36};

// Takes both channels' samples, front to back, always as many of one as of the other.
class PcmSink {
public:
    virtual ~PcmSink() = default;
    [[nodiscard]] virtual Result<void> write(std::span<const std::int16_t> said,
                                             std::span<const std::int16_t> heard) = 0;
};

[[nodiscard]] constexpr std::uint64_t samples_of(Duration d) {  // rounded to the nearest
    const auto ns = static_cast<std::uint64_t>(d.count() < 0 ? 0 : d.count());
    return (ns * (kPcmRate / 1'000) + 500'000) / 1'000'000;
}

// A segment's packets, in the file's order, become two channels on one time line that begins at the segment's opening
// and is exactly `duration` long. What is missing is zeros in its place. Holds a few seconds, however long the call.
//
//   StoredPacket → parse → Placer (a channel) → window of samples → PcmSink
//
// Payload types are RFC 3551's: 0 is G.711 µ-law, 8 A-law; others stay silent and are counted.
class Channels {
public:
    // `duration` at most kSegmentDurationMax; the caller has refused longer ones.
    Channels(PcmSink& sink, Duration duration);
    [[nodiscard]] Result<void> packet(const StoredPacket& packet);
    [[nodiscard]] Result<void> finish();

    struct Counts {
        std::uint64_t placed = 0;
        std::uint64_t late = 0;         // its place had been written already
        std::uint64_t outside = 0;      // wholly before the start or behind the end
        std::uint64_t undecodable = 0;  // no RTP, or a payload type that we do not know
    };
    [[nodiscard]] const Counts& counts(Channel c) const { return lanes_[static_cast<std::size_t>(c)].counts; }

private:
    struct Lane {
        rtp::Placer placer{Instant{}};
        std::vector<std::int16_t> window;  // ring; sample s of the time line is at s % size
        std::int64_t end = 0;              // of the packet written last, for slips
        std::int16_t last_sample = 0;
        Counts counts;
    };
    Result<void> take_placed(Lane& lane);
    void write(Lane& lane, std::int64_t position, std::span<const std::int16_t> samples);
    Result<void> flush_to(std::int64_t sample);

    PcmSink& sink_;
    std::int64_t total_;
    std::int64_t flushed_ = 0;  // samples handed to the sink
    std::array<Lane, 2> lanes_;
};

}  // namespace sheaf::media
