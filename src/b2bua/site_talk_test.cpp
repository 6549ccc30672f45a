// SPDX-License-Identifier: Apache-2.0
#include <boost/json.hpp>

#include "b2bua/sheaf_call.h"
#include "b2bua/test_world.h"

using namespace sheaf;
using namespace sheaf::b2bua;
using namespace sheaf::b2bua::test;

namespace {

exchange::SiteState state(const std::string& root = "u0") {
    exchange::SiteState out;
    out.seq = 7;
    out.root = CallUuid(root);
    out.parties = {{"customer", "+4420", "C"}, {"agent", "1001", "J\xc3\xb6rg"}};
    out.held = {{"agent", "1002", ""}};
    out.paused = exchange::SitePause{"agent 1001", "p1", 1'767'605'400'123, 250};
    return out;
}

struct Told : World {
    LegId leg;
    Told() : leg(site_leg()) {}
    // What paris was told, each answered with `status` unless that is 0.
    std::vector<exchange::SiteState> told(int status = 200) {
        std::vector<exchange::SiteState> out;
        std::vector<sip::ServerRequest> ids;
        for (const auto& event : paris.heard) {
            const auto* e = std::get_if<sip::Requested>(&event);
            if (e == nullptr || e->request.method() != "INFO") continue;
            CHECK(*e->request.first("Info-Package") == "sheaf-call");
            CHECK(*e->request.first("Content-Type") == "application/json");
            const auto read = sheaf_call_from_text(e->request.body);
            REQUIRE(read);
            out.push_back(*read);
            ids.push_back(e->id);
        }
        if (status == 0) return out;
        std::erase_if(paris.heard, [](const sip::Event& e) { return std::holds_alternative<sip::Requested>(e); });
        for (const auto id : ids) paris.ua->respond(wire.now, id, status);
        wire.settle();
        return out;
    }
    int say(Node& from, sip::DialogId dialog, const std::string& body, const std::string& package = "sheaf-call") {
        std::vector<sip::Header> headers;
        if (!package.empty()) headers.push_back({"Info-Package", package});
        static_cast<void>(from.ua->request(wire.now, dialog, "INFO", headers, "application/json", body));
        wire.settle();
        return from.last<sip::Responded>()->status;
    }
    int say(std::uint64_t seq) {
        auto said = state();
        said.seq = seq;
        return say(paris, site, to_sheaf_call(said));
    }
    void clean() {
        end(leg);
        must_be_clean();
    }
};

}  // namespace

TEST_CASE("the state of a call is the documented text") {
    const auto text = to_sheaf_call(state());
    // docs/formats/sheaf-call.md has this example.
    CHECK(text == R"({"seq":7,"root":"u0","parties":[{"role":"customer","address":"+4420","name":"C"},)"
                  R"({"role":"agent","address":"1001","name":"J)"
                  "\xc3\xb6"
                  R"(rg"}],"held":[{"role":"agent","address":"1002","name":""}],)"
                  R"("paused":{"by":"agent 1001","id":"p1","at":"2026-01-05T09:30:00.123Z","ago_ms":250}})");
    CHECK(sheaf_call_from_text(text) == state());
    auto plain = state();
    plain.paused.reset();
    CHECK(to_sheaf_call(plain).ends_with(R"("paused":null})"));
    CHECK(sheaf_call_from_text(to_sheaf_call(plain)) == plain);
}

TEST_CASE("a state that breaks a rule is not read") {
    const auto good = to_sheaf_call(state());
    const std::vector<std::pair<std::string, std::string>> cases{
        {R"("seq":7)", R"("seq":0)"},          {R"("seq":7)", R"("seq":"7")"},
        {R"("root":"u0")", R"("root":"")"},    {R"("root":"u0",)", ""},
        {R"("held":[)", R"("hold":[)"},        {R"("role":"agent")", R"("role":3)"},
        {R"("name":"C")", R"("name":7)"},      {R"("paused":{)", R"("pause":{)"},
        {R"("id":"p1")", R"("id":"")"},        {"2026-01-05T", "yesterdayT"},
        {R"("ago_ms":250)", R"("ago_ms":-1)"}, {R"("ago_ms":250)", R"("ago_ms":86400001)"},
        {"+4420", std::string(129, '4')},
    };
    for (const auto& [from, to] : cases) {
        CAPTURE(to);
        auto text = good;
        REQUIRE(text.find(from) != std::string::npos);
        text.replace(text.find(from), from.size(), to);
        CHECK(!sheaf_call_from_text(text));
    }
    for (const auto* text : {"", "[]", "{", "7", R"({"seq":1,"root":"u","parties":[1],"held":[],"paused":null})"}) {
        CAPTURE(text);
        CHECK(!sheaf_call_from_text(text));
    }
    CHECK(sheaf_call_from_text(R"({"seq":1,"root":"u","parties":[],"held":[],"paused":null,"further":[]})"));
    const auto plain = sheaf_call_from_text(R"({"seq":1,"root":"u","parties":[{"role":"customer","address":"+44"},
        {"role":"agent","address":"1001","name":null}],"held":[],
        "paused":{"by":"1001","id":"p","at":"2026-01-05T09:30:00.123Z"}})");
    REQUIRE(plain);
    CHECK(plain->parties.at(0).name.empty());
    CHECK(plain->parties.at(1).name.empty());
    REQUIRE(plain->paused);
    CHECK(plain->paused->ago_ms == 0);
    CHECK(!sheaf_call_from_text(good + std::string(kSheafCallBytesMax, ' ')));
}

TEST_CASE("no more parties than the limit are told or read, and what is told fits") {
    auto many = state();
    const exchange::SiteParty wide{"agent", std::string(200, '1'), std::string(200, 'n')};
    many.parties.assign(exchange::kSitePartiesMax + 5, wide);
    many.held.assign(exchange::kSitePartiesMax, wide);
    const auto text = to_sheaf_call(many);
    const auto read = sheaf_call_from_text(text);
    REQUIRE(read);
    CHECK(read->parties.size() == exchange::kSitePartiesMax);
    auto object = boost::json::parse(text).as_object();
    object["held"].as_array().push_back(object["held"].as_array()[0]);
    CHECK(!sheaf_call_from_text(boost::json::serialize(object)));
}

TEST_CASE("a site is told in order, one at a time, and of what waits only the newest") {
    Told w;
    w.order(exchange::TellLeg{w.leg, state("first")});
    w.order(exchange::TellLeg{w.leg, state("second")});
    w.order(exchange::TellLeg{w.leg, state("third")});
    auto heard = w.told();
    REQUIRE(heard.size() == 1);
    CHECK(heard[0].root == CallUuid("first"));
    CHECK(heard[0].seq == 1);  // ours, whatever the exchange wrote there
    heard = w.told();
    REQUIRE(heard.size() == 1);
    CHECK(heard[0].root == CallUuid("third"));
    CHECK(heard[0].seq == 2);
    CHECK(w.told().empty());
    w.clean();
}

TEST_CASE("a pause that waited to be told is told from longer ago") {
    Told w;
    w.order(exchange::TellLeg{w.leg, state()});
    w.order(exchange::TellLeg{w.leg, state()});
    CHECK(w.told(0)[0].paused->ago_ms == 250);
    w.wire.run(2s);
    w.told();
    CHECK(w.told()[0].paused->ago_ms == 2'250);
    w.clean();
}

TEST_CASE("a state that overtook its answer, or was overtaken itself, is told anew; a refused one is not") {
    Told w;
    w.order(exchange::TellLeg{w.leg, state("a")});
    CHECK(w.told(500).size() == 1);
    CHECK(w.told(500)[0].seq == 2);
    CHECK(w.told(500)[0].seq == 3);
    CHECK(w.told().empty());  // three times are enough
    w.order(exchange::TellLeg{w.leg, state("b")});
    CHECK(w.told(400).size() == 1);
    CHECK(w.told().empty());
    CHECK(w.logged("a site does not take the state of a call"));
    w.order(exchange::TellLeg{w.leg, state("c")});
    CHECK(w.told(469).size() == 1);
    w.order(exchange::TellLeg{w.leg, state("d")});
    CHECK(w.told().empty());  // it said that it does not take the package
    CHECK(w.count<exchange::LegEnded>() == 0);
    w.clean();
}

TEST_CASE("a state waits for the answer, and a peer that does not take the package is not told") {
    World w;
    auto order = w.to_phone("leg-p");
    order.to = {exchange::DeviceKind::site, "paris"};
    w.order(order);
    CHECK(*w.paris.last<sip::Invited>()->request.first("Recv-Info") == "sheaf-call");
    w.order(exchange::TellLeg{LegId("leg-p"), state()});
    CHECK(w.wire.count_seen("INFO sip:paris") == 0);
    w.paris.ua->answer(w.wire.now, w.paris.last<sip::Invited>()->dialog, sdp_of("127.0.0.2", 30'000));
    w.wire.settle();
    CHECK(w.paris.count<sip::Requested>() == 0);
    // As the called side: paris's INVITE says what it takes.
    const auto leg = w.call_of_site();
    CHECK(*w.paris.last<sip::Answered>()->response.first("Recv-Info") == "sheaf-call");
    w.order(exchange::TellLeg{leg, state()});
    CHECK(w.paris.last<sip::Requested>()->request.method() == "INFO");
    w.order(exchange::TellLeg{w.answered_call(), state()});  // a trunk is told nothing
    CHECK(w.carrier.count<sip::Requested>() == 0);
}

TEST_CASE("a site tells: newer states are heard, older and repeated ones are answered and left out") {
    Told w;
    CHECK(w.say(3) == 200);
    REQUIRE(w.count<exchange::LegTold>() == 1);
    auto heard = state();
    heard.seq = 3;
    CHECK(w.last<exchange::LegTold>()->leg == w.leg);
    CHECK(w.last<exchange::LegTold>()->state == heard);
    CHECK(w.paris.last<sip::Responded>()->response->first("X-Sheaf-Pivot") != nullptr);
    CHECK(w.say(2) == 200);
    CHECK(w.say(3) == 200);
    CHECK(w.count<exchange::LegTold>() == 1);
    CHECK(w.say(4) == 200);
    CHECK(w.count<exchange::LegTold>() == 2);
    w.clean();
}

TEST_CASE("what is not the package, not from a site, or not to be read is refused precisely") {
    Told w;
    const auto customer = w.answered_call();
    CHECK(w.say(w.paris, w.site, to_sheaf_call(state()), "other") == 469);
    CHECK(*w.paris.last<sip::Responded>()->response->first("Recv-Info") == "sheaf-call");
    CHECK(w.say(w.carrier, w.customer, to_sheaf_call(state())) == 469);
    CHECK(w.carrier.last<sip::Responded>()->response->first("Recv-Info")->empty());
    CHECK(w.say(w.carrier, w.customer, "body", "") == 415);
    CHECK(w.say(w.paris, w.site, "", "") == 200);
    w.logs.clear();
    CHECK(w.say(w.paris, w.site, "{}") == 400);
    CHECK(w.logs.size() == 1);
    CHECK(w.logged("state of a call that does not parse"));
    CHECK(w.count<exchange::LegTold>() == 0);
    CHECK(w.say(1) == 200);  // the call and its count are as they were
    CHECK(w.count<exchange::LegTold>() == 1);
    w.end(customer);
    w.clean();
}

TEST_CASE("a state that overtakes the answer is told after it") {
    World w;
    auto order = w.to_phone("leg-p");
    order.to = {exchange::DeviceKind::site, "paris"};
    w.order(order);
    const auto dialog = w.paris.last<sip::Invited>()->dialog;
    w.paris.ua->provisional(w.wire.now, dialog, 180, {{"X-Sheaf-Call", "u2"}});
    w.wire.settle();
    CHECK(w.last<exchange::LegAlerting>()->peer_call == CallUuid("u2"));
    static_cast<void>(w.paris.ua->request(w.wire.now, dialog, "INFO", {{"Info-Package", "sheaf-call"}},
                                          "application/json", to_sheaf_call(state())));
    w.wire.settle();
    CHECK(w.count<exchange::LegTold>() == 0);
    w.paris.ua->answer(w.wire.now, dialog, sdp_of("127.0.0.2", 30'000));
    w.wire.settle();
    REQUIRE(w.count<exchange::LegTold>() == 1);
    CHECK(std::holds_alternative<exchange::LegTold>(w.events.back()));
    w.end(LegId("leg-p"));
    w.must_be_clean();
}

TEST_CASE("a leg that ends while a state is on its way leaves nothing behind") {
    Told w;
    w.order(exchange::TellLeg{w.leg, state()});
    w.order(exchange::TellLeg{w.leg, state()});
    w.clean();
}

TEST_CASE("a site is asked whether it is still there; one that has gone or has forgotten the call ends its leg") {
    Told w;
    int status = 200;
    std::size_t asked = 0;
    w.paris.script = [&](Instant now, const sip::Event& event) {
        const auto* e = std::get_if<sip::Requested>(&event);
        if (e == nullptr || e->request.method() != "OPTIONS") return;
        ++asked;
        w.paris.ua->respond(now, e->id, status);
    };
    w.wire.run(4 * kSiteProbe + 1s);
    CHECK(asked == 4);
    SUBCASE("one that does not know the method is there") {
        status = 501;
        w.wire.run(2 * kSiteProbe);
        CHECK(w.count<exchange::LegEnded>() == 0);
        w.end(w.leg);
    }
    SUBCASE("one that has started anew does not know the call") {
        status = 481;
        w.wire.run(kSiteProbe);
        REQUIRE(w.count<exchange::LegEnded>() == 1);
        CHECK(w.last<exchange::LegEnded>()->cause == exchange::Cause::lost_control);
    }
    SUBCASE("one that is silent is gone when a request's time is over") {
        w.paris.dead = true;
        w.wire.run(kSiteProbe + 33s);
        REQUIRE(w.count<exchange::LegEnded>() == 1);
        CHECK(w.last<exchange::LegEnded>()->leg == w.leg);
    }
    w.must_be_clean();
}
