// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "b2bua/core.h"
#include "sip/sdp.h"

// Media end to end: what one leg's peer describes goes to the other's as it is, and no media server knows of the call.
// Whatever needs one (music, a recording, a third party, a hold) brings both legs there first, each by a re-INVITE with
// the media server's offer; it is a call like any other from then on.
namespace sheaf::b2bua {
namespace {

bool is_ipv6(const std::string& address) {
    return address.find(':') != std::string::npos;
}

}  // namespace

std::optional<bool> B2bua::Core::audio_is_ipv6(const sip::SessionDescription& sdp) {
    const auto* audio = sip::audio_of(sdp);
    if (audio == nullptr || sip::is_hold(sdp)) return std::nullopt;
    return is_ipv6(sip::address_of(sdp, *audio));
}

std::optional<bool> B2bua::Core::audio_is_ipv6(const std::string& text) {
    const auto sdp = sip::sdp_from_text(text);
    return sdp ? audio_is_ipv6(*sdp) : std::nullopt;
}

// Two legs behind different NATs, or of different IP versions, do not reach each other.
bool B2bua::Core::may_be_direct(Stamp now, const Leg& offered, const exchange::PlaceLeg& order) const {
    const auto* offer = std::get_if<Offered>(&offered.peer);
    if (offer == nullptr || !std::holds_alternative<NoMedia>(offered.media) || !offered.nat_address.empty())
        return false;
    const auto* binding =
        order.to.kind == exchange::DeviceKind::agent ? registrar.binding_of(order.to.name, now.mono) : nullptr;
    if (settings.nat && binding != nullptr && binding->behind_nat) return false;
    const auto next_hop = next_hop_of(order);
    return offer->ipv6 && next_hop && is_ipv6(next_hop->address) == *offer->ipv6;
}

void B2bua::Core::tie(Leg& offered, Leg& placed, const RoomId& room) {
    offered.media = Direct{placed.id};
    placed.media = Direct{offered.id};
    offered.was_direct = placed.was_direct = true;
    enter(offered, room);
    enter(placed, room);
}

// Where the two part, each needs a media server, once there is somebody to talk to.
void B2bua::Core::untie(Leg& of) {
    if (Leg* with = partner(of)) with->media = NoMedia{};
    if (std::holds_alternative<Direct>(of.media)) of.media = NoMedia{};
}

Leg* B2bua::Core::partner(const Leg& of) {
    const auto* direct = std::get_if<Direct>(&of.media);
    return direct == nullptr ? nullptr : leg(direct->other);
}

const Leg* B2bua::Core::partner(const Leg& of) const {
    const auto* direct = std::get_if<Direct>(&of.media);
    const auto with = direct == nullptr ? legs.end() : legs.find(direct->other);
    return with == legs.end() ? nullptr : &with->second;
}

bool B2bua::Core::lacks_media(const Leg& of) {
    const bool is_alone = std::holds_alternative<NoMedia>(of.media) && std::holds_alternative<Talking>(of.peer);
    return is_alone || std::holds_alternative<Direct>(of.media);
}

void B2bua::Core::early_direct(Stamp now, Leg& of, const std::string& sdp) {
    Leg* with = partner(of);
    if (with == nullptr || sdp.empty() || sdp == of.heard || !sip::sdp_from_text(sdp)) return;
    std::get<Calling>(of.peer).early = true;
    of.heard = sdp;
    // Else it is told to ring in a moment, and takes it along. One session has one answer: a second fork's waits.
    const auto* offered = std::get_if<Offered>(&with->peer);
    const bool is_new = offered != nullptr && offered->early.empty();
    if (is_new && !with->calluuid.empty()) say_early(now, *with, sdp);
}

void B2bua::Core::answered_direct(Stamp now, Leg& of) {
    auto& calling = std::get<Calling>(of.peer);
    PeerAnswer answer = *std::exchange(calling.answer, std::nullopt);
    if (!answer.sdp.empty()) of.heard = std::move(answer.sdp);
    const auto sdp = sip::sdp_from_text(of.heard);
    if (!sdp) {
        warn("answer without session description", {{"leg", of.id.text()}, {"to", of.device.name}});
        return fail_placed(now, of, {of.id, 488, {}, answer.event.message});
    }
    const bool is_alone = partner(of) == nullptr;
    Talking talking;
    talking.held = sip::is_hold(*sdp);
    of.peer = talking;
    const LegId id = of.id;
    talks(now, of, std::move(answer.event));
    Leg* still = is_alone ? leg(id) : nullptr;
    if (still != nullptr && !anchor(now, *still)) no_media(now, *still, 503);
}

// The peer offers something else, and a media server takes it up.
bool B2bua::Core::anchor_with_offer(Stamp now, Leg& of, const std::string& offer) {
    if (!servers.has_any(now.mono)) return false;
    std::get<Talking>(of.peer).offer = offer;
    return anchor(now, of);
}

bool B2bua::Core::anchor(Stamp now, Leg& of) {
    if (!servers.has_any(now.mono)) {
        warn("no media server for a call whose media went end to end", {{"leg", of.id.text()}});
        return false;
    }
    const LegId own = of.id;
    const LegId other = partner(of) == nullptr ? LegId() : partner(of)->id;
    untie(of);
    for (const LegId& id : {own, other}) {
        Leg* one = leg(id);
        if (one != nullptr && std::holds_alternative<NoMedia>(one->media)) ask_media_late(now, *one);
    }
    return leg(own) != nullptr;
}

// One that has not been answered is asked for as if it had never been direct; one that rings, once it answers.
void B2bua::Core::ask_media_late(Stamp now, Leg& of) {
    const auto* offered = std::get_if<Offered>(&of.peer);
    const bool is_told = offered != nullptr && !of.calluuid.empty();
    if (!is_told && !std::holds_alternative<Talking>(of.peer)) return;
    of.media_since.reset();
    of.tried.clear();
    const RoomId room = of.room;
    enter(of, {});
    ask_media(now, of, room);
}

// Somebody else comes into this room of a media server: who talks in it end to end comes, too.
void B2bua::Core::anchor_room(Stamp now, const RoomId& room) {
    if (room.empty()) return;
    std::vector<LegId> direct;
    for (const LegId& id : legs_in(room)) {
        Leg* one = leg(id);
        if (one == nullptr) continue;
        keep_at_media(now, *one);
        if (lacks_media(*one)) direct.push_back(id);
    }
    for (const LegId& id : direct) {
        Leg* one = leg(id);
        if (one != nullptr && lacks_media(*one)) static_cast<void>(anchor(now, *one));
    }
}

// It stands, for a peer that knows nothing of it yet.
void B2bua::Core::move_to_media(Stamp now, Leg& of) {
    auto& talking = std::get<Talking>(of.peer);
    if (!talking.offer.empty()) {
        of.heard = std::exchange(talking.offer, {});
        return applied(now, of);
    }
    of.described = as_described(of, std::get<MediaStands>(of.media).sdp);
    of.heard.clear();  // whatever it answers is to be applied
    of.showing.refresh = true;
    show_next(now, of);
}

namespace {

// RFC 3264 §8: never fewer m-lines, each of the kind it was: audio where there was audio, the others unused.
std::vector<sip::MediaSection> in_their_places(std::vector<sip::MediaSection> before, sip::MediaSection audio) {
    const auto is_audio = [](const sip::MediaSection& one) { return one.kind == "audio"; };
    auto place = std::ranges::find_if(before, [&](const auto& one) { return is_audio(one) && one.port != 0; });
    if (place == before.end()) place = std::ranges::find_if(before, is_audio);
    for (auto one = before.begin(); one != before.end(); ++one) {
        if (one == place) continue;
        one->port = 0;
        one->attributes.clear();
    }
    if (place == before.end()) {
        before.push_back(std::move(audio));
    } else {
        *place = std::move(audio);
    }
    return before;
}

}  // namespace

// RFC 3264 §8: to its peer it is the same session, in a later version, whoever described it before.
std::string B2bua::Core::as_described(const Leg& of, const std::string& text) {
    const auto before = of.was_direct ? sip::sdp_from_text(of.described) : fail(Errc::not_found, "none");
    auto sdp = sip::sdp_from_text(text);
    if (!before || !sdp) return text;
    sdp->origin_user = before->origin_user;
    sdp->origin_address = before->origin_address;
    sdp->session_id = before->session_id;
    sdp->session_version = before->session_version;
    if (sdp->media.size() == 1) sdp->media = in_their_places(before->media, std::move(sdp->media.front()));
    if (*sdp != *before) ++sdp->session_version;
    return sip::to_text(*sdp);
}

}  // namespace sheaf::b2bua
