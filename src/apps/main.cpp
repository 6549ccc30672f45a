// SPDX-License-Identifier: Apache-2.0
#include "apps/cli/command_line.h"

int main(int argc, char** argv) {
    return sheaf::apps::run_command_line(argc, argv);
}
