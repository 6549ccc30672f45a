// SPDX-License-Identifier: Apache-2.0
#include "lab/phone.h"

#include <algorithm>

#include "edge/net/clock.h"
#include "lab/replaces.h"

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

}  // namespace

Phone::Phone(boost::asio::io_context& io, PhoneSettings settings, Report report)
    : io_(io),
      settings_(std::move(settings)),
      report_(std::move(report)),
      ear_([this](const std::vector<int>& tones) {
          say("hears", {{"tones", json::value_from(tones)}});
      }),
      frame_timer_(io),
      tone_hz_(settings_.tone_hz),
      next_tone_hz_(settings_.tone_hz) {}

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
    TRY(node_,
        net::SipNode::start(io_, options, [this](Instant now, const sip::Event& event) { on_event(now, event); }));
    settings_.sip_port = node_->bound().front().port;
    say("ready", {{"sip_port", settings_.sip_port}});
    return {};
}

void Phone::say(const char* event, json::object fields) {
    report_(*this, event, std::move(fields));
}

void Phone::say(const PhoneCall& call, const char* event, json::object fields) {
    fields["call"] = call.name;
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

PhoneCall* Phone::find(sip::DialogId dialog) {
    const auto found = std::find_if(calls_.begin(), calls_.end(), [&](const auto& c) { return c->dialog == dialog; });
    return found == calls_.end() ? nullptr : found->get();
}

PhoneCall* Phone::find_named(const std::string& name) {
    const auto found = std::find_if(calls_.begin(), calls_.end(), [&](const auto& c) { return c->name == name; });
    return found == calls_.end() ? nullptr : found->get();
}

Result<PhoneCall*> Phone::named(const std::string& name) {
    PhoneCall* call = find_named(name.empty() ? active_ : name);
    if (call == nullptr) return fail(Errc::not_found, name.empty() ? "no call" : "no call called " + name);
    return call;
}

Result<PhoneCall*> Phone::established(const std::string& name) {
    TRY(PhoneCall * call, named(name));
    if (!call->established) return fail(Errc::conflict, "call " + call->name + " is not answered");
    return call;
}

Result<PhoneCall*> Phone::new_call(const std::string& name) {
    if (calls_.size() >= kPhoneCallsMax) return fail(Errc::exhausted, "no more calls on this phone");
    std::string free = name;
    for (int n = 1; free.empty(); ++n) {
        if (find_named(std::to_string(n)) == nullptr) free = std::to_string(n);
    }
    if (find_named(free) != nullptr) return fail(Errc::conflict, "there is a call " + free);
    auto call = std::make_unique<PhoneCall>(io_);
    call->name = free;
    // The call outlives its voice, and the voice calls back on this thread only.
    const auto heard = [this, raw = call.get()](std::span<const std::int16_t> samples, Bytes codes) {
        if (raw->name == active_ && !raw->held) ear_.take(Ear::Clock::now(), samples, codes);
    };
    const auto digit = [this, raw = call.get()](char which) { say(*raw, "digit", {{"digit", std::string(1, which)}}); };
    call->voice = std::make_unique<Voice>(io_, heard, digit);
    TRY(call->rtp_port, call->voice->open(settings_.rtp_address, settings_.rtp_first, settings_.rtp_last));
    calls_.push_back(std::move(call));
    return calls_.back().get();
}

Result<void> Phone::register_at(int expires_s) {
    TRY(sip::Uri registrar, sip::uri_from_text(settings_.registrar));
    sip::OutsideRequest request;
    request.method = "REGISTER";
    request.target = registrar;
    request.from = request.to = me();
    request.call_id = registration_call_id_;
    request.cseq = ++registration_cseq_;
    request.headers = {
        {"Contact", "<" + to_text(uri_at(settings_.user, settings_.sip_address, settings_.sip_port)) + ">"},
        {"Expires", std::to_string(expires_s)}};
    if (settings_.takes_talk) request.headers.push_back({"Allow-Events", "talk"});
    request.account = sip::Account{settings_.user, settings_.password};
    registering_ = node_->agent().request_outside(net::now().mono, request);
    node_->pump();
    return {};
}

Result<void> Phone::invite(PhoneCall& call, const sip::Uri& target, std::vector<sip::Header> headers) {
    call.ours = true;
    sip::Invitation invitation;
    invitation.target = target;
    invitation.from = me();
    invitation.to.uri = target;
    invitation.headers = std::move(headers);
    invitation.content_type = kSdp;
    invitation.body = next_offer(call);
    invitation.account = sip::Account{settings_.user, settings_.password};
    call.dialog = node_->agent().invite(net::now().mono, invitation);
    node_->pump();
    return {};
}

Result<void> Phone::call(const std::string& text, const std::string& name) {
    TRY(const sip::Uri target, sip::uri_from_text(text));
    TRY(PhoneCall * call, new_call(name));
    TRY_VOID(put_aside());
    make_active(*call);
    const std::string called = call->name;
    TRY_VOID(invite(*call, target, {}));
    say("calling", {{"call", called}});
    return {};
}

Result<void> Phone::answer(const std::string& name) {
    const auto waits = [](const auto& call) { return !call->ours && !call->established; };
    const auto ringing = std::find_if(calls_.begin(), calls_.end(),
                                      [&](const auto& c) { return waits(c) && (name.empty() || c->name == name); });
    if (ringing == calls_.end()) return fail(Errc::conflict, "nothing to answer");
    PhoneCall& call = **ringing;
    if (active_ != call.name) TRY_VOID(put_aside());
    TRY(const std::string sdp,
        call.offer.empty() ? Result<std::string>(next_offer(call)) : answer_to(call, call.offer));
    call.established = true;
    call.timer.cancel();
    make_active(call);
    node_->agent().answer(net::now().mono, call.dialog, sdp);
    node_->pump();
    say(call, "established");
    if (!call.offer.empty()) agree(call, {});
    return {};
}

Result<void> Phone::hang_up(const std::string& name) {
    TRY(PhoneCall * call, named(name));
    const bool was_unanswered_call_of_ours = call->ours && !call->established;
    call->ending = true;
    node_->agent().release(net::now().mono, call->dialog, 486);
    if (!was_unanswered_call_of_ours) over(*call, "ended", {{"by", "us"}});
    node_->pump();
    return {};
}

Result<void> Phone::refer(const std::string& name, const std::string& uri, const std::string& replaces) {
    TRY(PhoneCall * call, established(name));
    std::string target = uri;
    if (!replaces.empty()) {
        TRY(PhoneCall * other, named(replaces));
        const auto view = node_->agent().view(other->dialog);
        if (!view || view->remote_tag.empty()) return fail(Errc::conflict, "call " + replaces + " has no dialog yet");
        if (target.empty()) target = to_text(view->remote_target);
        // The tags as the peer sees them: RFC 3891 §3.
        target += "?Replaces=" + escaped(to_text(Replaces{view->call_id, view->remote_tag, view->local_tag}));
    }
    if (target.empty()) return fail(Errc::malformed, "refer where to?");
    referring_ = node_->agent().request(net::now().mono, call->dialog, "REFER",
                                        {{"Refer-To", "<" + target + ">"}, {"Referred-By", to_text(me())}});
    node_->pump();
    say("refer-sent", {{"to", target}});
    return {};
}

Result<void> Phone::send_offer(PhoneCall& call) {
    node_->agent().reinvite(net::now().mono, call.dialog, next_offer(call));
    node_->pump();
    return {};
}

Result<void> Phone::put_aside() {
    PhoneCall* call = find_named(active_);
    if (call == nullptr || !call->established || call->held) return {};
    return hold(call->name, HoldMode::sendonly);
}

Result<void> Phone::hold(const std::string& name, HoldMode mode) {
    TRY(PhoneCall * call, established(name));
    call->held = mode;
    return send_offer(*call);
}

Result<void> Phone::retrieve(const std::string& name) {
    TRY(PhoneCall * call, established(name));
    if (call->name != active_) TRY_VOID(put_aside());
    call->held.reset();
    make_active(*call);
    return send_offer(*call);
}

Result<void> Phone::dial(const std::string& name, const std::string& digits) {
    TRY(PhoneCall * call, established(name));
    return call->voice->dial(digits);
}

json::array Phone::frames() {
    json::array all;
    for (const FrameReport& report : ear_.frames().reports()) {
        all.push_back({{"tone", report.tone_hz},
                       {"heard", report.heard},
                       {"missing", report.missing},
                       {"late", report.late},
                       {"longest_run", report.longest_run},
                       {"longest_gap_ms", report.longest_gap_us / 1000}});
    }
    return all;
}

Result<json::object> Phone::stats(const std::string& name) {
    TRY(const PhoneCall* call, named(name));
    json::object fields = stats_of(*call);
    fields["call"] = call->name;
    return fields;
}

}  // namespace sheaf::lab
