// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string>

#include "b2bua/replaces.h"
#include "base/assert.h"
#include "base/bytes.h"

// Anyone writes what they like in Replaces and Refer-To: what is read can be written and read again as the same, also
// when it has been through a URI.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sheaf;
    using namespace sheaf::b2bua;
    const std::string text(as_text({data, size}));
    if (const auto read = replaces_from_text(text)) {
        const auto written = to_text(*read);
        const auto again = replaces_from_text(written);
        // A quoted tag loses its quotes, and may not be a tag without them.
        if (again && *again == *read) {
            sip::Uri uri;
            uri.host = "h";
            uri.headers = "Replaces=" + sip::escaped_header(written);
            const auto through = sip::uri_from_text(sip::to_text(uri));
            ASSERT(through.has_value());
            ASSERT(sip::headers_of(*through).front().second == written);
        }
    }
    sip::Message refer;
    refer.start = sip::RequestLine{"REFER", {}};
    refer.add("Refer-To", text);
    const auto target = refer_target_of(refer);
    ASSERT(target.refusal.status == 200 || (target.refusal.status >= 400 && target.refusal.status < 600));
    ASSERT(target.refusal.status != 200 || !target.number.empty() || target.replaces);
    return 0;
}
