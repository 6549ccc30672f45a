// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "sip/body.h"
#include "sip/grammar.h"
#include "sip/user_agent_state.h"

// Which transaction and dialog a message belongs to, and requests outside of dialogs.
namespace sheaf::sip {
namespace {

bool is_known_scheme(std::string_view scheme) {
    return scheme == "sip" || scheme == "sips" || scheme == "tel";
}

// Of its Via, if it has but one.
std::optional<std::string> only_branch(const Message& message) {
    std::optional<std::string_view> via;
    for (const Header& header : message.headers) {
        if (!same_name(header.name, "Via")) continue;
        for (const std::string_view item : list_items(header.value)) {
            if (via) return std::nullopt;
            via = item;
        }
    }
    if (!via) return std::nullopt;
    auto branch = header_param(via->substr(std::min(via->find(';'), via->size())), "branch");
    return branch ? std::move(*branch) : std::nullopt;
}

void put_party(Message& message, const std::string& header, NameAddr party, const std::string& tag) {
    if (tag.empty()) {
        std::erase_if(party.params.items, [](const auto& item) { return same_name(item.first, "tag"); });
    } else {
        party.params.set("tag", tag);
    }
    message.add(header, to_text(party));
}

}  // namespace

void UserAgent::State::on_known_request(Instant now, TransactionId id, const Source& source, Message request) {
    ServerRecord* record = server(id);
    ASSERT(record != nullptr);
    if (request.method() == "ACK") {
        const TransactionStep step = record->machine.on_ack(now);
        settle_server(id);
        if (step.deliver) on_ack(now, source, std::move(request));
        return;
    }
    if (record->machine.on_request_again(now).repeat) sends.push_back(record->last);
}

void UserAgent::State::on_new_request(Instant now, TransactionId id) {
    const ServerRecord* record = server(id);
    ASSERT(record != nullptr);
    const Message& request = *record->request;
    if (request.method() == "CANCEL") return on_cancel(now, id);
    if (!is_known_scheme(request.uri().scheme)) return reply(now, id, 416);
    const std::string to_tag = tag_of(request, "To");
    if (to_tag.empty()) return on_outside_request(now, id);
    const std::string* call_id = request.first("Call-ID");
    ASSERT(call_id != nullptr);
    Call* named = call_named(*call_id, to_tag, tag_of(request, "From"));
    if (named == nullptr && may_be_subscription(request.method())) {
        if (passes_inspection(now, id)) events.emplace_back(Requested{id, 0, request, record->source});
        return;
    }
    if (named == nullptr) return reply(now, id, 481);
    const DialogId dialog = named->id;
    on_in_dialog(now, *named, id);
    settle_call(dialog);
}

// Of a dialog that the application keeps, perhaps.
bool UserAgent::State::may_be_subscription(const std::string& method) const {
    const bool is_of_events = method == "SUBSCRIBE" || method == "NOTIFY";
    return is_of_events && std::ranges::find(options.allow, method) != options.allow.end();
}

// §8.2.1 to §8.2.2.3, after what only requests outside of dialogs are asked.
bool UserAgent::State::passes_inspection(Instant now, TransactionId id) {
    const Message& request = *server(id)->request;
    const std::string method = request.method();
    if (method != "BYE" && std::ranges::find(options.allow, method) == options.allow.end()) {
        reply(now, id, 405);
        return false;
    }
    std::string unsupported;
    for (const std::string& tag : request.list("Require")) {
        const bool is_supported =
            std::ranges::any_of(options.supported, [&](const std::string& known) { return same_name(known, tag); });
        if (!is_supported) unsupported += (unsupported.empty() ? "" : ", ") + tag;
    }
    if (!unsupported.empty()) {
        reply(now, id, 420, {{"Unsupported", unsupported}});
        return false;
    }
    if (method == "INVITE" && !accepts(request, "application/sdp")) {
        reply(now, id, 406);
        return false;
    }
    const auto description = carries_description(method) ? description_in(request) : std::string_view{};
    if (description) return true;
    const Errc code = description.error().code;
    const bool is_type = code == Errc::unsupported;  // §8.2.3
    reply(now, id,
          is_type                   ? 415
          : code == Errc::exhausted ? 413
                                    : 400,
          is_type ? std::vector<Header>{{"Accept", "application/sdp, multipart/mixed, multipart/alternative"},
                                        {"Accept-Encoding", "identity"}}
                  : std::vector<Header>{});
    return false;
}

void UserAgent::State::on_outside_request(Instant now, TransactionId id) {
    ServerRecord* record = server(id);
    const std::string method = record->request->method();
    std::string merge = merge_key(*record->request);
    if (servers_by_merge_key.find(merge)) return reply(now, id, 482);
    record->merge_key = std::move(merge);
    servers_by_merge_key.add(record->merge_key, id);
    // Only a request that would go on elsewhere has to stop here; OPTIONS asks who stands at this hop (§11).
    const std::string* forwards = record->request->first("Max-Forwards");
    if (forwards != nullptr && method != "OPTIONS" && number_from_text(*forwards, 255) == 0U) {
        return reply(now, id, 483);
    }
    if (!passes_inspection(now, id)) return;
    if (method == "BYE") return reply(now, id, 481);
    if (method == "INVITE") return on_invite(now, id);
    events.emplace_back(Requested{id, 0, *record->request, record->source, record->local_tag});
}

void UserAgent::State::on_response(Instant now, const Source& source, Message response) {
    const auto branch = only_branch(response);
    if (!branch) return;  // §8.1.3.3: not ours
    const std::string& method = response.method();
    const auto found = clients_by_key.find(client_key(*branch, method));
    if (!found) return;
    const TransactionId id = *found;
    ClientRecord* record = client(id);
    ASSERT(record != nullptr);
    if (!record->out || record->out->request.method() != method) return;  // repeated, or not of it (§17.1.3)
    const TransactionStep step = record->machine.on_response(now, response.status());
    if (step.acknowledge) acknowledge_failure(id, response);
    if (step.deliver) {
        const Purpose purpose = record->out->purpose;
        if (purpose == Purpose::invite || purpose == Purpose::reinvite) {
            on_invite_response(now, id, source, response);
        } else if (response.status() >= 200) {
            on_final(now, id, response.status(), &response);
        }
    }
    settle_client(id);
}

void UserAgent::State::on_final(Instant now, TransactionId id, int status, const Message* response) {
    ClientRecord* record = client(id);
    ASSERT(record != nullptr);
    if (response != nullptr && (status == 401 || status == 407) && try_again(now, id, *response)) return;
    if (response != nullptr && status == 422 && try_longer(now, id, *response)) return;
    const auto message = response == nullptr ? std::nullopt : std::optional{*response};
    const Outgoing& out = *record->out;
    switch (out.purpose) {
        case Purpose::invite:
        case Purpose::reinvite: return on_invite_failed(now, id, status, response);
        case Purpose::cancel:
        case Purpose::bye:
        case Purpose::prack: return;
        case Purpose::outside: events.emplace_back(Responded{out.id, 0, status, message}); return;
        case Purpose::in_dialog: break;
    }
    const std::string method = out.request.method();
    const DialogId dialog = out.dialog;
    Call* of = live_call(dialog);
    if (of == nullptr || of->refresh != out.id) events.emplace_back(Responded{out.id, dialog, status, message});
    if (of == nullptr) return;
    if (of->under_way == out.id) of->under_way = 0;
    if (response != nullptr && status < 300 && is_target_refresh(method)) refresh_target(of->dialog, *response);
    // RFC 5057 §5.1: a notification's failure ends its subscription only.
    if (method == "NOTIFY" || method == "SUBSCRIBE") return send_waiting(now, dialog);
    // §12.2.1.2: no response at all counts as 408, also when there was no way to send the request.
    const bool is_silent = status == 408 || (status == 503 && response == nullptr);
    if (of->confirmed && (status == 481 || is_silent)) return on_dialog_lost(now, *of, status);
    if (method == "UPDATE") on_refreshed(now, *of, status, out.request, response);
    settle_call(dialog);
    send_waiting(now, dialog);
}

void UserAgent::transport_failed(Instant now, const std::string& branch, bool was_up) {
    if (branch.empty()) return;
    const auto found = state_->clients_by_key.find(client_key(branch, {}));
    if (!found) return;
    const TransactionId id = *found;
    ClientRecord* record = state_->client(id);
    // Once the peer has answered something it is there; its final response may come on a connection of its own.
    if (record->machine.phase() != ClientTransaction::Phase::calling) return;
    if (was_up && !record->is_sent_anew) {  // the same bytes: to the peer, if it has seen them, the same request
        record->is_sent_anew = true;
        record->send->flow = 0;
        return state_->sends.push_back(*record->send);
    }
    record->machine.on_transport_error();
    if (record->by_tcp_for_size && !record->cancelled) {
        Outgoing out = *record->out;
        out.udp_only = true;
        state_->remember_without_tcp(now, out.to);
        out.request.remove_first_item("Via");
        const bool is_invite = out.purpose == Purpose::invite || out.purpose == Purpose::reinvite;
        const DialogId dialog = out.dialog;
        if (const TransactionId again = state_->start_client(now, std::move(out)); again != 0) {
            Call* of = state_->call(dialog);
            if (is_invite && of != nullptr) of->client_invite = again;
            return state_->settle_client(id);
        }
    }
    state_->on_final(now, id, 503, nullptr);
    state_->settle_client(id);
}

ClientRequest UserAgent::request_outside(Instant now, const OutsideRequest& wanted) {
    const ClientRequest id = ++state_->last_id;
    Message request;
    request.start = RequestLine{wanted.method, wanted.target};
    request.add("Max-Forwards", "70");
    const std::string tag = wanted.from.params.value("tag").value_or("");
    put_party(request, "From", wanted.from, tag.empty() ? state_->entropy.token(8) : tag);
    put_party(request, "To", wanted.to, wanted.to.params.value("tag").value_or(""));
    request.add("Call-ID", wanted.call_id.empty() ? state_->entropy.uuid() : wanted.call_id);
    request.add("CSeq", std::to_string(wanted.cseq) + ' ' + wanted.method);
    if (std::ranges::any_of(wanted.headers, [](const Header& h) { return same_name(h.name, "Max-Forwards"); })) {
        request.remove("Max-Forwards");
    }
    for (const Header& header : wanted.headers) request.add(header.name, header.value);
    if (!wanted.content_type.empty()) request.add("Content-Type", wanted.content_type);
    request.body = wanted.body;
    const auto routes = name_addrs(request, "Route");
    if (routes) set_route(request, wanted.target, *routes);
    const auto to = wanted.next_hop
                        ? wanted.next_hop
                        : state_->endpoint_of(routes && !routes->empty() ? routes->front().uri : wanted.target);
    TransactionId started = 0;
    if (to) {
        Outgoing out;
        out.request = std::move(request);
        out.to = *to;
        out.local = wanted.local;
        out.purpose = Purpose::outside;
        out.id = id;
        out.account = wanted.account;
        started = state_->start_client(now, std::move(out));
    }
    if (started == 0) state_->events.emplace_back(Responded{id, 0, state_->unsent(), std::nullopt});
    return id;
}

ClientRequest UserAgent::request(Instant now, OwnDialog& within, const std::string& method,
                                 const std::vector<Header>& headers, const std::string& content_type,
                                 const std::string& body) {
    const ClientRequest id = ++state_->last_id;
    Outgoing out = state_->way_in(within.dialog, within.peer, within.follow_source);
    out.request = dialog_request(within.dialog, method);
    for (const Header& header : headers) out.request.add(header.name, header.value);
    if (!content_type.empty()) out.request.add("Content-Type", content_type);
    out.request.body = body;
    out.purpose = Purpose::outside;
    out.id = id;
    if (state_->start_client(now, std::move(out)) == 0)
        state_->events.emplace_back(Responded{id, 0, state_->unsent(), std::nullopt});
    return id;
}

void UserAgent::respond(Instant now, ServerRequest request, int status, const std::vector<Header>& headers,
                        const std::string& content_type, const std::string& body, std::string_view reason) {
    const ServerRecord* record = state_->server(request);
    if (record == nullptr || record->machine.is_answered()) return;
    const std::string method = record->request->method();
    if (method == "INVITE") return;  // answered by dialog
    Message response = response_to(*record->request, status, record->local_tag, reason);
    for (const Header& header : headers) response.add(header.name, header.value);
    const bool is_success = status >= 200 && status < 300;
    if (is_success && is_target_refresh(method) && response.first("Contact") == nullptr) {
        const Endpoint* local = state_->listening(record->source.remote, record->source.local);
        if (local != nullptr) response.add("Contact", state_->contact(*local));
    }
    if (!content_type.empty()) response.add("Content-Type", content_type);
    response.body = body;
    if (is_success) state_->add_identity(response, method);
    Call* of = is_success && method == "UPDATE" ? state_->live_call(record->dialog) : nullptr;
    if (of != nullptr && of->confirmed) {
        state_->learn_of_session(*of, *record->request);
        state_->session_answered(now, *of, *record->request, response);
    }
    const DialogId updated = method == "UPDATE" ? record->dialog : 0;
    state_->reply(now, request, std::move(response));
    if (updated != 0) state_->settle_call(updated);
}

}  // namespace sheaf::sip
