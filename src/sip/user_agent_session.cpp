// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "sip/grammar.h"
#include "sip/user_agent_state.h"

// Session timers (RFC 4028): refreshes, and the end of a session whose other side is silent.
namespace sheaf::sip {
namespace {

constexpr Duration kBeforeExpiry = std::chrono::seconds{32};  // §10
constexpr Duration kRetryMin = std::chrono::seconds{5};
constexpr Duration kRefreshMax = std::chrono::hours{1};

}  // namespace

bool UserAgent::State::supports(std::string_view tag) const {
    return std::ranges::any_of(options.supported, [tag](const std::string& known) { return same_name(known, tag); });
}

void UserAgent::State::ask_for_session(const Call& call, Message& request) const {
    if (!supports("timer") || !call.is_timed) return;
    for (Header& header : ask_session(options.session, call.session, call.min_se))
        if (request.first(header.name) == nullptr) request.headers.push_back(std::move(header));
}

void UserAgent::State::learn_of_session(Call& call, const Message& message) {
    if (message.first("Allow") != nullptr) call.takes_update = message.has_token("Allow", "UPDATE");
    if (!supports("timer")) return;
    if (const auto least = min_se_of(message)) call.min_se = std::max(call.min_se.value_or(*least), *least);
}

// After a 2xx to a session refresh request, theirs or ours.
void UserAgent::State::session_lives(Instant now, Call& call, const std::optional<SessionTimer>& timer) {
    call.session = timer;
    call.refresh_at.reset();
    call.expires_at.reset();
    if (!timer) return;
    const Duration interval = timer->interval;
    // A peer that asks for years would never be missed.
    if (timer->we_refresh) call.refresh_at = now + std::min(interval / 2, kRefreshMax);
    call.expires_at = now + interval - (timer->we_refresh ? Duration{0} : std::min(kBeforeExpiry, interval / 3));
}

void UserAgent::State::session_agreed(Instant now, Call& call, const Message& request, const Message& response) {
    learn_of_session(call, response);
    if (supports("timer")) session_lives(now, call, agreed_session(request, response));
}

// Adds to the 2xx what the request's session timer asks for.
void UserAgent::State::session_answered(Instant now, Call& call, const Message& request, Message& response) {
    if (!supports("timer")) return;
    SessionReply reply = answer_session(request, options.session);
    for (Header& header : reply.headers) response.headers.push_back(std::move(header));
    session_lives(now, call, reply.timer);
}

// False: refused already.
bool UserAgent::State::session_fits(Instant now, TransactionId id) {
    if (!supports("timer")) return true;
    const SessionReply reply = answer_session(*server(id)->request, options.session);
    if (reply.status == 200) return true;
    State::reply(now, id, reply.status, reply.headers);
    return false;
}

void UserAgent::State::refresh(Instant now, Call& call) {
    call.refresh_at.reset();
    if (call.refresh != 0) return;
    if (!call.takes_update) return events.push_back(RefreshDue{call.id});
    call.refresh = ++last_id;
    request_in_turn(now, call, {call.refresh, "UPDATE", {}, {}, {}});
}

// §10: a refresh that failed in another way than by silence is tried again while there is time.
void UserAgent::State::refresh_failed(Instant now, Call& call) {
    if (!call.session || !call.session->we_refresh || !call.expires_at || call.refresh_at) return;
    const Duration left = *call.expires_at - now;
    if (left >= 2 * kRetryMin) call.refresh_at = now + left / 2;
}

void UserAgent::State::on_refreshed(Instant now, Call& call, int status, const Message& request,
                                    const Message* response) {
    const bool is_ours = std::exchange(call.refresh, 0) != 0;
    if (response != nullptr && status < 300) return session_agreed(now, call, request, *response);
    const bool is_unknown = status == 405 || status == 501;
    if (is_unknown) call.takes_update = false;
    if (is_unknown && is_ours) return refresh(now, call);
    refresh_failed(now, call);
}

// May end the call.
void UserAgent::State::on_session_timer(Instant now, Call& call) {
    if (call.refresh_at && *call.refresh_at <= now) refresh(now, call);
    if (!call.expires_at || *call.expires_at > now) return;
    call.expires_at.reset();
    events.emplace_back(Ended{call.id, EndCause::expired, std::nullopt});
    drop_waiting(call);
    call.unacked.clear();
    hang_up(now, call, {{"Reason", "SIP;cause=408;text=\"session expired\""}});
}

}  // namespace sheaf::sip
