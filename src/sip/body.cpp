// SPDX-License-Identifier: Apache-2.0
#include "sip/body.h"

#include <algorithm>
#include <vector>

#include "sip/grammar.h"

namespace sheaf::sip {
namespace {

constexpr std::string_view kSdp = "application/sdp";
constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kSectionEnd = "\r\n\r\n";
constexpr std::size_t kBoundaryMax = 70;  // RFC 2046 §5.1.1

// A body or a part of one: what its headers say, and its bytes.
struct Entity {
    std::string type;  // empty: not said
    std::string boundary;
    std::string disposition;
    bool is_required = false;  // handling=required, in so many words
    bool is_optional = false;
    bool is_encoded = false;
    std::string_view content;
};

Result<Params> params_of(std::string_view value) {
    const auto start = value.find(';');
    return start == std::string_view::npos ? Params{} : header_params_from_text(value.substr(start));
}

// Undone are those that change nothing.
bool is_encoding(std::string_view value) {
    for (const std::string_view plain : {"identity", "7bit", "8bit", "binary"}) {
        if (same_name(trimmed(value), plain)) return false;
    }
    return true;
}

Result<Entity> entity_of(const std::vector<Header>& headers, std::string_view content) {
    Entity entity;
    entity.content = content;
    for (const auto& [name, value] : headers) {
        if (same_name(name, "Content-Type")) {
            entity.type = media_type(value);
            if (!entity.type.starts_with("multipart/")) continue;
            TRY(const auto params, params_of(value));
            entity.boundary = params.value("boundary").value_or("");
            if (entity.boundary.empty() || entity.boundary.size() > kBoundaryMax)
                return fail(Errc::malformed, "Invalid boundary");
        } else if (same_name(name, "Content-Disposition")) {
            TRY(const auto params, params_of(value));
            entity.disposition = lower(trimmed(std::string_view(value).substr(0, value.find(';'))));
            const auto handling = params.value("handling").value_or("");
            entity.is_required = same_name(handling, "required");
            entity.is_optional = same_name(handling, "optional");
        } else if (same_name(name, "Content-Encoding") || same_name(name, "Content-Transfer-Encoding")) {
            entity.is_encoded = entity.is_encoded || is_encoding(value);
        }
    }
    return entity;
}

// A part's headers end with an empty line, and it may have none.
Result<Entity> part_from_text(std::string_view text) {
    if (text.starts_with(kLineEnd)) return entity_of({}, text.substr(kLineEnd.size()));
    const auto end = std::min(text.find(kSectionEnd), text.size());
    TRY(const auto headers, headers_from_section(text.substr(0, end)));
    return entity_of(headers, text.substr(std::min(end + kSectionEnd.size(), text.size())));
}

// Where a line that delimits parts begins, from there on, and what is behind its boundary; npos: nowhere.
struct Delimiter {
    std::size_t begin = std::string_view::npos;
    std::size_t end = 0;
    bool is_last = false;
};
Delimiter delimiter_in(std::string_view body, const std::string& line, std::size_t from) {
    for (auto at = body.find(line, from); at != std::string_view::npos; at = body.find(line, at + 1)) {
        const bool begins_line = at == 0 || (at >= 2 && body.substr(at - 2, 2) == kLineEnd);
        auto rest = body.substr(at + line.size());
        const bool is_last = rest.starts_with("--");
        if (is_last) rest.remove_prefix(2);
        rest = rest.substr(std::min(rest.find_first_not_of(" \t"), rest.size()));
        const bool ends_line = rest.starts_with(kLineEnd) || (is_last && rest.empty());
        if (!begins_line || !ends_line) continue;
        const auto end = body.size() - rest.size() + std::min(kLineEnd.size(), rest.size());
        return {at, end, is_last};
    }
    return {};
}

class Search {
public:
    Result<std::string_view> in(const Entity& entity, std::size_t depth) {
        if (depth > kBodyDepthMax) return fail(Errc::exhausted, "Too many bodies within bodies");
        const bool is_session = entity.disposition.empty() || entity.disposition == "session";
        if (entity.type.starts_with("multipart/") && !entity.is_encoded) return in_parts(entity, depth);
        if (entity.type == kSdp && is_session && !entity.is_encoded) return entity.content;
        if (entity.is_required) return fail(Errc::unsupported, "A part of the body is not understood");
        return std::string_view{};
    }

private:
    Result<std::string_view> in_parts(const Entity& entity, std::size_t depth) {
        const bool are_alternatives = entity.type == "multipart/alternative";
        const std::string line = "--" + entity.boundary;
        auto before = delimiter_in(entity.content, line, 0);
        std::string_view found;
        while (!before.is_last) {
            if (before.begin == std::string_view::npos) return fail(Errc::malformed, "Parts of the body have no end");
            if (++parts_ > kBodyPartsMax) return fail(Errc::exhausted, "Too many parts in the body");
            const auto next = delimiter_in(entity.content, line, before.end);
            if (next.begin == std::string_view::npos) return fail(Errc::malformed, "Parts of the body have no end");
            const auto end = std::max(next.begin - kLineEnd.size(), before.end);  // one line end may serve both
            TRY(const auto part, part_from_text(entity.content.substr(before.end, end - before.end)));
            const auto description = in(part, depth + 1);
            if (description && !description->empty() && (found.empty() || are_alternatives)) found = *description;
            // An alternative that is not understood has others.
            if (!description && !(are_alternatives && description.error().code == Errc::unsupported))
                return std::unexpected(description.error());
            before = next;
        }
        return found;
    }

    std::size_t parts_ = 0;
};

}  // namespace

bool carries_description(std::string_view method) {
    return method == "INVITE" || method == "ACK" || method == "PRACK" || method == "UPDATE";
}

std::string media_type(std::string_view content_type) {
    const auto type = trimmed(content_type.substr(0, content_type.find(';')));
    const auto slash = type.find('/');
    if (slash == std::string_view::npos) return {};
    const auto main = trimmed(type.substr(0, slash));
    const auto sub = trimmed(type.substr(slash + 1));
    return is_token(main) && is_token(sub) ? lower(main) + '/' + lower(sub) : std::string();
}

bool accepts(const Message& message, std::string_view type) {
    if (message.first("Accept") == nullptr) return true;
    const std::string all = std::string(type.substr(0, type.find('/'))) + "/*";
    return std::ranges::any_of(message.list("Accept"), [&](const std::string& item) {
        const auto range = trimmed(std::string_view(item).substr(0, item.find(';')));
        return same_name(range, type) || range == "*/*" || same_name(range, all);
    });
}

Result<std::string_view> description_in(const Message& message) {
    if (message.body.empty()) return std::string_view{};
    TRY(auto entity, entity_of(message.headers, message.body));
    if (message.first("Content-Type") == nullptr) entity.type = kSdp;
    const bool is_known = entity.type == kSdp || entity.type.starts_with("multipart/");
    if ((!is_known || entity.is_encoded) && !entity.is_optional)
        return fail(Errc::unsupported, "The body is not understood");
    return Search().in(entity, 1);
}

void keep_description(Message& message) {
    const auto description = description_in(message);
    if (!description || description->size() == message.body.size()) return;
    message.body = std::string(*description);
    message.remove("Content-Disposition");
    message.body.empty() ? message.remove("Content-Type") : message.set("Content-Type", std::string(kSdp));
}

}  // namespace sheaf::sip
