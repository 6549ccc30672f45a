// SPDX-License-Identifier: Apache-2.0
#include "b2bua/core.h"
#include "sip/grammar.h"

// Requests other than INVITE.
namespace sheaf::b2bua {

void B2bua::Core::on_requested(Stamp now, const sip::Requested& requested) {
    if (requested.dialog == 0) return on_outside(now, requested);
    const auto& method = requested.request.method();
    if (Leg* of = leg_of(requested.dialog, true)) {
        if (method == "INFO") return on_media_info(now, *of, requested);
        return ua.respond(now.mono, requested.id, method == "OPTIONS" ? 200 : 405);
    }
    Leg* of = leg_of(requested.dialog, false);
    if (of == nullptr) return ua.respond(now.mono, requested.id, 481);
    if (method == "REFER") return on_refer(now, *of, requested);
    if (method == "OPTIONS") return ua.respond(now.mono, requested.id, 200, {{"Accept", "application/sdp"}});
    if (method == "INFO") return on_peer_info(now, *of, requested);
    if (method == "NOTIFY") return on_notify(now, *of, requested);
    if (method == "UPDATE") return on_updated(now, *of, requested);
    if (method == "PRACK") return ua.respond(now.mono, requested.id, 488);  // no offer of ours waits for its answer
    ua.respond(now.mono, requested.id, 405);
}

void B2bua::Core::on_outside(Stamp now, const sip::Requested& requested) {
    const auto& method = requested.request.method();
    if (method == "REGISTER") return on_register(now, requested);
    if (method == "OPTIONS") return ua.respond(now.mono, requested.id, 200, {{"Accept", "application/sdp"}});
    // REFER, INFO, NOTIFY and the like mean something in a dialog only.
    ua.respond(now.mono, requested.id, 481);
}

void B2bua::Core::on_register(Stamp now, const sip::Requested& requested) {
    const auto* text = requested.request.first("To");
    const auto to = text == nullptr ? fail(Errc::not_found, "To") : sip::name_addr_from_text(*text);
    if (!to) return ua.respond(now.mono, requested.id, 400);
    const auto* agent = agent_with(settings, to->uri.user);
    if (auto refusal = registrar.authenticate(requested.request, agent, now, entropy.token(8))) {
        if (!refusal->why.empty()) {
            warn("registration refused", {{"agent", clean_number(to->uri.user)},
                                          {"from", sip::to_text(requested.source.remote)},
                                          {"why", refusal->why}});
        }
        return ua.respond(now.mono, requested.id, refusal->answer.status, refusal->answer.headers);
    }
    auto outcome = registrar.register_agent(requested.request, requested.source, agent->dn, now.mono);
    const auto& answer = outcome.answer;
    ua.respond(now.mono, requested.id, answer.status, answer.headers, {}, {}, answer.reason);
    if (outcome.event) events.push_back(std::move(*outcome.event));
    const auto* binding = registrar.binding_of(agent->dn, now.mono);
    const bool may_be_forgotten = settings.nat && binding != nullptr && binding->behind_nat;
    standing.set({agent->dn, Standing::keep_alive},
                 may_be_forgotten ? std::optional{now.mono + kNatKeepAlive} : std::nullopt);
}

}  // namespace sheaf::b2bua
