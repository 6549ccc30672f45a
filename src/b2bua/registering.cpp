// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "b2bua/core.h"
#include "sip/grammar.h"

// Trunks that want to be registered with: one binding each, at one of their addresses, refreshed when three quarters of
// its time are over.
namespace sheaf::b2bua {
namespace {

// How long the registrar keeps the binding of `contact` (RFC 3261 §10.2.4); nullopt: it does not say.
std::optional<std::uint32_t> granted(const sip::Message& response, const sip::Uri& contact) {
    const auto seconds = [](const std::optional<std::string>& text) -> std::optional<std::uint32_t> {
        const auto number = text ? sip::number_from_text(*text, UINT32_MAX) : std::nullopt;
        return number ? std::optional{static_cast<std::uint32_t>(*number)} : std::nullopt;
    };
    for (const auto& text : response.list("Contact")) {
        const auto bound = sip::name_addr_from_text(text);
        if (!bound || bound->uri.user != contact.user || bound->uri.host != contact.host) continue;
        if (const auto own = seconds(bound->params.value("expires"))) return own;
    }
    const auto* expires = response.first("Expires");
    return expires == nullptr ? std::nullopt : seconds(*expires);
}

}  // namespace

void B2bua::Core::register_with_trunks(Stamp now) {
    for (const auto& trunk : settings.trunks) {
        const bool is_wanted = trunk.registers && trunk.account && !trunk.addresses.empty();
        if (!is_wanted || registrations.contains(trunk.name)) continue;
        registrations[trunk.name].call_id = entropy.uuid();
        standing.set({trunk.name, Standing::registration}, now.mono);
    }
}

void B2bua::Core::send_register(Stamp now, const std::string& name, std::uint32_t seconds) {
    const auto* trunk = trunk_named(settings, name);
    const auto at = registrations.find(name);
    if (trunk == nullptr || at == registrations.end()) return;
    Registration& one = at->second;
    auto request = outside("REGISTER", trunk->addresses[one.address]);
    request.target.user.clear();
    request.from.uri = request.target;  // the address of record: RFC 3261 §10.2
    request.from.uri.params = {};
    request.from.uri.user = trunk->account->user;
    request.to = request.from;
    request.call_id = one.call_id;
    request.cseq = std::exchange(one.cseq, one.cseq + 2);  // a challenge takes one more
    sip::NameAddr contact;
    contact.uri = our_uri(trunk->account->user);
    const bool is_tcp = request.next_hop->transport == sip::Transport::tcp;
    if (is_tcp || request.target.params.has("transport")) contact.uri.params.set("transport", is_tcp ? "tcp" : "udp");
    const auto wanted = seconds == 0 ? 0 : std::max(seconds, one.seconds);
    request.headers = {{"Contact", sip::to_text(contact)}, {"Expires", std::to_string(wanted)}};
    request.account = trunk->account;
    register_requests.erase(one.request);
    one.request = ua.request_outside(now.mono, request);
    register_requests[one.request] = name;
}

bool B2bua::Core::on_registered(Stamp now, const sip::Responded& responded) {
    const auto found = register_requests.find(responded.id);
    if (found == register_requests.end()) return false;
    const auto at = registrations.find(found->second);
    const auto* trunk = trunk_named(settings, found->second);
    register_requests.erase(found);
    if (at == registrations.end() || trunk == nullptr) return true;
    at->second.request = 0;
    if (responded.response && responded.status / 100 == 2) {
        registered(now, *trunk, at->second, *responded.response);
    } else {
        not_registered(now, *trunk, at->second, responded);
    }
    return true;
}

void B2bua::Core::registered(Stamp now, const TrunkPeer& trunk, Registration& one, const sip::Message& response) {
    const auto seconds = std::max(granted(response, our_uri(trunk.account->user)).value_or(one.seconds), 20U);
    one.wait = kRegisterAgain;
    one.is_raised = false;
    if (!std::exchange(one.holds, true)) {
        logs.push_back({false,
                        "registered with a trunk",
                        {{"trunk", trunk.name},
                         {"address", to_text(trunk.addresses[one.address])},
                         {"seconds", std::to_string(seconds)}}});
    }
    standing.set({trunk.name, Standing::registration}, now.mono + std::chrono::seconds{seconds} * 3 / 4);
}

// Somewhere else, after a while that grows; but at once when it only wants the time longer (RFC 3261 §10.2.8).
void B2bua::Core::not_registered(Stamp now, const TrunkPeer& trunk, Registration& one,
                                 const sip::Responded& responded) {
    const auto* least =
        responded.status == 423 && responded.response ? responded.response->first("Min-Expires") : nullptr;
    const auto seconds = least == nullptr ? std::nullopt : sip::number_from_text(*least, kRegisterSecondsMax);
    if (seconds && *seconds > one.seconds && !std::exchange(one.is_raised, true)) {
        one.seconds = static_cast<std::uint32_t>(*seconds);
        return send_register(now, trunk.name, one.seconds);
    }
    one.holds = false;
    warn("not registered with a trunk", {{"trunk", trunk.name},
                                         {"address", to_text(trunk.addresses[one.address])},
                                         {"status", std::to_string(responded.status)},
                                         {"again_ms", std::to_string(to_ms(one.wait))}});
    one.address = (one.address + 1) % trunk.addresses.size();
    standing.set({trunk.name, Standing::registration}, now.mono + one.wait);
    one.wait = std::min(one.wait * 2, kRegisterAgainMax);
}

void B2bua::Core::unregister(Stamp now, const std::string& name) {
    const auto at = registrations.find(name);
    if (at == registrations.end()) return;
    if (at->second.holds) send_register(now, name, 0);
    register_requests.erase(at->second.request);
    standing.set({at->first, Standing::registration}, std::nullopt);
    registrations.erase(at);
}

}  // namespace sheaf::b2bua
