// SPDX-License-Identifier: Apache-2.0
#include "rtp/rtcp.h"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

namespace sheaf::rtp {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Instant at_ms(std::int64_t ms) {
    return Instant{milliseconds{ms}};
}

std::vector<std::uint8_t> written(const Report& report) {
    std::vector<std::uint8_t> bytes(kRtcpBytesMax);
    bytes.resize(write_compound(bytes, report));
    return bytes;
}

const ReportBlock kBlock{.ssrc = 9,
                         .fraction_lost = 12,
                         .cumulative_lost = -3,
                         .highest_sequence = 0x00010002,
                         .jitter = 77,
                         .last_sr = 0xAABBCCDD,
                         .delay_since_last_sr = 65'536};

TEST_CASE("a sender report with all its parts is read as written") {
    const std::array blocks{kBlock, ReportBlock{.ssrc = 10}};
    const SenderInfo sender{.ntp = 0x1122334455667788, .rtp_timestamp = 1, .packets = 2, .octets = 3};
    for (std::size_t length = 1; length <= 9; ++length) {
        const std::string cname(length, 'c');
        const auto bytes = written({.ssrc = 5, .sender = sender, .blocks = blocks, .cname = cname, .bye = true});
        REQUIRE(!bytes.empty());
        CHECK(bytes.size() % 4 == 0);
        const auto compound = parse_compound(bytes);
        REQUIRE(compound);
        CHECK(compound->ssrc == 5);
        CHECK(compound->sender == sender);
        REQUIRE(compound->blocks().size() == 2);
        CHECK(compound->blocks()[0] == kBlock);
        CHECK(compound->cname == cname);
        REQUIRE(compound->byes().size() == 1);
        CHECK(compound->byes()[0] == 5);
    }
}

TEST_CASE("a receiver report has no sender part") {
    const auto bytes = written({.ssrc = 5, .sender = {}, .blocks = {}, .cname = "x"});
    const auto compound = parse_compound(bytes);
    REQUIRE(compound);
    CHECK_FALSE(compound->sender);
    CHECK(compound->blocks().empty());
}

TEST_CASE("a compound cut anywhere is refused or ends at a packet's end") {
    const std::array blocks{kBlock};
    const auto bytes = written({.ssrc = 5, .sender = SenderInfo{}, .blocks = blocks, .cname = "someone", .bye = true});
    std::size_t whole = 0;
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const std::vector<std::uint8_t> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
        if (parse_compound(cut)) ++whole;
    }
    CHECK(whole == 2);  // after the report, and after the description
}

TEST_CASE("what is no compound packet is refused by name") {
    auto bytes = written({.ssrc = 5, .sender = {}, .blocks = {}, .cname = "x"});
    auto wrong = bytes;
    wrong[1] = 202;
    CHECK(parse_compound(wrong).error() == RtcpFault::wrong_first);
    wrong = bytes;
    wrong[0] = 0x40;
    CHECK(parse_compound(wrong).error() == RtcpFault::wrong_version);
    wrong = bytes;
    wrong[0] |= 0x20;
    CHECK(parse_compound(wrong).error() == RtcpFault::bad_padding);
    wrong = bytes;
    wrong[0] |= 5;  // more blocks than bytes
    CHECK(parse_compound(wrong).error() == RtcpFault::wrong_length);
    CHECK(parse_compound({}).error() == RtcpFault::too_short);
    CHECK(parse_compound(std::vector<std::uint8_t>(kRtcpBytesMax + 1)).error() == RtcpFault::too_long);
}

TEST_CASE("a report that breaks a limit is not written") {
    const std::vector<ReportBlock> blocks(kReportBlocksMax + 1);
    std::vector<std::uint8_t> bytes(kRtcpBytesMax);
    CHECK(write_compound(bytes, {.ssrc = 1, .sender = {}, .blocks = blocks, .cname = "x"}) == 0);
    CHECK(write_compound(bytes, {.ssrc = 1, .sender = {}, .blocks = std::span(blocks).first(31), .cname = "x"}) > 0);
    CHECK(write_compound(bytes, {.ssrc = 1, .sender = {}, .blocks = {}, .cname = ""}) == 0);
    const std::string longest(kCnameBytesMax, 'c');
    CHECK(write_compound(bytes, {.ssrc = 1, .sender = {}, .blocks = {}, .cname = longest}) > 0);
    CHECK(write_compound(bytes, {.ssrc = 1, .sender = {}, .blocks = {}, .cname = longest + "c"}) == 0);
    CHECK(write_compound(std::span(bytes).first(12), {.ssrc = 1, .sender = {}, .blocks = {}, .cname = "x"}) == 0);
}

TEST_CASE("loss is reported for the interval and in sum, and a duplicate hides none") {
    Reception reception;
    for (std::uint16_t n = 0; n < 100; ++n) {
        if (n % 4 == 1) continue;
        static_cast<void>(reception.packet(n, n * 160U, at_ms(n * 20L), 8'000));
        static_cast<void>(reception.packet(n, n * 160U, at_ms(n * 20L), 8'000));
    }
    ReportBlock block = reception.report(1, at_ms(2'000));
    CHECK(block.cumulative_lost == 25);
    CHECK(block.fraction_lost == 64);
    CHECK(block.jitter == 0);
    for (std::uint16_t n = 100; n < 150; ++n) static_cast<void>(reception.packet(n, n * 160U, at_ms(n * 20L), 8'000));
    block = reception.report(1, at_ms(3'000));
    CHECK(block.cumulative_lost == 25);
    CHECK(block.fraction_lost == 0);
    CHECK(block.highest_sequence == 65'536 + 149);
}

TEST_CASE("jitter goes to the mean difference of two packets' transits") {
    Reception reception;
    for (std::uint16_t n = 0; n < 1'000; ++n) {
        // Every second packet is 10 ms late: each step of transit is 80 units.
        static_cast<void>(reception.packet(n, n * 160U, at_ms(n * 20L + (n % 2) * 10L), 8'000));
    }
    CHECK(reception.jitter() >= 78);
    CHECK(reception.jitter() <= 80);
}

TEST_CASE("the round trip comes from the report's echo of our own clock") {
    Reception reception;
    const WallTime sent{milliseconds{1'700'000'000'000}};
    reception.sender_report(ntp_from_wall(sent), at_ms(10'000));
    const ReportBlock block = reception.report(1, at_ms(10'500));
    CHECK(block.delay_since_last_sr == 32'768);
    const auto trip = round_trip(block, ntp_from_wall(sent + milliseconds{560}));
    CHECK(to_ms(trip.value_or(Duration::zero())) >= 59);
    CHECK(to_ms(trip.value_or(Duration::zero())) <= 61);
    CHECK_FALSE(round_trip({}, 1));
    CHECK((ntp_from_wall(WallTime{}) >> 32) == 2'208'988'800);
}

}  // namespace
}  // namespace sheaf::rtp
