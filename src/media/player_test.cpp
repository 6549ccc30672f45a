// SPDX-License-Identifier: Apache-2.0
#include "media/player.h"

#include <doctest/doctest.h>

#include "media/engine_fixture.h"

namespace sheaf::media {
namespace {

using namespace fixture;

TEST_CASE("prompts follow each other without a gap and end with silence to the frame's end") {
    Player player({.leg = {}, .name = "p", .prompts = {prompt(200, 1, 0), prompt(0), prompt(100, 2, 0)}}, Instant{});
    Frame frame;
    std::uint64_t index = 9;
    REQUIRE(player.next(Instant{}, frame, index));
    CHECK(index == 0);
    CHECK(frame[159] == 1);
    CHECK_FALSE(player.next(Instant{milliseconds{19}}, frame, index));
    REQUIRE(player.next(Instant{milliseconds{20}}, frame, index));
    CHECK(index == 1);
    CHECK(frame[39] == 1);
    CHECK(frame[40] == 2);
    CHECK(frame[139] == 2);
    CHECK(frame[140] == 0);
    CHECK(player.is_done());
    CHECK_FALSE(player.next(Instant{milliseconds{40}}, frame, index));
}

TEST_CASE("a late tick sends three frames at most and the rest is passed over, so that place follows time") {
    Player player({.leg = {}, .name = "p", .prompts = {prompt(8'000, 0, 1)}}, Instant{});
    Frame frame;
    std::uint64_t index = 0;
    REQUIRE(player.next(Instant{}, frame, index));
    const Instant late{milliseconds{200}};  // frames 1 to 10 are due
    std::vector<std::uint64_t> sent;
    while (player.next(late, frame, index)) {
        sent.push_back(index);
        CHECK(frame[0] == static_cast<std::int16_t>(index * 160));
    }
    CHECK(sent == std::vector<std::uint64_t>{8, 9, 10});
}

TEST_CASE("forever goes round, however long nobody looked") {
    Player player({.leg = {}, .name = "p", .prompts = {prompt(100, 0, 1), prompt(60, 100, 1)}, .forever = true},
                  Instant{});
    Frame frame;
    std::uint64_t index = 0;
    REQUIRE(player.next(Instant{std::chrono::hours{24 * 365}}, frame, index));
    CHECK(index > 1'000'000'000);
    CHECK(frame[0] == 0);
    CHECK(frame[159] == 159);
    CHECK_FALSE(player.is_done());
}

TEST_CASE("a treatment comes every 20 ms by the clock, and the leg is told when it has ended") {
    World world;
    world.leg("a", 4000, "", CodecKind::pcma);
    world.must(Play{.leg = LegId{"a"}, .name = "welcome", .prompts = {prompt(160 * 10, 1'000)}});
    CHECK(world.engine.is_paced());
    int ticks = 0;
    while (world.engine.is_paced() && ticks < 100) {
        world.engine.tick(world.stamp());
        world.pass(ticks % 2 == 0 ? 13 : 27);  // an uneven timer
        ++ticks;
    }
    REQUIRE(world.sent.rtp.size() == 10);
    for (std::size_t i = 1; i < 10; ++i) {
        const auto former = world.sent.rtp[i - 1].packet();
        const auto packet = world.sent.rtp[i].packet();
        CHECK(packet.sequence == static_cast<std::uint16_t>(former.sequence + 1));
        CHECK(packet.timestamp == former.timestamp + 160);
    }
    CHECK(world.sent.rtp[0].packet().marker);
    CHECK_FALSE(world.sent.rtp[1].packet().marker);
    CHECK(world.sent.rtp[0].packet().payload_type == 8);
    CHECK(world.sent.rtp[0].packet().payload[0] == rtp::alaw_from_linear(1'000));
    const auto ended = world.told<PlayEnded>();
    REQUIRE(ended.size() == 1);
    CHECK(ended[0].completed);
    CHECK(ended[0].name == "welcome");

    // The room again: numbers and time go on.
    Voice b = world.leg("b", 5000, "room");
    world.must(JoinRoom{.leg = LegId{"a"}, .room = RoomId{"room"}});
    const auto last = world.sent.rtp.back().packet();
    world.say(b, 1);
    const auto packet = world.sent.rtp.back().packet();
    CHECK(packet.ssrc == last.ssrc);
    CHECK(packet.sequence == static_cast<std::uint16_t>(last.sequence + 1));
    CHECK(packet.marker);
    CHECK(packet.timestamp - last.timestamp >= 160);
    CHECK(packet.timestamp - last.timestamp < 800);
}

TEST_CASE("a play that is replaced, stopped or whose leg goes is told as not completed") {
    World world;
    world.leg("a", 4000);
    const auto play = [&](const std::string& name) {
        world.must(Play{.leg = LegId{"a"}, .name = name, .prompts = {prompt(160)}, .forever = true});
    };
    play("one");
    play("two");
    world.must(StopPlay{.leg = LegId{"a"}, .name = "two"});
    play("three");
    world.must(RemoveLeg{.leg = LegId{"a"}, .cause = "normal"});
    const auto ended = world.told<PlayEnded>();
    REQUIRE(ended.size() == 3);
    for (const PlayEnded& one : ended) CHECK_FALSE(one.completed);
    CHECK_FALSE(world.engine.is_paced());
}

TEST_CASE("a play of nothing, or of too much, is refused") {
    World world;
    world.leg("a", 4000);
    const auto play = [&](std::vector<std::shared_ptr<const Prompt>> prompts) {
        return world.carry_out(Play{.leg = LegId{"a"}, .name = "p", .prompts = std::move(prompts), .forever = true});
    };
    CHECK(play({}).error().code == Errc::malformed);
    CHECK(play({prompt(0)}).error().code == Errc::malformed);
    CHECK(play({nullptr}).error().code == Errc::malformed);
    CHECK(play(std::vector(kPromptsOfPlayMax + 1, prompt(1))).error().code == Errc::exhausted);
    CHECK(play(std::vector(kPromptsOfPlayMax, prompt(1))));
}

TEST_CASE("a held leg's treatment goes on in time, unheard") {
    World world;
    world.leg("a", 4000);
    LegMedia held = g711(4000);
    held.we_send = false;
    world.must(Play{.leg = LegId{"a"}, .name = "p", .prompts = {prompt(16'000, 0, 1)}});
    world.engine.tick(world.stamp());
    world.must(ConfigureLeg{.leg = LegId{"a"}, .media = held});
    for (int i = 0; i < 10; ++i) {
        world.pass(20);
        world.engine.tick(world.stamp());
    }
    CHECK(world.sent.rtp.size() == 1);
    world.must(ConfigureLeg{.leg = LegId{"a"}, .media = g711(4000)});
    world.pass(20);
    world.engine.tick(world.stamp());
    REQUIRE(world.sent.rtp.size() == 2);
    CHECK(world.sent.rtp[1].packet().payload[0] == rtp::ulaw_from_linear(11 * 160));
    CHECK(world.sent.rtp[1].packet().timestamp == world.sent.rtp[0].packet().timestamp + 11 * 160);
}

}  // namespace
}  // namespace sheaf::media
