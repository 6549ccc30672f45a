// SPDX-License-Identifier: Apache-2.0
// The call model itself, with a counter in front: this object defines call::step, so that the library's is not linked.
#include <utility>

#include "call/call.h"

namespace sheaf::call {
[[nodiscard]] Step step_uncounted(Call call, const Event& event);
}

#define step step_uncounted
#include "../../src/call/call.cpp"
#undef step

#include "sim/coverage.h"

namespace sheaf::call {

Step step(Call call, const Event& event) {
    sim::Coverage::count(call, event);
    return step_uncounted(std::move(call), event);
}

}  // namespace sheaf::call
