// SPDX-License-Identifier: Apache-2.0
#include "sip/user_agent.h"

#include "sip/user_agent_test_wire.h"

// Whole calls between two agents over a bad wire. What one message does: user_agent_{call,request}_test.cpp.
using namespace sheaf;
using namespace sheaf::sip;

namespace {

// Answers at once what a phone would.
void be_a_phone(TestAgent& agent) {
    agent.on_event = [&agent](Instant now, const Event& event) {
        if (const auto* invited = std::get_if<Invited>(&event)) {
            agent.ua.provisional(now, invited->dialog, 180);
            agent.ua.answer(now, invited->dialog, "v=0\r\n");
        } else if (const auto* again = std::get_if<Reinvited>(&event)) {
            agent.ua.answer(now, again->dialog, "v=0\r\n");
        } else if (const auto* asked = std::get_if<Requested>(&event)) {
            agent.ua.respond(now, asked->id, 200);
        } else if (const auto* answered = std::get_if<Answered>(&event)) {
            agent.ua.ack(now, answered->dialog, {}, {});
        }
    };
}

}  // namespace

TEST_CASE("a call is set up, re-negotiated and torn down") {
    TestWire wire;
    TestAgent& alice = wire.add("alice", test_options("10.0.0.1"));
    TestAgent& bob = wire.add("bob", test_options("10.0.0.2"));
    be_a_phone(alice);
    be_a_phone(bob);
    const DialogId call = alice.ua.invite(wire.now, test_invitation(bob));
    wire.run_for(1s);
    CHECK(alice.count<Progressed>() == 1);
    REQUIRE(alice.count<Answered>() == 1);
    CHECK(bob.count<Acknowledged>() == 1);
    const auto ours = alice.ua.view(call);
    const DialogId theirs = bob.last<Invited>().dialog;
    REQUIRE(ours);
    CHECK(ours->confirmed);
    CHECK(ours->we_called);
    CHECK(to_text(ours->remote_target) == "sip:sheaf@10.0.0.2:5060");
    CHECK(bob.ua.find(ours->call_id, ours->remote_tag, ours->local_tag) == theirs);
    CHECK(bob.ua.find(ours->call_id, ours->local_tag, ours->remote_tag) == 0);

    bob.ua.reinvite(wire.now, theirs, "v=0\r\n");
    alice.ua.request(wire.now, call, "INFO", {}, "text/plain", "hello");
    wire.run_for(1s);
    CHECK(alice.count<Reinvited>() == 1);
    CHECK(bob.last<Answered>().reinvite);
    CHECK(alice.last<Responded>().status == 200);
    CHECK(bob.last<Requested>().request.body == "hello");

    bob.ua.bye(wire.now, theirs);
    wire.run_for(1s);
    CHECK(alice.last<Ended>().cause == EndCause::bye);
    CHECK(alice.last<Ended>().request->method() == "BYE");
    CHECK(bob.count<Ended>() == 0);
    CHECK_FALSE(alice.ua.view(call));
    wire.check_nothing_left();
}

TEST_CASE("what is advertised stands in Via and Contact: a host with the bound port, or with its own") {
    struct Advertised {
        std::string text, via, contact;
    };
    for (const Advertised& one : {Advertised{"sbc.example", "sbc.example:5060", "sip:sheaf@sbc.example:5060"},
                                  Advertised{"192.0.2.1:5099", "192.0.2.1:5099", "sip:sheaf@192.0.2.1:5099"},
                                  Advertised{"2001:db8::1", "[2001:db8::1]:5060", "sip:sheaf@[2001:db8::1]:5060"},
                                  Advertised{"[2001:db8::1]:5099", "[2001:db8::1]:5099", "sip:sheaf@[2001:db8::1]:5099"}}) {
        CAPTURE(one.text);
        auto options = test_options("10.0.0.1");
        options.advertise = one.text;
        UserAgent agent(std::move(options), {});
        Invitation invitation;
        invitation.target = *uri_from_text("sip:bob@10.0.0.2");
        invitation.from.uri = *uri_from_text("sip:alice@10.0.0.1");
        invitation.to.uri = invitation.target;
        static_cast<void>(agent.invite(Instant{}, invitation));
        const auto sends = agent.take_sends();
        REQUIRE(sends.size() == 1);
        CHECK(sends[0].bytes.find("Via: SIP/2.0/UDP " + one.via + ";") != std::string::npos);
        CHECK(sends[0].bytes.find("Contact: <" + one.contact + ">") != std::string::npos);
    }
}

TEST_CASE("calls come and go over a wire that loses, doubles and reorders") {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        CAPTURE(seed);
        TestWire wire(seed);
        wire.loss_percent = 30;
        wire.double_percent = 10;
        wire.delay_max = 300ms;
        TestAgent& alice = wire.add("alice", test_options("10.0.0.1"));
        TestAgent& bob = wire.add("bob", test_options("10.0.0.2"));
        be_a_phone(alice);
        be_a_phone(bob);
        const DialogId call = alice.ua.invite(wire.now, test_invitation(bob));
        wire.run_for(32s);
        REQUIRE(alice.count<Answered>() == 1);
        REQUIRE(bob.count<Invited>() == 1);
        CHECK(bob.count<Acknowledged>() == 1);
        CHECK(wire.sent("bob", "INVITE", 200).size() <= 11);
        alice.ua.reinvite(wire.now, call, "v=0\r\n");
        wire.run_for(32s);
        CHECK(bob.count<Reinvited>() == 1);
        CHECK(alice.count<Answered>() == 2);
        alice.ua.bye(wire.now, call);
        wire.run_for(32s);
        CHECK(bob.count<Ended>() == 1);
        CHECK(bob.last<Ended>().cause == EndCause::bye);
        wire.check_nothing_left();
    }
}

TEST_CASE("two re-INVITEs that cross are both refused, and one after the other goes through") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        CAPTURE(seed);
        TestWire wire(seed);
        TestAgent& alice = wire.add("alice", test_options("10.0.0.1"));
        TestAgent& bob = wire.add("bob", test_options("10.0.0.2"));
        be_a_phone(alice);
        be_a_phone(bob);
        const DialogId call = alice.ua.invite(wire.now, test_invitation(bob));
        wire.run_for(1s);
        const DialogId theirs = bob.last<Invited>().dialog;
        const auto persist = [](TestAgent& agent, DialogId dialog) {
            const auto former = agent.on_event;
            agent.on_event = [&agent, dialog, former](Instant now, const Event& event) {
                if (std::holds_alternative<GlareOver>(event)) agent.ua.reinvite(now, dialog, "v=1\r\n");
                former(now, event);
            };
        };
        persist(alice, call);
        persist(bob, theirs);
        alice.ua.reinvite(wire.now, call, "v=1\r\n");
        bob.ua.reinvite(wire.now, theirs, "v=1\r\n");
        wire.run_for(10s);
        CHECK(alice.last<Failed>().status == 491);
        CHECK(bob.last<Failed>().status == 491);
        CHECK(alice.last<Failed>().reinvite);
        CHECK(alice.last<Answered>().reinvite);
        CHECK(bob.last<Answered>().reinvite);
        // Who called waits 2.1 s to 4 s, the other up to 2 s: at first a tenth of it.
        CHECK(wire.sent("bob", "INVITE").at(1).at - wire.sent("bob", "INVITE").at(0).at <= 210ms);
        const auto ours = wire.sent("alice", "INVITE");
        CHECK(ours.at(2).at - ours.at(1).at >= 2100ms);
        CHECK(ours.at(2).at - ours.at(1).at <= 4010ms);
        alice.ua.bye(wire.now, call);
        wire.check_nothing_left();
    }
}

TEST_CASE("a re-INVITE while another is under way waits for its turn") {
    TestWire wire;
    TestAgent& alice = wire.add("alice", test_options("10.0.0.1"));
    TestAgent& bob = wire.add("bob", test_options("10.0.0.2"));
    be_a_phone(bob);
    const DialogId call = alice.ua.invite(wire.now, test_invitation(bob));
    wire.run_for(1s);
    alice.ua.reinvite(wire.now, call, "v=1\r\n");
    alice.ua.reinvite(wire.now, call, "v=2\r\n");
    wire.flush();
    CHECK(alice.last<Failed>().status == 491);
    CHECK_FALSE(alice.last<Failed>().response);
    CHECK(alice.count<GlareOver>() == 0);
    wire.run_for(1s);
    CHECK(alice.count<GlareOver>() == 1);
    CHECK(bob.count<Reinvited>() == 1);
    alice.ua.bye(wire.now, call);
    wire.check_nothing_left();
}

TEST_CASE("an INVITE without an offer gets one, and the ACK brings the answer") {
    TestWire wire(3);
    wire.loss_percent = 20;
    TestAgent& alice = wire.add("alice", test_options("10.0.0.1"));
    TestAgent& bob = wire.add("bob", test_options("10.0.0.2"));
    be_a_phone(bob);
    const DialogId call = alice.ua.invite(wire.now, test_invitation(bob, ""));
    wire.run_for(20s);
    REQUIRE(alice.count<Answered>() == 1);
    CHECK(alice.last<Answered>().response.body == "v=0\r\n");
    CHECK(bob.count<Acknowledged>() == 0);
    CHECK(wire.sent("alice", "ACK").empty());
    // Not before that answer may bob offer again (§14.2).
    alice.ua.reinvite(wire.now, call, "v=1\r\n");
    wire.flush();
    CHECK(alice.last<Failed>().status == 491);
    alice.ua.ack(wire.now, call, "application/sdp", "v=9\r\n");
    wire.run_for(20s);
    REQUIRE(bob.count<Acknowledged>() == 1);
    CHECK(bob.last<Acknowledged>().request.body == "v=9\r\n");
    CHECK(alice.count<GlareOver>() == 1);
    alice.ua.bye(wire.now, call);
    wire.check_nothing_left();
}

TEST_CASE("a call is cancelled at every moment, and nothing is left") {
    // The answer comes after 400 ms; ringing after 100 ms; the wire takes 50 ms.
    for (int at_ms = 0; at_ms <= 700; at_ms += 10) {
        CAPTURE(at_ms);
        TestWire wire;
        wire.delay_min = wire.delay_max = 50ms;
        TestAgent& alice = wire.add("alice", test_options("10.0.0.1"));
        TestAgent& bob = wire.add("bob", test_options("10.0.0.2"));
        const DialogId call = alice.ua.invite(wire.now, test_invitation(bob));
        for (int t = 0; t <= 2000; t += 10) {
            if (bob.count<Invited>() == 1 && t == 100) bob.ua.provisional(wire.now, bob.last<Invited>().dialog, 180);
            if (bob.count<Invited>() == 1 && t == 400) bob.ua.answer(wire.now, bob.last<Invited>().dialog, "v=0\r\n");
            if (t == at_ms) alice.ua.cancel(wire.now, call);
            wire.run_for(10ms);
        }
        CHECK_FALSE(alice.ua.view(call));
        if (alice.count<Answered>() == 0) {
            REQUIRE(alice.count<Failed>() == 1);
            CHECK(alice.last<Failed>().status == 487);
        }
        REQUIRE(bob.count<Ended>() == 1);
        const bool was_crossed = bob.last<Ended>().cause == EndCause::bye;
        CHECK(was_crossed == (at_ms >= 360));
        CHECK(wire.sent("alice", "BYE").size() == (was_crossed ? 1U : 0U));
        CHECK(wire.sent("bob", "INVITE", 487).size() == (was_crossed ? 0U : 1U));
        wire.check_nothing_left();
    }
}

TEST_CASE("many calls at once do not disturb each other") {
    TestWire wire;
    TestAgent& alice = wire.add("alice", test_options("10.0.0.1"));
    TestAgent& bob = wire.add("bob", test_options("10.0.0.2"));
    be_a_phone(bob);
    std::vector<DialogId> calls;
    for (int i = 0; i < 300; ++i) calls.push_back(alice.ua.invite(wire.now, test_invitation(bob)));
    wire.run_for(1s);
    CHECK(alice.count<Answered>() == calls.size());
    CHECK(alice.ua.counts().dialogs == calls.size());
    for (const DialogId call : calls) alice.ua.bye(wire.now, call);
    wire.run_for(1s);
    CHECK(bob.count<Ended>() == calls.size());
    wire.check_nothing_left();
}
