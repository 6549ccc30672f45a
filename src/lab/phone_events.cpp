// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <boost/asio/post.hpp>
#include <charconv>

#include "base/match.h"
#include "edge/net/clock.h"
#include "lab/phone.h"
#include "lab/replaces.h"

// What a phone does when its user agent tells it something.
namespace sheaf::lab {
namespace {

namespace json = boost::json;

// The status in a message/sipfrag body's first line (RFC 3420), or 0.
int sipfrag_status(std::string_view body) {
    int status = 0;
    if (body.starts_with("SIP/2.0 ") && body.size() >= 11) std::from_chars(body.data() + 8, body.data() + 11, status);
    return status;
}

// RFC 5373's older, wider spread spelling: answer without being asked.
bool is_told_to_answer(const sip::Message& invite) {
    const auto infos = invite.all("Call-Info");
    return std::any_of(infos.begin(), infos.end(),
                       [](const std::string& info) { return info.find("answer-after=0") != std::string::npos; });
}

}  // namespace

void Phone::on_event(Instant now, const sip::Event& event) {
    std::visit(Match{
                   [&](const sip::Invited& e) { on_invited(now, e); },
                   [&](const sip::Progressed& e) {
                       PhoneCall* call = find(e.dialog);
                       if (call == nullptr) return;
                       say(*call, "progress", {{"status", e.response.status()}});
                       tell_identity(*call, e.response);
                       if (!e.response.body.empty()) agree(*call, e.response.body);
                   },
                   [&](const sip::Answered& e) { on_answered(now, e); },
                   [&](const sip::Failed& e) { on_failed(e); },
                   [&](const sip::Acknowledged& e) {
                       PhoneCall* call = find(e.dialog);
                       if (call != nullptr && !e.request.body.empty()) agree(*call, e.request.body);
                   },
                   [&](const sip::Reinvited& e) { on_reinvited(now, e); },
                   [](const sip::RefreshDue&) {},
                   [&](const sip::GlareOver& e) {
                       if (PhoneCall* call = find(e.dialog)) node_->agent().reinvite(now, e.dialog, next_offer(*call));
                   },
                   [&](const sip::Ended& e) {
                       PhoneCall* call = find(e.dialog);
                       if (call != nullptr)
                           over(*call, "ended", {{"by", "them"}, {"cause", static_cast<int>(e.cause)}});
                   },
                   [&](const sip::Requested& e) { on_requested(now, e); },
                   [&](const sip::Responded& e) { on_responded(e); },
               },
               event);
}

// A call that is over. One whose place another has taken is no end to the person's conversation.
void Phone::over(PhoneCall& call, const char* event, json::object fields) {
    fields["stats"] = stats_of(call);
    fields["call"] = call.name;
    if (call.replaced) event = "replaced-ended";
    call.timer.cancel();
    call.voice->close();
    const auto gone = std::find_if(calls_.begin(), calls_.end(), [&](const auto& c) { return c.get() == &call; });
    // The socket's last handlers still look at it: it goes when they have run.
    boost::asio::post(io_, [kept = std::move(*gone)] {});
    calls_.erase(gone);
    if (find_named(active_) == nullptr) {
        const auto open = std::find_if(calls_.begin(), calls_.end(), [](const auto& c) { return !c->held; });
        active_ = calls_.empty() ? "" : open == calls_.end() ? calls_.front()->name : (*open)->name;
    }
    if (calls_.empty()) {
        is_ticking_ = false;
        frame_timer_.cancel();
        ear_.forget();
    }
    say(event, std::move(fields));
}

// Connected identity (RFC 4916 with RFC 3325's header); in a first INVITE also From.
void Phone::tell_identity(PhoneCall& call, const sip::Message& message) {
    const std::string* header = message.first("P-Asserted-Identity");
    if (header == nullptr && message.is_request() && !call.established && !call.ours) header = message.first("From");
    if (header == nullptr) return;
    const auto who = sip::name_addr_from_text(*header);
    if (!who || (who->uri.user == call.told_number && who->display == call.told_name)) return;
    call.told_number = who->uri.user;
    call.told_name = who->display;
    say(call, "identity", {{"number", call.told_number}, {"name", call.told_name}});
}

void Phone::on_invited(Instant now, const sip::Invited& event) {
    if (const std::string* replaces = event.request.first("Replaces")) return on_replacing(now, event, *replaces);
    if (!calls_.empty() && !settings_.second_calls) return node_->agent().reject(now, event.dialog, 486);
    if (settings_.answer == AnswerMode::reject) {
        say("rejecting");
        return node_->agent().reject(now, event.dialog, settings_.reject_status);
    }
    const auto made = new_call({});
    if (!made) return node_->agent().reject(now, event.dialog, made.error().code == Errc::exhausted ? 486 : 500);
    PhoneCall& call = **made;
    call.dialog = event.dialog;
    call.offer = event.request.body;
    if (calls_.size() == 1) make_active(call);
    const std::string* from = event.request.first("From");
    say(call, "ringing", {{"from", from != nullptr ? *from : std::string()}});
    tell_identity(call, event.request);
    if (settings_.answer == AnswerMode::ignore) return;
    node_->agent().provisional(now, event.dialog, 180);
    if (is_told_to_answer(event.request)) return answer_soon(call, 0);
    if (settings_.answer == AnswerMode::automatic) answer_soon(call, settings_.answer_after_ms);
}

// By name: the call may be over and another in its place when the time has come.
void Phone::answer_soon(PhoneCall& call, int after_ms) {
    call.timer.expires_after(std::chrono::milliseconds{after_ms});
    call.timer.async_wait([this, name = call.name](boost::system::error_code error) {
        if (error) return;
        if (auto done = answer(name); !done) say("answer-failed", {{"why", to_string(done.error())}});
    });
}

// RFC 3891 §3: takes the named dialog's place at once.
void Phone::on_replacing(Instant now, const sip::Invited& event, const std::string& replaces) {
    const auto wanted = replaces_from_text(replaces);
    PhoneCall* old = wanted ? find(node_->agent().find(wanted->call_id, wanted->to_tag, wanted->from_tag)) : nullptr;
    if (old == nullptr || event.request.body.empty()) return node_->agent().reject(now, event.dialog, 481);
    const auto made = new_call({});
    if (!made) return node_->agent().reject(now, event.dialog, 486);
    PhoneCall& call = **made;
    call.dialog = event.dialog;
    const auto sdp = answer_to(call, event.request.body);
    if (!sdp) {
        node_->agent().reject(now, event.dialog, 488);
        return over(call, "failed", {{"status", 488}});
    }
    tell_identity(call, event.request);
    call.established = true;
    node_->agent().answer(now, event.dialog, *sdp);
    agree(call, {});
    take_place(call, *old);
    node_->agent().bye(now, old->dialog);
    over(*old, "ended", {{"by", "us"}});
}

void Phone::on_reinvited(Instant now, const sip::Reinvited& event) {
    PhoneCall* call = find(event.dialog);
    if (call == nullptr) return node_->agent().reject(now, event.dialog, 481);
    auto sdp =
        event.request.body.empty() ? Result<std::string>(next_offer(*call)) : answer_to(*call, event.request.body);
    if (!sdp) return node_->agent().reject(now, event.dialog, 488);
    node_->agent().answer(now, event.dialog, *sdp);
    tell_identity(*call, event.request);
    if (event.request.body.empty()) return;
    agree(*call, {});
    const bool is_held = sip::is_hold(*call->remote);
    if (is_held != call->was_held) say(*call, is_held ? "was-held" : "was-retrieved");
    call->was_held = is_held;
}

void Phone::on_answered(Instant now, const sip::Answered& event) {
    PhoneCall* call = find(event.dialog);
    if (call == nullptr) return;
    agree(*call, event.response.body);
    tell_identity(*call, event.response);
    if (event.reinvite) return say(*call, call->held ? "held" : "retrieved");
    call->established = true;
    PhoneCall* old = call->moves.empty() ? nullptr : find_named(call->moves);
    if (old != nullptr) {
        take_place(*call, *old);
        report_to_referrer(now, old->name, 200, true);
        return;
    }
    say(*call, "established");
    if (call->ending) {
        node_->agent().bye(now, event.dialog);
        over(*call, "ended", {{"by", "us"}});
    }
}

void Phone::on_failed(const sip::Failed& event) {
    PhoneCall* call = find(event.dialog);
    if (call == nullptr) return;
    if (event.reinvite) return say(*call, "reinvite-failed", {{"status", event.status}});
    if (!call->moves.empty()) report_to_referrer(net::now().mono, call->moves, event.status, true);
    over(*call, call->ending ? "ended" : "failed", {{"status", event.status}});
}

void Phone::on_requested(Instant now, const sip::Requested& event) {
    const std::string& method = event.request.method();
    if (method == "REFER") return on_referred(now, event);
    if (method == "NOTIFY") return on_notify(now, event);
    node_->agent().respond(now, event.id, 200);
}

void Phone::on_notify(Instant now, const sip::Requested& event) {
    node_->agent().respond(now, event.id, 200);
    const std::string* package = event.request.first("Event");
    if (package != nullptr && package->starts_with("talk")) {
        say("told-to-talk");
        const auto ringing = std::find_if(calls_.begin(), calls_.end(),
                                          [](const auto& call) { return !call->ours && !call->established; });
        if (settings_.takes_talk && ringing != calls_.end()) answer_soon(**ringing, 0);
        return;
    }
    say("notify", {{"status", sipfrag_status(event.request.body)}});
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
