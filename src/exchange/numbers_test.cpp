// SPDX-License-Identifier: Apache-2.0
#include "exchange/numbers.h"

#include <doctest/doctest.h>

#include "exchange/test_site.h"
#include "exchange/text.h"

using namespace sheaf;
using namespace sheaf::exchange;

TEST_CASE("a number means an agent, a routing point, another site or a route, in this order") {
    SiteSettings settings = london_settings();
    settings.peers.push_back({"hub2", "23", false, false});
    settings.routes.push_back({"^0(0)?", "site:paris", "$1-$0-$9"});
    const NumberPlan plan{settings};
    CHECK(plan.destination_of("1001") == Destination{ToAgent{"1001"}});
    CHECK(plan.destination_of("8000") == Destination{ToRoutingPoint{"8000"}});
    CHECK(plan.destination_of("+442071234567") == Destination{ToRoutingPoint{"8000"}});
    CHECK(plan.destination_of("2001") == Destination{ToSite{"paris", "2001"}});
    CHECK(plan.destination_of("2301") == Destination{ToSite{"hub2", "2301"}});
    CHECK(plan.destination_of("933123") == Destination{ToTrunk{"carrier", "+33123"}});
    CHECK(plan.destination_of("005") == Destination{ToSite{"paris", "0-00-"}});
    CHECK_FALSE(plan.destination_of("5555"));
    CHECK_FALSE(plan.destination_of(""));
    CHECK_FALSE(plan.destination_of("20 01"));
    CHECK_FALSE(plan.destination_of("2\xC3\xA9"));
}

TEST_CASE("a number longer than the limit means nothing, and a route cannot make one") {
    const NumberPlan plan{london_settings()};
    CHECK(plan.destination_of("2" + std::string(kNumberMax - 1, '0')));
    CHECK_FALSE(plan.destination_of("2" + std::string(kNumberMax, '0')));
    SiteSettings settings = london_settings();
    settings.routes = {{".*", "trunk:carrier", std::string(40, '$') + "0$0$0"}};
    CHECK_FALSE(NumberPlan{settings}.destination_of(std::string(40, '5')));
}

TEST_CASE("a route whose expression is none is left out and named") {
    SiteSettings settings = london_settings();
    settings.routes = {{"(", "trunk:carrier", ""}, {"^5", "carrier", ""}, {"^6", "trunk:carrier", ""}};
    const NumberPlan plan{settings};
    CHECK(plan.bad_routes().size() == 2);
    CHECK(plan.destination_of("61") == Destination{ToTrunk{"carrier", "61"}});
}

TEST_CASE("strangers reach routing points only, trunks no trunk, and a site not itself") {
    const Destination agent = ToAgent{"1001"}, point = ToRoutingPoint{"8000"}, paris = ToSite{"paris", "2001"},
                      trunk = ToTrunk{"carrier", "+33"};
    const Device stranger{DeviceKind::stranger, ""}, carrier{DeviceKind::trunk, "carrier"},
        from_paris{DeviceKind::site, "paris"}, ada{DeviceKind::agent, "1001"}, media{DeviceKind::media, ""};
    CHECK(may_call(stranger, point));
    for (const Destination& to : {agent, paris, trunk}) CHECK_FALSE(may_call(stranger, to));
    for (const Destination& to : {agent, point, paris}) CHECK(may_call(carrier, to));
    CHECK_FALSE(may_call(carrier, trunk));
    for (const Destination& to : {agent, point, trunk}) CHECK(may_call(from_paris, to));
    CHECK_FALSE(may_call(from_paris, paris));
    for (const Destination& to : {agent, point, paris, trunk}) {
        CHECK(may_call(ada, to));
        CHECK_FALSE(may_call(media, to));
    }
}

TEST_CASE("text from a peer is fit for a fact: whole characters, none of control, bounded") {
    CHECK(shown("Zo\xC3\xAB") == "Zo\xC3\xAB");
    CHECK(shown("a\nb\x7F") == "a?b?");
    CHECK(shown("\xC3") == "?");
    CHECK(shown("\xC0\x80\xED\xA0\x80\xF5") == "??????");
    CHECK(shown("\xE2\x82\xAC\xE2\x82\xAC", 5) == "\xE2\x82\xAC");
    CHECK(shown(std::string(500, 'a')).size() == kIdMax);
    CHECK(is_id("a-1"));
    CHECK_FALSE(is_id(""));
    CHECK_FALSE(is_id("a b"));
    CHECK_FALSE(is_id(std::string(kIdMax + 1, 'a')));
}
