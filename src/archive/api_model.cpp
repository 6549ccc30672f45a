// SPDX-License-Identifier: Apache-2.0
#include "archive/api_model.h"

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <deque>
#include <map>
#include <tuple>

namespace sheaf::archive {
namespace {

namespace json = boost::json;

json::value time_json(std::optional<Ms> at) {
    if (!at) return nullptr;
    return json::string(to_rfc3339(WallTime(std::chrono::milliseconds(*at))));
}

json::value or_null(const std::string& text) {
    if (text.empty()) return nullptr;
    return json::string(text);
}

json::value or_null(const CallUuid& id) {
    return or_null(id.text());
}

json::object to_json(const CallView& c);
json::object to_json(const Evidence& e);
json::object to_json(const LinkView& l);
json::object to_json(const PartyView& p);
json::object to_json(const TimelineEntry& e);
json::object to_json(const SegmentView& s);
json::object to_json(const GapView& g);
json::object to_json(const EventView& e);
json::object to_json(const Alarm& a);

template <typename T>
json::array list(const std::vector<T>& items) {
    json::array array;
    for (const T& item : items) array.push_back(to_json(item));
    return array;
}

json::array texts(const std::vector<std::string>& items) {
    json::array array;
    for (const std::string& item : items) array.push_back(json::string(item));
    return array;
}

json::object to_json(const CallView& c) {
    return {{"calluuid", c.id.text()},
            {"site", or_null(c.site)},
            {"started_at", time_json(c.started_at)},
            {"ended_at", time_json(c.ended_at)},
            {"direction", or_null(c.direction)},
            {"ani", c.ani},
            {"dnis", c.dnis},
            {"consult_of", or_null(c.consult_of)},
            {"merged_into", or_null(c.merged_into)},
            {"cause", or_null(c.cause)}};
}

json::object to_json(const Evidence& e) {
    return {{"rule", e.rule}, {"source", e.source}, {"value", e.value}, {"messages", texts(e.messages)}};
}

json::object to_json(const LinkView& l) {
    json::array halves;
    if (l.has_from_half) halves.push_back("from");
    if (l.has_to_half) halves.push_back("to");
    return {{"id", l.id.text()},
            {"from", l.from.text()},
            {"to", or_null(l.to)},
            {"kind", name_of(l.kind)},
            {"tier", l.tier},
            {"at", time_json(l.at)},
            {"ended_at", time_json(l.ended_at)},
            {"moved_from", or_null(l.moved_from.text())},
            {"halves", std::move(halves)},
            {"evidence", list(l.evidence)}};
}

json::object to_json(const PartyView& p) {
    return {{"id", p.id}, {"role", name_of(p.role)}, {"address", p.address}, {"name", p.name}};
}

json::object to_json(const TimelineEntry& e) {
    return {{"from_ms", e.from_ms},
            {"to_ms", e.to_ms},
            {"label", name_of(e.label)},
            {"parties", texts(e.parties)},
            {"held", texts(e.held)}};
}

json::value media_json(const SegmentView& s) {
    if (!s.media) return nullptr;
    return json::object{
        {"url", media_url(s.id)}, {"type", s.media->type}, {"bytes", s.media->bytes}, {"sha256", s.media->sha256}};
}

json::object to_json(const SegmentView& s) {
    return {{"id", s.id.text()},
            {"calluuid", s.call.text()},
            {"site", s.site},
            {"recorded_party", or_null(s.party)},
            {"rule", or_null(s.rule)},
            {"started_at", time_json(s.started_at ? s.started_at : s.expected_at)},
            {"ended_at", time_json(s.ended_at)},
            {"duration_ms", s.duration_ms},
            {"state", name_of(s.state)},
            {"cause", or_null(s.cause)},
            {"locked", false},
            {"channels", {"said", "heard"}},
            {"media", media_json(s)},
            {"timeline", list(s.timeline)}};
}

json::object to_json(const GapView& g) {
    return {{"from", time_json(g.from)},
            {"to", time_json(g.to)},
            {"reason", name_of(g.reason)},
            {"detail", g.detail},
            {"party", g.party}};
}

json::object to_json(const EventView& e) {
    return {{"at", time_json(e.at)},
            {"claimed_at", time_json(e.claimed_at)},
            {"calluuid", e.call.text()},
            {"party", or_null(e.party)},
            {"event", e.event}};
}

json::object to_json(const Alarm& a) {
    return {{"kind", a.kind},
            {"at", time_json(a.at)},
            {"recording", or_null(a.recording)},
            {"segment", or_null(a.segment.text())},
            {"text", a.text}};
}

std::string_view name_of(Catalogue::LinkStanding::Effect effect) {
    using Effect = Catalogue::LinkStanding::Effect;
    switch (effect) {
        case Effect::joins: return "joins";
        case Effect::retracted: return "retracted";
        case Effect::vetoed: return "vetoed";
        case Effect::suggestion: return "suggestion";
        case Effect::one_end: return "one-end";
        case Effect::beyond_cap: return "beyond-cap";
    }
    return {};
}

// For each call, the links from the root to it; breadth first, stronger links first.
std::map<std::string, std::vector<std::string>> ways_from_root(const RecordingView& recording,
                                                               const std::vector<Catalogue::LinkStanding>& standings) {
    std::vector<const LinkView*> joining;
    for (const auto& standing : standings)
        if (standing.effect == Catalogue::LinkStanding::Effect::joins) joining.push_back(&standing.link);
    std::sort(joining.begin(), joining.end(), [](const LinkView* a, const LinkView* b) {
        return std::tie(a->tier, a->at, a->id) < std::tie(b->tier, b->at, b->id);
    });
    std::map<std::string, std::vector<std::string>> ways{{recording.id.text(), {}}};
    std::deque<std::string> todo{recording.id.text()};
    while (!todo.empty()) {
        const std::string at = todo.front();
        todo.pop_front();
        for (const LinkView* link : joining) {
            if (link->from.text() != at && link->to.text() != at) continue;
            const std::string& other = link->from.text() == at ? link->to.text() : link->from.text();
            auto way = ways.at(at);
            way.push_back(link->id.text());
            if (ways.try_emplace(other, std::move(way)).second) todo.push_back(other);
        }
    }
    return ways;
}

}  // namespace

std::string media_url(const SegmentId& segment) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    std::string url = "/v1/segments/";
    for (const char c : segment.text()) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                           c == '_' || c == '~';
        if (plain) {
            url += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        url += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
    return url + "/media";
}

json::object to_json(const RecordingView& r) {
    json::array aliases;
    for (const CallUuid& alias : r.aliases) aliases.push_back(json::string(alias.text()));
    json::array clocks;
    for (const auto& [site, clock] : r.clocks) {
        json::value uncertainty = nullptr;
        if (clock.uncertainty_ms) uncertainty = *clock.uncertainty_ms;
        clocks.push_back(
            json::object{{"site", site}, {"offset_ms", clock.offset_ms}, {"uncertainty_ms", std::move(uncertainty)}});
    }
    return {{"id", r.id.text()},
            {"aliases", std::move(aliases)},
            {"state", name_of(r.state)},
            {"started_at", time_json(r.started_at)},
            {"ended_at", time_json(r.ended_at)},
            {"duration_ms", r.duration_ms},
            {"labels", json::array()},
            {"notes", json::array()},
            {"needs_review", r.needs_review},
            {"calls", list(r.calls)},
            {"links", list(r.links)},
            {"parties", list(r.parties)},
            {"segments", list(r.segments)},
            {"gaps", list(r.gaps)},
            {"events", list(r.events)},
            {"clocks", std::move(clocks)},
            {"alarms", list(r.alarms)}};
}

json::object to_json(const Page& page) {
    return {{"items", list(page.items)}, {"next_cursor", or_null(page.next_cursor)}};
}

json::object to_json(const std::vector<Alarm>& alarms) {
    return {{"items", list(alarms)}};
}

json::object why_json(const RecordingView& recording, const std::vector<Catalogue::LinkStanding>& standings) {
    json::array calls;
    for (const auto& [call, way] : ways_from_root(recording, standings))
        calls.push_back(json::object{{"calluuid", call}, {"way", texts(way)}});
    json::array links;
    for (const auto& standing : standings) {
        json::object link = to_json(standing.link);
        link["effect"] = name_of(standing.effect);
        links.push_back(std::move(link));
    }
    return {{"id", recording.id.text()}, {"calls", std::move(calls)}, {"links", std::move(links)}};
}

}  // namespace sheaf::archive
