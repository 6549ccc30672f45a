// SPDX-License-Identifier: Apache-2.0
#include "b2bua/test_world.h"

using namespace sheaf;
using namespace sheaf::b2bua;
using namespace sheaf::b2bua::test;

namespace {

using Kind = sip::Sender::Kind;

// The address that a node sends from.
std::string address_of(const Node& node) {
    return node.listen.front().address;
}

int calls_taken(World& w, Node& from, int count) {
    const auto before = w.count<exchange::LegOffered>();
    for (int i = 0; i < count; ++i) w.call(from, "1800");
    return static_cast<int>(w.count<exchange::LegOffered>() - before);
}

void end_all(World& w) {
    std::vector<LegId> legs;
    for (const auto& event : w.events) {
        if (const auto* offered = std::get_if<exchange::LegOffered>(&event)) legs.push_back(offered->leg);
    }
    for (const auto& leg : legs) w.end(leg);
}

}  // namespace

TEST_CASE("trunks, sites and media servers are peers, everyone else a stranger, whatever calls it makes") {
    World w;
    CHECK(w.b2bua.sender_at(address_of(w.carrier)).kind == Kind::peer);
    CHECK(w.b2bua.sender_at(address_of(w.paris)).kind == Kind::peer);
    CHECK(w.b2bua.sender_at(address_of(w.media.node)).kind == Kind::peer);
    const auto there = address_of(w.stranger);
    CHECK(w.b2bua.sender_at(there).kind == Kind::stranger);
    w.call(w.stranger, "1800");
    CHECK(w.count<exchange::LegOffered>() == 1);
    CHECK(w.b2bua.sender_at(there).kind == Kind::stranger);
    end_all(w);
    w.must_be_clean();
}

TEST_CASE("an agent that calls is no stranger, nor is one that has registered") {
    World w;
    auto& roaming = w.wire.add("roaming", {"udp:127.0.0.88:5060"});
    auto invitation = World::invitation_to(roaming, "8000", "1001");
    invitation.account = sip::Account{"1001", "ada"};
    invitation.content_type = "application/sdp";
    invitation.body = sdp_of("127.0.0.88", 30'000);
    roaming.ua->invite(w.wire.now, invitation);
    w.wire.settle();
    REQUIRE(w.last<exchange::LegOffered>() != nullptr);
    CHECK(w.b2bua.sender_at("127.0.0.88").kind == Kind::caller);
    CHECK(w.b2bua.sender_at("127.0.0.88").uses == 1);
    end_all(w);
    CHECK(w.b2bua.sender_at("127.0.0.88").kind == Kind::stranger);
    w.must_be_clean();
}

TEST_CASE("peers are who the latest settings name") {
    World w;
    auto settings = World::settings();
    settings.trunks.clear();
    w.b2bua.reload(w.stamp(), settings);
    CHECK(w.b2bua.sender_at(address_of(w.carrier)).kind == Kind::stranger);
    CHECK(w.b2bua.sender_at(address_of(w.paris)).kind == Kind::peer);
}

TEST_CASE("a stranger has so many calls, all strangers together so many, and peers have theirs beside them") {
    for (const bool alone : {true, false}) {
        CAPTURE(alone);
        auto settings = World::settings();
        (alone ? settings.stranger_calls_max : settings.strangers_calls_max) = 3;
        World w(settings);
        CHECK(calls_taken(w, w.stranger, 5) == 3);
        const auto* failed = w.stranger.last<sip::Failed>();
        REQUIRE(failed != nullptr);
        CHECK(failed->status == 503);
        CHECK(failed->response->first("Retry-After") != nullptr);
        CHECK(w.logged(alone ? "too many calls of a stranger" : "too many calls of strangers"));
        CHECK(calls_taken(w, w.carrier, 5) == 5);
        CHECK(calls_taken(w, w.paris, 2) == 2);
        end_all(w);
        CHECK(calls_taken(w, w.stranger, 1) == 1);
        end_all(w);
        w.must_be_clean();
    }
}

TEST_CASE("a trunk has so many calls, both ways; the switch so many of all") {
    auto settings = World::settings();
    settings.trunks.front().calls_max = 3;
    World w(settings);
    CHECK(calls_taken(w, w.carrier, 2) == 2);
    exchange::PlaceLeg order;
    order.leg = LegId("leg-out");
    order.room = RoomId("u1");
    order.to = {exchange::DeviceKind::trunk, settings.trunks.front().name};
    order.number = "+4420";
    w.order(order);
    CHECK(w.count<exchange::LegFailed>() == 0);
    CHECK(calls_taken(w, w.carrier, 1) == 0);
    CHECK(w.carrier.last<sip::Failed>()->status == 503);
    order.leg = LegId("leg-more");
    w.order(order);
    REQUIRE(w.last<exchange::LegFailed>() != nullptr);
    CHECK(w.last<exchange::LegFailed>()->leg == LegId("leg-more"));
    CHECK(w.last<exchange::LegFailed>()->status == 503);
    CHECK(w.logged("too many calls of a trunk"));
    w.end(LegId("leg-out"));
    CHECK(calls_taken(w, w.carrier, 1) == 1);
    end_all(w);
    w.must_be_clean();

    auto small = World::settings();
    small.legs_max = 2;
    World full(small);
    CHECK(calls_taken(full, full.carrier, 3) == 2);
    CHECK(full.carrier.last<sip::Failed>()->status == 503);
}
