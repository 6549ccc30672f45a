// SPDX-License-Identifier: Apache-2.0
#include "b2bua/test_world.h"

using namespace sheaf;
using namespace sheaf::b2bua;
using namespace sheaf::b2bua::test;

namespace {

NumberRule rule(NumberUse use, const std::string& match, const std::string& number) {
    return {use, Rewrite::from_text(match, number).value()};
}

// A carrier that writes national numbers; this site writes E.164.
Settings national() {
    auto settings = World::settings();
    settings.trunks.front().numbers = {
        rule(NumberUse::calling_in, "^00(.*)$", "+$1"),     rule(NumberUse::calling_in, "^0(.*)$", "+44$1"),
        rule(NumberUse::called_in, "^0(.*)$", "+44$1"),     rule(NumberUse::called_out, "^\\+44(.*)$", "0$1"),
        rule(NumberUse::calling_out, "^\\+44(.*)$", "0$1"), rule(NumberUse::calling_out, "^\\+(.*)$", "00$1")};
    return settings;
}

}  // namespace

TEST_CASE("a number is rewritten by the first rule for its use that is found, or stays") {
    const auto settings = national();
    const auto* trunk = &settings.trunks.front();
    CHECK(ruled(trunk, NumberUse::calling_in, "004930123") == "+4930123");
    CHECK(ruled(trunk, NumberUse::calling_in, "02079460000") == "+442079460000");
    CHECK(ruled(trunk, NumberUse::called_in, "004930123") == "+4404930123");
    CHECK(ruled(trunk, NumberUse::called_in, "8000") == "8000");
    CHECK(ruled(nullptr, NumberUse::called_in, "0123") == "0123");
    const std::string longest(kRuledNumberMax, '0');
    CHECK(ruled(trunk, NumberUse::called_in, longest).size() == kRuledNumberMax);
    CHECK(ruled(trunk, NumberUse::called_in, longest + "0") == longest + "0");
}

TEST_CASE("calls from a trunk come with this site's way to write numbers") {
    World w(national());
    w.call(w.carrier, "02071234567",
           {{"P-Asserted-Identity", "<sip:004930123@carrier>"}, {"Diversion", "<sip:02079460001@gw>;reason=away"}});
    const auto* offered = w.last<exchange::LegOffered>();
    REQUIRE(offered != nullptr);
    CHECK(offered->called == "+442071234567");
    CHECK(offered->calling == "+4930123");
    REQUIRE(offered->diversions.size() == 1);
    CHECK(offered->diversions.front().number == "+442079460001");
    w.call(w.carrier, "02071234567", {{"P-Asserted-Identity", "<sip:02079@carrier>"}, {"Privacy", "id"}});
    CHECK(w.last<exchange::LegOffered>()->withheld == exchange::Withheld{"+442079", ""});
    w.call(w.stranger, "02071234567");
    CHECK(w.last<exchange::LegOffered>()->called == "02071234567");
}

TEST_CASE("calls to a trunk go with the trunk's, at the second of its addresses too, and so does who is shown later") {
    auto settings = national();
    settings.trunks[0].addresses = {peer("sip:127.0.0.99:5060"), peer("sip:127.0.0.9:5060")};
    World w(settings);
    exchange::PlaceLeg order;
    order.leg = LegId("leg-n");
    order.room = RoomId("u1");
    order.to = {exchange::DeviceKind::trunk, settings.trunks.front().name};
    order.number = "+442079460000";
    order.calling = "+4930123";
    order.diversions = {{"+442071234567", "deflection"}};
    w.order(order);
    w.wire.run(5s);
    const auto* invited = w.carrier.last<sip::Invited>();
    REQUIRE(invited != nullptr);
    CHECK(invited->request.uri().user == "02079460000");
    CHECK(sip::name_addr_from_text(*invited->request.first("From"))->uri.user == "004930123");
    CHECK(sip::name_addr_from_text(*invited->request.first("P-Asserted-Identity"))->uri.user == "004930123");
    CHECK(sip::name_addr_from_text(*invited->request.first("Diversion"))->uri.user == "02071234567");
    w.carrier.ua->answer(w.wire.now, invited->dialog, sdp_of("127.0.0.9", 30'100));
    w.wire.settle();
    w.order(exchange::ShowIdentity{order.leg, "+442079460009", "Bob"});
    REQUIRE(w.carrier.last<sip::Reinvited>() != nullptr);
    const auto* shown = w.carrier.last<sip::Reinvited>()->request.first("P-Asserted-Identity");
    REQUIRE(shown != nullptr);
    CHECK(sip::name_addr_from_text(*shown)->uri.user == "02079460009");
    w.carrier.ua->answer(w.wire.now, w.carrier.last<sip::Reinvited>()->dialog, sdp_of("127.0.0.9", 30'100));
    w.wire.settle();
    w.end(order.leg);
    w.must_be_clean();
}
