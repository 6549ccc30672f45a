// SPDX-License-Identifier: Apache-2.0
#include "b2bua/test_world.h"
#include "sip/transaction.h"

// Trunks that are registered with.
using namespace sheaf;
using namespace sheaf::b2bua;
using namespace sheaf::b2bua::test;

namespace {

// A carrier's registrar at 127.0.0.8, and what it was sent.
struct Carrier {
    World w;
    Node& node;
    std::vector<sip::Message> requests;
    std::function<void(Instant, const sip::Requested&)> answer = [this](Instant now, const sip::Requested& e) {
        node.ua->respond(now, e.id, 200, {{"Contact", *e.request.first("Contact") + ";expires=600"}});
    };

    static Settings settings() {
        auto out = World::settings();
        out.trunks.push_back(
            {"pbx", {peer("sip:127.0.0.8:5060"), peer("sip:127.0.0.7:5060")}, sip::Account{"sheaf", "secret"}, true});
        return out;
    }
    Carrier() : w(settings()), node(w.wire.add("registrar", {"udp:127.0.0.8:5060"}, takes_register())) {
        node.script = [this](Instant now, const sip::Event& event) {
            const auto* e = std::get_if<sip::Requested>(&event);
            if (e == nullptr || e->request.method() != "REGISTER") return node.heard.push_back(event);
            requests.push_back(e->request);
            answer(now, *e);
        };
    }
    static sip::UserAgentOptions takes_register() {
        sip::UserAgentOptions options;
        options.allow = {"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER"};
        return options;
    }
    void start() {
        w.b2bua.start(w.stamp());
        w.wire.run(0s);
    }
    [[nodiscard]] const sip::Message& last() const {
        REQUIRE_FALSE(requests.empty());
        return requests.back();
    }
};

}  // namespace

TEST_CASE("a trunk is registered with, by digest, and again when three quarters of the time are over") {
    Carrier c;
    const auto accept = c.answer;
    c.answer = [&](Instant now, const sip::Requested& e) {
        if (e.request.first("Authorization") != nullptr) return accept(now, e);
        c.node.ua->respond(now, e.id, 401,
                           {{"WWW-Authenticate", "Digest realm=\"pbx\", nonce=\"abc\", algorithm=MD5, qop=\"auth\""}});
    };
    c.start();
    REQUIRE(c.requests.size() == 2);
    CHECK(sip::to_text(c.last().uri()) == "sip:127.0.0.8:5060");
    CHECK(c.last().first("To")->find("<sip:sheaf@127.0.0.8:5060>") == 0);
    CHECK(*c.last().first("Contact") == "<sip:sheaf@127.0.0.1>");
    CHECK(*c.last().first("Expires") == "600");
    CHECK(c.last().first("Authorization")->find("username=\"sheaf\"") != std::string::npos);
    CHECK(c.w.logged("registered with a trunk"));
    const auto call_id = *c.last().first("Call-ID");
    const auto cseq = sip::cseq_of(c.last()).number;
    c.w.wire.run(449s);
    CHECK(c.requests.size() == 2);
    c.w.wire.run(2s);
    REQUIRE(c.requests.size() > 2);
    CHECK(*c.requests[2].first("Call-ID") == call_id);
    CHECK(sip::cseq_of(c.requests[2]).number > cseq);
    CHECK(c.w.logs.size() == 1);
}

TEST_CASE("a registrar that wants it longer gets it longer, once") {
    Carrier c;
    const auto accept = c.answer;
    std::string least = "1800";
    c.answer = [&](Instant now, const sip::Requested& e) {
        if (*e.request.first("Expires") == "1800") return accept(now, e);
        c.node.ua->respond(now, e.id, 423, {{"Min-Expires", least}});
    };
    SUBCASE("within reason") {
        c.start();
        REQUIRE(c.requests.size() == 2);
        CHECK(c.w.logged("registered with a trunk"));
    }
    SUBCASE("beyond it") {
        least = "9999999";
        c.start();
        CHECK(c.requests.size() == 1);
        CHECK(c.w.logged("not registered with a trunk"));
    }
}

TEST_CASE("what a registrar refuses is tried again at the next address, later each time") {
    Carrier c;
    c.answer = [&](Instant now, const sip::Requested& e) { c.node.ua->respond(now, e.id, 403); };
    c.start();
    CHECK(c.requests.size() == 1);
    CHECK(c.w.logged("not registered with a trunk"));
    c.w.wire.run(31s);
    CHECK(c.w.wire.last_seen("REGISTER").find("REGISTER sip:127.0.0.7") == 0);
    c.w.wire.run(33s + 60s);  // nobody is there; then back
    CHECK(c.requests.size() == 2);
    c.w.wire.run(1h);
    CHECK(c.requests.size() >= 4);
    CHECK(c.requests.size() <= 8);
}

TEST_CASE("a call to the address that was registered is for the number in To") {
    Carrier c;
    c.start();
    auto invitation = World::invitation_to(c.node, "sheaf", "+4420");
    invitation.body = sdp_of("127.0.0.8", 30'000);
    invitation.content_type = "application/sdp";
    SUBCASE("a number") {
        invitation.to.uri = uri("sip:+442071234567@127.0.0.8");
        c.node.ua->invite(c.w.wire.now, invitation);
        c.w.wire.settle();
        CHECK(c.w.last<exchange::LegOffered>()->called == "+442071234567");
    }
    SUBCASE("none") {
        c.node.ua->invite(c.w.wire.now, invitation);
        c.w.wire.settle();
        CHECK(c.w.last<exchange::LegOffered>()->called == "sheaf");
    }
    CHECK(c.w.last<exchange::LegOffered>()->from == exchange::Device{exchange::DeviceKind::trunk, "pbx"});
    c.w.order(exchange::RejectLeg{c.w.last<exchange::LegOffered>()->leg, 404, {}});
}

TEST_CASE("a registration is undone when the switch stops, or no longer has that trunk") {
    Carrier c;
    c.start();
    CHECK(c.requests.size() == 1);
    SUBCASE("it stops") {
        c.w.b2bua.leave(c.w.stamp());
    }
    SUBCASE("the trunk is gone") {
        c.w.b2bua.reload(c.w.stamp(), World::settings());
    }
    SUBCASE("its password is another") {
        auto settings = Carrier::settings();
        settings.trunks.back().account->password = "new";
        c.w.b2bua.reload(c.w.stamp(), settings);
        c.w.wire.run(0s);
        REQUIRE(c.requests.size() == 3);
        CHECK(*c.requests[1].first("Expires") == "0");
        CHECK(*c.requests[2].first("Expires") == "600");
        CHECK(*c.requests[1].first("Call-ID") != *c.requests[2].first("Call-ID"));
        return;
    }
    c.w.wire.run(0s);
    REQUIRE(c.requests.size() == 2);
    CHECK(*c.last().first("Expires") == "0");
    c.w.wire.run(1h);
    CHECK(c.requests.size() == 2);
}
