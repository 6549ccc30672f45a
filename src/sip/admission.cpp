// SPDX-License-Identifier: Apache-2.0
#include "sip/admission.h"

#include <algorithm>
#include <utility>

#include "sip/endpoint.h"

namespace sheaf::sip {
namespace {

// FNV-1a from a secret start, its bits well mixed: nobody who does not know the secret can aim at another's slot.
std::uint64_t mixed(std::uint64_t secret, std::string_view text) {
    std::uint64_t hash = secret ^ 0xcbf29ce484222325U;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    hash = (hash ^ (hash >> 30U)) * 0xbf58476d1ce4e5b9U;
    hash = (hash ^ (hash >> 27U)) * 0x94d049bb133111ebU;
    return hash ^ (hash >> 31U);
}

}  // namespace

Admission::Admission(const Shares& shares, std::uint64_t secret)
    : shares_(shares), secret_(secret), slots_(kStrangerSlots) {}

bool Admission::has_room(Bucket& bucket, Instant now, double share, double cost) {
    const auto passed = std::chrono::duration<double>(std::max(now - bucket.at, Duration{0})).count();
    bucket.used = std::max(0.0, bucket.used - passed * share);
    bucket.at = std::max(bucket.at, now);
    if (bucket.used + cost > share * kShareSeconds) return false;
    bucket.used += cost;
    return true;
}

bool Admission::has_share(Instant now, std::string_view address, const Sender& sender, double cost) {
    const auto from = network_of(address);
    if (sender.kind == Sender::Kind::stranger) {
        Bucket& own = slots_[mixed(secret_, from) % slots_.size()];
        return has_room(own, now, shares_.stranger, cost) && has_room(all_strangers_, now, shares_.strangers, cost);
    }
    const double share = sender.kind == Sender::Kind::peer
                             ? shares_.peer
                             : shares_.caller + shares_.use * static_cast<double>(sender.uses);
    if (known_.size() >= kKnownMax && !known_.contains(from)) forget_idle(now);
    // More of them at once than there is room for: they have to share.
    const bool has_own = known_.size() < kKnownMax || known_.contains(from);
    return has_room(known_[has_own ? from : std::string()], now, share, cost);
}

Admission::Verdict Admission::judge(Instant now, std::string_view address, const Sender& sender, std::size_t bytes) {
    const std::size_t messages = 1 + bytes / kShareBytes;
    const auto cost = static_cast<double>(messages);
    if (has_share(now, address, sender, cost)) return Verdict::admit;
    turned_.address = address.substr(0, kAddressBytesMax);
    if (has_room(all_refusals_, now, shares_.refusals)) {
        ++turned_.refused;
        return Verdict::refuse;
    }
    ++turned_.dropped;
    return Verdict::drop;
}

Admission::Turned Admission::take_turned() {
    return std::exchange(turned_, {});
}

// A bucket that has not been used for as long as it takes to empty is as good as none.
void Admission::forget_idle(Instant now) {
    const auto idle = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(kShareSeconds));
    std::erase_if(known_, [&](const auto& one) { return one.second.at + idle <= now; });
}

}  // namespace sheaf::sip
