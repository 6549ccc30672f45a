// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/id.h"

namespace sheaf::call {

// Whether a recording is among `percent` of all: decided from the root calluuid alone, so that every site decides alike
// and whoever is selected at 10 % is selected at 25 % too.
[[nodiscard]] bool is_selected(const CallUuid& root, int percent);

}  // namespace sheaf::call
