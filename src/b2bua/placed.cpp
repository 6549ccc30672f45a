// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "b2bua/core.h"
#include "b2bua/history.h"
#include "b2bua/reason.h"
#include "b2bua/redirect.h"
#include "b2bua/sheaf_call.h"
#include "sip/sdp.h"
#include "sip/transaction.h"

// Legs that the exchange wants: media first, then the INVITE with the media server's offer.
namespace sheaf::b2bua {
namespace {

constexpr int kNoMedia = 503;

// Where a leg's INVITE goes and as what.
struct Way {
    sip::Uri target;
    sip::Endpoint next_hop;
    std::optional<sip::Account> account;
};

Way way_to_peer(const PeerAddress& address, const std::string& number, std::optional<sip::Account> account) {
    Way way{address.uri, address.at, std::move(account)};
    way.target.user = number;
    return way;
}

// Of a trunk: by `trunk_way`. Errc::timeout: its name leads nowhere yet.
Result<Way> way_of(const Settings& settings, const exchange::PlaceLeg& order, const PeerAddress* trunk_way) {
    switch (order.to.kind) {
        case exchange::DeviceKind::agent: {
            TRY(const auto target, sip::uri_from_text(order.contact));
            TRY(const auto next_hop, sip::endpoint_from_text(order.next_hop));
            return Way{target, next_hop, std::nullopt};
        }
        case exchange::DeviceKind::trunk: {
            const auto* trunk = trunk_named(settings, order.to.name);
            if (trunk == nullptr) return fail(Errc::not_found, "no such trunk");
            if (trunk_way == nullptr) return fail(Errc::timeout, "its name has no address");
            return way_to_peer(*trunk_way, order.number, trunk->account);
        }
        case exchange::DeviceKind::site: {
            const auto* site = site_named(settings, order.to.name);
            if (site == nullptr) return fail(Errc::not_found, "no such site");
            if (!site->address) return fail(Errc::timeout, "its name has no address");
            return way_to_peer(*site->address, order.number, std::nullopt);
        }
        case exchange::DeviceKind::media:
        case exchange::DeviceKind::stranger: break;
    }
    return fail(Errc::unsupported, "nobody to call");
}

// RFC 3323 §4.1.1.3.
sip::Uri nobodys_uri() {
    sip::Uri uri;
    uri.user = exchange::kAnonymous;
    uri.host = "anonymous.invalid";
    return uri;
}

// The numbers as that trunk writes them.
exchange::PlaceLeg as_written(const TrunkPeer& trunk, exchange::PlaceLeg order) {
    order.number = ruled(&trunk, NumberUse::called_out, order.number);
    if (!order.withheld) order.calling = ruled(&trunk, NumberUse::calling_out, order.calling);
    if (order.withheld) order.withheld->number = ruled(&trunk, NumberUse::calling_out, order.withheld->number);
    for (auto& one : order.diversions) one.number = ruled(&trunk, NumberUse::calling_out, one.number);
    return order;
}

CallUuid peer_call_of(const Leg& of, const sip::Message& response) {
    const auto* call = response.first("X-Sheaf-Call");
    if (call == nullptr || of.device.kind != exchange::DeviceKind::site) return {};
    return CallUuid(clean_number(*call));
}

}  // namespace

void B2bua::Core::place(Stamp now, const exchange::PlaceLeg& order) {
    if (legs.contains(order.leg)) return;
    if (const auto lacks = lacks_room(order.to, {}); !lacks.empty()) {
        events.emplace_back(exchange::LegFailed{order.leg, kNoMedia, {}, {}});
        return warn(std::string(lacks), {{"leg", order.leg.text()}, {"to", order.to.name}});
    }
    Leg leg;
    leg.id = order.leg;
    leg.device = order.to;
    leg.peer = Preparing{order};
    leg.session_local = session_half_from(order.session_id.empty() ? order.room.text() : order.session_id);
    // RFC 3261 §16.3 for a back-to-back user agent: what is left of the other leg's, so that a loop through several
    // switches ends.
    for (const LegId& id : legs_in(order.room)) leg.max_forwards = std::min(leg.max_forwards, legs.at(id).max_forwards);
    auto& placed = add(std::move(leg));
    Leg* with = order.direct.empty() ? nullptr : this->leg(order.direct);
    if (with == nullptr || !may_be_direct(now, *with, order)) return ask_media(now, placed, order.room);
    placed.max_forwards = std::min(placed.max_forwards, with->max_forwards);
    tie(*with, placed, order.room);
    call_peer(now, placed);
}

std::optional<sip::Endpoint> B2bua::Core::next_hop_of(const exchange::PlaceLeg& order) const {
    const auto* trunk = order.to.kind == exchange::DeviceKind::trunk ? trunk_named(settings, order.to.name) : nullptr;
    const bool has_ways = trunk != nullptr && !trunk->addresses.empty();
    const auto way = way_of(settings, order, has_ways ? &trunk->addresses.front() : nullptr);
    return way ? std::optional{way->next_hop} : std::nullopt;
}

// The INVITE of a leg whose media stands.
sip::Invitation B2bua::Core::invitation_for(Stamp now, const Leg& of, const exchange::PlaceLeg& order) {
    sip::Invitation invitation;
    invitation.from.display = order.withheld ? "Anonymous" : order.calling_name;
    invitation.from.uri = order.withheld ? nobodys_uri() : our_uri(order.calling.empty() ? "anonymous" : order.calling);
    invitation.call_id = entropy.uuid();
    invitation.from_tag = entropy.token(8);
    invitation.content_type = "application/sdp";
    // Of a direct leg whose partner has left it while it was called: as at the address before.
    const auto* media = std::get_if<MediaStands>(&of.media);
    const Leg* with = partner(of);
    invitation.body = media != nullptr ? media->sdp : with != nullptr ? with->heard : of.described;
    invitation.headers = session_id(of);
    invitation.headers.push_back({"Max-Forwards", std::to_string(of.max_forwards)});
    const bool is_site = order.to.kind == exchange::DeviceKind::site;
    const bool may_know = is_trusted(order.to);
    if (may_know && order.withheld) {
        const sip::NameAddr who{order.withheld->name, our_uri(order.withheld->number), {}};
        invitation.headers.push_back({"P-Asserted-Identity", sip::to_text(who)});
        invitation.headers.push_back({"Privacy", "id"});
    } else if (may_know && !order.calling.empty() && !order.is_strangers_word) {  // RFC 3325 §5: what is known to be so
        invitation.headers.push_back({"P-Asserted-Identity", sip::to_text(invitation.from)});
    }
    if (order.auto_answer) {
        invitation.headers.push_back({"Call-Info", "<sip:" + settings.host + ">;answer-after=0"});
        invitation.headers.push_back({"Alert-Info", "<http://" + settings.host + ">;info=alert-autoanswer"});
    }
    if (order.link && is_site) {
        const auto value = signed_link(*order.link, {invitation.call_id, invitation.from_tag},
                                       site_named(settings, order.to.name)->secret, now.wall, entropy.token(16));
        invitation.headers.push_back({"X-Sheaf-Link", value});
    }
    if (is_site) invitation.headers.push_back({"Recv-Info", std::string(kSheafCall)});
    return invitation;
}

void B2bua::Core::call_peer(Stamp now, Leg& of) {
    const bool is_first = std::holds_alternative<Preparing>(of.peer);
    const exchange::PlaceLeg order = is_first ? *std::get<Preparing>(of.peer).order : *std::get<Calling>(of.peer).order;
    const auto* trunk = order.to.kind == exchange::DeviceKind::trunk ? trunk_named(settings, order.to.name) : nullptr;
    auto ways = !is_first          ? std::get<Calling>(of.peer).ways
                : trunk != nullptr ? trunk->addresses
                                   : std::vector<PeerAddress>{};
    const std::size_t chosen = is_first ? way_from(ways, 0).value_or(0) : std::get<Calling>(of.peer).way;
    const auto written = trunk != nullptr ? as_written(*trunk, order) : order;
    const auto way = way_of(settings, written, chosen < ways.size() ? &ways[chosen] : nullptr);
    const bool nobody_is_there =
        way && order.to.kind == exchange::DeviceKind::site && is_down({way->target, way->next_hop});
    if (!way || of.max_forwards == 0 || nobody_is_there) {
        const std::string why = !way              ? way.error().what
                                : nobody_is_there ? "it does not answer"
                                                  : "a loop: Max-Forwards is used up";
        warn("cannot call", {{"leg", of.id.text()}, {"to", order.to.name}, {"why", why}});
        const bool is_away = nobody_is_there || (!way && way.error().code == Errc::timeout);
        return fail_placed(now, of, {of.id, is_away ? 503 : way ? 483 : 500, {}, {}});
    }
    auto invitation = invitation_for(now, of, written);
    invitation.target = way->target;
    invitation.next_hop = way->next_hop;
    const auto* binding =
        order.to.kind == exchange::DeviceKind::agent ? registrar.binding_of(order.to.name, now.mono) : nullptr;
    for (const auto& proxy : binding != nullptr ? binding->path : std::vector<std::string>{})
        invitation.headers.push_back({"Route", proxy});
    invitation.follow_source = settings.nat && binding != nullptr && binding->behind_nat;
    if (binding != nullptr) invitation.local = binding->local;
    of.nat_address = invitation.follow_source ? way->next_hop.address : std::string();
    invitation.account = way->account;
    invitation.to.uri = way->target;
    invitation.to.uri.params = {};
    if (is_trusted(order.to)) {
        for (auto& header : history_headers(written.diversions, invitation.to.uri, settings.host))
            invitation.headers.push_back(std::move(header));
    }
    of.described = invitation.body;
    of.peer_dialog = ua.invite(now.mono, invitation);
    of.invite = clean_number(invitation.call_id) + ";1;INVITE";
    const bool has_more = way_from(ways, chosen + 1).has_value();
    of.peer = Calling{order, std::move(ways), chosen, false, false, std::nullopt, false};
    watch(of.peer_dialog, of, false);
    if (is_first) events.emplace_back(exchange::LegPlaced{of.id, of.invite});
    timers.set({of.id, LegTimer::peer_answer}, has_more ? std::optional{now.mono + kPeerSilenceMax} : std::nullopt);
}

// Of several addresses: whoever has said 100 is there, however long the call takes to ring (RFC 3263 §4.3).
void B2bua::Core::on_peer_silent(Stamp now, Leg& of) {
    auto* calling = std::get_if<Calling>(&of.peer);
    if (calling == nullptr) return;
    if (const auto view = ua.view(of.peer_dialog); view && view->is_proceeding) return answers(*calling);
    try_next_address(now, of, true);
}

bool B2bua::Core::try_next_address(Stamp now, Leg& of, bool is_silent) {
    auto* calling = std::get_if<Calling>(&of.peer);
    if (calling == nullptr || calling->alerted || calling->answer) return false;
    const auto next = way_from(calling->ways, calling->way + 1);
    if (!next) return false;
    const auto& former = calling->ways[calling->way];
    // What it says of one call is no word about the others.
    const std::string_view what = is_silent ? "trunk address does not answer" : "trunk address takes no such call";
    warn(std::string(what), {{"trunk", calling->order->to.name}, {"address", to_text(former)}});
    if (is_silent) suspect(now, former);
    forget(of.peer_dialog);
    ua.release(now.mono, of.peer_dialog, 480);
    calling->way = *next;
    call_peer(now, of);
    return true;
}

void B2bua::Core::on_progressed(Stamp now, Leg& of, const sip::Message& response) {
    auto* calling = std::get_if<Calling>(&of.peer);
    if (calling == nullptr) return;
    answers(*calling);
    timers.set({of.id, LegTimer::peer_answer}, std::nullopt);
    if (auto half = session_half_of(response); !half.empty()) of.session_remote = std::move(half);
    learn_from_site(of, response);
    if (of.answer_told) tell_to_answer(now, of);
    if (!calling->alerted && (response.status() == 180 || response.status() == 183)) {
        calling->alerted = true;
        shows(now, of, Lamp::ringing);
        events.emplace_back(exchange::LegAlerting{of.id, peer_call_of(of, response)});
    }
    const auto* media = std::get_if<MediaStands>(&of.media);
    const std::string sdp = reachable(of, response.body);
    if (!sdp.empty() && calling->described.size() < kForksMax) calling->described[sip::tag_of(response, "To")] = sdp;
    if (media == nullptr && !calling->answer) return early_direct(now, of, sdp);
    const bool is_new = media != nullptr && !media->applying && media->offered != sdp;
    if (!sdp.empty() && is_new && !calling->answer && sip::sdp_from_text(sdp)) {
        calling->early = true;
        apply(now, of, sdp);
    }
}

// Who is called is heard before it answers, and whoever waits for it rings: it is told where to listen (183).
void B2bua::Core::tell_early(Stamp now, const RoomId& room) {
    const auto& there = legs_in(room);
    const auto is_heard = [&](const LegId& id) {
        const auto& one = legs.at(id);
        const auto* calling = std::get_if<Calling>(&one.peer);
        const auto* media = std::get_if<MediaStands>(&one.media);
        return calling != nullptr && calling->early && media != nullptr && !media->applying;
    };
    if (std::ranges::none_of(there, is_heard)) return;
    for (const LegId& id : there) {
        Leg& one = legs.at(id);
        auto* offered = std::get_if<Offered>(&one.peer);
        const auto* media = std::get_if<MediaStands>(&one.media);
        const bool rings = offered != nullptr && !offered->answer_wanted && !one.calluuid.empty();
        if (!rings || media == nullptr || offered->offer.empty() || !offered->early.empty()) continue;
        say_early(now, one, media->sdp);
    }
}

void B2bua::Core::say_early(Stamp now, Leg& of, const std::string& sdp) {
    std::get<Offered>(of.peer).early = sdp;
    ua.provisional(now.mono, of.peer_dialog, 183, response_headers(of), sdp);
}

// A NOTIFY of the event package that phones take as "answer now"; it needs their tag, which comes with the 180.
void B2bua::Core::tell_to_answer(Stamp now, Leg& of) {
    if (!std::holds_alternative<Preparing>(of.peer) && !std::holds_alternative<Calling>(of.peer)) return;
    const auto view = of.peer_dialog == 0 ? std::nullopt : ua.view(of.peer_dialog);
    of.answer_told = !view || view->remote_tag.empty();
    if (of.answer_told || view->confirmed) return;
    const std::vector<sip::Header> headers{{"Event", "talk"}, {"Subscription-State", "active"}};
    static_cast<void>(ua.request(now.mono, of.peer_dialog, "NOTIFY", headers));
}

void B2bua::Core::on_answered(Stamp now, Leg& of, const sip::Message& response) {
    auto* calling = std::get_if<Calling>(&of.peer);
    if (calling == nullptr || calling->answer) return;
    answers(*calling);
    timers.set({of.id, LegTimer::peer_answer}, std::nullopt);
    if (auto half = session_half_of(response); !half.empty()) of.session_remote = std::move(half);
    exchange::LegAnswered event;
    event.leg = of.id;
    event.session_id = of.session_remote;
    event.message = message_id(response);
    event.peer_call = peer_call_of(of, response);
    learn_from_site(of, response);
    // One that has been described reliably before the 200 need not be again (RFC 3261 §13.2.1): by that fork.
    const auto early = calling->described.find(sip::tag_of(response, "To"));
    const bool is_known = response.body.empty() && early != calling->described.end();
    calling->answer = PeerAnswer{std::move(event), is_known ? early->second : reachable(of, response.body)};
    const auto* media = std::get_if<MediaStands>(&of.media);
    if (media == nullptr) return answered_direct(now, of);
    if (media->applying) return;  // `applied` goes on
    const bool is_same = calling->answer->sdp.empty() || calling->answer->sdp == media->offered;
    if (calling->early && is_same) {
        calling->answer_applied = true;
        return applied(now, of);
    }
    if (calling->answer->sdp.empty()) {
        warn("answer without session description", {{"leg", of.id.text()}, {"to", of.device.name}});
        return fail_placed(now, of, {of.id, 488, {}, message_id(response)});
    }
    calling->answer_applied = true;
    const std::string sdp = calling->answer->sdp;
    apply(now, of, sdp);
}

void B2bua::Core::on_refused(Stamp now, Leg& of, const sip::Failed& failed) {
    if (!std::holds_alternative<Calling>(of.peer)) return;
    const bool is_ours = !failed.response && failed.status == sip::kOwnLimit;
    const int status = is_ours           ? 503
                       : failed.response ? status_by_reason(failed.status, *failed.response)
                                         : failed.status;
    const bool is_nobody = !is_ours && (!failed.response || status == 503);
    // RFC 3261 §21.5.4: one that is overloaded says for how long.
    const bool is_overloaded = failed.response && failed.status == 503 && failed.response->first("Retry-After");
    if (is_nobody && try_next_address(now, of, !failed.response || is_overloaded)) return;
    forget(of.peer_dialog);
    exchange::LegFailed event{of.id, status, {}, {}};
    if (failed.response) {
        event.redirect = redirection_of(settings, of.device, *failed.response);
        event.message = message_id(*failed.response);
        event.peer_call = peer_call_of(of, *failed.response);
    } else if (is_ours) {
        warn("too many transactions", {{"leg", of.id.text()}, {"to", of.device.name}});
    } else {
        warn("no answer from a called device", {{"leg", of.id.text()}, {"to", of.device.name}});
    }
    fail_placed(now, of, std::move(event));
}

void B2bua::Core::fail_placed(Stamp now, Leg& of, exchange::LegFailed event) {
    const LegId id = of.id;
    events.emplace_back(std::move(event));
    drop(now, id, 480);
}

}  // namespace sheaf::b2bua
