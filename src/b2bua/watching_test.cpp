// SPDX-License-Identifier: Apache-2.0
#include "b2bua/test_world.h"

// Trunks, sites and media servers are asked whether they are there.
using namespace sheaf;
using namespace sheaf::b2bua;
using namespace sheaf::b2bua::test;

namespace {

Settings asking() {
    auto settings = World::settings();
    settings.ask_every = 30s;
    settings.trunks = {{"carrier", {peer("sip:127.0.0.8:5060"), peer("sip:127.0.0.9:5060")}, std::nullopt}};
    return settings;
}

// Answers every OPTIONS so, and keeps what else it hears.
void answers_options(Node& node, int status = 200) {
    node.script = [&node, status](Instant now, const sip::Event& event) {
        const auto* request = std::get_if<sip::Requested>(&event);
        if (request == nullptr || request->request.method() != "OPTIONS") return node.heard.push_back(event);
        node.ua->respond(now, request->id, status);
    };
}

exchange::PlaceLeg to_trunk(const World& w, const std::string& leg) {
    auto order = w.to_phone(leg);
    order.room = RoomId(leg);
    order.to = {exchange::DeviceKind::trunk, "carrier"};
    order.number = "+33123";
    return order;
}

std::size_t times(const World& w, std::string_view text) {
    return static_cast<std::size_t>(
        std::ranges::count_if(w.logs, [&](const exchange::Log& log) { return log.text == text; }));
}

constexpr std::string_view kDown = "does not answer: no calls go there";
constexpr std::string_view kBack = "answers again";

}  // namespace

TEST_CASE("who could not be asked, because the switch can take no more transactions, is not gone") {
    auto options = options_of_switch();
    options.transactions_max = 0;
    World w(asking(), options);
    w.b2bua.start(w.stamp());
    w.wire.run(120s);
    CHECK(times(w, kDown) == 0);
    CHECK(w.wire.count_seen("OPTIONS ") == 0);
}

TEST_CASE(
    "who could not be called, because the switch can take no more transactions, is told as 503 and not as silent") {
    auto options = options_of_switch();
    options.transactions_max = 1;  // the media server's
    World w(asking(), options);
    w.order(w.to_phone());
    REQUIRE(w.last<exchange::LegFailed>() != nullptr);
    CHECK(w.last<exchange::LegFailed>()->status == 503);
    CHECK(times(w, "too many transactions") == 1);
    CHECK(times(w, "no answer from a called device") == 0);
    w.must_be_clean();
}

TEST_CASE("an address that does not answer gets no calls while another does, and again once it answers") {
    World w(asking());
    answers_options(w.carrier);
    answers_options(w.paris);
    w.b2bua.start(w.stamp());
    w.wire.run(44s);
    CHECK(w.logs.empty());
    w.wire.run(2s);
    REQUIRE(times(w, kDown) == 1);
    CHECK(w.logs.back().fields[0].second == "trunk carrier");
    w.order(to_trunk(w, "leg-1"));
    REQUIRE(w.carrier.count<sip::Invited>() == 1);
    w.end(LegId{"leg-1"});
    w.wire.run(60s);
    CHECK(times(w, kDown) == 1);  // said once
    Node& first = w.wire.add("first", {"udp:127.0.0.8:5060"});
    answers_options(first);
    w.wire.run(11s);
    CHECK(times(w, kBack) == 1);
    w.order(to_trunk(w, "leg-2"));
    CHECK(first.count<sip::Invited>() == 1);
    CHECK(w.carrier.count<sip::Invited>() == 1);
    w.end(LegId{"leg-2"});
}

TEST_CASE("when none of a trunk's addresses answers a call tries them all the same") {
    World w(asking());
    answers_options(w.paris);
    w.b2bua.start(w.stamp());
    w.wire.run(60s);
    CHECK(times(w, kDown) == 2);
    w.order(to_trunk(w, "leg-1"));
    CHECK(w.wire.last_seen("INVITE").find("INVITE sip:+33123@127.0.0.8") == 0);
    w.wire.run(5s);
    CHECK(w.carrier.count<sip::Invited>() == 1);
    w.end(LegId{"leg-1"});
}

TEST_CASE("any answer but 503 says that somebody is there") {
    int status = 0;
    bool is_down = false;
    SUBCASE("OPTIONS is refused") {
        status = 405;
    }
    SUBCASE("it must not be asked") {
        status = 403;
    }
    SUBCASE("it is overloaded") {
        status = 503;
        is_down = true;
    }
    CAPTURE(status);
    auto settings = asking();
    settings.trunks[0].addresses = {peer("sip:127.0.0.9:5060")};
    World w(settings);
    answers_options(w.carrier, status);
    answers_options(w.paris);
    w.b2bua.start(w.stamp());
    w.wire.run(80s);
    CHECK((times(w, kDown) == 1) == is_down);
    CHECK(w.wire.count_seen("OPTIONS sip:127.0.0.9") >= 2);
}

TEST_CASE("a call that finds nobody at an address spares the next one the wait") {
    World w(asking());
    answers_options(w.carrier);
    answers_options(w.paris);
    w.b2bua.start(w.stamp());
    w.order(to_trunk(w, "leg-1"));
    CHECK(w.carrier.count<sip::Invited>() == 0);
    w.wire.run(4s);
    CHECK(w.carrier.count<sip::Invited>() == 1);
    w.order(to_trunk(w, "leg-2"));
    CHECK(w.carrier.count<sip::Invited>() == 2);
    w.end(LegId{"leg-1"});
    w.end(LegId{"leg-2"});
}

TEST_CASE("what an address says of one call is no word about the others") {
    auto settings = asking();
    settings.trunks.front().addresses.front() = peer("sip:127.0.0.77:5060");
    for (const bool is_overloaded : {false, true}) {
        CAPTURE(is_overloaded);
        World w(settings);
        answers_options(w.carrier);
        w.stranger.script = [&](Instant now, const sip::Event& event) {
            w.stranger.heard.push_back(event);
            if (const auto* asked = std::get_if<sip::Requested>(&event)) w.stranger.ua->respond(now, asked->id, 200);
            const auto* invited = std::get_if<sip::Invited>(&event);
            if (invited == nullptr) return;
            if (is_overloaded) return w.stranger.ua->reject(now, invited->dialog, 503, {{"Retry-After", "10"}});
            w.stranger.ua->reject(now, invited->dialog, 480, {{"Reason", "Q.850;cause=41"}});
        };
        w.b2bua.start(w.stamp());
        w.order(to_trunk(w, "leg-1"));
        CHECK(w.stranger.count<sip::Invited>() == 1);
        CHECK(w.carrier.count<sip::Invited>() == 1);
        w.order(to_trunk(w, "leg-2"));
        CHECK(w.stranger.count<sip::Invited>() == (is_overloaded ? 1 : 2));
        CHECK(w.carrier.count<sip::Invited>() == 2);
        w.end(LegId{"leg-1"});
        w.end(LegId{"leg-2"});
    }
}

TEST_CASE("an address that answers calls and no OPTIONS counts as there again with each call") {
    World w(asking());
    answers_options(w.paris);
    w.b2bua.start(w.stamp());
    w.wire.run(60s);
    CHECK(times(w, kDown) == 2);
    w.order(to_trunk(w, "leg-1"));
    w.wire.run(4s);
    REQUIRE(w.carrier.count<sip::Invited>() == 1);
    CHECK(times(w, kBack) == 0);
    w.carrier.ua->provisional(w.wire.now, w.carrier.last<sip::Invited>()->dialog, 180);
    w.wire.settle();
    CHECK(times(w, kBack) == 1);
    w.order(to_trunk(w, "leg-2"));
    CHECK(w.carrier.count<sip::Invited>() == 2);
    w.end(LegId{"leg-1"});
    w.end(LegId{"leg-2"});
}

TEST_CASE("a site that does not answer is not called") {
    World w(asking());
    answers_options(w.carrier);
    w.b2bua.start(w.stamp());
    w.wire.run(60s);
    auto order = w.to_phone("leg-1");
    order.to = {exchange::DeviceKind::site, "paris"};
    w.order(order);
    REQUIRE(w.count<exchange::LegFailed>() == 1);
    CHECK(w.last<exchange::LegFailed>()->status == 503);
    answers_options(w.paris);
    w.wire.run(11s);
    order.leg = LegId{"leg-2"};
    w.order(order);
    CHECK(w.paris.count<sip::Invited>() == 1);
    w.end(LegId{"leg-2"});
}

TEST_CASE("a media server that does not answer gets no legs, and again once it answers") {
    World w(asking());
    answers_options(w.carrier);
    answers_options(w.paris);
    w.b2bua.start(w.stamp());
    w.media.node.dead = true;
    w.wire.run(60s);
    w.call(w.carrier, "8000");
    w.order(exchange::AnswerLeg{w.last<exchange::LegOffered>()->leg, RoomId("u1"), CallUuid("u1")});
    REQUIRE(w.carrier.count<sip::Failed>() == 1);  // at once
    CHECK(w.carrier.last<sip::Failed>()->status == 503);
    SUBCASE("it answers") {
        w.media.node.dead = false;
        w.wire.run(11s);
    }
    SUBCASE("nobody asks any more, so that nobody could say so") {
        auto settings = asking();
        settings.ask_every = 0s;
        w.b2bua.reload(w.stamp(), settings);
        w.media.node.dead = false;
    }
    w.end(w.answered_call());
}

TEST_CASE("who is asked changes with the settings, and nobody is asked where that is off") {
    World w(asking());
    answers_options(w.carrier);
    answers_options(w.paris);
    w.b2bua.start(w.stamp());
    auto settings = asking();
    settings.trunks.clear();
    w.b2bua.reload(w.stamp(), settings);
    w.wire.run(120s);
    CHECK(w.wire.count_seen("OPTIONS sip:127.0.0.9") == 0);
    CHECK(w.wire.count_seen("OPTIONS sip:127.0.0.2") >= 3);
    settings.ask_every = 0s;
    w.b2bua.reload(w.stamp(), settings);
    const auto before = w.wire.count_seen("OPTIONS sip:");
    w.wire.run(120s);
    CHECK(w.wire.count_seen("OPTIONS sip:") == before);
    CHECK(w.b2bua.next_deadline() == std::nullopt);
}

TEST_CASE("a switch that starts tells media servers to let go of what its former run has left") {
    auto settings = World::settings();
    settings.node = "london-1";
    World w(settings);
    w.b2bua.start(w.stamp());
    w.wire.settle();
    REQUIRE(w.media.messages.size() == 1);
    const std::string& said = w.media.messages[0];
    const std::string release = "<release xmlns=\"urn:sheaf:msml:1\" switch=\"london/london-1\" boot=\"";
    const auto at = said.find(release);
    REQUIRE(at != std::string::npos);
    const auto boot = said.substr(at + release.size(), said.find('"', at + release.size()) - at - release.size());
    CHECK(boot.size() >= 16);
    w.end(w.answered_call());
    CHECK(w.wire.count_seen("X-Sheaf-Switch: london/london-1;boot=" + boot + "\r\n") == 1);
    w.must_be_clean();
}
