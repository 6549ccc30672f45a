// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "exchange/journal.h"
#include "exchange/test_site.h"

// Callers who do not want to be shown, and calls that have been elsewhere before.
using namespace sheaf;
using namespace sheaf::exchange;

namespace {

const Withheld kCaller{"+447700900123", "Ada"};

LegOffered withheld_call(const std::string& called) {
    auto offered = from_carrier("C", called);
    offered.calling = kAnonymous;
    offered.withheld = kCaller;
    return offered;
}

bool names_the_caller(const std::vector<Effect>& effects) {
    for (const auto& effect : effects) {
        if (std::holds_alternative<PlaceLeg>(effect)) continue;
        if (to_text(effect).find("7700900123") != std::string::npos) return true;
    }
    return false;
}

}  // namespace

TEST_CASE("a caller who withholds is anonymous in facts, to agents and to CTI; peers get the number beside") {
    TestSite site(london_settings());
    site.register_agent("1001");
    site.step(withheld_call("8000"));
    CHECK_FALSE(names_the_caller(site.effects));
    CHECK(site.fact("call.started").at("ani").as_string() == kAnonymous);
    site.step(LegConnected{LegId{"C"}, "m"});
    CHECK_FALSE(names_the_caller(site.effects));
    const auto placed = site.one<PlaceLeg>();
    CHECK(placed.to.name == "1001");
    CHECK(placed.calling == kAnonymous);
    CHECK(placed.withheld == kCaller);
    site.step(LegAnswered{placed.leg, {}, {}, "m"});
    CHECK_FALSE(names_the_caller(site.effects));

    TestSite other(london_settings());
    other.step(withheld_call("2001"));
    REQUIRE(other.any<PlaceLeg>());
    CHECK(other.one<PlaceLeg>().to.kind == DeviceKind::site);
    CHECK(other.one<PlaceLeg>().withheld == kCaller);
}

TEST_CASE("an agent who withholds is named in facts, and anonymous to whom it calls") {
    TestSite site(london_settings());
    site.register_agent("1001");
    LegOffered offered;
    offered.leg = LegId{"A"};
    offered.from = {DeviceKind::agent, "1001"};
    offered.called = "94420";
    offered.calling = "1001";
    offered.withheld = Withheld{"1001", "Agent"};
    site.step(offered);
    CHECK(site.fact("call.started").at("ani").as_string() == "1001");
    const auto placed = site.one<PlaceLeg>();
    CHECK(placed.to.kind == DeviceKind::trunk);
    CHECK(placed.calling == kAnonymous);
    CHECK(placed.calling_name.empty());
    CHECK(placed.withheld == Withheld{"1001", "Agent"});
    CHECK(placed.diversions.empty());
    site.step(LegAnswered{placed.leg, {}, {}, "m"});
    site.step(LegConnected{LegId{"A"}, "m"});
    for (const auto& shown : site.all<ShowIdentity>()) CHECK((shown.leg != placed.leg || shown.number == kAnonymous));
}

TEST_CASE("where a call has been is a fact, and passes on to a site; an agent and a stranger have no say in it") {
    auto offered = from_carrier("C", "2001");
    offered.diversions = {{"+441", "user-busy"}, {"+442", "away"}};
    TestSite site(london_settings());
    site.step(offered);
    CHECK(site.fact("call.started").at("diverted_from").as_string() == "+441");
    CHECK(site.one<PlaceLeg>().diversions == offered.diversions);

    TestSite plain(london_settings());
    plain.step(from_carrier("C", "2001"));
    CHECK_FALSE(plain.fact("call.started").contains("diverted_from"));

    TestSite strange(london_settings());
    auto forged = offered;
    forged.called = "8000";
    forged.from = {DeviceKind::stranger, {}};
    strange.step(forged);
    CHECK_FALSE(strange.fact("call.started").contains("diverted_from"));
}

TEST_CASE("a customer who is sent outside comes with the number that was called, and why it was left") {
    TestTalk talk;
    talk.site.step(TransferAsked{talk.agent, "94420", "refer", {}});
    const auto placed = talk.site.one<PlaceLeg>();
    REQUIRE(placed.to.kind == DeviceKind::trunk);
    REQUIRE(placed.diversions.size() == 1);
    CHECK(placed.diversions.front() == Diversion{"8000", "deflection"});
}
