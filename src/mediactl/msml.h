// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "media/capture.h"

// The media server's side of docs/formats/msml.md: documents in, results and events out.
namespace sheaf::mediactl {

inline constexpr std::string_view kMsmlType = "application/msml+xml";
inline constexpr std::size_t kMsmlBytesMax = 16 * 1024;
inline constexpr std::size_t kMsmlElementsMax = 32;
inline constexpr std::size_t kNameMax = 64;  // of rooms, plays and prompts
inline constexpr std::size_t kIdMax = 128;   // of segments, calls and connections

struct CreateRoom {
    RoomId room;
};
struct DestroyRoom {
    RoomId room;
};
struct Join {
    LegId leg;
    RoomId room;
};
struct Unjoin {
    LegId leg;
    RoomId room;
};
struct StartDialog {
    LegId leg;
    std::string name;
    std::vector<std::string> prompts;  // "say:welcome", "music:default"
    bool forever = false;              // the list again and again; repeat="N" is written out in `prompts`
};
struct EndDialog {
    LegId leg;
    std::string name;
};
struct StartRecord {
    LegId leg;
    SegmentId segment;
    CallUuid calluuid;
    ConnectionId connection;
    std::vector<media::Silence> silences;  // in force from its first moment
};
struct SilenceRecord {
    SegmentId segment;
    media::Silence silence;
    Duration back{};
    bool is_over = false;  // only reaches back
};
struct ResumeRecord {
    SegmentId segment;
    std::string label;
};
struct Collect {
    LegId leg;
    bool on = false;
};
struct StopRecord {
    SegmentId segment;
    std::string cause;
};
struct Release {  // legs that a former run of that switch has left
    std::string owner;
    std::string boot;  // of the run that asks; its own legs stay
};
// An element that cannot be carried out, in its place: those before it are.
struct Refused {
    int code = 400;
    std::string why;
};
using MsmlElement = std::variant<CreateRoom, DestroyRoom, Join, Unjoin, StartDialog, EndDialog, StartRecord, StopRecord,
                                 SilenceRecord, ResumeRecord, Collect, Release, Refused>;

// Errors: malformed (400), exhausted (503) where the document as a whole is refused.
[[nodiscard]] Result<std::vector<MsmlElement>> msml_from_text(std::string_view text);

// ROOM of a "msml=ROOM" user part is checked by this, too: 1 to kNameMax characters of [A-Za-z0-9.-].
[[nodiscard]] bool is_room_name(std::string_view text);

[[nodiscard]] std::string msml_result(int code, std::string_view description = {});
// `id`: "conn:TAG" or "conn:TAG/dialog:NAME".
[[nodiscard]] std::string msml_event(std::string_view event, std::string_view id, std::string_view name,
                                     std::string_view value);

}  // namespace sheaf::mediactl
