// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "sip/message.h"

// The four transaction machines of RFC 3261 §17 with RFC 6026's Accepted states, as values: an input gives back what
// its owner has to do. They hold no message and no address; timers are deadlines the owner watches and reports by
// on_timer, which may come late but never early.
namespace sheaf::sip {

struct TransactionTimes {
    Duration t1 = std::chrono::milliseconds{500};
    Duration t2 = std::chrono::seconds{4};
    Duration t4 = std::chrono::seconds{5};
    [[nodiscard]] Duration whole() const { return 64 * t1; }  // timers B, D, F, H, J, L and M
};

// What the owner does after an input, in this order.
struct TransactionStep {
    bool repeat = false;       // put the transaction's last message on the wire again
    bool acknowledge = false;  // INVITE client: send the ACK of the non-2xx final response (§17.1.1.3)
    bool deliver = false;      // the user hears of this message
    bool timed_out = false;    // timer B, F or H: the user hears that nothing came
    friend bool operator==(const TransactionStep&, const TransactionStep&) = default;
};

// RFC 3261 figures 5 and 6 (RFC 6026 figure 5 for INVITE).
class ClientTransaction {
public:
    enum class Phase { calling, proceeding, completed, accepted, terminated };  // calling is figure 6's Trying

    // The request has just gone out. Over a reliable transport nothing is repeated (timers A, E, D, K are zero).
    ClientTransaction(bool is_invite, bool is_reliable, const TransactionTimes& times, Instant now);

    TransactionStep on_response(Instant now, int status);
    TransactionStep on_timer(Instant now);
    void on_transport_error();
    // A cancelled INVITE waits 64*T1 more for its final response (§9.1), so does one that nobody waits for any more.
    void give_up_after(Instant now);

    [[nodiscard]] Phase phase() const { return phase_; }
    [[nodiscard]] bool is_over() const { return phase_ == Phase::terminated; }
    [[nodiscard]] bool is_pending() const { return phase_ == Phase::calling || phase_ == Phase::proceeding; }
    // All is done: what is left is to take in what is repeated, until its deadline.
    [[nodiscard]] bool is_lingering() const { return phase_ == Phase::completed || phase_ == Phase::accepted; }
    [[nodiscard]] std::optional<Instant> deadline() const;

private:
    void finish(Phase phase, Instant now, Duration linger);

    bool is_invite_;
    bool is_reliable_;
    TransactionTimes times_;
    Phase phase_ = Phase::calling;
    Duration interval_;
    std::optional<Instant> repeat_at_;  // timers A and E
    std::optional<Instant> end_at_;     // timers B, F, D, K and M
};

// RFC 3261 figures 7 and 8 (RFC 6026 figure 7 for INVITE). A non-INVITE request that its user leaves unanswered for
// 64*T1 is dropped: its client has given up (RFC 4320 §4.2).
class ServerTransaction {
public:
    enum class Phase {
        proceeding,
        completed,
        confirmed,
        accepted,
        terminated
    };  // proceeding is also figure 8's Trying

    // The request has just come.
    ServerTransaction(bool is_invite, bool is_reliable, const TransactionTimes& times, Instant now);

    TransactionStep on_request_again(Instant now);
    TransactionStep on_ack(Instant now);  // INVITE only
    // Our user answers. False: too late, a final response has gone before; nothing is to be sent.
    [[nodiscard]] bool on_response(Instant now, int status);
    void say_once() { repeat_at_.reset(); }  // its last response: without timer G
    TransactionStep on_timer(Instant now);

    [[nodiscard]] Phase phase() const { return phase_; }
    [[nodiscard]] bool is_over() const { return phase_ == Phase::terminated; }
    [[nodiscard]] bool is_answered() const { return phase_ != Phase::proceeding; }
    // Likewise; an INVITE that was refused still waits for its ACK.
    [[nodiscard]] bool is_lingering() const {
        return phase_ == Phase::confirmed || phase_ == Phase::accepted || (phase_ == Phase::completed && !is_invite_);
    }
    [[nodiscard]] std::optional<Instant> deadline() const;

private:
    bool is_invite_;
    bool is_reliable_;
    bool has_sent_ = false;
    TransactionTimes times_;
    Phase phase_ = Phase::proceeding;
    Duration interval_{};
    std::optional<Instant> repeat_at_;  // timer G
    std::optional<Instant> end_at_;     // timers H, I, J and L
};

inline constexpr std::string_view kBranchCookie = "z9hG4bK";

// §17.1.3: a response belongs to the request with its top Via's branch and its CSeq's method. Only a CANCEL shares its
// branch with another request: for any other method the key is the same.
[[nodiscard]] std::string client_key(std::string_view branch, std::string_view method);
// §17.2.3: branch, sent-by and method, ACK counted as INVITE; for a peer of RFC 2543 (a branch without the cookie, or
// none) Request-URI, From tag, Call-ID, CSeq and top Via. The To tag is left out there: the CSeq already tells an
// INVITE from a re-INVITE, and an ACK carries a tag that its INVITE had not. `via` is the top one as the peer wrote it.
[[nodiscard]] std::string server_key(const Message& request, const Via& via, std::string_view method);
// What two copies of one request have in common that came over different paths (§8.2.2.2).
[[nodiscard]] std::string merge_key(const Message& request);

[[nodiscard]] std::string tag_of(const Message& message, std::string_view header);  // of From or To; empty: none
[[nodiscard]] Result<Via> top_via(const Message& message);
[[nodiscard]] CSeq cseq_of(const Message& message);  // zeros when it does not parse

}  // namespace sheaf::sip
