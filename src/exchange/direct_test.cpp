// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "exchange/test_site.h"

using namespace sheaf;
using namespace sheaf::exchange;

namespace {

SiteSettings with_direct_media() {
    SiteSettings settings = london_settings();
    settings.direct_media = true;
    return settings;
}

// Of the leg that is placed for this call; empty: its media passes a media server.
LegId direct_of(const SiteSettings& settings, const std::string& called, const Device& from = {}) {
    TestSite london{settings};
    for (const char* dn : {"1001", "1002", "1003"}) london.register_agent(dn);
    LegOffered offered = from_carrier("c", called);
    if (from.kind != DeviceKind::stranger) offered.from = from;
    london.step(std::move(offered));
    REQUIRE(london.any<PlaceLeg>());
    return london.one<PlaceLeg>().direct;
}

}  // namespace

TEST_CASE("media goes end to end where nothing is recorded and nobody waits") {
    const LegId caller{"c"};
    const auto settings = with_direct_media();
    CHECK(direct_of(settings, "1003") == caller);
    CHECK(direct_of(settings, "2001") == caller);  // at another site
    CHECK(direct_of(settings, "91234", {DeviceKind::agent, "1003"}) == caller);
    CHECK(direct_of(settings, "1001").empty());  // recorded
    CHECK(direct_of(london_settings(), "1003").empty());
}

TEST_CASE("who is recorded on demand is to be so at once: the media passes a media server from the first") {
    auto settings = with_direct_media();
    settings.agents[2].record = {RecordPolicy::on_demand, 0};
    CHECK(direct_of(settings, "1003").empty());
    CHECK(direct_of(settings, "91234", {DeviceKind::agent, "1003"}).empty());
    CHECK(direct_of(settings, "2001") == LegId{"c"});
    settings.trunks[0].record = {RecordPolicy::on_demand, 0};
    CHECK(direct_of(settings, "2001").empty());
}

TEST_CASE("a recorded caller's media passes a media server, whoever is called") {
    auto settings = with_direct_media();
    settings.trunks[0].record = {RecordPolicy::always, 0};
    CHECK(direct_of(settings, "1003").empty());
    CHECK(direct_of(settings, "1003", {DeviceKind::agent, "1001"}).empty());
}

TEST_CASE("whoever waits in a queue hears something, and is connected there") {
    auto settings = with_direct_media();
    settings.routing_points[1].record = {RecordPolicy::never, 0};
    TestSite london{settings};
    london.register_agent("1003");
    london.step(from_carrier("c", "8001"));
    london.step(LegConnected{LegId{"c"}, "m"});
    REQUIRE(london.any<PlaceLeg>());
    CHECK(london.one<PlaceLeg>().direct.empty());
}

TEST_CASE("a consult stands on a media server from its first moment: it is to be mixed") {
    auto settings = with_direct_media();
    settings.agents.push_back({"1004", "Dan", {RecordPolicy::never, 0}, false});
    TestSite london{settings};
    for (const char* dn : {"1003", "1004"}) london.register_agent(dn);
    london.step(from_carrier("c", "1003"));
    const LegId agent = london.one<PlaceLeg>().leg;
    london.step(LegAnswered{agent, {}, {}, "m"});
    london.step(LegConnected{LegId{"c"}, "m"});
    LegOffered consult = from_carrier("consult", "1004");
    consult.from = {DeviceKind::agent, "1003"};
    london.step(std::move(consult));
    REQUIRE(london.any<PlaceLeg>());
    CHECK(london.one<PlaceLeg>().direct.empty());
}

namespace {

// A customer whom 1001 gives to 2001 at paris by a consult, as far as the answer of the customer's trunk.
struct GivenOn : TestSite {
    LegId paris;
    explicit GivenOn(const SiteSettings& settings) : TestSite(settings) {
        register_agent("1001");
        step(from_carrier("C", "8000"));
        step(LegConnected{LegId{"C"}, "m"});
        step(LegAnswered{one<PlaceLeg>().leg, {}, {}, "m"});
        ask("consultation", "2001");
        paris = one<PlaceLeg>().leg;
        step(LegAnswered{paris, CallUuid{"theirs"}, {}, "m"});
        ask("transfer", "");
    }
    void ask(const std::string& service, const std::string& to) {
        const std::string call{exchange.calls().at(0).at("calluuid").as_string()};
        step(CtiRequest{1, "t", {"*"}, service, call, "1001", to, ""});
        REQUIRE(one<CtiReply>().status == 200);
    }
    [[nodiscard]] bool passes() const {
        return any<MeetLegs>() && one<MeetLegs>().leg == paris && one<MeetLegs>().other == LegId{"C"};
    }
};

}  // namespace

TEST_CASE("whose customer goes on at another site and cannot leave has their media pass by") {
    auto settings = with_direct_media();
    SUBCASE("its trunk may not be asked") {
        settings.trunks[0].refer = false;
        GivenOn given{settings};
        CHECK_FALSE(given.any<ReferLeg>());
        CHECK(given.passes());
    }
    SUBCASE("its trunk may be asked") {
        GivenOn given{settings};
        CHECK(given.any<ReferLeg>());
        CHECK_FALSE(given.any<MeetLegs>());
        SUBCASE("and does not") {
            given.step(LegReferred{LegId{"C"}, 603});
            CHECK(given.passes());
        }
        SUBCASE("and does") {
            given.step(LegReferred{LegId{"C"}, 200});
            CHECK_FALSE(given.any<MeetLegs>());
        }
    }
    SUBCASE("the customer may be recorded at a moment's notice") {
        settings.trunks[0].refer = false;
        settings.trunks[0].record = {RecordPolicy::on_demand, 0};
        CHECK_FALSE(GivenOn{settings}.any<MeetLegs>());
    }
    SUBCASE("no media is to pass by") {
        settings.trunks[0].refer = false;
        settings.direct_media = false;
        CHECK_FALSE(GivenOn{settings}.any<MeetLegs>());
    }
}
