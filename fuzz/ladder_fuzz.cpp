// SPDX-License-Identifier: Apache-2.0
#include <boost/json.hpp>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "base/bytes.h"
#include "ladder/ladder.h"
#include "ladder/masking.h"
#include "ladder/pcap.h"

// Whatever passes is masked without a change of length, twice as once, and comes back from JSON as it was; the ladder
// stays within its room.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sheaf;
    using namespace sheaf::ladder;
    const std::string_view text = as_text({data, size});
    const std::string hidden = masked(text);
    ASSERT(hidden.size() == text.size());
    ASSERT(masked(hidden) == hidden);

    const sip::Endpoint us{sip::Transport::tcp, "127.0.0.1", 5060};
    const Message message{1, WallTime{}, true, us, us, "id", hidden};
    const auto back = message_from_json(boost::json::parse(boost::json::serialize(to_json(message))));
    ASSERT(back && *back == message);
    ASSERT(pcap_of({&message, 1}).size() >= 24);

    static_cast<void>(message_from_json(boost::json::string(text)));
    Ladder ladder({.bytes_max = 2'000, .messages_of_dialog_max = 3});
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find('\f', at), text.size());
        const auto part = text.substr(at, end - at);
        ladder.add(WallTime{}, false, us, us, part);
        if (const auto names = Reading(part).names()) {
            const LegId leg(std::string(names->method));
            const CallUuid call(std::string(names->call_id));
            ladder.begin(leg, names->call_id);
            if (names->cseq % 2 == 0) ladder.tie(call, leg);
            if (names->cseq % 3 == 0) ladder.end(leg);
            static_cast<void>(ladder.of(call));
        }
        ASSERT(ladder.counts().bytes <= 2'000);
        at = end + 1;
    }
    return 0;
}
