// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "base/bytes.h"
#include "sip/endpoint.h"
#include "sip/grammar.h"
#include "sip/message.h"
#include "sip/uri.h"

// Whatever parses as a URI, name-addr, Via or endpoint is written and read again as the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sheaf::sip;
    const auto text = sheaf::as_text({data, size});
    if (const auto uri = uri_from_text(text)) {
        ASSERT(uri_from_text(to_text(*uri)) == uri);
        ASSERT(equivalent(*uri, *uri));
        ASSERT(to_text(*uri).find_first_of("\r\n <>\"") == std::string::npos);
    }
    const auto address = name_addr_from_text(text);
    if (address) {
        ASSERT(name_addr_from_text(to_text(*address)) == address);
        ASSERT(name_addr_param(text, "tag").value().value_or("") == address->params.value("tag").value_or(""));
    }
    const auto via = via_from_text(text);
    if (via) ASSERT(via_from_text(to_text(*via)) == via);
    // A check says what reading says.
    ASSERT(check_name_addr(text).has_value() == address.has_value());
    ASSERT(check_via(text).has_value() == via.has_value());
    ASSERT(check_header_params(text).has_value() == header_params_from_text(text).has_value());
    if (const auto endpoint = endpoint_from_text(text)) ASSERT(endpoint_from_text(to_text(*endpoint)) == endpoint);
    static_cast<void>(cseq_from_text(text));
    static_cast<void>(is_loopback(text));
    return 0;
}
