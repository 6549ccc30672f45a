// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

namespace sheaf::rtp {

inline constexpr std::int32_t kDuplicateWindow = 1'024;  // packets back from the newest
inline constexpr std::int32_t kDropoutMax = 3'000;       // RFC 3550 A.1: a jump further ahead is a restart

enum class SequenceKind : std::uint8_t {
    first,      // the first of the source, or of the source restarted
    ahead,      // newer than all before; numbers may have been left out
    late,       // older than the newest, seen for the first time
    duplicate,  // seen already
    stray,      // far from all others; a restart if its successor follows
};

struct Sequenced {
    SequenceKind kind;
    std::int64_t extended;  // RFC 3550 A.1's cycles and number in one; starts at the first packet's number + 65,536
};

// One source's sequence numbers (RFC 3550 A.1 without probation: the first packet counts, because a recorder keeps what
// it got). Fixed size, nothing allocates.
class SequenceTracker {
public:
    [[nodiscard]] Sequenced update(std::uint16_t sequence);

    [[nodiscard]] bool started() const { return started_; }
    [[nodiscard]] std::int64_t highest() const { return highest_; }
    [[nodiscard]] std::uint64_t received() const { return received_; }  // since the (re)start, without duplicates
    // Numbers since the (re)start that never came. Never negative: duplicates are not counted as received.
    [[nodiscard]] std::uint64_t lost() const;
    [[nodiscard]] std::uint64_t expected() const;
    [[nodiscard]] std::uint64_t restarts() const { return restarts_; }

private:
    void start(std::uint16_t sequence);
    [[nodiscard]] bool mark(std::int64_t extended);  // false: was marked

    bool started_ = false;
    bool has_stray_ = false;
    std::uint16_t stray_ = 0;
    std::int64_t first_ = 0;
    std::int64_t highest_ = 0;
    std::uint64_t received_ = 0;
    std::uint64_t restarts_ = 0;
    std::array<std::uint64_t, kDuplicateWindow / 64> seen_{};  // a bit a number, modulo the window
};

}  // namespace sheaf::rtp
