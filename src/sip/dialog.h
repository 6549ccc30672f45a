// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sip/message.h"
#include "sip/uri.h"

namespace sheaf::sip {

// A dialog as a value (RFC 3261 §12): who, where and in which order. It sends nothing and knows no transaction.
struct Dialog {
    std::string call_id;
    std::string local_tag;
    std::string remote_tag;                    // empty: not known yet, or a peer of RFC 2543
    NameAddr local;                            // From of our requests, with tag
    NameAddr remote;                           // To of our requests, with tag once known
    Uri remote_target;                         // the peer's Contact
    std::vector<NameAddr> routes;              // in the order of our Route headers
    std::uint32_t local_cseq = 0;              // of our last request; 0: none
    std::optional<std::uint32_t> remote_cseq;  // of their last request
    friend bool operator==(const Dialog&, const Dialog&) = default;
};

// Our INVITE before any answer: no remote tag, target the Request-URI.
[[nodiscard]] Dialog dialog_of_request(const Message& request);
// Our INVITE and a 101-299 to it (§12.1.2). A Record-Route or Contact that does not parse is left out: what goes wrong
// then ends in a time-out, not in a dialog we cannot even BYE.
[[nodiscard]] Dialog dialog_of_response(const Message& request, const Message& response);
// The same for a dialog of that INVITE: our count of requests goes on, theirs as long as the tag is the same.
void follow_response(Dialog& dialog, const Message& request, const Message& response);
// Their INVITE, to be answered with our tag (§12.1.1). Errc::malformed: a Contact or Record-Route that does not parse.
// Without a Contact (RFC 2543) the From URI stands in.
[[nodiscard]] Result<Dialog> dialog_of_invite(const Message& request, const std::string& local_tag);

// A request within the dialog (§12.2.1.1): Request-URI and Route for loose and strict routers, From, To, Call-ID, CSeq,
// Max-Forwards. ACK and CANCEL name the CSeq they belong to; others take the next one, which the dialog then counts.
[[nodiscard]] Message dialog_request(Dialog& dialog, const std::string& method);
[[nodiscard]] Message dialog_ack(const Dialog& dialog, std::uint32_t cseq);
// Puts target and route set on a request; routes without `lr` are strict (§12.2.1.1).
void set_route(Message& request, const Uri& target, const std::vector<NameAddr>& routes);
// Where such a request is sent first: the topmost route, else the target.
[[nodiscard]] const Uri& first_hop(const Dialog& dialog);

// False: out of order, answer 500 (§12.2.2). True counts it.
[[nodiscard]] bool accept_cseq(Dialog& dialog, const Message& request);
// The Contact of a target refresh request or its 2xx (§12.2): taken when it parses.
void refresh_target(Dialog& dialog, const Message& message);
[[nodiscard]] bool is_target_refresh(std::string_view method);

// The name-addr in a Contact, Route or Record-Route item list; Errc::malformed if one does not parse.
[[nodiscard]] Result<std::vector<NameAddr>> name_addrs(const Message& message, std::string_view header);

}  // namespace sheaf::sip
