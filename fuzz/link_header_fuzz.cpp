// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string>

#include "b2bua/link_header.h"
#include "b2bua/msml_client.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/digest.h"

// A peer that knows the secret writes what it likes in X-Sheaf-Link: what is believed can be signed and believed again
// as the same, and never twice. A media server writes what it likes in its MSML.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sheaf;
    using namespace sheaf::b2bua;
    const std::string text(as_text({data, size}));
    const LinkCarrier carrier{"call", "tag"};
    const WallTime now{std::chrono::milliseconds{1'767'605'400'000}};
    LinkGuard guard;
    ASSERT(!guard.check(text, carrier, "paris", "secret", now));
    const auto value = text + ";mac=" + hmac_sha256_hex("secret", text + "\ncall\ntag");
    if (const auto link = guard.check(value, carrier, "paris", "secret", now)) {
        ASSERT(!guard.check(value, carrier, "paris", "secret", now));
        const auto again = signed_link(*link, carrier, "secret", now, "fedcba9876543210");
        if (again.size() <= kLinkHeaderBytesMax && text.find("n=fedcba9876543210") == std::string::npos) {
            ASSERT(guard.check(again, carrier, "paris", "secret", now) == link);
        }
    }
    static_cast<void>(msml_result_from_text(text));
    static_cast<void>(msml_event_from_text(text));
    return 0;
}
