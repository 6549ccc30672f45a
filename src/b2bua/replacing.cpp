// SPDX-License-Identifier: Apache-2.0
#include "b2bua/core.h"
#include "b2bua/replaces.h"
#include "b2bua/sheaf_call.h"
#include "base/digest.h"

// INVITEs that take a leg's place (RFC 3891), and the pivot addresses at which anyone who holds the token may send one.
namespace sheaf::b2bua {
namespace {

struct Named {
    std::optional<Replaces> replaces;
    int status = 0;
};

Named replaces_of(const sip::Message& request) {
    const auto values = request.all("Replaces");
    // §3: more than one, or together with Join, is a bad request.
    if (values.size() > 1 || request.first("Join") != nullptr) return {{}, 400};
    auto replaces = replaces_from_text(values.front());
    if (!replaces) return {{}, 400};
    return {*std::move(replaces), 0};
}

// Whether the leg's dialog is in a state in which it may be replaced (§3); 0: it is.
int refusal_of(const Leg& leg, bool early_only) {
    if (std::holds_alternative<Offered>(leg.peer)) return 481;  // early, and begun by its peer
    const auto* calling = std::get_if<Calling>(&leg.peer);
    const bool is_early = calling != nullptr && !calling->answer;
    return early_only && !is_early ? 486 : 0;
}

}  // namespace

B2bua::Core::Claim B2bua::Core::claim_at_pivot(const sip::Message& request) {
    if (request.first("Replaces") == nullptr) return {{}, 403, "a pivot address without Replaces"};
    const auto [replaces, status] = replaces_of(request);
    if (!replaces) return {{}, status, "its Replaces does not parse"};
    const auto dialog = dialog_of(ua, *replaces);
    Leg* named = leg_of(dialog, false);
    if (dialog == 0) return {{}, 481, "the dialog to replace is gone"};
    const auto token = std::string_view{request.uri().user}.substr(kPivotStart.size());
    // The token proves that this leg's dialog may be replaced, and no other.
    if (named == nullptr || named->pivot.empty() || !equal_in_constant_time(named->pivot, token)) {
        return {{}, 403, "not the pivot address of the dialog to replace"};
    }
    if (const int refused = refusal_of(*named, replaces->early_only); refused != 0) {
        return {{}, refused, "the dialog cannot be replaced in its state"};
    }
    return {exchange::Replacing{named->id, true}, 0, {}};
}

B2bua::Core::Claim B2bua::Core::claim_of(const sip::Message& request, const exchange::Device& from) {
    if (request.first("Replaces") == nullptr) return {};
    const auto [replaces, status] = replaces_of(request);
    if (!replaces) return {{}, status, "its Replaces does not parse"};
    const auto dialog = dialog_of(ua, *replaces);
    if (dialog == 0) return {{}, 481, "the dialog to replace is gone"};
    const Leg* named = leg_of(dialog, false);
    if (named == nullptr || from.kind != exchange::DeviceKind::agent) return {{}, 403, "it would replace a dialog"};
    if (const int refused = refusal_of(*named, replaces->early_only); refused != 0) {
        return {{}, refused, "the dialog cannot be replaced in its state"};
    }
    return {exchange::Replacing{named->id, false}, 0, {}};
}

void B2bua::Core::learn_from_site(Leg& of, const sip::Message& message) {
    if (of.device.kind != exchange::DeviceKind::site) return;
    if (message.method() == "INVITE" && (message.is_request() || message.status() / 100 == 2)) {
        of.site.takes = message.has_token("Recv-Info", kSheafCall);
    }
    if (message.is_request()) return;
    const auto* text = message.first("X-Sheaf-Pivot");
    const auto pivot = text == nullptr ? fail(Errc::not_found, "none") : sip::name_addr_from_text(*text);
    const bool is_good = pivot && pivot->uri.scheme == "sip" && pivot->uri.headers.empty();
    if (is_good && text->size() <= kReplacesBytesMax) of.peer_pivot = sip::to_text(pivot->uri);
}

}  // namespace sheaf::b2bua
