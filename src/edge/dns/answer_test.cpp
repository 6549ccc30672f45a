// SPDX-License-Identifier: Apache-2.0
#include "edge/dns/answer.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace sheaf;
using namespace sheaf::dns;

namespace {

using namespace std::string_literals;

std::string u16(unsigned value) {
    return {static_cast<char>(value >> 8), static_cast<char>(value)};
}

// An answer to a question for x.test, whose records follow.
std::string message(unsigned type, unsigned count, const std::string& records) {
    return u16(7) + u16(0x8180) + u16(1) + u16(count) + u16(0) + u16(0) + "\1x\4test\0"s + u16(type) + u16(1) + records;
}
std::string record(unsigned type, unsigned ttl_high, unsigned ttl_low, const std::string& data) {
    return u16(0xc00c) + u16(type) + u16(1) + u16(ttl_high) + u16(ttl_low) + u16(static_cast<unsigned>(data.size())) +
           data;
}
std::string srv(unsigned priority, unsigned port) {
    return u16(priority) + u16(5) + u16(port) + "\1a\4test\0"s;
}
Result<sip::DnsAnswer> read(sip::RecordType type, const std::string& text) {
    const std::vector<std::uint8_t> bytes(text.begin(), text.end());  // so that a byte too far is seen
    return answer_from_message(type, bytes);
}

constexpr unsigned kSrv = 33, kNaptr = 35, kCname = 5;

}  // namespace

TEST_CASE("SRV and NAPTR records are read with the least of their times") {
    const auto found = read(sip::RecordType::srv,
                            message(kSrv, 3,
                                    record(kCname, 0, 250, "\1y\xc0\x0e"s) + record(kSrv, 0, 300, srv(10, 5060)) +
                                        record(kSrv, 0, 200, srv(20, 5061))));
    REQUIRE(found);
    REQUIRE(found->srv.size() == 2);
    CHECK(found->srv[0].target == "a.test");
    CHECK(found->srv[0].port + found->srv[1].port == 10'121);
    CHECK(found->ttl_s == 200);
    const std::string data = u16(1) + u16(2) + "\1s\7SIP+D2U\0"s + "\4_sip\4_udp\1x\4test\0"s;
    const auto ways = read(sip::RecordType::naptr, message(kNaptr, 1, record(kNaptr, 1, 0, data)));
    REQUIRE(ways);
    REQUIRE(ways->naptr.size() == 1);
    CHECK(ways->naptr[0].order == 1);
    CHECK(ways->naptr[0].preference == 2);
    CHECK(ways->naptr[0].flags == "s");
    CHECK(ways->naptr[0].service == "SIP+D2U");
    CHECK(ways->naptr[0].regexp.empty());
    CHECK(ways->naptr[0].replacement == "_sip._udp.x.test");
    CHECK(ways->ttl_s == 65'536);
}

TEST_CASE("a time with its top bit set is none (RFC 2181 §8)") {
    const auto found = read(sip::RecordType::srv, message(kSrv, 1, record(kSrv, 0x8000, 9, srv(1, 5060))));
    REQUIRE(found);
    CHECK(found->ttl_s == 0);
}

TEST_CASE("an answer without such records is one, with no records") {
    const auto found = read(sip::RecordType::srv, message(kSrv, 1, record(kCname, 0, 250, "\1y\xc0\x0e"s)));
    REQUIRE(found);
    CHECK(found->srv.empty());
}

TEST_CASE("an answer that ends too early or points into itself is refused") {
    const auto whole = message(kSrv, 1, record(kSrv, 0, 300, srv(10, 5060)));
    REQUIRE(read(sip::RecordType::srv, whole));
    for (std::size_t size = 0; size < whole.size(); ++size)
        CHECK_FALSE(read(sip::RecordType::srv, whole.substr(0, size)));
    CHECK_FALSE(read(sip::RecordType::srv, message(kSrv, 2, record(kSrv, 0, 300, srv(10, 5060)))));
    const std::string loop =
        u16(7) + u16(0x8180) + u16(1) + u16(1) + u16(0) + u16(0) + u16(0xc00c) + u16(kSrv) + u16(1);
    CHECK_FALSE(read(sip::RecordType::srv, loop + record(kSrv, 0, 300, srv(10, 5060))));
    CHECK_FALSE(read(sip::RecordType::srv, std::string(70'000, '\0')));
}
