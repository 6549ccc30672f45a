// SPDX-License-Identifier: Apache-2.0
#include "apps/switch/replay.h"

#include <fmt/format.h>

#include <cstdio>

#include "apps/cli/commands.h"

namespace sheaf::apps {

int replay(const ReplayCommand& command) {
    const auto report = replay_file(command.file);
    if (!report) {
        fmt::print(stderr, "sheaf replay: {}\n", report.error().what);
        return 1;
    }
    for (const auto& file : report->files) fmt::print("{}\n", file);
    if (report->torn_tail) fmt::print("the last line is cut off: the run was killed\n");
    if (!report->difference) {
        fmt::print("{} inputs, the same effects\n", report->inputs);
        return 0;
    }
    const auto& difference = *report->difference;
    fmt::print("{}:{}: the effects differ\n  input    {}\n  expected {}\n  got      {}\n", difference.file,
               difference.line, difference.input, difference.expected, difference.got);
    for (const auto& effect : difference.effects) fmt::print("    {}\n", effect);
    return 1;
}

}  // namespace sheaf::apps
