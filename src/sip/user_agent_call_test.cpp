// SPDX-License-Identifier: Apache-2.0
#include "sip/user_agent_test_wire.h"

// INVITE dialogs, one message at a time.
using namespace sheaf;
using namespace sheaf::sip;

namespace {

Invitation plain_invitation(const std::string& body = "v=0\r\n") {
    Invitation invitation;
    invitation.target = *uri_from_text("sip:bob@10.0.0.9");
    invitation.from.uri = *uri_from_text("sip:alice@10.0.0.1");
    invitation.to.uri = invitation.target;
    invitation.body = body;
    return invitation;
}

// A call of ours that 10.0.0.9 has answered.
DialogId answered_call(LoneAgent& us, Message* invite_sent = nullptr) {
    const DialogId call = us.ua.invite(us.now, plain_invitation());
    const Message invite = us.only();
    if (invite_sent != nullptr) *invite_sent = invite;
    us.receive(LoneAgent::answer(invite, 200, "pt", "Contact: <sip:bob@10.0.0.9>\r\n"));
    CHECK(us.only().method() == "ACK");
    us.only_event<Answered>();
    return call;
}

// A call of theirs that we have answered and they have ACKed; returns our tag.
std::string taken_call(LoneAgent& us, DialogId* call = nullptr) {
    us.receive(us.request("INVITE", "1", 1));
    const DialogId dialog = us.only_event<Invited>().dialog;
    us.ua.answer(us.now, dialog, "v=0\r\n");
    us.taken();
    const std::string tag = us.ua.view(dialog)->local_tag;
    us.receive(us.request("ACK", "2", 1, "", tag));
    us.only_event<Acknowledged>();
    if (call != nullptr) *call = dialog;
    return tag;
}

}  // namespace

TEST_CASE("our INVITE says who we are and how to reach us") {
    LoneAgent us;
    Invitation invitation = plain_invitation();
    invitation.headers = {{"X-One", "1"}, {"Max-Forwards", "17"}};
    invitation.call_id = "given";
    invitation.from_tag = "gt";
    const DialogId call = us.ua.invite(us.now, invitation);
    const Message invite = us.only();
    CHECK(to_text(invite.uri()) == "sip:bob@10.0.0.9");
    CHECK(invite.all("Max-Forwards") == std::vector<std::string>{"17"});
    CHECK(*invite.first("X-One") == "1");
    CHECK(*invite.first("Call-ID") == "given");
    CHECK(*invite.first("Contact") == "<sip:sheaf@10.0.0.1:5060>");
    CHECK(invite.has_token("Allow", "REFER"));
    CHECK(tag_of(invite, "From") == "gt");
    const Via via = *top_via(invite);
    CHECK(via.transport == "UDP");
    CHECK(via.host == "10.0.0.1");
    CHECK(via.params.has("rport"));
    CHECK(us.sends.back().to == Endpoint{Transport::udp, "10.0.0.9", 5060});
    CHECK(us.ua.find("given", "gt", "") == call);
    us.ua.cancel(us.now, call);
    us.check_nothing_left();
    CHECK(us.only_event<Failed>().status == 408);
    CHECK(us.taken().size() == 6);  // repeats; CANCEL never had its turn
}

TEST_CASE("CANCEL waits for a provisional answer, and 487 ends the call") {
    LoneAgent us;
    const DialogId call = us.ua.invite(us.now, plain_invitation());
    const Message invite = us.only();
    us.ua.cancel(us.now, call);
    CHECK(us.taken().empty());
    us.receive(LoneAgent::answer(invite, 180, "pt"));
    const Message cancel = us.only();
    CHECK(cancel.method() == "CANCEL");
    CHECK(*cancel.first("Via") == *invite.first("Via"));
    CHECK(cseq_of(cancel).number == cseq_of(invite).number);
    CHECK(tag_of(cancel, "To").empty());
    us.receive(LoneAgent::answer(cancel, 200, "pt"));
    us.receive(LoneAgent::answer(invite, 487, "pt"));
    const Message ack = us.only();
    CHECK(ack.method() == "ACK");
    CHECK(*ack.first("Via") == *invite.first("Via"));
    CHECK(tag_of(ack, "To") == "pt");
    CHECK(us.only_event<Failed>().status == 487);
    us.receive(LoneAgent::answer(invite, 487, "pt"));  // once more: our ACK was lost
    CHECK(us.only().method() == "ACK");
    us.check_nothing_left();
}

TEST_CASE("a cancelled INVITE that is never answered is given up") {
    LoneAgent us;
    const DialogId call = us.ua.invite(us.now, plain_invitation());
    const Message invite = us.only();
    us.receive(LoneAgent::answer(invite, 180, "pt"));
    us.only_event<Progressed>();
    us.run_for(10min);
    CHECK(us.ua.counts().dialogs == 1);  // it may ring
    us.ua.cancel(us.now, call);
    us.run_for(33s);
    CHECK(us.only_event<Failed>().status == 408);
    us.check_nothing_left();
}

TEST_CASE("a 2xx that crosses the CANCEL is ACKed and BYEd") {
    LoneAgent us;
    const DialogId call = us.ua.invite(us.now, plain_invitation());
    const Message invite = us.only();
    us.receive(LoneAgent::answer(invite, 100, ""));
    us.ua.cancel(us.now, call);
    CHECK(us.only().method() == "CANCEL");
    us.receive(LoneAgent::answer(invite, 200, "pt", "Contact: <sip:bob@10.0.0.9:5999>\r\n"));
    const auto sent = us.taken();
    REQUIRE(sent.size() == 2);
    CHECK(sent[0].method() == "ACK");
    CHECK(sent[1].method() == "BYE");
    CHECK(sent[1].uri().port == 5999);
    CHECK(us.sends.back().to.port == 5999);
    CHECK(us.only_event<Failed>().status == 487);
    us.receive(LoneAgent::answer(invite, 200, "pt", "Contact: <sip:bob@10.0.0.9:5999>\r\n"));
    CHECK(us.only().method() == "ACK");
    us.receive(LoneAgent::answer(sent[1], 200, "pt"));
    us.check_nothing_left();
}

TEST_CASE("the BYE of a 2xx that crosses the CANCEL counts on from what was sent in the early dialog") {
    LoneAgent us;
    const DialogId call = us.ua.invite(us.now, plain_invitation());
    const Message invite = us.only();
    us.receive(LoneAgent::answer(invite, 180, "pt", "Contact: <sip:bob@10.0.0.9>\r\n"));
    us.ua.request(us.now, call, "NOTIFY", {{"Event", "talk"}});
    const Message told = us.only();
    us.receive(LoneAgent::answer(told, 200, "pt"));
    SUBCASE("cancelled") {
        us.ua.cancel(us.now, call);
    }
    SUBCASE("let go of") {
        us.ua.release(us.now, call, 480);
    }
    CHECK(us.only().method() == "CANCEL");
    us.receive(LoneAgent::answer(invite, 200, "pt", "Contact: <sip:bob@10.0.0.9>\r\n"));
    const auto sent = us.taken();
    REQUIRE(sent.size() == 2);
    CHECK(sent[1].method() == "BYE");
    CHECK(cseq_of(sent[1]).number == cseq_of(told).number + 1);
    us.receive(LoneAgent::answer(sent[1], 200, "pt"));
    us.check_nothing_left();
}

TEST_CASE("forks that answer second are ACKed and BYEd, the first stays") {
    LoneAgent us;
    const DialogId call = us.ua.invite(us.now, plain_invitation());
    const Message invite = us.only();
    us.receive(LoneAgent::answer(invite, 180, "one"));
    us.receive(LoneAgent::answer(invite, 180, "two"));
    CHECK(us.ua.take_events().size() == 2);
    us.receive(LoneAgent::answer(invite, 200, "one", "Contact: <sip:one@10.0.0.9>\r\n"));
    CHECK(us.only().uri().user == "one");
    us.only_event<Answered>();
    us.receive(LoneAgent::answer(invite, 200, "two", "Contact: <sip:two@10.0.0.9>\r\n"));
    const auto sent = us.taken();
    REQUIRE(sent.size() == 2);
    CHECK(sent[0].method() == "ACK");
    CHECK(sent[0].uri().user == "two");
    CHECK(sent[1].method() == "BYE");
    CHECK(tag_of(sent[1], "To") == "two");
    CHECK(us.ua.take_events().empty());
    CHECK(us.ua.view(call)->remote_tag == "one");
    // However many there are, not all are answered.
    for (int i = 0; i < 40; ++i) us.receive(LoneAgent::answer(invite, 200, "more" + std::to_string(i)));
    CHECK(us.taken().size() == 2 * 14);
    us.ua.bye(us.now, call);
    us.check_nothing_left();
}

TEST_CASE("their INVITE gets 100 at once, our answers carry our tag and Contact") {
    LoneAgent us;
    us.receive(us.request("INVITE", "1", 1, "Record-Route: <sip:10.0.0.7;lr>\r\n"));
    const Message trying = us.only();
    CHECK(trying.status() == 100);
    CHECK(tag_of(trying, "To").empty());
    const auto invited = us.only_event<Invited>();
    us.ua.provisional(us.now, invited.dialog, 183, {{"X-A", "b"}}, "v=0\r\n");
    const Message progress = us.only();
    CHECK(progress.status() == 183);
    CHECK(*progress.first("Record-Route") == "<sip:10.0.0.7;lr>");
    CHECK(*progress.first("Contact") == "<sip:sheaf@10.0.0.1:5060>");
    CHECK(progress.body == "v=0\r\n");
    CHECK(us.sends.back().to == us.source.remote);
    us.receive(us.request("INVITE", "1", 1, "Record-Route: <sip:10.0.0.7;lr>\r\n"));
    CHECK(us.only().status() == 183);  // its copy gets the last answer again
    us.run_for(60s);
    CHECK(us.only().status() == 183);  // and so does a minute's silence
    us.ua.reject(us.now, invited.dialog, 486, {{"X-C", "d"}}, "Not now");
    const Message busy = us.only();
    CHECK(busy.status() == 486);
    CHECK(std::get<StatusLine>(busy.start).reason == "Not now");
    CHECK(tag_of(busy, "To") == tag_of(progress, "To"));
    us.receive(us.request("ACK", "1", 1, "", tag_of(busy, "To")));
    CHECK(us.ua.take_events().empty());
    us.check_nothing_left();
    CHECK(us.taken().empty());
}

TEST_CASE("our 2xx is repeated until its ACK") {
    LoneAgent us;
    us.receive(us.request("INVITE", "1", 1));
    const DialogId call = us.only_event<Invited>().dialog;
    us.ua.answer(us.now, call, "v=0\r\n");
    us.taken();
    us.run_for(4s);
    CHECK(us.taken().size() == 3);  // 0.5 1.5 3.5
    us.receive(us.request("INVITE", "1", 1));
    CHECK(us.taken().empty());  // absorbed: the 2xx has its own clock
    const std::string tag = us.ua.view(call)->local_tag;
    us.receive(us.request("ACK", "2", 7, "", tag));  // of another INVITE
    CHECK(us.ua.take_events().empty());
    us.receive(us.request("ACK", "2", 1, "", tag));
    us.only_event<Acknowledged>();
    us.receive(us.request("ACK", "2", 1, "", tag));
    CHECK(us.ua.take_events().empty());
    us.run_for(40s);
    CHECK(us.taken().empty());
    us.receive(us.request("BYE", "3", 2, "", tag));
    CHECK(us.only().status() == 200);
    CHECK(us.only_event<Ended>().cause == EndCause::bye);
    us.check_nothing_left();
}

TEST_CASE("without an ACK the call ends by BYE") {
    LoneAgent us;
    us.receive(us.request("INVITE", "1", 1));
    us.ua.answer(us.now, us.only_event<Invited>().dialog, "v=0\r\n");
    us.run_for(31'999ms);
    CHECK(us.ua.take_events().empty());
    us.taken();
    us.run_for(1ms);
    CHECK(us.only_event<Ended>().cause == EndCause::no_ack);
    CHECK(us.only().method() == "BYE");
    us.check_nothing_left();
}

TEST_CASE("our BYE waits for the ACK of our 2xx, or for its time-out") {
    for (const bool comes : {true, false}) {
        LoneAgent us;
        us.receive(us.request("INVITE", "1", 1));
        const DialogId call = us.only_event<Invited>().dialog;
        us.ua.answer(us.now, call, "v=0\r\n");
        const std::string tag = us.ua.view(call)->local_tag;
        us.taken();
        us.ua.bye(us.now, call, {{"Reason", "x"}});
        CHECK(us.taken().empty());
        CHECK_FALSE(us.ua.view(call));
        us.receive(us.request("INFO", "9", 2, "", tag));
        CHECK(us.only().status() == 481);
        if (comes) us.receive(us.request("ACK", "2", 1, "", tag));
        us.run_for(comes ? 0s : 32s);
        const auto sent = us.taken();
        REQUIRE_FALSE(sent.empty());
        CHECK(sent.back().method() == "BYE");
        CHECK(*sent.back().first("Reason") == "x");
        CHECK(us.ua.take_events().empty());
        us.check_nothing_left();
    }
}

TEST_CASE("their CANCEL ends an unanswered INVITE, and finds no other") {
    LoneAgent us;
    us.receive(us.request("CANCEL", "1", 1));
    CHECK(us.only().status() == 481);
    us.receive(us.request("INVITE", "2", 1));
    us.taken();
    us.only_event<Invited>();
    us.receive(us.request("CANCEL", "2", 1, "Reason: SIP;cause=200\r\n"));
    const auto sent = us.taken();
    REQUIRE(sent.size() == 2);
    CHECK(sent[0].status() == 200);
    CHECK(sent[0].method() == "CANCEL");
    CHECK(sent[1].status() == 487);
    CHECK(sent[1].method() == "INVITE");
    CHECK(tag_of(sent[0], "To") == tag_of(sent[1], "To"));
    const auto ended = us.only_event<Ended>();
    CHECK(ended.cause == EndCause::cancelled);
    CHECK(*ended.request->first("Reason") == "SIP;cause=200");
    us.check_nothing_left();
}

TEST_CASE("a CANCEL that comes after our answer changes nothing") {
    LoneAgent us;
    us.receive(us.request("INVITE", "1", 1));
    const DialogId call = us.only_event<Invited>().dialog;
    us.ua.answer(us.now, call, "v=0\r\n");
    us.taken();
    us.receive(us.request("CANCEL", "1", 1));
    CHECK(us.only().status() == 200);
    CHECK(us.ua.take_events().empty());
    CHECK(us.ua.view(call));
    us.ua.release(us.now, call, 480);
    us.check_nothing_left();
}

TEST_CASE("a caller may BYE an early dialog") {
    LoneAgent us;
    us.receive(us.request("INVITE", "1", 1));
    const DialogId call = us.only_event<Invited>().dialog;
    us.ua.provisional(us.now, call, 180);
    us.taken();
    us.receive(us.request("BYE", "2", 2, "", us.ua.view(call)->local_tag));
    const auto sent = us.taken();
    REQUIRE(sent.size() == 2);
    CHECK(sent[0].status() == 200);
    CHECK(sent[1].status() == 487);
    CHECK(us.only_event<Ended>().cause == EndCause::bye);
    us.check_nothing_left();
}

TEST_CASE("a rejection said once takes the 100 back, and is repeated where that has gone") {
    for (const bool has_gone : {false, true}) {
        CAPTURE(has_gone);
        LoneAgent us;
        us.receive(us.request("INVITE", "1", 1));
        const DialogId call = us.only_event<Invited>().dialog;
        if (has_gone) CHECK(us.only().status() == 100);
        us.ua.reject(us.now, call, 401, {}, {}, true);
        CHECK(us.only().status() == 401);
        us.run_for(3s);
        CHECK(us.taken().empty() != has_gone);
        us.run_for(60s);
        us.taken();
        us.check_nothing_left();
    }
}

TEST_CASE("a re-INVITE that meets ours is refused, one that meets theirs told to come later") {
    LoneAgent us;
    DialogId call = 0;
    const std::string tag = taken_call(us, &call);
    us.ua.reinvite(us.now, call, "v=1\r\n");
    us.taken();
    us.receive(us.request("INVITE", "5", 5, "", tag));
    CHECK(us.only().status() == 491);
    us.run_for(33s);  // ours is never answered
    us.taken();
    const auto events = us.ua.take_events();
    REQUIRE(events.size() == 2);
    CHECK(std::get<Failed>(events[0]).status == 408);
    CHECK(std::get<Failed>(events[0]).reinvite);
    CHECK(std::get<Ended>(events[1]).cause == EndCause::timed_out);

    LoneAgent other;
    const std::string other_tag = taken_call(other, &call);
    other.receive(other.request("INVITE", "5", 5, "", other_tag));
    CHECK(other.only().status() == 100);
    other.only_event<Reinvited>();
    other.receive(other.request("INVITE", "6", 6, "", other_tag));
    const Message later = other.only();
    CHECK(later.status() == 500);
    CHECK(later.first("Retry-After") != nullptr);
    other.ua.reject(other.now, call, 488);
    CHECK(other.only().status() == 488);
    CHECK(other.ua.view(call));  // as it was
    other.ua.bye(other.now, call);
    CHECK(other.only().method() == "BYE");
    other.check_nothing_left();
}

TEST_CASE("re-INVITEs may follow each other before the ACK, but not while our offer is open") {
    LoneAgent us;
    DialogId call = 0;
    const std::string tag = taken_call(us, &call);
    const std::string offer = "Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n";
    const auto with_offer = [&](int cseq) {
        std::string text = us.request("INVITE", "b" + std::to_string(cseq), cseq, "", tag);
        return text.substr(0, text.find("Content-Length")) + offer;
    };
    for (int cseq = 2; cseq <= 5; ++cseq) {
        us.receive(with_offer(cseq));
        us.ua.answer(us.now, us.only_event<Reinvited>().dialog, "v=2\r\n");
    }
    us.taken();
    us.receive(with_offer(6));
    CHECK(us.only().status() == 500);  // enough wait already
    for (int cseq = 2; cseq <= 5; ++cseq) us.receive(us.request("ACK", "a" + std::to_string(cseq), cseq, "", tag));
    CHECK(us.ua.take_events().size() == 4);
    us.receive(us.request("INVITE", "7", 7, "", tag));  // no offer: our 2xx makes it
    us.ua.answer(us.now, us.only_event<Reinvited>().dialog, "v=3\r\n");
    us.taken();
    us.receive(with_offer(8));
    CHECK(us.only().status() == 491);
    us.receive(us.request("BYE", "9", 9, "", tag));
    us.check_nothing_left();
}

TEST_CASE("481 and 408 to a re-INVITE end the call, another refusal does not") {
    for (const int status : {481, 408, 488, 491}) {
        CAPTURE(status);
        LoneAgent us;
        const DialogId call = answered_call(us);
        us.ua.reinvite(us.now, call, "v=1\r\n");
        us.receive(LoneAgent::answer(us.only(), status, "pt"));
        const auto events = us.ua.take_events();
        REQUIRE_FALSE(events.empty());
        CHECK(std::get<Failed>(events[0]).reinvite);
        const bool ends = status == 481 || status == 408;
        CHECK(events.size() == (ends ? 2 : 1));
        CHECK(us.ua.view(call).has_value() == !ends);
        const auto sent = us.taken();
        CHECK(sent.back().method() == (status == 408 ? "BYE" : "ACK"));
        us.ua.bye(us.now, call);
        us.check_nothing_left();
    }
}

TEST_CASE("a re-INVITE that the peer takes and does not answer is cancelled, and the call goes on") {
    LoneAgent us;
    const DialogId call = answered_call(us);
    us.ua.reinvite(us.now, call, "v=1\r\n");
    const Message reinvite = us.only();
    us.receive(LoneAgent::answer(reinvite, 100, ""));
    us.run_for(31s);
    CHECK(us.taken().empty());
    us.run_for(2s);
    const auto cancels = us.taken();
    REQUIRE_FALSE(cancels.empty());
    CHECK(cancels.front().method() == "CANCEL");
    us.receive(LoneAgent::answer(cancels.front(), 200, "pt"));
    SUBCASE("it says so") {
        us.receive(LoneAgent::answer(reinvite, 487, "pt"));
        CHECK(us.only().method() == "ACK");
        CHECK(us.only_event<Failed>().status == 487);
    }
    SUBCASE("it has answered meanwhile") {
        us.receive(LoneAgent::answer(reinvite, 200, "pt", "Contact: <sip:bob@10.0.0.9>\r\n"));
        CHECK(us.only().method() == "ACK");
        CHECK(us.only_event<Answered>().reinvite);
    }
    SUBCASE("it says nothing at all") {
        us.run_for(33s);
        CHECK(us.only_event<Failed>().status == 408);
    }
    CHECK(us.ua.view(call).has_value());
    us.ua.reinvite(us.now, call, "v=2\r\n");
    CHECK(us.only().method() == "INVITE");
    us.ua.bye(us.now, call);
    us.check_nothing_left();
}

TEST_CASE("a BYE that overtakes the answer to our re-INVITE leaves nothing behind") {
    LoneAgent us;
    const DialogId call = answered_call(us);
    const auto view = us.ua.view(call);
    us.ua.reinvite(us.now, call, "v=1\r\n");
    const Message reinvite = us.only();
    us.receive(
        "BYE sip:alice@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKbye\r\nMax-Forwards: 70\r\n"
        "From: <sip:bob@10.0.0.9>;tag=pt\r\nTo: <sip:alice@10.0.0.1>;tag=" +
        view->local_tag + "\r\nCall-ID: " + view->call_id + "\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n");
    CHECK(us.only().status() == 200);
    CHECK(us.only_event<Ended>().cause == EndCause::bye);
    us.receive(LoneAgent::answer(reinvite, 200, "pt", "Contact: <sip:bob@10.0.0.9>\r\n"));
    CHECK(us.only().method() == "ACK");
    CHECK(us.ua.take_events().empty());
    us.check_nothing_left();
}

TEST_CASE("requests in a dialog follow its route set, loose and strict") {
    for (const bool is_strict : {false, true}) {
        LoneAgent us;
        const DialogId call = us.ua.invite(us.now, plain_invitation());
        const std::string proxy = std::string("<sip:10.0.0.7:5077") + (is_strict ? "" : ";lr") + ">";
        Message response = response_to(us.only(), 200, "pt");
        response.add("Record-Route", "<sip:10.0.0.8;lr>, " + proxy);
        response.add("Contact", "<sip:bob@phone.example>");
        us.receive(to_bytes(response));
        us.ua.request(us.now, call, "INFO", {});
        const auto sent = us.taken();
        REQUIRE(sent.size() == 2);
        for (const Message& message : sent) {
            CHECK(message.uri().host == (is_strict ? "10.0.0.7" : "phone.example"));
            CHECK(message.list("Route").front() == (is_strict ? "<sip:10.0.0.8;lr>" : proxy));
            CHECK(message.list("Route").back() == (is_strict ? "<sip:bob@phone.example>" : "<sip:10.0.0.8;lr>"));
        }
        CHECK(us.sends[1].to == Endpoint{Transport::udp, "10.0.0.7", 5077});
        us.ua.bye(us.now, call);
        us.check_nothing_left();
    }
}

TEST_CASE("a Contact that is only a name is reached where the peer last spoke from") {
    LoneAgent us;
    const DialogId call = us.ua.invite(us.now, plain_invitation());
    us.receive(LoneAgent::answer(us.only(), 200, "pt", "Contact: <sip:bob@phone.local>\r\n"));
    us.ua.bye(us.now, call);
    const auto sent = us.taken();
    CHECK(sent.back().uri().host == "phone.local");
    CHECK(us.sends.back().to == us.source.remote);
    us.check_nothing_left();
}

TEST_CASE("a BYE that is lost, refused or challenged is not our problem any more") {
    LoneAgent us;
    const DialogId call = answered_call(us);
    us.ua.bye(us.now, call);
    us.ua.bye(us.now, call);
    const Message bye = us.only();
    us.receive(LoneAgent::answer(bye, 481, "pt"));
    CHECK(us.ua.take_events().empty());
    us.check_nothing_left();
}
