// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/assert.h"
#include "media/engine.h"
#include "rtp/packet.h"
#include "rtp/placement.h"

// Any packets, at any pace, reach a leg that is recorded and joined to another, or to two, one of which comes and goes.
// What is sent on is RTP of each leg's one stream; every packet accepted is accounted for once; all that was stored
// finds a place near its arrival, nothing is stored while the recording is silent, and each digit is one.
namespace sheaf::media {
namespace {

struct World final : PacketSink, CaptureSink {
    void send_rtp(LegSlot leg, const Address&, Bytes bytes) override {
        const auto packet = rtp::parse_packet(bytes);
        ASSERT(packet && !packet->payload.empty() && packet->csrc_count == 0 && !packet->has_extension);
        ASSERT(!ssrcs[leg] || packet->ssrc == ssrcs[leg]);
        ssrcs[leg] = packet->ssrc;
    }
    void send_rtcp(LegSlot, const Address&, Bytes bytes) override { ASSERT(rtp::parse_compound(bytes)); }
    bool open(SegmentSlot, const SegmentHead&) override { return true; }
    bool packet(SegmentSlot slot, Channel channel, Instant when, Bytes bytes) override {
        ++(channel == Channel::said ? said : heard);
        ASSERT(slot != 0 || !is_silent);
        const auto packet = rtp::parse_packet(bytes);
        ASSERT(packet);
        if (slot != 0 || channel != Channel::said) return true;
        placer.add({.when = when,
                    .ssrc = packet->ssrc,
                    .sequence = packet->sequence,
                    .timestamp = packet->timestamp,
                    .payload = packet->payload});
        take();
        return true;
    }
    bool silence(SegmentSlot, const Silence&, Instant from, Instant now, std::uint64_t) override {
        ASSERT(from <= now);
        return true;
    }
    bool reach_back(SegmentSlot, const Silence&, Instant from, Instant to, Instant now, std::uint64_t) override {
        ASSERT(from <= to && to <= now);
        return true;
    }
    bool resume(SegmentSlot, const std::string&, Instant) override { return true; }
    void close(SegmentSlot, const SegmentTail& tail) override {
        for (const ChannelCounts& counts : {tail.said, tail.heard}) {
            ASSERT(counts.received == counts.stored + counts.duplicate + counts.excluded + counts.overflow);
        }
        stored += tail.said.stored + tail.heard.stored;
    }
    void take() {
        while (const auto one = placer.take()) {
            ++placed;
            const std::int64_t arrived = one->when.time_since_epoch().count() / 125'000;
            ASSERT(one->position <= arrived + 801 && one->position >= arrived - 40'801);
        }
    }

    rtp::Placer placer{Instant{}};
    std::array<std::optional<std::uint32_t>, 4> ssrcs;  // by leg
    bool is_silent = false;                             // the first segment
    std::uint64_t said = 0;
    std::uint64_t heard = 0;
    std::uint64_t stored = 0;
    std::uint64_t placed = 0;
};

LegMedia media_of(CodecKind codec) {
    return {.remote_address = "192.0.2.1",
            .remote_port = 4000,
            .remote_rtcp_port = 4001,
            .receive = {{0, CodecKind::pcmu}, {8, CodecKind::pcma}},
            .send_payload_type = static_cast<std::uint8_t>(codec == CodecKind::pcmu ? 0 : 8),
            .send_codec = codec,
            .dtmf_payload_type = 101,
            .we_send = true,
            .we_receive = true};
}

void begin(Engine& engine, const std::string& name, CodecKind codec) {
    ASSERT(engine.carry_out(AddLeg{.leg = LegId{name}}, {}));
    ASSERT(engine.carry_out(ConfigureLeg{.leg = LegId{name}, .media = media_of(codec)}, {}));
    ASSERT(engine.carry_out(JoinRoom{.leg = LegId{name}, .room = RoomId{"r"}}, {}));
    ASSERT(engine.carry_out(CollectDigits{.leg = LegId{name}, .on = true}, {}));
    ASSERT(engine.carry_out(
        StartRecording{.leg = LegId{name}, .segment = SegmentId{name}, .calluuid = {}, .connection = {}}, {}));
}

// The third comes and goes, the first recording falls silent and goes on.
void disturb(Engine& engine, World& world, std::uint64_t turn, const Stamp& now) {
    const LegId third{"c"};
    if (turn % 5 == 2) static_cast<void>(engine.carry_out(LeaveRoom{.leg = third}, now));
    if (turn % 5 == 4) static_cast<void>(engine.carry_out(JoinRoom{.leg = third, .room = RoomId{"r"}}, now));
    if (turn % 7 == 3) {
        ASSERT(engine.carry_out(
            SilenceRecording{.segment = SegmentId{"a"}, .silence = {"l", "b"}, .back = std::chrono::milliseconds{40}},
            now));
        world.is_silent = true;
    }
    if (turn % 7 == 6) {
        ASSERT(engine.carry_out(ResumeRecording{.segment = SegmentId{"a"}, .label = "l"}, now));
        world.is_silent = false;
    }
}

// Each packet: its length, how many milliseconds after the one before it, the bytes.
void run(Bytes input, bool is_mixed) {
    World world;
    Engine engine({}, world, world);
    begin(engine, "a", CodecKind::pcmu);
    begin(engine, "b", CodecKind::pcma);
    if (is_mixed) begin(engine, "c", CodecKind::pcmu);
    std::uint64_t turn = 0;
    const LegSlot leg = *engine.slot_of(LegId{"a"});
    const Address from = *address_from_text("192.0.2.1", 4000);
    Stamp now{.mono = Instant{std::chrono::seconds{1}}, .wall = {}};
    while (input.size() >= 2) {
        const std::size_t size = std::min<std::size_t>(input[0], input.size() - 2);
        now.mono += std::chrono::milliseconds{input[1] < 200 ? input[1] : (input[1] - 199) * 500};
        engine.rtp_received(leg, now.mono, from, input.subspan(2, size));
        engine.tick(now);
        if (is_mixed) disturb(engine, world, turn++, now);
        for (const Notice& notice : engine.take_notices()) {
            const auto* digit = std::get_if<DigitReceived>(&notice);
            ASSERT(digit == nullptr ||
                   std::string_view("0123456789*#ABCD").find(digit->digit) != std::string_view::npos);
        }
        input = input.subspan(2 + size);
    }
    ASSERT(engine.carry_out(RemoveLeg{.leg = LegId{"a"}, .cause = "end"}, now));
    ASSERT(engine.carry_out(RemoveLeg{.leg = LegId{"b"}, .cause = "end"}, now));
    if (is_mixed) ASSERT(engine.carry_out(RemoveLeg{.leg = LegId{"c"}, .cause = "end"}, now));
    ASSERT(world.stored == world.said + world.heard);
    world.placer.finish();
    world.take();
    ASSERT(is_mixed || world.placed == world.said);
}

}  // namespace
}  // namespace sheaf::media

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto packet = sheaf::rtp::parse_packet({data, size});
    if (packet) {
        ASSERT(packet->payload.size() + packet->csrc.size() + packet->extension.size() <= size);
        ASSERT(packet->payload.data() >= data && packet->payload.data() + packet->payload.size() <= data + size);
    }
    sheaf::media::run({data, size}, false);
    sheaf::media::run({data, size}, true);
    return 0;
}
