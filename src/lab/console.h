// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace sheaf::lab {

// Reads commands from standard input, one JSON object a line, and writes what the phones report to standard output, one
// JSON object a line with `at_ms` (Unix time), `phone` and `event`. Ends at "quit" or the end of input.
// docs/operating/lab.md
int run_console();

}  // namespace sheaf::lab
