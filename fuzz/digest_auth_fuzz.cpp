// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "base/bytes.h"
#include "sip/digest_auth.h"

// A challenge or credentials that parse are written and read again as the same, and no stranger's are accepted.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sheaf::sip;
    const auto text = sheaf::as_text({data, size});
    if (const auto challenge = challenge_from_text(text)) {
        const auto again = challenge_from_text(to_text(*challenge));
        ASSERT(again && to_text(*again) == to_text(*challenge));
        ASSERT(answer_challenge({*challenge}, {"u", "p"}, "INVITE", "sip:h", "c0ffee"));
    }
    if (const auto given = credentials_from_text(text)) {
        const auto again = credentials_from_text(to_text(*given));
        ASSERT(again && to_text(*again) == to_text(*given));
        static Authenticator door("sheaf", "key");
        ASSERT(door.check(*given, "a password nobody guesses", "INVITE", {}) == Authenticator::Verdict::wrong);
        ASSERT(door.nonces() == 0);
    }
    return 0;
}
