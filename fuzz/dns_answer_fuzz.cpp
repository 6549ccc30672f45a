// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "edge/dns/answer.h"

// An answer of DNS as it came over the wire is read, or refused, and its time is one.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sheaf;
    for (const auto type : {sip::RecordType::naptr, sip::RecordType::srv}) {
        const auto answer = dns::answer_from_message(type, {data, size});
        if (answer) ASSERT(answer->ttl_s <= 0x7fff'ffffU);
    }
    return 0;
}
