// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "edge/journal/byte_ring.h"
#include "media/capture.h"
#include "media/journal_format.h"

namespace sheaf::journal {

// The packet path's end of a journal: records into the ring, no lock, no system call but the waker's, no allocation for
// a packet. What does not fit is counted, and told to the journal as a lost record as soon as there is room. There is
// always room for the close of a segment that was opened, and some that packets may not take for silences.
class Intake {
public:
    Intake(ByteRing& ring, std::size_t segments_max);

    [[nodiscard]] bool open(media::SegmentSlot slot, const media::SegmentHead& head);
    [[nodiscard]] bool packet(media::SegmentSlot slot, media::Channel channel, Instant when, Bytes rtp);
    [[nodiscard]] bool silence(media::SegmentSlot slot, const media::Silence& silence, Instant from, Instant now,
                               std::optional<Instant> to = {});
    [[nodiscard]] bool resume(media::SegmentSlot slot, const std::string& label, Instant now);
    void close(media::SegmentSlot slot, const media::SegmentTail& tail);

    std::atomic<std::uint64_t> packets{0};
    std::atomic<std::uint64_t> overflow{0};
    std::atomic<std::uint64_t> running{0};

private:
    struct Missed {
        std::uint64_t packets = 0;
        Instant from{};
        Instant to{};
    };
    struct Slot {
        bool running = false;
        std::array<Missed, 2> missed;
    };
    void put(const media::JournalRecord& record);
    [[nodiscard]] bool mark(const media::JournalRecord& record);
    void tell_missed(media::SegmentSlot slot, Instant when);

    ByteRing& ring_;
    std::vector<Slot> slots_;
    const std::size_t for_marks_;  // of the ring
    std::size_t reserved_ = 0;     // of the ring, for closes of what is running
};

}  // namespace sheaf::journal
