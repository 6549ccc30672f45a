// SPDX-License-Identifier: Apache-2.0
#include "b2bua/reason.h"

#include <optional>
#include <string>
#include <string_view>

#include "sip/grammar.h"

namespace sheaf::b2bua {
namespace {

struct Q850 {
    int cause;
    std::string_view text;
};

// ITU-T Q.850, table 1.
std::optional<Q850> q850_of(call::Cause cause) {
    switch (cause) {
        case call::Cause::normal: return Q850{16, "Normal call clearing"};
        case call::Cause::busy: return Q850{17, "User busy"};
        case call::Cause::no_answer: return Q850{19, "No answer from user"};
        case call::Cause::rejected: return Q850{21, "Call rejected"};
        case call::Cause::cancelled: return Q850{31, "Normal, unspecified"};
        case call::Cause::lost_control:
        case call::Cause::failed: return Q850{41, "Temporary failure"};
        case call::Cause::timed_out: return Q850{102, "Recovery on timer expiry"};
        case call::Cause::media_timeout: return Q850{102, "RTP timeout"};
        case call::Cause::shutdown: return Q850{38, "Network out of order"};
        case call::Cause::transferred: break;
    }
    return std::nullopt;
}

// The first Q.850 cause; a message may have a SIP one beside it.
std::optional<std::uint64_t> q850_in(const sip::Message& message) {
    for (const auto& text : message.list("Reason")) {
        const auto end = text.find(';');
        if (!sip::same_name(sip::trimmed(std::string_view{text}.substr(0, end)), "Q.850")) continue;
        const auto params =
            sip::header_params_from_text(end == std::string::npos ? "" : std::string_view{text}.substr(end));
        const auto cause = params ? params->value("cause") : std::nullopt;
        if (cause) return sip::number_from_text(*cause, 127);
    }
    return std::nullopt;
}

}  // namespace

int status_by_reason(int status, const sip::Message& response) {
    if (status != 480 && status != 500 && status != 503) return status;
    switch (q850_in(response).value_or(0)) {
        case 1: return 404;
        case 17: return 486;
        case 18:
        case 19:
        case 20: return 480;
        case 21: return 603;
        case 22: return 410;
        case 28: return 484;
        case 34:
        case 38:
        case 41:
        case 42:
        case 47: return 503;
        default: return status;
    }
}

call::Cause cause_by_reason(call::Cause cause, const sip::Message& request) {
    switch (q850_in(request).value_or(0)) {
        case 27:
        case 34:
        case 38:
        case 41:
        case 42:
        case 44:
        case 47: return call::Cause::failed;
        case 102: return call::Cause::timed_out;
        default: return cause;
    }
}

std::vector<sip::Header> reason_headers(call::Cause cause) {
    const auto q850 = q850_of(cause);
    if (!q850) return {};
    return {{"Reason", "Q.850;cause=" + std::to_string(q850->cause) + ";text=\"" + std::string(q850->text) + "\""}};
}

}  // namespace sheaf::b2bua
