// SPDX-License-Identifier: Apache-2.0
#include "lab/replaces.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace sheaf::lab {
namespace {

bool same_word(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

}  // namespace

std::string to_text(const Replaces& replaces) {
    return replaces.call_id + ";to-tag=" + replaces.to_tag + ";from-tag=" + replaces.from_tag;
}

std::optional<Replaces> replaces_from_text(std::string_view text) {
    Replaces replaces;
    replaces.call_id = text.substr(0, text.find(';'));
    while (text.find(';') != std::string_view::npos) {
        text.remove_prefix(text.find(';') + 1);
        const std::string_view part = text.substr(0, text.find(';'));
        const std::size_t equals = part.find('=');
        if (equals == std::string_view::npos) continue;
        if (same_word(part.substr(0, equals), "to-tag")) replaces.to_tag = part.substr(equals + 1);
        if (same_word(part.substr(0, equals), "from-tag")) replaces.from_tag = part.substr(equals + 1);
    }
    if (replaces.call_id.empty() || replaces.to_tag.empty() || replaces.from_tag.empty()) return std::nullopt;
    return replaces;
}

std::string escaped(std::string_view text) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    constexpr std::string_view kPlain = "-_.!~*'()[]/:+$";
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (std::isalnum(byte) != 0 || kPlain.find(c) != std::string_view::npos) {
            out += c;
        } else {
            out += {'%', kHex[byte >> 4U], kHex[byte & 15U]};
        }
    }
    return out;
}

std::string unescaped(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned value = 0;
        const char* from = text.data() + i + 1;
        if (text[i] == '%' && i + 2 < text.size() && std::from_chars(from, from + 2, value, 16).ptr == from + 2) {
            out += static_cast<char>(value);
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

std::string header_of(const sip::Uri& uri, std::string_view name) {
    std::string_view rest = uri.headers;
    while (!rest.empty()) {
        const std::string_view part = rest.substr(0, rest.find('&'));
        const std::size_t equals = part.find('=');
        if (equals != std::string_view::npos && same_word(part.substr(0, equals), name)) {
            return unescaped(part.substr(equals + 1));
        }
        rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    }
    return {};
}

}  // namespace sheaf::lab
