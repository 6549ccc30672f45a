// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include "base/bytes.h"
#include "base/json.h"
#include "base/text.h"
#include "exchange/fields.h"
#include "exchange/text.h"

// Visits the fields of a value and writes them as a JSON object. A field that is empty, zero or false is left out. Text
// at once, with no tree between: every step of a switch writes its input and its effects.
namespace sheaf::exchange {

class JsonWriter {
public:
    template <typename T>
    using Of = const T;

    explicit JsonWriter(std::string& out) : out_(out) { out_ += '{'; }
    void finish() { out_ += '}'; }

    template <typename T>
    JsonWriter& operator()(std::string_view name, const T& value) {
        if (is_default(value)) return *this;
        if (!std::exchange(is_first_, false)) out_ += ',';
        out_ += '"';
        out_ += name;
        out_ += "\":";
        write(value);
        return *this;
    }

private:
    void write(bool value) { out_ += value ? "true" : "false"; }
    void write(const boost::json::value& value) { out_ += boost::json::serialize(value); }
    void write(const boost::json::object& value) { append_json(out_, value); }
    // Bytes that are not text cannot stand in JSON: they go as {"hex": …}.
    void write(const std::string& text) {
        if (is_utf8(text)) return append_json_string(out_, text);
        out_ += R"({"hex":")" + to_hex(as_bytes(text)) + "\"}";
    }
    template <typename Tag>
    void write(const Id<Tag>& id) {
        write(id.text());
    }
    template <typename T>
    void write(const std::optional<T>& value) {
        write(*value);
    }
    template <typename T>
    void write(const std::vector<T>& values) {
        char before = '[';
        for (const T& value : values) {
            out_ += std::exchange(before, ',');
            write(value);
        }
        out_ += before == '[' ? "[]" : "]";
    }
    void write(const std::pair<std::string, std::string>& pair) {
        out_ += '[';
        write(pair.first);
        out_ += ',';
        write(pair.second);
        out_ += ']';
    }
    template <typename T>
    void write(const T& value) {
        if constexpr (std::integral<T>) {
            append_number(out_, value);
        } else if constexpr (std::is_enum_v<T>) {
            append_json_string(out_, EnumNames<T>::kNames[static_cast<std::size_t>(value)]);
        } else {
            JsonWriter writer(out_);
            fields(writer, value);
            writer.finish();
        }
    }
    template <typename T>
    static bool is_default(const T& value) {
        if constexpr (std::integral<T>) return value == T{};
        return false;
    }
    static bool is_default(const std::string& text) { return text.empty(); }
    template <typename Tag>
    static bool is_default(const Id<Tag>& id) {
        return id.empty();
    }
    template <typename T>
    static bool is_default(const std::optional<T>& value) {
        return !value || is_default(*value);
    }
    template <typename T>
    static bool is_default(const std::vector<T>& values) {
        return values.empty();
    }

    std::string& out_;
    bool is_first_ = true;
};

template <typename T>
void write_object(std::string& out, const T& value) {
    JsonWriter writer(out);
    fields(writer, value);
    writer.finish();
}

}  // namespace sheaf::exchange
