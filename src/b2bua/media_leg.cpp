// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "b2bua/core.h"
#include "base/match.h"
#include "sip/sdp.h"
#include "sip/transaction.h"

// The dialog with the media server: begun, negotiated, lost.
namespace sheaf::b2bua {
namespace {

constexpr int kNoMedia = 503;

// The answer that keeps an offer waiting: every codec accepted, nothing flows (RFC 3264 §6.1).
Result<std::string> inactive_answer(const std::string& offer) {
    TRY(const auto sdp, sip::sdp_from_text(offer));
    const auto* audio = sip::audio_of(sdp);
    if (audio == nullptr) return fail(Errc::unsupported, "no audio");
    sip::LocalMedia local;
    local.address = sip::address_of(sdp, *audio).find(':') == std::string::npos ? "0.0.0.0" : "::";
    local.port = 9;  // discard: nothing may come here
    local.codecs = audio->codecs;
    local.direction = sip::Direction::inactive;
    TRY(const auto answer, sip::make_answer(sdp, local, 1, 1));
    return sip::to_text(answer);
}

// What the peer offers to whoever answers it; empty: it waits for our offer.
std::string offer_of(const Leg& of) {
    if (const auto* offered = std::get_if<Offered>(&of.peer)) return offered->offer;
    const auto* talking = std::get_if<Talking>(&of.peer);
    return talking == nullptr ? std::string() : talking->offer;
}

// Whether the peer's latest description puts us on hold.
bool is_held(const Leg& of) {
    const auto sdp = sip::sdp_from_text(of.heard);
    return sdp && sip::is_hold(*sdp);
}

}  // namespace

void B2bua::Core::ask_media(Stamp now, Leg& of, const RoomId& room) {
    if (!of.media_since) of.media_since = now.mono;
    const bool is_late = now.mono - *of.media_since >= kMediaTriesMax;
    const auto server = is_late ? std::nullopt : servers.enter(room, of.tried, now.mono);
    if (!server) return no_media(now, of, kNoMedia);
    enter(of, room);
    of.place = room;
    sip::Invitation invitation;
    const auto& address = *settings.media[*server];  // one without gets no legs
    invitation.target = address.uri;
    invitation.next_hop = address.at;
    invitation.target.user = room.empty() ? "msml" : "msml=" + room.text();
    // It begins where it is to be by now; moves that waited for an earlier server are done with.
    std::erase_if(of.msml, [](const MsmlCommand& command) {
        return std::holds_alternative<MsmlJoin>(command) || std::holds_alternative<MsmlUnjoin>(command);
    });
    invitation.from.uri = our_uri("switch");
    invitation.to.uri = invitation.target;
    invitation.to.uri.params = {};
    invitation.headers = session_id(of);
    if (!settings.node.empty()) {
        invitation.headers.push_back({"X-Sheaf-Switch", settings.site + "/" + settings.node + ";boot=" + boot});
    }
    invitation.session_timer = false;  // it is probed
    if (const auto offer = offer_of(of); !offer.empty()) {
        invitation.content_type = "application/sdp";
        invitation.body = offer;
    }
    const auto dialog = ua.invite(now.mono, invitation);
    of.media = MediaAsked{dialog, *server};
    watch(dialog, of, true);
    timers.set({of.id, LegTimer::media_answer}, now.mono + kMediaAnswerMax);
    anchor_room(now, room);
}

void B2bua::Core::on_media_silent(Stamp now, Leg& of) {
    const auto* asked = std::get_if<MediaAsked>(&of.media);
    if (asked == nullptr) return;
    ua.release(now.mono, asked->dialog, 480);
    on_media_failed(now, of, {asked->dialog, 408, std::nullopt, false});
}

void B2bua::Core::on_media_failed(Stamp now, Leg& of, const sip::Failed& failed) {
    if (auto* stands = std::get_if<MediaStands>(&of.media)) {
        if (failed.status == 491) {  // GlareOver follows, and the re-INVITE anew
            // A media server has no offers of its own: it has not had our ACK yet. That is no matter of seconds.
            const bool is_late_ack = failed.response && !std::exchange(stands->applied_again, true);
            if (is_late_ack) timers.set({of.id, LegTimer::apply_again}, now.mono + kApplyAgain);
            return;
        }
        stands->applying = false;
        return apply_failed(now, of, failed.status);
    }
    const auto* asked = std::get_if<MediaAsked>(&of.media);
    if (asked == nullptr) return;
    timers.set({of.id, LegTimer::media_answer}, std::nullopt);
    const auto server = asked->server;
    forget(asked->dialog);
    of.media = NoMedia{};
    const RoomId room = of.room;
    servers.leave(std::exchange(of.place, {}));
    if (failed.status == sip::kOwnLimit && !failed.response)
        return no_media(now, of, 503);  // the server has not been asked
    of.tried.push_back(server);
    if (failed.status == 488 || failed.status == 415 || failed.status == 606) return no_media(now, of, 488);
    if (!failed.response) {
        servers.set_aside(server, now.mono);
        warn("media server does not answer", {{"media", to_text(*settings.media[server])},
                                              {"leg", of.id.text()},
                                              {"aside_ms", std::to_string(to_ms(kMediaAside))}});
    } else {
        warn("media server refuses a leg", {{"media", to_text(*settings.media[server])},
                                            {"leg", of.id.text()},
                                            {"status", std::to_string(failed.status)}});
    }
    const LegId id = of.id;
    const auto others = ask_elsewhere(now, room, server);
    ask_media(now, of, room);
    for (const LegId& other : others) {  // unless the first has brought it along
        Leg* one = leg(other);
        if (one != nullptr && other != id && std::holds_alternative<NoMedia>(one->media)) ask_media(now, *one, room);
    }
}

// Nobody stands in the room yet, and its server does not take who comes: those who have asked it as well do so no more.
std::vector<LegId> B2bua::Core::ask_elsewhere(Stamp now, const RoomId& room, std::size_t server) {
    std::vector<LegId> asking;
    if (room.empty()) return asking;
    for (const LegId& id : legs_in(room)) {
        const Leg* one = leg(id);
        if (one == nullptr || std::holds_alternative<MediaStands>(one->media)) return {};
        const auto* asked = std::get_if<MediaAsked>(&one->media);
        if (asked != nullptr && asked->server == server) asking.push_back(id);
    }
    for (const LegId& id : asking) {
        Leg& one = *leg(id);
        const auto dialog = std::get<MediaAsked>(one.media).dialog;
        ua.release(now.mono, dialog, 480);
        forget(dialog);
        timers.set({id, LegTimer::media_answer}, std::nullopt);
        one.media = NoMedia{};
        one.tried.push_back(server);
        servers.leave(std::exchange(one.place, {}));
    }
    return asking;
}

void B2bua::Core::no_media(Stamp now, Leg& of, int status) {
    warn(status == 488 ? "no codec in common with the media server" : "no media server for a leg",
         {{"leg", of.id.text()}, {"device", of.device.name}, {"status", std::to_string(status)}});
    if (std::holds_alternative<Preparing>(of.peer)) return fail_placed(now, of, {of.id, status, {}, {}});
    if (refuse_waiting(now, of, status)) return ask_media_late(now, of);
    events.emplace_back(exchange::LegEnded{of.id, exchange::Cause::failed, {}});
    drop(now, of.id, status);
}

void B2bua::Core::on_media_answered(Stamp now, Leg& of, const sip::Answered& answered) {
    const auto& body = answered.response.body;
    if (auto* stands = std::get_if<MediaStands>(&of.media)) {
        if (!answered.reinvite) return;
        stands->applying = false;
        stands->sdp = body;
        of.heard = stands->offered;
        return applied(now, of);
    }
    const auto* asked = std::get_if<MediaAsked>(&of.media);
    if (asked == nullptr) return;
    timers.set({of.id, LegTimer::media_answer}, std::nullopt);
    const auto dialog = answered.dialog;
    const bool they_offer = offer_of(of).empty();
    of.media = MediaStands{dialog, asked->server, sip::tag_of(answered.response, "To"), body, {}, false};
    if (they_offer) {
        const auto answer = inactive_answer(body);
        if (!answer) return no_media(now, of, 488);
        ua.ack(now.mono, dialog, "application/sdp", *answer);
    }
    timers.set({of.id, LegTimer::probe}, now.mono + kMediaProbe);
    media_stands(now, of);
}

void B2bua::Core::media_stands(Stamp now, Leg& of) {
    const LegId id = of.id;
    send_next(now, of);
    if (std::holds_alternative<Preparing>(of.peer)) return call_peer(now, of);
    if (std::holds_alternative<Talking>(of.peer)) return move_to_media(now, of);
    tell_early(now, of.room);
    answer_if_ready(now, of);
}

void B2bua::Core::apply(Stamp now, Leg& of, const std::string& sdp) {
    keep_at_media(now, of);
    auto* media = std::get_if<MediaStands>(&of.media);
    if (media == nullptr) return;
    media->applying = true;
    media->applied_again = false;
    media->offered = sdp;
    ua.reinvite(now.mono, media->dialog, sdp);
}

void B2bua::Core::applied(Stamp now, Leg& of) {
    std::visit(Match{[](const Offered&) {}, [](const Preparing&) {},
                     [&](OfferSent&) {
                         Talking talking;
                         talking.held = is_held(of);
                         of.peer = talking;
                         talks(now, of, exchange::LegConnected{of.id, of.invite});
                     },
                     [&](Calling& calling) {
                         if (!calling.answer) return tell_early(now, of.room);
                         if (!calling.answer_applied && !calling.answer->sdp.empty()) {
                             calling.answer_applied = true;
                             const std::string sdp = calling.answer->sdp;
                             return apply(now, of, sdp);
                         }
                         auto event = std::move(calling.answer->event);
                         Talking talking;
                         talking.held = is_held(of);
                         of.peer = talking;
                         talks(now, of, std::move(event));
                     },
                     [&](Talking& talking) {
                         const std::string sdp = as_described(of, std::get<MediaStands>(of.media).sdp);
                         if (std::exchange(talking.reinvite_waits, false)) answer_peer(now, of, sdp);
                         if (const auto update = std::exchange(talking.update_waits, 0)) {
                             of.described = sdp;
                             ua.respond(now.mono, update, 200, response_headers(of), "application/sdp", sdp);
                         }
                         const auto held = std::exchange(talking.next_held, std::nullopt);
                         if (held && *held != talking.held) {
                             talking.held = *held;
                             if (*held) {
                                 events.emplace_back(exchange::LegHeld{of.id});
                             } else {
                                 events.emplace_back(exchange::LegRetrieved{of.id});
                             }
                         }
                         show_next(now, of);
                     }},
               of.peer);
}

// RFC 3261 §14.2: the session stays as it was. True: it was a media server's first, and another offer may do.
bool B2bua::Core::refuse_waiting(Stamp now, Leg& of, int status) {
    auto* talking = std::get_if<Talking>(&of.peer);
    if (talking == nullptr) return false;
    talking->next_held.reset();
    if (std::exchange(talking->reinvite_waits, false)) ua.reject(now.mono, of.peer_dialog, status);
    if (const auto update = std::exchange(talking->update_waits, 0)) ua.respond(now.mono, update, status);
    return !std::exchange(talking->offer, {}).empty();
}

void B2bua::Core::apply_failed(Stamp now, Leg& of, int status) {
    const int told = status == 503 ? 503 : 488;
    if (std::holds_alternative<Talking>(of.peer)) {
        refuse_waiting(now, of, told);
        // It has come to the media server, whose offer its peer has taken, and hears nobody there.
        if (of.heard.empty()) return misplaced(now, of, "the media server refuses its peer's description");
        return show_next(now, of);
    }
    warn("media server refuses a peer's session description",
         {{"leg", of.id.text()}, {"device", of.device.name}, {"status", std::to_string(status)}});
    if (const auto* calling = std::get_if<Calling>(&of.peer)) {
        if (!calling->answer) {  // early media only: it may still answer well, and with another description
            std::get<Calling>(of.peer).early = false;
            std::get<MediaStands>(of.media).offered.clear();
            return;
        }
        if (!calling->answer_applied) return applied(now, of);
        return fail_placed(now, of, {of.id, told, calling->answer->event.peer_call, calling->answer->event.message});
    }
    events.emplace_back(exchange::LegEnded{of.id, exchange::Cause::failed, {}});
    drop(now, of.id, told);
}

void B2bua::Core::lose_recordings(Stamp now, Leg& of, const std::string& why) {
    for (const auto& segment : std::exchange(of.recordings, {})) {
        recording_ended(now, of, segment);
        events.emplace_back(exchange::RecordingFailed{of.id, segment, why});
    }
}

void B2bua::Core::media_lost(Stamp now, Leg& of) {
    warn("media server has lost a leg", {{"leg", of.id.text()}, {"device", of.device.name}});
    lose_recordings(now, of, "the media server is gone");
    if (std::holds_alternative<Preparing>(of.peer) || std::holds_alternative<Calling>(of.peer)) {
        return fail_placed(now, of, {of.id, kNoMedia, {}, {}});
    }
    events.emplace_back(exchange::LegEnded{of.id, exchange::Cause::lost_control, {}});
    drop(now, of.id, kNoMedia);
}

}  // namespace sheaf::b2bua
