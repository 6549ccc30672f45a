// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "b2bua/core.h"
#include "b2bua/nat.h"
#include "sip/grammar.h"
#include "sip/transaction.h"

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
    if (method == "PRACK") return ua.respond(now.mono, requested.id, 488);      // no offer of ours waits for its answer
    if (method == "SUBSCRIBE") return ua.respond(now.mono, requested.id, 403);  // in a dialog of its own, if at all
    ua.respond(now.mono, requested.id, 405);
}

void B2bua::Core::on_outside(Stamp now, const sip::Requested& requested) {
    const auto& method = requested.request.method();
    if (method == "REGISTER") return on_register(now, requested);
    if (method == "SUBSCRIBE") return on_subscribe(now, requested);
    if (method == "OPTIONS") {
        return ua.respond(now.mono, requested.id, 200,
                          {{"Accept", "application/sdp"}, {"Allow-Events", std::string(kDialogEvent)}});
    }
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
    const auto every = binding == nullptr ? std::nullopt : keep_alive_of(*binding);
    standing.set({agent->dn, Standing::keep_alive}, every ? std::optional{now.mono + *every} : std::nullopt);
}

// Whoever may call an agent may watch its lamp: agents may (RFC 4235 §3.6).
void B2bua::Core::on_subscribe(Stamp now, const sip::Requested& requested) {
    const auto& request = requested.request;
    if (!sip::tag_of(request, "To").empty()) return notifier.refresh(now.mono, requested);
    const auto claimed = identity_of(request, false);
    const auto caller = caller_of(settings, registrar, requested.source, claimed.number, now.mono);
    const auto refused = [&](const std::string& why) {
        warn("subscription refused",
             {{"agent", caller.device.name}, {"from", sip::to_text(requested.source.remote)}, {"why", why}});
    };
    // Whoever is no agent is asked for a password all the same: nobody learns which directory numbers exist.
    const bool is_agent = caller.device.kind == exchange::DeviceKind::agent;
    const auto* agent = is_agent ? agent_with(settings, caller.device.name) : nullptr;
    if (auto refusal = registrar.authenticate(request, agent, now, entropy.token(8))) {
        if (!refusal->why.empty()) refused(refusal->why);
        return ua.respond(now.mono, requested.id, refusal->answer.status, refusal->answer.headers);
    }
    const auto* other = agent_with(settings, clean_number(request.uri().user));
    Notifier::Watch watch;
    watch.watcher = caller.device.name;
    watch.follow_source = settings.nat && is_behind_nat(request, requested.source);
    if (other != nullptr) {
        watch.dn = other->dn;
        watch.entity = sip::to_text(our_uri(other->dn));
    }
    notifier.subscribe(now.mono, requested, watch);
}

void B2bua::Core::shows(Stamp now, Leg& of, Lamp lamp) {
    if (of.device.kind != exchange::DeviceKind::agent || of.lamp == lamp) return;
    auto& legs_lit = lit[of.device.name];
    if (of.lamp == Lamp::ringing) --legs_lit.ringing;
    if (of.lamp == Lamp::busy) --legs_lit.busy;
    if (lamp == Lamp::ringing) ++legs_lit.ringing;
    if (lamp == Lamp::busy) ++legs_lit.busy;
    of.lamp = lamp;
    if (legs_lit.busy + legs_lit.ringing == 0) lit.erase(of.device.name);
    notifier.changed(now.mono, of.device.name);
}

Lamp B2bua::Core::lamp_of(const std::string& dn) const {
    const auto found = lit.find(dn);
    if (found == lit.end()) return Lamp::idle;
    return found->second.busy != 0 ? Lamp::busy : Lamp::ringing;
}

}  // namespace sheaf::b2bua
