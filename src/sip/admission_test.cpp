// SPDX-License-Identifier: Apache-2.0
#include "sip/admission.h"

#include <doctest/doctest.h>

#include "sip/endpoint.h"

using namespace sheaf;
using namespace sheaf::sip;
using namespace std::chrono_literals;

namespace {

using Verdict = Admission::Verdict;
constexpr Sender kStranger{};
constexpr Sender kCaller{Sender::Kind::caller, 0};
constexpr Sender kPeer{Sender::Kind::peer, 0};
const Instant kStart{1h};
constexpr std::uint64_t kSecret = 0x5ea1;

struct Judged {
    int admitted = 0, refused = 0, dropped = 0;
};
// `count` messages of one sender, evenly within `length`.
Judged flood(Admission& admission, Instant start, Duration length, int count, std::string_view from,
             const Sender& sender = kStranger) {
    Judged out;
    for (int i = 0; i < count; ++i) {
        const auto verdict = admission.judge(start + length * i / count, from, sender);
        out.admitted += verdict == Verdict::admit ? 1 : 0;
        out.refused += verdict == Verdict::refuse ? 1 : 0;
        out.dropped += verdict == Verdict::drop ? 1 : 0;
    }
    return out;
}

std::string address_of(int number) {
    return "10." + std::to_string(number / 65'536 % 256) + '.' + std::to_string(number / 256 % 256) + '.' +
           std::to_string(number % 256);
}

}  // namespace

TEST_CASE("a stranger who floods gets its share, some answers, and then silence") {
    Admission admission({}, kSecret);
    const auto judged = flood(admission, kStart, 10min, 3'000'000, "203.0.113.5");
    // 20 a second and 200 at once; 503 to 100 a second and 1,000 at once.
    CHECK(judged.admitted >= 12'000);
    CHECK(judged.admitted <= 12'201);
    CHECK(judged.refused >= 60'000);
    CHECK(judged.refused <= 61'001);
    CHECK(judged.admitted + judged.refused + judged.dropped == 3'000'000);
    const auto turned = admission.take_turned();
    CHECK(turned.refused == static_cast<std::uint64_t>(judged.refused));
    CHECK(turned.dropped == static_cast<std::uint64_t>(judged.dropped));
    CHECK(turned.address == "203.0.113.5");
    CHECK(admission.take_turned() == Admission::Turned{});
}

TEST_CASE("a flood takes nothing from another stranger, a caller or a peer") {
    Admission admission({}, kSecret);
    for (int second = 0; second < 60; ++second) {
        const Instant at = kStart + second * 1s;
        flood(admission, at, 1s, 5'000, "203.0.113.5");
        CHECK(flood(admission, at, 1s, 10, "198.51.100.7").admitted == 10);
        CHECK(flood(admission, at, 1s, 90, "192.0.2.10", kCaller).admitted == 90);
        CHECK(flood(admission, at, 1s, 2'000, "192.0.2.20", kPeer).admitted == 2'000);
    }
}

TEST_CASE("many strangers together have one share, whatever addresses they choose; who is known has none of that") {
    Admission admission({}, kSecret);
    int admitted = 0;
    for (int i = 0; i < 300'000; ++i) {  // 5,000 a second from as many addresses
        const auto verdict = admission.judge(kStart + 60s * i / 300'000, address_of(i), kStranger);
        admitted += verdict == Verdict::admit ? 1 : 0;
    }
    CHECK(admitted >= 60 * 400);
    CHECK(admitted <= 60 * 400 + 4'001);
    CHECK(admission.judge(kStart + 60s, "192.0.2.10", kCaller) == Verdict::admit);
}

TEST_CASE("an address behind which many phones stand has as much more as there are phones and calls of it") {
    Admission admission({}, kSecret);
    const Sender office{Sender::Kind::caller, 500};
    CHECK(flood(admission, kStart, 60s, 60 * 2'100, "192.0.2.10", office).admitted == 60 * 2'100);
    CHECK(flood(admission, kStart, 60s, 60 * 2'100, "192.0.2.11", kCaller).admitted <= 60 * 100 + 1'000);
}

TEST_CASE("a share comes back: after ten quiet seconds it is whole") {
    Admission admission({}, kSecret);
    CHECK(flood(admission, kStart, 1ms, 500, "203.0.113.5").admitted == 200);
    CHECK(flood(admission, kStart + 1s, 1ms, 500, "203.0.113.5").admitted == 20);
    CHECK(flood(admission, kStart + 11s, 1ms, 500, "203.0.113.5").admitted == 200);
    // Time that steps back gives nothing and takes nothing.
    CHECK(admission.judge(kStart, "203.0.113.5", kStranger) != Verdict::admit);
}

TEST_CASE("a large message counts as several") {
    Admission admission({}, kSecret);
    int admitted = 0;
    for (int i = 0; i < 500; ++i)
        admitted += admission.judge(kStart, "203.0.113.5", kStranger, 60'000) == Verdict::admit ? 1 : 0;
    CHECK(admitted == 200 / 41);
}

TEST_CASE("an IPv6 sender is its first 64 bits") {
    CHECK(network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff::9"));
    CHECK(network_of("2001:db8:1:2::1") != network_of("2001:db8:1:3::1"));
    CHECK(network_of("::ffff:192.0.2.1") != network_of("::ffff:192.0.2.2"));
    CHECK(network_of("192.0.2.1") == "192.0.2.1");
    CHECK(network_of("no address") == "no address");
    Admission admission({}, kSecret);
    int admitted = 0;
    for (int i = 0; i < 1'000; ++i) {
        const auto from = "2001:db8::" + std::to_string(i);
        admitted += admission.judge(kStart, from, kStranger) == Verdict::admit ? 1 : 0;
    }
    CHECK(admitted == 200);
}

TEST_CASE("more senders that are known than there is room for share what is left") {
    Admission admission({}, kSecret);
    for (std::size_t i = 0; i < kKnownMax; ++i) {
        const auto from = address_of(static_cast<int>(i));
        CHECK(admission.judge(kStart, from, kCaller) == Verdict::admit);
    }
    int admitted = 0;
    for (std::size_t i = 0; i < 5'000; ++i) {
        const auto from = address_of(static_cast<int>(kKnownMax + i));
        admitted += admission.judge(kStart, from, kCaller) == Verdict::admit ? 1 : 0;
    }
    CHECK(admitted == 1'000);
    // Ten seconds later those who were quiet are forgotten.
    CHECK(admission.judge(kStart + 10s, "192.0.2.1", kCaller) == Verdict::admit);
}
