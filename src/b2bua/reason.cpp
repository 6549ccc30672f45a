// SPDX-License-Identifier: Apache-2.0
#include "b2bua/reason.h"

#include <optional>
#include <string>
#include <string_view>

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

}  // namespace

std::vector<sip::Header> reason_headers(call::Cause cause) {
    const auto q850 = q850_of(cause);
    if (!q850) return {};
    return {{"Reason", "Q.850;cause=" + std::to_string(q850->cause) + ";text=\"" + std::string(q850->text) + "\""}};
}

}  // namespace sheaf::b2bua
