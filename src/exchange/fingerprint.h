// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <boost/json.hpp>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/id.h"
#include "exchange/fields.h"

// Visits the fields of a value and appends them as bytes that tell every two values apart: what is hashed of a switch's
// effects, many times a call. docs/formats/switch-journal.md has the layout.
namespace sheaf::exchange {

class Fingerprint {
public:
    template <typename T>
    using Of = const T;

    explicit Fingerprint(std::string& out) : out_(out) {}

    template <typename T>
    Fingerprint& operator()(std::string_view /*name*/, const T& value) {
        write(value);
        return *this;
    }
    void text(std::string_view text) {
        number(text.size());
        out_ += text;
    }

private:
    void number(std::uint64_t number) {
        for (; number >= 0x80; number >>= 7) out_ += static_cast<char>(number | 0x80);
        out_ += static_cast<char>(number);
    }
    void write(const std::string& text) { this->text(text); }
    template <typename Tag>
    void write(const Id<Tag>& id) {
        text(id.text());
    }
    template <typename T>
    void write(const std::optional<T>& value) {
        number(value ? 1 : 0);
        if (value) write(*value);
    }
    template <typename T>
    void write(const std::vector<T>& values) {
        number(values.size());
        for (const T& value : values) write(value);
    }
    void write(const std::pair<std::string, std::string>& pair) {
        text(pair.first);
        text(pair.second);
    }
    void write(const boost::json::object& object) {
        number(object.size());
        for (const auto& member : object) {
            text(member.key());
            write(member.value());
        }
    }
    void write(const boost::json::value& value) {
        number(static_cast<std::uint64_t>(value.kind()));
        switch (value.kind()) {
            case boost::json::kind::null: return;
            case boost::json::kind::bool_: return number(value.get_bool() ? 1 : 0);
            case boost::json::kind::int64: return number(static_cast<std::uint64_t>(value.get_int64()));
            case boost::json::kind::uint64: return number(value.get_uint64());
            case boost::json::kind::double_: return number(std::bit_cast<std::uint64_t>(value.get_double()));
            case boost::json::kind::string: return text(value.get_string());
            case boost::json::kind::array:
                number(value.get_array().size());
                for (const auto& item : value.get_array()) write(item);
                return;
            case boost::json::kind::object: return write(value.get_object());
        }
    }
    template <typename T>
    void write(const T& value) {
        if constexpr (std::integral<T> || std::is_enum_v<T>) {
            number(static_cast<std::uint64_t>(value));
        } else {
            fields(*this, value);
        }
    }

    std::string& out_;
};

}  // namespace sheaf::exchange
