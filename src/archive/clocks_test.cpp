// SPDX-License-Identifier: Apache-2.0
#include "archive/clocks.h"

#include <doctest/doctest.h>

#include "archive/story_test.h"

using namespace sheaf::archive;
using namespace sheaf::archive::testing;

namespace {

// An INVITE from one site to another and its answer, each way taking so long.
void invite(Story& s, const std::string& link, const std::string& from, const std::string& to, std::int64_t t,
            std::int64_t forth, std::int64_t back, bool is_answered = true) {
    s.half(from, t, link, "from", "U1", nullptr, "route", "");
    s.half(to, t + forth, link, "to", "U1", "U2", "route", "");
    if (!is_answered) return;
    s.answered(to, t + 5'000, link, "to", "U1");
    s.answered(from, t + 5'000 + back, link, "from", "U2");
}

std::map<std::string, SiteClock> clocks_of(const Story& s, const std::string& root = "london") {
    const auto facts = typed(s.facts);
    std::vector<const TypedFact*> list;
    for (const TypedFact& fact : facts) list.push_back(&fact);
    return site_clocks(root, list);
}

}  // namespace

TEST_CASE("one answered link places a site ten minutes off within the round trip, however long it rang") {
    Story s;
    s.set_clock("paris", 600'000);
    invite(s, "L1", "london", "paris", 0, 12, 8);
    const auto clocks = clocks_of(s);
    CHECK(clocks.at("london") == SiteClock{0, 0});
    CHECK(clocks.at("paris") == SiteClock{600'002, 11});
    CHECK(clocks_of(s, "paris").at("london") == SiteClock{-600'002, 11});
}

TEST_CASE("the least uncertain of several links counts") {
    Story s;
    s.set_clock("paris", 600'000);
    invite(s, "L1", "london", "paris", 0, 300, 20);
    invite(s, "L2", "london", "paris", 9'000, 3, 3);
    invite(s, "L3", "london", "paris", 20'000, 40, 40, false);
    CHECK(clocks_of(s).at("paris") == SiteClock{600'000, 4});
}

TEST_CASE("a link nobody answered gives a rough estimate, and a better way round is preferred") {
    Story s;
    s.set_clock("paris", 600'000);
    s.set_clock("hub", -50'000);
    invite(s, "L1", "london", "paris", 0, 40, 0, false);
    CHECK(clocks_of(s).at("paris") == SiteClock{600'040, kOneWayUncertaintyMs});
    invite(s, "L2", "hub", "london", 0, 5, 5);
    invite(s, "L3", "hub", "paris", 10'000, 7, 7);
    CHECK(clocks_of(s).at("hub") == SiteClock{-50'000, 6});
    CHECK(clocks_of(s).at("paris") == SiteClock{600'000, 6 + 8});
}

TEST_CASE("a wall clock that steps while the phone rings does no harm") {
    Story s;
    s.half("london", 0, "L1", "from", "U1", nullptr, "route", "");
    s.half("paris", 4, "L1", "to", "U1", "U2", "route", "");
    s.set_clock("paris", 3'600'000);
    s.answered("paris", 5'000, "L1", "to", "U1");
    s.answered("london", 5'004, "L1", "from", "U2");
    CHECK(clocks_of(s).at("paris") == SiteClock{0, 5});
}

TEST_CASE("a site no link leads to keeps its own clock and says that this is a guess") {
    Story s;
    s.set_clock("paris", 600'000);
    s.call("paris", 0, "U2", "inter-site", "U1");
    s.half("paris", 4, "L1", "to", "U1", "U2", "route", "");
    CHECK(clocks_of(s).at("paris") == SiteClock{0, std::nullopt});
}
