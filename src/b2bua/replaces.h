// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "b2bua/registrar.h"
#include "base/result.h"
#include "sip/message.h"
#include "sip/user_agent.h"

// The Replaces header (RFC 3891), as a header and within a Refer-To, and the pivot addresses an INVITE with it is sent
// to (docs/formats/link-header.md). Pure.
namespace sheaf::b2bua {

inline constexpr std::size_t kReplacesBytesMax = 1'024;
inline constexpr std::string_view kPivotStart = "px-";  // of a pivot address's user part; the token follows

struct Replaces {
    std::string call_id;
    std::string to_tag;    // of the one who receives it
    std::string from_tag;  // of that one's peer
    bool early_only = false;
    friend bool operator==(const Replaces&, const Replaces&) = default;
};
// Errc::malformed: no Call-ID, a tag missing or twice.
[[nodiscard]] Result<Replaces> replaces_from_text(std::string_view text);
[[nodiscard]] std::string to_text(const Replaces& replaces);
// The dialog as its peer names it to whom it is to replace it there.
[[nodiscard]] Replaces seen_by_peer(const sip::DialogView& view);

// The dialog of ours that a Replaces names to us (§3), or 0.
[[nodiscard]] sip::DialogId dialog_of(const sip::UserAgent& ua, const Replaces& replaces);
// The same, whoever its writer thought would get to read it: in a Refer-To that comes to us instead.
[[nodiscard]] sip::DialogId dialog_either_way(const sip::UserAgent& ua, const Replaces& replaces);

// A REFER's Refer-To as a number this site may be asked for, and the dialog to replace.
struct ReferTarget {
    std::string number;
    std::optional<Replaces> replaces;
    Answer refusal;  // status 200: none
};
[[nodiscard]] ReferTarget refer_target_of(const sip::Message& request);

}  // namespace sheaf::b2bua
