// SPDX-License-Identifier: Apache-2.0
#ifdef SHEAF_MIMALLOC
#include <mimalloc.h>
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#endif

#include "apps/cli/command_line.h"

#ifdef SHEAF_MIMALLOC
namespace {

// What a busy second has freed the next one takes again: measured, a tenth of a call's cost goes into giving it back
// and asking for it.
constexpr long kGivenBackMs = 1'000;
// Addresses, not memory; what does not fit goes to where mimalloc puts it otherwise.
constexpr std::size_t kHeapBytes = 4UZ << 30;
constexpr std::size_t kAlignment = 64UZ << 20;  // of mimalloc's segments, at most

// The heap in large pages where the system has them for those who ask. A call touches memory all over: measured,
// another tenth of its cost is looking up where that is.
void ask_for_large_pages() {
    void* const mapped = mmap(nullptr, kHeapBytes + kAlignment, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) return;
    const auto from = (reinterpret_cast<std::uintptr_t>(mapped) + kAlignment - 1) / kAlignment * kAlignment;
    void* const heap = reinterpret_cast<void*>(from);
    if (madvise(heap, kHeapBytes, MADV_HUGEPAGE) != 0 ||
        !mi_manage_os_memory(heap, kHeapBytes, false, false, true, -1)) {
        munmap(mapped, kHeapBytes + kAlignment);
    }
}

}  // namespace
#endif

int main(int argc, char** argv) {
#ifdef SHEAF_MIMALLOC
    mi_option_set_default(mi_option_decommit_delay, kGivenBackMs);
    ask_for_large_pages();
#endif
    return sheaf::apps::run_command_line(argc, argv);
}
