// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace sheaf::call {

// Why a party left, a call or a recording ended.
enum class Cause {
    normal,
    transferred,
    busy,
    no_answer,
    rejected,
    cancelled,
    failed,
    timed_out,
    media_timeout,
    lost_control,
    shutdown
};
[[nodiscard]] std::string_view name_of(Cause cause);  // the words of docs/formats/facts.md

}  // namespace sheaf::call
