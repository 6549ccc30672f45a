// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "exchange/calls.h"

// How CTI requests are answered; for the files of this room only.
namespace sheaf::exchange {

inline bool has(const std::vector<std::string>& devices, const std::string& device) {
    return std::ranges::any_of(devices, [&](const std::string& own) { return own == "*" || own == device; });
}

struct Answer {
    int status = 200;
    boost::json::value body;
};

inline Answer problem(int status, std::string_view title, std::string detail) {
    return {status, boost::json::object{{"title", title}, {"detail", std::move(detail)}}};
}
inline Answer missing(std::string_view field) {
    return problem(400, "Missing field", std::string(field) + " is missing");
}
inline Answer conflict(std::string detail) {
    return problem(409, "Wrong state", std::move(detail));
}
inline Answer not_yours() {
    return problem(403, "Not yours", "this token does not speak for the device");
}

inline Answer continues(const CallUuid& call, const CallUuid& consult = {}) {
    return {200, boost::json::object{{"calluuid", call.text()},
                                     {"consult_calluuid",
                                      consult.empty() ? boost::json::value{} : boost::json::value(consult.text())}}};
}

inline Answer from_refusal(const Refusal& refusal) {
    switch (refusal.status) {
        case 403: return problem(403, "Not allowed", refusal.why);
        case 404: return problem(404, "Unknown", "to: " + refusal.why);
        case 503: return problem(503, "Unavailable", refusal.why);
        default: return conflict(refusal.why);
    }
}

// Services on a call, by their names in the contract; nullopt: it is none of them.
[[nodiscard]] std::optional<Answer> serve_call(Turn& turn, const CtiRequest& request);

}  // namespace sheaf::exchange
