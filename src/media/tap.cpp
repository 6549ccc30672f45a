// SPDX-License-Identifier: Apache-2.0
#include "media/tap.h"

#include <algorithm>
#include <utility>

#include "base/planted.h"

namespace sheaf::media {

void Tap::packet(Channel channel, Instant when, Bytes rtp) {
    if (is_silenced()) return excluded(channel);
    ++counts(channel).received;
#ifdef SHEAF_PLANTABLE
    if (is_planted("packet_dropped_at_end")) return store_one_late(channel, when, rtp);
#endif
    store(channel, when, rtp);
}

#ifdef SHEAF_PLANTABLE
void Tap::store_one_late(Channel channel, Instant when, Bytes rtp) {
    Held& held = held_[static_cast<std::size_t>(channel)];
    if (held.size > 0) store(channel, held.when, Bytes{held.bytes.data(), held.size});
    held.size = std::min(rtp.size(), held.bytes.size());
    std::copy_n(rtp.begin(), held.size, held.bytes.begin());
    held.when = when;
}
#endif

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

Result<void> Tap::silence(const Silence& silence, Duration back, Instant now, std::uint64_t ticket) {
    const bool is_new = std::ranges::find(labels_, silence.label) == labels_.end();
    if (is_new && labels_.size() >= kSilencesMax) {
        return fail(Errc::exhausted, "too many silences at once in segment " + head_.segment.text());
    }
    if (is_new) labels_.push_back(silence.label);
    const Instant from = before(now, back);
    keep(silence.label, from);
    if (sink_->silence(slot_, silence, from, now, ticket)) return {};
    return fail(Errc::exhausted, "the journal's buffer is full");
}

Result<void> Tap::reach_back(const Silence& silence, Duration back, Instant now, std::uint64_t ticket) {
    const Instant from = before(now, back);
    const auto late = std::ranges::find_if(
        kept_, [&](const Kept& one) { return one.label == silence.label && (!one.to || *one.to > from); });
    const Instant to = late == kept_.end() ? from : std::max(from, late->from);
    if (!sink_->reach_back(slot_, silence, from, to, now, ticket)) {
        return fail(Errc::exhausted, "the journal's buffer is full");
    }
    if (late != kept_.end()) late->from = std::min(from, late->from);
    return {};
}

Instant Tap::before(Instant now, Duration back) const {
    return std::min(now, std::max(head_.opened.mono, now - std::clamp(back, Duration::zero(), kErasedBackMax)));
}

void Tap::keep(const std::string& label, Instant from) {
    const auto open = std::ranges::find_if(kept_, [&](const Kept& one) { return one.label == label && !one.to; });
    if (open != kept_.end()) {
        open->from = std::min(open->from, from);
        return;
    }
    if (kept_.size() >= kSilencesKept)
        kept_.erase(std::ranges::find_if(kept_, [](const Kept& k) { return k.to.has_value(); }));
    kept_.push_back({label, from, std::nullopt});
}

Result<void> Tap::resume(const std::string& label, Instant now) {
    const auto found = std::ranges::find(labels_, label);
    if (found == labels_.end()) return {};
    if (!sink_->resume(slot_, label, now)) return fail(Errc::exhausted, "the journal's buffer is full");
    labels_.erase(found);
    for (Kept& one : kept_) {
        if (one.label == label && !one.to) one.to = now;
    }
    return {};
}

SegmentTail Tap::close(const Stamp& now, std::string cause) {
    SegmentTail tail{.sealed = now, .cause = std::move(cause), .said = said_, .heard = heard_};
    sink_->close(slot_, tail);
    return tail;
}

}  // namespace sheaf::media
