// SPDX-License-Identifier: Apache-2.0
#include "rtp/sequence.h"

#include <doctest/doctest.h>

namespace sheaf::rtp {
namespace {

std::uint16_t u16(int n) {
    return static_cast<std::uint16_t>(n);
}

TEST_CASE("numbers go on over the wrap and count what is missing") {
    SequenceTracker tracker;
    CHECK(tracker.update(65'534).kind == SequenceKind::first);
    CHECK(tracker.update(65'535).kind == SequenceKind::ahead);
    CHECK(tracker.update(1).kind == SequenceKind::ahead);  // 0 is missing
    CHECK(tracker.lost() == 1);
    CHECK(tracker.update(0).kind == SequenceKind::late);
    CHECK(tracker.lost() == 0);
    CHECK(tracker.expected() == 4);
    CHECK(tracker.highest() == 65'534 + 65'536 + 3);
}

TEST_CASE("a packet seen again is a duplicate as far back as the window, and in it only once new") {
    SequenceTracker tracker;
    for (int n = 0; n < 3'000; ++n) {
        if (n != 2'500) CHECK(tracker.update(u16(n)).kind != SequenceKind::duplicate);
    }
    CHECK(tracker.update(2'999).kind == SequenceKind::duplicate);
    CHECK(tracker.update(2'999 - 1'023).kind == SequenceKind::duplicate);
    CHECK(tracker.update(2'500).kind == SequenceKind::late);
    CHECK(tracker.update(2'500).kind == SequenceKind::duplicate);
    CHECK(tracker.update(2'999 - 1'024).kind == SequenceKind::stray);  // older than the window: nobody can know
    CHECK(tracker.received() == 3'000);
}

TEST_CASE("a jump within the window leaves no stale marks behind") {
    SequenceTracker tracker;
    for (int n = 0; n < 1'024; ++n) static_cast<void>(tracker.update(u16(n)));
    CHECK(tracker.update(1'500).kind == SequenceKind::ahead);
    for (int n = 1'024; n < 1'500; ++n) CHECK(tracker.update(u16(n)).kind == SequenceKind::late);
    CHECK(tracker.update(4'499).kind == SequenceKind::ahead);  // one less than the greatest jump
    for (int n = 4'499 - 1'023; n < 4'499; ++n) CHECK(tracker.update(u16(n)).kind == SequenceKind::late);
}

TEST_CASE("one far packet is a stray, its successor makes it a restart") {
    SequenceTracker tracker;
    for (int n = 100; n < 200; ++n) static_cast<void>(tracker.update(u16(n)));
    CHECK(tracker.update(199 + kDropoutMax).kind == SequenceKind::stray);
    CHECK(tracker.update(200).kind == SequenceKind::ahead);
    CHECK(tracker.restarts() == 0);
    CHECK(tracker.update(40'000).kind == SequenceKind::stray);
    CHECK(tracker.update(40'000).kind == SequenceKind::duplicate);
    CHECK(tracker.update(40'001).kind == SequenceKind::first);
    CHECK(tracker.restarts() == 1);
    CHECK(tracker.received() == 2);
    CHECK(tracker.update(40'000).kind == SequenceKind::duplicate);
    CHECK(tracker.update(40'002).kind == SequenceKind::ahead);
    CHECK(tracker.lost() == 0);
}

TEST_CASE("packets from before the first one are late, not lost") {
    SequenceTracker tracker;
    static_cast<void>(tracker.update(1));
    CHECK(tracker.update(65'535).kind == SequenceKind::late);
    CHECK(tracker.expected() == 3);
    CHECK(tracker.lost() == 1);
}

}  // namespace
}  // namespace sheaf::rtp
