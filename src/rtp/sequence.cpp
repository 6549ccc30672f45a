// SPDX-License-Identifier: Apache-2.0
#include "rtp/sequence.h"

namespace sheaf::rtp {
namespace {

constexpr std::int64_t kCycle = 65'536;

}  // namespace

Sequenced SequenceTracker::update(std::uint16_t sequence) {
    if (!started_) {
        start(sequence);
        return {SequenceKind::first, highest_};
    }
    const auto distance = static_cast<std::int16_t>(static_cast<std::uint16_t>(sequence - (highest_ & 0xFFFF)));
    const std::int64_t extended = highest_ + distance;
    if (distance > 0 && distance < kDropoutMax) {
        has_stray_ = false;
        // Only the window's bits need clearing, however far the jump.
        const std::int64_t skipped = distance < kDuplicateWindow ? distance : kDuplicateWindow;
        for (std::int64_t n = extended - skipped + 1; n <= extended; ++n) {
            seen_[static_cast<std::size_t>((n % kDuplicateWindow) / 64)] &= ~(std::uint64_t{1} << (n % 64));
        }
        highest_ = extended;
        static_cast<void>(mark(extended));
        ++received_;
        return {SequenceKind::ahead, extended};
    }
    if (distance <= 0 && distance > -kDuplicateWindow) {
        if (!mark(extended)) return {SequenceKind::duplicate, extended};
        ++received_;
        return {SequenceKind::late, extended};
    }
    if (has_stray_ && sequence == stray_) return {SequenceKind::duplicate, extended};
    if (has_stray_ && sequence == static_cast<std::uint16_t>(stray_ + 1)) {
        start(stray_);  // it was the restarted source's first
        static_cast<void>(mark(++highest_));
        received_ = 2;
        ++restarts_;
        return {SequenceKind::first, highest_};
    }
    has_stray_ = true;
    stray_ = sequence;
    return {SequenceKind::stray, extended};
}

void SequenceTracker::start(std::uint16_t sequence) {
    started_ = true;
    has_stray_ = false;
    // A cycle ahead, so that late packets from before the first one stay positive.
    first_ = highest_ = sequence + kCycle;
    seen_.fill(0);
    static_cast<void>(mark(highest_));
    received_ = 1;
}

bool SequenceTracker::mark(std::int64_t extended) {
    std::uint64_t& word = seen_[static_cast<std::size_t>((extended % kDuplicateWindow) / 64)];
    const std::uint64_t bit = std::uint64_t{1} << (extended % 64);
    if ((word & bit) != 0) return false;
    word |= bit;
    if (extended < first_) first_ = extended;
    return true;
}

std::uint64_t SequenceTracker::expected() const {
    return started_ ? static_cast<std::uint64_t>(highest_ - first_ + 1) : 0;
}

std::uint64_t SequenceTracker::lost() const {
    const std::uint64_t wanted = expected();
    return wanted > received_ ? wanted - received_ : 0;
}

}  // namespace sheaf::rtp
