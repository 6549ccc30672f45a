// SPDX-License-Identifier: Apache-2.0
#include "apps/switch/pause_teller.h"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <chrono>

#include "apps/switch/site_messages.h"
#include "edge/http/server.h"
#include "edge/net/clock.h"

using namespace sheaf;
using namespace sheaf::apps;
using namespace std::chrono_literals;

namespace {

// A peer site's HTTP, and what it was told.
struct Peer {
    boost::asio::io_context io;
    std::unique_ptr<http::Server> server;
    std::vector<http::Request> heard;
    std::vector<http::Reply> waiting;
    int status = 204;
    bool holds = false;
    SiteGuard guard;
    PauseTeller teller;

    explicit Peer(std::chrono::milliseconds tries_for = std::chrono::milliseconds{kPauseTriesForMs})
        : teller(io, "london", tries_for) {
        http::ServerOptions options;
        options.address = "127.0.0.1";
        auto started = http::Server::listen(io, options, [this](const http::Request& request, http::Reply reply) {
            heard.push_back(request);
            if (holds) return waiting.push_back(std::move(reply));
            reply(http::Response{status, {}, {}, {}});
        });
        REQUIRE(started);
        server = std::move(*started);
        config::SiteSettings paris;
        paris.name = "paris";
        paris.http = "http://127.0.0.1:" + std::to_string(server->port());
        paris.secret = "the pair's";
        teller.set_peers({paris});
    }
    ~Peer() {
        teller.stop();
        server->close();
    }
    template <typename Ready>
    void run_until(Ready ready) {
        const auto end = std::chrono::steady_clock::now() + 10s;
        while (!ready() && std::chrono::steady_clock::now() < end) io.run_one_for(50ms);
        REQUIRE(ready());
    }
    void run_for(std::chrono::milliseconds span) {
        const auto end = std::chrono::steady_clock::now() + span;
        while (std::chrono::steady_clock::now() < end) io.run_one_for(10ms);
    }
    [[nodiscard]] exchange::PauseTold told(std::size_t i) const {
        auto out = pause_from_body(heard[i].body, "london");
        REQUIRE(out);
        return *out;
    }
};

exchange::TellPause a_pause(bool on = true, const std::string& id = "p1") {
    return {"paris", LinkId("l1"), on, {"agent 1001", id, 0, 10}};
}

}  // namespace

TEST_CASE("a pause is told again and again, each time from longer ago, until it is confirmed") {
    Peer peer;
    peer.teller.tell(a_pause());
    peer.run_until([&] { return peer.heard.size() == 2; });
    CHECK(peer.heard[0].path == kSitePausePath);
    const SiteSignature given{peer.heard[0].header("sheaf-site"), peer.heard[0].header("sheaf-date"),
                              peer.heard[0].header("sheaf-nonce"), peer.heard[0].header("sheaf-signature")};
    CHECK(given.site == "london");
    CHECK(peer.guard.check(given, "POST", kSitePausePath, "the pair's", peer.heard[0].body, net::now().wall));
    CHECK(peer.told(0).on);
    CHECK(peer.told(1).pause.ago_ms >= peer.told(0).pause.ago_ms + kPauseFirstRetryMs);
    peer.teller.confirmed({"paris", LinkId("l1"), "another"});
    CHECK(peer.teller.under_way() == 1);
    peer.teller.confirmed({"paris", LinkId("l1"), "p1"});
    peer.run_for(700ms);
    CHECK(peer.heard.size() == 2);
    CHECK(peer.teller.under_way() == 0);
}

TEST_CASE("the end of a pause is told once the pause is confirmed, and until it is taken") {
    Peer peer;
    peer.teller.tell(a_pause());
    peer.teller.tell(a_pause(false));  // the peer may have stored some of it before it hears of it
    peer.run_until([&] { return peer.heard.size() == 3; });
    CHECK(peer.told(2).on);
    CHECK(peer.told(2).pause.ago_ms >= peer.told(0).pause.ago_ms + 3 * kPauseFirstRetryMs);
    peer.status = 503;
    peer.teller.confirmed({"paris", LinkId("l1"), "p1"});
    peer.run_until([&] { return peer.heard.size() == 5; });
    CHECK(!peer.told(3).on);
    CHECK(!peer.told(4).on);
    peer.status = 204;
    peer.run_until([&] { return peer.teller.under_way() == 0; });
    const auto said = peer.heard.size();
    peer.run_for(400ms);
    CHECK(peer.heard.size() == said);
}

TEST_CASE("a confirmation is sent until it is taken") {
    Peer peer;
    peer.status = 503;
    peer.teller.confirm({"paris", LinkId("l1"), "p1"});
    peer.run_until([&] { return peer.heard.size() == 2; });
    peer.status = 204;
    peer.run_until([&] { return peer.teller.under_way() == 0; });
    CHECK(peer.heard.back().path == kSitePauseConfirmedPath);
    CHECK(confirmation_from_body(peer.heard.back().body, "london")->pause == "p1");
}

TEST_CASE("a pause that is confirmed while it is told once more is told no more, and the next one has its turn") {
    Peer peer;
    peer.holds = true;
    peer.teller.tell(a_pause());
    peer.run_until([&] { return peer.heard.size() == 1; });
    peer.teller.confirmed({"paris", LinkId("l1"), "p1"});
    peer.teller.tell(a_pause(true, "p2"));
    peer.run_for(100ms);
    CHECK(peer.heard.size() == 1);  // one at a time
    peer.holds = false;
    peer.waiting.front()(http::Response{204, {}, {}, {}});
    peer.run_until([&] { return peer.heard.size() == 2; });
    CHECK(peer.told(1).pause.id == "p2");
    CHECK(peer.told(1).pause.ago_ms >= 100);  // since it was ordered, not since it had its turn
    peer.teller.confirmed({"paris", LinkId("l1"), "p2"});
    peer.run_until([&] { return peer.teller.under_way() == 0; });
}

TEST_CASE("a site that never answers is given up, message by message") {
    Peer peer(600ms);
    peer.status = 503;
    peer.teller.tell(a_pause());
    peer.teller.tell(a_pause(false));
    peer.run_until([&] { return peer.teller.under_way() == 0; });
    CHECK(peer.told(0).on);
    CHECK(!peer.told(peer.heard.size() - 1).on);
    // Tried at once, after 250 and 750 ms, and no more.
    CHECK(peer.heard.size() == 6);
    const auto said = peer.heard.size();
    peer.run_for(400ms);
    CHECK(peer.heard.size() == said);
}

TEST_CASE("of one link so many messages wait, and of all links so many are under way, no more") {
    Peer peer;
    peer.holds = true;
    for (std::size_t i = 0; i < kPausesWaiting + 10; ++i)
        peer.teller.tell(a_pause(i % 2 == 0, "p" + std::to_string(i)));
    CHECK(peer.teller.under_way() == 1);
    peer.run_until([&] { return peer.heard.size() == 1; });
    peer.teller.stop();  // or it would tell them all

    boost::asio::io_context nobody_runs;
    PauseTeller many(nobody_runs, "london");
    config::SiteSettings paris;
    paris.name = "paris";
    paris.http = "http://127.0.0.1:1";
    many.set_peers({paris});
    for (std::size_t i = 0; i < kPausesTelling + 5; ++i) many.confirm({"paris", LinkId("l" + std::to_string(i)), "p"});
    CHECK(many.under_way() == kPausesTelling);
    many.stop();
}

TEST_CASE("a site without an HTTP address cannot be told") {
    Peer peer;
    peer.teller.tell({"rome", LinkId("l1"), true, {}});
    CHECK(peer.teller.under_way() == 0);
}
