// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "sip/message.h"

namespace sheaf::sip {

inline constexpr std::chrono::seconds kMinSessionInterval{90};  // RFC 4028 §4

// What this side wants of session timers.
struct SessionTimes {
    std::chrono::seconds wanted{1800};                // asked for, and granted at most
    std::chrono::seconds least{kMinSessionInterval};  // a shorter one gets 422
};

// A session timer in force on a dialog (RFC 4028): without a 2xx to a re-INVITE or UPDATE the session ends.
struct SessionTimer {
    std::chrono::seconds interval{};
    bool we_refresh = false;
    friend bool operator==(const SessionTimer&, const SessionTimer&) = default;
};

// The answer to an INVITE, re-INVITE or UPDATE, as far as session timers go (§9).
struct SessionReply {
    int status = 200;                   // 400 or 422: refuse the request with it
    std::vector<Header> headers;        // of that refusal, or of the 2xx
    std::optional<SessionTimer> timer;  // in force from the 2xx on; none: none
};
[[nodiscard]] SessionReply answer_session(const Message& request, const SessionTimes& ours);

// Min-SE of a request or a 422; nullopt: none, or not a number.
[[nodiscard]] std::optional<std::chrono::seconds> min_se_of(const Message& message);

// The headers of a request of ours (§7.1, §7.4). `min_se`: the largest that was heard on the dialog.
[[nodiscard]] std::vector<Header> ask_session(const SessionTimes& ours, const std::optional<SessionTimer>& in_force,
                                              std::optional<std::chrono::seconds> min_se);
// What the 2xx to our request puts in force (§7.2). A peer that knows no session timer is refreshed by us: whether it
// answers is what we want to know.
[[nodiscard]] std::optional<SessionTimer> agreed_session(const Message& request, const Message& response);

}  // namespace sheaf::sip
