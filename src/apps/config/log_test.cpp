// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "apps/config/log_repetition.h"

namespace sheaf::config {
namespace {

TEST_CASE("the same message is written at most once a second, and says how many were left out") {
    LogRepetition repetition;
    CHECK(repetition.admit("warn no port", 0) == 0);
    for (int i = 1; i <= 500; ++i) CHECK_FALSE(repetition.admit("warn no port", i));
    CHECK(repetition.admit("warn other", 500) == 0);
    CHECK(repetition.overdue(999).empty());
    CHECK(repetition.admit("warn no port", 1'000) == 500);
    CHECK_FALSE(repetition.admit("warn no port", 1'001));
}

TEST_CASE("what was left out and did not come again is said later, once") {
    LogRepetition repetition;
    CHECK(repetition.admit("a", 0) == 0);
    CHECK_FALSE(repetition.admit("a", 1));
    const auto overdue = repetition.overdue(1'500);
    REQUIRE(overdue.size() == 1);
    CHECK(overdue[0].first == "a");
    CHECK(overdue[0].second == 1);
    CHECK(repetition.overdue(3'000).empty());
    CHECK(repetition.admit("a", 3'000) == 0);
}

TEST_CASE("a flood of the same line is said ever more seldom, at last once a minute, and as before when it is over") {
    LogRepetition repetition;
    std::uint64_t told = 0;
    int lines = 0;
    for (std::int64_t ms = 0; ms < 600'000; ms += 10) {
        const auto left_out = repetition.admit("warn flood", ms);
        if (!left_out) continue;
        ++lines;
        told += 1 + *left_out;
    }
    CHECK(lines <= 17);
    CHECK(told > 54'000);
    CHECK_FALSE(repetition.admit("warn flood", 600'000));
    CHECK(repetition.overdue(700'000).size() == 1);
    CHECK(repetition.overdue(900'000).empty());
    CHECK(repetition.admit("warn flood", 900'000) == 0);
    CHECK_FALSE(repetition.admit("warn flood", 900'900));
    CHECK(repetition.admit("warn flood", 901'000) == 1);
}

TEST_CASE("so is a warning that comes again and again, without being many; one that comes now and then is not") {
    LogRepetition repetition;
    int lines = 0, seldom = 0, told = 0;
    for (std::int64_t second = 0; second < 600; ++second) {
        lines += repetition.admit("warn again", second * 1'000) ? 1 : 0;
        told += repetition.admit("info sealed", second * 1'000, false) ? 1 : 0;
        if (second % 30 == 0) seldom += repetition.admit("warn seldom", second * 1'000) ? 1 : 0;
    }
    CHECK(lines <= 17);
    CHECK(told == 600);
    CHECK(seldom == 20);
}

TEST_CASE("more messages than are remembered are all written") {
    LogRepetition repetition;
    for (std::size_t i = 0; i < kLogMessagesMax; ++i) CHECK(repetition.admit(std::to_string(i), 0) == 0);
    CHECK(repetition.admit("one more", 0) == 0);
    CHECK(repetition.admit("one more", 0) == 0);
    CHECK_FALSE(repetition.admit("0", 0));
}

TEST_CASE("a line is logfmt, and no value can start another line or field") {
    CHECK(log_line("T", "info", "call answered", {{"call", "u1"}, {"empty", ""}}) ==
          R"(time=T level=info msg="call answered" call=u1 empty="")");
    CHECK(log_line("T", "warn", "m", {{"from", "a b=\"c\\\n\x7f"}}) ==
          R"(time=T level=warn msg=m from="a b=\"c\\\x0a\x7f")");
    CHECK(log_line("T", "warn", "m", {{"long", std::string(1'000, 'x')}}).size() < 600);
}

}  // namespace
}  // namespace sheaf::config
