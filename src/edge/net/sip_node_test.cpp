// SPDX-License-Identifier: Apache-2.0
#include "edge/net/sip_node.h"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <map>

#include "edge/net/clock.h"

using namespace sheaf;
using namespace sheaf::net;

namespace {

constexpr auto kPatience = std::chrono::seconds{10};

template <typename Condition>
void run_until(boost::asio::io_context& io, Condition condition) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!condition() && std::chrono::steady_clock::now() < end) io.run_one_until(end);
    REQUIRE(condition());
}

struct Station {
    std::unique_ptr<SipNode> node;
    std::vector<sip::Event> events;
    std::function<void(Instant, const sip::Event&)> act = [](Instant, const sip::Event&) {};

    Station(boost::asio::io_context& io, const std::string& address, bool with_tcp) {
        sip::UserAgentOptions options;
        options.listen = {{sip::Transport::udp, address, 0}};
        if (with_tcp) options.listen.push_back({sip::Transport::tcp, address, 0});
        options.allow = {"INVITE", "ACK", "CANCEL", "BYE", "OPTIONS"};
        options.t1 = options.t4 = std::chrono::milliseconds{20};
        auto started = SipNode::start(io, options, [this](Instant at, const sip::Event& event) {
            events.push_back(event);
            act(at, event);
        });
        REQUIRE_MESSAGE(started.has_value(), (started ? "" : to_string(started.error())));
        node = std::move(*started);
    }
    template <typename E>
    const E* find() const {
        for (const sip::Event& event : events) {
            if (const E* wanted = std::get_if<E>(&event)) return wanted;
        }
        return nullptr;
    }
    sip::DialogId call(const sip::Endpoint& to, const std::string& body) const {
        sip::Invitation invitation;
        invitation.target.user = "bob";
        invitation.target.host = to.address;
        invitation.target.port = to.port;
        invitation.from.uri = invitation.to.uri = invitation.target;
        invitation.body = body;
        const sip::DialogId dialog = node->agent().invite(now().mono, invitation);
        node->pump();
        return dialog;
    }
    void answer_calls() {
        act = [this](Instant at, const sip::Event& event) {
            if (const auto* invited = std::get_if<sip::Invited>(&event)) {
                node->agent().answer(at, invited->dialog, "v=0\r\n");
                node->pump();  // allowed, and not needed
            }
        };
    }
};

}  // namespace

TEST_CASE("two nodes call each other over UDP and TCP, IPv4 and IPv6") {
    struct Case {
        const char* address;
        bool with_tcp;
        std::size_t body;
        sip::Transport used;
    };
    for (const Case& c :
         {Case{"127.0.0.1", true, 100, sip::Transport::udp}, Case{"::1", false, 100, sip::Transport::udp},
          Case{"127.0.0.1", true, 3'000, sip::Transport::tcp}, Case{"::1", true, 3'000, sip::Transport::tcp}}) {
        CAPTURE(c.address);
        CAPTURE(c.body);
        boost::asio::io_context io;
        Station alice(io, c.address, c.with_tcp);
        Station bob(io, c.address, c.with_tcp);
        bob.answer_calls();
        const sip::DialogId call = alice.call(bob.node->bound().front(), std::string(c.body, 'x'));
        run_until(io, [&] { return alice.find<sip::Answered>() && bob.find<sip::Acknowledged>(); });
        CHECK(bob.find<sip::Invited>()->source.remote.transport == c.used);
        CHECK(bob.find<sip::Invited>()->source.remote.address == c.address);
        alice.node->agent().bye(now().mono, call);
        alice.node->pump();
        run_until(io, [&] { return bob.find<sip::Ended>() != nullptr; });
        // Timers are real: everything is forgotten after 64 T1.
        if (c.body > 100 || !c.with_tcp) continue;
        run_until(io, [&] { return alice.node->agent().counts().timers + bob.node->agent().counts().timers == 0; });
    }
}

TEST_CASE("a large request goes back to UDP where nobody listens on TCP") {
    boost::asio::io_context io;
    Station alice(io, "127.0.0.1", true);
    Station bob(io, "127.0.0.1", false);
    bob.answer_calls();
    alice.call(bob.node->bound().front(), std::string(3'000, 'x'));
    run_until(io, [&] { return alice.find<sip::Answered>() != nullptr; });
    CHECK(bob.find<sip::Invited>()->source.remote.transport == sip::Transport::udp);
}

TEST_CASE("a call to nobody fails: at once over TCP, when the time is up over UDP") {
    boost::asio::io_context io;
    Station alice(io, "127.0.0.1", true);
    // A port that is held but never answers.
    const boost::asio::ip::udp::socket mute(io, {boost::asio::ip::make_address("127.0.0.1"), 0});
    const std::uint16_t port = mute.local_endpoint().port();
    alice.call({sip::Transport::udp, "127.0.0.1", port}, "");
    run_until(io, [&] { return alice.find<sip::Failed>() != nullptr; });
    CHECK(alice.find<sip::Failed>()->status == 408);
    alice.events.clear();
    sip::Invitation invitation;
    invitation.target.host = "127.0.0.1";
    invitation.target.port = port;
    invitation.target.params.set("transport", "tcp");
    invitation.from.uri = invitation.to.uri = invitation.target;
    alice.node->agent().invite(now().mono, invitation);
    alice.node->pump();
    run_until(io, [&] { return alice.find<sip::Failed>() != nullptr; });
    CHECK(alice.find<sip::Failed>()->status == 503);
}

TEST_CASE("who sends more than its share is answered 503, and heard no more, while others are heard") {
    boost::asio::io_context io;
    Station bob(io, "127.0.0.1", true);
    bob.act = [&bob](Instant at, const sip::Event& event) {
        if (const auto* asked = std::get_if<sip::Requested>(&event)) bob.node->agent().respond(at, asked->id, 200);
    };
    std::size_t passed = 0;
    sip::Shares shares;
    shares.stranger = 0.5;  // five at once
    bob.node->admit_by_share(shares, [&](const std::string& address) {
        ++passed;
        return sip::Sender{address == "127.0.0.1" ? sip::Sender::Kind::stranger : sip::Sender::Kind::peer, 0};
    });
    const auto ask = [&](Station& from, std::uint16_t port, sip::Transport transport) {
        sip::OutsideRequest request;
        request.method = "OPTIONS";
        request.target.host = "127.0.0.1";
        request.target.port = port;
        request.next_hop = sip::Endpoint{transport, "127.0.0.1", port};
        request.from.uri = request.to.uri = request.target;
        from.node->agent().request_outside(now().mono, request);
        from.node->pump();
    };
    const auto statuses = [](const Station& of) {
        std::map<int, int> out;
        for (const auto& event : of.events) {
            if (const auto* answered = std::get_if<sip::Responded>(&event)) ++out[answered->status];
        }
        return out;
    };
    Station flooder(io, "127.0.0.1", true);
    for (int i = 0; i < 15; ++i) ask(flooder, bob.node->bound()[0].port, sip::Transport::udp);
    for (int i = 0; i < 15; ++i) ask(flooder, bob.node->bound()[1].port, sip::Transport::tcp);
    run_until(io, [&] { return flooder.events.size() == 30; });
    CHECK(statuses(flooder) == std::map<int, int>{{200, 5}, {503, 25}});
    CHECK(passed >= 30);
    Station other(io, "127.0.0.2", true);
    for (int i = 0; i < 15; ++i) ask(other, bob.node->bound()[0].port, sip::Transport::udp);
    run_until(io, [&] { return other.events.size() == 15; });
    CHECK(statuses(other) == std::map<int, int>{{200, 15}});
    const auto turned = bob.node->take_turned();
    CHECK(turned.refused >= 25);
    CHECK(turned.address == "127.0.0.1");
}

TEST_CASE("over TCP a message weighs with its headers, and who is beyond all answers loses the connection") {
    for (const bool is_answered : {true, false}) {
        CAPTURE(is_answered);
        boost::asio::io_context io;
        Station bob(io, "127.0.0.1", true);
        sip::Shares shares;
        shares.stranger = 0.5;  // five at once
        if (!is_answered) shares.refusals = 0;
        bob.node->admit_by_share(shares,
                                 [](const std::string&) { return sip::Sender{sip::Sender::Kind::stranger, 0}; });
        Station stranger(io, "127.0.0.1", true);
        const auto ask = [&](std::size_t bytes) {
            sip::OutsideRequest request;
            request.method = "OPTIONS";
            request.target.host = "127.0.0.1";
            request.target.port = bob.node->bound()[1].port;
            request.next_hop = sip::Endpoint{sip::Transport::tcp, "127.0.0.1", request.target.port};
            request.from.uri = request.to.uri = request.target;
            request.headers = {{"X-Long", std::string(bytes, 'x')}};
            const auto before = stranger.events.size();
            stranger.node->agent().request_outside(now().mono, request);
            stranger.node->pump();
            run_until(io, [&] { return stranger.events.size() > before; });
            return *stranger.find<sip::Responded>();
        };
        const auto heard = ask(6 * sip::kShareBytes);
        CHECK(heard.status == 503);
        CHECK(heard.response.has_value() == is_answered);  // else its connection has gone, long before it would give up
        const auto turned = bob.node->take_turned();
        CHECK(turned.refused == (is_answered ? 1 : 0));
        CHECK(turned.dropped == (is_answered ? 0 : 2));  // it has tried once more, over a new one
    }
}

TEST_CASE("a node may be closed from within its own handler") {
    boost::asio::io_context io;
    Station alice(io, "127.0.0.1", true);
    Station bob(io, "127.0.0.1", true);
    bob.act = [&bob](Instant, const sip::Event&) { bob.node.reset(); };
    alice.call(bob.node->bound().front(), "x");
    run_until(io, [&] { return alice.find<sip::Failed>() != nullptr; });
    CHECK(alice.find<sip::Failed>()->status == 408);
    CHECK(bob.events.size() == 1);
}

TEST_CASE("a node says why it cannot start") {
    boost::asio::io_context io;
    Station alice(io, "127.0.0.1", false);
    sip::UserAgentOptions options;
    options.listen = alice.node->bound();
    const auto second = SipNode::start(io, options, [](Instant, const sip::Event&) {});
    REQUIRE_FALSE(second.has_value());
    CHECK(second.error().code == Errc::conflict);
    CHECK(second.error().what.find("127.0.0.1") != std::string::npos);
}
