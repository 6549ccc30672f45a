// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "b2bua/core.h"
#include "b2bua/history.h"
#include "b2bua/nat.h"
#include "b2bua/reason.h"
#include "b2bua/replaces.h"
#include "sip/grammar.h"
#include "sip/sdp.h"

// Legs that a peer began: INVITE, 180, 200, ACK, re-INVITE, and their end.
namespace sheaf::b2bua {
namespace {

bool is_hold_text(const std::string& text) {
    const auto sdp = sip::sdp_from_text(text);
    return sdp && sip::is_hold(*sdp);
}

// The media server's latest description as a new offer: what it can do, not what the last exchange left of it.
std::string as_offer(const std::string& text) {
    auto sdp = sip::sdp_from_text(text);
    if (!sdp) return text;
    ++sdp->session_version;
    for (auto& media : sdp->media) media.direction = sip::Direction::sendrecv;
    return sip::to_text(*sdp);
}

exchange::Cause cause_of(sip::EndCause cause) {
    switch (cause) {
        case sip::EndCause::bye: return exchange::Cause::normal;
        case sip::EndCause::cancelled: return exchange::Cause::cancelled;
        case sip::EndCause::no_ack:
        case sip::EndCause::expired:
        case sip::EndCause::timed_out: return exchange::Cause::timed_out;
        case sip::EndCause::gone: return exchange::Cause::lost_control;
    }
    return exchange::Cause::failed;
}

// The number a call is for. A registrar calls the contact that was registered, and keeps the number in To.
std::string called_in(const sip::Message& request, const TrunkPeer* trunk) {
    const bool is_contact =
        trunk != nullptr && trunk->registers && trunk->account && trunk->account->user == request.uri().user;
    const auto* text = is_contact ? request.first("To") : nullptr;
    const auto to = text == nullptr ? fail(Errc::not_found, "To") : sip::name_addr_from_text(*text);
    const std::string number = to ? number_of(to->uri) : std::string();
    return number.empty() ? number_of(request.uri()) : number;
}

// Whoever has a token of ours is no stranger.
const exchange::Device kAtPivot{exchange::DeviceKind::agent, {}};

bool is_peer(const exchange::Device& device) {
    return device.kind == exchange::DeviceKind::trunk || device.kind == exchange::DeviceKind::site;
}

std::uint32_t forwards_left(const sip::Message& request) {
    const auto* text = request.first("Max-Forwards");
    const auto number = text == nullptr ? std::optional<std::uint64_t>{70} : sip::number_from_text(*text, 255);
    const auto left = static_cast<std::uint32_t>(number.value_or(70));
    return left == 0 ? 0 : left - 1;
}

// RFC 3261 §13.3.1: for how long the caller wants an answer; what it is cancelled for anyway is no word.
std::optional<Duration> life_of(const sip::Message& invite) {
    const auto* text = invite.first("Expires");
    const auto seconds = text == nullptr ? std::nullopt : sip::number_from_text(sip::trimmed(*text), 0xffff'ffff);
    if (!seconds || *seconds == 0 || *seconds > kOfferLifeMax.count()) return std::nullopt;
    return std::chrono::seconds{*seconds};
}

}  // namespace

void B2bua::Core::on_offer_expired(Stamp now, Leg& of) {
    if (!std::holds_alternative<Offered>(of.peer)) return;
    of.why_ended = exchange::Cause::cancelled;
    events.emplace_back(exchange::LegEnded{of.id, of.why_ended, of.invite});
    drop(now, of.id, 487);
}

void B2bua::Core::on_invited(Stamp now, const sip::Invited& invited) {
    const auto& request = invited.request;
    const auto remote = sip::to_text(invited.source.remote);
    const auto& address = invited.source.remote.address;
    const auto claimed = identity_of(request, false);
    auto caller = caller_of(settings, registrar, invited.source, claimed.number, now.mono);
    const bool at_pivot = request.uri().user.starts_with(kPivotStart);
    const bool is_unknown = at_pivot || !is_peer(caller.device);
    if (const auto lacks = lacks_room(at_pivot ? kAtPivot : caller.device, address); !lacks.empty()) {
        warn(std::string(lacks), {{"from", remote}, {"device", caller.device.name}});
        return ua.reject(now.mono, invited.dialog, 503, {{"Retry-After", std::to_string(kRetryAfterSeconds)}}, {},
                         is_unknown);
    }
    if (at_pivot && caller.must_authenticate) {
        caller = {};  // its token says what it may do, not who it is
    } else if (caller.must_authenticate) {
        const auto* agent = agent_with(settings, caller.device.name);
        if (auto refusal = registrar.authenticate(request, agent, now, entropy.token(8))) {
            if (!refusal->why.empty()) {
                warn("call refused", {{"agent", caller.device.name}, {"from", remote}, {"why", refusal->why}});
            }
            return ua.reject(now.mono, invited.dialog, refusal->answer.status, refusal->answer.headers, {}, true);
        }
    }
    const auto claim = at_pivot ? claim_at_pivot(request) : claim_of(request, caller.device);
    if (claim.status != 0) {
        warn("call refused", {{"from", remote}, {"why", std::string(claim.why)}});
        return ua.reject(now.mono, invited.dialog, claim.status, {}, {}, is_unknown);
    }
    const auto sdp = request.body.empty() ? sip::SessionDescription{} : sip::sdp_from_text(request.body);
    if (!sdp) {
        warn("call refused", {{"from", remote}, {"why", "its session description does not parse"}});
        return ua.reject(now.mono, invited.dialog, 488, {}, {}, is_unknown);
    }
    Leg leg;
    leg.id = LegId(entropy.uuid());
    leg.device = caller.device;
    const bool is_stranger = caller.device.kind == exchange::DeviceKind::stranger;
    if (!is_peer(caller.device)) leg.caller_at = is_stranger ? sip::network_of(address) : address;
    leg.peer_dialog = invited.dialog;
    if (settings.nat && caller.device.kind == exchange::DeviceKind::agent && is_behind_nat(request, invited.source)) {
        leg.nat_address = invited.source.remote.address;
        ua.follow_source(invited.dialog);
    }
    leg.heard = reachable(leg, request.body);
    leg.peer = Offered{.offer = leg.heard, .early = {}, .holds = sip::is_hold(*sdp), .ipv6 = audio_is_ipv6(*sdp)};
    leg.replaces = claim.replaces.has_value();
    leg.session_remote = session_half_of(request);
    leg.max_forwards = forwards_left(request);
    leg.invite = message_id(request);
    exchange::LegOffered event;
    event.leg = leg.id;
    event.from = caller.device;
    const auto* trunk =
        caller.device.kind == exchange::DeviceKind::trunk ? trunk_named(settings, caller.device.name) : nullptr;
    if (!at_pivot) event.called = ruled(trunk, NumberUse::called_in, called_in(request, trunk));
    say_who_calls(request, trunk, event);
    event.link = believed_link(now, invited, caller.device);
    event.session_id = leg.session_remote;
    event.message = leg.invite;
    event.replaces = claim.replaces;
    if (at_pivot) this->leg(claim.replaces->leg)->pivot.clear();  // single use
    learn_from_site(leg, request);
    if (const auto life = life_of(request)) timers.set({leg.id, LegTimer::offer_expires}, now.mono + *life);
    watch(invited.dialog, leg, false);
    shows(now, add(std::move(leg)), Lamp::busy);
    events.emplace_back(std::move(event));
}

// What of it may be believed and shown, and where the call has been before.
void B2bua::Core::say_who_calls(const sip::Message& request, const TrunkPeer* trunk,
                                exchange::LegOffered& event) const {
    const auto identity = identity_of(request, is_trusted(event.from));
    event.calling = ruled(trunk, NumberUse::calling_in, identity.number);
    event.calling_name = identity.name;
    if (privacy_of(request).of_identity && !identity.number.empty()) {
        event.withheld = exchange::Withheld{event.calling, identity.name};
        if (event.from.kind != exchange::DeviceKind::agent) event.calling = exchange::kAnonymous;
        event.calling_name.clear();
    }
    if (is_trusted(event.from)) event.diversions = diversions_of(request);
    for (auto& one : event.diversions) one.number = ruled(trunk, NumberUse::calling_in, one.number);
}

std::optional<exchange::LinkHeader> B2bua::Core::believed_link(Stamp now, const sip::Invited& invited,
                                                               const exchange::Device& from) {
    const auto values = invited.request.all("X-Sheaf-Link");
    if (values.empty()) return std::nullopt;
    const auto view = ua.view(invited.dialog);
    const auto* site = from.kind == exchange::DeviceKind::site ? site_named(settings, from.name) : nullptr;
    const auto link = [&]() -> Result<exchange::LinkHeader> {
        if (site == nullptr) return fail(Errc::forbidden, "not from a peer site's address");
        if (values.size() != 1) return fail(Errc::malformed, "more than one header");
        if (!view) return fail(Errc::conflict, "the caller is gone");
        return guard.check(values.front(), {view->call_id, view->remote_tag}, site->name, site->secret, now.wall);
    }();
    if (link) return *link;
    warn("link header not believed", {{"site", from.name},
                                      {"from", sip::to_text(invited.source.remote)},
                                      {"call_id", view ? clean_number(view->call_id) : std::string()},
                                      {"why", link.error().what}});
    return std::nullopt;
}

void B2bua::Core::ring(Stamp now, Leg& of, const exchange::RingLeg& order) {
    if (!std::holds_alternative<Offered>(of.peer)) return;
    of.calluuid = order.calluuid;
    of.session_local = session_half_from(order.calluuid.text());
    const Leg* with = partner(of);
    const auto* calling = with == nullptr ? nullptr : std::get_if<Calling>(&with->peer);
    const bool is_early = calling != nullptr && calling->early;
    if (is_early && std::get<Offered>(of.peer).early.empty()) {
        say_early(now, of, with->heard);
    } else {
        ua.provisional(now.mono, of.peer_dialog, 180, response_headers(of));
    }
    // The media is fetched while it rings, so that an answer is immediate and a failure is told before it.
    if (std::holds_alternative<NoMedia>(of.media)) return ask_media(now, of, order.room);
    tell_early(now, of.room);
}

void B2bua::Core::answer(Stamp now, Leg& of, const exchange::AnswerLeg& order) {
    auto* offered = std::get_if<Offered>(&of.peer);
    if (offered == nullptr) return;
    of.calluuid = order.calluuid;
    of.session_local = session_half_from(order.calluuid.text());
    offered->answer_wanted = true;
    const Leg* with = partner(of);
    if (with == nullptr || !std::holds_alternative<Talking>(with->peer)) untie(of);
    if (std::holds_alternative<NoMedia>(of.media)) return ask_media(now, of, order.room);
    if (of.room != order.room) {
        const LegId id = of.id;
        move(now, of, order.room);
        if (leg(id) == nullptr) return;
    }
    answer_if_ready(now, of);
}

void B2bua::Core::answer_if_ready(Stamp now, Leg& of) {
    const auto* offered = std::get_if<Offered>(&of.peer);
    const auto* media = std::get_if<MediaStands>(&of.media);
    const Leg* with = partner(of);
    if (offered == nullptr || (media == nullptr && with == nullptr) || !offered->answer_wanted) return;
    const std::string offer = offered->offer;
    const std::string early = offered->early;
    const std::string sdp = with == nullptr ? media->sdp : with->heard;
    if (offer.empty()) {
        of.peer = OfferSent{};
        return answer_peer(now, of, sdp);
    }
    Talking talking;
    talking.held = offered->holds;
    talking.connect_at_ack = of.replaces;
    of.peer = talking;
    // RFC 3264 §4: one offer has one answer. Where another than who was heard early has answered, its description comes
    // as an offer of ours.
    const bool is_another = !early.empty() && !same_media(early, sdp);
    answer_peer(now, of, early.empty() ? sdp : early);
    if (is_another) {
        of.was_direct = true;
        of.described = as_described(of, sdp);
        of.showing.refresh = true;
    }
    if (!of.replaces) talks(now, of, exchange::LegConnected{of.id, of.invite});
}

void B2bua::Core::talks(Stamp now, Leg& of, exchange::Event event) {
    events.push_back(std::move(event));
    shows(now, of, Lamp::busy);
    if (of.device.kind == exchange::DeviceKind::site) timers.set({of.id, LegTimer::site_probe}, now.mono + kSiteProbe);
    if (std::get<Talking>(of.peer).held) events.emplace_back(exchange::LegHeld{of.id});
    if (const auto told = std::exchange(of.site.early, std::nullopt)) {
        events.emplace_back(exchange::LegTold{of.id, *told});
    }
    tell_next(now, of);
    show_next(now, of);
}

void B2bua::Core::on_acknowledged(Stamp now, Leg& of, const sip::Message& ack) {
    if (std::holds_alternative<OfferSent>(of.peer)) {
        if (!ack.body.empty()) return apply(now, of, reachable(of, ack.body));
        warn("call without media: an ACK without answer", {{"leg", of.id.text()}});
        events.emplace_back(exchange::LegEnded{of.id, exchange::Cause::failed, message_id(ack)});
        return drop(now, of.id, 488);
    }
    auto* talking = std::get_if<Talking>(&of.peer);
    if (talking == nullptr) return;
    if (std::exchange(talking->connect_at_ack, false)) {
        return talks(now, of, exchange::LegConnected{of.id, of.invite});
    }
    if (!std::exchange(talking->offer_given, false)) return;
    if (ack.body.empty()) return show_next(now, of);
    const std::string sdp = reachable(of, ack.body);
    const bool stands = std::holds_alternative<MediaStands>(of.media);
    if (!stands && same_media(sdp, of.heard)) return show_next(now, of);
    talking->next_held = is_hold_text(sdp);
    if (stands) return apply(now, of, sdp);
    of.heard = sdp;
    static_cast<void>(anchor(now, of));
}

// What one end of it is described is not settled.
bool B2bua::Core::is_changing(const Leg& of) {
    const auto* media = std::get_if<MediaStands>(&of.media);
    return std::holds_alternative<MediaAsked>(of.media) || (media != nullptr && media->applying);
}

void B2bua::Core::on_reinvited(Stamp now, Leg& of, const sip::Message& request) {
    auto* talking = std::get_if<Talking>(&of.peer);
    const auto* media = std::get_if<MediaStands>(&of.media);
    const bool is_busy = talking == nullptr || talking->connect_at_ack || talking->offer_given;
    if (is_busy || is_changing(of)) return ua.reject(now.mono, of.peer_dialog, 491);
    keep_at_media(now, of);
    if (request.body.empty()) {
        talking->offer_given = true;
        return answer_peer(now, of, media == nullptr ? of.described : as_described(of, as_offer(media->sdp)));
    }
    if (!sip::sdp_from_text(request.body)) return ua.reject(now.mono, of.peer_dialog, 488);
    const std::string offer = reachable(of, request.body);
    if (media == nullptr && same_media(offer, of.heard)) return answer_peer(now, of, of.described);
    talking->reinvite_waits = true;
    talking->next_held = is_hold_text(offer);
    if (media != nullptr) return apply(now, of, offer);
    const LegId id = of.id;
    if (!anchor_with_offer(now, of, offer) && leg(id) != nullptr) refuse_waiting(now, of, 503);
}

// RFC 3311: as a re-INVITE, but at once. Without a description it asks for nothing but an answer.
void B2bua::Core::on_updated(Stamp now, Leg& of, const sip::Requested& requested) {
    const std::string& offer = requested.request.body;
    const auto refuse = [&](int status) { ua.respond(now.mono, requested.id, status); };
    if (offer.empty()) return ua.respond(now.mono, requested.id, 200, response_headers(of));
    auto* talking = std::get_if<Talking>(&of.peer);
    if (talking == nullptr) return refuse(504);  // §5.2: not without asking somebody
    if (is_changing(of) || talking->connect_at_ack || talking->offer_given) return refuse(491);
    if (!sip::sdp_from_text(offer)) return refuse(488);
    keep_at_media(now, of);
    const bool stands = std::holds_alternative<MediaStands>(of.media);
    if (!stands && same_media(reachable(of, offer), of.heard)) {
        return ua.respond(now.mono, requested.id, 200, response_headers(of), "application/sdp", of.described);
    }
    talking->update_waits = requested.id;
    talking->next_held = is_hold_text(offer);
    if (stands) return apply(now, of, reachable(of, offer));
    const LegId id = of.id;
    if (!anchor_with_offer(now, of, reachable(of, offer)) && leg(id) != nullptr) refuse_waiting(now, of, 503);
}

void B2bua::Core::on_peer_ended(Stamp now, Leg& of, const sip::Ended& ended) {
    forget(of.peer_dialog);
    const auto message = ended.request ? message_id(*ended.request) : std::string();
    if (std::holds_alternative<Preparing>(of.peer) || std::holds_alternative<Calling>(of.peer)) {
        // Its 200 had come, its media was not through: to the exchange it was never answered.
        return fail_placed(now, of, {of.id, 487, {}, message});
    }
    of.why_ended = cause_of(ended.cause);
    if (ended.cause == sip::EndCause::bye && ended.request)
        of.why_ended = cause_by_reason(of.why_ended, *ended.request);
    events.emplace_back(exchange::LegEnded{of.id, of.why_ended, message});
    drop(now, of.id, 480);
}

}  // namespace sheaf::b2bua
