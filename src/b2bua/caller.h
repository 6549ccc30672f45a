// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "b2bua/registrar.h"
#include "b2bua/settings.h"
#include "exchange/exchange.h"
#include "sip/message.h"
#include "sip/user_agent.h"

// What an INVITE says about its sender, and what of that is believed. Pure.
namespace sheaf::b2bua {

inline constexpr std::size_t kNumberBytesMax = 128;

struct Caller {
    exchange::Device device;
    bool must_authenticate = false;  // an agent: only its digest says that it is one
};

// The source address tells: first a peer's address and port, then an agent at the address it registered from, then
// a peer's address with any port (a TCP connection has its own), then anyone who calls as an agent, else a stranger.
[[nodiscard]] Caller caller_of(const Settings& settings, const Registrar& registrar, const sip::Source& source,
                               const std::string& from_user, Instant now);

struct Identity {
    std::string number;
    std::string name;
};
// From; or P-Asserted-Identity (RFC 3325) if its sender is believed (trunks and sites).
[[nodiscard]] Identity identity_of(const sip::Message& request, bool believed);

// Printable ASCII, at most kNumberBytesMax: fit for facts and for other messages. Other characters are left out.
[[nodiscard]] std::string clean_number(std::string_view text);
// Of a sip URI its user, of a tel URI its digits without the visual separators (RFC 3966 §3), clean. Empty: it has
// none.
[[nodiscard]] std::string number_of(const sip::Uri& uri);
[[nodiscard]] std::string clean_name(std::string_view text);  // UTF-8 stays, control characters go

// `<Call-ID>;<CSeq number>;<method>`: a message's id in evidence.
[[nodiscard]] std::string message_id(const sip::Message& message);
// RFC 7989 §5: the sender's half, 32 lower-case hex digits, or empty.
[[nodiscard]] std::string session_half_of(const sip::Message& message);
[[nodiscard]] std::string session_half_from(std::string_view id);  // of one of our uuids

}  // namespace sheaf::b2bua
