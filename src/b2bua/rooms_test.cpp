// SPDX-License-Identifier: Apache-2.0
#include "b2bua/media_servers.h"
#include "b2bua/test_world.h"

using namespace sheaf;
using namespace sheaf::b2bua;
using namespace sheaf::b2bua::test;

TEST_CASE("a leg leaves its room for none, and enters one from there") {
    World w;
    const auto leg = w.answered_call();
    w.order(exchange::MoveLeg{leg, RoomId{}});
    REQUIRE(w.media.commands.size() == 1);
    CHECK(w.media.commands[0].find("<unjoin id1=\"conn:") != std::string::npos);
    CHECK(w.media.commands[0].find("id2=\"conf:u1\"/>") != std::string::npos);
    CHECK(w.b2bua.counts().rooms == 1);  // it keeps its place there
    w.order(exchange::MoveLeg{leg, RoomId{}});
    CHECK(w.media.commands.size() == 1);
    w.order(exchange::MoveLeg{leg, RoomId("u2")});
    CHECK(w.media.commands[1].find("<join id1=\"conn:") != std::string::npos);
    CHECK(w.media.commands[1].find("id2=\"conf:u2\"/>") != std::string::npos);
    CHECK(w.b2bua.counts().rooms == 1);
    w.order(exchange::MoveLeg{leg, RoomId{}});
    w.end(leg);
    w.must_be_clean();
}

TEST_CASE("a leg that cannot leave its room would be heard there: it ends") {
    World w;
    const auto leg = w.answered_call();
    w.media.refuse_command = "unjoin";
    w.order(exchange::MoveLeg{leg, RoomId{}});
    REQUIRE(w.last<exchange::LegEnded>() != nullptr);
    CHECK(w.last<exchange::LegEnded>()->cause == exchange::Cause::lost_control);
    w.must_be_clean();
}

TEST_CASE("a leg moved while its media server is silent begins with the next one where it is to be") {
    auto settings = World::settings();
    settings.media = {peer("sip:127.0.0.1:5071"), peer("sip:127.0.0.1:5070")};
    for (const bool to_none : {false, true}) {
        CAPTURE(to_none);
        World w(settings);
        w.call(w.carrier, "8000");
        const auto leg = w.last<exchange::LegOffered>()->leg;
        w.order(exchange::AnswerLeg{leg, RoomId("u1"), CallUuid("u1")});
        w.order(exchange::MoveLeg{leg, to_none ? RoomId{} : RoomId("u2")});
        w.wire.run(3s);
        CHECK(w.media.targets == std::vector<std::string>{to_none ? "msml" : "msml=u2"});
        CHECK(w.media.commands.empty());
        CHECK(w.count<exchange::LegConnected>() == 1);
        CHECK(w.b2bua.counts().rooms == (to_none ? 0 : 1));
        w.end(leg);
        w.must_be_clean();
    }
}

TEST_CASE("the legs of a bound room go to the media server of the room it is bound to") {
    auto settings = World::settings();
    settings.media = {peer("sip:127.0.0.1:5070"), peer("sip:127.0.0.1:5072")};
    World w(settings);
    MediaDouble second(w.wire.add("media-2", {"udp:127.0.0.1:5072"}));
    const auto leg = w.answered_call();
    w.order(exchange::BindRoom{RoomId("u1c"), RoomId("u1")});
    auto order = w.to_phone();
    order.room = RoomId("u1c");
    w.order(order);
    CHECK(w.media.targets == std::vector<std::string>{"msml=u1", "msml=u1c"});
    CHECK(second.targets.empty());
    order.leg = LegId("leg-b");
    order.room = RoomId("other");
    w.order(order);  // one that is not goes on in turn
    CHECK(second.targets == std::vector<std::string>{"msml=other"});
    w.order(exchange::MoveLeg{leg, RoomId("u1c")});
    CHECK(w.count<exchange::LegEnded>() == 0);
    for (const auto& id : {leg, LegId("leg-a"), LegId("leg-b")}) w.end(id);
    w.must_be_clean();
}

TEST_CASE(
    "a leg that is out of its room for a while comes back to the server where it stands, whoever comes meanwhile") {
    auto settings = World::settings();
    settings.media = {peer("sip:127.0.0.1:5070"), peer("sip:127.0.0.1:5072")};
    World w(settings);
    MediaDouble second(w.wire.add("media-2", {"udp:127.0.0.1:5072"}));
    const auto leg = w.answered_call();
    w.order(exchange::MoveLeg{leg, RoomId{}});  // it holds, and nobody else is there
    auto order = w.to_phone();
    order.room = RoomId("u1");
    w.order(order);
    CHECK(second.targets.empty());
    w.order(exchange::MoveLeg{leg, RoomId("u1")});
    CHECK(w.count<exchange::LegEnded>() == 0);
    for (const auto& id : {leg, LegId("leg-a")}) w.end(id);
    w.must_be_clean();
}

TEST_CASE("a bound room is forgotten with the one it is bound to, and nothing is bound to what is not there") {
    MediaServers servers(2);
    const Instant now{};
    servers.bind(RoomId("b"), RoomId("a"));
    CHECK(servers.rooms() == 0);
    REQUIRE(servers.enter(RoomId("a"), {}, now) == 0);
    servers.bind(RoomId("b"), RoomId("a"));
    servers.bind(RoomId("c"), RoomId("b"));  // by way of b, though nobody is there yet
    servers.bind(RoomId("a"), RoomId("a"));
    CHECK(servers.enter(RoomId("x"), {}, now) == 1);
    CHECK(servers.enter(RoomId("b"), {}, now) == 0);
    CHECK(servers.enter(RoomId("c"), {}, now) == 0);
    servers.bind(RoomId("x"), RoomId("a"));  // it stands elsewhere: that is that
    CHECK(!servers.join(RoomId("x"), 0));
    servers.leave(RoomId("b"));
    CHECK(servers.enter(RoomId("b"), {}, now) == 0);  // still bound
    servers.leave(RoomId("a"));
    servers.leave(RoomId("b"));
    servers.leave(RoomId("c"));
    servers.leave(RoomId("x"));
    CHECK(servers.rooms() == 0);
    servers.leave(RoomId("x"));
    CHECK(servers.enter(RoomId{}, {0}, now) == 1);  // joined to nothing: a server, no place
    CHECK(servers.rooms() == 0);
}
