// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exchange/state.h"

// The calls of a site: begun, stepped, translated, sent on to the next party.
namespace sheaf::exchange {

// Steps the call and turns its effects into the site's.
void apply(Turn& turn, LiveCall& live, const call::Event& event);
[[nodiscard]] LiveCall* call_of(Turn& turn, const LegId& leg);  // that it serves now
// The one of the leg's calls in which this segment is recorded.
[[nodiscard]] LiveCall* call_recording(Turn& turn, const LegId& leg, const SegmentId& segment);

// What a call needs to begin.
struct Beginning {
    Device origin;
    call::Direction direction = call::Direction::inbound;
    std::string ani, dnis, session_id, message;
    CallUuid root;        // empty: the call itself
    CallUuid consult_of;  // empty: no consult
    std::vector<Diversion> diversions = {};
};
inline constexpr int kRedirectionsMax = 5;  // of one call
[[nodiscard]] LiveCall& begin(Turn& turn, const Beginning& beginning);
[[nodiscard]] call::Direction direction_of(const Device& from, const Destination& to);

struct Refusal {
    int status = 0;  // SIP
    std::string why;
};
[[nodiscard]] std::optional<Refusal> refusal_now(const State& state, const Destination& to);
// Sends the call's waiting party there: into the queue, or a leg is placed. Ask refusal_now first.
void send_to(Turn& turn, LiveCall& live, const Destination& to);
// Into the queue at once, as who need not be asked anything. Ask refusal_now first.
void enqueue(Turn& turn, LiveCall& live, const std::string& routing_point);
// A leg to an agent of this site, answering by itself where it can: make-call's first.
void place_to_agent(Turn& turn, LiveCall& live, const std::string& dn, const std::string& calling);
// The leg that rang for this call will not answer. What comes next: the queue, the routing point before, or the end.
void not_taken(Turn& turn, LiveCall& live, call::Cause cause, const Refusal& refusal);
// RFC 3261 §8.1.3.4: the device that was called for it names another number. False: it is not to be called.
bool follow_redirection(Turn& turn, LiveCall& live, const Device& by, const std::string& called,
                        const std::string& number);
// Who has just given the call away is not offered it again at once.
void avoid(Turn& turn, LiveCall& live, Destination destination);
// The call takes its place among those that wait there.
void wait_for(Turn& turn, LiveCall& live, const std::string& routing_point);
void leave_waiting(Turn& turn, const LiveCall& live, const std::string& routing_point);
void serve_queues(Turn& turn);
// Why this agent's connection in this call is to be recorded; empty: it is not.
[[nodiscard]] std::string agent_rule(const State& state, const LiveCall& live, const Agent& agent);
// What is to be told of a recording made by this policy.
[[nodiscard]] call::Consent consent_of(const ConsentSettings& settings, bool of_customer);
// The party that is to be connected: the oldest that is not itself being called; or null.
[[nodiscard]] const call::Connection* waiting_party(const LiveCall& live);

[[nodiscard]] std::string rule_of(std::string_view whose, const Record& record, const CallUuid& root);
[[nodiscard]] call::Cause cause_of(int status);

// Inputs.
void on(Turn& turn, const LegOffered& event);
void on(Turn& turn, const LegConnected& event);
void on(Turn& turn, const LegPlaced& event);
void on(Turn& turn, const LegAlerting& event);
void on(Turn& turn, const LegAnswered& event);
void on(Turn& turn, const LegFailed& event);
void on(Turn& turn, const LegEnded& event);
void on(Turn& turn, const LegHeld& event);
void on(Turn& turn, const LegRetrieved& event);
void on(Turn& turn, const PlayBegan& event);
void on(Turn& turn, const PlayEnded& event);
void on(Turn& turn, const RecordingOpened& event);
void on(Turn& turn, const RecordingFailed& event);
void ring_timed_out(Turn& turn, const LegId& leg);
void tone_due(Turn& turn, const LegId& leg);

}  // namespace sheaf::exchange
