// SPDX-License-Identifier: Apache-2.0
#include "media/mix_input.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <deque>
#include <random>
#include <vector>

#include "rtp/tone.h"

using namespace sheaf;
using namespace sheaf::media;

namespace {

constexpr std::uint32_t kFirst = 4'294'960'000;  // wraps soon
constexpr std::uint32_t timestamp_of(int n) {
    return kFirst + static_cast<std::uint32_t>(n) * 160;
}

// A frame whose samples all say its number.
Frame numbered(int n) {
    Frame frame;
    frame.fill(static_cast<std::int16_t>(100 + n));
    return frame;
}

// Sends a tone or numbers by its own clock, over a network that delays; asks for a frame every 20 ms.
struct Line {
    explicit Line(double sender_ms = 20) : every(sender_ms) { input.reset(true); }

    // `delay(n)` in ms of packet n; negative: lost.
    template <typename Delay, typename Make>
    void run(int ms, Delay delay, Make make) {
        for (const int end = now + ms; now < end; ++now) {
            while (static_cast<double>(sent) * every <= now) {
                const double late = delay(sent);
                if (late >= 0) on_the_way.push_back({static_cast<double>(sent) * every + late, sent});
                ++sent;
            }
            std::ranges::sort(on_the_way);
            while (!on_the_way.empty() && on_the_way.front().first <= now) {
                const int n = on_the_way.front().second;
                const Frame frame = make(n);
                input.packet(7, timestamp_of(n), frame);
                on_the_way.pop_front();
            }
            if (now % 20 != 13) continue;
            Frame frame;
            there.push_back(input.next(frame));
            heard.insert(heard.end(), frame.begin(), frame.end());
        }
    }
    void numbers(int ms) {
        run(
            ms, [](int) { return 0; }, numbered);
    }

    MixInput input;
    double every;
    int now = 0;
    int sent = 0;
    std::deque<std::pair<double, int>> on_the_way;
    std::vector<bool> there;
    std::vector<std::int16_t> heard;
};

int step_max(std::span<const std::int16_t> samples) {
    int most = 0;
    for (std::size_t i = 1; i < samples.size(); ++i) most = std::max(most, std::abs(samples[i] - samples[i - 1]));
    return most;
}

}  // namespace

TEST_CASE("a steady voice passes sample by sample, with the delay of the next frame only") {
    Line line;
    line.numbers(2'000);
    REQUIRE(line.heard.size() == 100 * kFrameSamples);
    for (std::size_t i = 0; i < line.heard.size(); ++i) {
        REQUIRE(line.heard[i] == 100 + static_cast<int>(i / kFrameSamples));
    }
    CHECK(line.input.waiting() == 0);
}

TEST_CASE("jitter of 40 ms either way is absorbed after its first gaps, and nothing of the voice is lost by it") {
    Line line;
    std::mt19937 random(5);
    line.run(
        20'000, [&](int) { return static_cast<double>(random() % 81); }, numbered);
    const MixInput::Counters first = line.input.counters();
    CHECK(first.late <= 4);
    CHECK(first.starved <= 8);
    line.run(
        20'000, [&](int) { return static_cast<double>(random() % 81); }, numbered);
    CHECK(line.input.counters().late - first.late <= 2);
    CHECK(line.input.counters().starved - first.starved <= 4);
    // In order: the numbers never go back.
    int former = 0;
    for (std::size_t i = 80; i < line.heard.size(); i += kFrameSamples) {
        if (line.heard[i] < 100) continue;
        CHECK(line.heard[i] >= former);
        former = line.heard[i];
    }
}

TEST_CASE("a lost frame is a faded silence of its length, and what follows stays in its place") {
    Line line;
    rtp::Tone tone(400, -10);
    const auto make = [&](int) {
        Frame frame;
        tone.fill(frame);
        return frame;
    };
    // As the sender spoke it: the tone runs on through the frame that is lost.
    line.run(
        1'000, [&](int n) { return n == 20 ? -1.0 : 0.0; },
        [&](int n) {
            if (n == 21) static_cast<void>(make(20));
            return make(n);
        });
    CHECK(std::ranges::count(line.there, false) == 1);
    CHECK(line.input.counters().starved == 1);
    const auto quiet = std::span(line.heard).subspan(20 * kFrameSamples + 80, 80);
    CHECK(std::ranges::all_of(quiet, [](std::int16_t s) { return s == 0; }));
    CHECK(rtp::tone_level_dbfs(std::span(line.heard).subspan(22 * kFrameSamples), 400) ==
          doctest::Approx(-10).epsilon(0.02));
    // The tone's own step is 3,238.
    CHECK(step_max(line.heard) < 3'600);
    CHECK(line.input.waiting() == 0);
}

TEST_CASE("a packet that comes after its place was played is dropped and counted") {
    Line line;
    line.numbers(200);
    line.input.packet(7, timestamp_of(3), numbered(900));
    CHECK(line.input.counters().late == 1);
    line.numbers(200);
    CHECK(std::ranges::none_of(line.heard, [](std::int16_t s) { return s == 1'000; }));
}

TEST_CASE("clocks that drift build nothing up: a fast sender loses a frame now and then, a slow one gains one") {
    for (const double ppm : {+500.0, -500.0}) {
        CAPTURE(ppm);
        Line line(20.0 * (1 - ppm / 1'000'000));
        std::size_t most = 0;
        rtp::Tone tone(300, -12);
        for (int second = 0; second < 600; ++second) {
            line.run(
                1'000, [](int) { return 0.0; },
                [&](int) {
                    Frame frame;
                    tone.fill(frame);
                    return frame;
                });
            most = std::max(most, line.input.waiting());
        }
        // 600 s at 500 ppm: 300 ms are 15 frames.
        CHECK(most <= 2 * kFrameSamples);
        CHECK(line.input.counters().late == 0);
        if (ppm > 0) CHECK(line.input.counters().dropped == doctest::Approx(15).epsilon(0.15));
        if (ppm < 0) CHECK(line.input.counters().starved == doctest::Approx(15).epsilon(0.15));
        CHECK(step_max(line.heard) < 8'231 * 300 * 2 * 3.15 / 8'000 * 1.6);
    }
}

TEST_CASE("a burst after a stall is cut to what may wait, a restart of the source begins anew") {
    Line line;
    line.numbers(400);
    for (int n = 0; n < 40; ++n) {
        line.input.packet(7, timestamp_of(20 + n), numbered(n));
        CHECK(line.input.waiting() <= kMixDepthMax);
    }
    CHECK(line.input.counters().dropped > 20);
    line.input.packet(8, 17, numbered(500));
    CHECK(line.input.counters().restarts == 1);
    CHECK(line.input.waiting() == kFrameSamples);
    line.input.packet(8, 900'000, numbered(501));
    CHECK(line.input.counters().restarts == 2);
    CHECK(line.input.waiting() == kFrameSamples);
    // As long as a packet can be.
    const std::vector<std::int16_t> longest(1'500, 7);
    for (std::uint32_t n = 0; n < 30; ++n) line.input.packet(9, n * 1'500, longest);
    CHECK(line.input.waiting() <= kMixDepthMax + 1'500);
}

TEST_CASE("packets of 30 ms come out whole in frames of 20") {
    MixInput input;
    input.reset(true);
    std::vector<std::int16_t> heard;
    int starved = 0;
    std::int16_t value = 1;
    for (int ms = 0; ms < 3'000; ++ms) {
        if (ms % 30 == 0) {
            std::vector<std::int16_t> packet(240);
            for (auto& s : packet) s = value++;
            input.packet(1, static_cast<std::uint32_t>(ms * 8), packet);
        }
        if (ms % 20 != 7) continue;
        Frame frame;
        if (!input.next(frame)) {
            ++starved;
            continue;
        }
        heard.insert(heard.end(), frame.begin(), frame.end());
    }
    CHECK(starved == 1);
    // Around the one gap it fades; behind, every sample follows the one before.
    for (std::size_t i = 800; i < heard.size(); ++i) REQUIRE(heard[i] == static_cast<std::int16_t>(heard[i - 1] + 1));
}

TEST_CASE("the sum of many bends towards full scale, in order, and never wraps around") {
    std::int16_t former = 0;
    for (std::int32_t sum = 0; sum <= 32 * 32'767; sum += 7) {
        const std::int16_t out = limited(sum);
        REQUIRE(out >= former);
        if (sum <= kMixKnee) REQUIRE(out == sum);
        REQUIRE(limited(-sum) == -out);
        former = out;
    }
    CHECK(former > 32'000);
}
