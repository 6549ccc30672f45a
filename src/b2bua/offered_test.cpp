// SPDX-License-Identifier: Apache-2.0
#include "b2bua/test_world.h"

using namespace sheaf;
using namespace sheaf::b2bua;
using namespace sheaf::b2bua::test;

TEST_CASE("a customer's call is offered, rings, is answered with the media server's description and ends") {
    World w;
    const auto dialog =
        w.call(w.carrier, "8000", {{"Session-ID", std::string(32, 'a') + ";remote=" + std::string(32, '0')}});
    const auto* offered = w.last<exchange::LegOffered>();
    REQUIRE(offered != nullptr);
    CHECK(offered->from == exchange::Device{exchange::DeviceKind::trunk, "carrier"});
    CHECK(offered->called == "8000");
    CHECK(offered->calling == "+4420");
    CHECK(offered->session_id == std::string(32, 'a'));
    CHECK(offered->message.ends_with(";1;INVITE"));
    const LegId leg = offered->leg;
    w.order(exchange::RingLeg{leg, RoomId("u1"), CallUuid("11111111-2222-4333-8444-555555555555")});
    REQUIRE(w.carrier.last<sip::Progressed>() != nullptr);
    CHECK(w.carrier.last<sip::Progressed>()->response.status() == 180);
    CHECK(w.carrier.count<sip::Answered>() == 0);
    w.order(exchange::AnswerLeg{leg, RoomId("u1"), CallUuid("11111111-2222-4333-8444-555555555555")});
    const auto* answered = w.carrier.last<sip::Answered>();
    REQUIRE(answered != nullptr);
    CHECK(answered->response.body.find("m=audio 20002 ") != std::string::npos);
    CHECK(*answered->response.first("Session-ID") == "11111111222243338444555555555555;remote=" + std::string(32, 'a'));
    CHECK(answered->response.first("X-Sheaf-Call") == nullptr);  // for sites only
    CHECK(w.media.targets == std::vector<std::string>{"msml=u1"});
    REQUIRE(w.last<exchange::LegConnected>() != nullptr);
    CHECK(w.last<exchange::LegConnected>()->leg == leg);
    w.carrier.ua->bye(w.wire.now, dialog);
    w.wire.settle();
    REQUIRE(w.last<exchange::LegEnded>() != nullptr);
    CHECK(w.last<exchange::LegEnded>()->cause == exchange::Cause::normal);
    CHECK(w.last<exchange::LegEnded>()->message.ends_with(";2;BYE"));
    CHECK(w.media.ended == 1);
    w.must_be_clean();
}

TEST_CASE("a number may be called by a tel URI, and by one that carries its parameters in the user part") {
    for (const auto& [target, number] : std::vector<std::pair<std::string, std::string>>{
             {"tel:+44-20-7123(4567)", "+442071234567"},
             {"tel:8000;phone-context=+44", "8000"},
             {"sip:+12125551234;npdi;rn=+12125550000@127.0.0.1;user=phone", "+12125551234"},
             {"sip:+44-20-71234567@127.0.0.1;user=phone", "+442071234567"},
             {"sip:8000;isup-oli=0@127.0.0.1", "8000"},
             {"sip:a.b-c;d@127.0.0.1", "a.b-c;d"}}) {
        CAPTURE(target);
        World w;
        auto invitation = World::invitation_to(w.carrier, "8000", "+4420");
        invitation.target = uri(target);
        invitation.next_hop = sip::endpoint_from_text("udp:127.0.0.1:5060").value();
        const auto dialog = w.carrier.ua->invite(w.wire.now, invitation);
        w.wire.settle();
        REQUIRE(w.last<exchange::LegOffered>() != nullptr);
        CHECK(w.last<exchange::LegOffered>()->called == number);
        w.carrier.ua->cancel(w.wire.now, dialog);
        w.wire.settle();
        w.must_be_clean();
    }
}

TEST_CASE("a caller that wants no answer after a while is told 487 then, unless it has one") {
    for (const bool is_answered : {false, true}) {
        CAPTURE(is_answered);
        World w;
        w.call(w.carrier, "8000", {{"Expires", "20"}});
        REQUIRE(w.last<exchange::LegOffered>() != nullptr);
        const LegId leg = w.last<exchange::LegOffered>()->leg;
        w.order(exchange::RingLeg{leg, RoomId("u1"), CallUuid("u1")});
        if (is_answered) w.order(exchange::AnswerLeg{leg, RoomId("u1"), CallUuid("u1")});
        w.wire.run(19s);
        CHECK(w.count<exchange::LegEnded>() == 0);
        w.wire.run(2s);
        CHECK(w.count<exchange::LegEnded>() == (is_answered ? 0 : 1));
        if (is_answered) {
            w.end(leg);
        } else {
            CHECK(w.last<exchange::LegEnded>()->cause == exchange::Cause::cancelled);
            CHECK(w.carrier.last<sip::Failed>()->status == 487);
        }
        w.must_be_clean();
    }
}

TEST_CASE("the exchange ends an answered call: BYE to the caller and to the media server") {
    World w;
    const auto leg = w.answered_call();
    w.order(exchange::EndLeg{leg, 0, exchange::Cause::normal});
    CHECK(w.carrier.count<sip::Ended>() == 1);
    CHECK(w.media.ended == 1);
    CHECK(w.count<exchange::LegEnded>() == 0);
    w.must_be_clean();
}

TEST_CASE("a refused call gets the status and words of the exchange") {
    World w;
    w.call(w.carrier, "9999");
    w.order(exchange::RejectLeg{w.last<exchange::LegOffered>()->leg, 404, "No Such Number"});
    const auto* failed = w.carrier.last<sip::Failed>();
    REQUIRE(failed != nullptr);
    CHECK(failed->status == 404);
    CHECK(std::get<sip::StatusLine>(failed->response->start).reason == "No Such Number");
    w.must_be_clean();
}

TEST_CASE("a caller gives up before anything, while it rings, and while its media is on the way") {
    for (int moment = 0; moment < 4; ++moment) {
        CAPTURE(moment);
        World w;
        w.media.holds_invite = moment == 2;
        const auto dialog = w.call(w.carrier, "8000");
        const auto leg = w.last<exchange::LegOffered>()->leg;
        if (moment == 1) w.order(exchange::RingLeg{leg, RoomId("u1"), CallUuid("u1")});
        if (moment == 2) w.order(exchange::AnswerLeg{leg, RoomId("u1"), CallUuid("u1")});
        if (moment == 3) {
            // The 180 and the CANCEL cross on the wire.
            w.b2bua.carry_out(w.stamp(), exchange::RingLeg{leg, RoomId("u1"), CallUuid("u1")});
        }
        w.carrier.ua->cancel(w.wire.now, dialog);
        w.wire.settle();
        REQUIRE(w.carrier.last<sip::Failed>() != nullptr);
        CHECK(w.carrier.last<sip::Failed>()->status == 487);
        REQUIRE(w.last<exchange::LegEnded>() != nullptr);
        CHECK(w.last<exchange::LegEnded>()->cause == exchange::Cause::cancelled);
        CHECK(w.count<exchange::LegEnded>() == 1);
        w.order(exchange::AnswerLeg{leg, RoomId("u1"), CallUuid("u1")});  // crossed: nothing comes of it
        CHECK(w.count<exchange::LegConnected>() == 0);
        w.must_be_clean();
    }
}

TEST_CASE("a caller without an offer gets the media server's, and its ACK's answer goes to the media server") {
    World w;
    w.call(w.carrier, "8000", {}, "");
    const auto leg = w.last<exchange::LegOffered>()->leg;
    w.order(exchange::AnswerLeg{leg, RoomId("u1"), CallUuid("u1")});
    const auto* answered = w.carrier.last<sip::Answered>();
    REQUIRE(answered != nullptr);
    CHECK(answered->response.body.find("m=audio 20002 ") != std::string::npos);
    CHECK(w.count<exchange::LegConnected>() == 0);
    REQUIRE(w.media.answers.size() == 1);  // at once, so that nothing hangs on the caller's ACK
    CHECK(w.media.answers[0].find("a=inactive") != std::string::npos);
    w.carrier.ua->ack(w.wire.now, answered->dialog, "application/sdp", sdp_of("127.0.0.9", 30'004));
    w.wire.settle();
    CHECK(w.count<exchange::LegConnected>() == 1);
    CHECK(w.media.offers == std::vector<std::string>{"", sdp_of("127.0.0.9", 30'004)});
    w.carrier.ua->bye(w.wire.now, answered->dialog);
    w.must_be_clean();
}

TEST_CASE("a caller that never acknowledges our 200 is let go") {
    World w;
    w.call(w.carrier, "8000");
    const auto leg = w.last<exchange::LegOffered>()->leg;
    w.carrier.dead = true;
    w.order(exchange::AnswerLeg{leg, RoomId("u1"), CallUuid("u1")});
    w.wire.run(35s);
    REQUIRE(w.last<exchange::LegEnded>() != nullptr);
    CHECK(w.last<exchange::LegEnded>()->cause == exchange::Cause::timed_out);
    w.wire.run(40s);
    w.must_be_clean();
}

TEST_CASE("hold and retrieve by re-INVITE go through to the media server") {
    World w;
    const auto leg = w.answered_call();
    w.carrier.ua->reinvite(w.wire.now, w.customer, sdp_of("127.0.0.9", 30'000, sip::Direction::sendonly));
    w.wire.settle();
    REQUIRE(w.last<exchange::LegHeld>() != nullptr);
    CHECK(w.last<exchange::LegHeld>()->leg == leg);
    REQUIRE(w.carrier.last<sip::Answered>() != nullptr);
    CHECK(w.carrier.last<sip::Answered>()->reinvite);
    CHECK(w.carrier.last<sip::Answered>()->response.body.find("a=recvonly") != std::string::npos);
    CHECK(w.media.offers.back().find("a=sendonly") != std::string::npos);
    w.carrier.ua->reinvite(w.wire.now, w.customer, sdp_of("127.0.0.9", 30'000));
    w.wire.settle();
    CHECK(w.count<exchange::LegRetrieved>() == 1);
    CHECK(w.count<exchange::LegHeld>() == 1);
    // A refresh that changes nothing says nothing.
    w.carrier.ua->reinvite(w.wire.now, w.customer, sdp_of("127.0.0.9", 30'000));
    w.wire.settle();
    CHECK(w.count<exchange::LegRetrieved>() == 1);
    w.order(exchange::EndLeg{leg, 0, exchange::Cause::normal});
    w.must_be_clean();
}

TEST_CASE("a re-INVITE without an offer gets ours, and its ACK's answer goes to the media server") {
    World w;
    const auto leg = w.answered_call();
    w.carrier.ua->reinvite(w.wire.now, w.customer, "");
    w.wire.settle();
    const auto* answered = w.carrier.last<sip::Answered>();
    REQUIRE(answered->reinvite);
    CHECK(answered->response.body.find("m=audio 20002 ") != std::string::npos);
    w.carrier.ua->ack(w.wire.now, w.customer, "application/sdp", sdp_of("127.0.0.9", 30'000, sip::Direction::inactive));
    w.wire.settle();
    CHECK(w.count<exchange::LegHeld>() == 1);
    w.order(exchange::EndLeg{leg, 0, exchange::Cause::normal});
    w.must_be_clean();
}

TEST_CASE("a re-INVITE that the media server refuses is answered 488 and leaves the call as it was") {
    World w;
    const auto leg = w.answered_call();
    w.media.refuse_reinvite = 488;
    w.carrier.ua->reinvite(w.wire.now, w.customer, sdp_of("127.0.0.9", 30'000, sip::Direction::sendonly));
    w.wire.settle();
    REQUIRE(w.carrier.last<sip::Failed>() != nullptr);
    CHECK(w.carrier.last<sip::Failed>()->status == 488);
    CHECK(w.carrier.last<sip::Failed>()->reinvite);
    CHECK(w.count<exchange::LegHeld>() == 0);
    w.media.refuse_reinvite = 0;
    w.carrier.ua->reinvite(w.wire.now, w.customer, sdp_of("127.0.0.9", 30'000, sip::Direction::sendonly));
    w.wire.settle();
    CHECK(w.count<exchange::LegHeld>() == 1);
    w.order(exchange::EndLeg{leg, 0, exchange::Cause::normal});
    w.must_be_clean();
}

TEST_CASE("a re-INVITE while the media server is still busy with the last one is answered 491, and later taken") {
    World w;
    const auto leg = w.answered_call();
    w.media.node.dead = true;
    w.carrier.ua->reinvite(w.wire.now, w.customer, "");
    w.wire.settle();
    // Our offer is out; its ACK's answer is on its way to a media server that is slow.
    w.carrier.ua->ack(w.wire.now, w.customer, "application/sdp", sdp_of("127.0.0.9", 30'000));
    w.wire.settle();
    w.carrier.ua->reinvite(w.wire.now, w.customer, sdp_of("127.0.0.9", 30'000, sip::Direction::sendonly));
    w.wire.settle();
    REQUIRE(w.carrier.last<sip::Failed>() != nullptr);
    CHECK(w.carrier.last<sip::Failed>()->status == 491);
    w.media.node.dead = false;
    w.wire.run(8s);
    REQUIRE(w.carrier.last<sip::GlareOver>() != nullptr);
    w.carrier.ua->reinvite(w.wire.now, w.customer, sdp_of("127.0.0.9", 30'000, sip::Direction::sendonly));
    w.wire.settle();
    CHECK(w.count<exchange::LegHeld>() == 1);
    w.order(exchange::EndLeg{leg, 0, exchange::Cause::normal});
    w.must_be_clean();
}

TEST_CASE("when the media server answers 491 its re-INVITE is sent anew after the wait") {
    World w;
    const auto leg = w.answered_call();
    w.media.refuse_reinvite = 491;
    w.carrier.ua->reinvite(w.wire.now, w.customer, sdp_of("127.0.0.9", 30'000, sip::Direction::sendonly));
    w.wire.settle();
    CHECK(w.count<exchange::LegHeld>() == 0);
    SUBCASE("at once, where that was because our ACK had not come yet") {
        w.media.refuse_reinvite = 0;
        w.wire.run(50ms);
        CHECK(w.count<exchange::LegHeld>() == 1);
    }
    SUBCASE("after the wait, where it still says so") {
        w.wire.run(50ms);
        w.media.refuse_reinvite = 0;
        w.wire.run(1s);
        CHECK(w.count<exchange::LegHeld>() == 0);
        w.wire.run(4s);
        CHECK(w.count<exchange::LegHeld>() == 1);
    }
    w.order(exchange::EndLeg{leg, 0, exchange::Cause::normal});
    w.must_be_clean();
}

TEST_CASE("an INVITE that has used up its Max-Forwards is refused as a loop") {
    World w;
    w.call(w.carrier, "8000", {{"Max-Forwards", "0"}});
    CHECK(w.carrier.last<sip::Failed>()->status == 483);
    CHECK(w.count<exchange::LegOffered>() == 0);
    w.must_be_clean();
}

TEST_CASE("a call placed on behalf of another carries one hop less, and none left is a loop") {
    World w;
    w.call(w.carrier, "8000", {{"Max-Forwards", "17"}});
    const auto leg = w.last<exchange::LegOffered>()->leg;
    w.order(exchange::AnswerLeg{leg, RoomId("u1"), CallUuid("u1")});
    w.order(w.to_phone());
    REQUIRE(w.phone.last<sip::Invited>() != nullptr);
    CHECK(*w.phone.last<sip::Invited>()->request.first("Max-Forwards") == "16");
    World last;
    last.call(last.carrier, "8000", {{"Max-Forwards", "1"}});
    last.order(exchange::AnswerLeg{last.last<exchange::LegOffered>()->leg, RoomId("u1"), CallUuid("u1")});
    last.order(last.to_phone());
    REQUIRE(last.last<exchange::LegFailed>() != nullptr);
    CHECK(last.last<exchange::LegFailed>()->status == 483);
    CHECK(last.phone.count<sip::Invited>() == 0);
}

TEST_CASE("an INVITE that claims to replace a dialog is refused: 403, or 481 when there is none such") {
    World w;
    const auto leg = w.answered_call();
    const auto view = w.carrier.ua->view(w.customer);
    REQUIRE(view);
    const std::string ours = view->call_id + ";to-tag=" + view->remote_tag + ";from-tag=" + view->local_tag;
    w.call(w.stranger, "8000", {{"Replaces", ours}});
    CHECK(w.stranger.last<sip::Failed>()->status == 403);
    w.call(w.stranger, "8000", {{"Replaces", "nobody;to-tag=a;from-tag=b"}});
    CHECK(w.stranger.last<sip::Failed>()->status == 481);
    CHECK(w.count<exchange::LegOffered>() == 1);
    w.order(exchange::EndLeg{leg, 0, exchange::Cause::normal});
    w.must_be_clean();
}

TEST_CASE("beyond the limit of legs calls are refused with 503 and Retry-After") {
    auto settings = World::settings();
    settings.legs_max = 1;
    World w(settings);
    const auto leg = w.answered_call();
    w.call(w.carrier, "8000");
    REQUIRE(w.carrier.last<sip::Failed>() != nullptr);
    CHECK(w.carrier.last<sip::Failed>()->status == 503);
    CHECK(*w.carrier.last<sip::Failed>()->response->first("Retry-After") == "10");
    w.order(w.to_phone());
    CHECK(w.last<exchange::LegFailed>()->status == 503);
    w.order(exchange::EndLeg{leg, 0, exchange::Cause::normal});
    w.must_be_clean();
}

TEST_CASE("an offer that does not parse is refused with 488") {
    World w;
    w.call(w.carrier, "8000", {}, "v=0 nonsense");
    CHECK(w.carrier.last<sip::Failed>()->status == 488);
    CHECK(w.logged("call refused"));
    w.must_be_clean();
}

TEST_CASE("a large INVITE comes and goes by TCP") {
    World w;
    std::string sdp = sdp_of("127.0.0.9", 30'000);
    for (int i = 0; i < 40; ++i) sdp += "a=x-filler-" + std::to_string(i) + ":" + std::string(40, 'x') + "\r\n";
    const auto dialog = w.call(w.carrier, "8000", {}, sdp);
    REQUIRE(w.last<exchange::LegOffered>() != nullptr);
    CHECK(w.last<exchange::LegOffered>()->from.name == "carrier");
    CHECK(w.wire.last_seen("INVITE sip:8000").find("SIP/2.0/TCP") != std::string::npos);
    w.order(exchange::AnswerLeg{w.last<exchange::LegOffered>()->leg, RoomId("u1"), CallUuid("u1")});
    CHECK(w.carrier.count<sip::Answered>() == 1);
    w.carrier.ua->bye(w.wire.now, dialog);
    w.must_be_clean();
}

TEST_CASE("OPTIONS is answered, other requests outside a dialog are not taken") {
    World w;
    sip::OutsideRequest request;
    request.target = uri("sip:127.0.0.1:5060");
    request.from.uri = uri("sip:x@127.0.0.9");
    request.to.uri = request.target;
    for (const auto& [method, status] : {std::pair{"OPTIONS", 200}, {"REFER", 481}, {"INFO", 481}, {"PUBLISH", 405}}) {
        CAPTURE(method);
        request.method = method;
        w.carrier.ua->request_outside(w.wire.now, request);
        w.wire.settle();
        REQUIRE(w.carrier.last<sip::Responded>() != nullptr);
        CHECK(w.carrier.last<sip::Responded>()->status == status);
        if (status == 200) CHECK_FALSE(w.carrier.last<sip::Responded>()->response->has_token("Supported", "gruu"));
    }
    w.must_be_clean();
}
