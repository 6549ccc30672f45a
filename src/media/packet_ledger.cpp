// SPDX-License-Identifier: Apache-2.0
#include "media/packet_ledger.h"

#include <algorithm>

namespace sheaf::media {

void PacketLedger::add(Bytes rtp) {
    ++packets_;
    if (rtp.size() < 12 || (rtp[0] >> 6) != 2) {
        ++unsourced_;
        return;
    }
    const std::uint16_t sequence = read_u16be(&rtp[2]);
    const std::uint32_t ssrc = read_u32be(&rtp[8]);
    auto found = std::ranges::find_if(sources_, [ssrc](const Source& s) { return s.count.ssrc == ssrc; });
    if (found != sources_.end()) {
        follow(*found, sequence);
        return;
    }
    if (sources_.size() == kSourcesMax) {
        ++unsourced_;
        return;
    }
    Source source;
    source.count = {.ssrc = ssrc, .packets = 1, .first_sequence = sequence, .last_sequence = sequence};
    source.seen.set(0);
    sources_.push_back(source);
}

void PacketLedger::gap() {
    for (Source& source : sources_) source.is_after_gap = true;
}

void PacketLedger::follow(Source& source, std::uint16_t sequence) {
    SourceCount& c = source.count;
    ++c.packets;
    if (source.is_after_gap) {
        source.is_after_gap = false;
        source.seen.reset();
        source.seen.set(0);
        c.last_sequence = sequence;
        return;
    }
    const int ahead = static_cast<std::int16_t>(static_cast<std::uint16_t>(sequence - c.last_sequence));
    if (ahead > 0 && ahead <= kSequenceJumpMax) {
        source.seen <<= static_cast<std::size_t>(ahead);
        source.seen.set(0);
        c.last_sequence = sequence;
        c.lost += static_cast<std::uint64_t>(ahead - 1);
        return;
    }
    const auto behind = static_cast<std::size_t>(-ahead);
    if (ahead <= 0 && behind < kWindow) {
        if (source.seen.test(behind)) {
            ++c.duplicate;
            return;
        }
        source.seen.set(behind);
        ++c.reordered;
        if (c.lost > 0) --c.lost;
        return;
    }
    ++c.restarts;
    source.seen.reset();
    source.seen.set(0);
    c.last_sequence = sequence;
}

std::vector<SourceCount> PacketLedger::sources() const {
    std::vector<SourceCount> out;
    out.reserve(sources_.size());
    for (const Source& s : sources_) out.push_back(s.count);
    return out;
}

std::uint64_t PacketLedger::lost() const {
    std::uint64_t sum = 0;
    for (const Source& s : sources_) sum += s.count.lost;
    return sum;
}

std::uint64_t PacketLedger::duplicate() const {
    std::uint64_t sum = 0;
    for (const Source& s : sources_) sum += s.count.duplicate;
    return sum;
}

}  // namespace sheaf::media
