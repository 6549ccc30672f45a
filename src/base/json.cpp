// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"

#include <algorithm>
#include <boost/json.hpp>
#include <vector>

namespace sheaf {
namespace {

namespace json = boost::json;

// RFC 8785 §3.2.3 sorts member names by UTF-16 code units. For well-formed UTF-8 this differs from byte order only
// between U+E000..U+FFFF (three bytes, EE or EF first) and the astral planes (four bytes, F0 and up), whose UTF-16 form
// starts with a surrogate (D800..DFFF).
bool less_in_utf16(std::string_view a, std::string_view b) {
    const auto [i, j] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    if (i == a.end() || j == b.end()) return a.size() < b.size();
    const auto x = static_cast<unsigned char>(*i);
    const auto y = static_cast<unsigned char>(*j);
    const bool x_astral = x >= 0xF0;
    const bool y_astral = y >= 0xF0;
    if (x_astral != y_astral && std::min(x, y) >= 0xEE) return x_astral;
    return x < y;
}

Result<void> append(std::string& out, const json::value& value);

Result<void> append_object(std::string& out, const json::object& object) {
    std::vector<const json::key_value_pair*> members;
    for (const auto& member : object) members.push_back(&member);
    std::sort(members.begin(), members.end(),
              [](const auto* a, const auto* b) { return less_in_utf16(a->key(), b->key()); });
    out.push_back('{');
    for (const auto* member : members) {
        if (out.back() != '{') out.push_back(',');
        append_json_string(out, member->key());
        out.push_back(':');
        TRY_VOID(append(out, member->value()));
    }
    out.push_back('}');
    return {};
}

Result<void> append_integer(std::string& out, const json::value& value) {
    constexpr std::int64_t kLimit = std::int64_t{1} << 53;
    if (value.is_int64() && value.get_int64() >= -kLimit && value.get_int64() <= kLimit) {
        out += std::to_string(value.get_int64());
        return {};
    }
    if (value.is_uint64() && value.get_uint64() <= static_cast<std::uint64_t>(kLimit)) {
        out += std::to_string(value.get_uint64());
        return {};
    }
    return fail(Errc::malformed, "a number in a fact must be an integer within 2^53");
}

Result<void> append(std::string& out, const json::value& value) {
    switch (value.kind()) {
        case json::kind::null: out += "null"; return {};
        case json::kind::bool_: out += value.get_bool() ? "true" : "false"; return {};
        case json::kind::string: append_json_string(out, value.get_string()); return {};
        case json::kind::object: return append_object(out, value.get_object());
        case json::kind::array: {
            out.push_back('[');
            bool first = true;
            for (const auto& item : value.get_array()) {
                if (!first) out.push_back(',');
                first = false;
                TRY_VOID(append(out, item));
            }
            out.push_back(']');
            return {};
        }
        case json::kind::int64:
        case json::kind::uint64:
        case json::kind::double_: return append_integer(out, value);
    }
    return fail(Errc::malformed, "unknown JSON kind");
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
    constexpr std::string_view kHexDigits = "0123456789abcdef";
    out += '"';
    std::size_t plain = 0;  // from there on nothing has been escaped, nor copied
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        out += text.substr(plain, i - plain);
        plain = i + 1;
        switch (c) {
            case '"': out += "\\\""; break;
            case '\\': out += "\\\\"; break;
            case '\b': out += "\\b"; break;
            case '\f': out += "\\f"; break;
            case '\n': out += "\\n"; break;
            case '\r': out += "\\r"; break;
            case '\t': out += "\\t"; break;
            default: ((out += "\\u00") += c < 0x10 ? '0' : '1') += kHexDigits[c % 16];
        }
    }
    out += text.substr(plain);
    out += '"';
}

Result<json::value> json_from_text(std::string_view text) {
    json::parse_options options;
    options.max_depth = kJsonDepthMax;
    json::error_code error;
    json::value value = json::parse(json::string_view(text.data(), text.size()), error, {}, options);
    if (error) return fail(Errc::malformed, "not JSON: " + error.message());
    return value;
}

Result<std::string> canonical_json(const json::value& value) {
    std::string out;
    TRY_VOID(append(out, value));
    return out;
}

}  // namespace sheaf
