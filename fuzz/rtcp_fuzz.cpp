// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "rtp/rtcp.h"

// Any bytes are a compound packet or refused; what was read of one can be written, and is read again as the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sheaf::rtp;
    const auto compound = parse_compound({data, size});
    if (!compound) return 0;
    for (const std::uint32_t bye : compound->byes()) static_cast<void>(bye);
    for (const ReportBlock& block : compound->blocks()) {
        const auto trip = round_trip(block, 0x0123456789ABCDEF);
        ASSERT(!trip || trip->count() >= 0);
    }
    const Report report{.ssrc = compound->ssrc,
                        .sender = compound->sender,
                        .blocks = compound->blocks(),
                        .cname = compound->cname.empty() ? "nobody" : compound->cname,
                        .bye = compound->bye_count > 0};
    std::array<std::uint8_t, kRtcpBytesMax> bytes;
    const std::size_t written = write_compound(bytes, report);
    ASSERT(written > 0);
    const auto again = parse_compound({bytes.data(), written});
    ASSERT(again && again->ssrc == compound->ssrc && again->sender == compound->sender);
    ASSERT(again->cname == report.cname);
    ASSERT(std::ranges::equal(again->blocks(), compound->blocks()));
    return 0;
}
