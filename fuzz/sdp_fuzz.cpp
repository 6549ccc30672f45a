// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "base/bytes.h"
#include "sip/sdp.h"

// Any description is parsed or refused; a parsed one is written and read again as the same; an answer to it has as many
// sections, at most one in use, and both ends then agree on what was negotiated.
namespace sheaf::sip {
namespace {

void check_answer(const SessionDescription& offer, const LocalMedia& local) {
    const auto answer = make_answer(offer, local, 1, 1);
    if (!answer) {
        ASSERT(answer.error().code == Errc::unsupported);
        return;
    }
    ASSERT(answer->media.size() == offer.media.size());
    ASSERT(audio_of(*answer) != nullptr);
    const auto written = sdp_from_text(to_text(*answer));
    ASSERT(written && written->media.size() == offer.media.size());
    const auto ours = negotiated(*answer, offer);
    const auto theirs = negotiated(offer, *answer);
    ASSERT(ours && theirs);
    ASSERT(!ours->send.empty() && !ours->receive.empty());
    ASSERT(!sends(ours->direction) || receives(theirs->direction));
}

}  // namespace
}  // namespace sheaf::sip

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sheaf::sip;
    const auto parsed = sdp_from_text(sheaf::as_text({data, size}));
    if (!parsed) return 0;
    const auto again = sdp_from_text(to_text(*parsed));
    const bool too_large = !again && again.error().code == sheaf::Errc::exhausted;  // rtpmaps are spelled out
    if (!too_large) ASSERT(again && *again == *parsed);
    const LocalMedia local{
        "127.0.0.1",
        40'000,
        {{0, "PCMU", 8000, 1, {}}, {8, "PCMA", 8000, 1, {}}, {101, "telephone-event", 8000, 1, "0-16"}},
        Direction::sendrecv,
        20};
    check_answer(*parsed, local);
    static_cast<void>(is_hold(*parsed));
    return 0;
}
