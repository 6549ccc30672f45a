// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "base/assert.h"
#include "base/bytes.h"
#include "sip/body.h"

// A message whose Content-Type, Content-Disposition and Content-Encoding are the first three lines of the input, and
// its body the rest. A description lies within the body; what is kept of one is found again, as it is.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sheaf::sip;
    auto rest = sheaf::as_text({data, size});
    Message message;
    for (const char* name : {"Content-Type", "Content-Disposition", "Content-Encoding"}) {
        const auto line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        if (!line.empty()) message.add(name, std::string(line));
    }
    message.body = rest;
    const auto found = description_in(message);
    if (found && !found->empty()) {
        const std::less_equal<const char*> before;
        ASSERT(before(message.body.data(), found->data()));
        ASSERT(before(found->data() + found->size(), message.body.data() + message.body.size()));
    }
    const std::string description(found ? *found : std::string_view{});
    keep_description(message);
    const auto again = description_in(message);
    ASSERT(again.has_value() == found.has_value());
    ASSERT(!again || *again == description);
    ASSERT(!found || message.body == description);
    return 0;
}
