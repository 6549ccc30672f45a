// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "sip/endpoint.h"

// SIP messages as they stood on the wire, kept to be looked at later: docs/formats/ladder.md.
namespace sheaf::ladder {

inline constexpr std::size_t kTextBytesMax = 60'000;  // of one message that are kept; a pcap packet holds no more

struct Message {
    std::uint64_t number = 0;  // in the order they passed, of one run of the switch
    WallTime at;
    bool sent = false;  // by us
    sip::Endpoint local;
    sip::Endpoint remote;
    std::string id;    // `<Call-ID>;<CSeq number>;<method>`, as evidence names it
    std::string text;  // any bytes, secrets masked
    friend bool operator==(const Message&, const Message&) = default;
};

// Which dialog and transaction a message belongs to, as it stands there.
struct Names {
    std::string_view call_id;
    std::uint32_t cseq = 0;
    std::string_view method;  // of CSeq
};

[[nodiscard]] boost::json::object to_json(const Message& message);
[[nodiscard]] Result<Message> message_from_json(const boost::json::value& value);

}  // namespace sheaf::ladder
