// SPDX-License-Identifier: Apache-2.0
#include "b2bua/sheaf_call.h"

#include <algorithm>
#include <boost/json.hpp>

#include "b2bua/caller.h"
#include "base/fact.h"
#include "base/json.h"

namespace sheaf::b2bua {
namespace {

boost::json::array parties_json(const std::vector<exchange::SiteParty>& parties) {
    boost::json::array out;
    for (const auto& party : parties) {
        if (out.size() == exchange::kSitePartiesMax) break;
        out.push_back({{"role", clean_name(party.role)},
                       {"address", clean_name(party.address)},
                       {"name", clean_name(party.name)}});
    }
    return out;
}

// A text that is there, is not too long, and is fit to be shown.
Result<std::string> text_of(const boost::json::object& object, std::string_view name) {
    TRY(const auto text, string_field(object, name));
    if (text.size() > kSheafCallTextMax) return fail(Errc::exhausted, std::string(name) + " is too long");
    return clean_name(text);
}

Result<std::vector<exchange::SiteParty>> parties_of(const boost::json::object& object, std::string_view name) {
    const auto* field = object.if_contains(name);
    const auto* list = field == nullptr ? nullptr : field->if_array();
    if (list == nullptr) return fail(Errc::malformed, std::string(name) + " is not a list");
    if (list->size() > exchange::kSitePartiesMax) return fail(Errc::exhausted, std::string(name) + ": too many");
    std::vector<exchange::SiteParty> out;
    for (const auto& item : *list) {
        const auto* party = item.if_object();
        if (party == nullptr) return fail(Errc::malformed, "a party is not an object");
        TRY(auto role, text_of(*party, "role"));
        TRY(auto address, text_of(*party, "address"));
        const auto* known = party->if_contains("name");  // who has none need not say so
        std::string shown;
        if (known != nullptr && !known->is_null()) {
            TRY(shown, text_of(*party, "name"));
        }
        out.push_back({std::move(role), std::move(address), std::move(shown)});
    }
    return out;
}

Result<std::optional<exchange::SitePause>> pause_of(const boost::json::object& object) {
    const auto* field = object.if_contains("paused");
    if (field == nullptr) return fail(Errc::malformed, "paused is missing");
    if (field->is_null()) return std::nullopt;
    const auto* paused = field->if_object();
    if (paused == nullptr) return fail(Errc::malformed, "paused is neither an object nor null");
    exchange::SitePause out;
    TRY(out.by, text_of(*paused, "by"));
    TRY(out.id, text_of(*paused, "id"));
    TRY(const auto at, text_of(*paused, "at"));
    TRY(const auto wall, wall_from_rfc3339(at));
    out.at_ms = to_unix_ms(wall);
    if (paused->contains("ago_ms")) {
        TRY(out.ago_ms, integer_field(*paused, "ago_ms"));
    }
    if (out.id.empty()) return fail(Errc::malformed, "paused: no id");
    if (out.ago_ms < 0 || out.ago_ms > kPauseAgoMaxMs) return fail(Errc::malformed, "paused: ago_ms is out of range");
    return out;
}

}  // namespace

std::string to_sheaf_call(const exchange::SiteState& state) {
    boost::json::value paused;
    if (state.paused) {
        const WallTime at{std::chrono::milliseconds{state.paused->at_ms}};
        paused = {{"by", clean_name(state.paused->by)},
                  {"id", state.paused->id},
                  {"at", to_rfc3339(at)},
                  {"ago_ms", state.paused->ago_ms}};
    }
    return boost::json::serialize(boost::json::object{{"seq", state.seq},
                                                      {"root", state.root.text()},
                                                      {"parties", parties_json(state.parties)},
                                                      {"held", parties_json(state.held)},
                                                      {"paused", std::move(paused)}});
}

Result<exchange::SiteState> sheaf_call_from_text(std::string_view text) {
    if (text.size() > kSheafCallBytesMax) return fail(Errc::exhausted, "more than 48 KiB");
    TRY(const auto value, json_from_text(text));
    const auto* object = value.if_object();
    if (object == nullptr) return fail(Errc::malformed, "not an object");
    exchange::SiteState out;
    TRY(const auto seq, integer_field(*object, "seq"));
    if (seq < 1) return fail(Errc::malformed, "seq starts with 1");
    out.seq = static_cast<std::uint64_t>(seq);
    TRY(auto root, text_of(*object, "root"));
    if (root.empty()) return fail(Errc::malformed, "no root");
    out.root = CallUuid(std::move(root));
    TRY(out.parties, parties_of(*object, "parties"));
    TRY(out.held, parties_of(*object, "held"));
    TRY(out.paused, pause_of(*object));
    return out;
}

}  // namespace sheaf::b2bua
