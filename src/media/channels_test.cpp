// SPDX-License-Identifier: Apache-2.0
#include "media/channels.h"

#include <doctest/doctest.h>

#include <cmath>

#include "rtp/g711.h"
#include "rtp/packet.h"
#include "rtp/tone.h"

using namespace sheaf;
using namespace sheaf::media;
using namespace std::chrono_literals;

namespace {

struct Collect : PcmSink {
    Result<void> write(std::span<const std::int16_t> s, std::span<const std::int16_t> h) override {
        REQUIRE(s.size() == h.size());
        said.insert(said.end(), s.begin(), s.end());
        heard.insert(heard.end(), h.begin(), h.end());
        largest = std::max(largest, s.size());
        return {};
    }
    std::vector<std::int16_t> said;
    std::vector<std::int16_t> heard;
    std::size_t largest = 0;
};

// One source that speaks a tone, 20 ms a packet.
struct Source {
    Source(Channel c, double hertz, std::uint32_t s, bool a = false)
        : channel(c), tone(hertz, -16.0), ssrc(s), alaw(a) {}
    std::vector<std::uint8_t> next() {
        std::vector<std::int16_t> samples(160);
        tone.fill(samples);
        spoken.insert(spoken.end(), samples.begin(), samples.end());
        std::vector<std::uint8_t> out(rtp::kHeaderBytes + 160);
        rtp::write_header(out.data(), {.payload_type = static_cast<std::uint8_t>(alaw ? 8 : 0),
                                       .sequence = sequence++,
                                       .timestamp = timestamp,
                                       .ssrc = ssrc});
        timestamp += 160;
        if (alaw) {
            rtp::encode_alaw(samples, &out[rtp::kHeaderBytes]);
        } else {
            rtp::encode_ulaw(samples, &out[rtp::kHeaderBytes]);
        }
        return out;
    }
    Channel channel;
    rtp::Tone tone;
    std::uint32_t ssrc;
    bool alaw;
    std::uint16_t sequence = 65'500;
    std::uint32_t timestamp = 0xFFFFF000;
    std::vector<std::int16_t> spoken;
};

}  // namespace

TEST_CASE("both channels come back sample by sample, in their place, exactly as long as the segment") {
    Collect out;
    Channels channels(out, 4'000ms);
    Source agent(Channel::said, 467, 1);
    Source customer(Channel::heard, 853, 2, true);
    for (int i = 0; i < 200; ++i) {
        const auto a = agent.next();
        REQUIRE(channels.packet({Channel::said, i * 20ms, a}));
        if (i >= 50) {
            const auto c = customer.next();
            REQUIRE(channels.packet({Channel::heard, i * 20ms + 1ms, c}));
        }
    }
    REQUIRE(channels.finish());
    REQUIRE(out.said.size() == 32'000);
    for (std::size_t i = 0; i < 32'000; ++i) {
        REQUIRE(out.said[i] == rtp::linear_from_ulaw(rtp::ulaw_from_linear(agent.spoken[i])));
    }
    for (std::size_t i = 0; i < 8'000; ++i) REQUIRE(out.heard[i] == 0);
    CHECK(rtp::tone_level_dbfs(std::span(out.heard).subspan(8'100, 20'000), 853) > -17.0);
    CHECK(rtp::tone_level_dbfs(std::span(out.heard).subspan(8'100, 20'000), 467) < -60.0);
    CHECK(channels.counts(Channel::said).placed == 200);
}

TEST_CASE("a missing packet is silence in its own place and shifts nothing") {
    Collect out;
    Channels channels(out, 2'000ms);
    Source agent(Channel::said, 467, 1);
    for (int i = 0; i < 100; ++i) {
        const auto a = agent.next();
        if (i >= 30 && i < 40) continue;
        REQUIRE(channels.packet({Channel::said, i * 20ms, a}));
    }
    REQUIRE(channels.finish());
    for (std::size_t i = 0; i < 16'000; ++i) {
        const bool missing = i >= 30 * 160 && i < 40 * 160;
        REQUIRE(out.said[i] == (missing ? 0 : rtp::linear_from_ulaw(rtp::ulaw_from_linear(agent.spoken[i]))));
    }
}

TEST_CASE("an hour without a packet is an hour of silence, written in pieces") {
    Collect out;
    Channels channels(out, 3'601s);
    Source agent(Channel::said, 467, 1);
    Source late(Channel::heard, 619, 2);
    for (int i = 0; i < 3; ++i) REQUIRE(channels.packet({Channel::said, i * 20ms, agent.next()}));
    for (int i = 0; i < 50; ++i) REQUIRE(channels.packet({Channel::heard, 3'600s + i * 20ms, late.next()}));
    REQUIRE(channels.finish());
    REQUIRE(out.said.size() == 3'601 * 8'000);
    CHECK(out.largest <= 1 << 16);
    CHECK(out.said[300] != 0);
    CHECK(out.heard[3'600 * 8'000 + 4'001] != 0);
    CHECK(out.heard[3'600 * 8'000 - 1] == 0);
}

TEST_CASE("packets outside of the segment and packets that are no audio leave no trace") {
    Collect out;
    Channels channels(out, 100ms);
    Source agent(Channel::said, 467, 1);
    auto comfort_noise = agent.next();
    comfort_noise[1] = 13;
    REQUIRE(channels.packet({Channel::said, 0ms, comfort_noise}));
    REQUIRE(channels.packet({Channel::said, 0ms, std::vector<std::uint8_t>(4)}));
    REQUIRE(channels.packet({Channel::said, 200ms, agent.next()}));
    REQUIRE(channels.packet({Channel::said, kSegmentDurationMax + 1ms, agent.next()}));
    REQUIRE(channels.finish());
    CHECK(out.said == std::vector<std::int16_t>(800, 0));
    CHECK(channels.counts(Channel::said).undecodable == 2);
    CHECK(channels.counts(Channel::said).outside == 2);
}
