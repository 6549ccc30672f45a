// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace sheaf {

void append_number(std::string& out, std::integral auto number) {  // in decimal
    std::array<char, 24> digits{};
    out.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr);
}

// Length of the well-formed UTF-8 sequence at the front of `text` (RFC 3629 §4), or 0.
[[nodiscard]] std::size_t utf8_length(std::string_view text);
[[nodiscard]] bool is_utf8(std::string_view text);

// Eight characters looked at together. Most text has nothing that is looked for, and is passed over at this speed.
class EightChars {
public:
    static constexpr std::size_t kCount = 8;
    explicit EightChars(const char* first) { std::memcpy(&word_, first, kCount); }
    // Of ASCII characters one below `kLimit`, or `kA`, or `kB`.
    template <std::uint8_t kLimit, char kA, char kB>
    [[nodiscard]] bool has_below_or() const {
        static_assert(kLimit < 0x80 && kA >= 0 && kA <= 0x7f && kB >= 0 && kB <= 0x7f);
        const auto is = [this](char c) { return (word_ ^ (kOnes * static_cast<std::uint8_t>(c))) - kOnes; };
        return (((word_ - kOnes * kLimit) | is(kA) | is(kB)) & ~word_ & kHighBits) != 0;
    }
    // Likewise of a text of any length.
    template <std::uint8_t kLimit, char kA, char kB>
    [[nodiscard]] static bool any_in(std::string_view text) {
        if (text.size() < kCount) {
            for (const char c : text)
                if ((static_cast<unsigned char>(c) < kLimit) || c == kA || c == kB) return true;
            return false;
        }
        for (std::size_t at = 0; at + kCount <= text.size(); at += kCount)
            if (EightChars(text.data() + at).has_below_or<kLimit, kA, kB>()) return true;
        return EightChars(text.data() + text.size() - kCount)
            .has_below_or<kLimit, kA, kB>();  // the rest, and some again
    }
    [[nodiscard]] bool is_ascii() const { return (word_ & kHighBits) == 0; }

private:
    static constexpr std::uint64_t kOnes = 0x0101'0101'0101'0101;
    static constexpr std::uint64_t kHighBits = kOnes * 0x80;
    std::uint64_t word_ = 0;
};

}  // namespace sheaf
