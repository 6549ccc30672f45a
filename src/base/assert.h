// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace sheaf {

// Prints and ends the process. For our own mistakes only, never for what a peer sent.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);

}  // namespace sheaf

// On in release too: a recorder that goes on in a state it does not understand records a lie.
#define ASSERT(condition) \
    (static_cast<bool>(condition) ? static_cast<void>(0) : ::sheaf::assertion_failed(#condition, __FILE__, __LINE__))
