// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "media/capture.h"

// What the control thread (SIP, MSML) asks of a media worker, and what the worker tells it: plain values that cross
// threads in bounded queues, in order.
namespace sheaf::media {

enum class CodecKind : std::uint8_t { pcmu, pcma };

struct ReceiveFormat {
    std::uint8_t payload_type;
    CodecKind codec;
};

// One leg's media as negotiated.
struct LegMedia {
    std::string remote_address;  // literal
    std::uint16_t remote_port = 0;
    std::uint16_t remote_rtcp_port = 0;
    std::vector<ReceiveFormat> receive;
    std::uint8_t send_payload_type = 0;
    CodecKind send_codec = CodecKind::pcmu;
    std::uint8_t dtmf_payload_type = 0xFF;  // 0xFF: none
    bool we_send = false;                   // direction, from our side
    bool we_receive = false;
    std::uint32_t ptime_ms = 20;
};

// Prompt audio: 8 kHz mono linear samples. Shared by every leg that plays it, read-only, kept by the prompt cache.
struct Prompt {
    std::string name;
    std::vector<std::int16_t> samples;
};

// ---- Commands ---------------------------------------------------------------------------------------------------
struct AddLeg {  // the sockets are bound already; the worker owns them from here on and closes them
    LegId leg;
    int rtp_socket = -1;
    int rtcp_socket = -1;
};
struct ConfigureLeg {
    LegId leg;
    LegMedia media;
};
struct RemoveLeg {  // ends its treatments and recordings (cause)
    LegId leg;
    std::string cause;
};
struct JoinRoom {
    LegId leg;
    RoomId room;
};
struct LeaveRoom {
    LegId leg;
};
struct Play {
    LegId leg;
    std::string name;
    std::vector<std::shared_ptr<const Prompt>> prompts;  // in order
    bool forever = false;                                // the list again and again
};
struct StopPlay {
    LegId leg;
    std::string name;
};
struct StartRecording {
    LegId leg;
    SegmentId segment;
    CallUuid calluuid;
    ConnectionId connection;
    std::vector<Silence> silences = {};  // in force from its first moment
};
struct StopRecording {
    SegmentId segment;
    std::string cause;
};
// Nothing of the segment is stored while a label is in force. `back`: what it stored so long before now is erased.
// Not the engine tells when that is done but the capture sink's owner, by the ticket. The same label again erases
// again. exhausted: too many labels; or the journal's buffer is full, then nothing is stored all the same, and what was
// stored stays until the command is given again.
// `is_over`: nothing is silent by this. The label's first silence that had not ended at that moment began too late:
// what was stored from there to its beginning is erased, and nothing behind its end.
struct SilenceRecording {
    SegmentId segment;
    Silence silence;
    Duration back{};
    std::uint64_t ticket = 0;  // the asker's, given back
    bool is_over = false;
};
struct ResumeRecording {  // a label that is not in force: nothing changes
    SegmentId segment;
    std::string label;
    std::uint64_t ticket = 0;
};
struct CollectDigits {  // DigitReceived for each press that begins while on; told as CommandDone
    LegId leg;
    bool on = false;
    std::uint64_t ticket = 0;
};
using Command = std::variant<AddLeg, ConfigureLeg, RemoveLeg, JoinRoom, LeaveRoom, Play, StopPlay, StartRecording,
                             StopRecording, SilenceRecording, ResumeRecording, CollectDigits>;

// ---- Notices ----------------------------------------------------------------------------------------------------
struct PlayEnded {
    LegId leg;
    std::string name;
    bool completed;  // false: stopped
};
struct RecordingOpened {
    LegId leg;
    SegmentHead head;
};
struct RecordingSealed {
    LegId leg;
    SegmentHead head;
    SegmentTail tail;
};
struct RecordingFailed {
    LegId leg;
    SegmentId segment;
    std::string why;
};
// The engine refused a command; its state is as before it. A refused StartRecording is told as RecordingFailed only.
// `code` exhausted: a limit, or one active leg too many in a room (503); not_found: no such leg, play or segment;
// conflict: the leg or segment is there already; malformed: the command cannot mean anything.
struct CommandFailed {
    LegId leg;            // empty for commands about a segment
    SegmentId segment;    // only of those
    std::string command;  // "AddLeg", "ConfigureLeg", "JoinRoom", …: the struct's name
    Error error;
    std::uint64_t ticket = 0;  // the command's
};
struct CommandDone {  // one with a ticket has taken effect
    std::uint64_t ticket = 0;
};
struct DigitReceived {
    LegId leg;
    char digit;
};
// Neither RTP nor RTCP has come for so long from a leg that may speak. Told again each time as long is over once more.
struct LegSilent {
    LegId leg;
    Duration silent{};
};
using Notice = std::variant<PlayEnded, RecordingOpened, RecordingSealed, RecordingFailed, CommandFailed, CommandDone,
                            DigitReceived, LegSilent>;

inline constexpr std::size_t kLegsInRoomMax = 64;
inline constexpr std::size_t kActiveLegsInRoomMax = 32;  // more than two are mixed
inline constexpr std::size_t kRecordingsOfLegMax = 8;
inline constexpr std::size_t kDigitsUntoldMax = 256;  // a worker; further ones are dropped
inline constexpr std::size_t kPromptsOfPlayMax = 8;

}  // namespace sheaf::media
