// SPDX-License-Identifier: Apache-2.0
#include "sim/rivals.h"

namespace sheaf::sim {
namespace {

constexpr std::string_view kNil = "00000000000000000000000000000000";  // RFC 7989 §5: not known yet

std::string node(Rivals::Way way, std::string_view kind, const std::string& id) {
    return std::string(name_of(way)) + kind.data() + id;
}

}  // namespace

std::string_view name_of(Rivals::Way way) {
    switch (way) {
        case Rivals::Way::call_id: return "Call-ID";
        case Rivals::Way::session_id: return "Session-ID";
        case Rivals::Way::carried_id: return "carried id";
    }
    return "?";
}

const std::string& Rivals::root_of(const std::string& name) const {
    const std::string* at = &name;
    for (auto above = above_.find(*at); above != above_.end() && above->second != *at; above = above_.find(*at))
        at = &above->second;
    return *at;
}

void Rivals::saw(Way way, const std::string& uuid, const std::string& id) {
    if (uuid.empty() || id.empty() || id == kNil) return;
    const std::string call = root_of(node(way, " of call ", uuid));
    const std::string other = root_of(node(way, " ", id));
    above_.try_emplace(other, other);
    above_[call] = other;
}

std::string Rivals::group_of(Way way, const std::string& uuid) const {
    return root_of(node(way, " of call ", uuid));
}

void Grouped::add(const Grouped& other) {
    conversations += other.conversations;
    recordings += other.recordings;
    wrong_joins += other.wrong_joins;
}

}  // namespace sheaf::sim
