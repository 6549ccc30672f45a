// SPDX-License-Identifier: Apache-2.0
#include "lab/phone.h"

#include <charconv>

#include "base/match.h"
#include "edge/net/clock.h"

namespace sheaf::lab {
namespace {

namespace json = boost::json;

constexpr std::string_view kSdp = "application/sdp";

sip::Uri uri_at(const std::string& user, const std::string& host, std::uint16_t port) {
    sip::Uri uri;
    uri.user = user;
    uri.host = host;
    uri.port = port;
    return uri;
}

// The status in a message/sipfrag body's first line (RFC 3420), or 0.
int sipfrag_status(std::string_view body) {
    int status = 0;
    if (body.starts_with("SIP/2.0 ") && body.size() >= 11) std::from_chars(body.data() + 8, body.data() + 11, status);
    return status;
}

}  // namespace

Phone::Phone(boost::asio::io_context& io, PhoneSettings settings, Report report)
    : io_(io), settings_(std::move(settings)), report_(std::move(report)), answer_timer_(io) {}

Phone::~Phone() {
    if (node_) node_->close();
}

Result<void> Phone::start() {
    sip::UserAgentOptions options;
    options.listen = {{sip::Transport::udp, settings_.sip_address, settings_.sip_port},
                      {sip::Transport::tcp, settings_.sip_address, settings_.sip_port}};
    options.product = "Sheaf-Lab";
    options.contact_user = settings_.user;
    options.allow = {"INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "NOTIFY", "INFO", "REFER"};
    options.supported = {"replaces"};
    TRY(node_, net::SipNode::start(io_, options, [this](Instant now, const sip::Event& event) { on_event(now, event); }));
    settings_.sip_port = node_->bound().front().port;
    say("ready", {{"sip_port", settings_.sip_port}});
    return {};
}

void Phone::say(const char* event, json::object fields) {
    report_(*this, event, std::move(fields));
}

sip::NameAddr Phone::me() const {
    sip::NameAddr address;
    address.display = settings_.display;
    address.uri = uri_at(settings_.user, settings_.sip_address, settings_.sip_port);
    if (!settings_.registrar.empty()) {
        if (auto registrar = sip::uri_from_text(settings_.registrar)) {
            address.uri = uri_at(settings_.user, registrar->host, registrar->port);
        }
    }
    return address;
}

Result<void> Phone::register_at(int expires_s) {
    TRY(sip::Uri registrar, sip::uri_from_text(settings_.registrar));
    sip::OutsideRequest request;
    request.method = "REGISTER";
    request.target = registrar;
    request.from = request.to = me();
    request.call_id = registration_call_id_;
    request.cseq = ++registration_cseq_;
    request.headers = {{"Contact", "<" + to_text(uri_at(settings_.user, settings_.sip_address, settings_.sip_port)) + ">"},
                       {"Expires", std::to_string(expires_s)}};
    request.account = sip::Account{settings_.user, settings_.password};
    registering_ = node_->agent().request_outside(net::now().mono, request);
    node_->pump();
    return {};
}

sip::LocalMedia Phone::local_media() const {
    sip::LocalMedia local;
    local.address = settings_.rtp_address;
    local.port = rtp_port_;
    local.codecs = settings_.codecs;
    local.direction = in_call_ && in_call_->held ? sip::Direction::sendonly : sip::Direction::sendrecv;
    return local;
}

Result<std::string> Phone::next_offer() {
    in_call_->local = sip::make_offer(local_media(), in_call_->session_id, in_call_->version++);
    return to_text(*in_call_->local);
}

Result<std::string> Phone::answer_to(const std::string& offer) {
    TRY(in_call_->remote, sip::sdp_from_text(offer));
    TRY(in_call_->local,
        sip::make_answer(*in_call_->remote, local_media(), in_call_->session_id, in_call_->version++));
    return to_text(*in_call_->local);
}

Result<void> Phone::call(const std::string& text) {
    if (in_call_) return fail(Errc::conflict, "already in a call");
    TRY(sip::Uri target, sip::uri_from_text(text));
    voice_ = std::make_unique<Voice>(io_, settings_.tone_hz, [this](const std::vector<int>& tones) {
        say("hears", {{"tones", json::value_from(tones)}});
    });
    TRY(rtp_port_, voice_->open(settings_.rtp_address, settings_.rtp_first, settings_.rtp_last));
    in_call_ = InCall{.ours = true};
    sip::Invitation invitation;
    invitation.target = target;
    invitation.from = me();
    invitation.to.uri = target;
    invitation.content_type = kSdp;
    TRY(invitation.body, next_offer());
    invitation.account = sip::Account{settings_.user, settings_.password};
    in_call_->dialog = node_->agent().invite(net::now().mono, invitation);
    node_->pump();
    say("calling");
    return {};
}

Result<void> Phone::answer() {
    if (!in_call_ || in_call_->ours || in_call_->established) return fail(Errc::conflict, "nothing to answer");
    const Instant now = net::now().mono;
    TRY(const std::string sdp, offer_.empty() ? next_offer() : answer_to(offer_));
    in_call_->established = true;
    node_->agent().answer(now, in_call_->dialog, sdp);
    node_->pump();
    say("established");
    if (!offer_.empty()) agree({});
    return {};
}

Result<void> Phone::hang_up() {
    if (!in_call_) return fail(Errc::conflict, "no call");
    const bool was_unanswered_call_of_ours = in_call_->ours && !in_call_->established;
    in_call_->ending = true;
    node_->agent().release(net::now().mono, in_call_->dialog, 486);
    node_->pump();
    if (!was_unanswered_call_of_ours) over("ended", {{"by", "us"}});
    return {};
}

Result<void> Phone::refer(const std::string& uri) {
    if (!in_call_ || !in_call_->established) return fail(Errc::conflict, "no call to transfer");
    referring_ = node_->agent().request(net::now().mono, in_call_->dialog, "REFER",
                                        {{"Refer-To", "<" + uri + ">"}, {"Referred-By", to_text(me())}});
    node_->pump();
    say("refer-sent");
    return {};
}

Result<void> Phone::hold(bool held) {
    if (!in_call_ || !in_call_->established) return fail(Errc::conflict, "no call to hold");
    in_call_->held = held;
    TRY(const std::string offer, next_offer());
    node_->agent().reinvite(net::now().mono, in_call_->dialog, offer);
    node_->pump();
    return {};
}

json::object Phone::stats() const {
    if (!voice_) return {};
    const auto& stats = voice_->stats();
    return {{"sent", stats.sent}, {"received", stats.received}, {"sequence_gaps", stats.sequence_gaps}};
}

// The latest descriptions of both ends are what counts; a body given here is the peer's latest.
void Phone::agree(const std::string& remote_body) {
    if (!remote_body.empty()) {
        auto remote = sip::sdp_from_text(remote_body);
        if (!remote) return say("bad-sdp", {{"why", to_string(remote.error())}});
        in_call_->remote = std::move(*remote);
    }
    if (!in_call_->local || !in_call_->remote) return;
    if (auto agreed = sip::negotiated(*in_call_->local, *in_call_->remote)) {
        voice_->use(*agreed);
    } else {
        say("bad-sdp", {{"why", to_string(agreed.error())}});
    }
}

void Phone::over(const char* event, json::object fields) {
    fields["stats"] = stats();
    answer_timer_.cancel();
    if (voice_) voice_->close();
    in_call_.reset();
    say(event, std::move(fields));
}

void Phone::on_event(Instant now, const sip::Event& event) {
    const auto mine = [&](sip::DialogId dialog) { return in_call_ && in_call_->dialog == dialog; };
    std::visit(Match{
                   [&](const sip::Invited& e) { on_invited(now, e); },
                   [&](const sip::Progressed& e) {
                       if (mine(e.dialog)) say("progress", {{"status", e.response.status()}});
                       if (mine(e.dialog) && !e.response.body.empty()) agree(e.response.body);
                   },
                   [&](const sip::Answered& e) { on_answered(now, e); },
                   [&](const sip::Failed& e) {
                       if (!mine(e.dialog) || e.reinvite) return;
                       over(in_call_->ending ? "ended" : "failed", {{"status", e.status}});
                   },
                   [&](const sip::Acknowledged& e) {
                       if (mine(e.dialog) && !e.request.body.empty()) agree(e.request.body);
                   },
                   [&](const sip::Reinvited& e) { on_reinvited(now, e); },
                   [&](const sip::GlareOver&) {},
                   [&](const sip::Ended& e) {
                       if (mine(e.dialog)) over("ended", {{"by", "them"}, {"cause", static_cast<int>(e.cause)}});
                   },
                   [&](const sip::Requested& e) { on_requested(now, e); },
                   [&](const sip::Responded& e) { on_responded(e); },
               },
               event);
}

void Phone::on_invited(Instant now, const sip::Invited& event) {
    if (in_call_) return node_->agent().reject(now, event.dialog, 486);
    if (settings_.answer == AnswerMode::reject) {
        say("rejecting");
        return node_->agent().reject(now, event.dialog, settings_.reject_status);
    }
    voice_ = std::make_unique<Voice>(io_, settings_.tone_hz, [this](const std::vector<int>& tones) {
        say("hears", {{"tones", json::value_from(tones)}});
    });
    auto port = voice_->open(settings_.rtp_address, settings_.rtp_first, settings_.rtp_last);
    if (!port) return node_->agent().reject(now, event.dialog, 500);
    rtp_port_ = *port;
    in_call_ = InCall{.dialog = event.dialog};
    offer_ = event.request.body;
    const std::string* from = event.request.first("From");
    say("ringing", {{"from", from != nullptr ? *from : std::string()}});
    if (settings_.answer == AnswerMode::ignore) return;
    node_->agent().provisional(now, event.dialog, 180);
    if (settings_.answer != AnswerMode::automatic) return;
    answer_timer_.expires_after(std::chrono::milliseconds{settings_.answer_after_ms});
    answer_timer_.async_wait([this](boost::system::error_code error) {
        if (error) return;
        if (auto done = answer(); !done) say("answer-failed", {{"why", to_string(done.error())}});
    });
}

void Phone::on_reinvited(Instant now, const sip::Reinvited& event) {
    if (!in_call_ || in_call_->dialog != event.dialog) return node_->agent().reject(now, event.dialog, 481);
    auto sdp = event.request.body.empty() ? next_offer() : answer_to(event.request.body);
    if (!sdp) return node_->agent().reject(now, event.dialog, 488);
    node_->agent().answer(now, event.dialog, *sdp);
    if (!event.request.body.empty()) {
        agree({});
        say(sip::is_hold(*in_call_->remote) ? "was-held" : "was-retrieved");
    }
}

void Phone::on_answered(Instant now, const sip::Answered& event) {
    if (!in_call_ || in_call_->dialog != event.dialog) return;
    agree(event.response.body);
    if (event.reinvite) return say(in_call_->held ? "held" : "retrieved");
    in_call_->established = true;
    say("established");
    if (in_call_->ending) {
        node_->agent().bye(now, event.dialog);
        over("ended", {{"by", "us"}});
    }
}

void Phone::on_requested(Instant now, const sip::Requested& event) {
    const std::string& method = event.request.method();
    node_->agent().respond(now, event.id, method == "REFER" ? 603 : 200);
    if (method == "NOTIFY") {
        const int status = sipfrag_status(event.request.body);
        say("notify", {{"status", status}});
    }
}

void Phone::on_responded(const sip::Responded& event) {
    if (event.id == registering_) {
        registering_ = 0;
        if (event.response) {
            if (const std::string* id = event.response->first("Call-ID")) registration_call_id_ = *id;
        }
        say(event.status == 200 ? "registered" : "register-failed", {{"status", event.status}});
    } else if (event.id == referring_) {
        referring_ = 0;
        say(event.status < 300 ? "refer-accepted" : "refer-failed", {{"status", event.status}});
    }
}

}  // namespace sheaf::lab
