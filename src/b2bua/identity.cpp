// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "b2bua/core.h"
#include "b2bua/sheaf_call.h"
#include "sip/sdp.h"

// Connected identity: a re-INVITE that changes nothing but who the peer is told to talk to (RFC 4916, by
// P-Asserted-Identity, RFC 3325).
namespace sheaf::b2bua {
namespace {

// Whether two descriptions say the same of the media; a version that was counted on is no change.
bool same_media(const std::string& a, const std::string& b) {
    if (a == b) return true;
    const auto one = sip::sdp_from_text(a);
    auto other = sip::sdp_from_text(b);
    if (!one || !other) return false;
    other->session_version = one->session_version;
    return *one == *other;
}

}  // namespace

void B2bua::Core::show(Stamp now, Leg& of, const exchange::ShowIdentity& order) {
    of.showing.waits = order;
    show_next(now, of);
}

void B2bua::Core::show_next(Stamp now, Leg& of) {
    auto& showing = of.showing;
    const auto* talking = std::get_if<Talking>(&of.peer);
    const auto* media = std::get_if<MediaStands>(&of.media);
    if (talking == nullptr || media == nullptr || of.described.empty()) return;
    if (talking->connect_at_ack || talking->reinvite_waits || talking->offer_given || media->applying) return;
    if (showing.out || showing.glare || !showing.waits) return;
    showing.out = std::exchange(showing.waits, std::nullopt);
    sip::NameAddr who;
    who.display = clean_name(showing.out->name);
    const auto number = clean_number(showing.out->number);
    who.uri.user = number.empty() ? "anonymous" : number;
    const auto us = sip::uri_from_text("sip:" + settings.host);
    who.uri.host = us ? us->host : settings.host;
    who.uri.port = us ? us->port : std::uint16_t{0};
    auto headers = session_id(of);
    headers.push_back({"P-Asserted-Identity", sip::to_text(who)});
    // RFC 6086 §4.2.1: each INVITE says again what is taken.
    if (of.device.kind == exchange::DeviceKind::site) headers.push_back({"Recv-Info", std::string(kSheafCall)});
    // RFC 3264 §8: the same description, with the same version, is no new offer.
    ua.reinvite(now.mono, of.peer_dialog, of.described, headers);
}

void B2bua::Core::on_shown(Stamp now, Leg& of, const sip::Message& answer) {
    of.showing.out.reset();
    learn_from_site(of, answer);
    auto* talking = std::get_if<Talking>(&of.peer);
    const auto sdp = sip::sdp_from_text(answer.body);
    if (talking == nullptr || !sdp || same_media(answer.body, of.heard)) return show_next(now, of);
    talking->next_held = sip::is_hold(*sdp);
    apply(now, of, answer.body);
}

void B2bua::Core::on_show_failed(Stamp now, Leg& of, int status) {
    auto& showing = of.showing;
    const auto refused = std::exchange(showing.out, std::nullopt);
    if (status == 491) {  // GlareOver follows
        showing.glare = true;
        if (!showing.waits) showing.waits = refused;
        return;
    }
    if (!std::exchange(showing.refused, true)) {
        warn("a peer does not take who it talks to",
             {{"leg", of.id.text()}, {"device", of.device.name}, {"status", std::to_string(status)}});
    }
    show_next(now, of);
}

}  // namespace sheaf::b2bua
