// SPDX-License-Identifier: Apache-2.0
#include "sip/user_agent_state.h"
#include "sip/user_agent_test_wire.h"

// Requests other than INVITE, what is refused and why, limits, transports.
using namespace sheaf;
using namespace sheaf::sip;

namespace {

Invitation invitation_to(const std::string& uri, const std::string& body) {
    Invitation invitation;
    invitation.target = *uri_from_text(uri);
    invitation.from.uri = *uri_from_text("sip:alice@10.0.0.1");
    invitation.to.uri = invitation.target;
    invitation.body = body;
    return invitation;
}

OutsideRequest outside(const std::string& method, const std::string& uri = "sip:10.0.0.9") {
    OutsideRequest request;
    request.method = method;
    request.target = *uri_from_text(uri);
    request.from.uri = *uri_from_text("sip:alice@10.0.0.1");
    request.to.uri = request.from.uri;
    return request;
}

}  // namespace

TEST_CASE("a request outside of dialogs is answered, or timed out after 64 T1") {
    LoneAgent us;
    OutsideRequest wanted = outside("REGISTER");
    wanted.call_id = "reg";
    wanted.cseq = 41;
    wanted.headers = {{"Contact", "<sip:alice@10.0.0.1>"}, {"Expires", "60"}};
    const ClientRequest id = us.ua.request_outside(us.now, wanted);
    const Message request = us.only();
    CHECK(*request.first("CSeq") == "41 REGISTER");
    CHECK(request.all("Contact").size() == 1);
    us.receive(LoneAgent::answer(request, 100, ""));
    us.receive(LoneAgent::answer(request, 200, "r"));
    const auto responded = us.only_event<Responded>();
    CHECK(responded.id == id);
    CHECK(responded.dialog == 0);
    CHECK(responded.response->status() == 200);
    us.receive(LoneAgent::answer(request, 200, "r"));
    CHECK(us.ua.take_events().empty());
    us.ua.request_outside(us.now, outside("OPTIONS"));
    us.run_for(32s);
    CHECK(us.only_event<Responded>().status == 408);
    CHECK(us.taken().size() == 11);
    us.ua.request_outside(us.now, outside("OPTIONS", "sip:somewhere.example"));
    CHECK(us.only_event<Responded>().status == 503);
    us.check_nothing_left();
}

TEST_CASE("REFER and its NOTIFYs travel in the dialog") {
    TestWire wire(7);
    wire.loss_percent = 30;
    TestAgent& alice = wire.add("alice", test_options("10.0.0.1"));
    TestAgent& bob = wire.add("bob", test_options("10.0.0.2"));
    bob.on_event = [&bob](Instant now, const Event& event) {
        if (const auto* invited = std::get_if<Invited>(&event)) bob.ua.answer(now, invited->dialog, "v=0\r\n");
        if (const auto* asked = std::get_if<Requested>(&event)) {
            bob.ua.respond(now, asked->id, 202);
            bob.ua.request(now, asked->dialog, "NOTIFY", {{"Event", "refer"}, {"Subscription-State", "active"}},
                           "message/sipfrag", "SIP/2.0 100 Trying");
        }
    };
    alice.on_event = [&alice](Instant now, const Event& event) {
        if (const auto* asked = std::get_if<Requested>(&event)) alice.ua.respond(now, asked->id, 200);
    };
    const DialogId call = alice.ua.invite(wire.now, test_invitation(bob));
    wire.run_for(32s);
    const ClientRequest refer = alice.ua.request(wire.now, call, "REFER", {{"Refer-To", "<sip:carol@10.0.0.3>"}});
    wire.run_for(32s);
    REQUIRE(alice.count<Responded>() == 1);
    CHECK(alice.last<Responded>().id == refer);
    CHECK(alice.last<Responded>().status == 202);
    CHECK(alice.last<Responded>().response->first("Contact") != nullptr);
    REQUIRE(alice.count<Requested>() == 1);
    CHECK(alice.last<Requested>().dialog == call);
    CHECK(alice.last<Requested>().request.body == "SIP/2.0 100 Trying");
    CHECK(alice.last<Requested>().request.first("Contact") != nullptr);
    CHECK(bob.last<Responded>().status == 200);
    CHECK(bob.count<Requested>() == 1);
    alice.ua.bye(wire.now, call);
    wire.check_nothing_left();
}

TEST_CASE("a request in a dialog that gets 481 or nothing ends it, a NOTIFY does not") {
    for (const std::string method : {"INFO", "NOTIFY"}) {
        for (const int status : {481, 408}) {
            CAPTURE(method);
            CAPTURE(status);
            LoneAgent us;
            const DialogId call = us.ua.invite(us.now, invitation_to("sip:bob@10.0.0.9", "v=0"));
            us.receive(LoneAgent::answer(us.only(), 200, "pt", "Contact: <sip:bob@10.0.0.9>\r\n"));
            us.taken();
            static_cast<void>(us.ua.take_events());
            us.ua.request(us.now, call, method, {});
            if (status == 481) us.receive(LoneAgent::answer(us.only(), 481, "pt"));
            us.run_for(33s);
            const auto events = us.ua.take_events();
            REQUIRE(events.size() == (method == "INFO" ? 2 : 1));
            CHECK(std::get<Responded>(events[0]).status == status);
            if (method == "INFO") {
                CHECK(std::get<Ended>(events[1]).cause == (status == 481 ? EndCause::gone : EndCause::timed_out));
                CHECK_FALSE(us.ua.view(call));
            }
            us.ua.bye(us.now, call);
            us.check_nothing_left();
        }
    }
}

TEST_CASE("a command for a dialog that is over answers for itself") {
    LoneAgent us;
    us.ua.request(us.now, 77, "INFO", {});
    CHECK(us.only_event<Responded>().status == 481);
    us.ua.bye(us.now, 77);
    us.ua.answer(us.now, 77, "");
    us.ua.reject(us.now, 77, 486);
    us.ua.cancel(us.now, 77);
    us.ua.ack(us.now, 77, {}, {});
    us.ua.provisional(us.now, 77, 180);
    us.ua.reinvite(us.now, 77, "");
    us.ua.release(us.now, 77, 480);
    us.ua.respond(us.now, 77, 200);
    us.ua.transport_failed(us.now, "nothing");
    CHECK(us.taken().empty());
    CHECK(us.ua.take_events().empty());
}

TEST_CASE("what we cannot do is refused with the reason") {
    LoneAgent us;
    us.receive(us.request("PUBLISH", "1", 1));
    const Message not_allowed = us.only();
    CHECK(not_allowed.status() == 405);
    CHECK(not_allowed.has_token("Allow", "INVITE"));
    us.receive(us.request("INVITE", "2", 2, "Require: replaces, 100rel, other\r\n"));
    const Message bad_extension = us.only();
    CHECK(bad_extension.status() == 420);
    CHECK(*bad_extension.first("Unsupported") == "100rel, other");
    us.receive(us.request("INVITE", "3", 3, "Max-Forwards: 0\r\n"));
    CHECK(us.only().status() == 483);
    us.receive(us.request("INFO", "4", 4, "", "nobody"));
    CHECK(us.only().status() == 481);
    us.receive(us.request("BYE", "5", 5));
    CHECK(us.only().status() == 481);
    std::string mail = us.request("INVITE", "6", 6);
    mail.replace(mail.find("sip:bob@10.0.0.1"), 16, "mailto:bob");
    us.receive(mail);
    CHECK(us.only().status() == 416);
    CHECK(us.ua.take_events().empty());
    us.receive(us.request("OPTIONS", "7", 7, "Max-Forwards: 0\r\n"));
    us.ua.respond(us.now, us.only_event<Requested>().id, 200);
    CHECK(us.only().has_token("Allow", "INVITE"));
    us.check_nothing_left();
}

TEST_CASE("the same request by another path is a loop") {
    LoneAgent us;
    us.receive(us.request("INVITE", "1", 1));
    CHECK(us.only().status() == 100);
    us.receive(us.request("INVITE", "2", 1));
    CHECK(us.only().status() == 482);
    us.ua.reject(us.now, us.only_event<Invited>().dialog, 486);
    us.check_nothing_left();
}

TEST_CASE("a broken request gets 400 with the reason, an oversized one 513, a broken ACK or response nothing") {
    LoneAgent us;
    std::string text = us.request("INFO", "1", 1);
    text.replace(text.find("Max-Forwards: 70"), 16, "Max-Forwards: many");
    us.receive(text);
    const Message refused = us.only();
    CHECK(refused.status() == 400);
    CHECK_FALSE(std::get<StatusLine>(refused.start).reason.empty());
    CHECK(us.sends.back().to == us.source.remote);
    us.receive(us.request("INFO", "2", 2, "Subject: " + std::string(kHeaderBytesMax + 1, 'x') + "\r\n"));
    CHECK(us.only().status() == 513);
    text = us.request("ACK", "3", 3);
    text.replace(text.find("Max-Forwards: 70"), 16, "Max-Forwards: many");
    us.receive(text);
    us.receive("SIP/2.0 200 OK\r\nVia: x\r\n\r\n");
    us.receive("\r\n\r\n");
    us.receive("");
    us.receive("nothing of ours");
    CHECK(us.taken().empty());
    CHECK(us.ua.counts().transactions == 0);
}

TEST_CASE("a response with another Via than ours below it, or none of ours, is not ours") {
    LoneAgent us;
    us.ua.request_outside(us.now, outside("OPTIONS"));
    const Message request = us.only();
    const std::string via = *request.first("Via");
    const auto answer = [&](const std::string& vias) {
        Message response = response_to(request, 200, "t");
        response.remove("Via");
        std::string text = to_bytes(response);
        text.insert(text.find("\r\n") + 2, vias);
        us.receive(text);
        return us.ua.take_events().size();
    };
    CHECK(answer("Via: " + via + ", " + via + "\r\n") == 0);
    CHECK(answer("Via: " + via + "\r\nv: SIP/2.0/UDP 203.0.113.9\r\n") == 0);
    CHECK(answer("Via: SIP/2.0/UDP 203.0.113.9\r\n") == 0);
    CHECK(answer("Via: SIP/2.0/UDP 203.0.113.9;branch=z9hG4bKother\r\n") == 0);
    CHECK(answer("Via: ,\r\nVia: " + via + "\r\n") == 1);
}

TEST_CASE("answers go back to the address the request came from, to its port if rport asks") {
    LoneAgent us;
    us.source.remote = {Transport::udp, "203.0.113.5", 34567};
    us.receive(us.request("OPTIONS", "1", 1));
    us.ua.respond(us.now, us.only_event<Requested>().id, 200);
    const Message plain = us.only();
    CHECK(us.sends.back().to == Endpoint{Transport::udp, "203.0.113.5", 5060});
    CHECK(top_via(plain)->params.value("received") == "203.0.113.5");
    std::string with_rport = us.request("OPTIONS", "2;rport;maddr=198.51.100.1", 2);
    us.receive(with_rport);
    us.ua.respond(us.now, us.only_event<Requested>().id, 200);
    const Message symmetric = us.only();
    CHECK(us.sends.back().to == us.source.remote);
    CHECK(top_via(symmetric)->params.value("rport") == "34567");
    CHECK(top_via(symmetric)->params.value("received") == "203.0.113.5");
    us.check_nothing_left();
}

TEST_CASE("peers of RFC 2543 get their transactions too") {
    LoneAgent us;
    const auto old = [&](const std::string& method) {
        std::string text = us.request(method, "X", 1);
        text.replace(text.find(";branch=z9hG4bKX"), 16, "");
        text.replace(text.find(";tag=pt"), 7, "");
        return text;
    };
    us.receive(old("INVITE"));
    CHECK(us.only().status() == 100);
    const DialogId call = us.only_event<Invited>().dialog;
    us.receive(old("INVITE"));
    CHECK(us.only().status() == 100);
    us.ua.reject(us.now, call, 486);
    const Message busy = us.only();
    us.receive(old("INVITE"));
    CHECK(us.only().status() == 486);
    us.receive(old("ACK"));
    us.run_for(10s);
    CHECK(us.taken().empty());  // the ACK was understood
    us.check_nothing_left();
}

TEST_CASE("requests that come out of order in a dialog are refused, answers nobody waits for ignored") {
    LoneAgent us;
    us.receive(us.request("INVITE", "1", 5));
    const DialogId call = us.only_event<Invited>().dialog;
    us.ua.answer(us.now, call, "v=0\r\n");
    const Message ok = us.taken().back();
    const std::string tag = us.ua.view(call)->local_tag;
    us.receive(us.request("INFO", "2", 4, "", tag));
    CHECK(us.only().status() == 500);
    us.receive(LoneAgent::answer(ok.is_request() ? ok : *message_from_datagram(us.request("INFO", "3", 9)), 200, "x"));
    CHECK(us.taken().empty());
    CHECK(us.ua.take_events().empty());
    us.receive(us.request("BYE", "4", 6, "", tag));
    us.check_nothing_left();
}

TEST_CASE("a full house answers 503 with Retry-After and still lets calls end") {
    UserAgentOptions options = test_options("10.0.0.1");
    options.dialogs_max = 1;
    LoneAgent few_dialogs(options);
    few_dialogs.receive(few_dialogs.request("INVITE", "1", 1));
    const DialogId call = few_dialogs.only_event<Invited>().dialog;
    few_dialogs.taken();
    std::string second = few_dialogs.request("INVITE", "2", 1);
    second.replace(second.find("peer-call"), 9, "peer-more");
    few_dialogs.receive(second);
    const Message refused = few_dialogs.only();
    CHECK(refused.status() == 503);
    CHECK(refused.first("Retry-After") != nullptr);
    few_dialogs.ua.invite(few_dialogs.now, invitation_to("sip:bob@10.0.0.9", ""));
    CHECK(few_dialogs.only_event<Failed>().status == kOwnLimit);
    few_dialogs.ua.reject(few_dialogs.now, call, 486);
    few_dialogs.check_nothing_left();

    options.dialogs_max = 10;
    options.transactions_max = 2;
    LoneAgent us(options);
    us.receive(us.request("INVITE", "1", 1));
    const DialogId taken = us.only_event<Invited>().dialog;
    us.ua.answer(us.now, taken, "v=0\r\n");
    const std::string tag = us.ua.view(taken)->local_tag;
    us.receive(us.request("ACK", "2", 1, "", tag));
    us.receive(us.request("INFO", "3", 2, "", tag));
    static_cast<void>(us.ua.take_events());
    us.taken();
    us.receive(us.request("OPTIONS", "4", 3));
    CHECK(us.only().status() == 503);
    CHECK(us.ua.counts().transactions == 2);
    us.ua.request_outside(us.now, outside("OPTIONS"));
    CHECK(us.only_event<Responded>().status == kOwnLimit);
    // A dialog stays: its peer has done nothing.
    us.ua.request(us.now, taken, "OPTIONS", {});
    CHECK(us.only_event<Responded>().status == kOwnLimit);
    us.ua.reinvite(us.now, taken, "v=0\r\n");
    CHECK(us.only_event<Failed>().status == kOwnLimit);
    us.receive(us.request("BYE", "5", 4, "", tag));
    CHECK(us.only().status() == 200);
    CHECK(us.only_event<Ended>().cause == EndCause::bye);
    us.check_nothing_left();
}

TEST_CASE("a request too large for a datagram goes by TCP, and back to UDP if that fails") {
    for (const bool tcp_works : {true, false}) {
        TestWire wire;
        wire.tcp_works = tcp_works;
        TestAgent& alice = wire.add("alice", test_options("10.0.0.1", 5060, true));
        TestAgent& bob = wire.add("bob", test_options("10.0.0.2", 5060, true));
        bob.on_event = [&bob](Instant now, const Event& event) {
            if (const auto* invited = std::get_if<Invited>(&event)) bob.ua.answer(now, invited->dialog, "v=0\r\n");
        };
        const DialogId call = alice.ua.invite(wire.now, test_invitation(bob, std::string(2'000, 'x')));
        wire.run_for(1s);
        const auto invites = wire.sent("alice", "INVITE");
        REQUIRE(invites.size() == (tcp_works ? 1 : 2));
        CHECK(top_via(invites[0].message)->transport == "TCP");
        CHECK(top_via(invites.back().message)->transport == (tcp_works ? "TCP" : "UDP"));
        CHECK(alice.count<Answered>() == 1);
        CHECK(wire.sent("bob", "INVITE", 200).front().send.to.transport ==
              (tcp_works ? Transport::tcp : Transport::udp));
        // Only this request needed TCP: what comes back need not.
        CHECK(*invites[0].message.first("Contact") == "<sip:sheaf@10.0.0.1:5060>");
        alice.ua.bye(wire.now, call);
        wire.check_nothing_left();
    }
}

TEST_CASE("where TCP was tried in vain, large requests go by UDP at once for five minutes") {
    TestWire wire;
    wire.tcp_works = false;
    TestAgent& alice = wire.add("alice", test_options("10.0.0.1", 5060, true));
    TestAgent& bob = wire.add("bob", test_options("10.0.0.2", 5060, true));
    bob.on_event = [&bob](Instant now, const Event& event) {
        if (const auto* invited = std::get_if<Invited>(&event)) bob.ua.reject(now, invited->dialog, 486);
    };
    const auto ways_of_next = [&] {
        const std::size_t before = wire.sent("alice", "INVITE").size();
        alice.ua.invite(wire.now, test_invitation(bob, std::string(2'000, 'x')));
        wire.run_for(1s);
        std::string ways;
        const auto sent = wire.sent("alice", "INVITE");
        for (std::size_t i = before; i < sent.size(); ++i) ways += top_via(sent[i].message)->transport + " ";
        return ways;
    };
    CHECK(ways_of_next() == "TCP UDP ");
    CHECK(ways_of_next() == "UDP ");
    wire.run_for(5min);
    CHECK(ways_of_next() == "TCP UDP ");
    wire.check_nothing_left();
}

TEST_CASE("a request that is lost with a connection goes once more over a new one, the same bytes") {
    LoneAgent us(test_options("10.0.0.1", 5060, true));
    us.ua.request_outside(us.now, outside("OPTIONS", "sip:10.0.0.9;transport=tcp"));
    us.taken();
    const Send first = us.sends.back();
    us.ua.transport_failed(us.now, first.branch, true);
    us.taken();
    REQUIRE(us.sends.size() >= 2);
    CHECK(us.sends.back().bytes == first.bytes);
    CHECK(us.sends.back().flow == 0);
    CHECK(us.ua.take_events().empty());
    us.ua.transport_failed(us.now, first.branch, true);  // that one, too
    CHECK(us.only_event<Responded>().status == 503);
    us.check_nothing_left();
}

TEST_CASE("an INVITE that was given up while its TCP was tried is not sent by UDP") {
    LoneAgent us(test_options("10.0.0.1", 5060, true));
    const DialogId call = us.ua.invite(us.now, invitation_to("sip:bob@10.0.0.9", std::string(2'000, 'x')));
    us.taken();
    const Send invite = us.sends.back();
    REQUIRE(invite.to.transport == Transport::tcp);
    us.ua.cancel(us.now, call);
    us.ua.transport_failed(us.now, invite.branch);
    CHECK(us.taken().empty());
    CHECK(us.only_event<Failed>().status >= 400);
    us.check_nothing_left();
}

TEST_CASE("so many addresses are remembered where TCP was tried in vain; one more is tried again each time") {
    LoneAgent us(test_options("10.0.0.1", 5060, true));
    const auto goes_by = [&](std::size_t peer) {
        OutsideRequest request =
            outside("OPTIONS", "sip:10.1." + std::to_string(peer / 256) + "." + std::to_string(peer % 256));
        request.body = std::string(2'000, 'x');
        us.ua.request_outside(us.now, request);
        us.taken();
        const Send sent = us.sends.back();
        if (sent.to.transport == Transport::tcp) us.ua.transport_failed(us.now, sent.branch);
        us.taken();
        return sent.to.transport;
    };
    for (std::size_t peer = 0; peer <= kWithoutTcpMax; ++peer) REQUIRE(goes_by(peer) == Transport::tcp);
    CHECK(goes_by(0) == Transport::udp);
    CHECK(goes_by(kWithoutTcpMax - 1) == Transport::udp);
    CHECK(goes_by(kWithoutTcpMax) == Transport::tcp);
    us.now += kWithoutTcpFor;
    CHECK(goes_by(kWithoutTcpMax) == Transport::tcp);
    CHECK(goes_by(kWithoutTcpMax) == Transport::udp);
}

TEST_CASE("where UDP is asked for by name a large request goes by UDP as well") {
    for (const std::string& named : {std::string(), std::string(";transport=udp"), std::string(";transport=UDP")}) {
        CAPTURE(named);
        LoneAgent us(test_options("10.0.0.1", 5060, true));
        us.ua.invite(us.now, invitation_to("sip:bob@10.0.0.9" + named, std::string(2'000, 'x')));
        us.only();
        CHECK(us.sends.back().to.transport == (named.empty() ? Transport::tcp : Transport::udp));
    }
}

TEST_CASE("a transport that fails is told as 503, except when TCP was only for size") {
    UserAgentOptions options = test_options("10.0.0.1", 5060, true);
    LoneAgent us(options);
    us.ua.invite(us.now, invitation_to("sip:bob@10.0.0.9;transport=tcp", "v=0"));
    const Message invite = us.only();
    CHECK(*invite.first("Contact") == "<sip:sheaf@10.0.0.1:5060;transport=tcp>");
    us.ua.transport_failed(us.now, us.sends.back().branch);
    CHECK(us.only_event<Failed>().status == 503);
    us.ua.request_outside(us.now, outside("OPTIONS"));
    us.taken();
    us.ua.transport_failed(us.now, us.sends.back().branch);
    us.ua.transport_failed(us.now, us.sends.back().branch);
    CHECK(us.only_event<Responded>().status == 503);
    us.ua.invite(us.now, invitation_to("sip:bob@10.0.0.9;transport=tls", ""));
    CHECK(us.only_event<Failed>().status == 503);
    us.check_nothing_left();
}

TEST_CASE("in a dialog over TCP requests take the connection they know") {
    LoneAgent us(test_options("10.0.0.1", 5060, true));
    us.source = {{Transport::tcp, "10.0.0.9", 40000}, {Transport::tcp, "10.0.0.1", 5060}, 7};
    std::string text = us.request("INVITE", "1", 1);
    text.replace(text.find("<sip:peer@10.0.0.9>\r\nMax"), 19, "<sip:peer@10.0.0.9;transport=tcp>");
    us.receive(text);
    const DialogId call = us.only_event<Invited>().dialog;
    us.ua.answer(us.now, call, "v=0\r\n");
    CHECK(us.taken().back().first("Contact")->find("transport=tcp") != std::string::npos);
    CHECK(us.sends.back().flow == 7);
    us.receive(us.request("ACK", "2", 1, "", us.ua.view(call)->local_tag));
    us.ua.bye(us.now, call);
    us.taken();
    CHECK(us.sends.back().flow == 7);
    CHECK(us.sends.back().to == Endpoint{Transport::tcp, "10.0.0.9", 5060});
    us.check_nothing_left();
}
