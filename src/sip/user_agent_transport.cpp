// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "sip/grammar.h"
#include "sip/user_agent_state.h"

namespace sheaf::sip {
namespace {

constexpr std::uint16_t kDefaultPort = 5060;

bool is_ipv6(std::string_view address) {
    return address.find(':') != std::string_view::npos;
}

// §18.2.1 and RFC 3581 §4: where the request really came from, written into its top Via.
void note_source(Message& request, Via& via, const Endpoint& remote) {
    if (via.params.has("rport")) {
        via.params.set("rport", std::to_string(remote.port));
        via.params.set("received", remote.address);
    } else if (via.host != remote.address) {
        via.params.set("received", remote.address);
    } else {
        return;
    }
    request.replace_first_item("Via", to_text(via));
}

// §18.2.2: back to the address it came from, always; `maddr` of a stranger is not followed. The port is the sent-by's
// unless rport asks for the source's.
Send response_way(const Via& via, const Source& source) {
    Send send;
    send.to = source.remote;
    send.local = source.local;
    const bool to_source_port = source.remote.transport == Transport::udp && via.params.has("rport");
    if (!to_source_port) send.to.port = via.port == 0 ? kDefaultPort : via.port;
    send.flow = source.flow;
    return send;
}

// The challenges in a 401 or 407 that we can answer.
std::vector<Challenge> challenges_in(const Message& response, std::string_view header) {
    std::vector<Challenge> challenges;
    for (const std::string& text : response.all(header)) {
        if (auto challenge = challenge_from_text(text)) challenges.push_back(std::move(*challenge));
    }
    return challenges;
}

void put_credentials(Message& request, const std::string& header, const Credentials& credentials) {
    std::erase_if(request.headers, [&](const Header& known) {
        if (!same_name(known.name, header)) return false;
        const auto former = credentials_from_text(known.value);
        return !former || former->realm == credentials.realm;
    });
    request.add(header, to_text(credentials));
}

// The URI that says where it goes (RFC 3263 §4.1).
bool names_udp(const Message& request) {
    const auto routes = request.list("Route");
    const auto route = routes.empty() ? fail(Errc::not_found, "none") : name_addr_from_text(routes.front());
    const auto transport = (route ? route->uri : request.uri()).params.value("transport");
    return transport && same_name(*transport, "udp");
}

}  // namespace

const Endpoint* UserAgent::State::listening(const Endpoint& to, const Endpoint& preferred) const {
    const Endpoint* found = nullptr;
    for (const Endpoint& local : options.listen) {
        if (local.transport != to.transport || is_ipv6(local.address) != is_ipv6(to.address)) continue;
        if (local == preferred) return &local;
        if (found == nullptr) found = &local;
    }
    return found;
}

std::optional<Endpoint> UserAgent::State::endpoint_of(const Uri& uri) const {
    if (uri.scheme != "sip" || !is_ip_literal(uri.host)) return std::nullopt;
    Endpoint to{Transport::udp, uri.host, uri.port == 0 ? kDefaultPort : uri.port};
    if (const auto named = uri.params.value("transport")) {
        if (same_name(*named, "tcp")) {
            to.transport = Transport::tcp;
        } else if (!same_name(*named, "udp")) {
            return std::nullopt;
        }
    } else if (listening(to, {}) == nullptr) {
        to.transport = Transport::tcp;
    }
    return to;
}

Via UserAgent::State::via_of(const Endpoint& local, const std::string& branch) const {
    Via via;
    via.transport = local.transport == Transport::udp ? "UDP" : "TCP";
    via.host = advertised.host.empty() ? local.address : advertised.host;
    via.port = advertised.port == 0 ? local.port : advertised.port;
    via.params.set("branch", branch);
    via.params.set("rport", std::nullopt);  // RFC 3581
    return via;
}

std::string UserAgent::State::contact(const Endpoint& local) const {
    NameAddr value;
    value.uri.user = options.contact_user;
    value.uri.host = advertised.host.empty() ? local.address : advertised.host;
    value.uri.port = advertised.port == 0 ? local.port : advertised.port;
    if (local.transport == Transport::tcp) value.uri.params.set("transport", "tcp");
    return to_text(value);
}

void UserAgent::State::add_identity(Message& message, std::string_view method) const {
    if (method == "INVITE" || method == "OPTIONS" || method == "UPDATE") {
        if (!allow.empty() && message.first("Allow") == nullptr) message.add("Allow", allow);
        // The offer would come in a provisional response, and a PRACK have to answer it.
        const bool is_offerless = method == "INVITE" && message.is_request() && message.body.empty();
        const std::string& tags = is_offerless ? supported_offerless : supported;
        if (!tags.empty() && message.first("Supported") == nullptr) message.add("Supported", tags);
    }
    const char* name = message.is_request() ? "User-Agent" : "Server";
    if (!options.product.empty() && message.first(name) == nullptr) message.add(name, options.product);
}

bool UserAgent::State::is_full() const {
    return clients.size() + servers.size() >= options.transactions_max;
}

void UserAgent::State::remember_without_tcp(Instant now, const Endpoint& at) {
    if (without_tcp.size() >= kWithoutTcpMax)
        std::erase_if(without_tcp, [&](const auto& e) { return e.second <= now; });
    if (without_tcp.size() < kWithoutTcpMax) without_tcp[to_text(at)] = now + kWithoutTcpFor;
}

bool UserAgent::State::takes_tcp(Instant now, const Endpoint& at) const {
    if (without_tcp.empty()) return true;
    const auto known = without_tcp.find(to_text(at));
    return known == without_tcp.end() || known->second <= now;
}

TransactionId UserAgent::State::start_client(Instant now, Outgoing out) {
    const bool ends_something = out.purpose == Purpose::bye || out.purpose == Purpose::cancel;
    if (!ends_something && is_full()) return 0;
    const Endpoint* local = listening(out.to, out.local);
    if (local == nullptr) return 0;
    const std::string method = out.request.method();
    if (is_target_refresh(method) && out.request.first("Contact") == nullptr) {
        out.request.add("Contact", contact(*local));
    }
    add_identity(out.request, method);

    const std::string branch = std::string(kBranchCookie) + entropy.token(12);
    out.request.add_first("Via", to_text(via_of(*local, branch)));
    Send send{.to = out.to, .flow = out.flow, .bytes = to_bytes(out.request), .branch = branch, .local = *local};

    // §18.1.1: what may not fit one datagram goes by TCP; the address stays. Not where UDP is asked for by name.
    bool by_tcp_for_size = false;
    const bool is_large = out.to.transport == Transport::udp && send.bytes.size() > options.udp_bytes_max;
    if (is_large && !out.udp_only && takes_tcp(now, out.to) && !names_udp(out.request)) {
        Endpoint over_tcp = out.to;
        over_tcp.transport = Transport::tcp;
        if (const Endpoint* tcp = listening(over_tcp, {})) {
            by_tcp_for_size = true;
            out.request.replace_first_item("Via", to_text(via_of(*tcp, branch)));
            send.to = over_tcp;
            send.local = *tcp;
            send.bytes = to_bytes(out.request);
        }
    }

    const TransactionId id = ++last_id;
    const bool is_reliable = send.to.transport == Transport::tcp;
    sends.push_back(send);
    ClientRecord record{.machine = {method == "INVITE", is_reliable, times, now},
                        .out = std::move(out),
                        .send = std::move(send),
                        .key = client_key(branch, method),
                        .by_tcp_for_size = by_tcp_for_size,
                        .acks = {}};
    clients_by_key.add(clients.emplace(id, std::move(record)).first->second.key, id);
    settle_client(id);
    return id;
}

Send UserAgent::State::send_ack(Message request, const Outgoing& way) {
    const Endpoint* local = listening(way.to, way.local);
    if (local == nullptr) return {};
    const std::string branch = std::string(kBranchCookie) + entropy.token(12);
    request.add_first("Via", to_text(via_of(*local, branch)));
    add_identity(request, "ACK");
    sends.push_back({.to = way.to, .flow = way.flow, .bytes = to_bytes(request), .branch = {}, .local = *local});
    return sends.back();
}

bool UserAgent::State::try_again(Instant now, TransactionId id, const Message& response) {
    ClientRecord* former = client(id);
    ASSERT(former != nullptr);
    Outgoing out = *former->out;
    if (!out.account || out.attempts + 1 >= kAttemptsMax || former->cancelled) return false;
    const bool is_proxy = response.status() == 407;
    const auto challenges = challenges_in(response, is_proxy ? "Proxy-Authenticate" : "WWW-Authenticate");
    const auto credentials =
        answer_challenge(challenges, *out.account, out.request.method(), to_text(out.request.uri()), entropy.token(8));
    if (!credentials) return false;
    // Once per challenge: a second one for the same realm means a wrong password, unless the nonce was just too old.
    const std::string name = std::string(is_proxy ? "proxy " : "server ") + credentials->realm;
    if (std::ranges::find(out.answered, name) != out.answered.end()) {
        const bool is_stale = std::ranges::any_of(
            challenges, [&](const Challenge& given) { return given.stale && given.nonce == credentials->nonce; });
        if (!is_stale || out.stale_answered) return false;
        out.stale_answered = true;
    } else {
        out.answered.push_back(name);
    }
    put_credentials(out.request, is_proxy ? "Proxy-Authorization" : "Authorization", *credentials);
    return send_anew(now, std::move(out));
}

// RFC 4028 §7.3: a 422 is answered by the interval that it asks for.
bool UserAgent::State::try_longer(Instant now, TransactionId id, const Message& response) {
    ClientRecord* former = client(id);
    Outgoing out = *former->out;
    Call* of = live_call(out.dialog);
    const auto least = min_se_of(response);
    const auto told = min_se_of(out.request);
    const bool is_new = least && (!told || *told < *least);
    if (of == nullptr || !is_new || !supports("timer") || out.attempts + 1 >= kAttemptsMax || former->cancelled)
        return false;
    learn_of_session(*of, response);
    out.request.remove("Session-Expires");
    out.request.remove("Min-SE");
    ask_for_session(*of, out.request);
    return send_anew(now, std::move(out));
}

// The same request once more, as a transaction of its own.
bool UserAgent::State::send_anew(Instant now, Outgoing out) {
    ++out.attempts;
    std::uint32_t cseq = cseq_of(out.request).number + 1;
    Call* of = live_call(out.dialog);
    if (of != nullptr) {
        cseq = std::max(cseq, of->dialog.local_cseq + 1);
        of->dialog.local_cseq = cseq;
    }
    out.request.remove_first_item("Via");
    out.request.set("CSeq", std::to_string(cseq) + ' ' + out.request.method());
    const bool is_invite = out.purpose == Purpose::invite || out.purpose == Purpose::reinvite;
    const TransactionId again = start_client(now, std::move(out));
    if (again != 0 && is_invite && of != nullptr) of->client_invite = again;
    return again != 0;
}

void UserAgent::State::reply(Instant now, TransactionId id, Message response) {
    ServerRecord* record = server(id);
    if (record == nullptr || !record->machine.on_response(now, response.status())) return;
    add_identity(response, response.status() == 405 ? "OPTIONS" : std::string_view{});
    record->last.bytes = to_bytes(response);
    sends.push_back(record->last);
    if (record->machine.is_answered()) record->request.reset();  // nobody asks for it again; its answer is kept
    settle_server(id);
}

void UserAgent::State::reply(Instant now, TransactionId id, int status, const std::vector<Header>& headers) {
    const ServerRecord* record = server(id);
    if (record == nullptr || !record->request) return;
    Message response = response_to(*record->request, status, record->local_tag);
    for (const Header& header : headers) response.add(header.name, header.value);
    reply(now, id, std::move(response));
}

void UserAgent::State::refuse(const Message& request, const Source& source, int status, std::string_view reason) {
    const auto via = top_via(request);
    if (!via) return;
    Message response = response_to(request, status, entropy.token(8), reason);
    if (status == 503) response.add("Retry-After", std::to_string(kRetryAfterSeconds));
    add_identity(response, {});
    Send send = response_way(*via, source);
    send.bytes = to_bytes(response);
    sends.push_back(std::move(send));
}

void UserAgent::State::refuse_unseen(Message request, const Source& source) {
    auto via = top_via(request);
    if (!via) return;
    note_source(request, *via, source.remote);
    refuse(request, source, 503);
}

void UserAgent::State::on_bytes_refused(const Source& source, std::string_view bytes, const Error& error) {
    auto request = salvage_request(bytes);
    if (!request || !request->is_request()) return;
    const std::string method = cseq_of(*request).method;
    if (request->method() == "ACK" || method == "ACK") return;  // never answered
    auto via = top_via(*request);
    if (!via) return;
    note_source(*request, *via, source.remote);
    const int status = error.code == Errc::exhausted ? 513 : error.code == Errc::unsupported ? 505 : 400;
    refuse(*request, source, status, error.what);
}

void UserAgent::State::on_request(Instant now, const Source& source, Message request) {
    auto via = top_via(request);
    if (!via) return;
    note_source(request, *via, source.remote);
    const std::string method = request.method();
    std::string key = server_key(request, *via, method == "ACK" ? "INVITE" : method);
    if (const auto known = servers_by_key.find(key)) {
        return on_known_request(now, *known, source, std::move(request));
    }
    if (method == "ACK") return on_ack(now, source, std::move(request));
    // What ends something is let in longer, so that a full house can empty itself.
    const bool ends_something = method == "BYE" || method == "CANCEL";
    const std::size_t limit = options.transactions_max * (ends_something ? 2 : 1);
    if (clients.size() + servers.size() >= limit) return refuse(request, source, 503);

    const TransactionId id = ++last_id;
    const bool is_reliable = source.remote.transport == Transport::tcp;
    ServerRecord record{.machine = {method == "INVITE", is_reliable, times, now},
                        .request = std::move(request),
                        .source = source,
                        .local_tag = entropy.token(8),
                        .last = response_way(*via, source),
                        .key = std::move(key),
                        .merge_key = {}};
    servers_by_key.add(servers.emplace(id, std::move(record)).first->second.key, id);
    settle_server(id);
    on_new_request(now, id);
}

}  // namespace sheaf::sip
