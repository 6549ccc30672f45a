// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "media/address.h"
#include "media/control.h"
#include "media/digits.h"
#include "media/mix_input.h"
#include "media/out_stream.h"
#include "media/player.h"
#include "media/tap.h"
#include "rtp/rtcp.h"

namespace sheaf::media {

// A leg's place in its engine, for the packet path. Free for another leg after RemoveLeg.
using LegSlot = std::uint32_t;
inline constexpr LegSlot kNoLeg = 0xFFFFFFFF;
inline constexpr std::size_t kSourcesOfLegMax = 4;  // SSRCs remembered; the one unheard for longest goes

enum class PayloadKind : std::uint8_t { unknown, pcmu, pcma, telephone_event };

// What became of a leg's packets, since AddLeg.
struct LegCounters {
    std::uint64_t received = 0;   // accepted: from the negotiated remote, well formed, while it may speak
    std::uint64_t foreign = 0;    // from another address or port
    std::uint64_t unwanted = 0;   // while the leg was held or not configured
    std::uint64_t malformed = 0;  // no RTP, or too long
    std::uint64_t duplicate = 0;
    std::uint64_t excluded = 0;  // telephone-event, unknown payload type, empty
    std::uint64_t lost = 0;      // numbers that never came, of the sources remembered
    std::uint64_t sent = 0;
    std::uint64_t digits_dropped = 0;  // too many were untold
    MixInput::Counters mix;            // of its voice on the way into mixes
    std::uint64_t rtcp_received = 0;
    std::uint64_t rtcp_malformed = 0;
    std::uint64_t rtcp_sent = 0;
    std::uint32_t jitter_ms = 0;         // of the source heard last
    std::uint8_t far_fraction_lost = 0;  // of 256: what the far end says it lost of ours
    std::uint32_t far_jitter_ms = 0;
    Duration round_trip{};  // 0: not known
};

struct Leg {
    struct Source {
        bool is_used = false;
        std::uint32_t ssrc = 0;
        Instant heard{};
        bool is_reported = true;  // nothing came since the last report
        rtp::Reception reception;
    };

    LegId id;
    LegSlot slot = kNoLeg;
    bool is_configured = false;
    LegMedia media;
    Address negotiated;
    Address remote;       // the negotiated one, or what was latched on to
    Address remote_rtcp;  // port 0: no reports
    bool may_latch = false;
    std::array<PayloadKind, 128> kinds{};

    RoomId room;            // empty: none
    LegSlot peer = kNoLeg;  // who hears this leg and is heard by it, where two are forwarded to each other
    // In a mix. `input` is made with the first one and kept.
    bool is_mixed = false;
    bool fades_in = false;        // the next frame it hears is its first of this mix
    LegSlot heard_last = kNoLeg;  // whom it was forwarded when the mix began
    std::uint8_t patience = 0;    // frames it may still wait for that voice
    bool is_waiting = false;      // for this one
    std::uint64_t mixes = 0;      // entered
    std::unique_ptr<MixInput> input;
    std::array<Source, kSourcesOfLegMax> sources;
    OutStream out;
    DigitReader digits;
    bool collects = false;  // digits are told
    std::optional<Player> player;
    std::uint64_t plays = 0;
    std::vector<Tap> taps;  // room for kRecordingsOfLegMax reserved

    LegCounters counters;
    Instant silent_at{};  // when it will have been silent for too long
    Instant rtcp_due{};
    std::uint32_t packets_reported = 0;  // of `out`, by the last sender report

    // Neither inactive nor not yet negotiated: it takes one of the room's places for active legs.
    [[nodiscard]] static bool is_active(const LegMedia& media) { return media.we_send || media.we_receive; }
    [[nodiscard]] bool is_active() const { return is_configured && is_active(media); }
};

}  // namespace sheaf::media
