// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "media/engine.h"
#include "rtp/g711.h"
#include "rtp/packet.h"

// For the engine's tests: a world of lists around an engine.
namespace sheaf::media::fixture {

using std::chrono::milliseconds;

struct Sent {
    LegSlot leg;
    Address to;
    std::vector<std::uint8_t> bytes;
    [[nodiscard]] rtp::Packet packet() const { return rtp::parse_packet(bytes).value(); }
};

struct Lists : PacketSink {
    std::vector<Sent> rtp;
    std::vector<Sent> rtcp;
    void send_rtp(LegSlot leg, const Address& to, Bytes bytes) override {
        rtp.push_back({leg, to, {bytes.begin(), bytes.end()}});
    }
    void send_rtcp(LegSlot leg, const Address& to, Bytes bytes) override {
        rtcp.push_back({leg, to, {bytes.begin(), bytes.end()}});
    }
};

struct Captured {
    SegmentHead head;
    std::vector<std::pair<Instant, std::vector<std::uint8_t>>> said;
    std::vector<std::pair<Instant, std::vector<std::uint8_t>>> heard;
    struct Silenced {
        std::string label;
        Instant from;
        Instant at;
        std::uint64_t ticket;
        std::optional<Instant> to{};  // of one that only reaches back
    };
    std::vector<Silenced> silences;
    std::vector<std::pair<std::string, Instant>> resumed;
    bool closed = false;
    SegmentTail tail;
};

struct Journal : CaptureSink {
    std::map<std::string, Captured> segments;
    std::map<SegmentSlot, std::string> open_slots;
    std::size_t opens_max = 100'000;
    std::size_t packets_max = 1'000'000;
    bool is_full = false;  // for silences

    bool open(SegmentSlot slot, const SegmentHead& head) override {
        if (open_slots.size() >= opens_max) return false;
        CHECK_FALSE(open_slots.contains(slot));
        open_slots[slot] = head.segment.text();
        segments[head.segment.text()].head = head;
        return true;
    }
    bool packet(SegmentSlot slot, Channel channel, Instant when, Bytes rtp) override {
        if (packets_max == 0) return false;
        --packets_max;
        Captured& captured = segments.at(open_slots.at(slot));
        (channel == Channel::said ? captured.said : captured.heard)
            .emplace_back(when, std::vector(rtp.begin(), rtp.end()));
        return true;
    }
    bool silence(SegmentSlot slot, const Silence& silence, Instant from, Instant now, std::uint64_t ticket) override {
        if (is_full) return false;
        segments.at(open_slots.at(slot)).silences.push_back({silence.label, from, now, ticket});
        return true;
    }
    bool reach_back(SegmentSlot slot, const Silence& silence, Instant from, Instant to, Instant now,
                    std::uint64_t ticket) override {
        if (is_full) return false;
        segments.at(open_slots.at(slot)).silences.push_back({silence.label, from, now, ticket, to});
        return true;
    }
    bool resume(SegmentSlot slot, const std::string& label, Instant now) override {
        if (is_full) return false;
        segments.at(open_slots.at(slot)).resumed.emplace_back(label, now);
        return true;
    }
    void close(SegmentSlot slot, const SegmentTail& tail) override {
        Captured& captured = segments.at(open_slots.at(slot));
        captured.closed = true;
        captured.tail = tail;
        open_slots.erase(slot);
    }
};

inline Address address(const std::string& ip, std::uint16_t port) {
    return address_from_text(ip, port).value();
}

inline LegMedia g711(std::uint16_t port, CodecKind codec = CodecKind::pcmu) {
    LegMedia media;
    media.remote_address = "192.0.2.1";
    media.remote_port = port;
    media.remote_rtcp_port = static_cast<std::uint16_t>(port + 1);
    media.receive = {{0, CodecKind::pcmu}, {8, CodecKind::pcma}};
    media.send_payload_type = codec == CodecKind::pcmu ? 0 : 8;
    media.send_codec = codec;
    media.dtmf_payload_type = 101;
    media.we_send = media.we_receive = true;
    return media;
}

// Somebody who speaks to a leg, a packet of 20 ms at a time.
struct Voice {
    LegSlot leg = 0;
    Address from;
    std::uint32_t ssrc = 7;
    std::uint16_t sequence = 65'530;
    std::uint32_t timestamp = 4'000'000'000;
    std::uint8_t payload_type = 0;
    std::uint8_t sample = 0x55;
    bool marker = false;

    [[nodiscard]] std::vector<std::uint8_t> bytes() const {
        std::vector<std::uint8_t> packet(rtp::kHeaderBytes + 160, sample);
        rtp::write_header(packet.data(), {.marker = marker,
                                          .payload_type = payload_type,
                                          .sequence = sequence,
                                          .timestamp = timestamp,
                                          .ssrc = ssrc});
        return packet;
    }
    void step() {
        ++sequence;
        timestamp += 160;
    }
};

struct World {
    Lists sent;
    Journal journal;
    Engine::Settings settings{};
    Engine engine{settings, sent, journal};
    Instant now{std::chrono::seconds{1'000}};

    [[nodiscard]] Stamp stamp() const { return {.mono = now, .wall = WallTime{milliseconds{1'700'000'000'000}}}; }
    Result<void> carry_out(Command command) { return engine.carry_out(command, stamp()); }
    void must(Command command) { REQUIRE(carry_out(std::move(command))); }
    void pass(int ms) { now += milliseconds{ms}; }

    Voice leg(const std::string& name, std::uint16_t port, const std::string& room = "",
              CodecKind codec = CodecKind::pcmu) {
        must(AddLeg{.leg = LegId{name}});
        must(ConfigureLeg{.leg = LegId{name}, .media = g711(port, codec)});
        if (!room.empty()) must(JoinRoom{.leg = LegId{name}, .room = RoomId{room}});
        Voice voice;
        voice.leg = engine.slot_of(LegId{name}).value();
        voice.from = address("192.0.2.1", port);
        voice.ssrc = port;
        voice.payload_type = codec == CodecKind::pcmu ? 0 : 8;
        return voice;
    }
    void say(Voice& voice) {
        engine.rtp_received(voice.leg, now, voice.from, voice.bytes());
        voice.step();
    }
    void say(Voice& voice, int packets) {
        for (int i = 0; i < packets; ++i) {
            say(voice);
            pass(20);
        }
    }
    template <typename T>
    std::vector<T> told() {
        std::vector<T> found;
        for (Notice& notice : engine.take_notices()) {
            if (auto* one = std::get_if<T>(&notice)) found.push_back(std::move(*one));
        }
        return found;
    }
    void record(const std::string& leg, const std::string& segment) {
        must(StartRecording{.leg = LegId{leg},
                            .segment = SegmentId{segment},
                            .calluuid = CallUuid{"u1"},
                            .connection = ConnectionId{"c1"}});
    }
};

inline std::shared_ptr<const Prompt> prompt(std::size_t samples, std::int16_t first = 0, std::int16_t step = 0) {
    auto made = std::make_shared<Prompt>();
    made->name = "test";
    std::int16_t value = first;
    for (std::size_t i = 0; i < samples; ++i, value = static_cast<std::int16_t>(value + step)) {
        made->samples.push_back(value);
    }
    return made;
}

}  // namespace sheaf::media::fixture
