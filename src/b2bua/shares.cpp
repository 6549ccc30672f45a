// SPDX-License-Identifier: Apache-2.0
#include "b2bua/core.h"

// How much of this switch each who speaks with it may have: the calls of a stranger, of all strangers, of a trunk, of
// all; and, for an edge that counts messages, who is a stranger.
namespace sheaf::b2bua {

namespace {

std::size_t at(const std::unordered_map<std::string, std::size_t>& counts, const std::string& key) {
    const auto found = counts.find(key);
    return found == counts.end() ? 0 : found->second;
}

void count_one(std::unordered_map<std::string, std::size_t>& counts, const std::string& key, bool comes) {
    if (comes) {
        ++counts[key];
    } else if (const auto found = counts.find(key); --found->second == 0) {
        counts.erase(found);
    }
}

}  // namespace

void B2bua::Core::know_peers() {
    peer_addresses.clear();
    const auto know = [&](const std::optional<PeerAddress>& one) {
        if (one) peer_addresses.insert(one->at.address);
    };
    for (const auto& media : settings.media) know(media);
    for (const auto& site : settings.sites) know(site.address);
    for (const auto& trunk : settings.trunks) {
        for (const auto& address : trunk.addresses) know(address);
    }
}

sip::Sender B2bua::sender_at(const std::string& address) const {
    if (core_->peer_addresses.contains(address)) return {sip::Sender::Kind::peer, 0};
    // A stranger's calls are no reason to hear more of it.
    const std::size_t uses = core_->registrar.bindings_at(address) + at(core_->agents_calls_at, address);
    const bool has_call = uses != 0 || at(core_->strangers_calls_at, sip::network_of(address)) != 0;
    return {uses == 0 ? sip::Sender::Kind::stranger : sip::Sender::Kind::caller, uses, has_call};
}

Leg& B2bua::Core::add(Leg leg) {
    count(leg, true);
    const LegId id = leg.id;
    return legs.emplace(id, std::move(leg)).first->second;
}

void B2bua::Core::count(const Leg& of, bool comes) {
    const bool is_stranger = of.device.kind == exchange::DeviceKind::stranger;
    if (!of.caller_at.empty()) count_one(is_stranger ? strangers_calls_at : agents_calls_at, of.caller_at, comes);
    if (of.device.kind == exchange::DeviceKind::trunk) count_one(calls_of_trunk, of.device.name, comes);
    if (is_stranger) comes ? ++calls_of_strangers : --calls_of_strangers;
}

bool B2bua::Core::is_trusted(const exchange::Device& device) const {
    if (device.kind == exchange::DeviceKind::site) return true;
    const auto* trunk = device.kind == exchange::DeviceKind::trunk ? trunk_named(settings, device.name) : nullptr;
    return trunk != nullptr && trunk->trusted;
}

// What a further call of it would exceed; empty: nothing.
std::string_view B2bua::Core::lacks_room(const exchange::Device& device, const std::string& address) const {
    if (legs.size() >= settings.legs_max) return "too many calls";
    if (device.kind == exchange::DeviceKind::stranger) {
        if (at(strangers_calls_at, sip::network_of(address)) >= settings.stranger_calls_max)
            return "too many calls of a stranger";
        if (calls_of_strangers >= settings.strangers_calls_max) return "too many calls of strangers";
    }
    if (device.kind == exchange::DeviceKind::trunk) {
        const auto* trunk = trunk_named(settings, device.name);
        const bool is_full =
            trunk != nullptr && trunk->calls_max > 0 && at(calls_of_trunk, device.name) >= trunk->calls_max;
        if (is_full) return "too many calls of a trunk";
    }
    return {};
}

}  // namespace sheaf::b2bua
