// SPDX-License-Identifier: Apache-2.0
#include "ladder/message.h"

#include <algorithm>
#include <boost/json.hpp>
#include <optional>

#include "base/fact.h"
#include "base/text.h"
#include "sip/grammar.h"
#include "sip/message.h"

namespace sheaf::ladder {
namespace {

constexpr std::string_view kLatin1 = "latin1";

// Each byte as the character of that number, so that any bytes can stand in JSON, and back.
std::string from_latin1(std::string_view bytes) {
    std::string out;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x80) {
            out += c;
        } else {
            out += static_cast<char>(0xC0U | (byte >> 6U));
            out += static_cast<char>(0x80U | (byte & 0x3FU));
        }
    }
    return out;
}
std::optional<std::string> to_latin1(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto lead = static_cast<unsigned char>(text[i]);
        if (lead < 0x80) {
            out += text[i];
            continue;
        }
        if ((lead != 0xC2 && lead != 0xC3) || i + 1 == text.size()) return std::nullopt;
        const auto next = static_cast<unsigned char>(text[++i]);
        if ((next & 0xC0U) != 0x80) return std::nullopt;
        out += static_cast<char>(((lead & 0x03U) << 6U) | (next & 0x3FU));
    }
    return out;
}

}  // namespace

boost::json::object to_json(const Message& message) {
    boost::json::object out{{"number", message.number},
                            {"at", to_rfc3339(message.at)},
                            {"direction", message.sent ? "sent" : "received"},
                            {"local", sip::to_text(message.local)},
                            {"remote", sip::to_text(message.remote)},
                            {"id", message.id}};
    if (is_utf8(message.text)) {
        out["message"] = message.text;
    } else {
        out["encoding"] = kLatin1;
        out["message"] = from_latin1(message.text);
    }
    return out;
}

Result<Message> message_from_json(const boost::json::value& value) {
    const auto* object = value.if_object();
    if (object == nullptr) return fail(Errc::malformed, "no object");
    const auto text = [&](std::string_view name) -> std::optional<std::string> {
        const auto* field = object->if_contains(name);
        const auto* string = field == nullptr ? nullptr : field->if_string();
        return string == nullptr ? std::nullopt : std::optional(std::string(*string));
    };
    Message out;
    const auto* number = object->if_contains("number");
    const auto at = text("at");
    const auto direction = text("direction");
    const auto id = text("id");
    auto message = text("message");
    const bool is_counted = number != nullptr && (number->is_int64() || number->is_uint64());
    if (!is_counted || !at || !direction || !id || !message) return fail(Errc::malformed, "a field is missing");
    out.number = number->is_uint64() ? number->get_uint64() : static_cast<std::uint64_t>(number->get_int64());
    TRY(out.at, wall_from_rfc3339(*at));
    out.sent = *direction == "sent";
    TRY(out.local, sip::endpoint_from_text(text("local").value_or("")));
    TRY(out.remote, sip::endpoint_from_text(text("remote").value_or("")));
    out.id = *id;
    if (text("encoding").value_or("") == kLatin1) message = to_latin1(*message);
    if (!message) return fail(Errc::malformed, "not latin1");
    out.text = std::move(*message);
    return out;
}

}  // namespace sheaf::ladder
