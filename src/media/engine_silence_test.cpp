// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "media/engine.h"
#include "media/engine_fixture.h"

// A leg from which neither RTP nor RTCP comes any more.
namespace sheaf::media {
namespace {

using namespace fixture;
using namespace std::chrono_literals;

World watchful() {
    return {.sent = {}, .journal = {}, .settings = {.silence_max = 10s}};
}

void tick_for(World& world, Duration span) {
    for (const Instant end = world.now + span; world.now < end;) {
        world.pass(500);
        world.engine.tick(world.stamp());
    }
}

TEST_CASE("a leg that may speak and does not is told, and again each time it has been as long once more") {
    World world = watchful();
    world.leg("a", 4000, "room");
    tick_for(world, 9s);
    CHECK(world.told<LegSilent>().empty());
    tick_for(world, 1s);
    const auto told = world.told<LegSilent>();
    REQUIRE(told.size() == 1);
    CHECK(told[0].leg == LegId{"a"});
    CHECK(told[0].silent == 10s);
    tick_for(world, 20s);
    CHECK(world.told<LegSilent>().size() == 2);
}

TEST_CASE("a packet, a report or a new negotiation begins the time anew; what a stranger sends does not") {
    World world = watchful();
    Voice a = world.leg("a", 4000, "room");
    tick_for(world, 8s);
    SUBCASE("RTP") {
        world.say(a);
    }
    SUBCASE("RTCP") {
        std::array<std::uint8_t, 512> bytes{};
        const rtp::Report report{.ssrc = 7, .sender = std::nullopt, .blocks = {}, .cname = "a", .bye = false};
        const auto size = rtp::write_compound(bytes, report);
        world.engine.rtcp_received(a.leg, world.stamp(), address("192.0.2.1", 4001), Bytes{bytes.data(), size});
    }
    SUBCASE("negotiation") {
        world.must(ConfigureLeg{.leg = LegId{"a"}, .media = g711(4000)});
    }
    SUBCASE("a stranger") {
        a.from = address("192.0.2.9", 4000);
        world.say(a);
        tick_for(world, 2s);
        CHECK(world.told<LegSilent>().size() == 1);
        return;
    }
    tick_for(world, 9s);
    CHECK(world.told<LegSilent>().empty());
    tick_for(world, 1s);
    CHECK(world.told<LegSilent>().size() == 1);
}

TEST_CASE("of a leg that may not speak, is not negotiated yet, or where nobody asked, nothing is told") {
    World world = watchful();
    SUBCASE("held") {
        world.leg("a", 4000, "room");
        auto media = g711(4000);
        media.we_receive = false;
        world.must(ConfigureLeg{.leg = LegId{"a"}, .media = media});
    }
    SUBCASE("not negotiated") {
        world.must(AddLeg{.leg = LegId{"a"}});
    }
    tick_for(world, 60s);
    CHECK(world.told<LegSilent>().empty());
    World careless;
    careless.leg("a", 4000, "room");
    tick_for(careless, 600s);
    CHECK(careless.told<LegSilent>().empty());
}

}  // namespace
}  // namespace sheaf::media
