// SPDX-License-Identifier: Apache-2.0
#include "b2bua/msml_client.h"

#include <algorithm>
#include <pugixml.hpp>

#include "base/match.h"
#include "base/xml.h"
#include "sip/grammar.h"

namespace sheaf::b2bua {
namespace {

constexpr std::uint64_t kSilentMaxMs = 86'400'000;

std::string attribute(std::string_view name, std::string_view value) {
    return " " + std::string(name) + "=\"" + xml_escaped(value) + "\"";
}

std::string to_element(const MsmlPlay& play, std::string_view conn) {
    std::string out = "<dialogstart" + attribute("target", conn) + " type=\"application/moml+xml\"" +
                      attribute("name", play.name) + "><play";
    if (play.forever) out += " repeat=\"forever\"";
    out += '>';
    for (const auto& item : play.items) out += "<audio" + attribute("uri", item) + "/>";
    return out + "</play></dialogstart>";
}

// Who silences, as the profile has it: visible characters, no spaces.
std::string by_attribute(const std::string& by) {
    std::string out;
    for (const char c : by.substr(0, 128)) {
        if (c == ' ') out += '-';
        if (c > ' ' && c < 0x7f) out += c;
    }
    return out.empty() ? out : attribute("by", out);
}

constexpr std::string_view kRecord = "<record xmlns=\"urn:sheaf:msml:1\"";

std::string to_element(const MsmlRecord& record, std::string_view conn) {
    std::string out = std::string(kRecord) + " action=\"start\"" + attribute("target", conn) +
                      attribute("segment", record.segment.text()) + attribute("calluuid", record.calluuid.text()) +
                      attribute("connection", record.connection.text());
    if (record.silences.empty()) return out + "/>";
    out += '>';
    for (const auto& silence : record.silences) {
        out += "<silence" + attribute("label", silence.label) + by_attribute(silence.by) + "/>";
    }
    return out + "</record>";
}

std::string to_element(const MsmlCommand& command, std::string_view tag, Instant now) {
    const std::string conn = "conn:" + std::string(tag);
    return std::visit(
        Match{
            [&](const MsmlJoin& join) {
                return "<join" + attribute("id1", conn) + attribute("id2", "conf:" + join.room.text()) + "/>";
            },
            [&](const MsmlUnjoin& unjoin) {
                return "<unjoin" + attribute("id1", conn) + attribute("id2", "conf:" + unjoin.room.text()) + "/>";
            },
            [&](const MsmlPlay& play) { return to_element(play, conn); },
            [&](const MsmlEndPlay& end) { return "<dialogend" + attribute("id", conn + "/dialog:" + end.name) + "/>"; },
            [&](const MsmlRecord& record) { return to_element(record, conn); },
            [&](const MsmlSilence& silence) {
                // One that is over is looked for by its moment: that must be none of an earlier silence's.
                const Duration age = now - silence.since + (silence.is_over ? Duration{} : silence.margin);
                const auto back = silence.erases() ? std::min(silence.back_ms + to_ms(age), kMsmlBackMaxMs) : 0;
                return std::string(kRecord) + " action=\"silence\"" + attribute("segment", silence.segment.text()) +
                       attribute("label", silence.silence.label) + by_attribute(silence.silence.by) +
                       attribute("back", std::to_string(back)) + (silence.is_over ? attribute("over", "true") : "") +
                       "/>";
            },
            [&](const MsmlResume& resume) {
                return std::string(kRecord) + " action=\"resume\"" + attribute("segment", resume.segment.text()) +
                       attribute("label", resume.label) + "/>";
            },
            [&](const MsmlCollect& collect) {
                return "<collect xmlns=\"urn:sheaf:msml:1\"" + attribute("target", conn) +
                       attribute("action", collect.on ? "start" : "stop") + "/>";
            },
            [&](const MsmlEndRecord& end) {
                return std::string(kRecord) + " action=\"stop\"" + attribute("segment", end.segment.text()) +
                       attribute("cause", end.cause) + "/>";
            }},
        command);
}

// The root of an MSML document; no DTD is taken.
Result<pugi::xml_node> root_of(pugi::xml_document& document, std::string_view body) {
    if (body.size() > kMsmlBytesMax) return fail(Errc::exhausted, "MSML over 16 KiB");
    if (!document.load_buffer(body.data(), body.size(), pugi::parse_default | pugi::parse_doctype)) {
        return fail(Errc::malformed, "not XML");
    }
    for (const auto child : document.children()) {
        if (child.type() == pugi::node_doctype) return fail(Errc::malformed, "a DTD");
    }
    const auto root = document.child("msml");
    if (!root) return fail(Errc::malformed, "not MSML");
    return root;
}

}  // namespace

std::string to_msml(const std::vector<MsmlCommand>& commands, std::string_view tag, Instant now) {
    std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<msml version=\"1.1\">";
    for (const auto& command : commands) out += to_element(command, tag, now);
    return out + "</msml>";
}

std::string msml_release(std::string_view owner, std::string_view boot) {
    return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<msml version=\"1.1\"><release xmlns=\"urn:sheaf:msml:1\"" +
           attribute("switch", owner) + attribute("boot", boot) + "/></msml>";
}

Result<MsmlResult> msml_result_from_text(std::string_view body) {
    pugi::xml_document document;
    TRY(const auto root, root_of(document, body));
    const auto result = root.child("result");
    if (!result) return fail(Errc::malformed, "no result");
    return MsmlResult{result.attribute("response").as_int(0), result.child("description").text().as_string()};
}

Result<MsmlEvent> msml_event_from_text(std::string_view body) {
    pugi::xml_document document;
    TRY(const auto root, root_of(document, body));
    const auto event = root.child("event");
    if (!event) return fail(Errc::malformed, "no event");
    const std::string_view name = event.attribute("name").as_string();
    const std::string key = event.child("name").text().as_string();
    const std::string value = event.child("value").text().as_string();
    if (name == "msml.dialog.exit") {
        const std::string id = event.attribute("id").as_string();
        const auto at = id.find("/dialog:");
        if (at == std::string::npos) return fail(Errc::malformed, "no dialog");
        return MsmlPlayEnded{id.substr(at + 8), key == "play.end" && value == "completed"};
    }
    if (name == "sheaf.digit") {
        constexpr std::string_view kDigits = "0123456789*#ABCD";
        const bool is_digit = value.size() == 1 && kDigits.find(value.front()) != std::string_view::npos;
        if (key != "digit" || !is_digit) return fail(Errc::malformed, "no digit");
        return MsmlDigit{value};
    }
    if (name == "sheaf.leg.silent") {
        const auto ms = sip::number_from_text(value, kSilentMaxMs);
        if (key != "ms" || !ms) return fail(Errc::malformed, "no time");
        return MsmlLegSilent{static_cast<std::int64_t>(*ms)};
    }
    if (!name.starts_with("sheaf.record.")) return fail(Errc::unsupported, "event " + std::string(name));
    if (key != "segment" || value.empty()) return fail(Errc::malformed, "no segment");
    if (name == "sheaf.record.opened") return MsmlRecordOpened{SegmentId(value)};
    if (name == "sheaf.record.sealed") return MsmlRecordSealed{SegmentId(value)};
    if (name == "sheaf.record.failed") return MsmlRecordFailed{SegmentId(value)};
    return fail(Errc::unsupported, "event " + std::string(name));
}

}  // namespace sheaf::b2bua
