// SPDX-License-Identifier: Apache-2.0
#include "b2bua/test_world.h"

using namespace sheaf;
using namespace sheaf::b2bua;
using namespace sheaf::b2bua::test;

TEST_CASE("an agent's phone is called with the media server's offer, which is not kept waiting while it rings") {
    World w;
    auto order = w.to_phone();
    order.auto_answer = true;
    order.calling_name = "C \"the\" customer";
    w.order(order);
    const auto* invited = w.phone.last<sip::Invited>();
    REQUIRE(invited != nullptr);
    CHECK(invited->request.uri().user == "1001");
    CHECK(invited->request.body.find("m=audio 20002 ") != std::string::npos);
    CHECK(invited->request.first("Call-Info")->ends_with(";answer-after=0"));
    CHECK(invited->request.first("Alert-Info") != nullptr);
    CHECK(invited->request.first("P-Asserted-Identity") == nullptr);
    CHECK(sip::name_addr_from_text(*invited->request.first("From"))->display == order.calling_name);
    CHECK(w.count<exchange::LegPlaced>() == 1);
    REQUIRE(w.media.answers.size() == 1);
    CHECK(w.media.answers[0].find("a=inactive") != std::string::npos);
    w.phone.ua->provisional(w.wire.now, invited->dialog, 180);
    w.phone.ua->provisional(w.wire.now, invited->dialog, 180);
    w.wire.settle();
    CHECK(w.count<exchange::LegAlerting>() == 1);
    w.phone.ua->answer(w.wire.now, invited->dialog, sdp_of("127.0.0.1", 40'100),
                       {{"Session-ID", std::string(32, 'b')}});
    w.wire.settle();
    const auto* answered = w.last<exchange::LegAnswered>();
    REQUIRE(answered != nullptr);
    CHECK(answered->session_id == std::string(32, 'b'));
    CHECK(w.media.offers == std::vector<std::string>{"", sdp_of("127.0.0.1", 40'100)});
    w.phone.ua->bye(w.wire.now, invited->dialog);
    w.wire.settle();
    CHECK(w.last<exchange::LegEnded>()->leg == LegId("leg-a"));
    w.must_be_clean();
}

TEST_CASE("early media goes to the media server, and the answer after it") {
    World w;
    w.order(w.to_phone());
    const auto dialog = w.phone.last<sip::Invited>()->dialog;
    w.phone.ua->provisional(w.wire.now, dialog, 183, {}, sdp_of("127.0.0.1", 40'200));
    w.wire.settle();
    CHECK(w.count<exchange::LegAlerting>() == 1);
    CHECK(w.count<exchange::LegAnswered>() == 0);
    REQUIRE(w.media.offers.size() == 2);
    w.phone.ua->answer(w.wire.now, dialog, sdp_of("127.0.0.1", 40'300));
    w.wire.settle();
    CHECK(w.count<exchange::LegAnswered>() == 1);
    CHECK(w.media.offers.back() == sdp_of("127.0.0.1", 40'300));
    w.order(exchange::EndLeg{LegId("leg-a"), 0, exchange::Cause::normal});
    CHECK(w.phone.count<sip::Ended>() == 1);
    w.must_be_clean();
}

TEST_CASE("the answer may come while its early media is still being applied") {
    World w;
    w.order(w.to_phone());
    const auto dialog = w.phone.last<sip::Invited>()->dialog;
    w.phone.ua->provisional(w.wire.now, dialog, 183, {}, sdp_of("127.0.0.1", 40'200));
    w.phone.ua->answer(w.wire.now, dialog, sdp_of("127.0.0.1", 40'300));
    w.wire.settle();
    CHECK(w.count<exchange::LegAnswered>() == 1);
    CHECK(w.media.offers.back() == sdp_of("127.0.0.1", 40'300));
    w.order(exchange::EndLeg{LegId("leg-a"), 0, exchange::Cause::normal});
    w.must_be_clean();
}

TEST_CASE("a busy phone, and a phone that is not there") {
    World w;
    w.order(w.to_phone());
    w.phone.ua->reject(w.wire.now, w.phone.last<sip::Invited>()->dialog, 486);
    w.wire.settle();
    REQUIRE(w.last<exchange::LegFailed>() != nullptr);
    CHECK(w.last<exchange::LegFailed>()->status == 486);
    CHECK(w.media.ended == 1);
    w.phone.dead = true;
    w.order(w.to_phone("leg-b"));
    w.wire.run(33s);
    CHECK(w.last<exchange::LegFailed>()->leg == LegId("leg-b"));
    CHECK(w.last<exchange::LegFailed>()->status == 408);
    CHECK(w.logged("no answer from a called device"));
    w.must_be_clean();
}

TEST_CASE("the exchange gives up a ringing phone: CANCEL, and an answer that crosses is hung up") {
    for (const bool crosses : {false, true}) {
        CAPTURE(crosses);
        World w;
        w.order(w.to_phone());
        const auto dialog = w.phone.last<sip::Invited>()->dialog;
        w.phone.ua->provisional(w.wire.now, dialog, 180);
        w.wire.settle();
        if (crosses) w.phone.ua->answer(w.wire.now, dialog, sdp_of("127.0.0.1", 40'100));
        w.order(exchange::EndLeg{LegId("leg-a"), 0, exchange::Cause::no_answer});
        CHECK(w.phone.count<sip::Ended>() == 1);
        CHECK(w.count<exchange::LegAnswered>() == 0);
        CHECK(w.count<exchange::LegFailed>() == 0);
        CHECK(w.media.ended == 1);
        w.must_be_clean();
    }
}

TEST_CASE("a leg given up while its media is asked for leaves nothing behind") {
    World w;
    w.media.holds_invite = true;
    w.order(w.to_phone());
    w.order(exchange::EndLeg{LegId("leg-a"), 0, exchange::Cause::normal});
    CHECK(w.phone.count<sip::Invited>() == 0);
    CHECK(w.media.ended == 1);
    w.must_be_clean();
}

TEST_CASE("a phone whose answer has no codec for us is hung up and failed with 488") {
    World w;
    w.order(w.to_phone());
    w.media.refuse_reinvite = 488;
    w.phone.ua->answer(w.wire.now, w.phone.last<sip::Invited>()->dialog, sdp_of("127.0.0.1", 40'100));
    w.wire.settle();
    CHECK(w.last<exchange::LegFailed>()->status == 488);
    CHECK(w.phone.count<sip::Ended>() == 1);
    w.must_be_clean();
}

TEST_CASE("a call to a trunk tries its next address when the first is silent, and asserts who calls") {
    auto settings = World::settings();
    settings.trunks[0].addresses = {peer("sip:127.0.0.99:5060"), peer("sip:127.0.0.9:5060")};
    World w(settings);
    auto order = w.to_phone();
    order.to = {exchange::DeviceKind::trunk, "carrier"};
    order.number = "+33123";
    w.order(order);
    w.wire.run(5s);
    const auto* invited = w.carrier.last<sip::Invited>();
    REQUIRE(invited != nullptr);
    CHECK(invited->request.uri().user == "+33123");
    CHECK(*invited->request.first("P-Asserted-Identity") == "<sip:+4420@127.0.0.1>");
    CHECK(invited->request.first("X-Sheaf-Link") == nullptr);
    CHECK(w.count<exchange::LegPlaced>() == 1);
    CHECK(w.logged("trunk address does not answer"));
    w.carrier.ua->reject(w.wire.now, invited->dialog, 404);
    w.wire.settle();
    CHECK(w.last<exchange::LegFailed>()->status == 404);
    w.must_be_clean();
}

TEST_CASE("a trunk address that has said 100 is there, however late it rings") {
    auto settings = World::settings();
    settings.trunks[0].addresses = {peer("sip:127.0.0.9:5060"), peer("sip:127.0.0.99:5060")};
    World w(settings);
    auto order = w.to_phone();
    order.to = {exchange::DeviceKind::trunk, "carrier"};
    order.number = "+33123";
    w.order(order);
    const auto* invited = w.carrier.last<sip::Invited>();
    REQUIRE(invited != nullptr);
    const auto dialog = invited->dialog;
    w.wire.run(10s);
    CHECK_FALSE(w.logged("trunk address does not answer"));
    CHECK(w.carrier.count<sip::Ended>() == 0);
    w.carrier.ua->provisional(w.wire.now, dialog, 180);
    w.wire.settle();
    CHECK(w.count<exchange::LegAlerting>() == 1);
    w.carrier.ua->reject(w.wire.now, dialog, 503);  // of this call: the next address may take it
    w.wire.settle();
    CHECK(w.last<exchange::LegFailed>()->status == 503);
    w.must_be_clean();
}

TEST_CASE("what a stranger says of itself is asserted to nobody") {
    World w;
    auto order = w.to_phone();
    order.to = {exchange::DeviceKind::trunk, "carrier"};
    order.number = "+33123";
    order.is_strangers_word = true;
    w.order(order);
    const auto* invited = w.carrier.last<sip::Invited>();
    REQUIRE(invited != nullptr);
    CHECK(invited->request.first("P-Asserted-Identity") == nullptr);
    CHECK(invited->request.first("From")->find("+4420") != std::string::npos);
    w.order(exchange::EndLeg{order.leg, 0, exchange::Cause::normal});
    w.must_be_clean();
}

TEST_CASE("a trunk with an account is answered its challenge") {
    auto settings = World::settings();
    settings.trunks[0].account = sip::Account{"london", "secret"};
    World w(settings);
    auto order = w.to_phone();
    order.to = {exchange::DeviceKind::trunk, "carrier"};
    w.order(order);
    sip::Challenge challenge;
    challenge.realm = "carrier";
    challenge.nonce = "abc";
    challenge.qop_auth = true;
    w.carrier.ua->reject(w.wire.now, w.carrier.last<sip::Invited>()->dialog, 407,
                         {{"Proxy-Authenticate", sip::to_text(challenge)}});
    w.wire.settle();
    CHECK(w.carrier.count<sip::Invited>() == 2);
    CHECK(w.carrier.last<sip::Invited>()->request.first("Proxy-Authorization") != nullptr);
    w.order(exchange::EndLeg{LegId("leg-a"), 0, exchange::Cause::normal});
    w.must_be_clean();
}

TEST_CASE("a device that is not in the settings any more is a failed leg") {
    World w;
    auto order = w.to_phone();
    order.to = {exchange::DeviceKind::trunk, "gone"};
    w.order(order);
    CHECK(w.last<exchange::LegFailed>()->status == 500);
    w.must_be_clean();
}
