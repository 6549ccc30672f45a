// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "exchange/exchange.h"

// The client's side of docs/formats/msml.md: one command a document out, results and events in. Pure text.
namespace sheaf::b2bua {

inline constexpr std::string_view kMsmlType = "application/msml+xml";
inline constexpr std::size_t kMsmlBytesMax = 16 * 1024;
inline constexpr std::int64_t kMsmlBackMaxMs = 3'600'000;
// A silence takes effect later than it is sent; what is stored meanwhile is erased, and this is taken to be enough.
inline constexpr Duration kSilenceMargin = std::chrono::milliseconds{60};

struct MsmlJoin {
    RoomId room;
};
struct MsmlUnjoin {
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
    std::vector<exchange::Silence> silences;
};
struct MsmlSilence {
    SegmentId segment;
    exchange::Silence silence;
    std::int64_t back_ms = 0;
    Instant since{};       // when `back_ms` was right
    bool is_over = false;  // only reaches back
    int tries = 0;         // that found the journal's buffer full
    bool is_late = false;  // it is said again, because its result took longer than the margin
    Duration margin = kSilenceMargin;
    // A hold hides nothing that was said before it: what comes while it is on its way is kept.
    [[nodiscard]] bool erases() const { return silence.label != "hold"; }
};
struct MsmlResume {
    SegmentId segment;
    std::string label;
    int tries = 0;
};
struct MsmlCollect {  // digits
    bool on = false;
};
struct MsmlEndRecord {
    SegmentId segment;
    std::string cause;
};
using MsmlCommand = std::variant<MsmlJoin, MsmlUnjoin, MsmlPlay, MsmlEndPlay, MsmlRecord, MsmlSilence, MsmlResume,
                                 MsmlEndRecord, MsmlCollect>;

// `tag`: the connection's, that is the To tag of the media server's 200. `now`: it is sent now.
[[nodiscard]] std::string to_msml(const std::vector<MsmlCommand>& commands, std::string_view tag, Instant now);

// What former runs of the switch `owner` have left is to be ended; `boot` names this run.
[[nodiscard]] std::string msml_release(std::string_view owner, std::string_view boot);

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
struct MsmlDigit {
    std::string digit;  // one of 0-9 * # A-D
};
struct MsmlLegSilent {
    std::int64_t for_ms = 0;  // nothing has come from the peer
};
using MsmlEvent =
    std::variant<MsmlPlayEnded, MsmlRecordOpened, MsmlRecordSealed, MsmlRecordFailed, MsmlDigit, MsmlLegSilent>;
// Errc::unsupported: well formed, but no event of ours.
[[nodiscard]] Result<MsmlEvent> msml_event_from_text(std::string_view body);

}  // namespace sheaf::b2bua
