// SPDX-License-Identifier: Apache-2.0
#include "b2bua/replaces.h"
#include "b2bua/test_world.h"

using namespace sheaf;
using namespace sheaf::b2bua;
using namespace sheaf::b2bua::test;

namespace {

// A customer of the carrier's trunk, and a leg to paris over which it may leave.
struct Leaving : World {
    LegId leg;
    LegId over;
    Leaving() : leg(answered_call()), over(site_leg()) {}

    // The REFER that `of` got last, answered with `status` unless that is 0.
    sip::Message refer(Node& of, int status) {
        const auto* asked = of.last<sip::Requested>();
        REQUIRE(asked != nullptr);
        REQUIRE(asked->request.method() == "REFER");
        const auto request = asked->request;
        if (status != 0) of.ua->respond(wire.now, asked->id, status);
        wire.settle();
        return request;
    }
    int notify(const std::string& state, const std::string& fragment, const std::string& event = "refer") {
        std::erase_if(carrier.heard, [](const sip::Event& e) { return std::holds_alternative<sip::Responded>(e); });
        const std::vector<sip::Header> headers{{"Event", event}, {"Subscription-State", state}};
        static_cast<void>(
            carrier.ua->request(wire.now, customer, "NOTIFY", headers, "message/sipfrag;version=2.0", fragment));
        wire.settle();
        return carrier.last<sip::Responded>()->status;
    }
    void clean() {
        end(leg);
        end(over);
        must_be_clean();
    }
};

}  // namespace

TEST_CASE(
    "a customer's trunk is asked to leave to the pivot address of the site behind, and how it ends is told once") {
    Leaving w;
    w.order(exchange::ReferLeg{w.leg, w.over, {}});
    const auto request = w.refer(w.carrier, 202);
    const auto to = sip::name_addr_from_text(*request.first("Refer-To"));
    REQUIRE(to);
    CHECK(to->uri.user == "px-abc");
    CHECK(to->uri.host == "127.0.0.2");
    CHECK(to->uri.port == 5060);
    CHECK(*request.first("Referred-By") == "<sip:127.0.0.1>");
    // What the carrier will send to paris names paris's dialog as paris sees it.
    CHECK(to->uri.headers.find("%3Bto-tag%3D") != std::string::npos);
    const auto named = replaces_from_text(sip::headers_of(to->uri).front().second);
    REQUIRE(named);
    CHECK(dialog_of(*w.paris.ua, *named) == w.site);
    CHECK(w.count<exchange::LegReferred>() == 0);
    CHECK(w.notify("active;expires=60", "SIP/2.0 100 Trying\r\n") == 200);
    CHECK(w.notify("active;expires=60", "SIP/2.0 180 Ringing\r\n") == 200);
    CHECK(w.count<exchange::LegReferred>() == 0);
    CHECK(w.notify("terminated;reason=noresource", "SIP/2.0 200 OK\r\n") == 200);
    REQUIRE(w.count<exchange::LegReferred>() == 1);
    CHECK(w.last<exchange::LegReferred>()->leg == w.leg);
    CHECK(w.last<exchange::LegReferred>()->status == 200);
    w.wire.run(40s);
    CHECK(w.count<exchange::LegReferred>() == 1);
    CHECK(w.notify("terminated;reason=noresource", "SIP/2.0 200 OK\r\n") == 481);
    w.clean();
}

TEST_CASE("the status of a failed referral is told, and one that ends without any is a time-out") {
    Leaving w;
    w.order(exchange::ReferLeg{w.leg, w.over, {}});
    w.refer(w.carrier, 202);
    // Some end the subscription a message later than they tell.
    CHECK(w.notify("active;expires=60", "SIP/2.0 503 Service Unavailable\r\n") == 200);
    CHECK(w.last<exchange::LegReferred>()->status == 503);
    CHECK(w.notify("terminated;reason=noresource", "SIP/2.0 503 Service Unavailable\r\n") == 200);
    CHECK(w.count<exchange::LegReferred>() == 1);
    w.order(exchange::ReferLeg{w.leg, w.over, {}});
    w.refer(w.carrier, 200);
    CHECK(w.notify("terminated;reason=timeout", "") == 200);
    CHECK(w.count<exchange::LegReferred>() == 2);
    CHECK(w.last<exchange::LegReferred>()->status == 408);
    w.clean();
}

TEST_CASE("a trunk that refuses the REFER stays, and its own status is told") {
    Leaving w;
    for (const int status : {405, 501, 603}) {
        CAPTURE(status);
        w.order(exchange::ReferLeg{w.leg, w.over, {}});
        w.refer(w.carrier, status);
        CHECK(w.last<exchange::LegReferred>()->status == status);
    }
    CHECK(w.count<exchange::LegReferred>() == 3);
    CHECK(w.count<exchange::LegEnded>() == 0);
    w.clean();
}

TEST_CASE("a referral of which nothing is heard, or whose subscription runs out, is over in time") {
    Leaving w;
    w.order(exchange::ReferLeg{w.leg, w.over, {}});
    w.refer(w.carrier, 202);
    w.wire.run(31s);
    CHECK(w.count<exchange::LegReferred>() == 0);
    w.order(exchange::ReferLeg{w.leg, w.over, {}});  // one at a time
    CHECK(w.last<exchange::LegReferred>()->status == 491);
    w.wire.run(1s);
    CHECK(w.count<exchange::LegReferred>() == 2);
    CHECK(w.last<exchange::LegReferred>()->status == 408);
    // It tells after all: too late, and it is not taken for the next one's.
    w.order(exchange::ReferLeg{w.leg, w.over, {}});
    const auto request = w.refer(w.carrier, 202);
    CHECK(w.notify("terminated;reason=noresource", "SIP/2.0 200 OK\r\n") == 200);
    CHECK(w.count<exchange::LegReferred>() == 2);
    const auto id = sip::cseq_from_text(*request.first("CSeq"))->number;
    CHECK(w.notify("active;expires=60", "SIP/2.0 200 OK\r\n", "refer;id=" + std::to_string(id + 7)) == 481);
    CHECK(w.notify("active;expires=3", "SIP/2.0 100 Trying\r\n", "refer;id=" + std::to_string(id)) == 200);
    w.wire.run(4s);
    CHECK(w.count<exchange::LegReferred>() == 3);
    CHECK(w.last<exchange::LegReferred>()->status == 408);
    CHECK(w.count<exchange::LegEnded>() == 0);
    w.clean();
}

TEST_CASE("the first NOTIFY may overtake the 202") {
    Leaving w;
    w.order(exchange::ReferLeg{w.leg, w.over, {}});
    const auto id = w.carrier.last<sip::Requested>()->id;
    CHECK(w.notify("active;expires=60", "SIP/2.0 100 Trying\r\n") == 200);
    w.carrier.ua->respond(w.wire.now, id, 202);
    w.wire.settle();
    CHECK(w.notify("terminated;reason=noresource", "SIP/2.0 202 Accepted") == 200);
    CHECK(w.last<exchange::LegReferred>()->status == 202);
    w.clean();
}

TEST_CASE("a leg that ends while it is referred is told as ended, and nothing more") {
    for (const bool by_us : {false, true}) {
        CAPTURE(by_us);
        Leaving w;
        w.order(exchange::ReferLeg{w.leg, w.over, {}});
        w.refer(w.carrier, by_us ? 202 : 0);
        if (by_us) {
            w.end(w.leg);
        } else {
            w.carrier.ua->bye(w.wire.now, w.customer);
            w.wire.settle();
            CHECK(w.count<exchange::LegEnded>() == 1);
        }
        w.wire.run(40s);
        CHECK(w.count<exchange::LegReferred>() == 0);
        w.end(w.over);
        w.must_be_clean();
    }
}

TEST_CASE("without a pivot address behind there is nowhere to leave to") {
    Leaving w;
    const auto phone = w.placed_leg();
    w.order(exchange::ReferLeg{w.leg, phone, {}});
    CHECK(w.last<exchange::LegReferred>()->status == 501);
    w.order(exchange::ReferLeg{w.leg, {}, {}});
    CHECK(w.last<exchange::LegReferred>()->status == 501);
    w.order(exchange::ReferLeg{w.leg, LegId("gone"), {}});
    CHECK(w.last<exchange::LegReferred>()->status == 481);
    w.order(exchange::ReferLeg{LegId("gone"), w.over, {}});
    CHECK(w.count<exchange::LegReferred>() == 3);
    CHECK(w.wire.count_seen("REFER sip:") == 0);
    w.end(phone);
    w.clean();
}

TEST_CASE("a pivot address is taken from sites only, and only if it is one") {
    World w;
    auto order = w.to_phone();
    w.order(order);
    w.phone.ua->answer(w.wire.now, w.phone.last<sip::Invited>()->dialog, sdp_of("127.0.0.1", 40'100),
                       {{"X-Sheaf-Pivot", "<sip:px-abc@127.0.0.66>"}});
    w.wire.settle();
    const auto customer = w.answered_call();
    w.order(exchange::ReferLeg{customer, LegId("leg-a"), {}});
    CHECK(w.last<exchange::LegReferred>()->status == 501);
    order = w.to_phone("leg-p");
    order.to = {exchange::DeviceKind::site, "paris"};
    w.order(order);
    w.paris.ua->answer(w.wire.now, w.paris.last<sip::Invited>()->dialog, sdp_of("127.0.0.2", 30'000),
                       {{"X-Sheaf-Pivot", "<http://127.0.0.66>"}});
    w.wire.settle();
    w.order(exchange::ReferLeg{customer, LegId("leg-p"), {}});
    CHECK(w.last<exchange::LegReferred>()->status == 501);
}

TEST_CASE("a transfer is passed back to the site it came from: to a number there, and replacing a dialog there") {
    Leaving w;
    const auto back = w.call_of_site();
    const auto from_paris = w.site;
    w.order(exchange::ReferLeg{back, {}, "8000"});
    auto request = w.refer(w.paris, 202);
    CHECK(*request.first("Refer-To") == "<sip:8000@127.0.0.2:5060>");
    static_cast<void>(w.paris.ua->request(w.wire.now, from_paris, "NOTIFY",
                                          {{"Event", "refer"}, {"Subscription-State", "terminated;reason=noresource"}},
                                          "message/sipfrag", "SIP/2.0 200 OK\r\n"));
    w.wire.settle();
    CHECK(w.last<exchange::LegReferred>()->leg == back);
    CHECK(w.last<exchange::LegReferred>()->status == 200);
    w.order(exchange::ReferLeg{back, w.over, "8000"});
    request = w.refer(w.paris, 603);
    const auto to = sip::name_addr_from_text(*request.first("Refer-To"));
    CHECK(to->uri.user == "8000");
    const auto named = replaces_from_text(sip::headers_of(to->uri).front().second);
    REQUIRE(named);
    const auto replaced = dialog_of(*w.paris.ua, *named);
    CHECK(replaced != 0);
    CHECK(replaced != from_paris);
    w.end(back);
    w.clean();
}

TEST_CASE("a NOTIFY of nothing we asked for is refused and costs no call") {
    Leaving w;
    CHECK(w.notify("active", "SIP/2.0 200 OK\r\n") == 481);
    CHECK(w.notify("active", "", "message-summary") == 489);
    w.order(exchange::ReferLeg{w.leg, w.over, {}});
    w.refer(w.carrier, 202);
    for (const auto* text : {"200 OK", "SIP/2.0 OK", "SIP/2.0 2000 OK", "SIP/2.0 099 No"}) {
        CAPTURE(text);
        CHECK(w.notify("active", text) == 400);
    }
    CHECK(w.logged("NOTIFY that does not parse"));
    CHECK(w.count<exchange::LegReferred>() == 0);
    CHECK(w.count<exchange::LegEnded>() == 0);
    w.clean();
}
