// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "base/bytes.h"
#include "sip/message.h"

// Any datagram is parsed or refused; a parsed one is written and read again as the same message; an answer to it
// parses; a stream gives the same messages however its packets are cut.
namespace sheaf::sip {
namespace {

bool is_too_large(const Result<Message>& message) {
    return !message && message.error().code == Errc::exhausted;
}

void check_written(const Message& message) {
    auto again = message_from_datagram(to_bytes(message));
    if (is_too_large(again)) return;  // escapes and spelled-out names are longer
    ASSERT(again);
    ASSERT(to_bytes(*again) == to_bytes(message));
    auto before = message;
    before.remove("Content-Length");
    again->remove("Content-Length");
    ASSERT(*again == before);
}

void check_lists(Message message) {
    for (const std::string_view name : {"Via", "Route", "Contact"}) {
        for (auto items = message.list(name); !items.empty();) {
            message.remove_first_item(name);
            items.erase(items.begin());
            ASSERT(message.list(name) == items);
        }
    }
}

void check_message(const Message& message) {
    check_written(message);
    check_lists(message);
    ASSERT(!message.method().empty());
    for (const auto& via : message.list("Via")) {
        const auto parsed = via_from_text(via);
        ASSERT(parsed);
        ASSERT(via_from_text(to_text(*parsed)) == parsed);
    }
    if (!message.is_request()) return;
    const auto answer = message_from_datagram(to_bytes(response_to(message, 180, "tag")));
    ASSERT(is_too_large(answer) || answer);
}

std::vector<Result<Message>> streamed(std::string_view bytes, std::size_t step) {
    std::vector<Result<Message>> out;
    StreamParser parser;
    for (; !bytes.empty(); bytes.remove_prefix(std::min(step, bytes.size()))) {
        parser.feed(bytes.substr(0, step));
        while (auto message = parser.next()) out.push_back(*std::move(message));
    }
    return out;
}

}  // namespace
}  // namespace sheaf::sip

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sheaf::sip;
    const auto bytes = sheaf::as_text({data, size});
    const auto message = message_from_datagram(bytes);
    if (message) check_message(*message);
    if (const auto salvaged = salvage_request(bytes)) {
        ASSERT(via_from_text(salvaged->list("Via").front()));
        ASSERT(!to_bytes(response_to(*salvaged, 400, "tag")).empty());
    }
    if (size < 4096) ASSERT(streamed(bytes, size + 1) == streamed(bytes, 1 + size / 7));
    return 0;
}
