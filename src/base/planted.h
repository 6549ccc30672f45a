// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

// A test that no bug fails has proved nothing. A build with SHEAF_PLANTABLE (presets asan and dev) has bugs built in
// that sleep until the environment of a test program names one: SHEAF_PLANT=link_dropped_when_moved.
// cmake/planted.cmake expects the tests of a room to fail then. In every other build the question is answered while
// compiling: no trace of a bug, nor of the question, is in a program that is shipped.
namespace sheaf {

#ifdef SHEAF_PLANTABLE
[[nodiscard]] bool is_planted(std::string_view bug);
#else
consteval bool is_planted(std::string_view /*bug*/) {
    return false;
}
#endif

}  // namespace sheaf
