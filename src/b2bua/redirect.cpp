// SPDX-License-Identifier: Apache-2.0
#include "b2bua/redirect.h"

#include <algorithm>

#include "b2bua/caller.h"
#include "sip/grammar.h"

namespace sheaf::b2bua {
namespace {

// RFC 3261 §25.1 qvalue, in thousandths; one that is none counts as not given.
int liking_of(const sip::NameAddr& contact) {
    constexpr int kMost = 1'000;
    const auto text = contact.params.value("q").value_or("1");
    if (!text.starts_with("0")) return kMost;
    auto digits = text.size() > 2 && text[1] == '.' ? text.substr(2) : std::string();
    digits.resize(3, '0');
    return static_cast<int>(sip::number_from_text(digits, kMost).value_or(kMost));
}

}  // namespace

std::string redirection_of(const Settings& settings, const exchange::Device& by, const sip::Message& response) {
    if (response.status() < 300 || response.status() > 399) return {};
    const auto* trunk = by.kind == exchange::DeviceKind::trunk ? trunk_named(settings, by.name) : nullptr;
    if (by.kind != exchange::DeviceKind::agent && trunk == nullptr) return {};
    std::string best;
    int liking = -1;
    for (const auto& text : response.list("Contact")) {
        const auto contact = sip::name_addr_from_text(text);
        if (!contact) continue;
        const auto number = ruled(trunk, NumberUse::calling_in, number_of(contact->uri));
        const bool is_itself = trunk == nullptr && number == by.name;
        if (number.empty() || is_itself) continue;
        const auto is_same_host = [&](const PeerAddress& one) {
            return one.uri.host == contact->uri.host || one.at.address == contact->uri.host;
        };
        if (trunk != nullptr && !std::ranges::any_of(trunk->addresses, is_same_host)) continue;
        if (liking_of(*contact) <= liking) continue;
        liking = liking_of(*contact);
        best = number;
    }
    return best;
}

}  // namespace sheaf::b2bua
