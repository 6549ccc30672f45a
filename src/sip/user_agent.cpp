// SPDX-License-Identifier: Apache-2.0
#include "sip/user_agent.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "sip/body.h"
#include "sip/user_agent_state.h"

namespace sheaf::sip {
namespace {

// What only waits to be forgotten is in no hurry: of a busy site many go together, at a whole tenth of a second.
constexpr std::chrono::milliseconds kForgetTogether{100};

template <typename Machine>
std::optional<Instant> wake_at(const Machine& machine) {
    const auto at = machine.deadline();
    if (!at || !machine.is_lingering()) return at;
    const auto since = at->time_since_epoch() + kForgetTogether - Duration{1};
    return Instant{since - since % kForgetTogether};
}

template <typename Map>
auto find_in(Map& map, std::uint64_t id) -> decltype(&map.begin()->second) {
    const auto found = map.find(id);
    return found == map.end() ? nullptr : &found->second;
}

template <typename Map, typename Key>
void erase_if_names(Map& map, const Key& key, std::uint64_t id) {
    const auto found = map.find(key);
    if (found != map.end() && found->second == id) map.erase(found);
}

void take_earlier(std::optional<Instant>& earliest, std::optional<Instant> at) {
    if (at && (!earliest || *at < *earliest)) earliest = at;
}

// As a header's value, without one.
std::string joined(const std::vector<std::string>& items, std::string_view without = {}) {
    std::string out;
    for (const std::string& item : items) {
        if (item != without) out += (out.empty() ? "" : ", ") + item;
    }
    return out;
}

// What is not needed any more once the final response is here: it would be kept for half a minute.
void forget_sent(ClientRecord& record) {
    record.send.reset();
    if (!record.out) return;
    const bool is_invite = record.out->purpose == Purpose::invite || record.out->purpose == Purpose::reinvite;
    is_invite ? give_back(record.out->request.body) : record.out.reset();
}

}  // namespace

UserAgent::State::State(UserAgentOptions given, const Entropy::Seed& seed)
    : options(std::move(given)),
      // An IPv6 address without brackets is no host with a port.
      advertised(host_port_from_text(options.advertise, false).value_or(HostPort{options.advertise, 0})),
      allow(joined(options.allow)),
      supported(joined(options.supported)),
      supported_offerless(joined(options.supported, "100rel")),
      times{options.t1, options.t2, options.t4},
      entropy(seed) {}

Call& UserAgent::State::open_call(Dialog dialog, bool we_called) {
    const DialogId id = ++last_id;
    Call& call = calls[id];
    call.id = id;
    call.dialog = std::move(dialog);
    call.we_called = we_called;
    calls_by_name[{call.dialog.call_id, call.dialog.local_tag}] = id;
    return call;
}

Call* UserAgent::State::call(DialogId id) {
    return find_in(calls, id);
}

Call* UserAgent::State::live_call(DialogId id) {
    Call* found = call(id);
    return found == nullptr || found->closing ? nullptr : found;
}

Call* UserAgent::State::call_named(const std::string& call_id, const std::string& local_tag,
                                   const std::string& remote_tag) {
    const auto found = calls_by_name.find(DialogNameView{call_id, local_tag});
    if (found == calls_by_name.end()) return nullptr;
    Call* named = call(found->second);
    ASSERT(named != nullptr);
    return named->dialog.remote_tag == remote_tag ? named : nullptr;
}

ClientRecord* UserAgent::State::client(TransactionId id) {
    return find_in(clients, id);
}
ServerRecord* UserAgent::State::server(TransactionId id) {
    return find_in(servers, id);
}

void UserAgent::State::settle_client(TransactionId id) {
    ClientRecord* record = client(id);
    if (record == nullptr) return;
    timers.set({TimerKey::Kind::client, id}, wake_at(record->machine));
    if (record->machine.is_lingering()) forget_sent(*record);
    if (!record->machine.is_over()) return;
    clients_by_key.erase(record->key, id);
    clients.erase(id);
}

void UserAgent::State::settle_server(TransactionId id) {
    ServerRecord* record = server(id);
    if (record == nullptr) return;
    timers.set({TimerKey::Kind::server, id}, wake_at(record->machine));
    if (!record->machine.is_over()) return;
    servers_by_key.erase(record->key, id);
    servers_by_merge_key.erase(record->merge_key, id);
    servers.erase(id);
}

void UserAgent::State::settle_call(DialogId id) {
    Call* found = call(id);
    if (found == nullptr) return;
    const ServerRecord* update = server(found->server_update);
    const bool is_being_updated = update != nullptr && !update->machine.is_answered();
    if (found->glare_when_idle && is_idle(*found) && !is_being_updated) {
        found->glare_when_idle = false;
        events.emplace_back(GlareOver{id});
    }
    if (found->client_invite == 0) found->cancel_at.reset();
    std::optional<Instant> at = found->glare_at;
    take_earlier(at, found->cancel_at);
    take_earlier(at, found->provisional_at);
    take_earlier(at, found->refresh_at);
    take_earlier(at, found->expires_at);
    if (found->unpracked && found->unpracked->repeat_at) {
        take_earlier(at, found->unpracked->repeat_at);
        take_earlier(at, found->unpracked->end_at);
    }
    for (const Unacked& waiting : found->unacked) {
        take_earlier(at, waiting.repeat_at);
        take_earlier(at, waiting.end_at);
    }
    timers.set({TimerKey::Kind::call, id}, at);
}

void UserAgent::State::end_call(Instant now, DialogId id) {
    Call* found = call(id);
    if (found == nullptr) return;
    if (const TransactionId pending = std::exchange(found->server_invite, 0); pending != 0) reply(now, pending, 487);
    if (ClientRecord* pending = client(found->client_invite)) {
        pending->cancelled = true;
        pending->machine.give_up_after(now);
        settle_client(found->client_invite);
    }
    drop_waiting(*found);
    timers.set({TimerKey::Kind::call, id}, std::nullopt);
    erase_if_names(calls_by_name, DialogNameView{found->dialog.call_id, found->dialog.local_tag}, id);
    calls.erase(id);
}

void UserAgent::State::on_timer(Instant now, const TimerKey& key) {
    switch (key.kind) {
        case TimerKey::Kind::client: {
            ClientRecord* record = client(key.id);
            ASSERT(record != nullptr);
            const TransactionStep step = record->machine.on_timer(now);
            if (step.repeat) sends.push_back(*record->send);
            if (step.timed_out) on_final(now, key.id, 408, nullptr);
            settle_client(key.id);
            return;
        }
        case TimerKey::Kind::server: {
            ServerRecord* record = server(key.id);
            ASSERT(record != nullptr);
            if (record->machine.on_timer(now).repeat) sends.push_back(record->last);
            settle_server(key.id);
            return;
        }
        case TimerKey::Kind::call: {
            Call* found = call(key.id);
            ASSERT(found != nullptr);
            on_call_timer(now, *found);
            settle_call(key.id);
            return;
        }
    }
}

UserAgent::UserAgent(UserAgentOptions options, const Entropy::Seed& seed)
    : state_(std::make_unique<State>(std::move(options), seed)) {}
UserAgent::~UserAgent() = default;
UserAgent::UserAgent(UserAgent&&) noexcept = default;

void UserAgent::receive_datagram(Instant now, const Source& source, std::string_view bytes) {
    if (bytes.find_first_not_of("\r\n") == std::string_view::npos) return;  // a keep-alive
    auto message = message_from_datagram(bytes);
    if (message) {
        state_->receive(now, source, *std::move(message));
    } else {
        state_->on_bytes_refused(source, bytes, message.error());
    }
}

void UserAgent::receive_message(Instant now, const Source& source, const Result<Message>& message) {
    if (message) state_->receive(now, source, *message);  // a stream that cannot be followed is the edge's to close
}

void UserAgent::receive_broken(const Source& source, std::string_view bytes, const Error& error) {
    state_->on_bytes_refused(source, bytes, error);
}

void UserAgent::State::receive(Instant now, const Source& source, Message message) {
    if (!message.body.empty() && carries_description(message.method())) keep_description(message);
    if (message.is_request()) {
        on_request(now, source, std::move(message));
    } else {
        on_response(now, source, std::move(message));
    }
}

void UserAgent::turn_away(const Source& source, std::string_view bytes) {
    if (const auto message = message_from_datagram(bytes)) turn_away(source, *message);
}

void UserAgent::turn_away(const Source& source, const Message& message) {
    if (message.is_request() && message.method() != "ACK") state_->refuse_unseen(message, source);
}

void UserAgent::tick(Instant now) {
    // What is due again at once waits for the next time.
    for (std::size_t left = state_->timers.size(); left > 0; --left) {
        const auto due = state_->timers.pop_due(now);
        if (!due) return;
        state_->on_timer(now, *due);
    }
}

std::optional<Instant> UserAgent::next_deadline() const {
    return state_->timers.next();
}
std::vector<Send> UserAgent::take_sends() {
    return std::exchange(state_->sends, {});
}
std::vector<Event> UserAgent::take_events() {
    return std::exchange(state_->events, {});
}

std::optional<DialogView> UserAgent::view(DialogId dialog) const {
    const Call* call = state_->live_call(dialog);
    if (call == nullptr) return std::nullopt;
    const Dialog& d = call->dialog;
    return DialogView{.call_id = d.call_id,
                      .local_tag = d.local_tag,
                      .remote_tag = d.remote_tag,
                      .remote_target = d.remote_target,
                      .local = d.local,
                      .remote = d.remote,
                      .confirmed = call->confirmed,
                      .we_called = call->we_called,
                      .is_proceeding = call->is_proceeding,
                      .peer = call->peer.remote};
}

DialogId UserAgent::find(std::string_view call_id, std::string_view local_tag, std::string_view remote_tag) const {
    const Call* call = state_->call_named(std::string(call_id), std::string(local_tag), std::string(remote_tag));
    return call == nullptr || call->closing ? 0 : call->id;
}

UserAgent::Counts UserAgent::counts() const {
    return {.dialogs = state_->calls.size(),
            .transactions = state_->clients.size() + state_->servers.size(),
            .timers = state_->timers.size()};
}

}  // namespace sheaf::sip
