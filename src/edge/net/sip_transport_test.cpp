// SPDX-License-Identifier: Apache-2.0
#include "edge/net/sip_transport.h"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include "edge/net/sip_stream.h"

using namespace sheaf;
using namespace sheaf::net;
using boost::asio::ip::tcp;

namespace {

constexpr auto kPatience = std::chrono::seconds{10};

std::string options_request(const std::string& call_id, const std::string& body = "") {
    return "OPTIONS sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
           "From: <sip:a@b>;tag=1\r\nTo: <sip:x@b>\r\nCall-ID: " +
           call_id + "\r\nCSeq: 1 OPTIONS\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// A transport and what it has said.
struct Station {
    boost::asio::io_context& io;
    std::unique_ptr<SipTransport> transport;
    std::vector<std::pair<sip::Source, std::string>> bytes;
    std::vector<std::pair<sip::Source, sip::Message>> messages;
    std::vector<std::string> failed;
    int failed_when_up = 0;
    int batches = 0;
    std::function<void(const sip::Source&)> on_message = [](const sip::Source&) {};
    bool takes_for_strangers = false;
    bool takes_more = true;
    bool may_idle = false;
    int asked_whether_idle = 0;

    Station(boost::asio::io_context& context, std::vector<sip::Endpoint> listen, const SipTransportLimits& limits = {})
        : io(context) {
        SipTransportHandlers handlers;
        handlers.on_bytes = [this](const sip::Source& source, std::string_view text) {
            bytes.emplace_back(source, text);
            on_message(source);
        };
        handlers.on_message = [this](const sip::Source& source, const sip::Message& message) {
            messages.emplace_back(source, message);
            on_message(source);
            return takes_more;
        };
        handlers.on_broken = [this](const sip::Source& source, std::string_view text, const Error&) {
            bytes.emplace_back(source, text);
            on_message(source);
            return takes_more;
        };
        handlers.on_failed = [this](const std::string& branch, bool was_up) {
            failed.push_back(branch);
            if (was_up) ++failed_when_up;
        };
        handlers.on_batch = [this] { ++batches; };
        handlers.is_stranger = [this](const std::string&) { return takes_for_strangers; };
        handlers.may_idle = [this](const std::string&) { return ++asked_whether_idle, may_idle; };
        auto started = SipTransport::start(io, std::move(listen), limits, std::move(handlers));
        REQUIRE_MESSAGE(started.has_value(), (started ? "" : to_string(started.error())));
        transport = std::move(*started);
    }
    [[nodiscard]] const sip::Endpoint& at(std::size_t index = 0) const { return transport->bound().at(index); }
};

template <typename Condition>
void run_until(boost::asio::io_context& io, Condition condition) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!condition() && std::chrono::steady_clock::now() < end) io.run_one_until(end);
    REQUIRE(condition());
}

sip::Endpoint udp(const std::string& address) {
    return {sip::Transport::udp, address, 0};
}
sip::Endpoint tcp_at(const std::string& address) {
    return {sip::Transport::tcp, address, 0};
}

tcp::socket client(boost::asio::io_context& io, const sip::Endpoint& to) {
    tcp::socket socket(io);
    socket.connect({boost::asio::ip::make_address(to.address), to.port});
    return socket;
}

// Runs the io_context until the station has closed the client's connection.
bool is_closed_by_peer(boost::asio::io_context& io, tcp::socket& socket) {
    bool closed = false;
    char byte = 0;
    socket.async_read_some(boost::asio::buffer(&byte, 1),
                           [&](boost::system::error_code error, std::size_t) { closed = bool(error); });
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!closed && std::chrono::steady_clock::now() < end) io.run_one_until(end);
    return closed;
}

}  // namespace

TEST_CASE("UDP and TCP that ask for any port get the same one, on IPv4 and IPv6") {
    boost::asio::io_context io;
    const Station station(io, {udp("127.0.0.1"), tcp_at("127.0.0.1"), udp("::1"), tcp_at("::1")});
    CHECK(station.at(0).port != 0);
    CHECK(station.at(0).port == station.at(1).port);
    CHECK(station.at(2).port == station.at(3).port);
    CHECK(station.at(3).address == "::1");
    const auto taken = SipTransport::start(io, {station.at(0)}, {}, {});
    REQUIRE_FALSE(taken.has_value());
    CHECK(taken.error().code == Errc::conflict);
    const auto taken_tcp = SipTransport::start(io, {station.at(1)}, {}, {});
    REQUIRE_FALSE(taken_tcp.has_value());
    CHECK(taken_tcp.error().code == Errc::conflict);
}

TEST_CASE("datagrams go and come with the addresses they went between") {
    for (const char* address : {"127.0.0.1", "::1"}) {
        boost::asio::io_context io;
        Station a(io, {udp(address)});
        Station b(io, {udp(address)});
        std::vector<sip::Send> sends;
        for (int i = 0; i < 100; ++i) sends.push_back({b.at(), 0, "hello " + std::to_string(i), "branch"});
        a.transport->send(std::move(sends));
        run_until(io, [&] { return b.bytes.size() == 100; });
        CHECK(b.bytes.front().second == "hello 0");
        CHECK(b.bytes.front().first.remote == a.at());
        CHECK(b.bytes.front().first.local == b.at());
        CHECK(b.batches >= 1);
        CHECK(a.failed.empty());
    }
}

TEST_CASE("a datagram that cannot go is reported, after send has returned") {
    boost::asio::io_context io;
    Station a(io, {udp("127.0.0.1")});
    a.transport->send({{{sip::Transport::udp, "127.0.0.1", 9}, 0, std::string(70'000, 'x'), "too long"},
                       {{sip::Transport::udp, "::1", 9}, 0, "x", "no socket of that family"},
                       {{sip::Transport::udp, "nowhere.example", 9}, 0, "x", "no address"},
                       {{sip::Transport::tcp, "nowhere.example", 9}, 0, "x", "no address either"}});
    CHECK(a.failed.empty());
    run_until(io, [&] { return a.failed.size() == 4; });
}

TEST_CASE("a request opens a connection, the answer and the next request reuse it") {
    for (const char* address : {"127.0.0.1", "::1"}) {
        boost::asio::io_context io;
        Station a(io, {tcp_at(address)});
        Station b(io, {tcp_at(address)});
        b.on_message = [&b](const sip::Source& source) {
            // To where it came from; the address there is nobody's.
            b.transport->send({{{sip::Transport::tcp, "192.0.2.1", 9}, source.flow, options_request("answer"), ""}});
        };
        a.transport->send({{b.at(), 0, options_request("one"), "1"}, {b.at(), 0, options_request("two"), "2"}});
        run_until(io, [&] { return b.messages.size() == 2 && a.messages.size() == 2; });
        CHECK(*b.messages[0].second.first("Call-ID") == "one");
        CHECK(*b.messages[1].second.first("Call-ID") == "two");
        CHECK(b.messages[0].first.remote.address == address);
        CHECK(b.messages[0].first.local == b.at());
        CHECK(b.messages[0].first.flow != 0);
        CHECK(*a.messages[0].second.first("Call-ID") == "answer");
        CHECK(a.transport->connections() == 1);
        CHECK(b.transport->connections() == 1);
    }
}

TEST_CASE("a connection of which nothing more is wanted is closed, whatever else it has sent") {
    boost::asio::io_context io;
    Station a(io, {tcp_at("127.0.0.1")});
    Station b(io, {tcp_at("127.0.0.1")});
    b.takes_more = false;
    a.transport->send({{b.at(), 0, options_request("one") + options_request("two"), "1"}});
    run_until(io, [&] { return !b.messages.empty() && b.transport->connections() + a.transport->connections() == 0; });
    CHECK(b.messages.size() == 1);
}

TEST_CASE("what is sent on a connection that is gone goes on a new one") {
    boost::asio::io_context io;
    Station a(io, {tcp_at("127.0.0.1")});
    Station b(io, {tcp_at("127.0.0.1")});
    a.transport->send({{b.at(), 987'654, options_request("one"), "1"}});
    run_until(io, [&] { return b.messages.size() == 1; });
}

TEST_CASE("a refused or broken connection fails the requests on it") {
    boost::asio::io_context io;
    Station a(io, {tcp_at("127.0.0.1")});
    sip::Endpoint nobody;
    {
        Station b(io, {tcp_at("127.0.0.1")});
        nobody = b.at();
        a.transport->send({{b.at(), 0, options_request("one"), "first"}});
        run_until(io, [&] { return b.messages.size() == 1; });
    }
    run_until(io, [&] { return a.failed == std::vector<std::string>{"first"}; });
    CHECK(a.transport->connections() == 0);
    a.transport->send({{nobody, 0, options_request("two"), "second"}});
    run_until(io, [&] { return a.failed.size() == 2; });
    CHECK(a.failed.back() == "second");
}

TEST_CASE("a stream is cut into messages wherever its packets end") {
    boost::asio::io_context io;
    Station b(io, {tcp_at("127.0.0.1")});
    tcp::socket socket = client(io, b.at());
    const std::string text = options_request("one", "body") + options_request("two");
    for (std::size_t i = 0; i < text.size(); i += 7) {
        boost::asio::write(socket, boost::asio::buffer(text.substr(i, 7)));
        io.poll();
    }
    run_until(io, [&] { return b.messages.size() == 2; });
    CHECK(b.messages[0].second.body == "body");
    CHECK(*b.messages[1].second.first("Call-ID") == "two");
}

TEST_CASE("a double CRLF is answered by one") {
    boost::asio::io_context io;
    Station b(io, {tcp_at("127.0.0.1")});
    tcp::socket socket = client(io, b.at());
    boost::asio::write(socket, boost::asio::buffer("\r\n\r\n", 4));
    std::string answer(2, ' ');
    bool done = false;
    boost::asio::async_read(socket, boost::asio::buffer(answer),
                            [&](boost::system::error_code error, std::size_t) { done = !error; });
    run_until(io, [&] { return done; });
    CHECK(answer == "\r\n");
    CHECK(b.messages.empty());
}

TEST_CASE("a stream that breaks hands over what broke it, lets the answer out and is closed") {
    boost::asio::io_context io;
    Station b(io, {tcp_at("127.0.0.1")});
    b.on_message = [&b](const sip::Source& source) {
        b.transport->send({{source.remote, source.flow, "SIP/2.0 400 No\r\n\r\n", ""}});
    };
    tcp::socket socket = client(io, b.at());
    std::string broken = options_request("one");
    const auto length = broken.find("Content-Length: 0");
    REQUIRE(length != std::string::npos);
    broken.replace(length, 17, "Content-Length: x");
    boost::asio::write(socket, boost::asio::buffer(broken));
    std::string answer(18, ' ');
    bool done = false;
    boost::asio::async_read(socket, boost::asio::buffer(answer),
                            [&](boost::system::error_code error, std::size_t) { done = !error; });
    run_until(io, [&] { return done; });
    CHECK(answer.starts_with("SIP/2.0 400"));
    REQUIRE(b.bytes.size() == 1);
    CHECK(b.bytes.front().second == broken);
    CHECK(is_closed_by_peer(io, socket));
    CHECK(b.transport->connections() == 0);
}

TEST_CASE("a message that breaks a rule costs no connection, too many of them do") {
    boost::asio::io_context io;
    Station b(io, {tcp_at("127.0.0.1")});
    tcp::socket socket = client(io, b.at());
    std::string broken = options_request("one");
    broken.replace(broken.find("CSeq: 1"), 7, "CSeq: x");
    boost::asio::write(socket, boost::asio::buffer(broken + options_request("two")));
    run_until(io, [&] { return b.messages.size() == 1; });
    CHECK(b.bytes.at(0).second == broken);
    CHECK(b.transport->connections() == 1);
    std::string many;
    for (std::size_t i = 0; i < kBrokenMax; ++i) many += broken;
    boost::asio::write(socket, boost::asio::buffer(many));
    CHECK(is_closed_by_peer(io, socket));
    CHECK(b.bytes.size() == kBrokenMax + 1);
}

TEST_CASE("a stranger's connection goes when it is idle for a minute, pinging or not, and stays once it is nobody's") {
    boost::asio::io_context io;
    SipTransportLimits limits;
    limits.stranger_idle_max = std::chrono::milliseconds{300};
    limits.strangers_connections_max = 1;
    Station b(io, {tcp_at("127.0.0.1")}, limits);
    b.takes_for_strangers = true;
    tcp::socket pings = client(io, b.at());
    boost::asio::write(pings, boost::asio::buffer(options_request("one")));
    run_until(io, [&] { return b.messages.size() == 1; });
    const auto began = std::chrono::steady_clock::now();
    std::function<void()> ping = [&] {
        boost::system::error_code ignored;
        boost::asio::write(pings, boost::asio::buffer("\r\n\r\n", 4), ignored);
    };
    boost::asio::steady_timer beat(io);
    std::function<void()> again = [&] {
        ping();
        beat.expires_after(std::chrono::milliseconds{50});
        beat.async_wait([&](boost::system::error_code error) {
            if (!error) again();
        });
    };
    again();
    run_until(io, [&] { return b.transport->connections() == 0; });
    CHECK(std::chrono::steady_clock::now() - began >= std::chrono::milliseconds{250});
    beat.cancel();

    tcp::socket phone = client(io, b.at());
    b.on_message = [&](const sip::Source&) { b.takes_for_strangers = false; };  // it has registered
    boost::asio::write(phone, boost::asio::buffer(options_request("two")));
    run_until(io, [&] { return b.messages.size() == 2; });
    b.takes_for_strangers = true;
    b.on_message = [](const sip::Source&) {};
    tcp::socket another = client(io, b.at());  // there is room for one more stranger
    boost::asio::write(another, boost::asio::buffer(options_request("three")));
    run_until(io, [&] { return b.messages.size() == 3; });
    run_until(io, [&] { return b.transport->connections() == 1; });  // the stranger's has gone, the phone's has not
}

TEST_CASE("a stranger's connection stays idle as long as it has a call") {
    boost::asio::io_context io;
    SipTransportLimits limits;
    limits.stranger_idle_max = std::chrono::milliseconds{50};
    Station b(io, {tcp_at("127.0.0.1")}, limits);
    b.takes_for_strangers = b.may_idle = true;
    tcp::socket caller = client(io, b.at());
    boost::asio::write(caller, boost::asio::buffer(options_request("one")));
    run_until(io, [&] { return b.asked_whether_idle >= 3; });
    CHECK(b.transport->connections() == 1);
    b.may_idle = false;  // the call is over
    run_until(io, [&] { return b.transport->connections() == 0; });
}

TEST_CASE("more connections than allowed, in all or from one peer, are closed or fail") {
    for (const bool in_all : {true, false}) {
        boost::asio::io_context io;
        SipTransportLimits limits;
        (in_all ? limits.connections_max : limits.connections_per_peer_max) = 2;
        Station b(io, {tcp_at("127.0.0.1")}, limits);
        std::vector<tcp::socket> sockets;
        for (int i = 0; i < 2; ++i) sockets.push_back(client(io, b.at()));
        run_until(io, [&] { return b.transport->connections() == 2; });
        tcp::socket third = client(io, b.at());
        CHECK(is_closed_by_peer(io, third));
        CHECK(b.transport->connections() == 2);
        Station a(io, {tcp_at("127.0.0.1")});
        b.transport->send({{a.at(), 0, options_request("out"), "no room"}});
        run_until(io, [&] { return b.failed == std::vector<std::string>{"no room"}; });
        // One goes, one may come.
        sockets.pop_back();
        run_until(io, [&] { return b.transport->connections() == 1; });
        tcp::socket fourth = client(io, b.at());
        run_until(io, [&] { return b.transport->connections() == 2; });
    }
}

TEST_CASE("a message that never ends closes its connection") {
    boost::asio::io_context io;
    SipTransportLimits limits;
    limits.unread_bytes_max = 1'000;
    Station b(io, {tcp_at("127.0.0.1")}, limits);
    tcp::socket socket = client(io, b.at());
    boost::asio::write(socket, boost::asio::buffer("OPTIONS sip:x@y SIP/2.0\r\nSubject: " + std::string(1'000, 'x')));
    CHECK(is_closed_by_peer(io, socket));
    CHECK(b.messages.empty());
}

TEST_CASE("a peer that does not read is closed when too much waits for it") {
    boost::asio::io_context io;
    SipTransportLimits limits;
    limits.unsent_bytes_max = 100'000;
    Station a(io, {tcp_at("127.0.0.1")}, limits);
    tcp::acceptor deaf(io, {boost::asio::ip::make_address("127.0.0.1"), 0});
    const sip::Endpoint to{sip::Transport::tcp, "127.0.0.1", deaf.local_endpoint().port()};
    const std::string large = options_request("x", std::string(40'000, 'y'));
    for (int i = 0; i < 10'000 && a.failed.empty(); ++i) {
        a.transport->send({{to, 0, large, "b"}});
        io.poll();
    }
    REQUIRE_FALSE(a.failed.empty());
    CHECK(a.failed.size() <= 256);
}

TEST_CASE("an idle connection is closed, one that is used is not") {
    boost::asio::io_context io;
    SipTransportLimits limits;
    limits.idle_max = std::chrono::milliseconds{50};
    Station b(io, {tcp_at("127.0.0.1")}, limits);
    tcp::socket socket = client(io, b.at());
    const auto begin = std::chrono::steady_clock::now();
    CHECK(is_closed_by_peer(io, socket));
    CHECK(std::chrono::steady_clock::now() - begin >= std::chrono::milliseconds{45});
    CHECK(b.transport->connections() == 0);
}

TEST_CASE("a connection that brings no message in time, or no end of one, is closed") {
    using namespace std::chrono_literals;
    boost::asio::io_context io;
    SipTransportLimits limits;
    limits.unfinished_max = 100ms;
    Station b(io, {tcp_at("127.0.0.1")}, limits);
    tcp::socket silent = client(io, b.at());
    tcp::socket pings = client(io, b.at());
    boost::asio::write(pings, boost::asio::buffer(std::string("\r\n\r\n")));
    tcp::socket speaks = client(io, b.at());
    boost::asio::write(speaks, boost::asio::buffer(options_request("one")));
    CHECK(is_closed_by_peer(io, silent));
    // Whoever has said something may be silent, and answer pings with one line's end, for as long as is idle.
    boost::asio::write(speaks, boost::asio::buffer(std::string("\r\n")));
    run_until(io, [&] { return b.transport->connections() == 1; });
    const auto until = std::chrono::steady_clock::now() + 300ms;
    while (std::chrono::steady_clock::now() < until) io.run_one_until(until);
    CHECK(b.transport->connections() == 1);
    const auto begin = std::chrono::steady_clock::now();
    boost::asio::write(speaks, boost::asio::buffer(options_request("two").substr(0, 60)));
    CHECK(is_closed_by_peer(io, speaks));
    CHECK(std::chrono::steady_clock::now() - begin < 5s);
    CHECK(b.messages.size() == 1);
}

TEST_CASE("strangers have fewer connections than peers, each and all together") {
    for (const bool in_all : {true, false}) {
        boost::asio::io_context io;
        SipTransportLimits limits;
        (in_all ? limits.strangers_connections_max : limits.stranger_connections_max) = 2;
        Station b(io, {tcp_at("127.0.0.1")}, limits);
        b.takes_for_strangers = true;
        std::vector<tcp::socket> sockets;
        for (int i = 0; i < 2; ++i) sockets.push_back(client(io, b.at()));
        run_until(io, [&] { return b.transport->connections() == 2; });
        tcp::socket third = client(io, b.at());
        CHECK(is_closed_by_peer(io, third));
        b.takes_for_strangers = false;
        tcp::socket peer = client(io, b.at());
        run_until(io, [&] { return b.transport->connections() == 3; });
    }
}

TEST_CASE("nothing is heard after close, and the ports are free") {
    boost::asio::io_context io;
    Station a(io, {udp("127.0.0.1"), tcp_at("127.0.0.1")});
    Station b(io, {udp("127.0.0.1"), tcp_at("127.0.0.1")});
    a.transport->send({{b.at(0), 0, "x", ""}, {b.at(1), 0, options_request("one"), "1"}});
    const auto were = b.transport->bound();
    b.transport->close();
    a.transport->close();
    io.run();  // ends: nothing is pending any more
    CHECK(b.bytes.empty());
    CHECK(b.messages.empty());
    CHECK(a.failed.empty());
    io.restart();
    CHECK(SipTransport::start(io, were, {}, {}).has_value());
}
