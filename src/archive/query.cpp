// SPDX-License-Identifier: Apache-2.0
#include "archive/query.h"

#include <algorithm>
#include <charconv>
#include <map>

namespace sheaf::archive {
namespace {

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool has_text(const std::string& haystack, const std::string& needle) {
    const auto same = [](char a, char b) { return lower(a) == lower(b); };
    return std::search(haystack.begin(), haystack.end(), needle.begin(), needle.end(), same) != haystack.end();
}

Result<Ms> moment(const std::string& name, const std::string& text) {
    const auto at = wall_from_rfc3339(text);
    if (!at) return fail(Errc::malformed, name + " is not an RFC 3339 time");
    return to_unix_ms(*at);
}

Result<Ms> number(const std::string& name, std::string_view text) {
    Ms value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
        return fail(Errc::malformed, name + " is not a whole number");
    return value;
}

// "<started_at>.<id>": opaque to others, and wrong ones are refused.
Result<std::pair<Ms, std::string>> cursor_from(const std::string& text) {
    const auto dot = text.find('.');
    if (dot == std::string::npos || dot + 1 == text.size()) return fail(Errc::malformed, "cursor is not one of ours");
    TRY(const Ms at, number("cursor", std::string_view(text).substr(0, dot)));
    return std::pair(at, text.substr(dot + 1));
}

Result<void> set(Query& query, const std::string& name, const std::string& value) {
    const std::map<std::string_view, std::string*> texts = {
        {"site", &query.site},   {"agent", &query.agent}, {"party", &query.party}, {"calluuid", &query.calluuid},
        {"state", &query.state}, {"label", &query.label}, {"q", &query.q}};
    if (const auto text = texts.find(name); text != texts.end()) {
        *text->second = value;
        if (name == "state" && value != "open" && value != "complete" && value != "incomplete")
            return fail(Errc::malformed, "state is not open, complete or incomplete");
        return {};
    }
    if (name == "from") {
        TRY(query.from, moment(name, value));
    } else if (name == "to") {
        TRY(query.to, moment(name, value));
    } else if (name == "min_duration_ms") {
        TRY(query.min_duration_ms, number(name, value));
    } else if (name == "limit") {
        TRY(const Ms limit, number(name, value));
        if (limit < 1) return fail(Errc::malformed, "limit is less than 1");
        query.limit = static_cast<std::size_t>(std::min(limit, static_cast<Ms>(kPageMax)));
    } else if (name == "cursor") {
        TRY(query.after, cursor_from(value));
    } else {
        return fail(Errc::malformed, name.substr(0, 32) + " is not a filter");
    }
    return {};
}

}  // namespace

Result<Query> query_from(const std::vector<std::pair<std::string, std::string>>& parameters) {
    Query query;
    for (const auto& [name, value] : parameters) {
        if (value.size() > kQueryBytesMax) return fail(Errc::malformed, name.substr(0, 32) + " is too long");
        if (!value.empty()) TRY_VOID(set(query, name, value));
    }
    return query;
}

std::string cursor_for(const RecordingView& recording) {
    return std::to_string(recording.started_at.value_or(0)) + "." + recording.id.text();
}

bool matches(const Query& query, const RecordingView& r) {
    const Ms started = r.started_at.value_or(0);
    if ((query.from && started < *query.from) || (query.to && started >= *query.to)) return false;
    if (r.duration_ms < query.min_duration_ms) return false;
    if (!query.state.empty() && query.state != name_of(r.state)) return false;
    if (!query.label.empty()) return false;  // no labels yet
    const auto any_call = [&](auto&& test) { return std::any_of(r.calls.begin(), r.calls.end(), test); };
    const auto any_party = [&](auto&& test) { return std::any_of(r.parties.begin(), r.parties.end(), test); };
    if (!query.site.empty() && !any_call([&](const CallView& c) { return c.site == query.site; })) return false;
    if (!query.calluuid.empty() && !any_call([&](const CallView& c) { return c.id.text() == query.calluuid; }))
        return false;
    if (!query.agent.empty() && !any_party([&](const PartyView& p) {
            return p.role == Role::agent && (p.address == query.agent || p.name == query.agent);
        }))
        return false;
    const auto party_has = [&](const std::string& text) {
        return any_party([&](const PartyView& p) { return has_text(p.address, text) || has_text(p.name, text); });
    };
    if (!query.party.empty() && !party_has(query.party)) return false;
    if (query.q.empty()) return true;
    return party_has(query.q) || any_call([&](const CallView& c) {
               return has_text(c.id.text(), query.q) || has_text(c.ani, query.q) || has_text(c.dnis, query.q) ||
                      has_text(c.site, query.q);
           });
}

}  // namespace sheaf::archive
