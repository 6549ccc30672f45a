// SPDX-License-Identifier: Apache-2.0
#include "exchange/journal.h"

#include <array>
#include <bit>

#include "base/digest.h"
#include "base/fact.h"
#include "base/json.h"
#include "exchange/fingerprint.h"
#include "exchange/reader.h"
#include "exchange/writer.h"

namespace sheaf::exchange {
namespace {

constexpr std::int64_t kVersion = 3;
constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::size_t kUsualLine = 2048;

Result<std::string> bytes_of_hex(std::string_view hex) {
    if (hex.size() % 2 != 0) return fail(Errc::malformed, "hex digits come in pairs");
    std::string bytes;
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        const std::size_t high = kHex.find(hex[i]);
        const std::size_t low = kHex.find(hex[i + 1]);
        if (high == std::string_view::npos || low == std::string_view::npos)
            return fail(Errc::malformed, "not a hex digit");
        bytes += static_cast<char>(high * 16 + low);
    }
    return bytes;
}

// The alternative of Event with this name, read from `object`.
template <std::size_t I = 0>
Result<Event> event_named(std::string_view name, const boost::json::object& object) {
    if constexpr (I == std::variant_size_v<Event>) {
        return fail(Errc::unsupported, "no such event: " + std::string(name));
    } else {
        using E = std::variant_alternative_t<I, Event>;
        if (name != kTypeName<E>) return event_named<I + 1>(name, object);
        TRY(E event, from_object<E>(object));
        return Event{std::move(event)};
    }
}

Result<boost::json::object> object_field(const boost::json::object& object, std::string_view name) {
    const boost::json::value* value = object.if_contains(name);
    if (!value || !value->is_object()) return fail(Errc::malformed, std::string(name) + " is not an object");
    return value->get_object();
}

Result<JournalledInput> input_from(const boost::json::object& object) {
    JournalledInput journalled;
    TRY(const std::string name, string_field(object, "input"));
    TRY(const boost::json::object data, object_field(object, "data"));
    TRY(journalled.input.event, event_from_text(name, data));
    TRY(const std::int64_t mono, integer_field(object, "mono_ns"));
    TRY(const std::int64_t wall, integer_field(object, "wall_ms"));
    TRY(const std::string seed_hex, string_field(object, "seed"));
    TRY(journalled.effects_digest, string_field(object, "effects"));
    TRY(const std::string seed, bytes_of_hex(seed_hex));
    if (seed.size() != journalled.input.seed.size()) return fail(Errc::malformed, "seed is not 32 bytes");
    for (std::size_t i = 0; i < seed.size(); ++i) journalled.input.seed.at(i) = static_cast<std::uint8_t>(seed[i]);
    journalled.input.now = {Instant{Duration{mono}}, WallTime{std::chrono::milliseconds{wall}}};
    return journalled;
}

void add_text(std::string& out, const Effect& effect) {
    std::visit(
        [&]<typename E>(const E& it) {
            out += kTypeName<E>;
            const std::size_t before = out.size();
            out += ' ';
            write_object(out, it);
            if (out.ends_with(" {}") && out.size() == before + 3) out.resize(before);
        },
        effect);
}

}  // namespace

bool JsonReader::read(const boost::json::value& json, std::string& text) {
    if (json.is_string()) {
        text = json.get_string();
        return true;
    }
    if (!json.is_object() || json.get_object().size() != 1) return false;
    const auto hex = string_field(json.get_object(), "hex");
    if (!hex) return false;
    auto bytes = bytes_of_hex(*hex);
    if (!bytes) return false;
    text = *std::move(bytes);
    return true;
}

std::string settings_line(const SiteSettings& settings) {
    std::string out = "{\"journal\":" + std::to_string(kVersion) + ",\"settings\":";
    write_object(out, settings);
    return out + "}";
}

std::string input_line(const Input& input, const std::vector<Effect>& effects) {
    return std::visit(
        [&]<typename E>(const E& event) {
            std::string out;
            out.reserve(kUsualLine);
            ((out += R"({"input":")") += kTypeName<E>) += R"(","mono_ns":)";
            append_number(out, input.now.mono.time_since_epoch().count());
            out += R"(,"wall_ms":)";
            append_number(out, to_unix_ms(input.now.wall));
            ((out += R"(,"seed":")") += to_hex(Bytes{input.seed.data(), input.seed.size()})) += R"(","data":)";
            write_object(out, event);
            ((out += R"(,"effects":")") += effects_digest(effects)) += "\"}";
            return out;
        },
        input.event);
}

Result<std::variant<SiteSettings, JournalledInput>> line_from_text(std::string_view line) {
    if (line.size() > kJournalLineMax) return fail(Errc::exhausted, "journal line is too long");
    TRY(const boost::json::value value, json_from_text(line));
    if (!value.is_object()) return fail(Errc::malformed, "journal line is not an object");
    const boost::json::object& object = value.get_object();
    if (object.contains("input")) {
        TRY(JournalledInput input, input_from(object));
        return input;
    }
    TRY(const std::int64_t version, integer_field(object, "journal"));
    if (version != kVersion) return fail(Errc::unsupported, "journal version " + std::to_string(version));
    TRY(const boost::json::object settings_object, object_field(object, "settings"));
    TRY(SiteSettings settings, from_object<SiteSettings>(settings_object));
    return settings;
}

Result<Event> event_from_text(std::string_view name, const boost::json::object& data) {
    return event_named(name, data);
}

std::string to_text(const Effect& effect) {
    std::string out;
    add_text(out, effect);
    return out;
}

std::string effects_digest(const std::vector<Effect>& effects) {
    thread_local std::string bytes;  // keeps its memory
    bytes.clear();
    for (const Effect& effect : effects) {
        std::visit(
            [&]<typename E>(const E& it) {
                Fingerprint print(bytes);
                print.text(kTypeName<E>);
                fields(print, it);
            },
            effect);
    }
    std::array<std::uint8_t, 8> digest{};
    write_u64le(digest.data(), std::byteswap(xxh3(bytes)));
    return to_hex(digest);
}

}  // namespace sheaf::exchange
