// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/entropy.h"
#include "base/result.h"
#include "media/capture.h"
#include "media/control.h"
#include "media/leg.h"
#include "rtp/packet.h"

namespace sheaf::media {

inline constexpr std::size_t kLegsMax = 4'096;   // a worker
inline constexpr std::uint8_t kMixPatience = 2;  // frames a mix may keep somebody waiting who was just listening
inline constexpr Duration kRtcpInterval = std::chrono::seconds{5};
inline constexpr Duration kRtcpScan = std::chrono::milliseconds{500};

// Where packets leave. Called on the engine's thread; does not block and keeps no view of the bytes.
class PacketSink {
public:
    virtual ~PacketSink() = default;
    virtual void send_rtp(LegSlot leg, const Address& to, Bytes packet) = 0;
    virtual void send_rtcp(LegSlot leg, const Address& to, Bytes packet) = 0;
};

// The media worker's core: legs, rooms, treatments, captures; no socket, clock or thread of its own. One owner.
//
//   packet in ─ from the remote? ─ parse ─ sequence, duplicate? ─┬─ said: each tap of the leg
//                                                                ├─ peer: restamp, transcode ─┬─ packet out
//                                                                └─ mix: the leg's MixInput   │
//   tick ─┬── player's frame ─────────────────────────────────────────── encode ─ stamp ──────┴─ heard: each tap
//         └── mix: the sum of all inputs, less one's own
//
// A room with two active legs forwards; with a third it is mixed, from its first frame on; when there are two again it
// sends what the inputs still hold and forwards. What a leg is sent goes on over both changes: no frame is lost, and at
// most one of silence comes in between.
//
// rtp_received, rtcp_received and tick neither allocate, lock, log nor call the system (a play's end and a silent leg,
// each once, do allocate their notice). What a leg may hear and say is decided when a command is carried out, not per
// packet.
class Engine {
public:
    struct Settings {
        Entropy::Seed seed{};             // for SSRCs, first sequence numbers and timestamps
        std::string cname = "media";      // in RTCP, 1 to 255 bytes; names no person
        std::size_t legs_max = kLegsMax;  // ≤ kLegsMax
        Duration silence_max{};           // LegSilent is told after so long; 0: never
    };
    // Both sinks outlive the engine.
    Engine(Settings settings, PacketSink& packets, CaptureSink& capture);
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    // Does what is asked or nothing. An error is told as a notice too (CommandFailed, or RecordingFailed).
    // AddLeg's sockets are the caller's business: on success the leg's slot is slot_of(leg).
    Result<void> carry_out(const Command& command, const Stamp& now);

    void rtp_received(LegSlot leg, Instant when, const Address& from, Bytes bytes);
    void rtcp_received(LegSlot leg, const Stamp& when, const Address& from, Bytes bytes);
    // Every 20 ms while is_paced(); every kRtcpScan while there are legs.
    void tick(const Stamp& now);

    [[nodiscard]] bool is_paced() const { return !playing_.empty() || !mixing_.empty(); }
    [[nodiscard]] bool is_empty() const { return slots_.empty(); }
    [[nodiscard]] std::optional<LegSlot> slot_of(const LegId& leg) const;
    [[nodiscard]] std::optional<LegSlot> slot_recording(const SegmentId& segment) const;
    [[nodiscard]] std::optional<LegCounters> counters(const LegId& leg) const;
    [[nodiscard]] std::vector<LegId> legs() const;
    // What has happened since the last call, in order.
    [[nodiscard]] std::vector<Notice> take_notices();

private:
    struct Recording {
        LegSlot leg;
        SegmentSlot slot;
    };
    using Sum = std::array<std::int32_t, kFrameSamples>;
    struct Room {
        std::vector<LegSlot> legs;
        bool is_mixing = false;
        std::optional<Instant> began{};  // the mix's frames are due every 20 ms from here
        std::uint64_t frames = 0;        // mixed or passed over
        bool has_farewell = false;       // what those that left would have said next, fading
        Sum farewell{};
    };

    Result<void> add(const AddLeg& command, const Stamp& now);
    Result<void> configure(const ConfigureLeg& command, const Stamp& now);
    Result<void> remove(const RemoveLeg& command, const Stamp& now);
    Result<void> join(const JoinRoom& command);
    Result<void> leave(const LeaveRoom& command);
    Result<void> play(const Play& command, const Stamp& now);
    Result<void> stop_play(const StopPlay& command);
    Result<void> start_recording(const StartRecording& command, const Stamp& now);
    Result<void> stop_recording(const StopRecording& command, const Stamp& now);
    Result<void> silence_recording(const SilenceRecording& command, const Stamp& now);
    Result<void> resume_recording(const ResumeRecording& command, const Stamp& now);
    Result<void> collect(const CollectDigits& command);
    void tell_failure(const Command& command, const Error& error);

    [[nodiscard]] Result<Leg*> find(const LegId& leg);
    [[nodiscard]] Result<Tap*> find_tap(const SegmentId& segment);
    void tell_digits();
    [[nodiscard]] Leg* at(LegSlot slot) { return slot < legs_.size() ? legs_[slot].get() : nullptr; }
    [[nodiscard]] std::size_t active_in(const RoomId& room, const Leg& but) const;
    void leave_room(Leg& leg);
    void connect(Room& room);
    void begin_mix(Room& room);
    void enter_mix(Leg& leg);
    void leave_mix(Room& room, Leg& leg);
    void end_play(Leg& leg, bool completed);
    void close_tap(Leg& leg, std::size_t index, const Stamp& now, const std::string& cause);

    void take_digit(Leg& leg, const rtp::Packet& packet);
    static bool accept(Leg& leg, const Address& from);
    static Leg::Source& source_of(Leg& leg, std::uint32_t ssrc, Instant when);
    void forward(const Leg& from, const rtp::Packet& packet, PayloadKind kind, const OutStream::Incoming& incoming,
                 Instant when);
    void send_audio(Leg& to, CodecKind codec, Bytes payload, const OutStream::Incoming& incoming, Instant when);
    void send(Leg& to, rtp::Header& header, std::size_t payload_bytes, bool is_excluded, Instant when);
    void play_frames(Instant now);
    void mix_in(Leg& from, const rtp::Packet& packet, PayloadKind kind, std::uint64_t source);
    void mix_frames(Instant now);
    void mix_frame(Room& room, Instant now);
    [[nodiscard]] bool waits(Leg& leg);
    void end_mix(Room& room, Instant now);
    void send_mixed(Leg& to, std::span<const std::int16_t> samples, std::uint64_t index, Instant now);
    [[nodiscard]] static bool is_in_mix(const Leg& leg) { return leg.is_mixed && !leg.player; }
    void watch_silence(Leg& leg, Instant now);
    void report(Leg& leg, const Stamp& now, bool bye);

    Settings settings_;
    Entropy entropy_;
    PacketSink& packets_;
    CaptureSink& capture_;
    std::vector<std::unique_ptr<Leg>> legs_;  // by slot
    std::vector<LegSlot> free_legs_;
    std::unordered_map<LegId, LegSlot> slots_;
    std::unordered_map<RoomId, Room> rooms_;
    std::unordered_map<SegmentId, Recording> recordings_;
    std::deque<SegmentSlot> free_segments_;  // the one unused for longest first
    SegmentSlot fresh_segment_ = 0;
    std::vector<LegSlot> playing_;  // reserved for all legs
    std::vector<Room*> mixing_;     // reserved for all rooms there can be; a map's entries stay where they are
    std::array<Frame, kActiveLegsInRoomMax> spoken_{};
    Instant scan_due_{};
    struct Untold {
        LegSlot leg;
        char digit;
    };
    std::vector<Untold> digits_;  // kDigitsUntoldMax reserved
    std::vector<Notice> notices_;
    std::array<std::uint8_t, rtp::kPacketBytesMax> buffer_{};
};

}  // namespace sheaf::media
