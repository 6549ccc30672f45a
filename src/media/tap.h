// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "media/capture.h"
#include "rtp/packet.h"

namespace sheaf::media {

// One running recording on a leg: hands packets to the capture and counts what became of each. Nothing of it allocates
// between opening and closing. For each channel received = stored + duplicate + excluded + overflow, always.
class Tap {
public:
    Tap(SegmentSlot slot, SegmentHead head, CaptureSink& sink) : slot_(slot), head_(std::move(head)), sink_(&sink) {}

    void packet(Channel channel, Instant when, Bytes rtp);
    void duplicate(Channel channel);
    void excluded(Channel channel);
    // While a label is in force packets are counted as excluded. Errc::exhausted: too many labels, and this one is not;
    // or the sink is full, and it is, though the sink has not heard of it. It hears of it when asked again.
    [[nodiscard]] Result<void> silence(const Silence& silence, Duration back, Instant now, std::uint64_t ticket = 0);
    // The label's first silence that had not ended by `back` ago reaches back to there, in force or not. None: nothing
    // of what it is about was stored here. Errc::exhausted: the sink is full, and has not heard of it.
    [[nodiscard]] Result<void> reach_back(const Silence& silence, Duration back, Instant now, std::uint64_t ticket);
    [[nodiscard]] Result<void> resume(const std::string& label, Instant now);
    [[nodiscard]] bool is_silenced() const { return !labels_.empty(); }
    // Ends the segment at the sink. The tap is of no use afterwards.
    [[nodiscard]] SegmentTail close(const Stamp& now, std::string cause);

    [[nodiscard]] SegmentSlot slot() const { return slot_; }
    [[nodiscard]] const SegmentHead& head() const { return head_; }

private:
    struct Kept {
        std::string label;
        Instant from;  // nothing is stored from here
        std::optional<Instant> to;
    };
    void keep(const std::string& label, Instant from);
    [[nodiscard]] Instant before(Instant now, Duration back) const;
    void store(Channel channel, Instant when, Bytes rtp);
    [[nodiscard]] ChannelCounts& counts(Channel channel) { return channel == Channel::said ? said_ : heard_; }

    SegmentSlot slot_;
    SegmentHead head_;
    CaptureSink* sink_;  // outlives the engine
    ChannelCounts said_;
    ChannelCounts heard_;
    std::vector<std::string> labels_;  // in force
    std::deque<Kept> kept_;            // the newest last
#ifdef SHEAF_PLANTABLE
    struct Held {
        std::array<std::uint8_t, rtp::kPacketBytesMax> bytes{};
        std::size_t size = 0;
        Instant when{};
    };
    std::array<Held, 2> held_{};
    void store_one_late(Channel channel, Instant when, Bytes rtp);
#endif
};

}  // namespace sheaf::media
