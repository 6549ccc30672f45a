// SPDX-License-Identifier: Apache-2.0
#include "b2bua/test_world.h"

using namespace sheaf;
using namespace sheaf::b2bua;
using namespace sheaf::b2bua::test;

namespace {

// A customer whose call waits for a phone that rings, both at a media server.
struct Waiting : World {
    LegId customer_leg;
    sip::DialogId at_phone = 0;

    explicit Waiting(const std::string& offer = sdp_of("127.0.0.9", 30'000)) {
        call(carrier, "8000", {}, offer);
        customer_leg = last<exchange::LegOffered>()->leg;
        order(to_phone());
        at_phone = phone.last<sip::Invited>()->dialog;
    }
    void rings() { order(exchange::RingLeg{customer_leg, RoomId("u1"), CallUuid("u1")}); }
    void early(int status = 183) {
        phone.ua->provisional(wire.now, at_phone, status, {}, sdp_of("127.0.0.1", 40'200));
        wire.settle();
    }
    // The descriptions of the provisional answers that the customer has had.
    [[nodiscard]] std::vector<std::string> heard_early() const {
        std::vector<std::string> out;
        for (const auto& event : carrier.heard) {
            const auto* progressed = std::get_if<sip::Progressed>(&event);
            if (progressed != nullptr && !progressed->response.body.empty()) out.push_back(progressed->response.body);
        }
        return out;
    }
};

}  // namespace

TEST_CASE("who is called is heard before it answers: the caller is told where to listen, once") {
    for (const bool rings_first : {true, false}) {
        CAPTURE(rings_first);
        Waiting w;
        if (rings_first) w.rings();
        w.early();
        w.early();
        if (!rings_first) {
            CHECK(w.heard_early().empty());
            w.rings();
        }
        REQUIRE(w.heard_early().size() == 1);
        CHECK(w.carrier.last<sip::Progressed>()->response.status() == 183);
        // The answer has the description that the caller listens by already.
        w.phone.ua->answer(w.wire.now, w.at_phone, sdp_of("127.0.0.1", 40'200));
        w.wire.settle();
        w.order(exchange::AnswerLeg{w.customer_leg, RoomId("u1"), CallUuid("u1")});
        REQUIRE(w.carrier.last<sip::Answered>() != nullptr);
        CHECK(w.carrier.last<sip::Answered>()->response.body == w.heard_early().front());
        w.end(w.customer_leg);
        w.end(LegId("leg-a"));
        w.must_be_clean();
    }
}

TEST_CASE("where nothing is heard early nothing is said of it, nor to a caller who has offered nothing") {
    Waiting w;
    w.rings();
    w.phone.ua->provisional(w.wire.now, w.at_phone, 180);
    w.wire.settle();
    CHECK(w.heard_early().empty());
    w.end(w.customer_leg);
    w.end(LegId("leg-a"));
    w.must_be_clean();

    Waiting offerless("");
    offerless.rings();
    offerless.early();
    CHECK(offerless.heard_early().empty());
    offerless.end(offerless.customer_leg);
    offerless.end(LegId("leg-a"));
    offerless.must_be_clean();
}

TEST_CASE("a caller who gives up while it listens leaves nothing behind") {
    Waiting w;
    w.rings();
    w.early();
    REQUIRE(w.heard_early().size() == 1);
    w.order(exchange::RejectLeg{w.customer_leg, 486, {}, {}});
    CHECK(w.carrier.last<sip::Failed>()->status == 486);
    w.end(LegId("leg-a"));
    w.must_be_clean();
}
