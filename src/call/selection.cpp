// SPDX-License-Identifier: Apache-2.0
#include "call/selection.h"

#include "base/bytes.h"
#include "base/digest.h"

namespace sheaf::call {

bool is_selected(const CallUuid& root, int percent) {
    if (percent <= 0) return false;
    if (percent >= 100) return true;
    // The first 32 bits of the hash as a share of 2^32, compared without rounding.
    const auto hash = sha256(as_bytes(root.text()));
    return std::uint64_t{read_u32be(hash.data())} * 100 <
           (std::uint64_t{1} << 32) * static_cast<std::uint64_t>(percent);
}

}  // namespace sheaf::call
