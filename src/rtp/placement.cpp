// SPDX-License-Identifier: Apache-2.0
#include "rtp/placement.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace sheaf::rtp {
namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;
constexpr Duration kDriftWindow = std::chrono::seconds{5};
constexpr std::uint32_t kDriftWindowPackets = 50;  // fewer say nothing about the least delay
constexpr std::int64_t kDriftDeadBandNs = 4'000'000;
// Past this the timestamps of a source have nothing to do with time any more (and sums could overflow).
constexpr std::int64_t kMediaNsMax = 100'000'000 * kNsPerSecond;

}  // namespace

Placer::Placer(Instant origin, std::uint32_t rate) : origin_(origin), rate_(rate) {
    ASSERT(rate > 0);
}

void Placer::advance(Instant now) {
    for (Source& source : sources_) {
        if (!source.waiting.empty() && source.waiting.front().placed.when + kLookAhead <= now) settle(source);
    }
}

void Placer::add(const Arrived& packet) {
    ASSERT(packet.clock_rate >= 8'000 && packet.clock_rate <= 192'000);
    advance(packet.when);
    Source& source = source_of(packet);
    // Signed difference, so that a timestamp wraps and a late packet goes back.
    const auto ticks = static_cast<std::int32_t>(packet.timestamp - source.timestamp);
    source.media_ns += ticks * kNsPerSecond / source.clock_rate;
    source.timestamp = packet.timestamp;
    const Duration quiet = packet.when - source.last_when;
    source.last_when = packet.when;

    Waiting waiting;
    waiting.placed.ssrc = packet.ssrc;
    waiting.placed.payload_type = packet.payload_type;
    waiting.placed.when = packet.when;
    waiting.placed.payload.assign(packet.payload.begin(), packet.payload.end());
    waiting.media_ns = source.media_ns;
    waiting.delay_ns = (packet.when - source.first_when).count() - source.media_ns;
    waiting.sequence = packet.sequence;

    if (!source.anchored) return wait(source, std::move(waiting));
    if (source.waiting.empty()) {
        source.tolerance_ns = (quiet > kSilenceMin ? kDisagreementAfterSilence : kDisagreementMax).count();
    }
    const bool agrees = std::abs(waiting.delay_ns - source.offset_ns) <= source.tolerance_ns;
    if (!agrees) return wait(source, std::move(waiting));
    if (!source.waiting.empty()) {  // the source is back where it was
        source.waiting.push_back(std::move(waiting));
        return settle(source);
    }
    follow(source, packet.when, waiting.delay_ns);
    emit(source, std::move(waiting), source.offset_ns);
}

void Placer::finish() {
    for (Source& source : sources_) settle(source);
}

std::optional<Placed> Placer::take() {
    if (ready_.empty()) return std::nullopt;
    std::optional<Placed> placed = std::move(ready_.front());
    ready_.pop_front();
    return placed;
}

Placer::Source& Placer::source_of(const Arrived& packet) {
    Source* oldest = &sources_.front();
    for (Source& source : sources_) {
        const bool same = source.used && source.ssrc == packet.ssrc && source.clock_rate == packet.clock_rate;
        if (same && std::abs(source.media_ns) < kMediaNsMax) return source;
        if (same || !source.used) {
            oldest = &source;
            break;
        }
        if (source.last_when < oldest->last_when) oldest = &source;
    }
    settle(*oldest);
    *oldest = Source{};
    oldest->used = true;
    oldest->ssrc = packet.ssrc;
    oldest->clock_rate = packet.clock_rate;
    oldest->first_when = packet.when;
    oldest->last_when = packet.when;
    oldest->timestamp = packet.timestamp;
    return *oldest;
}

void Placer::wait(Source& source, Waiting&& packet) {
    const std::int64_t delay = packet.delay_ns;
    if (!source.waiting.empty()) {
        const std::int64_t least = std::min(source.waiting_least_ns, delay);
        const std::int64_t most = std::max(source.waiting_most_ns, delay);
        // Timestamps this far apart are two streams: the first is anchored by itself, the second waits in its turn.
        if (most - least > kLateMax.count() || source.waiting.size() >= kLookAheadPacketsMax) settle(source);
    }
    const bool first = source.waiting.empty();
    source.waiting_least_ns = first ? delay : std::min(source.waiting_least_ns, delay);
    source.waiting_most_ns = first ? delay : std::max(source.waiting_most_ns, delay);
    source.waiting.push_back(std::move(packet));
}

// Decides where the packets that wait belong: to the old anchor if the source came back to it, else to a new one.
void Placer::settle(Source& source) {
    if (source.waiting.empty()) return;
    const bool is_back =
        source.anchored && std::abs(source.waiting.back().delay_ns - source.offset_ns) <= source.tolerance_ns;
    if (!is_back) anchor(source);
    while (!source.waiting.empty()) {
        Waiting packet = std::move(source.waiting.front());
        source.waiting.pop_front();
        const std::int64_t disagreement = packet.delay_ns - source.offset_ns;
        const bool ours = disagreement >= -kDisagreementMax.count() && disagreement <= kLateMax.count();
        if (!ours) {  // a stray between packets that agree: nothing but its arrival speaks for it
            source.next_sequence.reset();
            const std::int64_t own = packet.delay_ns;
            emit(source, std::move(packet), own);
            source.next_sequence.reset();
            continue;
        }
        follow(source, packet.placed.when, packet.delay_ns);
        emit(source, std::move(packet), source.offset_ns);
    }
}

void Placer::anchor(Source& source) {
    source.anchored = true;
    source.offset_ns = source.waiting_least_ns;
    source.next_sequence.reset();
    source.window_began = source.waiting.front().placed.when;
    source.window_packets = 0;
    source.former_least_ns.reset();
    source.followed_until = source.window_began;
    ++anchored_;
}

// Lets the anchor glide after the least delay of the last two windows: what is left of it is the clocks' drift.
void Placer::follow(Source& source, Instant when, std::int64_t delay_ns) {
    source.window_least_ns = source.window_packets == 0 ? delay_ns : std::min(source.window_least_ns, delay_ns);
    ++source.window_packets;
    if (when - source.window_began >= kDriftWindow && source.window_packets >= kDriftWindowPackets) {
        source.former_least_ns = source.window_least_ns;
        source.window_began = when;
        source.window_packets = 0;
    }
    const Duration elapsed = when - source.followed_until;
    if (elapsed <= Duration::zero()) return;
    source.followed_until = when;
    if (!source.former_least_ns) return;
    std::int64_t error = *source.former_least_ns;
    if (source.window_packets > 0) error = std::min(error, source.window_least_ns);
    error -= source.offset_ns;
    if (std::abs(error) <= kDriftDeadBandNs) return;
    error += error > 0 ? -kDriftDeadBandNs : kDriftDeadBandNs;
    const std::int64_t step_max = std::min(elapsed, Duration{kDriftWindow}).count() * kDriftPpmMax / 1'000'000;
    source.offset_ns += std::clamp(error, -step_max, step_max);
}

void Placer::emit(Source& source, Waiting&& packet, std::int64_t offset_ns) {
    packet.placed.position = position_at(source.first_when + Duration{packet.media_ns + offset_ns});
    packet.placed.joins = source.next_sequence == packet.sequence;
    source.next_sequence = static_cast<std::uint16_t>(packet.sequence + 1);
    ready_.push_back(std::move(packet.placed));
}

std::int64_t Placer::position_at(Instant moment) const {
    const std::int64_t ns = (moment - origin_).count();
    std::int64_t seconds = ns / kNsPerSecond;
    std::int64_t rest = ns % kNsPerSecond;
    if (rest < 0) {
        rest += kNsPerSecond;
        --seconds;
    }
    return seconds * rate_ + (rest * rate_ + kNsPerSecond / 2) / kNsPerSecond;
}

}  // namespace sheaf::rtp
