// SPDX-License-Identifier: Apache-2.0
#include "lab/console.h"

int main() {
    return sheaf::lab::run_console();
}
