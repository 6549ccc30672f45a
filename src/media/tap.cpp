// SPDX-License-Identifier: Apache-2.0
#include "media/tap.h"

#include <algorithm>
#include <utility>

namespace sheaf::media {

void Tap::packet(Channel channel, Instant when, Bytes rtp) {
    if (!silences_.empty()) return excluded(channel);
    ++counts(channel).received;
#ifdef SHEAF_PLANT_packet_dropped_at_end
    Held& held = held_[static_cast<std::size_t>(channel)];
    if (held.size > 0) store(channel, held.when, Bytes{held.bytes.data(), held.size});
    held.size = std::min(rtp.size(), held.bytes.size());
    std::copy_n(rtp.begin(), held.size, held.bytes.begin());
    held.when = when;
#else
    store(channel, when, rtp);
#endif
}

void Tap::store(Channel channel, Instant when, Bytes rtp) {
    if (sink_->packet(slot_, channel, when, rtp)) {
        ++counts(channel).stored;
    } else {
        ++counts(channel).overflow;
    }
}

void Tap::duplicate(Channel channel) {
    ++counts(channel).received;
    ++counts(channel).duplicate;
}

void Tap::excluded(Channel channel) {
    ++counts(channel).received;
    ++counts(channel).excluded;
}

SegmentTail Tap::close(const Stamp& now, std::string cause) {
    SegmentTail tail{.sealed = now, .cause = std::move(cause), .said = said_, .heard = heard_};
    sink_->close(slot_, tail);
    return tail;
}

}  // namespace sheaf::media
