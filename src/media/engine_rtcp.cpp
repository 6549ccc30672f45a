// SPDX-License-Identifier: Apache-2.0
// The engine's RTCP: reports out, reports in, counters.
#include <algorithm>

#include "media/engine.h"
#include "rtp/g711.h"

namespace sheaf::media {
namespace {

constexpr std::uint32_t kTicksPerMs = rtp::kG711Rate / 1'000;

}  // namespace

void Engine::rtcp_received(LegSlot slot, const Stamp& when, const Address& from, Bytes bytes) {
    Leg* const leg = at(slot);
    if (leg == nullptr || !leg->is_configured || !from.same_host(leg->remote)) {
        if (leg != nullptr) ++leg->counters.foreign;
        return;
    }
    const auto compound = rtp::parse_compound(bytes);
    if (!compound) {
        ++leg->counters.rtcp_malformed;
        return;
    }
    ++leg->counters.rtcp_received;
    leg->silent_at = when.mono + settings_.silence_max;
    if (const auto& sender = compound->sender) {
        for (Leg::Source& source : leg->sources) {
            if (source.is_used && source.ssrc == compound->ssrc) {
                source.reception.sender_report(sender->ntp, when.mono);
            }
        }
    }
    for (const rtp::ReportBlock& block : compound->blocks()) {
        if (block.ssrc != leg->out.ssrc()) continue;
        leg->counters.far_fraction_lost = block.fraction_lost;
        leg->counters.far_jitter_ms = block.jitter / kTicksPerMs;
        if (const auto trip = rtp::round_trip(block, rtp::ntp_from_wall(when.wall))) leg->counters.round_trip = *trip;
    }
}

// SR when something was sent since the last one, else RR (RFC 3550 §6.4).
void Engine::report(Leg& leg, const Stamp& now, bool bye) {
    if (!leg.is_configured || !leg.is_active() || !leg.remote_rtcp.is_set()) return;
    std::array<rtp::ReportBlock, kSourcesOfLegMax> blocks;
    std::size_t count = 0;
    for (Leg::Source& source : leg.sources) {
        if (!source.is_used || source.is_reported) continue;
        source.is_reported = true;
        blocks[count++] = source.reception.report(source.ssrc, now.mono);
    }
    rtp::Report report{.ssrc = leg.out.ssrc(),
                       .sender = std::nullopt,
                       .blocks = std::span(blocks).first(count),
                       .cname = settings_.cname,
                       .bye = bye};
    if (leg.out.packets() != leg.packets_reported) {
        leg.packets_reported = leg.out.packets();
        report.sender = rtp::SenderInfo{.ntp = rtp::ntp_from_wall(now.wall),
                                        .rtp_timestamp = leg.out.timestamp_at(now.mono),
                                        .packets = leg.out.packets(),
                                        .octets = leg.out.octets()};
    }
    const std::size_t size = rtp::write_compound(buffer_, report);
    if (size == 0) return;
    packets_.send_rtcp(leg.slot, leg.remote_rtcp, Bytes{buffer_.data(), size});
    ++leg.counters.rtcp_sent;
}

std::optional<LegCounters> Engine::counters(const LegId& id) const {
    const auto slot = slot_of(id);
    if (!slot) return std::nullopt;
    const Leg& leg = *legs_[*slot];
    LegCounters counters = leg.counters;
    if (leg.input) counters.mix = leg.input->counters();
    const Leg::Source* newest = nullptr;
    for (const Leg::Source& source : leg.sources) {
        if (!source.is_used) continue;
        counters.lost += source.reception.sequence().lost();
        if (newest == nullptr || source.heard > newest->heard) newest = &source;
    }
    if (newest != nullptr) counters.jitter_ms = newest->reception.jitter() / kTicksPerMs;
    return counters;
}

}  // namespace sheaf::media
