// SPDX-License-Identifier: Apache-2.0
#include "b2bua/whereabouts.h"

#include <algorithm>
#include <utility>

namespace sheaf::b2bua {
namespace {

void say(std::string& line, const std::string& words) {
    line += (line.empty() ? "" : "; ") + words;
}

std::string text_of(const std::vector<sip::Endpoint>& endpoints) {
    std::string out;
    for (const auto& endpoint : endpoints) out += (out.empty() ? "" : " ") + sip::to_text(endpoint);
    return out;
}

}  // namespace

void Whereabouts::want(Instant now, const std::set<std::string>& uris) {
    std::erase_if(places_, [&](const auto& known) { return !uris.contains(known.first); });
    for (const auto& uri : uris) places_[uri].due = now;
}

std::vector<std::string> Whereabouts::take_due(Instant now) {
    std::vector<std::string> out;
    for (auto& [uri, place] : places_) {
        if (!place.due || *place.due > now) continue;
        place.due.reset();
        out.push_back(uri);
    }
    return out;
}

bool Whereabouts::found(Instant now, const std::string& uri, const Result<sip::Located>& result) {
    const auto at = places_.find(uri);
    if (at == places_.end()) return false;
    Place& place = at->second;
    if (!result) {
        place.due = now + kLookAgain;
        if (std::exchange(place.is_missed, true)) return false;
        const std::string stays = place.endpoints.empty() ? "" : ", stays at " + text_of(place.endpoints);
        say(said_missed_, uri + ": " + result.error().what + stays);
        return false;
    }
    place.due = now + result->ttl;
    const bool was_missed = std::exchange(place.is_missed, false);
    const bool is_same = std::ranges::is_permutation(place.endpoints, result->endpoints);
    const bool is_other = place.endpoints != result->endpoints;  // their order is chance, among others
    place.endpoints = result->endpoints;
    if (was_missed || !is_same) say(said_found_, uri + " at " + text_of(place.endpoints));
    return is_other;
}

std::vector<sip::Endpoint> Whereabouts::of(const std::string& uri) const {
    const auto at = places_.find(uri);
    return at == places_.end() ? std::vector<sip::Endpoint>{} : at->second.endpoints;
}

std::optional<Instant> Whereabouts::next_deadline() const {
    std::optional<Instant> next;
    for (const auto& [uri, place] : places_) {
        if (place.due && (!next || *place.due < *next)) next = place.due;
    }
    return next;
}

bool Whereabouts::is_looking() const {
    return std::ranges::any_of(places_, [](const auto& known) { return !known.second.due; });
}

std::vector<exchange::Log> Whereabouts::take_logs() {
    std::vector<exchange::Log> out;
    if (auto names = std::exchange(said_found_, {}); !names.empty())
        out.push_back({false, "peers found by name", {{"names", std::move(names)}}});
    if (auto names = std::exchange(said_missed_, {}); !names.empty())
        out.push_back({true, "peers not found by name", {{"names", std::move(names)}}});
    return out;
}

}  // namespace sheaf::b2bua
