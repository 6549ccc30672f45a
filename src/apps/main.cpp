// SPDX-License-Identifier: Apache-2.0
#ifdef SHEAF_MIMALLOC
#include <mimalloc.h>
#endif

#include "apps/cli/command_line.h"

int main(int argc, char** argv) {
#ifdef SHEAF_MIMALLOC
    // What a busy second has freed the next one takes again: measured, a tenth of a call's cost goes into giving it back
    // and asking for it.
    constexpr long kGivenBackMs = 1'000;
    mi_option_set_default(mi_option_decommit_delay, kGivenBackMs);
#endif
    return sheaf::apps::run_command_line(argc, argv);
}
