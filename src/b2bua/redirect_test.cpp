// SPDX-License-Identifier: Apache-2.0
#include "b2bua/redirect.h"

#include "b2bua/reason.h"
#include "b2bua/test_world.h"

using namespace sheaf;
using namespace sheaf::b2bua;
using namespace sheaf::b2bua::test;

namespace {

using exchange::DeviceKind;

sip::Message answer(int status, const std::vector<sip::Header>& headers) {
    sip::Message message;
    message.start = sip::StatusLine{status, "x"};
    for (const auto& header : headers) message.add(header.name, header.value);
    return message;
}

exchange::PlaceLeg to_carrier() {
    exchange::PlaceLeg order;
    order.leg = LegId("leg-t");
    order.room = RoomId("u1");
    order.to = {DeviceKind::trunk, "carrier"};
    order.number = "+33";
    return order;
}

}  // namespace

TEST_CASE("of a redirection's contacts the one that is liked best; a trunk's only at its own addresses") {
    auto settings = World::settings();
    const exchange::Device phone{DeviceKind::agent, "1001"};
    const exchange::Device trunk{DeviceKind::trunk, "carrier"};
    const auto of = [&](const exchange::Device& by, const std::string& contacts, int status = 302) {
        return redirection_of(settings, by, answer(status, {{"Contact", contacts}}));
    };
    CHECK(of(phone, "<sip:1002@127.0.0.1>") == "1002");
    CHECK(of(phone, "<sip:1@h>;q=0.2, <sip:2@h>;q=0.75, <tel:+44-3>;q=0.7") == "2");
    CHECK(of(phone, "<sip:1@h>;q=0.999, <sip:2@h>") == "2");
    CHECK(of(phone, "<sip:1@h>, <sip:2@h>") == "1");
    CHECK(of(phone, "<sip:1@h>;q=nonsense") == "1");
    CHECK(of(phone, "<sip:1001@h>, <sip:2@h>;q=0.1") == "2");
    CHECK(of(phone, "<sip:1001@elsewhere>").empty());
    CHECK(of(phone, "<sip:h>").empty());
    CHECK(of(phone, "*").empty());
    CHECK(of(phone, "<sip:1002@h>", 486).empty());
    CHECK(of(trunk, "<sip:+44@elsewhere.example>, <sip:+45@127.0.0.9>;q=0.1") == "+45");
    CHECK(of(trunk, "<sip:+44@elsewhere.example>").empty());
    settings.trunks[0].addresses = {{uri("sip:carrier.example"), at("udp:127.0.0.8:5060")}};
    CHECK(of(trunk, "<sip:+44@127.0.0.8>") == "+44");
    CHECK(of(trunk, "<sip:+44@carrier.example>") == "+44");
    CHECK(of(trunk, "<sip:+44@127.0.0.9>").empty());
    CHECK(of({DeviceKind::site, "paris"}, "<sip:1002@127.0.0.2>").empty());
    CHECK(of({DeviceKind::trunk, "nobody"}, "<sip:1002@127.0.0.9>").empty());
}

TEST_CASE("a phone's and a trunk's redirection reach the exchange with the refusal") {
    World w;
    w.order(to_carrier());
    REQUIRE(w.carrier.last<sip::Invited>() != nullptr);
    w.carrier.ua->reject(w.wire.now, w.carrier.last<sip::Invited>()->dialog, 302, {{"Contact", "<sip:+44@127.0.0.9>"}});
    w.wire.settle();
    REQUIRE(w.last<exchange::LegFailed>() != nullptr);
    CHECK(w.last<exchange::LegFailed>()->status == 302);
    CHECK(w.last<exchange::LegFailed>()->redirect == "+44");
    w.must_be_clean();
}

TEST_CASE("what a gateway's cause says goes before a status that says little (RFC 3398)") {
    const auto status = [](int given, const std::string& reason) {
        return status_by_reason(given, answer(given, {{"Reason", reason}}));
    };
    CHECK(status(480, "Q.850;cause=17;text=\"User busy\"") == 486);
    CHECK(status(500, "q.850 ;cause=1") == 404);
    CHECK(status(503, "SIP;cause=503, Q.850;cause=21") == 603);
    CHECK(status(480, "Q.850;cause=38") == 503);
    CHECK(status(480, "Q.850;cause=16") == 480);
    CHECK(status(480, "Q.850;cause=9999999999999999999999") == 480);
    CHECK(status(480, "Q.850") == 480);
    CHECK(status(480, ";;;=") == 480);
    CHECK(status(404, "Q.850;cause=17") == 404);
    CHECK(status_by_reason(480, answer(480, {})) == 480);
    const auto cause = [](const std::string& reason) {
        return cause_by_reason(call::Cause::normal, answer(200, {{"Reason", reason}}));
    };
    CHECK(cause("Q.850;cause=16") == call::Cause::normal);
    CHECK(cause("Q.850;cause=38") == call::Cause::failed);
    CHECK(cause("Q.850;cause=102") == call::Cause::timed_out);
    CHECK(cause("SIP;cause=200") == call::Cause::normal);
}

TEST_CASE("a busy number is busy, not a trunk that is down; a BYE that says what failed ends the leg so") {
    World w;
    w.order(to_carrier());
    w.carrier.ua->reject(w.wire.now, w.carrier.last<sip::Invited>()->dialog, 503, {{"Reason", "Q.850;cause=17"}});
    w.wire.settle();
    CHECK(w.last<exchange::LegFailed>()->status == 486);
    const auto leg = w.answered_call();
    w.carrier.ua->bye(w.wire.now, w.customer, {{"Reason", "Q.850;cause=38;text=\"Network out of order\""}});
    w.wire.settle();
    REQUIRE(w.last<exchange::LegEnded>() != nullptr);
    CHECK(w.last<exchange::LegEnded>()->leg == leg);
    CHECK(w.last<exchange::LegEnded>()->cause == exchange::Cause::failed);
    w.must_be_clean();
}
