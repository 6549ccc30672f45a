// SPDX-License-Identifier: Apache-2.0
#include "b2bua/b2bua.h"

#include <algorithm>
#include <utility>

#include "b2bua/core.h"
#include "b2bua/nat.h"
#include "b2bua/reason.h"
#include "b2bua/replaces.h"
#include "b2bua/sheaf_call.h"
#include "base/match.h"

namespace sheaf::b2bua {

namespace {

// Where among the trunk's addresses a registration that stands at one of `before` goes on; nullopt: nowhere.
std::optional<std::size_t> registered_at(const TrunkPeer& before, std::size_t address, const TrunkPeer& after) {
    const bool is_alike = before.registers == after.registers && before.account && after.account &&
                          before.account->user == after.account->user &&
                          before.account->password == after.account->password;
    const auto found = std::ranges::find(after.addresses, before.addresses[address]);
    if (!is_alike || found == after.addresses.end()) return std::nullopt;
    return static_cast<std::size_t>(found - after.addresses.begin());
}

Settings in_order(Settings settings) {
    std::ranges::sort(settings.agents, {}, &AgentAccount::dn);
    return settings;
}

}  // namespace

std::string B2bua::Core::reachable(const Leg& of, const std::string& sdp) {
    return of.nat_address.empty() ? sdp : with_reachable_address(sdp, of.nat_address);
}

B2bua::Core::Core(Settings given, sip::UserAgent& user_agent, const Entropy::Seed& seed)
    : settings(in_order(std::move(given))),
      ua(user_agent),
      entropy(seed),
      registrar(settings.site, entropy.token(32)),
      servers(settings.media.size()),
      notifier(ua, [this](const std::string& dn) { return lamp_of(dn); }) {
    know_peers();
    for (std::size_t i = 0; i < settings.media.size(); ++i) servers.set_down(i, !settings.media[i]);
}

Leg* B2bua::Core::leg(const LegId& id) {
    const auto it = legs.find(id);
    return it == legs.end() ? nullptr : &it->second;
}

void B2bua::Core::enter(Leg& of, const RoomId& room) {
    if (const auto left = in_rooms.find(of.room); left != in_rooms.end()) {
        left->second.erase(of.id);
        if (left->second.empty()) in_rooms.erase(left);
    }
    of.room = room;
    if (!room.empty()) in_rooms[room].insert(of.id);
}

const std::set<LegId>& B2bua::Core::legs_in(const RoomId& room) const {
    static const std::set<LegId> none;
    const auto found = in_rooms.find(room);
    return found == in_rooms.end() ? none : found->second;
}

Leg* B2bua::Core::leg_of(sip::DialogId dialog, bool is_media) {
    const auto it = dialogs.find(dialog);
    return it == dialogs.end() || it->second.is_media != is_media ? nullptr : leg(it->second.leg);
}

void B2bua::Core::watch(sip::DialogId dialog, const Leg& of, bool is_media) {
    dialogs[dialog] = {of.id, is_media};
    const auto view = dialog_watcher ? ua.view(dialog) : std::nullopt;
    if (view) dialog_watcher(of.id, view->call_id);
}

void B2bua::Core::forget(sip::DialogId dialog) {
    dialogs.erase(dialog);
}

void B2bua::Core::warn(std::string text, std::vector<std::pair<std::string, std::string>> fields) {
    logs.push_back({true, std::move(text), std::move(fields)});
}

std::vector<sip::Header> B2bua::Core::session_id(const Leg& of) const {
    if (of.session_local.empty()) return {};
    constexpr std::string_view kNoRemote = "00000000000000000000000000000000";
    std::string value;
    value.reserve(of.session_local.size() + kNoRemote.size() + 16);
    (value += of.session_local) += ";remote=";
    value += of.session_remote.empty() ? kNoRemote : of.session_remote;
    std::vector<sip::Header> headers;
    headers.push_back({"Session-ID", std::move(value)});
    return headers;
}

std::vector<sip::Header> B2bua::Core::call_headers(const Leg& of) const {
    auto headers = session_id(of);
    if (of.device.kind == exchange::DeviceKind::site && !of.calluuid.empty()) {
        headers.push_back({"X-Sheaf-Call", of.calluuid.text()});
    }
    return headers;
}

std::vector<sip::Header> B2bua::Core::response_headers(Leg& of) {
    auto headers = call_headers(of);
    if (of.device.kind != exchange::DeviceKind::site) return headers;
    if (!std::exchange(of.pivot_given, true)) of.pivot = entropy.token(kPivotTokenBytes);
    if (!of.pivot.empty()) {
        headers.push_back({"X-Sheaf-Pivot", "<sip:" + std::string(kPivotStart) + of.pivot + "@" + settings.host + ">"});
    }
    return headers;
}

void B2bua::Core::answer_peer(Stamp now, Leg& of, const std::string& sdp) {
    auto headers = response_headers(of);
    if (of.device.kind == exchange::DeviceKind::site) headers.push_back({"Recv-Info", std::string(kSheafCall)});
    of.described = sdp;
    ua.answer(now.mono, of.peer_dialog, sdp, headers);
}

void B2bua::Core::drop(Stamp now, const LegId& id, int status, std::string_view reason) {
    Leg* of = leg(id);
    if (of == nullptr) return;
    leave_meeting(now, *of);
    if (of->transfer && of->transfer->request != 0) ua.respond(now.mono, of->transfer->request, 481);
    for (const auto& segment : of->recordings) {
        // The BYE ends the others too, but does not say why.
        if (withdraw_recording(*of, segment) || of->why_ended == exchange::Cause::normal) continue;
        of->msml.emplace_back(MsmlEndRecord{segment, std::string(exchange::name_of(of->why_ended))});
    }
    flush_recordings(now, *of);
    leave_start(*of);
    leave_silences(now, *of);
    if (of->peer_dialog != 0 && dialogs.contains(of->peer_dialog)) {
        auto headers = call_headers(*of);
        if (status == 503) headers.push_back({"Retry-After", std::to_string(kRetryAfterSeconds)});
        if (std::holds_alternative<Offered>(of->peer)) {
            const bool is_strangers = of->device.kind == exchange::DeviceKind::stranger;
            ua.reject(now.mono, of->peer_dialog, status, headers, reason, is_strangers);
        } else {
            for (auto& header : reason_headers(of->why_ended)) headers.push_back(std::move(header));
            ua.release(now.mono, of->peer_dialog, status, headers);
        }
        forget(of->peer_dialog);
    }
    std::visit(Match{[](const NoMedia&) {}, [&](const Direct&) { untie(*of); },
                     [&](const auto& media) {
                         if (dialogs.contains(media.dialog)) ua.release(now.mono, media.dialog, 480);
                         forget(media.dialog);
                         servers.leave(of->place);
                     }},
               of->media);
    enter(*of, {});
    for (const auto request : {of->msml_request, of->site.request, of->referral ? of->referral->request : 0}) {
        requests.erase(request);
    }
    for (const auto timer :
         {LegTimer::media_answer, LegTimer::peer_answer, LegTimer::probe, LegTimer::site_probe, LegTimer::referred,
          LegTimer::msml_again, LegTimer::apply_again, LegTimer::meet, LegTimer::offer_expires}) {
        timers.set({id, timer}, std::nullopt);
    }
    if (dialog_watcher) dialog_watcher(id, {});
    shows(now, *of, Lamp::idle);
    count(*of, false);
    legs.erase(id);
}

void B2bua::Core::on_responded(Stamp now, Leg& of, const sip::Responded& responded) {
    if (responded.id == of.msml_request) return on_msml_result(now, of, responded);
    if (responded.id == of.site.request) return on_told(now, of, responded);
    if (of.referral && responded.id == of.referral->request) on_referred(now, of, responded);
}

void B2bua::Core::on_timer(Stamp now, const LegId& id, LegTimer timer) {
    if (timer == LegTimer::erase_again) return erase_again(now, SegmentId(id.text()));
    Leg* of = leg(id);
    if (of == nullptr) return;
    switch (timer) {
        case LegTimer::media_answer: return on_media_silent(now, *of);
        case LegTimer::peer_answer: return on_peer_silent(now, *of);
        case LegTimer::meet: return meet_when_idle(now);
        case LegTimer::offer_expires: return on_offer_expired(now, *of);
        case LegTimer::referred: of->referral_left = true; return end_referral(*of, 408);
        case LegTimer::msml_again: of->msml_waits = false; return send_next(now, *of);
        case LegTimer::apply_again:
            if (const auto* media = std::get_if<MediaStands>(&of->media); media != nullptr && media->applying)
                ua.reinvite(now.mono, media->dialog, media->offered);
            return;
        case LegTimer::site_probe: return probe(now, *of, timer, of->peer_dialog, kSiteProbe);
        case LegTimer::probe:
            if (const auto* media = std::get_if<MediaStands>(&of->media))
                probe(now, *of, timer, media->dialog, kMediaProbe);
            return;
        case LegTimer::erase_again: return;
    }
}

// A 481 or silence ends the dialog (Ended), which ends the leg: no call goes on without its media server, nor with a
// site that has forgotten it, or that is cut off.
void B2bua::Core::probe(Stamp now, const Leg& of, LegTimer timer, sip::DialogId dialog, Duration again) {
    static_cast<void>(ua.request(now.mono, dialog, "OPTIONS", session_id(of)));
    timers.set({of.id, timer}, now.mono + again);
}

sip::UserAgentOptions options_of_switch() {
    sip::UserAgentOptions options;
    options.contact_user = "switch";
    options.allow = {"INVITE", "ACK",  "BYE",    "CANCEL", "OPTIONS", "REGISTER",
                     "REFER",  "INFO", "NOTIFY", "PRACK",  "UPDATE",  "SUBSCRIBE"};
    options.supported = {"100rel", "norefersub", "path", "replaces", "timer"};
    options.transactions_max = kTransactionsMax;
    return options;
}

B2bua::B2bua(Settings settings, sip::UserAgent& user_agent, const Entropy::Seed& seed)
    : core_(std::make_unique<Core>(std::move(settings), user_agent, seed)) {}
B2bua::~B2bua() = default;
B2bua::B2bua(B2bua&&) noexcept = default;

void B2bua::handle(Stamp now, const sip::Event& event) {
    core_->handle(now, event);
    core_->meet_when_idle(now);
}

void B2bua::Core::handle(Stamp now, const sip::Event& event) {
    Core& core = *this;
    const auto peer = [&](sip::DialogId dialog) { return core.leg_of(dialog, false); };
    const auto media = [&](sip::DialogId dialog) { return core.leg_of(dialog, true); };
    std::visit(Match{[&](const sip::Invited& e) { core.on_invited(now, e); },
                     [&](const sip::Progressed& e) {
                         if (auto* leg = peer(e.dialog)) core.on_progressed(now, *leg, e.response);
                     },
                     [&](const sip::Answered& e) {
                         if (auto* leg = media(e.dialog)) return core.on_media_answered(now, *leg, e);
                         auto* leg = peer(e.dialog);
                         if (leg == nullptr) return;
                         if (e.reinvite) return core.on_shown(now, *leg, e.response);
                         core.on_answered(now, *leg, e.response);
                     },
                     [&](const sip::Failed& e) {
                         if (auto* leg = media(e.dialog)) return core.on_media_failed(now, *leg, e);
                         auto* leg = peer(e.dialog);
                         if (leg == nullptr) return;
                         if (e.reinvite) return core.on_show_failed(now, *leg, e.status);
                         core.on_refused(now, *leg, e);
                     },
                     [&](const sip::Acknowledged& e) {
                         if (auto* leg = peer(e.dialog)) core.on_acknowledged(now, *leg, e.request);
                     },
                     [&](const sip::Reinvited& e) {
                         if (auto* leg = peer(e.dialog)) return core.on_reinvited(now, *leg, e.request);
                         core.ua.reject(now.mono, e.dialog, 488);  // a media server does not ask for other media
                     },
                     [&](const sip::RefreshDue& e) {
                         if (auto* leg = peer(e.dialog)) core.refresh(now, *leg);
                     },
                     [&](const sip::GlareOver& e) {
                         if (auto* leg = peer(e.dialog)) {
                             leg->showing.glare = false;
                             return core.show_next(now, *leg);
                         }
                         auto* leg = media(e.dialog);
                         if (leg == nullptr) return;
                         const auto* stands = std::get_if<MediaStands>(&leg->media);
                         if (stands != nullptr && stands->applying)
                             core.ua.reinvite(now.mono, e.dialog, stands->offered);
                     },
                     [&](const sip::Ended& e) {
                         if (auto* leg = media(e.dialog)) {
                             core.forget(e.dialog);
                             return core.media_lost(now, *leg);
                         }
                         if (auto* leg = peer(e.dialog)) core.on_peer_ended(now, *leg, e);
                     },
                     [&](const sip::Requested& e) { core.on_requested(now, e); },
                     [&](const sip::Responded& e) {
                         const auto it = core.requests.find(e.id);
                         if (it == core.requests.end()) {
                             if (core.on_asked(now, e) || core.on_registered(now, e)) return;
                             if (core.notifier.on_responded(now.mono, e)) return;
                             core.on_started(e);
                             return core.on_erased(now, e);
                         }
                         const LegId id = it->second;
                         core.requests.erase(it);
                         if (auto* leg = core.leg(id)) core.on_responded(now, *leg, e);
                     }},
               event);
}

void B2bua::carry_out(Stamp now, const exchange::Effect& effect) {
    Core& core = *core_;
    const auto with_leg = [&](const auto& order, auto&& action) {
        if (Leg* leg = core.leg(order.leg)) action(*leg);
    };
    std::visit(
        Match{
            [&](const exchange::RingLeg& e) { with_leg(e, [&](Leg& leg) { core.ring(now, leg, e); }); },
            [&](const exchange::AnswerLeg& e) { with_leg(e, [&](Leg& leg) { core.answer(now, leg, e); }); },
            [&](const exchange::RejectLeg& e) {
                with_leg(e, [&](Leg& leg) {
                    if (!e.calluuid.empty()) leg.calluuid = e.calluuid;
                    core.drop(now, e.leg, e.status, e.reason);
                });
            },
            [&](const exchange::PlaceLeg& e) { core.place(now, e); },
            [&](const exchange::EndLeg& e) {
                with_leg(e, [&](Leg& leg) {
                    leg.why_ended = e.cause;
                    core.drop(now, e.leg, e.status == 0 ? 480 : e.status);
                });
            },
            [&](const exchange::MoveLeg& e) { with_leg(e, [&](Leg& leg) { core.move(now, leg, e.room); }); },
            [&](const exchange::StartPlay& e) { with_leg(e, [&](Leg& leg) { core.start_play(now, leg, e); }); },
            [&](const exchange::StopPlay& e) { with_leg(e, [&](Leg& leg) { core.stop_play(now, leg, e); }); },
            [&](const exchange::StartRecording& e) {
                if (Leg* leg = core.leg(e.leg)) return core.start_recording(now, *leg, e);
                core.events.emplace_back(exchange::RecordingFailed{e.leg, e.segment, "the leg is gone"});
            },
            [&](const exchange::StopRecording& e) { with_leg(e, [&](Leg& leg) { core.stop_recording(now, leg, e); }); },
            [&](const exchange::AcceptTransfer& e) { with_leg(e, [&](Leg& leg) { core.accept_transfer(now, leg); }); },
            [&](const exchange::RefuseTransfer& e) {
                with_leg(e, [&](Leg& leg) { core.refuse_transfer(now, leg, e); });
            },
            [&](const exchange::TransferResult& e) {
                with_leg(e, [&](Leg& leg) { core.tell_transfer(now, leg, e.status); });
            },
            [&](const exchange::BindRoom& e) {
                core.anchor_room(now, e.near);
                core.servers.bind(e.room, e.near);
            },
            [&](const exchange::MeetLegs& e) { with_leg(e, [&](Leg& leg) { core.meet(now, leg, e.other); }); },
            [&](const exchange::SilenceRecording& e) {
                Leg* leg = core.leg(e.leg);
                if (leg != nullptr && leg->recordings.contains(e.segment)) return core.silence(now, *leg, e);
                core.erase_ended(now, e.leg, {e.segment, e.silence, e.back_ms, now.mono, e.is_over});
            },
            [&](const exchange::ResumeRecording& e) { with_leg(e, [&](Leg& leg) { core.resume(now, leg, e); }); },
            [&](const exchange::CollectDigits& e) { with_leg(e, [&](Leg& leg) { core.collect(now, leg, e.on); }); },
            [&](const exchange::ReferLeg& e) { with_leg(e, [&](Leg& leg) { core.refer(now, leg, e); }); },
            [&](const exchange::TellLeg& e) { with_leg(e, [&](Leg& leg) { core.tell(now, leg, e); }); },
            [&](const exchange::ShowIdentity& e) { with_leg(e, [&](Leg& leg) { core.show(now, leg, e); }); },
            [&](const exchange::TellToAnswer& e) { with_leg(e, [&](Leg& leg) { core.tell_to_answer(now, leg); }); },
            [](const exchange::TellPause&) {},
            [](const exchange::ConfirmPause&) {},
            [](const exchange::SayFact&) {},
            [](const exchange::CtiReply&) {},
            [](const exchange::CtiEvent&) {},
            [](const exchange::TellReadiness&) {},
            [](const exchange::Log&) {}},
        effect);
}

void B2bua::tick(Stamp now) {
    while (const auto due = core_->timers.pop_due(now.mono)) core_->on_timer(now, due->first, due->second);
    while (const auto due = core_->standing.pop_due(now.mono)) {
        if (due->second == Standing::ask) core_->ask(now, due->first);
        if (due->second == Standing::keep_alive) core_->keep_alive(now, due->first);
        if (due->second == Standing::registration) core_->send_register(now, due->first, kRegisterSeconds);
    }
    core_->notifier.tick(now.mono);
}

void B2bua::start(Stamp now) {
    core_->has_started = true;
    for (const auto& media : core_->settings.media) {
        if (media) core_->release_former(now, *media);
    }
    core_->watch_peers(now);
    core_->register_with_trunks(now);
}

void B2bua::leave(Stamp now) {
    while (!core_->registrations.empty()) core_->unregister(now, core_->registrations.begin()->first);
    core_->notifier.end_all(now.mono);
}

std::optional<Instant> B2bua::next_deadline() const {
    std::optional<Instant> first;
    for (const auto next : {core_->timers.next(), core_->standing.next(), core_->notifier.next_deadline()}) {
        if (next && (!first || *next < *first)) first = next;
    }
    return first;
}

std::vector<exchange::Event> B2bua::take_events() {
    return std::exchange(core_->events, {});
}

std::vector<exchange::Log> B2bua::take_logs() {
    return std::exchange(core_->logs, {});
}

void B2bua::watch_dialogs(std::function<void(const LegId& leg, std::string_view call_id)> watcher) {
    core_->dialog_watcher = std::move(watcher);
}

void B2bua::reload(Stamp now, Settings settings) {
    std::vector<std::string> gone;
    std::vector<std::pair<Registration*, std::size_t>> kept;
    for (auto& [name, registration] : core_->registrations) {
        const auto* before = trunk_named(core_->settings, name);
        const auto* after = trunk_named(settings, name);
        const auto address =
            before == nullptr || after == nullptr ? std::nullopt : registered_at(*before, registration.address, *after);
        if (address)
            kept.emplace_back(&registration, *address);
        else
            gone.push_back(name);
    }
    for (const auto& name : gone) core_->unregister(now, name);
    for (const auto& [registration, address] : kept) registration->address = address;
    auto media = std::move(core_->settings.media);
    std::swap(settings.media, media);
    core_->settings = in_order(std::move(settings));
    core_->find_media(now, media);
    core_->know_peers();
    core_->notifier.drop_if(now.mono,
                            [&](const std::string& dn) { return agent_with(core_->settings, dn) == nullptr; });
    if (!core_->has_started) return;
    core_->watch_peers(now);
    core_->register_with_trunks(now);
}

B2bua::Counts B2bua::counts() const {
    return {core_->legs.size(),     core_->dialogs.size(),
            core_->servers.rooms(), core_->requests.size() + core_->starting.size() + core_->erasing.size(),
            core_->timers.size(),   core_->lit.size()};
}

}  // namespace sheaf::b2bua
