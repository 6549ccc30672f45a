// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string>

#include "b2bua/sheaf_call.h"
#include "base/assert.h"
#include "base/bytes.h"

// A peer site writes what it likes in its INFO: what is read is within the limits, and is read again as the same when
// it is told on.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sheaf;
    using namespace sheaf::b2bua;
    const auto read = sheaf_call_from_text(as_text({data, size}));
    if (!read) return 0;
    ASSERT(read->seq > 0);
    ASSERT(!read->root.empty());
    ASSERT(read->parties.size() <= exchange::kSitePartiesMax && read->held.size() <= exchange::kSitePartiesMax);
    for (const auto& party : read->parties) ASSERT(party.name.size() <= kSheafCallTextMax);
    const auto again = sheaf_call_from_text(to_sheaf_call(*read));
    ASSERT(again.has_value());
    ASSERT(*again == *read);
    return 0;
}
