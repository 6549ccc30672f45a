// SPDX-License-Identifier: Apache-2.0
#include "edge/dns/answer.h"

#include <ares.h>
#include <arpa/nameser.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>

#include "base/bytes.h"

namespace sheaf::dns {
namespace {

constexpr std::size_t kHeaderBytes = 12;
constexpr std::size_t kQuestionBytes = 4;  // behind its name
constexpr std::size_t kRecordBytes = 10;   // behind its name, before its data

std::string text_of(const char* text) {
    return text == nullptr ? std::string() : std::string(text);
}
std::string text_of(const unsigned char* text) {
    return text_of(reinterpret_cast<const char*>(text));
}

// Where the name that begins at `at` ends; nullopt: it does not.
std::optional<std::size_t> after_name(Bytes message, std::size_t at) {
    char* name = nullptr;
    long length = 0;
    if (at >= message.size()) return std::nullopt;
    const int status =
        ares_expand_name(message.data() + at, message.data(), static_cast<int>(message.size()), &name, &length);
    if (status != ARES_SUCCESS) return std::nullopt;
    ares_free_string(name);
    return at + static_cast<std::size_t>(length);
}

// The library's NAPTR and SRV records have no times to live.
Result<std::uint32_t> least_ttl(Bytes message) {
    const auto cut = fail(Errc::malformed, "an answer that ends too early");
    if (message.size() < kHeaderBytes) return cut;
    std::size_t at = kHeaderBytes;
    for (int left = read_u16be(message.data() + 4); left > 0; --left) {
        const auto end = after_name(message, at);
        if (!end || *end + kQuestionBytes > message.size()) return cut;
        at = *end + kQuestionBytes;
    }
    std::uint32_t least = std::numeric_limits<std::int32_t>::max();
    for (int left = read_u16be(message.data() + 6); left > 0; --left) {
        const auto end = after_name(message, at);
        if (!end || *end + kRecordBytes > message.size()) return cut;
        const auto ttl = read_u32be(message.data() + *end + 4);
        least = std::min(least, ttl > std::numeric_limits<std::int32_t>::max() ? 0 : ttl);  // RFC 2181 §8
        at = *end + kRecordBytes + read_u16be(message.data() + *end + 8);
        if (at > message.size()) return cut;
    }
    return least;
}

// The records of one kind, read by the library.
template <typename Reply, typename Parse, typename Each>
Result<void> read_records(Bytes message, Parse parse, Each each) {
    Reply* list = nullptr;
    const int status = parse(message.data(), static_cast<int>(message.size()), &list);
    const std::unique_ptr<Reply, decltype(&ares_free_data)> owner(list, &ares_free_data);
    if (status == ARES_ENODATA) return {};
    if (status != ARES_SUCCESS) return fail(Errc::malformed, ares_strerror(status));
    for (const Reply* one = list; one != nullptr; one = one->next) each(*one);
    return {};
}

}  // namespace

Result<sip::DnsAnswer> answer_from_message(sip::RecordType type, Bytes message) {
    sip::DnsAnswer out;
    if (message.size() > std::numeric_limits<std::uint16_t>::max()) return fail(Errc::malformed, "an answer too long");
    TRY(out.ttl_s, least_ttl(message));
    if (type == sip::RecordType::naptr) {
        TRY_VOID(read_records<ares_naptr_reply>(message, ares_parse_naptr_reply, [&](const ares_naptr_reply& one) {
            out.naptr.push_back({one.order, one.preference, text_of(one.flags), text_of(one.service),
                                 text_of(one.regexp), text_of(one.replacement)});
        }));
    } else if (type == sip::RecordType::srv) {
        TRY_VOID(read_records<ares_srv_reply>(message, ares_parse_srv_reply, [&](const ares_srv_reply& one) {
            out.srv.push_back({one.priority, one.weight, one.port, text_of(one.host)});
        }));
    }
    return out;
}

}  // namespace sheaf::dns
