// SPDX-License-Identifier: Apache-2.0
#include "b2bua/test_world.h"

using namespace sheaf;
using namespace sheaf::b2bua;
using namespace sheaf::b2bua::test;

namespace {

const std::string kCustomerSdp = sdp_of("127.0.0.9", 30'000);
const std::string kSiteSdp = sdp_of("127.0.0.2", 30'000);

sip::SessionDescription read(const std::string& text) {
    const auto sdp = sip::sdp_from_text(text);
    REQUIRE(sdp);
    return *sdp;
}
std::string audio_at(const std::string& text) {
    const auto sdp = read(text);
    const auto* audio = sip::audio_of(sdp);
    REQUIRE(audio != nullptr);
    return sip::address_of(sdp, *audio) + ":" + std::to_string(audio->port);
}

// A customer of the carrier's trunk and somebody at paris, who hear each other through the media server.
struct Two : World {
    LegId leg;
    LegId over;
    Two() : leg(answered_call()), over(site_leg()) {
        for (Node* one : {&carrier, &paris}) one->heard.clear();
    }
    void begin() {
        order(exchange::MeetLegs{over, leg});
        wire.run(1ms);
    }
    // What the peer is offered, and is yet to answer; empty: nothing.
    [[nodiscard]] static std::string offered_to(const Node& one) {
        const auto* offered = one.last<sip::Reinvited>();
        return offered == nullptr ? std::string() : offered->request.body;
    }
    void answers(Node& one, const std::string& sdp) {
        const auto dialog = one.last<sip::Reinvited>()->dialog;
        one.heard.clear();
        one.ua->answer(wire.now, dialog, sdp);
        wire.settle();
    }
    void refuses(Node& one, int status) {
        const auto dialog = one.last<sip::Reinvited>()->dialog;
        one.heard.clear();
        one.ua->reject(wire.now, dialog, status);
        wire.settle();
    }
    void meet() {
        begin();
        answers(paris, kSiteSdp);
        answers(carrier, kCustomerSdp);
        REQUIRE(media.ended == 2);
    }
    // Both are offered the media server's end again, and take it.
    void come_back(std::initializer_list<Node*> nodes) {
        for (Node* one : nodes) {
            REQUIRE_FALSE(offered_to(*one).empty());
            CHECK(audio_at(offered_to(*one)).find("127.0.0.1:") == 0);
            answers(*one, one == &carrier ? kCustomerSdp : kSiteSdp);
        }
    }
    void clean() {
        end(leg);
        end(over);
        must_be_clean();
    }
};

}  // namespace

TEST_CASE("two whom nothing keeps at the media server come to hear each other end to end, and it has them no more") {
    Two w;
    w.begin();
    CHECK(audio_at(Two::offered_to(w.paris)) == "127.0.0.9:30000");
    CHECK(Two::offered_to(w.carrier).empty());
    w.answers(w.paris, kSiteSdp);
    CHECK(audio_at(Two::offered_to(w.carrier)) == "127.0.0.2:30000");
    CHECK(w.media.ended == 0);  // until both have agreed
    w.answers(w.carrier, kCustomerSdp);
    CHECK(w.media.ended == 2);
    CHECK(Two::offered_to(w.paris).empty());
    SUBCASE("and are at one again as soon as something needs it") {
        w.order(exchange::StartPlay{w.leg, "t1", {"music:default"}, true});
        w.come_back({&w.carrier, &w.paris});
        CHECK(w.media.ended == 2);
    }
    SUBCASE("one hangs up") {
        w.carrier.ua->bye(w.wire.now, w.customer);
        w.wire.settle();
        CHECK(w.last<exchange::LegEnded>()->leg == w.leg);
    }
    SUBCASE("asked for again, there is nothing to do") {
        w.begin();
        w.wire.run(60s);
        CHECK(Two::offered_to(w.paris).empty());
    }
    w.clean();
}

TEST_CASE("to its peer it is the same session, in a later version, on the way there and back") {
    Two w;
    w.begin();
    const auto there = read(Two::offered_to(w.paris));
    w.answers(w.paris, kSiteSdp);
    w.answers(w.carrier, kCustomerSdp);
    w.order(exchange::StartPlay{w.leg, "t1", {"music:default"}, true});
    const auto back = read(Two::offered_to(w.paris));
    CHECK(back.session_id == there.session_id);
    CHECK(back.origin_address == there.origin_address);
    CHECK(back.session_version == there.session_version + 1);
    w.come_back({&w.carrier, &w.paris});
    w.clean();
}

TEST_CASE("who does not take the other's media changes nothing for either") {
    Two w;
    w.begin();
    SUBCASE("the first refuses") {
        w.refuses(w.paris, 488);
        CHECK(Two::offered_to(w.carrier).empty());
        CHECK(Two::offered_to(w.paris).empty());
    }
    SUBCASE("the second refuses") {
        w.answers(w.paris, kSiteSdp);
        w.refuses(w.carrier, 488);
        w.come_back({&w.paris});
    }
    SUBCASE("the first answers with a hold") {
        w.answers(w.paris, sdp_of("127.0.0.2", 30'000, sip::Direction::inactive));
        CHECK(Two::offered_to(w.carrier).empty());
        w.come_back({&w.paris});
    }
    CHECK(w.media.ended == 0);
    CHECK(Two::offered_to(w.carrier).empty());
    w.order(exchange::StartPlay{w.leg, "t1", {"music:default"}, true});
    CHECK(Two::offered_to(w.carrier).empty());
    w.clean();
}

TEST_CASE("whoever has answered otherwise than before is made known to the other") {
    Two w;
    w.begin();
    w.answers(w.paris, kSiteSdp);
    w.answers(w.carrier, sdp_of("127.0.0.9", 30'002));
    CHECK(w.media.ended == 0);
    CHECK(audio_at(Two::offered_to(w.paris)) == "127.0.0.9:30002");
    w.answers(w.paris, kSiteSdp);
    CHECK(w.media.ended == 2);
    CHECK(Two::offered_to(w.carrier).empty());
    w.clean();
}

TEST_CASE("what comes in between keeps both at the media server") {
    Two w;
    w.begin();
    SUBCASE("something is played before the first has answered") {
        w.order(exchange::StartPlay{w.leg, "t1", {"music:default"}, true});
        w.answers(w.paris, kSiteSdp);
        CHECK(Two::offered_to(w.carrier).empty());
        w.come_back({&w.paris});
    }
    SUBCASE("something is played before the second has answered") {
        w.answers(w.paris, kSiteSdp);
        w.order(exchange::StartPlay{w.leg, "t1", {"music:default"}, true});
        w.answers(w.carrier, kCustomerSdp);
        w.come_back({&w.carrier, &w.paris});
    }
    SUBCASE("the first holds before the second has answered") {
        w.answers(w.paris, kSiteSdp);
        w.paris.ua->reinvite(w.wire.now, w.site, sdp_of("127.0.0.2", 30'000, sip::Direction::sendonly));
        w.wire.settle();
        w.wire.run(5s);
        CHECK(w.count<exchange::LegHeld>() == 1);
        w.answers(w.carrier, kCustomerSdp);
        w.wire.run(5s);
        CHECK(audio_at(Two::offered_to(w.carrier)).find("127.0.0.1:") == 0);
        w.answers(w.carrier, kCustomerSdp);
        if (!Two::offered_to(w.paris).empty())
            w.answers(w.paris, sdp_of("127.0.0.2", 30'000, sip::Direction::sendonly));
        CHECK(w.count<exchange::LegRetrieved>() == 0);
    }
    CHECK(w.media.ended == 0);
    w.clean();
}

TEST_CASE("one that goes while they meet leaves the other where it was") {
    Two w;
    w.begin();
    w.answers(w.paris, kSiteSdp);
    w.carrier.ua->bye(w.wire.now, w.customer);
    w.wire.settle();
    CHECK(w.last<exchange::LegEnded>()->leg == w.leg);
    w.come_back({&w.paris});
    CHECK(w.media.ended == 1);
    w.clean();
}

TEST_CASE("those who are to meet wait until nothing needs the media server, and who is shown somebody until it is") {
    Two w;
    w.order(exchange::StartPlay{w.leg, "t1", {"music:default"}, true});
    w.order(exchange::ShowIdentity{w.over, "+4420", "C"});
    w.begin();
    REQUIRE_FALSE(Two::offered_to(w.paris).empty());
    CHECK(audio_at(Two::offered_to(w.paris)).find("127.0.0.1:") == 0);
    w.answers(w.paris, kSiteSdp);
    CHECK(Two::offered_to(w.paris).empty());
    w.order(exchange::StopPlay{w.leg, "t1"});
    w.wire.settle();
    CHECK(audio_at(Two::offered_to(w.paris)) == "127.0.0.9:30000");
    w.answers(w.paris, kSiteSdp);
    w.answers(w.carrier, kCustomerSdp);
    CHECK(w.media.ended == 2);
    w.clean();
}

TEST_CASE("the answer to another re-INVITE is no agreement to the other's media") {
    Two w;
    w.begin();
    w.order(exchange::ShowIdentity{w.leg, "2001", "Zoe"});  // with the media server's description
    REQUIRE_FALSE(Two::offered_to(w.carrier).empty());
    CHECK(audio_at(Two::offered_to(w.carrier)).find("127.0.0.1:") == 0);
    w.answers(w.paris, kSiteSdp);
    w.answers(w.carrier, kCustomerSdp);
    CHECK(w.media.ended == 0);
    w.come_back({&w.paris});
    CHECK(w.media.ended == 0);
    w.clean();
}

TEST_CASE("who describes itself anew while the other is asked stays, and the other comes back") {
    Two w;
    w.begin();
    w.carrier.ua->reinvite(w.wire.now, w.customer, sdp_of("127.0.0.9", 30'004));
    w.wire.settle();
    w.answers(w.paris, kSiteSdp);
    w.wire.run(5s);
    CHECK(Two::offered_to(w.carrier).empty());
    w.come_back({&w.paris});
    CHECK(w.media.ended == 0);
    CHECK(w.media.offers.back().find("m=audio 30000 ") != std::string::npos);  // paris's; the carrier's went before
    w.clean();
}

TEST_CASE("one that takes the first description and not the second is brought back") {
    Two w;
    w.begin();
    w.answers(w.paris, kSiteSdp);
    w.answers(w.carrier, sdp_of("127.0.0.9", 30'002));
    w.refuses(w.paris, 488);
    w.come_back({&w.paris, &w.carrier});
    CHECK(w.media.ended == 0);
    w.clean();
}

TEST_CASE("one that does not come back to the media server has left the call, and what waits to be shown is shown") {
    Two w;
    w.begin();
    SUBCASE("it does not come back") {
        w.answers(w.paris, kSiteSdp);
        w.refuses(w.carrier, 488);
        w.refuses(w.paris, 488);
        CHECK(w.last<exchange::LegEnded>()->leg == w.over);
        w.end(w.leg);
        w.must_be_clean();
    }
    SUBCASE("it is shown somebody although it did not take the other's media") {
        w.order(exchange::ShowIdentity{w.over, "+4420", "C"});
        w.refuses(w.paris, 488);
        REQUIRE(w.paris.last<sip::Reinvited>() != nullptr);
        CHECK(w.paris.last<sip::Reinvited>()->request.first("P-Asserted-Identity") != nullptr);
        w.come_back({&w.paris});
        w.clean();
    }
}

TEST_CASE("a stranger's word about itself is shown to agents' phones, and asserted to nobody else") {
    Two w;
    w.order(exchange::ShowIdentity{w.over, "+4420", "C", true});
    CHECK(w.paris.last<sip::Reinvited>()->request.first("P-Asserted-Identity") == nullptr);
    w.answers(w.paris, kSiteSdp);
    w.clean();
}
