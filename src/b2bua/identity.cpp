// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "b2bua/core.h"
#include "b2bua/sheaf_call.h"
#include "sip/sdp.h"

// Connected identity: a re-INVITE that changes nothing but who the peer is told to talk to (RFC 4916, by
// P-Asserted-Identity, RFC 3325).
namespace sheaf::b2bua {
namespace {

sip::NameAddr name_of(const Settings& settings, const TrunkPeer* trunk, const exchange::ShowIdentity& shown) {
    sip::NameAddr who;
    who.display = clean_name(shown.name);
    const auto number = ruled(trunk, NumberUse::calling_out, clean_number(shown.number));
    who.uri.user = number.empty() ? "anonymous" : number;
    const auto us = sip::uri_from_text("sip:" + settings.host);
    who.uri.host = us ? us->host : settings.host;
    who.uri.port = us ? us->port : std::uint16_t{0};
    return who;
}

}  // namespace

// Whether two descriptions say the same of the media; a version that was counted on is no change.
bool B2bua::Core::same_media(const std::string& a, const std::string& b) {
    if (a == b) return true;
    const auto one = sip::sdp_from_text(a);
    auto other = sip::sdp_from_text(b);
    if (!one || !other) return false;
    other->session_version = one->session_version;
    return *one == *other;
}

void B2bua::Core::show(Stamp now, Leg& of, const exchange::ShowIdentity& order) {
    of.showing.waits = order;
    show_next(now, of);
}

void B2bua::Core::show_next(Stamp now, Leg& of) {
    auto& showing = of.showing;
    const auto* talking = std::get_if<Talking>(&of.peer);
    if (talking == nullptr || of.described.empty()) return;
    const bool is_asked = talking->reinvite_waits || talking->update_waits != 0 || talking->offer_given;
    if (talking->connect_at_ack || is_asked || is_changing(of)) return;
    if (showing.out || showing.glare || (!showing.waits && !showing.refresh)) return;
    if (showing.waits) showing.shown = std::exchange(showing.waits, std::nullopt);
    showing.out = showing.shown.value_or(exchange::ShowIdentity{});
    showing.refresh = false;
    auto headers = session_id(of);
    const bool is_trunk = of.device.kind == exchange::DeviceKind::trunk;
    const auto* trunk = is_trunk ? trunk_named(settings, of.device.name) : nullptr;
    const bool may_know = trunk == nullptr || trunk->trusted;
    // RFC 3325 §5: to others than our own phones only what is known to be so.
    const bool is_known =
        showing.shown && (!showing.shown->is_strangers_word || of.device.kind == exchange::DeviceKind::agent);
    if (is_known && may_know)
        headers.push_back({"P-Asserted-Identity", sip::to_text(name_of(settings, trunk, *showing.shown))});
    // RFC 6086 §4.2.1: each INVITE says again what is taken.
    if (of.device.kind == exchange::DeviceKind::site) headers.push_back({"Recv-Info", std::string(kSheafCall)});
    if (of.meeting && of.meeting->step == Meeting::Step::offered) of.meeting->is_out = true;
    // RFC 3264 §8: the same description, with the same version, is no new offer.
    ua.reinvite(now.mono, of.peer_dialog, of.described, headers);
}

// RFC 4028 §7.4: the same description once more.
void B2bua::Core::refresh(Stamp now, Leg& of) {
    of.showing.refresh = true;
    show_next(now, of);
}

void B2bua::Core::on_shown(Stamp now, Leg& of, const sip::Message& answer) {
    of.showing.out.reset();
    learn_from_site(of, answer);
    if (of.meeting && std::exchange(of.meeting->is_out, false)) return met(now, of, answer);
    auto* talking = std::get_if<Talking>(&of.peer);
    const auto sdp = sip::sdp_from_text(answer.body);
    if (talking != nullptr && !sdp && of.heard.empty())
        return misplaced(now, of, "its peer has not answered the offer");
    if (talking == nullptr || !sdp || same_media(answer.body, of.heard)) return show_next(now, of);
    talking->next_held = sip::is_hold(*sdp);
    const std::string heard = reachable(of, answer.body);
    if (std::holds_alternative<MediaStands>(of.media)) return apply(now, of, heard);
    of.heard = heard;
    static_cast<void>(anchor(now, of));
}

void B2bua::Core::on_show_failed(Stamp now, Leg& of, int status) {
    auto& showing = of.showing;
    showing.out.reset();
    const bool is_meeting = of.meeting && of.meeting->is_out;
    if (is_meeting) not_met(now, of, status);
    if (status == 491) {  // GlareOver follows
        showing.glare = true;
        if (!showing.waits) showing.waits = showing.shown;
        showing.refresh = !showing.waits;
        return;
    }
    if (is_meeting) return show_next(now, of);
    if (of.heard.empty()) return misplaced(now, of, "its peer does not come to the media server");
    if (!std::exchange(showing.refused, true)) {
        warn(showing.shown ? "a peer does not take who it talks to" : "a peer refuses to refresh its session",
             {{"leg", of.id.text()}, {"device", of.device.name}, {"status", std::to_string(status)}});
    }
    show_next(now, of);
}

}  // namespace sheaf::b2bua
