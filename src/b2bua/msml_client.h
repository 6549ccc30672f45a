// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/id.h"
#include "base/result.h"

// The client's side of docs/formats/msml.md: one command a document out, results and events in. Pure text.
namespace sheaf::b2bua {

inline constexpr std::string_view kMsmlType = "application/msml+xml";
inline constexpr std::size_t kMsmlBytesMax = 16 * 1024;

struct MsmlJoin {
    RoomId room;
};
struct MsmlPlay {
    std::string name;
    std::vector<std::string> items;
    bool forever = false;  // the list again and again
};
struct MsmlEndPlay {
    std::string name;
};
struct MsmlRecord {
    SegmentId segment;
    CallUuid calluuid;
    ConnectionId connection;
};
struct MsmlEndRecord {
    SegmentId segment;
    std::string cause;
};
using MsmlCommand = std::variant<MsmlJoin, MsmlPlay, MsmlEndPlay, MsmlRecord, MsmlEndRecord>;

// `tag`: the connection's, that is the To tag of the media server's 200.
[[nodiscard]] std::string to_msml(const std::vector<MsmlCommand>& commands, std::string_view tag);

struct MsmlResult {
    int code = 0;  // 200: all done
    std::string description;
};
[[nodiscard]] Result<MsmlResult> msml_result_from_text(std::string_view body);

struct MsmlPlayEnded {
    std::string name;
    bool completed = false;  // by itself; false: it was ended
};
struct MsmlRecordOpened {
    SegmentId segment;
};
struct MsmlRecordSealed {
    SegmentId segment;
};
struct MsmlRecordFailed {
    SegmentId segment;
};
using MsmlEvent = std::variant<MsmlPlayEnded, MsmlRecordOpened, MsmlRecordSealed, MsmlRecordFailed>;
// Errc::unsupported: well formed, but no event of ours.
[[nodiscard]] Result<MsmlEvent> msml_event_from_text(std::string_view body);

}  // namespace sheaf::b2bua
