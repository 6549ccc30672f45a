// SPDX-License-Identifier: Apache-2.0
#include "b2bua/test_world.h"

using namespace sheaf;
using namespace sheaf::b2bua;
using namespace sheaf::b2bua::test;

namespace {

exchange::ShowIdentity identity(const LegId& leg, const std::string& number = "2001",
                                const std::string& name = "Zo\xc3\xab") {
    return {leg, number, name};
}

// The last re-INVITE's P-Asserted-Identity; empty: none.
std::string asserted(const Node& at) {
    const auto* reinvited = at.last<sip::Reinvited>();
    if (reinvited == nullptr) return {};
    const auto* text = reinvited->request.first("P-Asserted-Identity");
    return text == nullptr ? std::string() : *text;
}

void answer(World& w, Node& at, const std::string& sdp) {
    at.ua->answer(w.wire.now, at.last<sip::Reinvited>()->dialog, sdp);
    w.wire.settle();
}

}  // namespace

TEST_CASE("a customer is shown who it talks to, and nothing else changes") {
    World w;
    const auto leg = w.answered_call();
    const auto ours = w.carrier.last<sip::Answered>()->response.body;
    const auto from = w.carrier.ua->view(w.customer)->remote;
    w.order(identity(leg));
    CHECK(asserted(w.carrier) == "\"Zo\xc3\xab\" <sip:2001@127.0.0.1>");
    CHECK(w.carrier.last<sip::Reinvited>()->request.body == ours);  // down to the version (RFC 3264 §8)
    CHECK(sip::name_addr_from_text(*w.carrier.last<sip::Reinvited>()->request.first("From"))->uri == from.uri);
    const auto asked = w.media.offers.size();
    answer(w, w.carrier, sdp_of("127.0.0.9", 30'000));
    CHECK(w.media.offers.size() == asked);  // the answer is what it was: the media server need not hear of it
    CHECK(w.count<exchange::LegHeld>() == 0);
    // It can hold and be shown another afterwards.
    w.carrier.ua->reinvite(w.wire.now, w.customer, sdp_of("127.0.0.9", 30'000, sip::Direction::sendonly));
    w.wire.settle();
    CHECK(w.count<exchange::LegHeld>() == 1);
    const auto held = w.carrier.last<sip::Answered>()->response.body;
    w.order(identity(leg, "2002", ""));
    CHECK(asserted(w.carrier) == "<sip:2002@127.0.0.1>");
    CHECK(w.carrier.last<sip::Reinvited>()->request.body == held);  // recvonly: it stays on hold
    answer(w, w.carrier, sdp_of("127.0.0.9", 30'000, sip::Direction::sendonly));
    CHECK(w.count<exchange::LegHeld>() == 1);
    CHECK(w.count<exchange::LegRetrieved>() == 0);
    w.end(leg);
    w.must_be_clean();
}

TEST_CASE("an answer with another address goes to the media server, and one that holds is a hold") {
    World w;
    const auto leg = w.placed_leg();
    const auto offered = w.phone.last<sip::Invited>()->request.body;
    w.order(identity(leg));
    CHECK(w.phone.last<sip::Reinvited>()->request.body == offered);
    answer(w, w.phone, sdp_of("127.0.0.1", 40'102));
    CHECK(w.media.offers.back() == sdp_of("127.0.0.1", 40'102));
    CHECK(w.count<exchange::LegHeld>() == 0);
    w.order(identity(leg, "2002"));
    answer(w, w.phone, sdp_of("127.0.0.1", 40'102, sip::Direction::inactive));
    CHECK(w.count<exchange::LegHeld>() == 1);
    w.order(identity(leg, "2003"));
    answer(w, w.phone, sdp_of("127.0.0.1", 40'102));
    CHECK(w.count<exchange::LegRetrieved>() == 1);
    w.end(leg);
    w.must_be_clean();
}

TEST_CASE("an answer that only counts its version on changes nothing at the media server") {
    World w;
    const auto leg = w.answered_call();
    w.order(identity(leg));
    const auto asked = w.media.offers.size();
    auto sdp = sip::sdp_from_text(sdp_of("127.0.0.9", 30'000));
    REQUIRE(sdp);
    ++sdp->session_version;
    answer(w, w.carrier, sip::to_text(*sdp));
    CHECK(w.media.offers.size() == asked);
    w.end(leg);
    w.must_be_clean();
}

TEST_CASE("of several identities the newest is shown, one re-INVITE at a time") {
    World w;
    const auto leg = w.site_leg();
    w.order(identity(leg, "1"));
    w.order(identity(leg, "2"));
    w.order(identity(leg, "3"));
    CHECK(asserted(w.paris).find("<sip:1@") != std::string::npos);
    CHECK(*w.paris.last<sip::Reinvited>()->request.first("Recv-Info") == "sheaf-call");
    answer(w, w.paris, sdp_of("127.0.0.2", 30'000));
    CHECK(asserted(w.paris).find("<sip:3@") != std::string::npos);
    answer(w, w.paris, sdp_of("127.0.0.2", 30'000));
    CHECK(w.paris.count<sip::Reinvited>() == 2);
    w.end(leg);
    w.must_be_clean();
}

TEST_CASE("an identity for a leg that is not answered, or whose ACK is due, is shown afterwards") {
    World w;
    w.order(w.to_phone());
    w.order(identity(LegId("leg-a")));
    CHECK(w.phone.count<sip::Reinvited>() == 0);
    w.phone.ua->answer(w.wire.now, w.phone.last<sip::Invited>()->dialog, sdp_of("127.0.0.1", 40'100));
    w.wire.settle();
    CHECK(w.phone.count<sip::Reinvited>() == 1);
    answer(w, w.phone, sdp_of("127.0.0.1", 40'100));
    w.end(LegId("leg-a"));
    w.call(w.carrier, "8000");
    const auto leg = w.last<exchange::LegOffered>()->leg;
    w.b2bua.carry_out(w.stamp(), exchange::AnswerLeg{leg, RoomId("u2"), CallUuid("u2")});
    w.b2bua.carry_out(w.stamp(), identity(leg));
    w.wire.run(5s);
    CHECK(w.carrier.count<sip::Reinvited>() == 1);
    answer(w, w.carrier, sdp_of("127.0.0.9", 30'000));
    w.end(leg);
    w.must_be_clean();
}

TEST_CASE("re-INVITEs that cross are both refused, and ours goes out anew") {
    World w;
    const auto leg = w.answered_call();
    w.carrier.ua->reinvite(w.wire.now, w.customer, sdp_of("127.0.0.9", 30'000, sip::Direction::sendonly));
    w.b2bua.carry_out(w.stamp(), identity(leg));
    w.wire.settle();
    CHECK(w.count<exchange::LegHeld>() == 0);
    w.b2bua.carry_out(w.stamp(), identity(leg, "2002"));
    w.wire.run(5s);
    CHECK(asserted(w.carrier).find("<sip:2002@") != std::string::npos);  // the newest by then
    answer(w, w.carrier, sdp_of("127.0.0.9", 30'000));
    CHECK(w.carrier.count<sip::Reinvited>() == 1);
    w.carrier.ua->reinvite(w.wire.now, w.customer, sdp_of("127.0.0.9", 30'000, sip::Direction::sendonly));
    w.wire.settle();
    CHECK(w.count<exchange::LegHeld>() == 1);
    w.end(leg);
    w.must_be_clean();
}

TEST_CASE("an identity that comes while the peer's own re-INVITE is worked on waits for it") {
    World w;
    const auto leg = w.answered_call();
    w.media.node.dead = true;
    w.carrier.ua->reinvite(w.wire.now, w.customer, sdp_of("127.0.0.9", 30'000, sip::Direction::sendonly));
    w.wire.settle();
    w.order(identity(leg));
    CHECK(w.carrier.count<sip::Reinvited>() == 0);
    w.media.node.dead = false;
    w.wire.run(5s);
    CHECK(w.count<exchange::LegHeld>() == 1);
    CHECK(w.carrier.count<sip::Reinvited>() == 1);
    answer(w, w.carrier, sdp_of("127.0.0.9", 30'000, sip::Direction::sendonly));
    w.end(leg);
    w.must_be_clean();
}

TEST_CASE("a peer that refuses to be shown anything keeps its call, and is logged once") {
    World w;
    const auto leg = w.answered_call();
    for (int i = 0; i < 2; ++i) {
        w.order(identity(leg));
        w.carrier.ua->reject(w.wire.now, w.customer, 488);
        w.wire.settle();
    }
    CHECK(w.carrier.count<sip::Reinvited>() == 2);
    CHECK(w.logs.size() == 1);
    CHECK(w.logged("a peer does not take who it talks to"));
    CHECK(w.count<exchange::LegEnded>() == 0);
    w.end(leg);
    w.must_be_clean();
}

TEST_CASE("a leg that ends while it is shown something leaves nothing behind") {
    for (const bool by_us : {false, true}) {
        World w;
        const auto leg = w.answered_call();
        w.order(identity(leg));
        if (by_us) {
            w.end(leg);
        } else {
            w.carrier.ua->bye(w.wire.now, w.customer);
            w.wire.settle();
            CHECK(w.count<exchange::LegEnded>() == 1);
        }
        w.must_be_clean();
    }
}

TEST_CASE("a phone that rings is told to answer, and one that does not ring yet once it does") {
    for (const bool early : {false, true}) {
        CAPTURE(early);
        World w;
        w.order(w.to_phone());
        const auto dialog = w.phone.last<sip::Invited>()->dialog;
        if (early) w.order(exchange::TellToAnswer{LegId("leg-a")});
        CHECK(w.phone.count<sip::Requested>() == 0);
        w.phone.ua->provisional(w.wire.now, dialog, 180);
        w.wire.settle();
        if (!early) w.order(exchange::TellToAnswer{LegId("leg-a")});
        REQUIRE(w.phone.count<sip::Requested>() == 1);
        const auto* notify = w.phone.last<sip::Requested>();
        CHECK(notify->request.method() == "NOTIFY");
        CHECK(*notify->request.first("Event") == "talk");
        CHECK(notify->dialog == dialog);
        w.phone.ua->respond(w.wire.now, notify->id, 200);
        w.phone.ua->answer(w.wire.now, dialog, sdp_of("127.0.0.1", 40'100));
        w.wire.settle();
        CHECK(w.count<exchange::LegAnswered>() == 1);
        w.order(exchange::TellToAnswer{LegId("leg-a")});
        CHECK(w.phone.count<sip::Requested>() == 1);
        w.end(LegId("leg-a"));
        w.must_be_clean();
    }
}
