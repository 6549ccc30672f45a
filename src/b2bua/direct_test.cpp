// SPDX-License-Identifier: Apache-2.0
#include "b2bua/test_world.h"

using namespace sheaf;
using namespace sheaf::b2bua;
using namespace sheaf::b2bua::test;

namespace {

const RoomId kRoom("u1");
const std::string kCustomerSdp = sdp_of("127.0.0.9", 30'000);
const std::string kAgentSdp = sdp_of("127.0.0.1", 40'100);

std::string session_of(const std::string& sdp) {
    const auto parsed = sip::sdp_from_text(sdp);
    REQUIRE(parsed);
    return parsed->origin_user + " " + std::to_string(parsed->session_id) + " " + parsed->origin_address;
}

std::uint64_t version_of(const std::string& sdp) {
    const auto parsed = sip::sdp_from_text(sdp);
    return parsed ? parsed->session_version : 0;
}

std::string port_of(const std::string& sdp) {
    const auto at = sdp.find("m=audio ");
    return sdp.substr(at + 8, sdp.find(' ', at + 8) - at - 8);
}

// A customer and an agent who talk end to end.
struct DirectCall : World {
    LegId a;
    LegId b{"leg-a"};
    sip::DialogId agent = 0;

    explicit DirectCall(Settings given = settings()) : World(std::move(given)) {}
    void begin(const std::string& offer = kCustomerSdp) {
        customer = call(carrier, "1001", {}, offer);
        REQUIRE(last<exchange::LegOffered>() != nullptr);
        a = last<exchange::LegOffered>()->leg;
        auto wanted = to_phone();
        wanted.direct = a;
        order(wanted);
        REQUIRE(phone.last<sip::Invited>() != nullptr);
        agent = phone.last<sip::Invited>()->dialog;
    }
    void ring() {
        phone.ua->provisional(wire.now, agent, 180);
        wire.settle();
        order(exchange::RingLeg{a, kRoom, CallUuid("u1")});
    }
    void answer() {
        phone.ua->answer(wire.now, agent, kAgentSdp);
        wire.settle();
        REQUIRE(count<exchange::LegAnswered>() == 1);
        order(exchange::AnswerLeg{a, kRoom, CallUuid("u1")});
        REQUIRE(count<exchange::LegConnected>() == 1);
    }
    void talk() {
        begin();
        ring();
        answer();
    }
    // The phones take what they are offered.
    void follow() {
        for (Node* one : {&carrier, &phone}) {
            const auto* offered = one->last<sip::Reinvited>();
            if (offered == nullptr) continue;
            one->ua->answer(wire.now, offered->dialog, one == &carrier ? kCustomerSdp : kAgentSdp);
        }
        wire.settle();
    }
    [[nodiscard]] std::string offered_to(const Node& one) const {
        const auto* offered = one.last<sip::Reinvited>();
        return offered == nullptr ? std::string() : offered->request.body;
    }
    void over() {
        end(a);
        end(b);
        must_be_clean();
    }
};

}  // namespace

TEST_CASE("what one describes goes to the other as it is, and no media server hears of the call") {
    DirectCall w;
    w.begin();
    CHECK(w.phone.last<sip::Invited>()->request.body == kCustomerSdp);
    w.ring();
    CHECK(w.carrier.last<sip::Progressed>()->response.status() == 180);
    w.answer();
    CHECK(w.carrier.last<sip::Answered>()->response.body == kAgentSdp);
    CHECK(w.media.offers.empty());
    w.carrier.ua->bye(w.wire.now, w.customer);
    w.wire.settle();
    CHECK(w.last<exchange::LegEnded>()->leg == w.a);
    w.end(w.b);
    CHECK(w.phone.count<sip::Ended>() == 1);
    w.must_be_clean();
}

TEST_CASE("early media passes, with the 180 that it came with or after it") {
    for (const bool is_late : {false, true}) {
        CAPTURE(is_late);
        DirectCall w;
        w.begin();
        if (is_late) w.ring();
        w.phone.ua->provisional(w.wire.now, w.agent, 183, {}, kAgentSdp);
        w.wire.settle();
        if (!is_late) w.order(exchange::RingLeg{w.a, kRoom, CallUuid("u1")});
        CHECK(w.carrier.last<sip::Progressed>()->response.status() == 183);
        CHECK(w.carrier.last<sip::Progressed>()->response.body == kAgentSdp);
        w.answer();
        CHECK(w.carrier.last<sip::Answered>()->response.body == kAgentSdp);
        w.over();
    }
}

TEST_CASE(
    "another fork may answer than was heard early: the answer stays what it was, and the other comes as an offer") {
    DirectCall w;
    w.begin();
    w.ring();
    const auto first = sdp_of("127.0.0.77", 40'700);
    w.phone.ua->provisional(w.wire.now, w.agent, 183, {}, first);
    w.wire.settle();
    CHECK(w.carrier.last<sip::Progressed>()->response.body == first);
    const auto before = w.carrier.count<sip::Progressed>();
    w.phone.ua->provisional(w.wire.now, w.agent, 183, {}, sdp_of("127.0.0.78", 40'800));
    w.wire.settle();
    CHECK(w.carrier.count<sip::Progressed>() == before);
    w.answer();
    CHECK(w.carrier.last<sip::Answered>()->response.body == first);
    const auto offered = w.offered_to(w.carrier);
    REQUIRE_FALSE(offered.empty());
    CHECK(session_of(offered) == session_of(first));
    CHECK(version_of(offered) == version_of(first) + 1);
    CHECK(port_of(offered) == port_of(kAgentSdp));
    w.carrier.ua->answer(w.wire.now, w.carrier.last<sip::Reinvited>()->dialog, kCustomerSdp);
    w.wire.settle();
    CHECK(w.media.offers.empty());
    w.over();
}

TEST_CASE("music brings both to the media server: each is offered the same session in a later version") {
    DirectCall w;
    w.talk();
    w.order(exchange::StartPlay{w.a, "t1", {"music:hold"}, true});
    CHECK(w.media.targets == std::vector<std::string>{"msml=u1", "msml=u1"});
    CHECK(w.media.offers == std::vector<std::string>{"", ""});
    CHECK(session_of(w.offered_to(w.carrier)) == session_of(kAgentSdp));
    CHECK(session_of(w.offered_to(w.phone)) == session_of(kCustomerSdp));
    CHECK(version_of(w.offered_to(w.carrier)) == version_of(kAgentSdp) + 1);
    CHECK(version_of(w.offered_to(w.phone)) == version_of(kCustomerSdp) + 1);
    CHECK(port_of(w.offered_to(w.carrier)) != port_of(w.offered_to(w.phone)));
    w.follow();
    CHECK(w.media.offers == std::vector<std::string>{"", "", kCustomerSdp, kAgentSdp});
    REQUIRE(w.media.commands.size() == 1);
    CHECK(w.media.commands[0].find("music:hold") != std::string::npos);
    CHECK(w.count<exchange::LegEnded>() == 0);
    // From now on it is a call like any other.
    w.carrier.ua->reinvite(w.wire.now, w.customer, sdp_of("127.0.0.9", 30'000, sip::Direction::sendonly));
    w.wire.settle();
    CHECK(w.count<exchange::LegHeld>() == 1);
    CHECK(session_of(w.carrier.last<sip::Answered>()->response.body) == session_of(kAgentSdp));
    CHECK(version_of(w.carrier.last<sip::Answered>()->response.body) == version_of(kAgentSdp) + 2);
    w.over();
}

TEST_CASE("who is being shown somebody when both come to the media server is offered that afterwards") {
    for (const bool is_agent : {false, true}) {
        CAPTURE(is_agent);
        DirectCall w;
        w.talk();
        Node& shown = is_agent ? w.phone : w.carrier;
        w.order(exchange::ShowIdentity{is_agent ? w.b : w.a, "1009", "Eve"});
        REQUIRE(shown.last<sip::Reinvited>() != nullptr);
        w.order(exchange::StartPlay{w.a, "t1", {"music:hold"}, true});
        const auto before = shown.count<sip::Reinvited>();
        CHECK(before == 1);
        shown.ua->answer(w.wire.now, shown.last<sip::Reinvited>()->dialog, is_agent ? kAgentSdp : kCustomerSdp);
        w.wire.settle();
        CHECK(shown.count<sip::Reinvited>() == 2);
        CHECK(port_of(w.offered_to(shown)) != port_of(is_agent ? kCustomerSdp : kAgentSdp));
        w.follow();
        CHECK(w.count<exchange::LegEnded>() == 0);
        w.over();
    }
}

TEST_CASE("a recording is started as soon as the media server has the leg") {
    DirectCall w;
    w.talk();
    w.order(exchange::StartRecording{w.b, SegmentId("s1"), CallUuid("u1"), ConnectionId("c1"), {}});
    w.follow();
    REQUIRE(w.media.commands.size() == 1);
    CHECK(w.media.commands[0].find("segment=\"s1\"") != std::string::npos);
    CHECK(w.count<exchange::RecordingFailed>() == 0);
    w.over();
}

TEST_CASE("a hold by either phone is answered by the media server, and the other follows") {
    for (const bool by_agent : {false, true}) {
        CAPTURE(by_agent);
        DirectCall w;
        w.talk();
        Node& holder = by_agent ? w.phone : w.carrier;
        const auto hold = by_agent ? sdp_of("127.0.0.1", 40'100, sip::Direction::sendonly)
                                   : sdp_of("127.0.0.9", 30'000, sip::Direction::sendonly);
        holder.ua->reinvite(w.wire.now, by_agent ? w.agent : w.customer, hold);
        w.wire.settle();
        REQUIRE(w.count<exchange::LegHeld>() == 1);
        CHECK(w.last<exchange::LegHeld>()->leg == (by_agent ? w.b : w.a));
        const std::string answer = holder.last<sip::Answered>()->response.body;
        CHECK(answer.find("a=recvonly") != std::string::npos);
        CHECK(session_of(answer) == session_of(by_agent ? kCustomerSdp : kAgentSdp));
        CHECK(w.offered_to(holder).empty());
        CHECK_FALSE(w.offered_to(by_agent ? w.carrier : w.phone).empty());
        w.follow();
        holder.ua->reinvite(w.wire.now, by_agent ? w.agent : w.customer, by_agent ? kAgentSdp : kCustomerSdp);
        w.wire.settle();
        CHECK(w.count<exchange::LegRetrieved>() == 1);
        w.over();
    }
}

TEST_CASE("of several forks that one is heard which answers, by what it has described itself") {
    DirectCall w;
    w.begin();
    const auto request = w.phone.last<sip::Invited>()->request;
    const auto says = [&](int status, const std::string& tag, const std::string& sdp) {
        auto response = sip::response_to(request, status, tag);
        response.add("Contact", "<sip:" + tag + "@127.0.0.1:40001>");
        if (!sdp.empty()) response.add("Content-Type", "application/sdp");
        response.body = sdp;
        w.wire.inject(w.phone, sip::endpoint_from_text("udp:127.0.0.1:5060").value(), sip::to_bytes(response));
        w.wire.settle();
    };
    says(183, "a", sdp_of("127.0.0.1", 40'200));
    says(183, "b", sdp_of("127.0.0.1", 40'300));
    for (std::size_t i = 0; i < kForksMax; ++i) says(183, "c" + std::to_string(i), sdp_of("127.0.0.1", 40'400));
    says(200, "a", "");  // it has described itself (RFC 3261 §13.2.1)
    REQUIRE(w.count<exchange::LegAnswered>() == 1);
    w.order(exchange::AnswerLeg{w.a, kRoom, CallUuid("u1")});
    REQUIRE(w.carrier.last<sip::Answered>() != nullptr);
    CHECK(port_of(w.carrier.last<sip::Answered>()->response.body) == "40200");
    w.end(w.a);
    w.end(w.b);
}

TEST_CASE("a session with video keeps its lines in their places at the media server, which has none") {
    const auto with_video = [](std::string sdp, int port) {
        const auto at = sdp.find("m=audio");
        return sdp.insert(at, "m=video " + std::to_string(port) + " RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n");
    };
    DirectCall w;
    w.begin(with_video(kCustomerSdp, 5'000));
    w.ring();
    w.phone.ua->answer(w.wire.now, w.agent, with_video(kAgentSdp, 6'000));
    w.wire.settle();
    w.order(exchange::AnswerLeg{w.a, kRoom, CallUuid("u1")});
    w.phone.ua->reinvite(w.wire.now, w.agent, with_video(sdp_of("127.0.0.1", 40'100, sip::Direction::sendonly), 6'000));
    w.wire.settle();
    REQUIRE(w.count<exchange::LegHeld>() == 1);
    for (const std::string& text : {w.offered_to(w.carrier), w.phone.last<sip::Answered>()->response.body}) {
        CAPTURE(text);
        const auto sdp = sip::sdp_from_text(text);
        REQUIRE(sdp);
        REQUIRE(sdp->media.size() == 2);
        CHECK(sdp->media[0].kind == "video");
        CHECK(sdp->media[0].port == 0);
        CHECK(sdp->media[1].kind == "audio");
        CHECK(sdp->media[1].port != 0);
    }
    w.follow();
    w.over();
}

TEST_CASE("a third party brings the two along") {
    DirectCall w;
    w.talk();
    auto third = w.to_phone("leg-c");
    third.to = {exchange::DeviceKind::site, "paris"};
    third.number = "2001";
    w.order(third);
    CHECK(w.media.targets == std::vector<std::string>{"msml=u1", "msml=u1", "msml=u1"});
    w.follow();
    CHECK(w.media.offers.size() == 5);
    w.end(LegId("leg-c"));
    w.over();
}

TEST_CASE("one that goes to another room is moved there, and who is left stands where it was") {
    DirectCall w;
    w.talk();
    w.order(exchange::MoveLeg{w.b, RoomId("u2")});
    w.follow();
    REQUIRE(w.media.commands.size() == 1);
    CHECK(w.media.commands[0].find("conf:u2") != std::string::npos);
    w.over();
}

TEST_CASE("a room that is bound to theirs finds them at a media server") {
    DirectCall w;
    w.talk();
    w.order(exchange::BindRoom{RoomId("u2"), kRoom});
    CHECK(w.media.targets.size() == 2);
    w.follow();
    w.over();
}

TEST_CASE("a refresh changes nothing: re-INVITE, UPDATE and one without an offer") {
    DirectCall w;
    w.talk();
    w.carrier.ua->reinvite(w.wire.now, w.customer, kCustomerSdp);
    w.wire.settle();
    CHECK(w.carrier.last<sip::Answered>()->response.body == kAgentSdp);
    static_cast<void>(w.phone.ua->request(w.wire.now, w.agent, "UPDATE", {}, "application/sdp", kAgentSdp));
    w.wire.settle();
    CHECK(w.phone.last<sip::Responded>()->response->body == kCustomerSdp);
    w.carrier.ua->reinvite(w.wire.now, w.customer, "");
    w.wire.settle();
    CHECK(w.carrier.last<sip::Answered>()->response.body == kAgentSdp);
    w.carrier.ua->ack(w.wire.now, w.customer, "application/sdp", kCustomerSdp);
    w.wire.settle();
    CHECK(w.media.offers.empty());
    // Another answer than before is one more offer.
    w.carrier.ua->reinvite(w.wire.now, w.customer, "");
    w.wire.settle();
    w.carrier.ua->ack(w.wire.now, w.customer, "application/sdp", sdp_of("127.0.0.9", 30'002));
    w.wire.settle();
    CHECK(w.media.offers == std::vector<std::string>{"", ""});
    w.follow();
    w.over();
}

TEST_CASE("who cannot reach the other, and who offers nothing to talk by, meets the media server from the first") {
    const auto hold = sdp_of("127.0.0.9", 30'000, sip::Direction::sendonly);
    for (const std::string& offer : {std::string(), hold, sdp_of("::1", 30'000)}) {
        CAPTURE(offer);
        DirectCall w;
        w.begin(offer);
        CHECK(w.media.targets == std::vector<std::string>{"msml=u1"});
        CHECK(w.phone.last<sip::Invited>()->request.body != offer);
        w.over();
    }
}

TEST_CASE("without a media server a call is none the worse, until it needs one") {
    auto settings = World::settings();
    settings.media.clear();
    DirectCall w(settings);
    w.talk();
    w.carrier.ua->reinvite(w.wire.now, w.customer, sdp_of("127.0.0.9", 30'000, sip::Direction::sendonly));
    w.wire.settle();
    CHECK(w.carrier.last<sip::Failed>()->status == 503);
    static_cast<void>(w.carrier.ua->request(w.wire.now, w.customer, "UPDATE", {}, "application/sdp",
                                            sdp_of("127.0.0.9", 30'000, sip::Direction::inactive)));
    w.wire.settle();
    CHECK(w.carrier.last<sip::Responded>()->status == 503);
    w.order(exchange::StartRecording{w.b, SegmentId("s1"), CallUuid("u1"), ConnectionId("c1"), {}});
    CHECK(w.count<exchange::RecordingFailed>() == 1);
    w.order(exchange::StartPlay{w.b, "t1", {"music:hold"}, true});
    CHECK(w.count<exchange::PlayEnded>() == 1);
    CHECK(w.count<exchange::LegEnded>() == 0);
    w.order(exchange::MoveLeg{w.b, RoomId("u2")});
    CHECK(w.last<exchange::LegEnded>()->leg == w.b);
    w.end(w.a);
    w.must_be_clean();
}

TEST_CASE("a media server that takes neither of the two sends both to the next, each once") {
    auto settings = World::settings();
    settings.media = {peer("sip:127.0.0.1:5070"), peer("sip:127.0.0.1:5072")};
    for (const bool is_silent : {false, true}) {
        CAPTURE(is_silent);
        DirectCall w(settings);
        MediaDouble second(w.wire.add("media-2", {"udp:127.0.0.1:5072"}));
        w.talk();
        w.media.holds_invite = is_silent;
        if (!is_silent) w.media.refuse_invite = 503;
        w.order(exchange::StartPlay{w.a, "t1", {"music:hold"}, true});
        w.wire.run(3s);
        CHECK(second.targets == std::vector<std::string>{"msml=u1", "msml=u1"});
        w.follow();
        w.wire.run(40s);  // a dialog that was asked for twice would have ended by now
        CHECK(second.dialogs.size() == 2);
        CHECK(second.ended == 0);
        CHECK(w.count<exchange::LegEnded>() == 0);
        CHECK(w.b2bua.counts().rooms == 1);
        w.end(w.a);
        w.end(w.b);
        w.must_be_clean();
    }
}

TEST_CASE("a phone that does not come to the media server has left the call") {
    DirectCall w;
    w.talk();
    w.order(exchange::StartPlay{w.b, "t1", {"music:hold"}, true});
    w.phone.ua->reject(w.wire.now, w.phone.last<sip::Reinvited>()->dialog, 488);
    w.carrier.ua->answer(w.wire.now, w.carrier.last<sip::Reinvited>()->dialog, kCustomerSdp);
    w.wire.settle();
    REQUIRE(w.count<exchange::LegEnded>() == 1);
    CHECK(w.last<exchange::LegEnded>()->leg == w.b);
    w.end(w.a);
    w.must_be_clean();
}

TEST_CASE("an offer that no media server takes is refused, and the call goes on") {
    DirectCall w;
    w.talk();
    const std::string fax =
        "v=0\r\no=c 1 2 IN IP4 127.0.0.9\r\ns=-\r\nc=IN IP4 127.0.0.9\r\nt=0 0\r\n"
        "m=image 30002 udptl t38\r\n";
    w.media.refuse_offer = "m=image";
    w.carrier.ua->reinvite(w.wire.now, w.customer, fax);
    w.wire.settle();
    CHECK(w.carrier.last<sip::Failed>()->status == 488);
    w.follow();
    CHECK(w.media.offers == std::vector<std::string>{fax, "", "", kCustomerSdp, kAgentSdp});
    CHECK(w.count<exchange::LegEnded>() == 0);
    w.over();
}

TEST_CASE("the caller may be answered while the phone still rings: each comes to the media server in its time") {
    DirectCall w;
    w.begin();
    w.ring();
    w.order(exchange::AnswerLeg{w.a, kRoom, CallUuid("u1")});
    REQUIRE(w.count<exchange::LegConnected>() == 1);
    CHECK(port_of(w.carrier.last<sip::Answered>()->response.body) == "20002");
    w.phone.ua->answer(w.wire.now, w.agent, kAgentSdp);
    w.wire.settle();
    CHECK(w.count<exchange::LegAnswered>() == 1);
    CHECK(w.offered_to(w.carrier).empty());
    CHECK_FALSE(w.offered_to(w.phone).empty());
    w.follow();
    CHECK(w.media.offers.back() == kAgentSdp);
    w.over();
}

TEST_CASE("a phone that rings for one who has gone is answered where it has been moved to meanwhile") {
    DirectCall w;
    w.begin();
    w.ring();
    w.order(exchange::MoveLeg{w.b, RoomId("u2")});
    w.end(w.a);
    w.phone.ua->answer(w.wire.now, w.agent, kAgentSdp);
    w.wire.settle();
    CHECK(w.count<exchange::LegAnswered>() == 1);
    w.follow();
    CHECK(w.media.targets.back() == "msml=u2");
    CHECK(w.media.offers.back() == kAgentSdp);
    w.end(w.b);
    w.must_be_clean();
}

TEST_CASE("a trunk's next address is offered the same, also when the caller has been moved meanwhile") {
    for (const bool is_moved : {false, true}) {
        CAPTURE(is_moved);
        auto settings = World::settings();
        settings.trunks.push_back({"far", {peer("sip:127.0.0.66:5060"), peer("sip:127.0.0.1:40001")}, std::nullopt});
        DirectCall w(settings);
        w.customer = w.call(w.carrier, "933", {}, kCustomerSdp);
        w.a = w.last<exchange::LegOffered>()->leg;
        auto wanted = w.to_phone();
        wanted.to = {exchange::DeviceKind::trunk, "far"};
        wanted.number = "33";
        wanted.direct = w.a;
        w.order(wanted);
        CHECK(w.phone.last<sip::Invited>() == nullptr);
        if (is_moved) w.order(exchange::MoveLeg{w.b, RoomId("u2")});
        w.wire.run(kPeerSilenceMax + 1s);
        REQUIRE(w.phone.last<sip::Invited>() != nullptr);
        CHECK(w.phone.last<sip::Invited>()->request.body == kCustomerSdp);
        w.over();
    }
}

TEST_CASE("a phone that is busy leaves the caller free for another, by the media server or direct again") {
    DirectCall w;
    w.begin();
    w.phone.ua->reject(w.wire.now, w.agent, 486);
    w.wire.settle();
    CHECK(w.count<exchange::LegFailed>() == 1);
    auto wanted = w.to_phone();
    wanted.direct = w.a;
    w.order(wanted);
    w.agent = w.phone.last<sip::Invited>()->dialog;
    w.answer();
    CHECK(w.media.offers.empty());
    w.over();
}

TEST_CASE("both hold at once: one is answered, the other is told to try again") {
    DirectCall w;
    w.talk();
    w.carrier.ua->reinvite(w.wire.now, w.customer, sdp_of("127.0.0.9", 30'000, sip::Direction::sendonly));
    w.phone.ua->reinvite(w.wire.now, w.agent, sdp_of("127.0.0.1", 40'100, sip::Direction::sendonly));
    w.wire.settle();
    CHECK(w.count<exchange::LegHeld>() == 1);
    CHECK(w.count<exchange::LegEnded>() == 0);
    w.over();
}

TEST_CASE("whoever is left alone of a direct call comes to the media server when something is said to it") {
    DirectCall w;
    w.talk();
    w.carrier.ua->bye(w.wire.now, w.customer);
    w.wire.settle();
    w.order(exchange::StartPlay{w.b, "t1", {"music:ringback"}, true});
    w.follow();
    REQUIRE(w.media.commands.size() == 1);
    w.end(w.b);
    w.must_be_clean();
}
