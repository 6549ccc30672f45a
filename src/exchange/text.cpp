// SPDX-License-Identifier: Apache-2.0
#include "exchange/text.h"

#include <algorithm>

#include "base/text.h"

namespace sheaf::exchange {
std::string shown(std::string_view text, std::size_t bytes_max) {
    std::string out;
    while (!text.empty()) {
        const std::size_t length = utf8_length(text);
        const bool control = length == 1 && (static_cast<unsigned char>(text[0]) < 0x20 || text[0] == 0x7F);
        const std::string_view piece = length == 0 || control ? std::string_view{"?"} : text.substr(0, length);
        if (out.size() + piece.size() > bytes_max) break;
        out += piece;
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return out;
}

bool is_id(std::string_view text) {
    return !text.empty() && text.size() <= kIdMax &&
           std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7F; });
}

}  // namespace sheaf::exchange
