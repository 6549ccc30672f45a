// SPDX-License-Identifier: Apache-2.0
#include "b2bua/replaces.h"
#include "b2bua/test_world.h"

using namespace sheaf;
using namespace sheaf::b2bua;
using namespace sheaf::b2bua::test;

namespace {

// What paris would write to have its dialog with us replaced.
std::string replaces_of(const Node& peer, sip::DialogId dialog, const std::string& more = {}) {
    const auto view = peer.ua->view(dialog);
    REQUIRE(view);
    return view->call_id + ";to-tag=" + view->remote_tag + ";from-tag=" + view->local_tag + more;
}

// A call that paris has made to us and that can be replaced.
struct Pivoted : World {
    LegId leg;
    std::string token;
    std::string replaces;
    Pivoted() : leg(call_of_site()) {
        const auto* pivot = paris.last<sip::Answered>()->response.first("X-Sheaf-Pivot");
        REQUIRE(pivot != nullptr);
        REQUIRE(pivot->starts_with("<sip:px-"));
        REQUIRE(pivot->ends_with("@127.0.0.1>"));
        token = pivot->substr(5, pivot->find('@') - 5);
        replaces = replaces_of(paris, site);
    }
    int status(const Node& of) {
        const auto* failed = of.last<sip::Failed>();
        return failed == nullptr ? 0 : failed->status;
    }
    int refused(Node& from, const std::string& user, const std::vector<sip::Header>& headers) {
        from.heard.clear();
        call(from, user, headers);
        return status(from);
    }
};

}  // namespace

TEST_CASE("a trunk's INVITE to a leg's pivot address takes that leg's place, and is connected with its ACK") {
    Pivoted w;
    CHECK(w.token.size() == 3 + 32);
    sip::DialogId dialog = 0;
    dialog = w.call(w.carrier, w.token, {{"Replaces", w.replaces}, {"Require", "replaces"}});
    const auto* offered = w.last<exchange::LegOffered>();
    REQUIRE(offered->replaces);
    CHECK(*offered->replaces == exchange::Replacing{w.leg, true});
    CHECK(offered->from == exchange::Device{exchange::DeviceKind::trunk, "carrier"});
    CHECK(offered->called.empty());  // the token is nobody's business
    const LegId by = offered->leg;
    // The 200 goes out; the ACK is on its way.
    w.carrier.dead = true;
    w.order(exchange::AnswerLeg{by, RoomId("u5"), CallUuid("u5")});
    CHECK(w.wire.last_seen("SIP/2.0 200").find("CSeq: 1 INVITE") != std::string::npos);
    CHECK(w.count<exchange::LegConnected>() == 1);  // the old one's
    w.carrier.dead = false;
    w.wire.run(1s);
    CHECK(w.count<exchange::LegConnected>() == 2);
    CHECK(w.last<exchange::LegConnected>()->leg == by);
    CHECK(w.media.targets == std::vector<std::string>{"msml=u5", "msml=u5"});
    w.end(w.leg);
    CHECK(w.paris.count<sip::Ended>() == 1);
    w.carrier.ua->bye(w.wire.now, dialog);
    w.must_be_clean();
}

TEST_CASE("a stranger who holds the token may replace, and is a stranger even if it calls itself an agent") {
    for (const auto* user : {"+4420", "1001"}) {
        CAPTURE(user);
        Pivoted w;
        w.call(w.stranger, w.token, {{"Replaces", w.replaces}}, sdp_of("127.0.0.77", 30'000), user);
        REQUIRE(w.last<exchange::LegOffered>()->replaces);
        CHECK(w.last<exchange::LegOffered>()->from.kind == exchange::DeviceKind::stranger);
        w.order(exchange::RejectLeg{w.last<exchange::LegOffered>()->leg, 603, {}});
        w.end(w.leg);
        w.must_be_clean();
    }
}

TEST_CASE("a pivot token holds once") {
    Pivoted w;
    w.call(w.carrier, w.token, {{"Replaces", w.replaces}});
    w.order(exchange::RejectLeg{w.last<exchange::LegOffered>()->leg, 603, {}});
    w.logs.clear();
    CHECK(w.refused(w.carrier, w.token, {{"Replaces", w.replaces}}) == 403);
    CHECK(w.logs.size() == 1);
    CHECK(w.logged("call refused"));
    // And it is offered no more.
    w.paris.ua->reinvite(w.wire.now, w.site, sdp_of("127.0.0.2", 30'000));
    w.wire.settle();
    CHECK(w.paris.last<sip::Answered>()->response.first("X-Sheaf-Pivot") == nullptr);
    CHECK(w.count<exchange::LegOffered>() == 2);
    w.end(w.leg);
    w.must_be_clean();
}

TEST_CASE("a pivot token dies with its dialog") {
    Pivoted w;
    w.end(w.leg);
    w.wire.settle();
    CHECK(w.refused(w.carrier, w.token, {{"Replaces", w.replaces}}) == 481);
    CHECK(w.count<exchange::LegOffered>() == 1);
    w.must_be_clean();
}

TEST_CASE("a pivot token is no proof for another leg's dialog, and no dialog is one without its token") {
    Pivoted w;
    w.answered_call();
    const auto others = replaces_of(w.carrier, w.customer);
    CHECK(w.refused(w.stranger, w.token, {{"Replaces", others}}) == 403);
    CHECK(w.refused(w.stranger, "px-" + std::string(32, '0'), {{"Replaces", w.replaces}}) == 403);
    CHECK(w.refused(w.stranger, "px-", {{"Replaces", w.replaces}}) == 403);
    CHECK(w.refused(w.stranger, "px-", {{"Replaces", others}}) == 403);  // a leg that has no pivot address
    CHECK(w.refused(w.stranger, w.token, {}) == 403);
    CHECK(w.refused(w.stranger, w.token, {{"Replaces", "nobody;to-tag=a;from-tag=b"}}) == 481);
    CHECK(w.refused(w.stranger, w.token, {{"Replaces", w.replaces}, {"Replaces", w.replaces}}) == 400);
    CHECK(w.refused(w.stranger, w.token, {{"Replaces", w.replaces}, {"Join", "x;to-tag=1;from-tag=2"}}) == 400);
    CHECK(w.refused(w.stranger, w.token, {{"Replaces", "nonsense"}}) == 400);
    CHECK(w.refused(w.stranger, w.token, {{"Replaces", w.replaces + ";early-only"}}) == 486);
    // The tags as the wrong end sees them name nothing (RFC 3891 §3).
    const auto view = w.paris.ua->view(w.site);
    const auto swapped = view->call_id + ";to-tag=" + view->local_tag + ";from-tag=" + view->remote_tag;
    CHECK(w.refused(w.stranger, w.token, {{"Replaces", swapped}}) == 481);
    CHECK(w.count<exchange::LegOffered>() == 2);
    // None of these has used it up.
    w.call(w.stranger, w.token, {{"Replaces", w.replaces}});
    CHECK(w.last<exchange::LegOffered>()->replaces);
}

TEST_CASE("a leg with the media server is nobody's to replace") {
    Pivoted w;
    const auto inside = replaces_of(w.media.node, w.media.dialogs[0]);
    CHECK(w.refused(w.stranger, w.token, {{"Replaces", inside}}) == 403);
    CHECK(w.refused(w.stranger, "8000", {{"Replaces", inside}}) == 403);
}

TEST_CASE("a ringing call of paris cannot be replaced by INVITE") {
    World w;
    w.site = w.call(w.paris, "1001", {}, sdp_of("127.0.0.2", 30'000), "2001");
    const auto leg = w.last<exchange::LegOffered>()->leg;
    w.order(exchange::RingLeg{leg, RoomId("u5"), CallUuid("u5")});
    const auto* pivot = w.paris.last<sip::Progressed>()->response.first("X-Sheaf-Pivot");
    REQUIRE(pivot != nullptr);
    const auto token = pivot->substr(5, pivot->find('@') - 5);
    w.call(w.carrier, token, {{"Replaces", replaces_of(w.paris, w.site)}});
    CHECK(w.carrier.last<sip::Failed>()->status == 481);
    w.order(exchange::EndLeg{leg, 486, exchange::Cause::busy});
    CHECK(w.paris.last<sip::Failed>()->response->first("X-Sheaf-Pivot") == nullptr);
    w.must_be_clean();
}

TEST_CASE("an agent with its password may ask to replace a dialog of ours; nobody else may") {
    World w;
    const auto leg = w.answered_call();
    const auto ours = replaces_of(w.carrier, w.customer);
    for (Node* from : {&w.stranger, &w.carrier, &w.paris}) {
        CAPTURE(from->name);
        w.call(*from, "8000", {{"Replaces", ours}});
        CHECK(from->last<sip::Failed>()->status == 403);
    }
    auto invitation = World::invitation_to(w.phone, "8000", "1001");
    invitation.headers = {{"Replaces", ours}};
    invitation.content_type = "application/sdp";
    invitation.body = sdp_of("127.0.0.1", 40'100);
    w.phone.ua->invite(w.wire.now, invitation);
    w.wire.settle();
    CHECK(w.phone.last<sip::Failed>()->status == 401);
    invitation.account = sip::Account{"1001", "ada"};
    const auto dialog = w.phone.ua->invite(w.wire.now, invitation);
    w.wire.settle();
    const auto* offered = w.last<exchange::LegOffered>();
    REQUIRE(offered->replaces);
    CHECK(*offered->replaces == exchange::Replacing{leg, false});
    CHECK(offered->from == exchange::Device{exchange::DeviceKind::agent, "1001"});
    CHECK(offered->called == "8000");
    w.phone.ua->cancel(w.wire.now, dialog);
    invitation.headers = {{"Replaces", ours + "x"}};
    w.phone.ua->invite(w.wire.now, invitation);
    w.wire.settle();
    CHECK(w.phone.last<sip::Failed>()->status == 481);
    w.end(leg);
    w.must_be_clean();
}

TEST_CASE("an agent may ask for a phone that rings: early-only holds there and nowhere else") {
    World w;
    w.order(w.to_phone());
    const auto ringing = w.phone.last<sip::Invited>()->dialog;
    w.phone.ua->provisional(w.wire.now, ringing, 180);
    w.wire.settle();
    auto invitation = World::invitation_to(w.phone, "1001", "1001");
    invitation.headers = {{"Replaces", replaces_of(w.phone, ringing, ";early-only")}};
    invitation.account = sip::Account{"1001", "ada"};
    w.phone.ua->invite(w.wire.now, invitation);
    w.wire.settle();
    REQUIRE(w.last<exchange::LegOffered>() != nullptr);
    CHECK(w.last<exchange::LegOffered>()->replaces->leg == LegId("leg-a"));
    w.order(exchange::RejectLeg{w.last<exchange::LegOffered>()->leg, 603, {}});
    w.end(LegId("leg-a"));
    w.must_be_clean();
}

TEST_CASE("a replacing call that is given up before its ACK was never connected") {
    Pivoted w;
    w.call(w.carrier, w.token, {{"Replaces", w.replaces}});
    const auto by = w.last<exchange::LegOffered>()->leg;
    w.carrier.dead = true;
    w.order(exchange::AnswerLeg{by, RoomId("u5"), CallUuid("u5")});
    w.wire.run(40s);
    CHECK(w.count<exchange::LegConnected>() == 1);
    REQUIRE(w.last<exchange::LegEnded>() != nullptr);
    CHECK(w.last<exchange::LegEnded>()->leg == by);
    CHECK(w.last<exchange::LegEnded>()->cause == exchange::Cause::timed_out);
    w.carrier.dead = false;
    w.end(w.leg);
    w.must_be_clean();
}

TEST_CASE("each leg has a pivot address of its own, and only sites are told") {
    Pivoted w;
    w.call_of_site();
    const auto* second = w.paris.last<sip::Answered>()->response.first("X-Sheaf-Pivot");
    REQUIRE(second != nullptr);
    CHECK(second->find(w.token) == std::string::npos);
    w.answered_call();
    CHECK(w.carrier.last<sip::Answered>()->response.first("X-Sheaf-Pivot") == nullptr);
    CHECK(w.carrier.last<sip::Answered>()->response.first("Recv-Info") == nullptr);
}

TEST_CASE("Replaces is read with its quotes and blanks, and written back") {
    const auto read = replaces_from_text(" 12345@h ; to-tag=a ;from-tag=b;early-only;x=y ");
    REQUIRE(read);
    CHECK(*read == Replaces{"12345@h", "a", "b", true});
    CHECK(replaces_from_text(to_text(*read)) == *read);
    for (const auto* text : {"", "a", "a;to-tag=1", "a;to-tag=1;from-tag=", "a;to-tag;from-tag=1",
                             ";to-tag=1;from-tag=2", "a;to-tag=1;to-tag=2;from-tag=3"}) {
        CAPTURE(text);
        CHECK(!replaces_from_text(text));
    }
    CHECK(!replaces_from_text("a;to-tag=1;from-tag=" + std::string(kReplacesBytesMax, 'x')));
}
