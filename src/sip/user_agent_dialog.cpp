// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "sip/user_agent_state.h"

// Confirmed dialogs: requests within them both ways, and their end.
namespace sheaf::sip {

// May send an INVITE: none is under way in either direction (§14.1).
bool UserAgent::State::is_idle(const Call& call) const {
    return call.confirmed && !call.closing && call.client_invite == 0 && call.server_invite == 0 &&
           call.unacked.empty() && !call.awaited_ack;
}

// One request after the other: a lost one that is sent again after a later one has come is refused with 500 (§12.2.2),
// and one that overtakes the 2xx of its dialog with 481. An early dialog's INVITE has arrived: its peer has answered.
bool UserAgent::State::may_request(const Call& call) const {
    return !call.closing && call.under_way == 0 && call.unacked.empty() && (call.client_invite == 0 || !call.confirmed);
}

void UserAgent::State::request_in_turn(Instant now, Call& call, Waiting wanted) {
    const bool is_reinvite = wanted.id == 0;
    const bool is_next = call.waiting.empty() && (is_reinvite ? call.under_way == 0 : may_request(call));
    if (is_next) return is_reinvite ? reinvite(now, call, wanted) : start_request(now, call, wanted);
    const bool is_second = is_reinvite && std::ranges::any_of(call.waiting, [](const Waiting& w) { return w.id == 0; });
    if (is_second) return glare(call);
    if (call.waiting.size() < kWaitingMax) return call.waiting.push_back(std::move(wanted));
    if (is_reinvite)
        events.emplace_back(Failed{call.id, 503, std::nullopt, true});
    else
        not_sent(now, call, wanted.id);
}

void UserAgent::State::send_waiting(Instant now, DialogId id) {
    for (Call* of = live_call(id); of != nullptr && !of->waiting.empty() && may_request(*of); of = live_call(id)) {
        const Waiting next = std::move(of->waiting.front());
        of->waiting.erase(of->waiting.begin());
        if (next.id == 0)
            reinvite(now, *of, next);
        else
            start_request(now, *of, next);
    }
}

void UserAgent::State::start_request(Instant now, Call& call, const Waiting& wanted) {
    Message request = dialog_request(call.dialog, wanted.method);
    for (const Header& header : wanted.headers) request.add(header.name, header.value);
    if (wanted.method == "UPDATE") ask_for_session(call, request);
    if (!wanted.content_type.empty()) request.add("Content-Type", wanted.content_type);
    request.body = wanted.body;
    if (send_within(now, call, Purpose::in_dialog, std::move(request), wanted.id) != 0) {
        call.under_way = wanted.id;
    } else {
        not_sent(now, call, wanted.id);
    }
}

void UserAgent::State::not_sent(Instant now, Call& call, ClientRequest id) {
    if (id != call.refresh) return events.push_back(Responded{id, call.id, unsent(), std::nullopt});
    call.refresh = 0;
    refresh_failed(now, call);
}

void UserAgent::State::drop_waiting(Call& call) {
    for (const Waiting& dropped : std::exchange(call.waiting, {}))
        if (dropped.id != 0 && dropped.id != call.refresh)
            events.emplace_back(Responded{dropped.id, call.id, 481, std::nullopt});
}

std::optional<Endpoint> UserAgent::State::hop_of(const Dialog& dialog, const Endpoint& peer) const {
    if (auto to = endpoint_of(first_hop(dialog)); to && listening(*to, {}) != nullptr) return to;
    // A name where an address should be: the peer is where it last spoke from.
    if (!peer.address.empty()) return peer;
    return std::nullopt;
}

Outgoing UserAgent::State::way_in(const Dialog& dialog, const Source& peer, bool follows_source) const {
    Outgoing out;
    const bool is_direct = follows_source && dialog.routes.empty() && !peer.remote.address.empty();
    out.to = is_direct ? peer.remote : hop_of(dialog, peer.remote).value_or(peer.remote);
    if (out.to.transport == Transport::tcp && peer.remote.transport == Transport::tcp) out.flow = peer.flow;
    out.local = peer.local;
    out.udp_only = is_direct && out.to.transport == Transport::udp;
    return out;
}

Outgoing UserAgent::State::way_to(const Call& call) const {
    Outgoing out = way_in(call.dialog, call.peer, call.follows_source);
    out.account = call.account;
    out.dialog = call.id;
    return out;
}

TransactionId UserAgent::State::send_within(Instant now, Call& call, Purpose purpose, Message request,
                                            ClientRequest id) {
    Outgoing out = way_to(call);
    out.request = std::move(request);
    out.purpose = purpose;
    out.id = id;
    return start_client(now, std::move(out));
}

void UserAgent::State::on_in_dialog(Instant now, Call& call, TransactionId id) {
    ServerRecord* record = server(id);
    const std::string method = record->request->method();
    record->local_tag = call.dialog.local_tag;
    if (!accept_cseq(call.dialog, *record->request)) return reply(now, id, 500);
    call.peer = record->source;
    if (method == "BYE") return on_bye(now, call, id);
    if (call.closing) return reply(now, id, 481);
    if (!passes_inspection(now, id)) return;
    if (method == "INVITE") return on_reinvite(now, call, id);
    if (method == "PRACK") return on_prack(now, call, id);
    if (method == "UPDATE" && !may_be_updated(now, call, id)) return;
    if (is_target_refresh(method)) refresh_target(call.dialog, *record->request);
    record->dialog = call.id;
    events.emplace_back(Requested{id, call.id, *record->request, record->source});
}

// An offer of ours is out: in an INVITE, or in a 2xx whose ACK brings the answer (RFC 5407 §3.1.5).
bool UserAgent::State::is_offering(const Call& call) const {
    const auto awaits_answer = [](const Unacked& sent) { return sent.held_offer; };
    return call.client_invite != 0 || call.awaited_ack || std::ranges::any_of(call.unacked, awaits_answer);
}

// One that waits for its turn would be older than what the peer is about to be answered (RFC 3264 §8).
void UserAgent::State::take_back_offer(Call& call) {
    if (std::erase_if(call.waiting, [](const Waiting& wanted) { return wanted.id == 0; }) > 0) glare(call);
}

// RFC 3311 §5.2. False: refused already.
bool UserAgent::State::may_be_updated(Instant now, Call& call, TransactionId id) {
    const ServerRecord* record = server(id);
    const ServerRecord* former = server(call.server_update);
    const std::vector<Header> later{{"Retry-After", std::to_string(entropy.number() % 10)}};
    if (former != nullptr && !former->machine.is_answered()) return reply(now, id, 500, later), false;
    if (!record->request->body.empty()) {
        if (is_offering(call)) return reply(now, id, 491), false;
        if (call.server_invite != 0 && call.answered_reliably.empty()) return reply(now, id, 500, later), false;
    }
    if (!session_fits(now, id)) return false;
    call.server_update = id;
    if (!record->request->body.empty()) take_back_offer(call);
    return true;
}

void UserAgent::State::on_bye(Instant now, Call& call, TransactionId id) {
    ServerRecord& record = *server(id);
    Message response = response_to(*record.request, 200, record.local_tag);
    Message request = std::move(*record.request);
    reply(now, id, std::move(response));
    if (!call.closing) events.emplace_back(Ended{call.id, EndCause::bye, std::move(request)});
    end_call(now, call.id);
}

// BYE, now or once our 2xx has been ACKed: a callee may not send it before (§15).
void UserAgent::State::hang_up(Instant now, Call& call, const std::vector<Header>& headers) {
    if (!call.unacked.empty()) {
        call.closing = true;
        call.bye_headers = headers;
        call.glare_at.reset();
        call.glare_when_idle = false;
        if (const TransactionId id = std::exchange(call.server_invite, 0); id != 0) reply(now, id, 487);
        return;
    }
    if (call.awaited_ack) acknowledge(call, {}, {});
    for (const Waiting& last : std::exchange(call.waiting, {}))
        if (last.id != 0) start_request(now, call, last);
    Message request = dialog_request(call.dialog, "BYE");
    for (const Header& header : headers) request.add(header.name, header.value);
    send_within(now, call, Purpose::bye, std::move(request));
    end_call(now, call.id);
}

void UserAgent::State::on_dialog_lost(Instant now, Call& call, int status) {
    const DialogId dialog = call.id;
    events.emplace_back(Ended{dialog, status == 481 ? EndCause::gone : EndCause::timed_out, std::nullopt});
    if (status == 481) return end_call(now, dialog);
    drop_waiting(call);
    call.unacked.clear();
    hang_up(now, call, {});
}

void UserAgent::bye(Instant now, DialogId dialog, const std::vector<Header>& headers) {
    release(now, dialog, 480, headers);
}

void UserAgent::release(Instant now, DialogId dialog, int status, const std::vector<Header>& headers) {
    Call* call = state_->live_call(dialog);
    if (call == nullptr) return;
    if (call->confirmed) {
        state_->hang_up(now, *call, headers);
    } else if (call->we_called) {
        state_->cancel(now, *call, headers);
    } else {
        state_->reject(now, *call, status < 300 || status > 699 ? 480 : status, headers, {});
    }
    state_->settle_call(dialog);
}

ClientRequest UserAgent::request(Instant now, DialogId dialog, const std::string& method,
                                 const std::vector<Header>& headers, const std::string& content_type,
                                 const std::string& body) {
    const ClientRequest id = ++state_->last_id;
    Call* call = state_->live_call(dialog);
    if (call != nullptr && !call->dialog.remote_tag.empty()) {
        state_->request_in_turn(now, *call, {id, method, headers, content_type, body});
    } else {
        state_->events.emplace_back(Responded{id, dialog, call == nullptr ? 481 : 503, std::nullopt});
    }
    return id;
}

}  // namespace sheaf::sip
