// SPDX-License-Identifier: Apache-2.0
#include "mediactl/msml.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <pugixml.hpp>

#include "base/xml.h"
#include "media/control.h"

namespace sheaf::mediactl {
namespace {

constexpr std::string_view kOurNamespace = "urn:sheaf:msml:1";
constexpr std::string_view kDialogType = "application/moml+xml";

bool is_alnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_made_of(std::string_view text, std::size_t max, std::string_view others) {
    return !text.empty() && text.size() <= max && std::ranges::all_of(text, [others](char c) {
        return is_alnum(c) || others.find(c) != std::string_view::npos;
    });
}

bool is_id(std::string_view text) {  // docs/formats/facts.md
    return !text.empty() && text.size() <= kIdMax &&
           std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7F; });
}

std::string_view attribute(const pugi::xml_node& node, const char* name) {
    return node.attribute(name).as_string();
}

// The part behind a prefix such as "conn:"; empty when it is not there or cannot be a name.
std::string_view behind(std::string_view text, std::string_view prefix) {
    return text.starts_with(prefix) && is_id(text) ? text.substr(prefix.size()) : std::string_view{};
}

LegId leg_of(std::string_view text) {
    return LegId(std::string(behind(text, "conn:")));
}

RoomId room_of(std::string_view text) {
    const std::string_view name = behind(text, "conf:");
    return is_room_name(name) ? RoomId(std::string(name)) : RoomId();
}

Refused refused(const pugi::xml_node& node, std::string_view why) {
    return {400, std::string(node.name()) + ": " + std::string(why)};
}

bool is_prompt(std::string_view uri) {
    for (const std::string_view kind : {"say:", "music:", "tone:"}) {
        if (uri.starts_with(kind)) return is_made_of(uri.substr(kind.size()), kNameMax, "_-");
    }
    return false;
}

MsmlElement create_from(const pugi::xml_node& node) {
    const std::string_view name = attribute(node, "name");
    if (!is_room_name(name)) return refused(node, "no room's name");
    return CreateRoom{RoomId(std::string(name))};
}

MsmlElement destroy_from(const pugi::xml_node& node) {
    RoomId room = room_of(attribute(node, "id"));
    if (room.empty()) return refused(node, "no conf: id");
    return DestroyRoom{std::move(room)};
}

template <typename T>
MsmlElement join_from(const pugi::xml_node& node) {
    LegId leg = leg_of(attribute(node, "id1"));
    RoomId room = room_of(attribute(node, "id2"));
    if (leg.empty() || room.empty()) return refused(node, "id1 is a conn:, id2 a conf:");
    return T{std::move(leg), std::move(room)};
}

MsmlElement dialog_from(const pugi::xml_node& node) {
    StartDialog start;
    start.leg = leg_of(attribute(node, "target"));
    start.name = attribute(node, "name");
    if (start.leg.empty()) return refused(node, "no conn: target");
    if (!is_made_of(start.name, kNameMax, "_.:-")) return refused(node, "no name");
    if (attribute(node, "type") != kDialogType) return Refused{501, "dialogstart: only " + std::string(kDialogType)};
    const pugi::xml_node play = node.first_child();
    if (std::string_view(play.name()) != "play" || play.next_sibling()) return Refused{501, "dialogstart: one play"};

    std::size_t times = 1;
    if (const std::string_view repeat = attribute(play, "repeat"); repeat == "forever") {
        start.forever = true;
    } else if (!repeat.empty()) {
        const auto [end, error] = std::from_chars(repeat.data(), repeat.data() + repeat.size(), times);
        if (error != std::errc() || end != repeat.data() + repeat.size() || times == 0) {
            return refused(node, "repeat is a number or forever");
        }
    }
    for (const pugi::xml_node& audio : play.children()) {
        const std::string_view uri = attribute(audio, "uri");
        if (std::string_view(audio.name()) != "audio") return Refused{501, "play: only audio"};
        if (!is_prompt(uri)) return refused(node, "audio uri is say:NAME, music:NAME or tone:NAME");
        start.prompts.emplace_back(uri);
        if (start.prompts.size() > media::kPromptsOfPlayMax) return Refused{503, "play: too many prompts"};
    }
    if (start.prompts.empty()) return refused(node, "nothing to play");
    if (times > media::kPromptsOfPlayMax / start.prompts.size()) return Refused{503, "play: too many prompts"};
    const std::vector<std::string> once = start.prompts;
    for (std::size_t i = 1; i < times; ++i) start.prompts.insert(start.prompts.end(), once.begin(), once.end());
    return start;
}

MsmlElement end_from(const pugi::xml_node& node) {
    const std::string_view id = attribute(node, "id");
    const std::size_t at = id.find("/dialog:");
    if (at == std::string_view::npos) return refused(node, "no conn:…/dialog: id");
    LegId leg = leg_of(id.substr(0, at));
    const std::string_view name = id.substr(at + 8);
    if (leg.empty() || !is_made_of(name, kNameMax, "_.:-")) return refused(node, "no conn:…/dialog: id");
    return EndDialog{std::move(leg), std::string(name)};
}

// label and by, of a silence wherever it stands.
std::optional<media::Silence> silence_of(const pugi::xml_node& node) {
    const std::string_view label = attribute(node, "label");
    const std::string_view by = attribute(node, "by");
    if (!is_made_of(label, media::kLabelTextMax, "_-") || (!by.empty() && !is_id(by))) return std::nullopt;
    return media::Silence{std::string(label), std::string(by)};
}

MsmlElement start_record_from(const pugi::xml_node& node, const SegmentId& segment) {
    StartRecord start{
        .leg = leg_of(attribute(node, "target")), .segment = segment, .calluuid = {}, .connection = {}, .silences = {}};
    const std::string_view calluuid = attribute(node, "calluuid");
    const std::string_view connection = attribute(node, "connection");
    if (start.leg.empty()) return refused(node, "no conn: target");
    if (!is_id(calluuid)) return refused(node, "no calluuid");
    if (!is_id(connection)) return refused(node, "no connection");
    start.calluuid = CallUuid(std::string(calluuid));
    start.connection = ConnectionId(std::string(connection));
    for (const pugi::xml_node& child : node.children()) {
        if (std::string_view(child.name()) != "silence") return Refused{501, "record: only silence"};
        auto silence = silence_of(child);
        if (!silence) return refused(node, "a silence has a label");
        if (start.silences.size() == media::kSilencesMax) return Refused{503, "record: too many silences"};
        start.silences.push_back(std::move(*silence));
    }
    return start;
}

MsmlElement silence_from(const pugi::xml_node& node, const SegmentId& segment) {
    auto silence = silence_of(node);
    if (!silence) return refused(node, "label is a name, by at most an id");
    std::int64_t back_ms = 0;
    if (const std::string_view back = attribute(node, "back"); !back.empty()) {
        const auto [end, error] = std::from_chars(back.data(), back.data() + back.size(), back_ms);
        const bool is_number = error == std::errc() && end == back.data() + back.size();
        if (!is_number || back_ms < 0 || back_ms > to_ms(media::kErasedBackMax)) {
            return refused(node, "back is 0 to 3600000");
        }
    }
    const std::string_view over = attribute(node, "over");
    if (!over.empty() && over != "true" && over != "false") return refused(node, "over is true or false");
    return SilenceRecord{segment, std::move(*silence), std::chrono::milliseconds{back_ms}, over == "true"};
}

MsmlElement record_from(const pugi::xml_node& node) {
    if (attribute(node, "xmlns") != kOurNamespace) return Refused{501, "record: of another namespace"};
    const std::string_view id = attribute(node, "segment");
    if (!is_id(id)) return refused(node, "no segment");
    const SegmentId segment{std::string(id)};
    const std::string_view action = attribute(node, "action");
    if (action == "start") return start_record_from(node, segment);
    if (action == "silence") return silence_from(node, segment);
    if (action == "resume") {
        const auto silence = silence_of(node);
        if (!silence) return refused(node, "no label");
        return ResumeRecord{segment, silence->label};
    }
    if (action != "stop") return refused(node, "action is start, stop, silence or resume");
    const std::string_view cause = attribute(node, "cause");
    if (!cause.empty() && !is_made_of(cause, kNameMax, "_-")) return refused(node, "no cause");
    return StopRecord{segment, std::string(cause.empty() ? "normal" : cause)};
}

MsmlElement collect_from(const pugi::xml_node& node) {
    if (attribute(node, "xmlns") != kOurNamespace) return Refused{501, "collect: of another namespace"};
    LegId leg = leg_of(attribute(node, "target"));
    const std::string_view action = attribute(node, "action");
    if (leg.empty()) return refused(node, "no conn: target");
    if (action != "start" && action != "stop") return refused(node, "action is start or stop");
    return Collect{std::move(leg), action == "start"};
}

MsmlElement release_from(const pugi::xml_node& node) {
    if (attribute(node, "xmlns") != kOurNamespace) return Refused{501, "release: of another namespace"};
    const std::string_view owner = attribute(node, "switch");
    const std::string_view boot = attribute(node, "boot");
    if (!is_id(owner) || !is_id(boot)) return refused(node, "no switch, or no boot");
    return Release{std::string(owner), std::string(boot)};
}

MsmlElement element_from(const pugi::xml_node& node) {
    const std::string_view name = node.name();
    if (name == "createconference") return create_from(node);
    if (name == "destroyconference") return destroy_from(node);
    if (name == "join") return join_from<Join>(node);
    if (name == "unjoin") return join_from<Unjoin>(node);
    if (name == "dialogstart") return dialog_from(node);
    if (name == "dialogend") return end_from(node);
    if (name == "record") return record_from(node);
    if (name == "collect") return collect_from(node);
    if (name == "release") return release_from(node);
    return Refused{501, "an element outside of the profile"};
}

}  // namespace

bool is_room_name(std::string_view text) {
    return is_made_of(text, kNameMax, ".-");
}

Result<std::vector<MsmlElement>> msml_from_text(std::string_view text) {
    if (text.size() > kMsmlBytesMax) return fail(Errc::exhausted, "MSML document over its size limit");
    pugi::xml_document document;
    // Without custom entities there is nothing to expand; a document type is looked for only to be refused.
    const auto parsed =
        document.load_buffer(text.data(), text.size(), pugi::parse_default | pugi::parse_doctype, pugi::encoding_utf8);
    if (!parsed) return fail(Errc::malformed, std::string("not XML: ") + parsed.description());
    for (const pugi::xml_node& node : document.children()) {
        if (node.type() == pugi::node_doctype) return fail(Errc::malformed, "a document type is not allowed");
    }
    const pugi::xml_node root = document.document_element();
    if (std::string_view(root.name()) != "msml" || attribute(root, "version") != "1.1") {
        return fail(Errc::malformed, "not MSML 1.1");
    }
    std::vector<MsmlElement> elements;
    for (const pugi::xml_node& node : root.children()) {
        if (elements.size() == kMsmlElementsMax) return fail(Errc::exhausted, "too many elements in one document");
        elements.push_back(element_from(node));
    }
    if (elements.empty()) return fail(Errc::malformed, "an empty document");
    return elements;
}

std::string msml_result(int code, std::string_view description) {
    std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<msml version=\"1.1\"><result response=\"" +
                      std::to_string(code) + "\"";
    if (description.empty()) return out + "/></msml>";
    return out + "><description>" + xml_escaped(description) + "</description></result></msml>";
}

std::string msml_event(std::string_view event, std::string_view id, std::string_view name, std::string_view value) {
    return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<msml version=\"1.1\"><event name=\"" + xml_escaped(event) +
           "\" id=\"" + xml_escaped(id) + "\"><name>" + xml_escaped(name) + "</name><value>" + xml_escaped(value) +
           "</value></event></msml>";
}

}  // namespace sheaf::mediactl
