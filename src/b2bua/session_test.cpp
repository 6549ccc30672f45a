// SPDX-License-Identifier: Apache-2.0
#include "b2bua/test_world.h"

// Session timers (RFC 4028) and UPDATE (RFC 3311), as the switch uses them.
using namespace sheaf;
using namespace sheaf::b2bua;
using namespace sheaf::b2bua::test;

namespace {

sip::ClientRequest update(World& w, Node& by, sip::DialogId dialog, const std::string& sdp) {
    const auto request = by.ua->request(w.wire.now, dialog, "UPDATE", {}, sdp.empty() ? "" : "application/sdp", sdp);
    w.wire.settle();
    return request;
}

}  // namespace

TEST_CASE("a session is refreshed with the description as it stands, and with whom it talks to") {
    World w;
    const auto leg = w.answered_call();
    const auto ours = w.carrier.last<sip::Answered>()->response.body;
    const auto asked = w.media.offers.size();
    w.wire.run(901s);
    REQUIRE(w.carrier.count<sip::Reinvited>() == 1);
    CHECK(w.carrier.last<sip::Reinvited>()->request.body == ours);
    CHECK(w.carrier.last<sip::Reinvited>()->request.first("P-Asserted-Identity") == nullptr);
    w.carrier.ua->answer(w.wire.now, w.customer, sdp_of("127.0.0.9", 30'000));
    w.wire.settle();
    CHECK(w.media.offers.size() == asked);
    w.order(exchange::ShowIdentity{leg, "2001", "Zoe"});
    w.carrier.ua->answer(w.wire.now, w.customer, sdp_of("127.0.0.9", 30'000));
    w.wire.run(901s);
    REQUIRE(w.carrier.count<sip::Reinvited>() == 3);
    CHECK(*w.carrier.last<sip::Reinvited>()->request.first("P-Asserted-Identity") == "\"Zoe\" <sip:2001@127.0.0.1>");
    w.carrier.ua->answer(w.wire.now, w.customer, sdp_of("127.0.0.9", 30'000));
    w.wire.settle();
    CHECK(w.count<exchange::LegEnded>() == 0);
    w.end(leg);
    w.must_be_clean();
}

TEST_CASE("a phone or trunk that vanishes without BYE ends its leg when the session's refresh finds nobody") {
    World w;
    SUBCASE("the trunk") {
        w.answered_call();
        w.carrier.dead = true;
    }
    SUBCASE("the phone") {
        w.placed_leg();
        w.phone.dead = true;
    }
    w.wire.run(15min - 1s);
    CHECK(w.count<exchange::LegEnded>() == 0);
    w.wire.run(1min);
    REQUIRE(w.count<exchange::LegEnded>() == 1);
    CHECK(w.last<exchange::LegEnded>()->cause == exchange::Cause::timed_out);
    w.must_be_clean();
}

TEST_CASE("an UPDATE holds and retrieves as a re-INVITE does, and one without a description changes nothing") {
    World w;
    const auto leg = w.answered_call();
    update(w, w.carrier, w.customer, sdp_of("127.0.0.9", 30'000, sip::Direction::sendonly));
    CHECK(w.count<exchange::LegHeld>() == 1);
    REQUIRE(w.carrier.last<sip::Responded>() != nullptr);
    CHECK(w.carrier.last<sip::Responded>()->status == 200);
    CHECK(w.carrier.last<sip::Responded>()->response->body.find("a=recvonly") != std::string::npos);
    update(w, w.carrier, w.customer, {});
    CHECK(w.carrier.last<sip::Responded>()->status == 200);
    CHECK(w.count<exchange::LegRetrieved>() == 0);
    update(w, w.carrier, w.customer, sdp_of("127.0.0.9", 30'000));
    CHECK(w.count<exchange::LegRetrieved>() == 1);
    update(w, w.carrier, w.customer, "no description");
    CHECK(w.carrier.last<sip::Responded>()->status == 488);
    w.end(leg);
    w.must_be_clean();
}

TEST_CASE("an UPDATE that the media server refuses leaves the session as it was") {
    World w;
    const auto leg = w.answered_call();
    w.media.refuse_reinvite = 488;
    update(w, w.carrier, w.customer, sdp_of("127.0.0.9", 30'000, sip::Direction::sendonly));
    CHECK(w.carrier.last<sip::Responded>()->status == 488);
    CHECK(w.count<exchange::LegHeld>() == 0);
    w.end(leg);
    w.must_be_clean();
}
