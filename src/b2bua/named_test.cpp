// SPDX-License-Identifier: Apache-2.0
#include "b2bua/test_world.h"

// Peers that are configured by name: requests say the name and go to one of its addresses (RFC 3263 §4).
using namespace sheaf;
using namespace sheaf::b2bua;
using namespace sheaf::b2bua::test;

namespace {

PeerAddress named(const std::string& said, const std::string& place) {
    return {uri(said), at(place)};
}

Settings settings_with(std::vector<PeerAddress> addresses) {
    auto out = World::settings();
    out.trunks = {{"carrier", std::move(addresses), std::nullopt}};
    return out;
}

exchange::PlaceLeg to_trunk(const World& w, const std::string& leg = "leg-t") {
    auto order = w.to_phone(leg);
    order.room = RoomId(leg);
    order.to = {exchange::DeviceKind::trunk, "carrier"};
    order.number = "+33123";
    return order;
}

PeerAddress silent() {
    return named("sip:carrier.example", "udp:127.0.0.99:5060");
}
PeerAddress there() {
    return named("sip:carrier.example", "udp:127.0.0.9:5060");
}

}  // namespace

TEST_CASE("a trunk's name stands in its requests, which go to the addresses of the name, one after the other") {
    World w(settings_with({silent(), there()}));
    w.order(to_trunk(w));
    CHECK(w.wire.count_seen("INVITE sip:+33123@carrier.example SIP/2.0\r\n") == 1);
    CHECK(w.carrier.count<sip::Invited>() == 0);
    w.wire.run(5s);
    const auto* invited = w.carrier.last<sip::Invited>();
    REQUIRE(invited != nullptr);
    CHECK(sip::to_text(invited->request.uri()) == "sip:+33123@carrier.example");
    CHECK(*invited->request.first("To") == "<sip:+33123@carrier.example>");
    CHECK(invited->source.local == at("udp:127.0.0.9:5060"));
    w.carrier.ua->answer(w.wire.now, invited->dialog, sdp_of("127.0.0.9", 30'000));
    w.wire.settle();
    CHECK(w.count<exchange::LegAnswered>() == 1);
    w.end(LegId("leg-t"));
    CHECK(w.carrier.count<sip::Ended>() == 1);
    w.must_be_clean();
}

TEST_CASE("the transport is the address's, also where the name has none") {
    World w(settings_with({named("sip:carrier.example", "tcp:127.0.0.9:5060")}));
    w.order(to_trunk(w));
    const auto* invited = w.carrier.last<sip::Invited>();
    REQUIRE(invited != nullptr);
    CHECK(invited->source.local.transport == sip::Transport::tcp);
    CHECK(sip::to_text(invited->request.uri()) == "sip:+33123@carrier.example");
    w.end(LegId("leg-t"));
}

TEST_CASE("who calls from an address that a trunk's name leads to is the trunk, and no longer when it does not") {
    World w(settings_with({silent(), there()}));
    w.call(w.carrier, "8000");
    CHECK(w.last<exchange::LegOffered>()->from == exchange::Device{exchange::DeviceKind::trunk, "carrier"});
    CHECK(w.b2bua.sender_at("127.0.0.9").kind == sip::Sender::Kind::peer);
    w.order(exchange::RejectLeg{w.last<exchange::LegOffered>()->leg, 403, {}});
    w.b2bua.reload(w.stamp(), settings_with({silent()}));
    w.call(w.carrier, "8000");
    CHECK(w.last<exchange::LegOffered>()->from.kind == exchange::DeviceKind::stranger);
    w.order(exchange::RejectLeg{w.last<exchange::LegOffered>()->leg, 403, {}});
    CHECK(w.b2bua.sender_at("127.0.0.9").kind == sip::Sender::Kind::stranger);
}

TEST_CASE("a call that has begun tries the addresses that its trunk's name had then") {
    World w(settings_with({silent(), there()}));
    w.order(to_trunk(w));
    SUBCASE("they come in another order") {
        w.b2bua.reload(w.stamp(), settings_with({there(), silent()}));
    }
    SUBCASE("the one that is tried is gone") {
        w.b2bua.reload(w.stamp(), settings_with({there()}));
    }
    SUBCASE("the next one is gone") {
        w.b2bua.reload(w.stamp(), settings_with({silent()}));
    }
    w.wire.run(5s);
    CHECK(w.carrier.count<sip::Invited>() == 1);
    w.carrier.ua->provisional(w.wire.now, w.carrier.last<sip::Invited>()->dialog, 180);
    w.wire.settle();
    w.end(LegId("leg-t"));
    w.must_be_clean();
}

TEST_CASE("a trunk or a site whose name leads nowhere yet is called with 503, and once it does is called") {
    auto settings = settings_with({});
    settings.sites[0].address.reset();
    settings.ask_every = 30s;
    World w(settings);
    w.b2bua.start(w.stamp());
    w.order(to_trunk(w));
    REQUIRE(w.count<exchange::LegFailed>() == 1);
    CHECK(w.last<exchange::LegFailed>()->status == 503);
    auto order = w.to_phone();
    order.to = {exchange::DeviceKind::site, "paris"};
    order.number = "2001";
    w.order(order);
    REQUIRE(w.count<exchange::LegFailed>() == 2);
    CHECK(w.last<exchange::LegFailed>()->status == 503);
    settings = settings_with({there()});
    settings.sites[0].address = named("sip:paris.example", "udp:127.0.0.2:5060");
    w.b2bua.reload(w.stamp(), settings);
    w.order(to_trunk(w, "leg-2"));
    CHECK(w.carrier.count<sip::Invited>() == 1);
    order.leg = LegId("leg-3");
    w.order(order);
    REQUIRE(w.paris.count<sip::Invited>() == 1);
    CHECK(sip::to_text(w.paris.last<sip::Invited>()->request.uri()) == "sip:2001@paris.example");
    w.end(LegId("leg-2"));
    w.end(LegId("leg-3"));
}

TEST_CASE("a media server whose name leads nowhere yet gets legs once it does, and then stays where it is") {
    auto settings = World::settings();
    settings.node = "london-1";
    settings.media = {std::nullopt};
    World w(settings);
    w.b2bua.start(w.stamp());
    w.call(w.carrier, "8000");
    w.order(exchange::AnswerLeg{w.last<exchange::LegOffered>()->leg, RoomId("u1"), CallUuid("u1")});
    REQUIRE(w.carrier.last<sip::Failed>() != nullptr);
    CHECK(w.carrier.last<sip::Failed>()->status == 503);
    settings.media = {named("sip:media.example", "udp:127.0.0.1:5070")};
    w.b2bua.reload(w.stamp(), settings);
    w.wire.settle();
    CHECK(w.media.messages.size() == 1);  // it is told to let go of a former run, as at the start
    settings.media = {named("sip:media.example", "udp:127.0.0.1:5099")};
    w.b2bua.reload(w.stamp(), settings);
    w.end(w.answered_call());
    CHECK(w.wire.count_seen("INVITE sip:msml=u1@media.example SIP/2.0\r\n") == 1);
    CHECK(w.media.messages.size() == 1);
    CHECK(w.b2bua.sender_at("127.0.0.1").kind == sip::Sender::Kind::peer);
    w.must_be_clean();
}

TEST_CASE("each address of a name is asked whether it is there, by the name") {
    auto settings = settings_with({silent(), there()});
    settings.ask_every = 30s;
    World w(settings);
    w.b2bua.start(w.stamp());
    w.carrier.script = [&](Instant now, const sip::Event& event) {
        const auto* request = std::get_if<sip::Requested>(&event);
        if (request == nullptr) return w.carrier.heard.push_back(event);
        w.carrier.ua->respond(now, request->id, 200);
    };
    w.wire.run(60s);
    CHECK(w.wire.count_seen("OPTIONS sip:carrier.example SIP/2.0\r\n") >= 2);
    REQUIRE(w.logged("does not answer: no calls go there"));
    w.order(to_trunk(w));
    CHECK(w.carrier.count<sip::Invited>() == 1);  // at once
    w.end(LegId("leg-t"));
}

TEST_CASE("a trunk is registered with by its name; the registration stays while its address does") {
    Node* registrar = nullptr;
    std::vector<sip::Message> requests;
    auto settings = settings_with({there(), silent()});
    settings.trunks[0].account = sip::Account{"sheaf", "secret"};
    settings.trunks[0].registers = true;
    const auto with = [&](std::vector<PeerAddress> addresses) {
        settings.trunks[0].addresses = std::move(addresses);
        return settings;
    };
    World w(with({}));
    sip::UserAgentOptions options;
    options.allow = {"REGISTER"};
    registrar = &w.wire.add("registrar", {"udp:127.0.0.8:5060"}, options);
    registrar->script = [&](Instant now, const sip::Event& event) {
        const auto* e = std::get_if<sip::Requested>(&event);
        if (e == nullptr) return;
        requests.push_back(e->request);
        registrar->ua->respond(now, e->id, 200, {{"Contact", *e->request.first("Contact") + ";expires=600"}});
    };
    const auto first = named("sip:pbx.example", "udp:127.0.0.8:5060");
    w.b2bua.start(w.stamp());
    w.wire.run(60s);
    CHECK(requests.empty());  // its name leads nowhere
    w.b2bua.reload(w.stamp(), with({first, silent()}));
    w.wire.run(0s);
    REQUIRE(requests.size() == 1);
    CHECK(sip::to_text(requests[0].uri()) == "sip:pbx.example");
    CHECK(requests[0].first("To")->find("<sip:sheaf@pbx.example>") == 0);
    w.b2bua.reload(w.stamp(), with({silent(), first}));
    w.wire.run(451s);
    REQUIRE(requests.size() == 2);  // it was refreshed in its time, there
    CHECK(*requests[1].first("Call-ID") == *requests[0].first("Call-ID"));
    w.b2bua.reload(w.stamp(), with({silent()}));
    w.wire.run(0s);
    REQUIRE(requests.size() == 3);
    CHECK(*requests[2].first("Expires") == "0");
    CHECK(w.wire.count_seen("REGISTER sip:carrier.example SIP/2.0\r\n") == 1);
}

TEST_CASE("who is registered with by TCP is told to call by TCP, also where the name has no transport") {
    auto settings = settings_with({named("sip:carrier.example", "tcp:127.0.0.9:5060")});
    settings.trunks[0].account = sip::Account{"sheaf", "secret"};
    settings.trunks[0].registers = true;
    World w(settings);
    w.b2bua.start(w.stamp());
    w.wire.run(0s);
    CHECK(w.wire.last_seen("REGISTER").find("Contact: <sip:sheaf@127.0.0.1;transport=tcp>") != std::string::npos);
}

TEST_CASE("an address that is asked whether it is there is asked by the name that it has by now") {
    auto settings = settings_with({there()});
    settings.ask_every = 30s;
    World w(settings);
    w.b2bua.start(w.stamp());
    settings.trunks[0].addresses = {named("sip:other.example", "udp:127.0.0.9:5060")};
    w.b2bua.reload(w.stamp(), settings);
    w.wire.run(31s);
    CHECK(w.wire.count_seen("OPTIONS sip:other.example SIP/2.0\r\n") >= 1);
    CHECK(w.wire.count_seen("OPTIONS sip:carrier.example") == 0);
}
