// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <set>
#include <string>

#include "media/capture.h"
#include "rtp/packet.h"

namespace sheaf::media {

// One running recording on a leg: hands packets to the capture and counts what became of each. Nothing of it allocates
// between opening and closing. For each channel received = stored + duplicate + excluded + overflow, always.
class Tap {
public:
    Tap(SegmentSlot slot, SegmentHead head, CaptureSink& sink) : slot_(slot), head_(std::move(head)), sink_(&sink) {}

    // While a label is in force packets are counted as excluded and go nowhere.
    void silence(const std::string& label) { silences_.insert(label); }
    void resume(const std::string& label) { silences_.erase(label); }
    [[nodiscard]] std::size_t silences() const { return silences_.size(); }

    void packet(Channel channel, Instant when, Bytes rtp);
    void duplicate(Channel channel);
    void excluded(Channel channel);
    // Ends the segment at the sink. The tap is of no use afterwards.
    [[nodiscard]] SegmentTail close(const Stamp& now, std::string cause);

    [[nodiscard]] SegmentSlot slot() const { return slot_; }
    [[nodiscard]] const SegmentHead& head() const { return head_; }

private:
    void store(Channel channel, Instant when, Bytes rtp);
    [[nodiscard]] ChannelCounts& counts(Channel channel) { return channel == Channel::said ? said_ : heard_; }

    SegmentSlot slot_;
    SegmentHead head_;
    CaptureSink* sink_;  // outlives the engine
    ChannelCounts said_;
    ChannelCounts heard_;
    std::set<std::string> silences_;
#ifdef SHEAF_PLANT_packet_dropped_at_end
    struct Held {
        std::array<std::uint8_t, rtp::kPacketBytesMax> bytes{};
        std::size_t size = 0;
        Instant when{};
    };
    std::array<Held, 2> held_{};
#endif
};

}  // namespace sheaf::media
