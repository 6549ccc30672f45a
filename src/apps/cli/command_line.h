// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace sheaf::apps {

// Reads the command line, does what it says, returns the exit status.
[[nodiscard]] int run_command_line(int argc, const char* const* argv);

}  // namespace sheaf::apps
