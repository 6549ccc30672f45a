// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include "ladder/message.h"

namespace sheaf::ladder {

// The messages as a capture file that analysers open (libpcap's format 2.4, microseconds, link type 101: raw IP). Each
// is one packet between the addresses it had, with IP, UDP and TCP headers made for it: those of the wire are not kept.
// In TCP the numbers go on within a direction, so that an analyser reads a stream. An address that is none, or of the
// other IP version than its peer's, leaves the message out.
[[nodiscard]] std::string pcap_of(std::span<const Message> messages);

}  // namespace sheaf::ladder
