// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/config/node_settings.h"

namespace sheaf::config {

enum class ArchiveFormat { wav, flac };

// [media]
struct MediaSettings {
    NodeSettings node;
    std::vector<std::string> sip;      // "udp:127.0.0.1:5070"
    std::string advertise;             // host or host:port in Via, Contact and SDP; empty: the listening one
    std::string rtp_address;           // literal IPv4 or IPv6
    std::uint16_t rtp_port_first = 0;  // even; RTP takes even ports, RTCP the next odd one
    std::uint16_t rtp_port_last = 0;   // ≥ first + 1
    ArchiveLink archive;
    ArchiveFormat format = ArchiveFormat::wav;
    std::vector<std::string> allow;    // literal addresses of switches, besides loopback; others get 403
    std::int64_t keep_ms = 3'600'000;  // how long a delivered segment file stays, from its sealing
    // Neither RTP nor RTCP for so long from a leg that may speak: the switch is told. 0: never.
    std::int64_t rtp_silence_ms = 60'000;
    std::string prompts;  // folder of the treatments' files; empty: silence is played
    // How long a switch may be silent in a leg's dialog before the leg is ended. No key: only tests shorten it.
    std::int64_t switch_silence_ms = 60'000;
};

}  // namespace sheaf::config
