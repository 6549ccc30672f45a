// SPDX-License-Identifier: Apache-2.0
#include "mediactl/media_control.h"

#include <algorithm>
#include <ranges>
#include <tuple>
#include <utility>

#include "base/assert.h"
#include "base/match.h"

// SIP: legs come, change and go.
namespace sheaf::mediactl {
namespace {

constexpr std::string_view kRetryAfterSeconds = "5";
constexpr std::string_view kMethods = "INVITE, ACK, BYE, CANCEL, INFO, MESSAGE, OPTIONS";
constexpr std::string_view kLostControl = "lost-control";
constexpr std::uint8_t kPcmu = 0;  // RFC 3551 §6
constexpr std::uint8_t kPcma = 8;
constexpr std::uint8_t kTelephoneEvent = 101;

std::vector<sip::Codec> our_codecs() {
    return {
        {.payload_type = kPcmu, .name = "PCMU", .clock_hz = 8'000, .channels = 1, .fmtp = {}},
        {.payload_type = kPcma, .name = "PCMA", .clock_hz = 8'000, .channels = 1, .fmtp = {}},
        {.payload_type = kTelephoneEvent, .name = "telephone-event", .clock_hz = 8'000, .channels = 1, .fmtp = "0-15"}};
}

bool is_sdp(const sip::Message& request) {
    const std::string* type = request.first("Content-Type");
    return type != nullptr && type->starts_with("application/sdp");
}

// Our segments are self-describing by RFC 3551's numbers: G.711 under another one is not taken.
void keep_static_g711(sip::SessionDescription& sdp) {
    for (sip::MediaSection& section : sdp.media) {
        std::erase_if(section.codecs, [](const sip::Codec& codec) {
            const bool is_speech = sip::same_codec(codec, our_codecs()[0]) || sip::same_codec(codec, our_codecs()[1]);
            return is_speech && codec.payload_type != kPcmu && codec.payload_type != kPcma;
        });
    }
}

bool is_ipv6(const std::string& address) {
    return address.find(':') != std::string::npos;
}

bool is_active(const media::LegMedia& media) {
    return media.we_send || media.we_receive;
}

// "msml" is no room, "msml=ROOM" a room; anything else is nobody here.
std::optional<RoomId> room_of(const sip::Uri& uri) {
    if (uri.user == "msml") return RoomId();
    if (!uri.user.starts_with("msml=")) return std::nullopt;
    const std::string name = uri.user.substr(5);
    if (!is_room_name(name)) return std::nullopt;
    return RoomId(name);
}

// X-Sheaf-Switch: SITE/NODE;boot=TOKEN
std::pair<std::string, std::string> owner_of(const sip::Message& invite) {
    constexpr std::string_view kBoot = ";boot=";
    const std::string* text = invite.first("X-Sheaf-Switch");
    const auto at = text == nullptr || text->size() > kIdMax ? std::string::npos : text->find(kBoot);
    if (at == std::string::npos) return {};
    return {text->substr(0, at), text->substr(at + kBoot.size())};
}

std::string_view cause_of(sip::EndCause cause) {
    switch (cause) {
        case sip::EndCause::bye: return "normal";
        case sip::EndCause::cancelled: return "cancelled";
        case sip::EndCause::no_ack:
        case sip::EndCause::timed_out:
        case sip::EndCause::expired:
        case sip::EndCause::gone: return kLostControl;
    }
    return "failed";
}

}  // namespace

sip::UserAgentOptions options_of_media_server() {
    sip::UserAgentOptions options;
    options.contact_user = "msml";
    for (const auto method : std::views::split(kMethods, std::string_view(", ")))
        options.allow.emplace_back(std::string_view(method));
    return options;
}

MediaControl::MediaControl(MediaControlSettings settings, MediaResources& resources)
    : settings_(std::move(settings)), resources_(resources) {}

std::vector<Effect> MediaControl::handle(const Stamp& now, const sip::Event& event, const std::string& local_tag) {
    std::visit(Match{[&](const sip::Invited& e) { on_invited(now, e, local_tag); },
                     [&](const sip::Reinvited& e) {
                         heard(now, e.dialog);
                         on_reinvited(e);
                     },
                     [&](const sip::Acknowledged& e) {
                         heard(now, e.dialog);
                         on_acknowledged(e);
                     },
                     [&](const sip::Ended& e) { on_ended(e); }, [&](const sip::Requested& e) { on_requested(now, e); },
                     // Of requests that we do not send, or whose answer changes nothing: an INFO that got 481 or
                     // nothing ends the dialog, which is said as Ended.
                     [](const sip::Progressed&) {}, [](const sip::Answered&) {}, [](const sip::Failed&) {},
                     [](const sip::RefreshDue&) {}, [](const sip::GlareOver&) {}, [](const sip::Responded&) {}},
               event);
    return std::exchange(effects_, {});
}

bool MediaControl::is_allowed(const std::string& address) const {
    return sip::is_loopback(address) || std::ranges::find(settings_.allow, address) != settings_.allow.end();
}

void MediaControl::reject(sip::DialogId dialog, int status, const std::string& reason, const LegId& leg) {
    std::vector<sip::Header> headers;
    if (status == 503) headers.push_back({"Retry-After", std::string(kRetryAfterSeconds)});
    put(Complain{"refused a leg", leg.text(), std::to_string(status) + " " + reason});
    put(RejectInvite{dialog, status, std::move(headers), {}});
}

MediaControl::Leg* MediaControl::of_dialog(sip::DialogId dialog) {
    const auto found = dialogs_.find(dialog);
    return found == dialogs_.end() ? nullptr : of_id(found->second);
}

MediaControl::Leg* MediaControl::of_id(const LegId& id) {
    const auto found = legs_.find(id);
    return found == legs_.end() ? nullptr : &found->second;
}

// Whether the leg may be in the room with its media like that.
bool MediaControl::has_place(const RoomId& room, const Leg& leg, bool active) const {
    const auto found = rooms_.find(room);
    if (room.empty() || found == rooms_.end()) return true;
    const std::set<LegId>& legs = found->second.legs;
    if (!legs.contains(leg.id) && legs.size() >= media::kLegsInRoomMax) return false;
    if (!active) return true;
    const auto others =
        std::ranges::count_if(legs, [&](const LegId& id) { return id != leg.id && legs_.at(id).active; });
    return static_cast<std::size_t>(others) < media::kActiveLegsInRoomMax;
}

void MediaControl::on_invited(const Stamp& now, const sip::Invited& event, const std::string& local_tag) {
    const auto room = room_of(event.request.uri());
    const bool has_offer = !event.request.body.empty();
    if (!is_allowed(event.source.remote.address))
        return reject(event.dialog, 403, "from " + event.source.remote.address);
    if (!room) return reject(event.dialog, 404, "asked for " + event.request.uri().user);
    if (has_offer && !is_sdp(event.request)) return reject(event.dialog, 415, "a body that is no SDP");
    if (legs_.size() >= settings_.legs_max) return reject(event.dialog, 503, "too many legs");

    Leg leg;
    leg.id = LegId(local_tag);
    leg.dialog = event.dialog;
    std::tie(leg.owner, leg.boot) = owner_of(event.request);
    leg.from = event.source.remote.address;
    leg.session_id = static_cast<std::uint64_t>(to_unix_ms(now.wall));
    leg.version = 1;
    leg.local = {.address = settings_.sdp_address, .port = 9, .codecs = our_codecs()};
    // All that can be wrong with the offer is found before a port is taken.
    std::optional<Agreed> agreed;
    if (has_offer) {
        auto answer = answer_to(leg, event.request.body);
        if (!answer) {
            const int status = answer.error().code == Errc::malformed ? 400 : 488;
            return reject(event.dialog, status, answer.error().what, leg.id);
        }
        agreed = std::move(*answer);
    }
    if (!has_place(*room, leg, agreed && is_active(agreed->media))) {
        return reject(event.dialog, 503, "no place in room " + room->text(), leg.id);
    }
    auto ports = resources_.allocate_ports();
    if (!ports) return reject(event.dialog, 503, ports.error().what, leg.id);
    if (leg.local.address.empty()) leg.local.address = ports->address;
    leg.local.port = ports->port;
    put(Order{media::AddLeg{leg.id, ports->rtp_socket, ports->rtcp_socket}});
    Leg& added = legs_[leg.id] = std::move(leg);
    dialogs_[event.dialog] = added.id;
    heard(now, event.dialog);

    if (agreed) {
        auto answer = answer_to(added, event.request.body);  // anew, with the port
        if (!answer) {
            reject(event.dialog, 488, answer.error().what, added.id);
            return remove(added, "failed");
        }
        agreed = std::move(*answer);
        added.ours = std::move(agreed->ours);
        added.active = is_active(agreed->media);
        put(Order{media::ConfigureLeg{added.id, std::move(agreed->media)}});
    } else {
        added.ours = sip::make_offer(added.local, added.session_id, added.version);
        added.answer_due = true;
    }
    if (!room->empty()) enter(added, *room);
    put(AnswerInvite{event.dialog, sip::to_text(added.ours)});
}

Result<MediaControl::Agreed> MediaControl::answer_to(const Leg& leg, const std::string& sdp) const {
    TRY(sip::SessionDescription offer, sip::sdp_from_text(sdp));
    keep_static_g711(offer);
    Agreed agreed;
    sip::LocalMedia local = leg.local;
    if (local.address.empty()) local.address = "127.0.0.1";  // while no port is taken yet
    TRY(agreed.ours, sip::make_answer(offer, local, leg.session_id, leg.version));
    TRY(agreed.media, agree(leg, agreed.ours, offer));
    return agreed;
}

Result<media::LegMedia> MediaControl::agree(const Leg& leg, const sip::SessionDescription& ours,
                                            const sip::SessionDescription& theirs) const {
    TRY(const sip::Negotiated n, sip::negotiated(ours, theirs));
    if (!sip::is_ip_literal(n.remote_address)) return fail(Errc::unsupported, "no literal address in SDP");
    if (!leg.local.address.empty() && is_ipv6(leg.local.address) != is_ipv6(n.remote_address)) {
        return fail(Errc::unsupported, "an address of the other IP version in SDP");
    }
    media::LegMedia out;
    out.remote_address = n.remote_address;
    out.remote_port = n.remote_port;
    out.remote_rtcp_port = n.remote_rtcp_port;
    const auto kind = [](const sip::Codec& codec) {
        return codec.payload_type == kPcma ? media::CodecKind::pcma : media::CodecKind::pcmu;
    };
    for (const sip::Codec& codec : n.receive) {
        if (codec.payload_type == kPcmu || codec.payload_type == kPcma) {
            out.receive.push_back({codec.payload_type, kind(codec)});
        }
    }
    const sip::Codec& send = n.send.front();
    if (send.payload_type != kPcmu && send.payload_type != kPcma) {
        return fail(Errc::unsupported, "G.711 under a dynamic payload type");
    }
    out.send_payload_type = send.payload_type;
    out.send_codec = kind(send);
    if (n.dtmf) out.dtmf_payload_type = n.dtmf->payload_type;
    out.we_send = sip::sends(n.direction);
    out.we_receive = sip::receives(n.direction);
    if (n.ptime_ms == 10 || n.ptime_ms == 20 || n.ptime_ms == 30 || n.ptime_ms == 40) out.ptime_ms = n.ptime_ms;
    return out;
}

void MediaControl::on_reinvited(const sip::Reinvited& event) {
    Leg* leg = of_dialog(event.dialog);
    if (leg == nullptr) return reject(event.dialog, 481, "a dialog without a leg");
    if (event.request.body.empty()) {
        ++leg->version;
        leg->ours = sip::make_offer(leg->local, leg->session_id, leg->version);
        leg->answer_due = true;
        return put(AnswerInvite{event.dialog, sip::to_text(leg->ours)});
    }
    if (!is_sdp(event.request)) return reject(event.dialog, 415, "a body that is no SDP", leg->id);
    Leg next = *leg;
    ++next.version;
    auto agreed = answer_to(next, event.request.body);
    if (!agreed) {
        const int status = agreed.error().code == Errc::malformed ? 400 : 488;
        return reject(event.dialog, status, agreed.error().what, leg->id);
    }
    if (!has_place(leg->room, *leg, is_active(agreed->media))) {
        return reject(event.dialog, 503, "no place in room " + leg->room.text(), leg->id);
    }
    leg->version = next.version;
    leg->ours = std::move(agreed->ours);
    leg->active = is_active(agreed->media);
    leg->answer_due = false;
    put(Order{media::ConfigureLeg{leg->id, std::move(agreed->media)}});
    put(AnswerInvite{event.dialog, sip::to_text(leg->ours)});
}

void MediaControl::on_acknowledged(const sip::Acknowledged& event) {
    Leg* leg = of_dialog(event.dialog);
    if (leg == nullptr || !leg->answer_due) return;
    leg->answer_due = false;
    const auto agreed = [&]() -> Result<media::LegMedia> {
        if (!is_sdp(event.request)) return fail(Errc::malformed, "no answer in the ACK");
        TRY(sip::SessionDescription theirs, sip::sdp_from_text(event.request.body));
        keep_static_g711(theirs);
        TRY(media::LegMedia media, agree(*leg, leg->ours, theirs));
        if (!has_place(leg->room, *leg, is_active(media))) {
            return fail(Errc::exhausted, "no place in room " + leg->room.text());
        }
        return media;
    }();
    if (!agreed) {
        put(Complain{"ended a leg whose answer cannot be used", leg->id.text(), agreed.error().what});
        put(SendBye{event.dialog});
        return remove(*leg, "failed");
    }
    leg->active = is_active(*agreed);
    put(Order{media::ConfigureLeg{leg->id, *agreed}});
}

void MediaControl::on_ended(const sip::Ended& event) {
    if (Leg* leg = of_dialog(event.dialog)) remove(*leg, std::string(cause_of(event.cause)));
}

void MediaControl::remove(Leg& leg, const std::string& cause) {
    leave(leg);
    put(Order{media::RemoveLeg{leg.id, cause}});
    dialogs_.erase(leg.dialog);
    silent_at_.set(leg.dialog, std::nullopt);
    const LegId id = leg.id;  // `leg` goes with its entry
    legs_.erase(id);
}

void MediaControl::heard(const Stamp& now, sip::DialogId dialog) {
    if (dialogs_.contains(dialog)) silent_at_.set(dialog, now.mono + settings_.switch_silence_max);
}

// A switch that crashed, or cannot reach us any more, ends nothing itself; its recordings would run for ever.
std::vector<Effect> MediaControl::tick(const Stamp& now) {
    for (std::size_t i = 0; i < kSilentEndedAtOnceMax; ++i) {
        const auto dialog = silent_at_.pop_due(now.mono);
        if (!dialog) break;
        Leg* leg = of_dialog(*dialog);
        ASSERT(leg != nullptr);
        const auto silent_ms = to_ms(settings_.switch_silence_max);
        const std::string why = leg->is_left ? leg->owner + " has started anew"
                                             : "nothing in its dialog for " + std::to_string(silent_ms) + " ms";
        put(Complain{"ended a leg whose switch is silent", leg->id.text(), why});
        put(SendBye{*dialog});
        remove(*leg, std::string(kLostControl));
    }
    return std::exchange(effects_, {});
}

std::vector<Effect> MediaControl::shut_down(const std::string& cause) {
    while (!legs_.empty()) {
        Leg& leg = legs_.begin()->second;
        put(SendBye{leg.dialog});
        remove(leg, cause);
    }
    return std::exchange(effects_, {});
}

void MediaControl::on_requested(const Stamp& now, const sip::Requested& event) {
    const std::string& method = event.request.method();
    if (!is_allowed(event.source.remote.address)) return put(RespondTo{event.id, 403, {}, {}, {}});
    heard(now, event.dialog);
    if (method == "OPTIONS") return put(RespondTo{event.id, 200, {}, {}, {}});
    const bool is_message = method == "MESSAGE" && event.dialog == 0;
    if (method != "INFO" && !is_message)
        return put(RespondTo{event.id, 405, {{"Allow", std::string(kMethods)}}, {}, {}});
    if (!is_message && of_dialog(event.dialog) == nullptr) return put(RespondTo{event.id, 481, {}, {}, {}});
    const std::string* type = event.request.first("Content-Type");
    if (type == nullptr || !type->starts_with(kMsmlType)) {
        return put(RespondTo{event.id, 415, {{"Accept", std::string(kMsmlType)}}, {}, {}});
    }
    is_message ? on_message(now, event) : on_msml(now, event);
}

}  // namespace sheaf::mediactl
