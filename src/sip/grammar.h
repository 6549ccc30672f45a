// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sip/uri.h"

// The basic rules of RFC 3261 §25.1 that several parsers of this room share. Folds are already joined: white space is
// SP and HTAB.
namespace sheaf::sip {

[[nodiscard]] constexpr bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
[[nodiscard]] constexpr bool is_alphanumeric(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
// Which characters are of a class, looked up by each one of a message.
class CharClass {
public:
    template <typename Is>
    explicit constexpr CharClass(Is is) : has_{} {
        for (std::size_t i = 0; i < has_.size(); ++i) has_.at(i) = is(static_cast<char>(i));
    }
    constexpr bool operator()(char c) const { return has_[static_cast<unsigned char>(c)]; }
    // How many characters of it the text begins with.
    [[nodiscard]] constexpr std::size_t length_in(std::string_view text) const {
        std::size_t length = 0;
        while (length < text.size() && (*this)(text[length])) ++length;
        return length;
    }
    [[nodiscard]] constexpr bool has_all(std::string_view text) const { return length_in(text) == text.size(); }

private:
    std::array<bool, 256> has_;
};
[[nodiscard]] bool is_token(std::string_view text);  // one character or more
[[nodiscard]] constexpr bool is_control(char c) {    // below 0x20 but HTAB, and DEL
    const auto u = static_cast<unsigned char>(c);
    return (u < 0x20 && c != '\t') || u == 0x7f;
}
[[nodiscard]] constexpr bool is_blank(char c) {
    return c == ' ' || c == '\t';
}
[[nodiscard]] constexpr std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    return text;
}
// Where the first of the characters is, or the text's size. For a handful of characters.
[[nodiscard]] constexpr std::size_t end_before(std::string_view text, std::string_view chars) {
    const auto is_one = [chars](char c) {
        for (const char one : chars) {
            if (c == one) return true;
        }
        return false;
    };
    std::size_t at = 0;
    while (at < text.size() && !is_one(text[at])) ++at;
    return at;
}
[[nodiscard]] constexpr char lower(char c) {  // ASCII only
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
[[nodiscard]] std::string lower(std::string_view text);
[[nodiscard]] constexpr bool same_name(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (a[i] != b[i] && lower(a[i]) != lower(b[i])) return false;
    }
    return true;
}
[[nodiscard]] std::string printable(std::string_view text, std::size_t max);  // its visible ASCII characters

// 1*DIGIT up to `max`, leading zeros allowed; nullopt for anything else.
[[nodiscard]] std::optional<std::uint64_t> number_from_text(std::string_view text, std::uint64_t max);

// Takes a quoted-string off the front of `rest` (which starts with its quote) and undoes the escapes.
[[nodiscard]] Result<std::string> take_quoted(std::string_view& rest);
// As a quoted-string; line ends become spaces, other control characters are escaped.
[[nodiscard]] std::string quoted(std::string_view text);

// *(SEMI generic-param) up to the end of the text. Values lose their quotes.
[[nodiscard]] Result<Params> header_params_from_text(std::string_view text);
[[nodiscard]] Result<void> check_header_params(std::string_view text);  // they are some
// The value of the first of that name; empty: it is a flag; nullopt: there is none.
[[nodiscard]] Result<std::optional<std::string>> header_param(std::string_view text, std::string_view name);
void append_header_params(std::string& out, const Params& params);  // with the leading semicolons

// The items of a comma-separated list; commas in quotes and in <> do not part. Empty items are left out.
using Items = boost::container::small_vector<std::string_view, 4>;
[[nodiscard]] Items list_items(std::string_view text);
[[nodiscard]] std::string_view first_item(std::string_view text);  // empty: there is none

// hostname, IPv4address, or IPv6reference with its brackets; the result is lower case and without them.
[[nodiscard]] Result<std::string> host_from_text(std::string_view text);
[[nodiscard]] std::string host_to_text(std::string_view host);
void append_host_port(std::string& out, std::string_view host, std::uint16_t port);
// host [":" port], with white space around the colon if `spaced` (Via). Port 0: not given.
struct HostPort {
    std::string host;
    std::uint16_t port = 0;
};
[[nodiscard]] Result<HostPort> host_port_from_text(std::string_view text, bool spaced);
[[nodiscard]] Result<void> check_host_port(std::string_view text, bool spaced);  // it is one

}  // namespace sheaf::sip
