// SPDX-License-Identifier: Apache-2.0
#include "b2bua/history.h"

#include "b2bua/test_world.h"

using namespace sheaf;
using namespace sheaf::b2bua;
using namespace sheaf::b2bua::test;

namespace {

using Headers = std::vector<sip::Header>;
using Diversions = std::vector<exchange::Diversion>;

sip::Message with(const Headers& headers) {
    sip::Message message;
    message.start = sip::RequestLine{"INVITE", uri("sip:8000@127.0.0.1")};
    for (const auto& header : headers) message.add(header.name, header.value);
    return message;
}

exchange::PlaceLeg to(exchange::DeviceKind kind, const std::string& name) {
    exchange::PlaceLeg order;
    order.leg = LegId("leg-o");
    order.room = RoomId("u1");
    order.to = {kind, name};
    order.number = "+3399";
    order.calling = exchange::kAnonymous;
    order.withheld = exchange::Withheld{"+4420", "Ada"};
    order.diversions = {{"+441", "user-busy"}};
    return order;
}

}  // namespace

TEST_CASE("Privacy: whose identity and which history is to be kept") {
    const auto privacy = [](const std::string& value) { return privacy_of(with({{"Privacy", value}})); };
    CHECK(privacy("id").of_identity);
    CHECK_FALSE(privacy("id").of_history);
    CHECK(privacy("User; critical").of_identity);
    CHECK(privacy("header").of_identity);
    CHECK(privacy("header").of_history);
    CHECK(privacy("history").of_history);
    CHECK_FALSE(privacy("history").of_identity);
    CHECK(privacy("session,id").of_identity);
    for (const char* nothing : {"none", "session", "", ";;,", "identity"}) {
        CAPTURE(nothing);
        CHECK_FALSE(privacy(nothing).of_identity);
        CHECK_FALSE(privacy(nothing).of_history);
    }
    CHECK_FALSE(privacy_of(with({})).of_identity);
}

TEST_CASE("History-Info: each number that was left, and why, in the order of the way (RFC 7044 §8)") {
    // Bob's phone is busy, his voice mail answers nothing: RFC 7044 appendix B, with RFC 4458's causes.
    const Headers told{
        {"History-Info", "<sip:bob@example.com>;index=1, <sip:bob@192.0.2.4?Reason=SIP%3Bcause%3D486>;index=1.1;rc=1"},
        {"History-Info", "<sip:office@example.com;cause=486>;index=1.2;mp=1"},
        {"History-Info", "<sip:8000@192.0.2.5;cause=408>;index=1.2.1;mp=1.2"}};
    CHECK(diversions_of(with(told)) == Diversions{{"bob", "user-busy"}, {"office", "no-answer"}});
    // The same, out of order.
    CHECK(diversions_of(with({told[2], told[0], told[1]})) == diversions_of(with(told)));
    CHECK(diversions_of(with({{"History-Info", "<sip:8000@example.com>;index=1"}})).empty());
    CHECK(diversions_of(with({{"History-Info", "<tel:+44-20-7946>;index=1"},
                              {"History-Info", "<sip:8000@example.com;cause=302>;index=1.1;mp=1"}})) ==
          Diversions{{"+44207946", "unconditional"}});
    // A cause that RFC 4458 does not know.
    CHECK(diversions_of(with({{"History-Info", "<sip:a@b>;index=1, <sip:c@d;cause=999>;index=1.1;mp=1"}})) ==
          Diversions{{"a", "unknown"}});
}

TEST_CASE("a server on the way to the same number is no diversion") {
    CHECK(diversions_of(with({{"History-Info", "<sip:bob@a>;index=1, <sip:bob@b>;index=1.1;rc=1"}})).empty());
}

TEST_CASE("Diversion: the header's first is the latest (RFC 5806)") {
    const Headers told{{"Diversion", "\"B\" <sip:+442@gw>;reason=no-answer;counter=1;privacy=off"},
                       {"Diversion", "<sip:+441@gw>;reason=USER-BUSY"}};
    CHECK(diversions_of(with(told)) == Diversions{{"+441", "user-busy"}, {"+442", "no-answer"}});
    CHECK(diversions_of(with({{"Diversion", "<sip:+441@gw>"}})) == Diversions{{"+441", "unknown"}});
    // History-Info says more: it is preferred.
    auto both = told;
    both.push_back({"History-Info", "<sip:a@b>;index=1, <sip:c@d;cause=302>;index=1.1;mp=1"});
    CHECK(diversions_of(with(both)) == Diversions{{"a", "unconditional"}});
}

TEST_CASE("what is private is left out, and nonsense") {
    CHECK(diversions_of(with({{"Diversion", "<sip:+441@gw>;reason=away;privacy=full"}})).empty());
    CHECK(diversions_of(with({{"Diversion", "<sip:+441@gw>"}, {"Privacy", "history"}})).empty());
    CHECK(
        diversions_of(with({{"History-Info", "<sip:a@b?Privacy=history>;index=1, <sip:c@d;cause=302>;index=1.1;mp=1"}}))
            .empty());
    for (const char* nonsense : {"", "<", "a b c", "<sip:@x>;index=1", "<sip:a@b>;index=1.x, <sip:c@d>;index=-1"}) {
        CAPTURE(nonsense);
        CHECK(diversions_of(with({{"History-Info", nonsense}})).empty());
        if (std::string_view(nonsense).find("a@b") == std::string_view::npos)
            CHECK(diversions_of(with({{"Diversion", nonsense}})).empty());
    }
}

TEST_CASE("of more than there is room for the first and the latest are kept") {
    Headers many;
    for (int i = 0; i < 100; ++i) many.push_back({"Diversion", "<sip:" + std::to_string(i) + "@gw>;reason=away"});
    const auto kept = diversions_of(with(many));
    REQUIRE(kept.size() == exchange::kDiversionsMax);
    CHECK(kept.front().number == std::to_string(kHistoryMax - 1));  // of those that are read
    CHECK(kept.back().number == "0");
}

TEST_CASE("what is written is what is read") {
    const Diversions way{{"+441", "user-busy"}, {"8000", "unavailable"}, {"+442", "unknown"}};
    const auto headers = history_headers(way, uri("sip:+443@192.0.2.9"), "127.0.0.1:5060");
    CHECK(headers.size() == 7);
    CHECK(headers[0].value == "<sip:+441@127.0.0.1>;index=1");
    CHECK(headers[1].value == "<sip:8000@127.0.0.1;cause=486>;index=1.1;mp=1");
    CHECK(headers[3].value == "<sip:+443@192.0.2.9;cause=404>;index=1.1.1.1;mp=1.1.1");
    CHECK(headers[4].value == "<sip:+442@127.0.0.1>;reason=unknown;counter=1");
    CHECK(diversions_of(with(headers)) == way);
    CHECK(diversions_of(with({headers[4], headers[5], headers[6]})) == way);
    CHECK(history_headers({}, uri("sip:+443@192.0.2.9"), "h").empty());
}

TEST_CASE("who calls withheld is told to trusted peers, and to nobody else") {
    auto settings = World::settings();
    for (const bool trusted : {true, false}) {
        CAPTURE(trusted);
        settings.trunks.front().trusted = trusted;
        World w(settings);
        w.order(to(exchange::DeviceKind::trunk, "carrier"));
        const auto sent = w.wire.last_seen("INVITE sip:+3399@127.0.0.9");
        CHECK(sent.find("From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=") != std::string::npos);
        CHECK((sent.find("P-Asserted-Identity: \"Ada\" <sip:+4420@") != std::string::npos) == trusted);
        CHECK((sent.find("Privacy: id") != std::string::npos) == trusted);
        CHECK((sent.find("Diversion: <sip:+441@") != std::string::npos) == trusted);
        CHECK((sent.find("History-Info: <sip:+441@") != std::string::npos) == trusted);
        CHECK((sent.find("+4420") != std::string::npos) == trusted);
        w.end(LegId("leg-o"));
        w.must_be_clean();
    }
    World w;
    auto order = w.to_phone();
    order.calling = exchange::kAnonymous;
    order.withheld = exchange::Withheld{"+4420", "Ada"};
    w.order(order);
    const auto sent = w.wire.last_seen("INVITE sip:1001@");
    REQUIRE_FALSE(sent.empty());
    CHECK(sent.find("From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=") != std::string::npos);
    CHECK(sent.find("+4420") == std::string::npos);
    CHECK(sent.find("Ada") == std::string::npos);
    w.end(order.leg);
    w.must_be_clean();
}

TEST_CASE(
    "a caller who withholds is anonymous to the exchange, its number passes beside; a trunk that is not trusted is not "
    "believed") {
    const Headers headers{{"P-Asserted-Identity", "\"Bob\" <sip:+3312@carrier>"},
                          {"Privacy", "id"},
                          {"Diversion", "<sip:+441@gw>;reason=away"}};
    World w;
    w.call(w.carrier, "8000", headers);
    const auto* offered = w.last<exchange::LegOffered>();
    CHECK(offered->calling == exchange::kAnonymous);
    CHECK(offered->calling_name.empty());
    CHECK(offered->withheld == exchange::Withheld{"+3312", "Bob"});
    CHECK(offered->diversions == Diversions{{"+441", "unknown"}});
    w.call(w.stranger, "8000", headers);
    CHECK(w.last<exchange::LegOffered>()->withheld == exchange::Withheld{"+4420", ""});
    CHECK(w.last<exchange::LegOffered>()->diversions.empty());
    auto settings = World::settings();
    settings.trunks.front().trusted = false;
    World other(settings);
    other.call(other.carrier, "8000", headers);
    CHECK(other.last<exchange::LegOffered>()->withheld == exchange::Withheld{"+4420", ""});
    CHECK(other.last<exchange::LegOffered>()->diversions.empty());
}
