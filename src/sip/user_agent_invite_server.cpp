// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "sip/user_agent_state.h"

// Their INVITEs and re-INVITEs: our answers, the 2xx's repeats until ACK, CANCEL.
namespace sheaf::sip {

void UserAgent::State::on_invite(Instant now, TransactionId id) {
    ServerRecord* record = server(id);
    if (calls.size() >= options.dialogs_max) {
        return reply(now, id, 503, {{"Retry-After", std::to_string(kRetryAfterSeconds)}});
    }
    auto dialog = dialog_of_invite(*record->request, record->local_tag);
    if (!dialog) return reply(now, id, 400);
    if (!session_fits(now, id)) return;
    Call& call = open_call(std::move(*dialog), false);
    call.server_invite = id;
    call.peer = record->source;
    record->dialog = call.id;
    reply(now, id, 100);
    events.emplace_back(Invited{call.id, *record->request, record->source});
}

void UserAgent::State::on_reinvite(Instant now, Call& call, TransactionId id) {
    ServerRecord* record = server(id);
    if (call.server_invite != 0 || call.unacked.size() >= kUnackedMax) {
        return reply(now, id, 500, {{"Retry-After", std::to_string(entropy.number() % 10)}});  // §14.2
    }
    if (is_offering(call)) return reply(now, id, 491);  // glare (§14.2)
    if (!session_fits(now, id)) return;
    take_back_offer(call);
    refresh_target(call.dialog, *record->request);
    record->local_tag = call.dialog.local_tag;
    record->dialog = call.id;
    call.server_invite = id;
    reply(now, id, 100);
    events.emplace_back(Reinvited{call.id, *record->request});
}

void UserAgent::State::on_cancel(Instant now, TransactionId id) {
    ServerRecord* cancelling = server(id);
    const auto via = top_via(*cancelling->request);
    ASSERT(via.has_value());
    const auto found = servers_by_key.find(server_key(*cancelling->request, *via, "INVITE"));
    if (!found) return reply(now, id, 481);
    const TransactionId invite = *found;
    const ServerRecord* record = server(invite);
    cancelling->local_tag = record->local_tag;
    const Message request = *cancelling->request;
    reply(now, id, 200);
    // A re-INVITE is about to be answered by the application anyway, which has moved its media already: it goes on.
    Call* of = live_call(record->dialog);
    if (of == nullptr || of->confirmed || of->server_invite != invite) return;
    events.emplace_back(Ended{of->id, EndCause::cancelled, request});
    end_call(now, of->id);  // 487
}

// The ACK of our 2xx, or of nothing we know.
void UserAgent::State::on_ack(Instant now, const Source& source, Message request) {
    const std::string* call_id = request.first("Call-ID");
    Call* of = call_id == nullptr ? nullptr : call_named(*call_id, tag_of(request, "To"), tag_of(request, "From"));
    if (of == nullptr) return;
    const std::uint32_t cseq = cseq_of(request).number;
    const auto waiting = std::ranges::find(of->unacked, cseq, &Unacked::cseq);
    if (waiting == of->unacked.end()) return;
    of->unacked.erase(waiting);
    of->peer = source;
    const DialogId dialog = of->id;
    if (!of->closing) {
        events.emplace_back(Acknowledged{dialog, std::move(request)});
    } else if (of->unacked.empty()) {
        const std::vector<Header> headers = std::move(of->bye_headers);
        hang_up(now, *of, headers);
    }
    settle_call(dialog);
    send_waiting(now, dialog);
}

void UserAgent::State::on_call_timer(Instant now, Call& call) {
    const bool is_given_up =
        std::ranges::any_of(call.unacked, [now](const Unacked& sent) { return sent.end_at <= now; });
    if (is_given_up) {  // §13.3.1.4
        call.unacked.clear();
        if (!call.closing) events.emplace_back(Ended{call.id, EndCause::no_ack, std::nullopt});
        const std::vector<Header> headers = std::move(call.bye_headers);
        return hang_up(now, call, headers);
    }
    for (Unacked& sent : call.unacked) {
        if (sent.repeat_at > now) continue;
        sends.push_back(sent.send);
        sent.interval = std::min(sent.interval * 2, times.t2);
        sent.repeat_at = now + sent.interval;
    }
    if (call.provisional_at && *call.provisional_at <= now) {
        call.provisional_at.reset();
        if (const ServerRecord* record = server(call.server_invite)) {
            sends.push_back(record->last);
            call.provisional_at = now + kProvisionalRepeat;
        }
    }
    if (call.glare_at && *call.glare_at <= now) {
        call.glare_at.reset();
        call.glare_when_idle = true;
    }
    if (call.cancel_at && *call.cancel_at <= now) {
        call.cancel_at.reset();
        cancel(now, call, {});
    }
    // One that the final response has overtaken is not repeated; whoever has not heard it owes no PRACK.
    if (call.unpracked && call.unpracked->repeat_at) return on_reliable_timer(now, call);
    on_session_timer(now, call);
}

void UserAgent::State::reject(Instant now, Call& call, int status, const std::vector<Header>& headers,
                              std::string_view reason, bool once) {
    const TransactionId id = std::exchange(call.server_invite, 0);
    const ServerRecord* record = server(id);
    const DialogId dialog = call.id;
    call.provisional_at.reset();
    if (record != nullptr) {
        // Whoever has had a 1xx does not ask again by itself: the 100 goes back, or the response is repeated after all.
        once = once && std::erase_if(sends, [&](const Send& send) { return send.bytes == record->last.bytes; }) > 0;
        Message response = response_to(*record->request, status, call.dialog.local_tag, reason);
        for (const Header& header : headers) response.add(header.name, header.value);
        reply(now, id, std::move(response));
        if (once && server(id) != nullptr) {
            server(id)->machine.say_once();
            settle_server(id);
        }
    }
    if (!call.confirmed) return end_call(now, dialog);
    settle_call(dialog);
}

void UserAgent::State::answer(Instant now, Call& call, const Answer& wanted) {
    ServerRecord* record = server(call.server_invite);
    if (record == nullptr) return;
    if (call.unpracked && !call.unpracked->sdp.empty()) {  // RFC 3262 §3
        call.held_answer = wanted;
        return;
    }
    const TransactionId id = std::exchange(call.server_invite, 0);
    Message response = response_to(*record->request, 200, call.dialog.local_tag);
    const bool has_contact = std::ranges::any_of(wanted.headers, [](const Header& h) { return h.name == "Contact"; });
    const Endpoint* local = listening(record->source.remote, record->source.local);
    if (local != nullptr && !has_contact) response.add("Contact", contact(*local));
    for (const Header& header : wanted.headers) response.add(header.name, header.value);
    add_identity(response, "INVITE");
    learn_of_session(call, *record->request);
    session_answered(now, call, *record->request, response);
    if (!wanted.sdp.empty() && wanted.sdp != call.answered_reliably) {
        response.add("Content-Type", "application/sdp");
        response.body = wanted.sdp;
    }
    call.answered_reliably.clear();
    const std::uint32_t cseq = cseq_of(*record->request).number;
    const bool held_offer = record->request->body.empty();
    reply(now, id, std::move(response));
    record = server(id);
    ASSERT(record != nullptr);  // Accepted until timer L
    call.confirmed = true;
    call.provisional_at.reset();
    call.provisionals.clear();
    if (call.unpracked) call.unpracked->repeat_at.reset();
    call.unacked.push_back({.cseq = cseq,
                            .send = std::move(record->last),  // it is the dialog's to repeat
                            .interval = times.t1,
                            .repeat_at = now + times.t1,
                            .end_at = now + times.whole(),
                            .held_offer = held_offer});
}

void UserAgent::answer(Instant now, DialogId dialog, const std::string& sdp, const std::vector<Header>& headers) {
    Call* call = state_->live_call(dialog);
    if (call == nullptr) return;
    state_->answer(now, *call, {sdp, headers});
    state_->settle_call(dialog);
}

void UserAgent::reject(Instant now, DialogId dialog, int status, const std::vector<Header>& headers,
                       std::string_view reason, bool once) {
    ASSERT(status >= 300 && status < 700);
    Call* call = state_->live_call(dialog);
    if (call == nullptr || call->server_invite == 0) return;
    state_->reject(now, *call, status, headers, reason, once);
}

}  // namespace sheaf::sip
