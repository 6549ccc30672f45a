// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "sip/grammar.h"
#include "sip/user_agent_state.h"

// Our INVITEs and re-INVITEs: provisional answers, forks, ACK, CANCEL, glare.
namespace sheaf::sip {
namespace {

// The ACK and CANCEL of a request keep its place: same target, route, From, Call-ID and CSeq number (§9.1, §17.1.1.3).
Message companion(const Message& invite, const std::string& method, const std::string& to) {
    Message request;
    request.start = RequestLine{method, invite.uri()};
    request.add("Via", invite.list("Via").front());
    for (const std::string& route : invite.all("Route")) request.add("Route", route);
    request.add("Max-Forwards", "70");
    request.add("From", *invite.first("From"));
    request.add("To", to);
    request.add("Call-ID", *invite.first("Call-ID"));
    request.add("CSeq", std::to_string(cseq_of(invite).number) + ' ' + method);
    return request;
}

void copy_credentials(const Message& invite, Message& ack) {  // §22.3
    for (const char* name : {"Authorization", "Proxy-Authorization"}) {
        for (const std::string& value : invite.all(name)) ack.add(name, value);
    }
}

void put_body(Message& request, const std::string& content_type, const std::string& body) {
    if (body.empty()) return;
    request.add("Content-Type", content_type.empty() ? "application/sdp" : content_type);
    request.body = body;
}

}  // namespace

void UserAgent::State::on_invite_response(Instant now, TransactionId id, const Source& source, Message& response) {
    ClientRecord* record = client(id);
    const int status = response.status();
    if (status >= 300) return on_final(now, id, status, &response);
    if (status >= 200) return on_invite_success(now, id, source, response);
    if (record->cancelled && !record->cancel_sent) send_cancel(now, id);  // it had to wait for this (§9.1)
    Call* of = live_call(record->out->dialog);
    if (of == nullptr) return;
    of->peer = source;
    of->is_proceeding = true;
    if (record->out->purpose == Purpose::reinvite && !record->cancelled && !of->cancel_at) {
        of->cancel_at = now + times.whole();
        settle_call(of->id);
    }
    if (status == 100 || record->cancelled) return;
    if (record->out->purpose == Purpose::reinvite) {
        static_cast<void>(takes_reliable(now, id, *of, response));  // it wants its PRACK, and tells nothing
        return;
    }
    if (!tag_of(response, "To").empty()) follow_response(of->dialog, record->out->request, response);
    if (!takes_reliable(now, id, *of, response)) return;
    events.emplace_back(Progressed{of->id, std::move(response)});
}

void UserAgent::State::on_invite_success(Instant now, TransactionId id, const Source& source, Message& response) {
    ClientRecord* record = client(id);
    const std::string tag = tag_of(response, "To");
    if (const auto known = record->acks.find(tag); known != record->acks.end()) {
        if (!known->second.bytes.empty()) sends.push_back(known->second);
        return;
    }
    Call* of = live_call(record->out->dialog);
    const bool is_reinvite = record->out->purpose == Purpose::reinvite;  // which changes something, CANCEL or not
    const bool is_ours = of != nullptr && of->client_invite == id && (is_reinvite || !record->cancelled);
    if (!is_ours) return on_stray_success(now, id, source, response);
    if (is_reinvite) {
        refresh_target(of->dialog, response);
    } else {
        follow_response(of->dialog, record->out->request, response);
        of->confirmed = true;
    }
    of->client_invite = 0;
    of->has_glared = false;
    of->peer = source;
    of->awaited_ack = AwaitedAck{id, cseq_of(record->out->request).number};
    session_agreed(now, *of, record->out->request, response);
    record->acks[tag] = {};
    const DialogId dialog = of->id;
    if (!record->out->request.body.empty()) acknowledge(*of, {}, {});
    events.emplace_back(Answered{dialog, std::move(response), is_reinvite});
    settle_call(dialog);
    send_waiting(now, dialog);
}

// A 2xx nobody wants: of another fork (§13.2.2.4), after CANCEL (§9.1) or after the end. It is ACKed, and BYEd unless
// that has been done.
void UserAgent::State::on_stray_success(Instant now, TransactionId id, const Source& source, const Message& response) {
    ClientRecord* record = client(id);
    if (record->acks.size() >= kForksMax) return;
    Dialog dialog = dialog_of_response(record->out->request, response);
    const bool is_reinvite = record->out->purpose == Purpose::reinvite;
    if (is_reinvite) {
        dialog.routes = name_addrs(record->out->request, "Route").value_or(std::vector<NameAddr>{});
    }
    Outgoing way = way_in(dialog, source, record->out->follow_source);
    way.account = record->out->account;
    Message ack = dialog_ack(dialog, cseq_of(record->out->request).number);
    copy_credentials(record->out->request, ack);
    record->acks[dialog.remote_tag] = send_ack(std::move(ack), way);
    if (is_reinvite) return;
    const DialogId wanted = record->out->dialog;
    // It may have heard requests of ours while it was early: the BYE counts on from those (§12.2.1.1).
    if (const Call* early = call(wanted); early != nullptr)
        dialog.local_cseq = std::max(dialog.local_cseq, early->dialog.local_cseq);
    way.request = dialog_request(dialog, "BYE");
    for (const Header& header : record->cancel_headers) way.request.add(header.name, header.value);
    way.purpose = Purpose::bye;
    const bool was_cancelled = record->cancelled;
    start_client(now, std::move(way));
    Call* of = live_call(wanted);
    if (of == nullptr || of->client_invite != id || !was_cancelled) return;
    of->client_invite = 0;
    events.emplace_back(Failed{wanted, 487, std::nullopt, false});
    end_call(now, wanted);
}

void UserAgent::State::on_invite_failed(Instant now, TransactionId id, int status, const Message* response) {
    const ClientRecord* record = client(id);
    const DialogId dialog = record->out->dialog;
    Call* of = call(dialog);
    if (of == nullptr || of->client_invite != id) return;
    of->client_invite = 0;
    if (of->closing) return;
    const bool is_reinvite = record->out->purpose == Purpose::reinvite;
    const auto message = response == nullptr ? std::nullopt : std::optional{*response};
    events.emplace_back(Failed{dialog, status, message, is_reinvite});
    if (!is_reinvite) return end_call(now, dialog);
    const bool is_given_up = response == nullptr && record->cancelled;  // the peer has taken it, at least
    const bool is_silent = !is_given_up && (status == 408 || (status == 503 && response == nullptr));
    if (status == 481 || is_silent) return on_dialog_lost(now, *of, status);
    if (status == 491) {
        // §14.1: who made the Call-ID waits longer, in steps of 10 ms. The other has at most 2 s to be the first, and
        // needs no more than a tenth of that to be so: media waits for it.
        const bool is_again = std::exchange(of->has_glared, true);
        const std::uint32_t steps =
            of->we_called ? 210 + entropy.number() % 191 : entropy.number() % (is_again ? 201 : 21);
        of->glare_at = now + std::chrono::milliseconds{10 * steps};
    }
    refresh_failed(now, *of);
    settle_call(dialog);
    send_waiting(now, dialog);
}

void UserAgent::State::acknowledge_failure(TransactionId id, const Message& response) {
    ClientRecord* record = client(id);
    Send& kept = record->acks["\n"];  // no tag has that name
    if (kept.bytes.empty()) {
        const std::string* to = response.first("To");
        const Message ack = companion(record->out->request, "ACK", to == nullptr ? std::string{} : *to);
        kept = *record->send;
        kept.bytes = to_bytes(ack);
        kept.branch.clear();
    }
    sends.push_back(kept);
}

void UserAgent::State::acknowledge(Call& call, const std::string& content_type, const std::string& body) {
    if (!call.awaited_ack) return;
    const AwaitedAck awaited = *call.awaited_ack;
    call.awaited_ack.reset();
    Message ack = dialog_ack(call.dialog, awaited.cseq);
    ClientRecord* record = client(awaited.transaction);
    if (record != nullptr) copy_credentials(record->out->request, ack);
    put_body(ack, content_type, body);
    Send sent = send_ack(std::move(ack), way_to(call));
    if (record != nullptr) record->acks[call.dialog.remote_tag] = std::move(sent);
}

void UserAgent::State::cancel(Instant now, Call& call, const std::vector<Header>& headers) {
    ClientRecord* record = client(call.client_invite);
    if (record == nullptr || record->cancelled) return;
    record->cancelled = true;
    record->cancel_headers = headers;
    if (record->machine.phase() == ClientTransaction::Phase::proceeding) send_cancel(now, call.client_invite);
}

void UserAgent::State::send_cancel(Instant now, TransactionId id) {
    ClientRecord* record = client(id);
    record->cancel_sent = true;
    record->machine.give_up_after(now);
    Outgoing cancel;
    cancel.purpose = Purpose::cancel;
    cancel.request = companion(record->out->request, "CANCEL", *record->out->request.first("To"));
    for (const Header& header : record->cancel_headers) cancel.request.add(header.name, header.value);
    Send send = *record->send;
    send.bytes = to_bytes(cancel.request);
    send.branch.clear();
    const Via via = top_via(record->out->request).value_or(Via{});
    sends.push_back(send);
    ClientRecord cancelling{.machine = {false, send.to.transport == Transport::tcp, times, now},
                            .out = std::move(cancel),
                            .send = std::move(send),
                            .key = client_key(via.params.value("branch").value_or(""), "CANCEL"),
                            .acks = {}};
    const TransactionId cancel_id = ++last_id;
    const auto& kept = clients.emplace(cancel_id, std::move(cancelling)).first->second;
    clients_by_key.add(kept.key, cancel_id);
    settle_client(cancel_id);
    settle_client(id);
}

// §14.1: not while another INVITE is under way; said as if the peer had said it.
void UserAgent::State::glare(Call& call) {
    call.glare_when_idle = true;
    events.emplace_back(Failed{call.id, 491, std::nullopt, true});
}

void UserAgent::State::reinvite(Instant now, Call& call, const Waiting& wanted) {
    if (!is_idle(call)) return glare(call);
    Message request = dialog_request(call.dialog, "INVITE");
    for (const Header& header : wanted.headers) request.add(header.name, header.value);
    ask_for_session(call, request);
    put_body(request, "application/sdp", wanted.body);
    const TransactionId started = send_within(now, call, Purpose::reinvite, std::move(request));
    call.client_invite = started;
    if (started == 0) events.emplace_back(Failed{call.id, unsent(), std::nullopt, true});
}

DialogId UserAgent::invite(Instant now, const Invitation& wanted) {
    Message request;
    request.headers.reserve(kUsualHeaders);
    request.start = RequestLine{"INVITE", wanted.target};
    request.add("Max-Forwards", "70");
    NameAddr from = wanted.from;
    from.params.set("tag", wanted.from_tag.empty() ? state_->entropy.token(8) : wanted.from_tag);
    NameAddr to = wanted.to;
    std::erase_if(to.params.items, [](const auto& item) { return same_name(item.first, "tag"); });
    request.add("From", to_text(from));
    request.add("To", to_text(to));
    request.add("Call-ID", wanted.call_id.empty() ? state_->entropy.uuid() : wanted.call_id);
    request.add("CSeq", "1 INVITE");
    if (std::ranges::any_of(wanted.headers, [](const Header& h) { return same_name(h.name, "Max-Forwards"); })) {
        request.remove("Max-Forwards");
    }
    for (const Header& header : wanted.headers) request.add(header.name, header.value);
    put_body(request, wanted.content_type, wanted.body);
    const auto routes = name_addrs(request, "Route");
    if (routes) set_route(request, wanted.target, *routes);
    Dialog dialog;
    dialog.call_id = *request.first("Call-ID");
    dialog.local = std::move(from);
    dialog.remote = std::move(to);
    dialog.local_tag = dialog.local.params.value("tag").value_or("");
    dialog.remote_target = request.uri();
    dialog.local_cseq = 1;
    Call& call = state_->open_call(std::move(dialog), true);
    const DialogId id = call.id;
    call.account = wanted.account;
    call.is_timed = wanted.session_timer;
    call.follows_source = wanted.follow_source;
    state_->ask_for_session(call, request);
    const auto hop = wanted.next_hop
                         ? wanted.next_hop
                         : state_->endpoint_of(routes && !routes->empty() ? routes->front().uri : wanted.target);
    const bool is_too_many = state_->calls.size() > state_->options.dialogs_max;
    if (hop && !is_too_many) {
        call.peer.remote = *hop;
        call.peer.local = wanted.local;
        Outgoing out;
        out.request = std::move(request);
        out.to = *hop;
        out.local = wanted.local;
        out.purpose = Purpose::invite;
        out.dialog = id;
        out.account = wanted.account;
        out.follow_source = wanted.follow_source;
        out.udp_only = wanted.follow_source;  // nobody behind a NAT is reached by a connection to it
        call.client_invite = state_->start_client(now, std::move(out));
    }
    if (call.client_invite == 0) {
        const int status = is_too_many ? kOwnLimit : state_->unsent();
        state_->events.emplace_back(Failed{id, status, std::nullopt, false});
        state_->end_call(now, id);
    }
    return id;
}

void UserAgent::follow_source(DialogId dialog) {
    if (Call* call = state_->live_call(dialog)) call->follows_source = true;
}

void UserAgent::cancel(Instant now, DialogId dialog, const std::vector<Header>& headers) {
    Call* call = state_->live_call(dialog);
    if (call == nullptr) return;
    if (call->confirmed) return state_->hang_up(now, *call, headers);  // the 2xx was faster
    if (call->we_called) state_->cancel(now, *call, headers);
}

void UserAgent::ack(Instant /*now*/, DialogId dialog, const std::string& content_type, const std::string& body) {
    Call* call = state_->live_call(dialog);
    if (call == nullptr) return;
    state_->acknowledge(*call, content_type, body);
    state_->settle_call(dialog);
}

void UserAgent::reinvite(Instant now, DialogId dialog, const std::string& sdp, const std::vector<Header>& headers) {
    Call* call = state_->live_call(dialog);
    if (call == nullptr) return;
    state_->request_in_turn(now, *call, {0, {}, headers, {}, sdp});
    state_->settle_call(dialog);
}

}  // namespace sheaf::sip
