// SPDX-License-Identifier: Apache-2.0
#include "media/out_stream.h"

#include <algorithm>

namespace sheaf::media {
namespace {

constexpr std::int64_t kTicksPerSecond = 8'000;
// A source whose timestamps leave real time by more than this has restarted its clock: it counts as another one.
constexpr std::int64_t kTimestampLeapMax = kTicksPerSecond;

std::int64_t ticks_of(Duration elapsed) {
    // Bounded, so that an idle year fits; timestamps wrap anyway.
    const std::int64_t ms = std::clamp<std::int64_t>(elapsed.count() / 1'000'000, 0, std::int64_t{1} << 40);
    return ms * kTicksPerSecond / 1'000 + elapsed.count() % 1'000'000 * kTicksPerSecond / 1'000'000'000;
}

}  // namespace

bool OutStream::next(const Incoming& packet, Instant now, rtp::Header& header) {
    bool is_change = packet.source != source_;
    const bool is_audio = packet.samples > 0;
    if (!is_change && is_audio && packet.is_newest) {
        const auto step = static_cast<std::int32_t>(packet.timestamp + timestamp_delta_ - timestamp_);
        const std::int64_t leap = step - ticks_of(now - when_);
        is_change = leap > kTimestampLeapMax || leap < -kTimestampLeapMax;
    }
    if (is_change) {
        if (!packet.is_newest) return false;
        // As if the line had been open all the time since the last packet, and never over its end. Less than two
        // packets' time is jitter, no pause.
        const std::int64_t passed = ticks_of(now - when_);
        const std::int64_t gap = !has_sent_ ? 0 : passed < 2 * std::int64_t{samples_} ? samples_ : passed;
        const auto timestamp = static_cast<std::uint32_t>(timestamp_ + static_cast<std::uint64_t>(gap));
        source_ = packet.source;
        sequence_delta_ = highest_ + 1 - packet.sequence;
        source_floor_ = packet.sequence;
        timestamp_delta_ = timestamp - packet.timestamp;
    }
    if (packet.sequence < source_floor_) return false;
    const std::int64_t sequence = packet.sequence + sequence_delta_;
    header.ssrc = ssrc_;
    header.sequence = static_cast<std::uint16_t>(sequence);
    header.timestamp = packet.timestamp + timestamp_delta_;
    header.marker = packet.marker || is_change;
    highest_ = std::max(highest_, sequence);
    if (packet.is_newest && (is_audio || is_change)) {
        timestamp_ = header.timestamp;
        samples_ = packet.samples;
        when_ = now;
        has_sent_ = true;
    }
    return true;
}

void OutStream::skip(const Incoming& packet) {
    if (packet.source != source_ || !packet.is_newest) return;
    --sequence_delta_;
    source_floor_ = packet.sequence + 1;
}

void OutStream::sent(std::size_t payload_bytes) {
    ++packets_;
    octets_ += static_cast<std::uint32_t>(payload_bytes);
}

std::uint32_t OutStream::timestamp_at(Instant now) const {
    return timestamp_ + static_cast<std::uint32_t>(has_sent_ ? ticks_of(now - when_) : 0);
}

}  // namespace sheaf::media
