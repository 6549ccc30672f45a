// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <type_traits>

#include "base/bytes.h"
#include "exchange/fields.h"
#include "exchange/text.h"

// Visits the fields of a value and makes JSON of it. A field that is empty, zero or false is left out.
namespace sheaf::exchange {

class JsonWriter {
public:
    template <typename T>
    using Of = const T;

    template <typename T>
    JsonWriter& operator()(std::string_view name, const T& value) {
        boost::json::value json = json_of(value);
        if (!is_default(json)) object[name] = std::move(json);
        return *this;
    }

    boost::json::object object;

private:
    template <typename T>
    static boost::json::value json_of(const T& value) {
        if constexpr (std::same_as<T, bool> || std::same_as<T, boost::json::value>) {
            return value;
        } else if constexpr (std::same_as<T, boost::json::object>) {
            return value;
        } else if constexpr (std::integral<T>) {
            return value;
        } else if constexpr (std::is_enum_v<T>) {
            return boost::json::value(EnumNames<T>::kNames[static_cast<std::size_t>(value)]);
        } else {
            JsonWriter writer;
            fields(writer, value);
            return std::move(writer.object);
        }
    }
    // Bytes that are not text cannot stand in JSON: they go as {"hex": …}.
    static boost::json::value json_of(const std::string& text) {
        if (is_utf8(text)) return boost::json::value(text);
        return boost::json::object{{"hex", to_hex(as_bytes(text))}};
    }
    template <typename Tag>
    static boost::json::value json_of(const Id<Tag>& id) {
        return json_of(id.text());
    }
    template <typename T>
    static boost::json::value json_of(const std::optional<T>& value) {
        return value ? json_of(*value) : boost::json::value{};
    }
    template <typename T>
    static boost::json::value json_of(const std::vector<T>& values) {
        boost::json::array array;
        for (const T& value : values) array.push_back(json_of(value));
        return array;
    }
    static boost::json::value json_of(const std::pair<std::string, std::string>& pair) {
        boost::json::array array;
        array.push_back(json_of(pair.first));
        array.push_back(json_of(pair.second));
        return array;
    }

    static bool is_default(const boost::json::value& value) {
        switch (value.kind()) {
            case boost::json::kind::null: return true;
            case boost::json::kind::bool_: return !value.get_bool();
            case boost::json::kind::int64: return value.get_int64() == 0;
            case boost::json::kind::uint64: return value.get_uint64() == 0;
            case boost::json::kind::double_: return false;
            case boost::json::kind::string: return value.get_string().empty();
            case boost::json::kind::array: return value.get_array().empty();
            case boost::json::kind::object: return false;
        }
        return false;
    }
};

template <typename T>
[[nodiscard]] boost::json::object to_object(const T& value) {
    JsonWriter writer;
    fields(writer, value);
    return std::move(writer.object);
}

}  // namespace sheaf::exchange
