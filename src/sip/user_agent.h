// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/entropy.h"
#include "base/time.h"
#include "sip/dialog.h"
#include "sip/digest_auth.h"
#include "sip/endpoint.h"
#include "sip/message.h"
#include "sip/session_timer.h"

// A SIP user agent without I/O: messages and commands in, messages and events out, time as an argument.
//
//   bytes → Message → transaction (RFC 3261 §17, RFC 6026) → dialog (§12) → Event
//   command → dialog → transaction → Message → Send
//
// It keeps what the RFC makes a user agent keep: retransmissions, the 2xx's repeats until ACK (§13.3.1.4), CANCEL's
// races (§9), re-INVITE glare (§14), CSeq order, route sets, digest challenges (§22), rport (RFC 3581), stray forks
// (§13.2.2.4); with `100rel` among what it supports, reliable provisional responses and their PRACK (RFC 3262), with
// `timer`, session timers (RFC 4028). What a request means is the application's business. One owner, one thread.
namespace sheaf::sip {

using DialogId = std::uint64_t;       // never reused; 0: none. Names a dialog from its first INVITE, before any tag
using ServerRequest = std::uint64_t;  // a non-INVITE request waiting for our answer
using ClientRequest = std::uint64_t;  // a non-INVITE request of ours waiting for theirs

// Where a message came from, or the connection an answer must take.
struct Source {
    Endpoint remote;
    Endpoint local;
    std::uint64_t flow = 0;  // the TCP connection, named by the edge; 0 for UDP
};

// One message to put on the wire. With a flow: on that connection, or, when it is gone, on a new one to `to`.
struct Send {
    Endpoint to;
    std::uint64_t flow = 0;
    std::string bytes;
    std::string branch;   // of the request's transaction, for transport_failed; empty for responses
    Endpoint local = {};  // of options.listen, to send it from where there are several; no address: any
};

// ---- Events, in the order they happened -----------------------------------------------------------------------
struct Invited {  // a new INVITE; 100 has gone out. Answer with provisional, answer or reject
    DialogId dialog;
    Message request;
    Source source;
};
struct Progressed {  // 101 to 199 to our INVITE
    DialogId dialog;
    Message response;
};
struct Answered {  // 2xx to our INVITE or re-INVITE. ACKed already if our INVITE had a body; else call `ack`
    DialogId dialog;
    Message response;
    bool reinvite;
};
// A status of our own: a limit has kept a request from being sent. It says nothing of the peer.
inline constexpr int kOwnLimit = 500;

struct Failed {  // 300 to 699, or our own 408 (nothing came), 503 (no way there) or kOwnLimit to our INVITE or
                 // re-INVITE
    DialogId dialog;
    int status;
    std::optional<Message> response;
    bool reinvite;  // a failed re-INVITE leaves the dialog as it was, but 481 and 408 end it: Ended follows
};
struct Acknowledged {  // the ACK of our 2xx, with its body if it has one
    DialogId dialog;
    Message request;
};
struct Reinvited {  // answer with `answer` or `reject`; glare has been answered 491 already
    DialogId dialog;
    Message request;
};
struct RefreshDue {   // half of the session's interval is over, and the peer takes no UPDATE (RFC 4028 §10): send a
    DialogId dialog;  // re-INVITE with the description as it stands
};
struct GlareOver {  // the wait after a 491 is over (§14.1): send the re-INVITE anew if it is still wanted
    DialogId dialog;
};
enum class EndCause {
    bye,        // theirs
    cancelled,  // theirs, before our final answer; 487 has gone out
    no_ack,     // our 2xx was never acknowledged; BYE has gone out. Or our reliable provisional; 504 has gone out
    timed_out,  // a request in the dialog got 408 or nothing (§12.2.1.2)
    gone,       // a request in the dialog got 481
    expired,    // no refresh came in time, or none of ours was taken (RFC 4028 §10); BYE has gone out
};
struct Ended {  // not said for what the application ended itself (bye, reject, cancel then Failed)
    DialogId dialog;
    EndCause cause;
    std::optional<Message> request;  // the BYE or CANCEL
};
struct Requested {  // any other request, in a dialog (INFO, REFER, NOTIFY, …) or outside (dialog 0: REGISTER, OPTIONS,
                    // …)
    ServerRequest id;
    DialogId dialog;
    Message request;
    Source source;
    std::string local_tag = {};  // of our answer, where the request has no To tag: it may begin a dialog
};
struct Responded {  // the final response to `request` or `request_outside`; 408, 503,
                    // 481 and kOwnLimit of our own have no message
    ClientRequest id;
    DialogId dialog;
    int status;
    std::optional<Message> response;
};
using Event = std::variant<Invited, Progressed, Answered, Failed, Acknowledged, Reinvited, RefreshDue, GlareOver, Ended,
                           Requested, Responded>;

// ---- Commands --------------------------------------------------------------------------------------------------
struct Invitation {
    Uri target;                        // Request-URI
    std::optional<Endpoint> next_hop;  // where to send it; else the URI's (or first Route's) literal address
    Endpoint local = {};               // which of ours to send it from, where that fits
    NameAddr from;                     // its tag is ours to set unless from_tag is given
    NameAddr to;
    std::string call_id;          // empty: minted
    std::string from_tag;         // empty: minted
    std::vector<Header> headers;  // further ones, in order
    std::string content_type;
    std::string body;                // empty: no offer, the 2xx must bring one
    std::optional<Account> account;  // answers 401 and 407, once per challenge
    bool session_timer = true;       // false: none is asked for in this dialog
    bool follow_source = false;      // see UserAgent::follow_source
};
struct OutsideRequest {
    std::string method;
    Uri target;
    std::optional<Endpoint> next_hop;
    Endpoint local = {};  // as an Invitation's
    NameAddr from;
    NameAddr to;
    std::string call_id;     // empty: minted
    std::uint32_t cseq = 1;  // a registration counts its own
    std::vector<Header> headers;
    std::string content_type;
    std::string body;
    std::optional<Account> account;
};

// A dialog that the application keeps: a subscription's (RFC 6665). Its SUBSCRIBEs and NOTIFYs, where they are allowed,
// come as Requested with dialog 0, whether there is such a dialog or not.
struct OwnDialog {
    Dialog dialog;
    Source peer;                 // where its last message came from
    bool follow_source = false;  // see UserAgent::follow_source
};

struct UserAgentOptions {
    std::vector<Endpoint> listen;   // bound addresses, to fill Via and Contact; the transport chosen must be among them
    std::string advertise;          // host, or host:port, to write instead of the bound one; empty: as bound
    std::string product = "Sheaf";  // User-Agent, Server
    std::string contact_user = "sheaf";
    std::vector<std::string> allow;         // methods taken; others get 405
    std::vector<std::string> supported;     // option tags; another one required gets 420
    SessionTimes session;                   // of `timer`
    std::size_t transactions_max = 50'000;  // beyond: 503 with Retry-After
    std::size_t dialogs_max = 20'000;       // beyond: new INVITEs get 503
    std::size_t udp_bytes_max =
        1300;  // a larger request goes by TCP if we have it (§18.1.1), back to UDP if that fails
    Duration t1 = std::chrono::milliseconds{500};
    Duration t2 = std::chrono::seconds{4};
    Duration t4 = std::chrono::seconds{5};
};

// What the application may look at of a dialog.
struct DialogView {
    std::string call_id, local_tag, remote_tag;
    Uri remote_target;
    NameAddr local;   // with tag
    NameAddr remote;  // with tag once known
    bool confirmed = false;
    bool we_called = false;
    bool is_proceeding = false;  // somebody has answered our INVITE with something, be it a 100
    Endpoint peer;               // where the last message came from or went to
};

class UserAgent {
public:
    UserAgent(UserAgentOptions options, const Entropy::Seed& seed);
    ~UserAgent();
    UserAgent(UserAgent&&) noexcept;

    // Inputs.
    void receive_datagram(Instant now, const Source& source, std::string_view bytes);
    void receive_message(Instant now, const Source& source, const Result<Message>& message);  // from a stream
    // Of a sender beyond its share: 503 with Retry-After to a request that can be read; nothing is kept or looked up.
    void turn_away(const Source& source, std::string_view bytes);
    void turn_away(const Source& source, const Message& message);
    void receive_broken(const Source& source, std::string_view bytes, const Error& error);  // no message: 400, 505, 513
    // The edge could not send it, or lost the connection. `was_up`: a connection that had been there; a new one is
    // tried, once.
    void transport_failed(Instant now, const std::string& branch, bool was_up = false);
    void tick(Instant now);  // due timers; cheap when none is
    [[nodiscard]] std::optional<Instant> next_deadline() const;

    // Outputs; taking them empties them. Carry out the sends in order.
    [[nodiscard]] std::vector<Send> take_sends();
    [[nodiscard]] std::vector<Event> take_events();

    // Calls.
    DialogId invite(Instant now, const Invitation& invitation);
    // Our unanswered INVITE; a 2xx that crosses is ACKed and BYEd by us. The headers go with the CANCEL or that BYE.
    void cancel(Instant now, DialogId dialog, const std::vector<Header>& headers = {});
    // Requests in a dialog without a route set go to where the peer last spoke from, whatever its Contact says: it
    // stands behind a NAT.
    void follow_source(DialogId dialog);
    void ack(Instant now, DialogId dialog, const std::string& content_type, const std::string& body);
    // Reliably where the INVITE requires it, or supports it and there is a description: one after the other, and the
    // answer waits for the PRACK of a description. A PRACK with a body is Requested, to be answered by `respond`.
    void provisional(Instant now, DialogId dialog, int status, const std::vector<Header>& headers = {},
                     const std::string& sdp = {});
    void answer(Instant now, DialogId dialog, const std::string& sdp, const std::vector<Header>& headers = {});
    // `once`: over UDP not again by itself, only when the INVITE comes again: somebody who has not shown who it is may
    // have named another's address (RFC 3261 §26.3.2.4). Where a 100 has not been taken from `take_sends` yet, which then
    // does not go (§8.2.7).
    void reject(Instant now, DialogId dialog, int status, const std::vector<Header>& headers = {},
                std::string_view reason = {}, bool once = false);
    void reinvite(Instant now, DialogId dialog, const std::string& sdp, const std::vector<Header>& headers = {});
    void bye(Instant now, DialogId dialog, const std::vector<Header>& headers = {});
    // Ends it whatever its state: CANCEL, reject with `status`, or BYE.
    void release(Instant now, DialogId dialog, int status, const std::vector<Header>& headers = {});

    // Other requests. Those in one dialog, re-INVITEs too, go one after the other: each when the one before it has its
    // final response and our 2xx its ACK. Of 64 that wait a further one gets 503. Our BYE does not wait, and what waits
    // goes out right before it; any other end of the dialog answers them 481.
    ClientRequest request(Instant now, DialogId dialog, const std::string& method, const std::vector<Header>& headers,
                          const std::string& content_type = {}, const std::string& body = {});
    ClientRequest request_outside(Instant now, const OutsideRequest& request);
    // One at a time is the application's care. Its CSeq is counted in the dialog.
    ClientRequest request(Instant now, OwnDialog& dialog, const std::string& method, const std::vector<Header>& headers,
                          const std::string& content_type = {}, const std::string& body = {});
    void respond(Instant now, ServerRequest request, int status, const std::vector<Header>& headers = {},
                 const std::string& content_type = {}, const std::string& body = {}, std::string_view reason = {});

    [[nodiscard]] std::optional<DialogView> view(DialogId dialog) const;
    // The dialog a Replaces or Join names (RFC 3891 §3): tags as seen from us.
    [[nodiscard]] DialogId find(std::string_view call_id, std::string_view local_tag,
                                std::string_view remote_tag) const;
    struct Counts {
        std::size_t dialogs = 0;
        std::size_t transactions = 0;
        std::size_t timers = 0;
    };
    [[nodiscard]] Counts counts() const;  // all zero once every call is over and T4 has passed: nothing leaks

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace sheaf::sip
