// SPDX-License-Identifier: Apache-2.0
#include "rtp/placement.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

namespace sheaf::rtp {
namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kPtimeSamples = 160;
const std::vector<std::uint8_t> kPayload(160, 0xFF);

// A source whose audio of moment t leaves at t (in ms) and arrives `delay` later.
struct Sender {
    std::uint32_t ssrc = 1;
    std::uint32_t timestamp = 0xFFFFFF00;  // wraps soon
    std::uint16_t sequence = 65'530;

    Arrived at(double when_ms) {
        const Arrived packet{.when = Instant{Duration{std::llround(when_ms * 1e6)}},
                             .ssrc = ssrc,
                             .sequence = sequence,
                             .timestamp = timestamp,
                             .payload = kPayload};
        ++sequence;
        timestamp += kPtimeSamples;
        return packet;
    }
    void skip(std::uint32_t packets) {
        sequence = static_cast<std::uint16_t>(sequence + packets);
        timestamp += packets * static_cast<std::uint32_t>(kPtimeSamples);
    }
    void rest(std::int64_t samples) { timestamp += static_cast<std::uint32_t>(samples); }
};

std::vector<Placed> all(Placer& placer) {
    placer.finish();
    std::vector<Placed> placed;
    while (auto one = placer.take()) placed.push_back(std::move(*one));
    return placed;
}

double jitter_of(int n) {
    return static_cast<double>(n * 7'919LL % 41);
}  // 0 to 40 ms, no pattern a clock would have

TEST_CASE("jitter moves no audio: packets sit side by side at the least delay") {
    Placer placer(Instant{});
    Sender sender;
    for (int n = 0; n < 500; ++n) placer.add(sender.at(100 + n * 20 + jitter_of(n + 3)));
    const auto placed = all(placer);
    REQUIRE(placed.size() == 500);
    for (std::size_t n = 1; n < placed.size(); ++n) {
        CHECK(placed[n].position - placed[n - 1].position == kPtimeSamples);
        CHECK(placed[n].joins);
    }
    CHECK(placed[0].position == 800);
    CHECK(placer.anchored() == 1);
}

TEST_CASE("a late first packet does not shift the stream") {
    Placer placer(Instant{});
    Sender sender;
    placer.add(sender.at(400));
    for (int n = 1; n < 200; ++n) placer.add(sender.at(std::max(400, 100 + n * 20)));
    const auto placed = all(placer);
    CHECK(placed.front().position == 800);
    CHECK(placed.back().position == 800 + 199 * kPtimeSamples);
}

TEST_CASE("lost packets leave a hole of their length, reordered ones find their place") {
    Placer placer(Instant{});
    Sender sender;
    for (int n = 0; n < 50; ++n) placer.add(sender.at(n * 20));
    sender.skip(5);
    Arrived held = sender.at(56 * 20);
    placer.add(sender.at(56 * 20));
    placer.add(held);
    for (int n = 57; n < 100; ++n) placer.add(sender.at(n * 20));
    const auto placed = all(placer);
    CHECK(placed[49].position == 49 * kPtimeSamples);
    CHECK(placed[50].position == 56 * kPtimeSamples);
    CHECK_FALSE(placed[50].joins);
    CHECK(placed[51].position == 55 * kPtimeSamples);
    CHECK_FALSE(placed[51].joins);
    CHECK(placed[52].position == 57 * kPtimeSamples);
    CHECK(placer.anchored() == 1);
}

TEST_CASE("a duplicate lands on the original") {
    Placer placer(Instant{});
    Sender sender;
    for (int n = 0; n < 60; ++n) {
        const Arrived packet = sender.at(n * 20);
        placer.add(packet);
        if (n == 55) placer.add(packet);
    }
    const auto placed = all(placer);
    CHECK(placed[56].position == placed[55].position);
    CHECK(placed.back().position == 59 * kPtimeSamples);
}

TEST_CASE("a silence without packets keeps the place the timestamps give") {
    Placer placer(Instant{});
    Sender sender;
    for (int n = 0; n < 100; ++n) placer.add(sender.at(n * 20 + jitter_of(n)));
    sender.rest(8'000L * 30);
    for (int n = 0; n < 100; ++n) placer.add(sender.at(32'000 + n * 20 + jitter_of(n)));
    const auto placed = all(placer);
    CHECK(placed[100].position == placed[0].position + 32'000L * 8);
    CHECK(placer.anchored() == 1);
}

TEST_CASE("a source that stops its timestamps in silence is anchored anew") {
    Placer placer(Instant{});
    Sender sender;
    for (int n = 0; n < 100; ++n) placer.add(sender.at(n * 20));
    for (int n = 0; n < 100; ++n) placer.add(sender.at(12'000 + n * 20));  // timestamps went on as if at 2,000
    const auto placed = all(placer);
    CHECK(placed[99].position == 99 * kPtimeSamples);
    CHECK(placed[100].position == 12'000L * 8);
    CHECK(placed[199].position == 12'000L * 8 + 99 * kPtimeSamples);
    CHECK(placer.anchored() == 2);
}

TEST_CASE("a new SSRC and a jump of timestamps begin where they arrive") {
    Placer placer(Instant{});
    Sender sender;
    for (int n = 0; n < 100; ++n) placer.add(sender.at(n * 20));
    sender.ssrc = 2;
    sender.timestamp = 77;
    for (int n = 100; n < 200; ++n) placer.add(sender.at(n * 20));
    sender.timestamp += 0x40000000;
    for (int n = 200; n < 300; ++n) placer.add(sender.at(n * 20));
    sender.timestamp -= 0x40000000;
    for (int n = 300; n < 400; ++n) placer.add(sender.at(n * 20));
    const auto placed = all(placer);
    REQUIRE(placed.size() == 400);
    for (std::size_t n = 0; n < 400; ++n) CHECK(placed[n].position == static_cast<std::int64_t>(n) * kPtimeSamples);
    // The old SSRC's packets come out before the second's; the way back from a jump is the old anchor again or a new
    // one, which is the same place.
    CHECK(placer.anchored() >= 3);
}

TEST_CASE("a jump within the first second begins a stream of its own") {
    Placer placer(Instant{});
    Sender sender;
    for (int n = 0; n < 10; ++n) placer.add(sender.at(n * 20));
    sender.timestamp += 0x12345678;
    for (int n = 10; n < 100; ++n) placer.add(sender.at(n * 20));
    const auto placed = all(placer);
    for (std::size_t n = 0; n < 100; ++n) CHECK(placed[n].position == static_cast<std::int64_t>(n) * kPtimeSamples);
}

TEST_CASE("a stalled network's burst goes where it was said, not where it arrived") {
    Placer placer(Instant{});
    Sender sender;
    for (int n = 0; n < 300; ++n) placer.add(sender.at(n >= 100 && n < 250 ? 5'000 + n / 100.0 : n * 20));
    const auto placed = all(placer);
    for (std::size_t n = 0; n < 300; ++n) CHECK(placed[n].position == static_cast<std::int64_t>(n) * kPtimeSamples);
    CHECK(placer.anchored() == 1);
}

TEST_CASE("one stray packet moves nobody but itself") {
    Placer placer(Instant{});
    Sender sender;
    for (int n = 0; n < 100; ++n) {
        Arrived packet = sender.at(n * 20);
        if (n == 60) packet.timestamp += 0x30000000;
        placer.add(packet);
    }
    const auto placed = all(placer);
    for (std::size_t n = 0; n < 100; ++n) CHECK(placed[n].position == static_cast<std::int64_t>(n) * kPtimeSamples);
    CHECK(placer.anchored() == 1);
}

TEST_CASE("a step of the delay that stays is followed once the look-ahead has seen it") {
    Placer placer(Instant{});
    Sender sender;
    for (int n = 0; n < 500; ++n) placer.add(sender.at(n * 20 + (n < 200 ? 0 : 250)));
    const auto placed = all(placer);
    CHECK(placed[199].position == 199 * kPtimeSamples);
    CHECK(placed[200].position == 200 * kPtimeSamples + 250L * 8);
    CHECK(placer.anchored() == 2);
}

TEST_CASE("a clock that is 100 ppm fast or slow stays within 20 ms for 24 hours, jitter and all") {
    for (const double ppm : {100.0, -100.0}) {
        Placer placer(Instant{});
        Sender sender;
        std::int64_t worst = 0;
        std::int64_t steepest = 0;
        std::int64_t former = -800;
        std::int64_t index = 0;
        const int packets = 24 * 3'600 * 10;
        for (int n = 0; n < packets; ++n) {  // of 100 ms
            const double said_ms = n * 100 * (1 + ppm * 1e-6);
            placer.add(sender.at(said_ms + jitter_of(n)));
            sender.rest(800 - kPtimeSamples);
            while (const auto placed = placer.take()) {
                const std::int64_t truth = std::lround(static_cast<double>(index) * 800 * (1 + ppm * 1e-6));
                worst = std::max(worst, std::abs(placed->position - truth));
                steepest = std::max(steepest, std::abs(placed->position - former - 800));
                former = placed->position;
                ++index;
            }
        }
        CHECK(worst <= 20 * 8);
        CHECK(steepest <= 1);  // never more than a sample at a time
        CHECK(placer.anchored() == 1);
        CHECK(index > packets - 60);
    }
}

TEST_CASE("streams that speak at once are placed each by itself, and the quietest of five goes") {
    Placer placer(Instant{});
    std::array<Sender, 5> senders;
    for (std::uint32_t i = 0; i < 5; ++i) senders[i].ssrc = i + 1;
    for (int n = 0; n < 100; ++n) {
        for (std::uint32_t i = 0; i < 5; ++i) {
            if ((i == 0) == (n < 50)) placer.add(senders[i].at(n * 20));
        }
    }
    const auto placed = all(placer);
    CHECK(placed.size() == 50 + 4 * 50);
    for (const Placed& one : placed) CHECK(one.position == to_ms(one.when) * 8);
    CHECK(placer.anchored() == 5);
}

TEST_CASE("the look-ahead is bounded in packets") {
    Placer placer(Instant{});
    Sender sender;
    for (std::size_t n = 0; n < kLookAheadPacketsMax; ++n) {
        placer.add(sender.at(1));
        sender.timestamp -= 120;  // 5 ms each: the burst stays under kLateMax
    }
    CHECK_FALSE(placer.take());
    placer.add(sender.at(1));
    CHECK(placer.take());
}

TEST_CASE("before the origin is negative, and timestamps without sense end nowhere") {
    Placer placer(Instant{milliseconds{1'000}});
    Sender sender;
    placer.add(sender.at(980));
    std::uint32_t chaos = 1;
    for (int n = 0; n < 20'000; ++n) {
        sender.timestamp = chaos = chaos * 1'664'525U + 1'013'904'223U;
        placer.add(sender.at(1'000 + n * 20));
    }
    const auto placed = all(placer);
    CHECK(placed.size() == 20'001);
    CHECK(placed.front().position == -160);
    for (const Placed& one : placed) {
        const std::int64_t arrived = (to_ms(one.when) - 1'000) * 8;
        const bool in_reach = one.position <= arrived + 800 && one.position >= arrived - 5'100L * 8;
        CHECK(in_reach);
    }
}

}  // namespace
}  // namespace sheaf::rtp
