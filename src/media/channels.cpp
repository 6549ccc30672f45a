// SPDX-License-Identifier: Apache-2.0
#include "media/channels.h"

#include <algorithm>

#include "base/assert.h"
#include "rtp/g711.h"
#include "rtp/packet.h"

namespace sheaf::media {
namespace {

// The placer's bounds: no packet is placed further back than this behind the latest arrival, nor further ahead.
constexpr Duration kBehindMax = rtp::kLateMax + rtp::kDisagreementMax + rtp::kLookAhead;
constexpr std::int64_t kBehindSamples = kBehindMax.count() / 125'000 + 1;
constexpr std::int64_t kWindowSamples = 1 << 16;  // 8.2 s
static_assert(kWindowSamples > kBehindSamples + 8 * 100 + 8'000 + static_cast<std::int64_t>(kRtpBytesMax));
constexpr std::uint8_t kPcmu = 0;
constexpr std::uint8_t kPcma = 8;

}  // namespace

Channels::Channels(PcmSink& sink, Duration duration)
    : sink_(sink), total_(static_cast<std::int64_t>(samples_of(duration))) {
    ASSERT(duration <= kSegmentDurationMax);
    for (Lane& lane : lanes_) lane.window.assign(static_cast<std::size_t>(kWindowSamples), 0);
}

Result<void> Channels::packet(const StoredPacket& packet) {
    Lane& lane = lanes_[static_cast<std::size_t>(packet.channel)];
    if (packet.after < -kBehindMax || packet.after > kSegmentDurationMax) {
        ++lane.counts.outside;
        return {};
    }
    const auto parsed = rtp::parse_packet(packet.rtp);
    if (!parsed || (parsed->payload_type != kPcmu && parsed->payload_type != kPcma) || parsed->payload.empty()) {
        ++lane.counts.undecodable;
        return {};
    }
    const Instant now{packet.after};
    lane.placer.add({.when = now,
                     .ssrc = parsed->ssrc,
                     .sequence = parsed->sequence,
                     .timestamp = parsed->timestamp,
                     .payload_type = parsed->payload_type,
                     .payload = parsed->payload});
    for (Lane& each : lanes_) {
        each.placer.advance(now);
        TRY_VOID(take_placed(each));
    }
    return flush_to(packet.after.count() / 125'000 - kBehindSamples);
}

Result<void> Channels::take_placed(Lane& lane) {
    std::array<std::int16_t, kRtpBytesMax> samples;
    while (auto placed = lane.placer.take()) {
        const std::size_t n = std::min(placed->payload.size(), samples.size());
        const Bytes payload = Bytes(placed->payload).first(n);
        if (placed->payload_type == kPcmu) {
            rtp::decode_ulaw(payload, samples.data());
        } else {
            rtp::decode_alaw(payload, samples.data());
        }
        const std::int64_t end = placed->position + static_cast<std::int64_t>(n);
        if (end <= 0 || placed->position >= total_) {
            ++lane.counts.outside;
            continue;
        }
        if (placed->position < flushed_) {
            if (flushed_ > 0) ++lane.counts.late;
        } else {
            ++lane.counts.placed;
        }
        // Arrivals that jump ahead of everything before: what lies behind can be written, nothing will come for it.
        TRY_VOID(flush_to(end - kWindowSamples));
        const std::int64_t hole = placed->position - lane.end;
        if (placed->joins && hole > 0 && hole <= rtp::kSlipSamplesMax) {
            std::array<std::int16_t, rtp::kSlipSamplesMax> fill;
            fill.fill(lane.last_sample);
            write(lane, lane.end, std::span(fill).first(static_cast<std::size_t>(hole)));
        }
        write(lane, placed->position, std::span<const std::int16_t>(samples).first(n));
        lane.end = end;
        lane.last_sample = samples[n - 1];
    }
    return {};
}

void Channels::write(Lane& lane, std::int64_t position, std::span<const std::int16_t> samples) {
    for (std::size_t i = 0; i < samples.size(); ++i) {
        const std::int64_t at = position + static_cast<std::int64_t>(i);
        if (at >= flushed_ && at < total_) lane.window[static_cast<std::size_t>(at % kWindowSamples)] = samples[i];
    }
}

Result<void> Channels::flush_to(std::int64_t sample) {
    sample = std::min(sample, total_);
    while (flushed_ < sample) {
        const auto start = static_cast<std::size_t>(flushed_ % kWindowSamples);
        const auto n =
            static_cast<std::size_t>(std::min(sample - flushed_, kWindowSamples - static_cast<std::int64_t>(start)));
        const std::span<std::int16_t> said = std::span(lanes_[0].window).subspan(start, n);
        const std::span<std::int16_t> heard = std::span(lanes_[1].window).subspan(start, n);
        TRY_VOID(sink_.write(said, heard));
        std::ranges::fill(said, std::int16_t{0});
        std::ranges::fill(heard, std::int16_t{0});
        flushed_ += static_cast<std::int64_t>(n);
    }
    return {};
}

Result<void> Channels::finish() {
    for (Lane& lane : lanes_) {
        lane.placer.finish();
        TRY_VOID(take_placed(lane));
    }
    return flush_to(total_);
}

}  // namespace sheaf::media
