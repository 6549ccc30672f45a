// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"

// Where on a timeline the packets of one channel belong.
//
// Within a stream (an SSRC and its clock) RTP timestamps decide the spacing; arrival times only decide where the stream
// sits: at its least delay, so that jitter moves nothing. A stream is anchored anew when it restarts: a new SSRC, or
// timestamps that for a whole look-ahead disagree with arrival by more than kDisagreementMax (kDisagreementAfterSilence
// after a silence, where nobody hears the step). A late burst is no restart: when the source comes back to its old
// anchor within the look-ahead, the burst is put where its timestamps say. Slow clock drift is followed, at most
// kDriftPpmMax.
namespace sheaf::rtp {

inline constexpr Duration kLookAhead = std::chrono::seconds{1};
inline constexpr std::size_t kLookAheadPacketsMax = 512;
inline constexpr Duration kDisagreementMax = std::chrono::milliseconds{100};
inline constexpr Duration kSilenceMin = std::chrono::seconds{1};
inline constexpr Duration kDisagreementAfterSilence = std::chrono::milliseconds{20};
inline constexpr Duration kLateMax = std::chrono::seconds{5};  // a packet later than this is placed by its arrival
inline constexpr std::int64_t kDriftPpmMax = 250;
inline constexpr std::size_t kSourcesMax = 4;  // SSRCs at once on one channel; the one unheard for longest goes
// A hole or an overlap of at most this between two packets that join is the drift being followed, not a loss: fill the
// hole by repeating the last sample.
inline constexpr std::int64_t kSlipSamplesMax = 8;

struct Arrived {
    Instant when;
    std::uint32_t ssrc = 0;
    std::uint16_t sequence = 0;
    std::uint32_t timestamp = 0;
    std::uint32_t clock_rate = 8'000;  // of the payload type, 8,000 to 192,000
    std::uint8_t payload_type = 0;
    Bytes payload;  // copied
};

struct Placed {
    // In samples of the timeline from its origin; negative: before it. For a packet that arrived at `when`:
    // when - kLateMax - kDisagreementMax ≤ position ≤ when + kDisagreementMax.
    std::int64_t position = 0;
    // The packet before it of the same stream, by sequence number, was placed just before it and by the same anchor.
    bool joins = false;
    std::uint32_t ssrc = 0;
    std::uint8_t payload_type = 0;
    Instant when;
    std::vector<std::uint8_t> payload;
};

// Give it one channel's packets in the order they arrived (duplicates removed), and take what is placed: at once, but
// up to kLookAhead (or kLookAheadPacketsMax packets) later where a stream begins or disagrees. Pure, one owner.
class Placer {
public:
    // `origin` is the timeline's zero, `rate` its samples a second.
    explicit Placer(Instant origin, std::uint32_t rate = 8'000);

    void add(const Arrived& packet);
    // It is `now` on the channel, though nothing may have come: what has waited its look-ahead is placed.
    void advance(Instant now);
    // Nothing more will come: what waits is placed.
    void finish();
    // The next placed packet, if any. Packets of one stream come in the order they were added.
    [[nodiscard]] std::optional<Placed> take();

    // How often a stream was anchored, new SSRCs included.
    [[nodiscard]] std::uint64_t anchored() const { return anchored_; }

private:
    struct Waiting {
        Placed placed;
        std::int64_t media_ns = 0;  // by timestamp, from the source's first packet
        std::int64_t delay_ns = 0;  // arrival, from the source's first packet, less media_ns
        std::uint16_t sequence = 0;
    };
    struct Source {
        bool used = false;
        bool anchored = false;
        std::uint32_t ssrc = 0;
        std::uint32_t clock_rate = 0;
        Instant first_when{};         // where media time 0 would be without an offset
        std::int64_t media_ns = 0;    // of the packet added last
        std::uint32_t timestamp = 0;  // of that packet
        Instant last_when{};
        std::int64_t offset_ns = 0;  // the anchor: a packet sits at first_when + media_ns + offset_ns
        // Drift: the least delay of the window that runs and of the one before it.
        Instant window_began{};
        std::uint32_t window_packets = 0;
        std::int64_t window_least_ns = 0;
        std::optional<std::int64_t> former_least_ns;
        Instant followed_until{};
        std::optional<std::uint16_t> next_sequence;  // what the next packet must have to join
        // Packets that wait for the look-ahead to end, and how far they may be from the old anchor to belong to it.
        std::deque<Waiting> waiting;
        std::int64_t tolerance_ns = 0;
        std::int64_t waiting_least_ns = 0;
        std::int64_t waiting_most_ns = 0;
    };

    Source& source_of(const Arrived& packet);
    void wait(Source& source, Waiting&& packet);
    void settle(Source& source);
    void anchor(Source& source);
    void emit(Source& source, Waiting&& packet, std::int64_t offset_ns);
    [[nodiscard]] std::int64_t position_at(Instant moment) const;
    static void follow(Source& source, Instant when, std::int64_t delay_ns);

    Instant origin_;
    std::uint32_t rate_;
    std::uint64_t anchored_ = 0;
    std::array<Source, kSourcesMax> sources_;
    std::deque<Placed> ready_;
};

}  // namespace sheaf::rtp
