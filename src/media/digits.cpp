// SPDX-License-Identifier: Apache-2.0
#include "media/digits.h"

#include <string_view>

namespace sheaf::media {
namespace {

constexpr std::string_view kDigits = "0123456789*#ABCD";  // RFC 4733 §3.2, events 0 to 15
constexpr std::size_t kEventBytes = 4;
constexpr std::uint32_t kSegmentLength = 0xFFFF;  // of an event longer than its duration can say (§2.5.1.3)

}  // namespace

DigitReader::Digits DigitReader::packet(std::uint32_t ssrc, std::uint32_t timestamp, Bytes payload) {
    Digits out;
    while (payload.size() >= kEventBytes && out.count < out.digits.size()) {
        if (const auto digit = event(ssrc, timestamp, payload)) out.digits[out.count++] = *digit;
        timestamp += read_u16be(&payload[2]);  // the next begins where this one ends
        payload = payload.subspan(kEventBytes);
    }
    return out;
}

std::optional<char> DigitReader::event(std::uint32_t ssrc, std::uint32_t timestamp, Bytes bytes) {
    if (bytes[0] >= kDigits.size()) return std::nullopt;
    const std::uint8_t event = bytes[0];
    const bool is_end = (bytes[1] & 0x80U) != 0;
    for (Press& press : presses_) {
        if (!press.is_used || press.ssrc != ssrc || press.event != event) continue;
        const bool goes_on = !press.is_ended && timestamp == press.timestamp + kSegmentLength;
        if (timestamp != press.timestamp && !goes_on) continue;
        press.timestamp = timestamp;
        press.is_ended = press.is_ended || is_end;
        return std::nullopt;
    }
    presses_[next_] = {.is_used = true, .is_ended = is_end, .ssrc = ssrc, .timestamp = timestamp, .event = event};
    next_ = (next_ + 1) % presses_.size();
    return kDigits[event];
}

}  // namespace sheaf::media
