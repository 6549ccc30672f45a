// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/time.h"
#include "rtp/packet.h"

namespace sheaf::media {

// One leg's outgoing RTP stream: one SSRC for life, whatever is sent on it. Sequence numbers and timestamps go on when
// the source changes (another party, a prompt, the party again); a change begins with the marker. Within a source the
// numbers keep the source's distances, so that a packet lost on its way to us shows as lost to the receiver too and a
// reordered one keeps its place; a packet we hold back on purpose leaves no hole.
class OutStream {
public:
    OutStream() = default;
    OutStream(std::uint32_t ssrc, std::uint16_t sequence, std::uint32_t timestamp)
        : ssrc_(ssrc), highest_(sequence), timestamp_(timestamp) {}

    struct Incoming {
        std::uint64_t source = 0;   // whose it is; 0 is nobody
        std::int64_t sequence = 0;  // extended
        std::uint32_t timestamp = 0;
        std::uint32_t samples = 0;  // of its audio; 0 for telephone-event, whose timestamp stands still
        bool marker = false;
        bool is_newest = true;  // false: reordered
    };
    // Fills all of `header` but the payload type. False: too late, its numbers belong to another source by now.
    [[nodiscard]] bool next(const Incoming& packet, Instant now, rtp::Header& header);
    // This packet of the source is not sent, by intent.
    void skip(const Incoming& packet);
    // Nothing of the source is sent for a while: what comes next begins anew.
    void interrupt() { source_ = 0; }
    void sent(std::size_t payload_bytes);

    [[nodiscard]] std::uint32_t ssrc() const { return ssrc_; }
    [[nodiscard]] std::uint32_t packets() const { return packets_; }
    [[nodiscard]] std::uint32_t octets() const { return octets_; }
    [[nodiscard]] std::uint32_t timestamp_at(Instant now) const;  // for a sender report

private:
    std::uint32_t ssrc_ = 0;
    std::int64_t highest_ = 0;     // sent, extended
    std::uint32_t timestamp_ = 0;  // of the newest audio
    std::uint32_t samples_ = 0;    // of the newest audio
    Instant when_{};               // it was sent
    bool has_sent_ = false;
    std::uint32_t packets_ = 0;  // both wrap, as a sender report's
    std::uint32_t octets_ = 0;

    std::uint64_t source_ = 0;
    std::int64_t sequence_delta_ = 0;
    std::int64_t source_floor_ = 0;  // older ones of the source have no number any more
    std::uint32_t timestamp_delta_ = 0;
};

}  // namespace sheaf::media
