// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/boxed.h"
#include "sip/dialog.h"
#include "sip/grammar.h"
#include "sip/timer_queue.h"
#include "sip/transaction.h"
#include "sip/user_agent.h"

// What a UserAgent keeps. Only user_agent*.cpp may include this.
//
//   clients  a request of ours each, and what its outcome means      servers  a request of theirs each
//   calls    an INVITE dialog each, from its first INVITE            timers   one deadline for each of the three
namespace sheaf::sip {

inline constexpr std::size_t kForksMax = 16;          // 2xx from different phones to one INVITE that we ACK and BYE
inline constexpr std::size_t kUnackedMax = 4;         // 2xx of ours in one dialog that wait for their ACK
inline constexpr std::size_t kWaitingMax = 64;        // requests in one dialog that wait for the one before them
inline constexpr std::size_t kProvisionalsMax = 8;    // of one INVITE that wait for the PRACK of the one before them
inline constexpr int kAttemptsMax = 6;                // of one request, each with other credentials
inline constexpr std::size_t kWithoutTcpMax = 1'000;  // addresses remembered; one more is tried again each time
inline constexpr std::chrono::minutes kWithoutTcpFor{5};
inline constexpr int kRetryAfterSeconds = 5;                   // told with 503
inline constexpr std::chrono::seconds kProvisionalRepeat{60};  // §13.3.1.1: keeps proxies from giving up

using TransactionId = std::uint64_t;

struct TimerKey {
    enum class Kind { client, server, call };
    Kind kind;
    std::uint64_t id;
    friend auto operator<=>(const TimerKey&, const TimerKey&) = default;
};

}  // namespace sheaf::sip

template <>
struct std::hash<sheaf::sip::TimerKey> {
    std::size_t operator()(const sheaf::sip::TimerKey& key) const {
        return std::hash<std::uint64_t>{}(key.id) * 3 + static_cast<std::size_t>(key.kind);
    }
};

namespace sheaf::sip {

enum class Purpose { invite, reinvite, cancel, bye, prack, in_dialog, outside };

// A request about to be sent.
struct Outgoing {
    Message request;  // without Via
    Endpoint to;
    std::uint64_t flow = 0;
    Endpoint local;  // preferred, when it fits
    Purpose purpose = Purpose::outside;
    DialogId dialog = 0;
    ClientRequest id = 0;
    std::optional<Account> account;
    // What former attempts of the same request have used up.
    std::vector<std::string> answered;  // challenges, by header and realm
    bool stale_answered = false;
    int attempts = 0;
    bool udp_only = false;       // TCP was tried for its size, or there is a NAT before it
    bool follow_source = false;  // see UserAgent::follow_source
};

struct ClientRecord {
    ClientTransaction machine;
    Boxed<Outgoing> out;  // until the final response; an INVITE's, without its body, to the end
    Boxed<Send> send;     // until the final response
    std::string key;
    bool by_tcp_for_size = false;
    bool cancelled = false;  // the application wants no answer any more
    bool cancel_sent = false;
    bool is_sent_anew = false;  // over a new connection
    std::vector<Header> cancel_headers;
    std::map<std::string, std::uint64_t> rseqs;  // by To tag: of the last reliable provisional response
    std::map<std::string, Send> acks;  // by To tag of the final response; no bytes: the application has yet to ACK
};

struct ServerRecord {
    ServerTransaction machine;
    Boxed<Message> request;  // until the final response
    Source source;
    std::string local_tag;
    Send last;  // response; no bytes: the way that the first will go
    std::string key;
    std::string merge_key;
    DialogId dialog = 0;
};

// Empties it, and lets go of its memory: what is assigned to keeps its room.
template <typename T>
void give_back(T& what) {
    const T gone = std::move(what);
    what = T();
}

struct Unacked {
    std::uint32_t cseq;
    Send send;
    Duration interval;
    Instant repeat_at;
    Instant end_at;
    bool held_offer;  // the ACK brings the answer
};

// A reliable provisional response of ours without PRACK.
struct Unpracked {
    std::uint32_t rseq;
    std::uint32_t cseq;  // of the INVITE
    std::string sdp;
    Send send;
    Duration interval;
    std::optional<Instant> repeat_at;  // none: a final response has gone out
    Instant end_at;
};

struct Provisional {
    int status = 0;
    std::vector<Header> headers;
    std::string sdp;
};
struct Answer {
    std::string sdp;
    std::vector<Header> headers;
};

struct AwaitedAck {  // the 2xx to our offerless INVITE
    TransactionId transaction;
    std::uint32_t cseq;
};

// A request of ours that follows another one.
struct Waiting {
    ClientRequest id = 0;  // 0: a re-INVITE
    std::string method;
    std::vector<Header> headers;
    std::string content_type;
    std::string body;
};

struct Call {
    DialogId id = 0;
    Dialog dialog;
    bool we_called = false;
    bool confirmed = false;
    bool closing = false;             // over for the application; BYE waits for the ACK of our 2xx (§15)
    std::vector<Header> bye_headers;  // of that BYE
    TransactionId client_invite = 0;  // ours, without final response
    TransactionId server_invite = 0;  // theirs, without our final response
    TransactionId server_update = 0;  // theirs, the last
    std::optional<AwaitedAck> awaited_ack;
    std::vector<Unacked> unacked;
    ClientRequest under_way = 0;   // ours, other than INVITE and BYE, without final response
    std::vector<Waiting> waiting;  // each starts when the one before it is over
    std::optional<Instant> glare_at;
    std::optional<Instant> cancel_at;  // our re-INVITE, which the peer has taken and does not answer
    bool glare_when_idle = false;
    bool has_glared = false;  // so was the re-INVITE before
    std::optional<Instant> provisional_at;
    std::uint32_t rseq = 0;  // of our last reliable provisional response; 0: none
    Boxed<Unpracked> unpracked;
    std::vector<Provisional> provisionals;  // wait for its PRACK
    std::optional<Answer> held_answer;      // so does this
    std::string answered_reliably;          // the description that a PRACK has acknowledged
    bool is_timed = true;                   // a session timer is asked for
    std::optional<SessionTimer> session;
    std::optional<std::chrono::seconds> min_se;  // the largest heard on this dialog
    std::optional<Instant> refresh_at, expires_at;
    ClientRequest refresh = 0;  // our UPDATE that refreshes the session
    bool takes_update = false;  // the peer's Allow
    std::optional<Account> account;
    bool follows_source = false;
    bool is_proceeding = false;
    Source peer;
};

// A dialog as a request of its peer names it, but for the peer's tag.
struct DialogName {
    std::string call_id;
    std::string local_tag;
};
struct DialogNameView {
    std::string_view call_id;
    std::string_view local_tag;
    DialogNameView(std::string_view call_id, std::string_view local_tag) : call_id(call_id), local_tag(local_tag) {}
    DialogNameView(const DialogName& name)  // NOLINT(google-explicit-constructor): a view of it
        : call_id(name.call_id), local_tag(name.local_tag) {}
    friend bool operator==(const DialogNameView&, const DialogNameView&) = default;
};
struct DialogNameHash {
    using is_transparent = void;
    std::size_t operator()(const DialogNameView& name) const {
        const std::hash<std::string_view> hash;
        return hash(name.call_id) * 31 + hash(name.local_tag);
    }
};
struct DialogNameEqual {
    using is_transparent = void;
    bool operator()(const DialogNameView& a, const DialogNameView& b) const { return a == b; }
};

// Records by what they are known by, which is theirs: it stands in the record, and stays there while this knows it.
class ByKey {
public:
    void add(const std::string& key, TransactionId id) {
        of_.erase(key);  // it would go on standing in the former one's record
        of_.emplace(key, id);
    }
    void erase(const std::string& key, TransactionId id) {
        const auto found = of_.find(key);
        if (found != of_.end() && found->second == id) of_.erase(found);
    }
    [[nodiscard]] std::optional<TransactionId> find(std::string_view key) const {
        const auto found = of_.find(key);
        return found == of_.end() ? std::nullopt : std::optional(found->second);
    }

private:
    boost::unordered_flat_map<std::string_view, TransactionId, std::hash<std::string_view>> of_;
};

struct UserAgent::State {
    State(UserAgentOptions options, const Entropy::Seed& seed);

    UserAgentOptions options;
    HostPort advertised;  // an empty host: as bound
    // The values of Allow and Supported, and of the latter in an INVITE without offer.
    std::string allow, supported, supported_offerless;
    TransactionTimes times;
    Entropy entropy;
    std::vector<Send> sends;
    std::vector<Event> events;
    std::uint64_t last_id = 0;
    std::unordered_map<TransactionId, ClientRecord> clients;
    ByKey clients_by_key;
    std::unordered_map<TransactionId, ServerRecord> servers;
    ByKey servers_by_key;
    ByKey servers_by_merge_key;
    std::unordered_map<DialogId, Call> calls;
    std::unordered_map<DialogName, DialogId, DialogNameHash, DialogNameEqual> calls_by_name;
    TimerQueue<TimerKey> timers;
    std::unordered_map<std::string, Instant> without_tcp;  // addresses where TCP was tried in vain, and until when

    // user_agent.cpp: records and their timers.
    Call& open_call(Dialog dialog, bool we_called);
    Call* call(DialogId id);       // closing ones too
    Call* live_call(DialogId id);  // what commands may touch
    Call* call_named(const std::string& call_id, const std::string& local_tag, const std::string& remote_tag);
    ClientRecord* client(TransactionId id);
    ServerRecord* server(TransactionId id);
    void settle_client(TransactionId id);
    void settle_server(TransactionId id);
    void settle_call(DialogId id);            // also says GlareOver when due
    void end_call(Instant now, DialogId id);  // answers what is pending, forgets it
    void on_timer(Instant now, const TimerKey& key);
    void receive(Instant now, const Source& source, Message message);

    // user_agent_transport.cpp: addresses, sending, receiving.
    [[nodiscard]] const Endpoint* listening(const Endpoint& to, const Endpoint& preferred) const;
    [[nodiscard]] std::optional<Endpoint> endpoint_of(const Uri& uri) const;
    [[nodiscard]] Via via_of(const Endpoint& local, const std::string& branch) const;
    [[nodiscard]] std::string contact(const Endpoint& local) const;
    void add_identity(Message& message, std::string_view method) const;
    TransactionId start_client(Instant now, Outgoing out);  // 0: no way there, or a limit; nothing was sent
    [[nodiscard]] bool is_full() const;                     // no further transaction
    [[nodiscard]] int unsent() const { return is_full() ? kOwnLimit : 503; }
    // An ACK: what Via and Send it needs; no transaction. Empty bytes: no way there.
    Send send_ack(Message request, const Outgoing& way);
    void remember_without_tcp(Instant now, const Endpoint& at);
    [[nodiscard]] bool takes_tcp(Instant now, const Endpoint& at) const;
    bool try_again(Instant now, TransactionId id, const Message& response);
    bool try_longer(Instant now, TransactionId id, const Message& response);
    bool send_anew(Instant now, Outgoing out);
    void reply(Instant now, TransactionId id, Message response);
    void reply(Instant now, TransactionId id, int status, const std::vector<Header>& headers = {});
    void refuse(const Message& request, const Source& source, int status, std::string_view reason = {});
    void refuse_unseen(Message request, const Source& source);  // 503
    void on_bytes_refused(const Source& source, std::string_view bytes, const Error& error);

    // user_agent_outside.cpp: which request or response this is.
    void on_request(Instant now, const Source& source, Message request);
    void on_known_request(Instant now, TransactionId id, const Source& source, Message request);
    void on_new_request(Instant now, TransactionId id);
    void on_outside_request(Instant now, TransactionId id);
    void on_response(Instant now, const Source& source, Message response);
    void on_final(Instant now, TransactionId id, int status, const Message* response);  // null: our own 408 or 503
    [[nodiscard]] bool may_be_subscription(const std::string& method) const;
    [[nodiscard]] bool passes_inspection(Instant now, TransactionId id);

    // user_agent_invite_client.cpp
    // Both: the response may be taken.
    void on_invite_response(Instant now, TransactionId id, const Source& source, Message& response);
    void on_invite_success(Instant now, TransactionId id, const Source& source, Message& response);
    void on_invite_failed(Instant now, TransactionId id, int status, const Message* response);
    void on_stray_success(Instant now, TransactionId id, const Source& source, const Message& response);
    void acknowledge_failure(TransactionId id, const Message& response);
    void acknowledge(Call& call, const std::string& content_type, const std::string& body);
    void cancel(Instant now, Call& call, const std::vector<Header>& headers);
    void send_cancel(Instant now, TransactionId id);
    void reinvite(Instant now, Call& call, const Waiting& wanted);
    void glare(Call& call);

    // user_agent_invite_server.cpp
    void on_invite(Instant now, TransactionId id);
    void on_reinvite(Instant now, Call& call, TransactionId id);
    void on_cancel(Instant now, TransactionId id);
    void on_ack(Instant now, const Source& source, Message request);
    void on_call_timer(Instant now, Call& call);
    void answer(Instant now, Call& call, const Answer& wanted);
    void reject(Instant now, Call& call, int status, const std::vector<Header>& headers, std::string_view reason,
                bool once = false);

    // user_agent_reliable.cpp
    [[nodiscard]] bool goes_reliably(const Call& call, const Message& invite, bool has_sdp) const;
    void provisional(Instant now, Call& call, const Provisional& wanted);
    void on_prack(Instant now, Call& call, TransactionId id);
    void on_reliable_timer(Instant now, Call& call);
    bool takes_reliable(Instant now, TransactionId id, Call& call, const Message& response);

    // user_agent_session.cpp
    [[nodiscard]] bool supports(std::string_view tag) const;
    void ask_for_session(const Call& call, Message& request) const;
    void learn_of_session(Call& call, const Message& message);
    void session_lives(Instant now, Call& call, const std::optional<SessionTimer>& timer);
    void session_agreed(Instant now, Call& call, const Message& request, const Message& response);
    void session_answered(Instant now, Call& call, const Message& request, Message& response);
    [[nodiscard]] bool session_fits(Instant now, TransactionId id);
    void refresh(Instant now, Call& call);
    void refresh_failed(Instant now, Call& call);
    void on_refreshed(Instant now, Call& call, int status, const Message& request, const Message* response);
    void on_session_timer(Instant now, Call& call);

    // user_agent_dialog.cpp
    [[nodiscard]] bool is_idle(const Call& call) const;
    [[nodiscard]] bool may_request(const Call& call) const;
    void request_in_turn(Instant now, Call& call, Waiting wanted);  // now, or when what is before it is over
    void send_waiting(Instant now, DialogId id);
    void start_request(Instant now, Call& call, const Waiting& wanted);
    void not_sent(Instant now, Call& call, ClientRequest id);
    void drop_waiting(Call& call);
    void on_in_dialog(Instant now, Call& call, TransactionId id);
    [[nodiscard]] bool is_offering(const Call& call) const;
    void take_back_offer(Call& call);
    [[nodiscard]] bool may_be_updated(Instant now, Call& call, TransactionId id);
    void on_bye(Instant now, Call& call, TransactionId id);
    void hang_up(Instant now, Call& call, const std::vector<Header>& headers);
    void on_dialog_lost(Instant now, Call& call, int status);  // 481 or 408 in a confirmed dialog; says Ended
    [[nodiscard]] std::optional<Endpoint> hop_of(const Dialog& dialog, const Endpoint& peer) const;
    [[nodiscard]] Outgoing way_in(const Dialog& dialog, const Source& peer, bool follows_source) const;
    [[nodiscard]] Outgoing way_to(const Call& call) const;  // to, flow, local, account
    TransactionId send_within(Instant now, Call& call, Purpose purpose, Message request, ClientRequest id = 0);
};

}  // namespace sheaf::sip
