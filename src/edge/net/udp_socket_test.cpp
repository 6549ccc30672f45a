// SPDX-License-Identifier: Apache-2.0
#include "edge/net/udp_socket.h"

#include <doctest/doctest.h>
#include <poll.h>

#include <array>
#include <set>
#include <string_view>

#include "edge/net/clock.h"

using namespace sheaf;
using namespace sheaf::net;

namespace {

UdpSocket bound(const std::string& address) {
    auto socket = UdpSocket::bind(SocketAddress::from_text(address, 0).value());
    REQUIRE_MESSAGE(socket.has_value(), (socket ? "" : to_string(socket.error())));
    return std::move(*socket);
}

bool readable(const UdpSocket& socket) {
    pollfd waits{socket.fd(), POLLIN, 0};
    return poll(&waits, 1, 5'000) == 1;
}

}  // namespace

TEST_CASE("packets travel in batches with their sender and the kernel's time") {
    for (const char* address : {"127.0.0.1", "::1"}) {
        CAPTURE(address);
        UdpSocket from = bound(address);
        UdpSocket to = bound(address);
        CHECK(to.local().port() != 0);
        const std::array<std::string_view, 3> texts{"one", "two", ""};
        std::vector<UdpToSend> packets;
        for (const auto text : texts) packets.push_back({to.local(), as_bytes(text)});
        CHECK(from.send(packets) == 3);
        UdpBatch batch(8, 1500);
        REQUIRE(readable(to));
        const auto received = to.receive(batch);
        REQUIRE(received.size() == 3);
        for (std::size_t i = 0; i < texts.size(); ++i) {
            CHECK(as_text(received[i].payload) == texts[i]);
            CHECK(received[i].from == from.local());
            CHECK(received[i].from.address() == address);
            CHECK_FALSE(received[i].truncated);
            const auto age = now().wall.time_since_epoch() - received[i].at;
            CHECK(age < std::chrono::seconds{60});
            CHECK(age > std::chrono::seconds{-1});
        }
        CHECK(to.receive(batch).empty());
    }
}

TEST_CASE("a batch holds what it was made for, and a longer packet is marked") {
    UdpSocket from = bound("127.0.0.1");
    UdpSocket to = bound("127.0.0.1");
    const std::vector<UdpToSend> packets(3, UdpToSend{to.local(), as_bytes("0123456789")});
    CHECK(from.send(packets) == 3);
    UdpBatch batch(2, 4);
    REQUIRE(readable(to));
    const auto received = to.receive(batch);
    REQUIRE(received.size() == 2);
    CHECK(received[0].truncated);
    CHECK(as_text(received[0].payload) == "0123");
    CHECK(to.receive(batch).size() == 1);
}

TEST_CASE("a packet the kernel refuses is named and the others go") {
    UdpSocket from = bound("127.0.0.1");
    UdpSocket to = bound("127.0.0.1");
    const std::string huge(70'000, 'x');
    std::vector<UdpToSend> packets{
        {to.local(), as_bytes("a")}, {to.local(), as_bytes(huge)}, {to.local(), as_bytes("b")}};
    std::vector<std::size_t> failed;
    CHECK(from.send(packets, &failed) == 3);
    CHECK(failed == std::vector<std::size_t>{1});
    UdpBatch batch(8, 100);
    REQUIRE(readable(to));
    CHECK(to.receive(batch).size() == 2);
}

TEST_CASE("a taken port is a conflict, a foreign address an error, a name no address") {
    UdpSocket first = bound("127.0.0.1");
    const auto again = UdpSocket::bind(first.local());
    REQUIRE_FALSE(again.has_value());
    CHECK(again.error().code == Errc::conflict);
    const auto foreign = UdpSocket::bind(SocketAddress::from_text("192.0.2.1", 0).value());
    REQUIRE_FALSE(foreign.has_value());
    CHECK(foreign.error().code == Errc::io);
    CHECK_FALSE(SocketAddress::from_text("localhost", 1).has_value());
    CHECK(SocketAddress::from_text("127.0.0.1", 1).value() != SocketAddress::from_text("127.0.0.1", 2).value());
    CHECK(SocketAddress::from_text("::1", 1).value() != SocketAddress::from_text("::2", 1).value());
}

TEST_CASE("RTP pairs are even and odd, unlike each other, and run out") {
    // A range of our own: where another program holds a port of it there are fewer pairs, never the same one twice.
    RtpPorts ports("127.0.0.1", 47'101, 47'108);
    std::vector<RtpPair> pairs;
    std::set<std::uint16_t> taken;
    while (true) {
        auto pair = ports.allocate();
        if (!pair) {
            CHECK(pair.error().code == Errc::exhausted);
            break;
        }
        const std::uint16_t port = pair->rtp.local().port();
        CHECK(port % 2 == 0);
        CHECK(port >= 47'102);
        CHECK(port <= 47'106);
        CHECK(pair->rtcp.local().port() == port + 1);
        CHECK(taken.insert(port).second);
        REQUIRE(taken.size() <= 3);
        pairs.push_back(std::move(*pair));
    }
    CHECK(taken.size() == 3);
    const std::uint16_t freed = pairs.front().rtp.local().port();
    pairs.erase(pairs.begin());
    const auto again = ports.allocate();
    REQUIRE(again.has_value());
    CHECK(again->rtp.local().port() == freed);
    CHECK_FALSE(RtpPorts("127.0.0.1", 47'101, 47'102).allocate().has_value());  // no room for a pair
}

TEST_CASE("the clock runs forward and two seeds differ") {
    const Stamp first = now();
    const Stamp second = now();
    CHECK(second.mono >= first.mono);
    CHECK(to_unix_ms(first.wall) > 1'600'000'000'000);
    CHECK(seed() != seed());
}
