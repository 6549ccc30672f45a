// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"

#include <algorithm>
#include <boost/container/small_vector.hpp>
#include <boost/json.hpp>

#include "base/assert.h"
#include "base/json_fields.h"
#include "base/text.h"

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

constexpr std::int64_t kLimit = std::int64_t{1} << 53;
constexpr std::uint64_t kIntegerTooLarge = kLimit + 1;

Result<void> append_integer(std::string& out, std::int64_t number) {
    if (number < -kLimit || number > kLimit) {
        return fail(Errc::malformed, "a number in a fact must be an integer within 2^53");
    }
    append_number(out, number);
    return {};
}

enum class Form : std::uint8_t { as_it_is, canonical };

template <Form kForm>
Result<void> append(std::string& out, const json::value& value);

template <Form kForm>
Result<void> append_member(std::string& out, const json::key_value_pair& member) {
    if (out.back() != '{') out.push_back(',');
    append_json_string(out, member.key());
    out.push_back(':');
    return append<kForm>(out, member.value());
}

template <Form kForm>
Result<void> append_object(std::string& out, const json::object& object) {
    constexpr std::size_t kUsual = 24;
    out.push_back('{');
    if constexpr (kForm == Form::canonical) {
        boost::container::small_vector<const json::key_value_pair*, kUsual> members;
        for (const auto& member : object) members.push_back(&member);
        std::sort(members.begin(), members.end(),
                  [](const auto* a, const auto* b) { return less_in_utf16(a->key(), b->key()); });
        for (const auto* member : members) TRY_VOID(append_member<kForm>(out, *member));
    } else {
        for (const auto& member : object) TRY_VOID(append_member<kForm>(out, member));
    }
    out.push_back('}');
    return {};
}

template <Form kForm>
Result<void> append(std::string& out, const json::value& value) {
    switch (value.kind()) {
        case json::kind::null: out += "null"; return {};
        case json::kind::bool_: out += value.get_bool() ? "true" : "false"; return {};
        case json::kind::string: append_json_string(out, value.get_string()); return {};
        case json::kind::object: return append_object<kForm>(out, value.get_object());
        case json::kind::array: {
            out.push_back('[');
            bool first = true;
            for (const auto& item : value.get_array()) {
                if (!first) out.push_back(',');
                first = false;
                TRY_VOID(append<kForm>(out, item));
            }
            out.push_back(']');
            return {};
        }
        case json::kind::int64:
        case json::kind::uint64:
        case json::kind::double_: break;
    }
    if constexpr (kForm == Form::as_it_is) {
        out += json::serialize(value);
        return {};
    }
    if (value.is_double()) return fail(Errc::malformed, "a number in a fact must be an integer");
    return value.is_int64() ? append_integer(out, value.get_int64()) : append_canonical_json(out, value.get_uint64());
}

// How many characters at its front stand for themselves in a JSON string.
std::size_t plain_length(std::string_view text) {
    if (!EightChars::any_in<0x20, '"', '\\'>(text)) return text.size();
    const auto is_special = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\'; };
    return static_cast<std::size_t>(std::ranges::find_if(text, is_special) - text.begin());
}

}  // namespace

Result<void> append_canonical_json(std::string& out, const json::object& object) {
    return append_object<Form::canonical>(out, object);
}
Result<void> append_canonical_json(std::string& out, std::uint64_t number) {
    return append_integer(out, static_cast<std::int64_t>(std::min(number, kIntegerTooLarge)));
}
Result<void> append_canonical_json(std::string& out, std::int64_t number) {
    return append_integer(out, number);
}

void append_json_string(std::string& out, std::string_view text) {
    constexpr std::string_view kHexDigits = "0123456789abcdef";
    std::size_t plain = plain_length(text);
    if (plain == text.size()) {  // as nearly all are
        const std::size_t before = out.size();
        const std::size_t after = before + plain + 2;
        return out.resize_and_overwrite(after, [&](char* all, std::size_t /*room*/) {
            all[before] = '"';
            std::ranges::copy(text, all + before + 1);
            all[after - 1] = '"';
            return after;
        });
    }
    out += '"';
    for (;; plain = plain_length(text)) {
        out += text.substr(0, plain);
        if (plain == text.size()) break;
        const auto c = static_cast<unsigned char>(text[plain]);
        text.remove_prefix(plain + 1);
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

void append_json(std::string& out, const json::object& object) {
    ASSERT(append_object<Form::as_it_is>(out, object));
}

Result<std::string> canonical_json(const json::value& value) {
    std::string out;
    TRY_VOID(append<Form::canonical>(out, value));
    return out;
}

json::object object_in_one_piece(JsonFields fields) {
    constexpr std::size_t kUsualBytes = 1'024;  // of a fact's; what is larger takes further pieces
    constexpr std::size_t kUsuallyAdded = 2;
    json::object object(json::make_shared_resource<json::monotonic_resource>(kUsualBytes));
    object.reserve(fields.size() + kUsuallyAdded);
    object.insert(fields);
    return object;
}

}  // namespace sheaf
