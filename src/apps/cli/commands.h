// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace sheaf::apps {

// The program's commands, each in its own file. They return the process's exit status: 0 done and good, 1 not.
// (2 is for a command line that cannot be understood.)

struct RunCommand {
    std::string config;
    int ready_fd = -1;  // gets one JSON line of the bound addresses once every role has started; -1: nobody asked
};
[[nodiscard]] int run_roles(const RunCommand& command);

struct CheckCommand {
    std::string config;
};
[[nodiscard]] int check_config(const CheckCommand& command);

struct VerifyCommand {
    std::string what;  // a file or folder; or a recording-id, calluuid or segment id to look for in `data`
    std::string data;  // folder searched for a recording
    bool json = false;
};
[[nodiscard]] int verify(const VerifyCommand& command);

struct ReplayCommand {
    std::string file;
};
[[nodiscard]] int replay(const ReplayCommand& command);

}  // namespace sheaf::apps
