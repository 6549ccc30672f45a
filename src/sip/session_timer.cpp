// SPDX-License-Identifier: Apache-2.0
#include "sip/session_timer.h"

#include <algorithm>
#include <string>

#include "sip/grammar.h"

namespace sheaf::sip {
namespace {

using std::chrono::seconds;

constexpr std::uint64_t kSecondsMax = 4'294'967'295;  // delta-seconds: RFC 3261 §20.19
constexpr std::string_view kTimer = "timer";

enum class Refresher { unsaid, uac, uas };

struct Asked {
    seconds interval{};
    Refresher refresher = Refresher::unsaid;
};

std::optional<seconds> delta_seconds(std::string_view text) {
    const auto number = number_from_text(text, kSecondsMax);
    if (!number) return std::nullopt;
    return seconds{static_cast<std::int64_t>(*number)};
}

// delta-seconds *(SEMI generic-param)
std::optional<Asked> session_expires(std::string_view text) {
    const std::size_t end = std::min(text.find(';'), text.size());
    const auto interval = delta_seconds(trimmed(text.substr(0, end)));
    const auto params = header_params_from_text(text.substr(end));
    if (!interval || !params) return std::nullopt;
    const std::string refresher = lower(params->value("refresher").value_or(""));
    return Asked{*interval, refresher == "uac"   ? Refresher::uac
                            : refresher == "uas" ? Refresher::uas
                                                 : Refresher::unsaid};
}

std::string in_seconds(seconds time) {
    return std::to_string(time.count());
}

}  // namespace

std::optional<seconds> min_se_of(const Message& message) {
    const std::string* text = message.first("Min-SE");
    if (text == nullptr) return std::nullopt;
    return delta_seconds(trimmed(std::string_view(*text).substr(0, text->find(';'))));
}

SessionReply answer_session(const Message& request, const SessionTimes& ours) {
    const std::string* text = request.first("Session-Expires");
    const std::optional<Asked> asked = text == nullptr ? std::nullopt : session_expires(*text);
    if (text != nullptr && !asked) return {.status = 400, .headers = {}, .timer = {}};
    const bool knows = request.has_token("Supported", kTimer) || request.has_token("Require", kTimer);
    if (asked && knows && asked->interval < ours.least)
        return {.status = 422, .headers = {{"Min-SE", in_seconds(ours.least)}}, .timer = {}};
    // Nobody would hear a 422: without a timer the call stands.
    if (asked && asked->interval < kMinSessionInterval) return {};
    const seconds wanted = std::max({ours.wanted, min_se_of(request).value_or(seconds{0}), kMinSessionInterval});
    const seconds interval = asked ? std::min(asked->interval, wanted) : wanted;
    // Table 2; where the choice is ours, who asked for the timer runs it.
    const bool by_uac = knows && asked && asked->refresher != Refresher::uas;
    SessionReply reply;
    reply.timer = SessionTimer{interval, !by_uac};
    reply.headers.push_back({"Session-Expires", in_seconds(interval) + (by_uac ? ";refresher=uac" : ";refresher=uas")});
    if (knows) reply.headers.push_back({"Require", std::string(kTimer)});
    return reply;
}

std::vector<Header> ask_session(const SessionTimes& ours, const std::optional<SessionTimer>& in_force,
                                std::optional<seconds> min_se) {
    const seconds least = std::max(min_se.value_or(seconds{0}), kMinSessionInterval);
    std::string expires = in_seconds(std::max(in_force ? in_force->interval : ours.wanted, least));
    if (in_force) expires += in_force->we_refresh ? ";refresher=uac" : ";refresher=uas";  // the roles stay
    std::vector<Header> headers{{"Session-Expires", std::move(expires)}};
    if (min_se) headers.push_back({"Min-SE", in_seconds(least)});
    return headers;
}

std::optional<SessionTimer> agreed_session(const Message& request, const Message& response) {
    const std::string* answer = response.first("Session-Expires");
    const std::string* question = request.first("Session-Expires");
    std::optional<Asked> agreed;
    if (answer != nullptr) agreed = session_expires(*answer);
    if (!agreed && question != nullptr) {
        agreed = session_expires(*question);
        if (agreed) agreed->refresher = Refresher::uac;
    }
    if (!agreed) return std::nullopt;
    // §11.1: no answer makes us refresh faster than the least.
    return SessionTimer{std::max(agreed->interval, kMinSessionInterval), agreed->refresher != Refresher::uas};
}

}  // namespace sheaf::sip
