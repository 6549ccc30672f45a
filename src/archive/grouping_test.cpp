// SPDX-License-Identifier: Apache-2.0
#include "archive/grouping.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace sheaf::archive::grouping;

namespace {

// Every order of a few facts, each said twice, must end in the view of the batch.
void check_every_order(std::vector<Fact> facts, const View& expected) {
    std::sort(facts.begin(), facts.end());
    do {
        Engine engine;
        for (const Fact& fact : facts) {
            engine.add(fact);
            engine.add(fact);
        }
        REQUIRE(engine.view() == expected);
    } while (std::next_permutation(facts.begin(), facts.end()));
    CHECK(fold(facts) == expected);
}

}  // namespace

TEST_CASE("a consult transfer's three calls at two sites are one recording under the root's calluuid") {
    const std::vector<Fact> facts = {
        Call{"x", "U1"},      Link{"x", "LC", "U1", "U1c"}, Link{"x", "L1", "U1c", "U2", 1},
        Seg{"x", "F1", "U1"}, Seg{"x", "F2", "U2"},         Link{"x", "L2", "U1", "U2"}};
    check_every_order(facts, {{{"x", "U1"}, {"x", {"U1", "U1c", "U2"}, {"F1", "F2"}, false}}});
}

TEST_CASE("a suggestion joins nothing until an operator accepts it, and parts again when that is taken back") {
    const std::vector<Fact> facts = {Call{"x", "a"}, Call{"x", "b"}, Link{"x", "l", "a", "b", 2, true, true}};
    CHECK(fold(facts).size() == 2);
    auto accepted = facts;
    accepted.push_back(Accept{"x", "l", 1, true});
    check_every_order(accepted, {{{"x", "a"}, {"x", {"a", "b"}, {}, false}}});
    accepted.push_back(Accept{"x", "l", 2, false});
    check_every_order(accepted, {{{"x", "a"}, {"x", {"a"}, {}, false}}, {{"x", "b"}, {"x", {"b"}, {}, false}}});
}

TEST_CASE("an accepted suggestion of one tenant says nothing about another's") {
    CHECK(fold({Link{"x", "l", "a", "b", 2, true, true}, Accept{"y", "l", 1, true}}).empty());
}

TEST_CASE("adding a fact names the calls whose group may have changed, and a duplicate names none") {
    Engine engine;
    engine.add(Link{"x", "l1", "a", "b"});
    engine.add(Link{"x", "l2", "c", "d"});
    CHECK(engine.add(Link{"x", "l3", "b", "e"}) == std::vector<Node>{{"x", "a"}, {"x", "b"}, {"x", "e"}});
    CHECK(engine.add(Link{"x", "l3", "b", "e"}).empty());
    CHECK(engine.add(Retract{"x", "l1"}) == std::vector<Node>{{"x", "a"}, {"x", "b"}, {"x", "e"}});
    CHECK(engine.recording_of({"x", "e"}) == Node{"x", "b"});
    CHECK(engine.recording_of({"x", "a"}) == Node{});
}

TEST_CASE("a group never exceeds the cap and is flagged for review") {
    Engine engine(4);
    std::vector<Fact> facts;
    for (int i = 0; i < 9; ++i)
        facts.push_back(Link{"x", "l" + std::to_string(i), "u" + std::to_string(i), "u" + std::to_string(i + 1)});
    for (const Fact& fact : facts) engine.add(fact);
    CHECK(engine.view() == fold(facts, 4));
    CHECK(engine.view().size() >= 3);
    for (const auto& [id, group] : engine.view()) {
        CHECK(group.calls.size() <= 4);
        CHECK(group.needs_review);
    }
}
