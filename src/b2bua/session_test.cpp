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

TEST_CASE("a phone or trunk that vanishes without BYE ends its leg when no more media comes from it") {
    World w;
    const auto leg = w.answered_call();
    w.order(exchange::StartRecording{leg, SegmentId{"s1"}, CallUuid{"u1"}, ConnectionId{"c1"}, {}});
    const std::string silent =
        "<event name=\"sheaf.leg.silent\" id=\"conn:x\"><name>ms</name><value>60000</value></event>";
    SUBCASE("while it talks") {
        w.media.tell(w.wire.now, w.media.dialogs.back(), silent);
        w.wire.settle();
        REQUIRE(w.count<exchange::LegEnded>() == 1);
        CHECK(w.last<exchange::LegEnded>()->cause == exchange::Cause::media_timeout);
        REQUIRE(w.carrier.last<sip::Ended>() != nullptr);
        CHECK(*w.carrier.last<sip::Ended>()->request->first("Reason") == "Q.850;cause=102;text=\"RTP timeout\"");
        CHECK(w.media.commands.back().find("action=\"stop\" segment=\"s1\" cause=\"media-timeout\"") !=
              std::string::npos);
        CHECK(w.logged("ended a leg whose peer sends no media"));
    }
    SUBCASE("but not while it holds us, when it need not send any") {
        w.carrier.ua->reinvite(w.wire.now, w.customer, sdp_of("127.0.0.9", 30'000, sip::Direction::sendonly));
        w.wire.settle();
        w.media.tell(w.wire.now, w.media.dialogs.back(), silent);
        w.wire.settle();
        CHECK(w.count<exchange::LegEnded>() == 0);
        w.end(leg);
    }
    w.must_be_clean();
}

TEST_CASE("why a BYE or CANCEL is sent goes with it") {
    World w;
    SUBCASE("a call that is over") {
        w.end(w.answered_call());
        CHECK(*w.carrier.last<sip::Ended>()->request->first("Reason") ==
              "Q.850;cause=16;text=\"Normal call clearing\"");
    }
    SUBCASE("nobody answers") {
        w.order(w.to_phone());
        w.order(exchange::EndLeg{LegId{"leg-a"}, 0, exchange::Cause::no_answer});
        REQUIRE(w.phone.last<sip::Ended>() != nullptr);
        CHECK(w.phone.last<sip::Ended>()->cause == sip::EndCause::cancelled);
        CHECK(*w.phone.last<sip::Ended>()->request->first("Reason") == "Q.850;cause=19;text=\"No answer from user\"");
    }
    w.must_be_clean();
}
