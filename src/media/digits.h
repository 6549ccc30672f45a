// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace sheaf::media {

// The digits in one leg's telephone events (RFC 4733): each press once, when its first packet arrives, however many of
// the others come, doubled, late or not at all. Nothing allocates.
//
//   0                   1                   2                   3
//   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//  |     event     |E|R| volume    |          duration             |
class DigitReader {
public:
    struct Digits {
        std::array<char, 4> digits{};
        std::size_t count = 0;
    };
    // '0' to '9', '*', '#', 'A' to 'D' of each press that is new. A packet may hold several, one after the other
    // (§2.5.1.5); further ones than four are in the packets to come.
    [[nodiscard]] Digits packet(std::uint32_t ssrc, std::uint32_t timestamp, Bytes payload);

private:
    [[nodiscard]] std::optional<char> event(std::uint32_t ssrc, std::uint32_t timestamp, Bytes bytes);
    struct Press {  // all packets of an event bear its first moment (§2.5.1.2)
        bool is_used = false;
        bool is_ended = false;
        std::uint32_t ssrc = 0;
        std::uint32_t timestamp = 0;
        std::uint8_t event = 0;
    };
    std::array<Press, 4> presses_{};  // the latest, so that a packet overtaken by the next press is still known
    std::size_t next_ = 0;
};

}  // namespace sheaf::media
