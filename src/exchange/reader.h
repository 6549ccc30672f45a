// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <concepts>
#include <iterator>
#include <limits>
#include <type_traits>

#include "exchange/fields.h"

// Visits the fields of a value and fills them from JSON. An absent field keeps its default; an unknown one is an error,
// so that a journal of a later version is not half understood.
namespace sheaf::exchange {

class JsonReader {
public:
    template <typename T>
    using Of = T;

    explicit JsonReader(const boost::json::object& object) : object_(object) {}

    template <typename T>
    JsonReader& operator()(std::string_view name, T& value) {
        const boost::json::value* json = object_.if_contains(name);
        if (!json) {
            if (defaults_are_zero<T>()) value = T{};
            return *this;
        }
        ++read_;
        if (error_.empty() && !read(*json, value)) error_ = "field " + std::string(name) + " is not what it should be";
        return *this;
    }

    [[nodiscard]] Result<void> finish() const {
        if (!error_.empty()) return fail(Errc::malformed, error_);
        if (read_ != object_.size()) return fail(Errc::malformed, "a field is unknown");
        return {};
    }

private:
    // The writer leaves out what is empty, zero or false, whatever a struct's own default is.
    template <typename T>
    static constexpr bool defaults_are_zero() {
        return std::integral<T>;
    }

    static bool read(const boost::json::value& json, std::string& text);
    static bool read(const boost::json::value& json, bool& value) {
        if (!json.is_bool()) return false;
        value = json.get_bool();
        return true;
    }
    template <typename Tag>
    static bool read(const boost::json::value& json, Id<Tag>& id) {
        std::string text;
        if (!read(json, text)) return false;
        id = Id<Tag>{std::move(text)};
        return true;
    }
    template <typename T>
    static bool read(const boost::json::value& json, std::optional<T>& value) {
        return read(json, value.emplace());
    }
    template <typename T>
    static bool read(const boost::json::value& json, std::vector<T>& values) {
        if (!json.is_array()) return false;
        for (const boost::json::value& one : json.get_array())
            if (!read(one, values.emplace_back())) return false;
        return true;
    }
    static bool read(const boost::json::value& json, std::pair<std::string, std::string>& pair) {
        return json.is_array() && json.get_array().size() == 2 && read(json.get_array()[0], pair.first) &&
               read(json.get_array()[1], pair.second);
    }
    template <typename T>
    static bool read(const boost::json::value& json, T& value) {
        if constexpr (std::integral<T>) {
            boost::system::error_code failed;
            const T number = json.to_number<T>(failed);
            if (failed || json.is_double()) return false;
            value = number;
            return true;
        } else if constexpr (std::is_enum_v<T>) {
            std::string name;
            if (!read(json, name)) return false;
            const auto* found = std::ranges::find(EnumNames<T>::kNames, name);
            if (found == std::end(EnumNames<T>::kNames)) return false;
            value = static_cast<T>(found - std::begin(EnumNames<T>::kNames));
            return true;
        } else {
            if (!json.is_object()) return false;
            JsonReader reader(json.get_object());
            fields(reader, value);
            return reader.finish().has_value();
        }
    }

    const boost::json::object& object_;
    std::size_t read_ = 0;
    std::string error_;
};

template <typename T>
[[nodiscard]] Result<T> from_object(const boost::json::object& object) {
    T value;
    JsonReader reader(object);
    fields(reader, value);
    TRY_VOID(reader.finish());
    return value;
}

}  // namespace sheaf::exchange
