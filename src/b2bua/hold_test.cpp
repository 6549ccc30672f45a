// SPDX-License-Identifier: Apache-2.0
#include "b2bua/test_world.h"

using namespace sheaf;
using namespace sheaf::b2bua;
using namespace sheaf::b2bua::test;

namespace {

struct Spelling {
    const char* name;
    std::string sdp;
    const char* answer;  // the direction it is answered with
};

std::vector<Spelling> spellings(const std::string& address, std::uint16_t port) {
    auto old = sip::sdp_from_text(sdp_of(address, port));
    REQUIRE(old);
    old->connection = sip::Connection{"0.0.0.0"};
    return {{"sendonly", sdp_of(address, port, sip::Direction::sendonly), "a=recvonly"},
            {"inactive", sdp_of(address, port, sip::Direction::inactive), "a=inactive"},
            {"0.0.0.0", sip::to_text(*old), "a=recvonly"}};
}

}  // namespace

TEST_CASE("hold in its three spellings, and retrieve, by who called and by who was called") {
    for (const auto& [name, sdp, answer] : spellings("127.0.0.9", 30'000)) {
        CAPTURE(name);
        World w;
        const auto leg = w.answered_call();
        w.carrier.ua->reinvite(w.wire.now, w.customer, sdp);
        w.wire.settle();
        CHECK(w.count<exchange::LegHeld>() == 1);
        CHECK(w.carrier.last<sip::Answered>()->response.body.find(answer) != std::string::npos);
        w.carrier.ua->reinvite(w.wire.now, w.customer, sdp_of("127.0.0.9", 30'000));
        w.wire.settle();
        CHECK(w.count<exchange::LegRetrieved>() == 1);
        CHECK(w.carrier.last<sip::Answered>()->response.body.find("a=sendrecv") != std::string::npos);
        w.end(leg);
        w.must_be_clean();
    }
    for (const auto& [name, sdp, answer] : spellings("127.0.0.1", 40'100)) {
        CAPTURE(name);
        World w;
        const auto leg = w.placed_leg();
        const auto dialog = w.phone.last<sip::Invited>()->dialog;
        w.phone.ua->reinvite(w.wire.now, dialog, sdp);
        w.wire.settle();
        CHECK(w.count<exchange::LegHeld>() == 1);
        CHECK(w.last<exchange::LegHeld>()->leg == leg);
        w.phone.ua->reinvite(w.wire.now, dialog, sdp_of("127.0.0.1", 40'100));
        w.wire.settle();
        CHECK(w.count<exchange::LegRetrieved>() == 1);
        w.end(leg);
        w.must_be_clean();
    }
}

TEST_CASE("a call that is offered on hold is held from its first moment, after it is connected") {
    for (const auto& [name, sdp, answer] : spellings("127.0.0.9", 30'000)) {
        CAPTURE(name);
        World w;
        w.call(w.carrier, "8000", {}, sdp);
        const auto leg = w.last<exchange::LegOffered>()->leg;
        w.order(exchange::AnswerLeg{leg, RoomId("u1"), CallUuid("u1")});
        CHECK(w.count<exchange::LegConnected>() == 1);
        REQUIRE(std::holds_alternative<exchange::LegHeld>(w.events.back()));
        CHECK(w.carrier.last<sip::Answered>()->response.body.find(answer) != std::string::npos);
        w.carrier.ua->reinvite(w.wire.now, w.carrier.last<sip::Answered>()->dialog, sdp_of("127.0.0.9", 30'000));
        w.wire.settle();
        CHECK(w.count<exchange::LegRetrieved>() == 1);
        w.end(leg);
        w.must_be_clean();
    }
}

TEST_CASE("a phone that answers on hold, or whose ACK holds, is held from its first moment") {
    World w;
    w.order(w.to_phone());
    w.phone.ua->answer(w.wire.now, w.phone.last<sip::Invited>()->dialog,
                       sdp_of("127.0.0.1", 40'100, sip::Direction::sendonly));
    w.wire.settle();
    CHECK(w.count<exchange::LegAnswered>() == 1);
    CHECK(std::holds_alternative<exchange::LegHeld>(w.events.back()));
    w.end(LegId("leg-a"));
    w.call(w.carrier, "8000", {}, "");
    const auto leg = w.last<exchange::LegOffered>()->leg;
    w.order(exchange::AnswerLeg{leg, RoomId("u2"), CallUuid("u2")});
    w.carrier.ua->ack(w.wire.now, w.carrier.last<sip::Answered>()->dialog, "application/sdp",
                      sdp_of("127.0.0.9", 30'000, sip::Direction::inactive));
    w.wire.settle();
    CHECK(w.last<exchange::LegConnected>()->leg == leg);
    CHECK(std::holds_alternative<exchange::LegHeld>(w.events.back()));
    w.end(leg);
    w.must_be_clean();
}
