// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bitset>
#include <cstdint>
#include <vector>

#include "base/bytes.h"

namespace sheaf::media {

// What the sequence numbers of one source say (RFC 3550 §A.1, without probation).
struct SourceCount {
    std::uint32_t ssrc = 0;
    std::uint64_t packets = 0;
    std::uint64_t duplicate = 0;  // a sequence number again, within the last 1,024
    std::uint64_t reordered = 0;  // came after a later one
    std::uint64_t lost = 0;       // numbers that never came, between the first and the last
    std::uint64_t restarts = 0;   // jumps of more than kSequenceJumpMax: a new stream, not a loss
    std::uint16_t first_sequence = 0;
    std::uint16_t last_sequence = 0;  // the highest
};

inline constexpr std::size_t kSourcesMax = 64;  // of a channel; packets of further ones are counted in `unsourced`
inline constexpr int kSequenceJumpMax = 3'000;  // RFC 3550 §A.1 MAX_DROPOUT

// Counts the packets of one channel by source, for the cutter and for `sheaf verify`.
class PacketLedger {
public:
    void add(Bytes rtp);
    // What comes next may be any number further on: those in between were left out on purpose, not lost.
    void gap();
    [[nodiscard]] std::vector<SourceCount> sources() const;
    [[nodiscard]] std::uint64_t packets() const { return packets_; }
    [[nodiscard]] std::uint64_t lost() const;
    [[nodiscard]] std::uint64_t duplicate() const;
    [[nodiscard]] std::uint64_t unsourced() const { return unsourced_; }  // no RTP, or of one source too many

private:
    static constexpr std::size_t kWindow = 1'024;
    struct Source {
        SourceCount count;
        std::bitset<kWindow> seen;  // bit 0: last_sequence
        bool is_after_gap = false;
    };
    static void follow(Source& source, std::uint16_t sequence);
    std::vector<Source> sources_;
    std::uint64_t packets_ = 0;
    std::uint64_t unsourced_ = 0;
};

}  // namespace sheaf::media
