// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/entropy.h"
#include "base/time.h"

namespace sheaf::net {

// CLOCK_MONOTONIC and CLOCK_REALTIME, read one after the other. Any thread.
[[nodiscard]] Stamp now();
// From the kernel's getrandom. Any thread.
[[nodiscard]] Entropy::Seed seed();

}  // namespace sheaf::net
