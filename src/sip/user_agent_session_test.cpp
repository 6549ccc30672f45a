// SPDX-License-Identifier: Apache-2.0
#include "sip/user_agent_test_wire.h"

// Session timers (RFC 4028) between two agents, and UPDATE (RFC 3311) one message at a time.
using namespace sheaf;
using namespace sheaf::sip;

namespace {

UserAgentOptions timed(const std::string& address, std::chrono::seconds wanted = 1800s,
                       std::chrono::seconds least = 90s) {
    UserAgentOptions options = test_options(address);
    options.supported.emplace_back("timer");
    options.session = {wanted, least};
    return options;
}

// A call of alice's that bob has answered.
struct Pair {
    TestWire wire;
    TestAgent& alice;
    TestAgent& bob;
    DialogId ours = 0;
    DialogId theirs = 0;

    Pair(UserAgentOptions of_alice, UserAgentOptions of_bob, std::uint64_t seed = 1, unsigned loss_percent = 0)
        : wire(seed), alice(wire.add("alice", std::move(of_alice))), bob(wire.add("bob", std::move(of_bob))) {
        wire.loss_percent = loss_percent;
        for (TestAgent* agent : {&alice, &bob}) {
            agent->on_event = [agent](Instant now, const Event& event) {
                if (const auto* e = std::get_if<Invited>(&event)) agent->ua.answer(now, e->dialog, "v=0\r\n");
                if (const auto* e = std::get_if<Reinvited>(&event)) agent->ua.answer(now, e->dialog, "v=0\r\n");
                if (const auto* e = std::get_if<RefreshDue>(&event)) agent->ua.reinvite(now, e->dialog, "v=0\r\n");
                if (const auto* e = std::get_if<Requested>(&event)) agent->ua.respond(now, e->id, 200);
            };
        }
        ours = alice.ua.invite(wire.now, test_invitation(bob));
        wire.run_for(10s);
        REQUIRE(alice.count<Answered>() == 1);
        theirs = bob.last<Invited>().dialog;
    }
    void hang_up() {
        alice.ua.bye(wire.now, ours);
        wire.run_for(40s);
        wire.check_nothing_left();
    }
};

}  // namespace

TEST_CASE("a session is refreshed by UPDATE as long as both stand") {
    Pair talk(timed("10.0.0.1"), timed("10.0.0.2"));
    talk.wire.run_for(2h);
    CHECK(talk.wire.sent("alice", "UPDATE").size() == 8);
    CHECK(talk.wire.sent("bob", "UPDATE").empty());
    CHECK(*talk.wire.sent("alice", "UPDATE").back().message.first("Session-Expires") == "1800;refresher=uac");
    CHECK(talk.alice.count<Ended>() + talk.bob.count<Ended>() == 0);
    CHECK(talk.alice.count<Responded>() == 0);
    talk.hang_up();
}

TEST_CASE("a session is refreshed by re-INVITE where the peer takes no UPDATE, however it says so") {
    UserAgentOptions without = timed("10.0.0.2");
    SUBCASE("it does not allow it") {
        std::erase(without.allow, "UPDATE");
    }
    SUBCASE("it says nothing about what it allows") {
        without.allow.clear();
        without.allow = {"INVITE", "ACK", "BYE", "CANCEL"};
    }
    Pair talk(timed("10.0.0.1"), without);
    talk.wire.run_for(1h);
    CHECK(talk.wire.sent("alice", "UPDATE").empty());
    CHECK(talk.alice.count<RefreshDue>() == 4);
    CHECK(talk.bob.count<Reinvited>() == 4);
    CHECK(talk.bob.count<Ended>() == 0);
    talk.hang_up();
}

TEST_CASE("a re-INVITE of the other side refreshes as well, and leaves the roles as they are") {
    Pair talk(timed("10.0.0.1"), timed("10.0.0.2"));
    talk.wire.run_for(10min);
    talk.bob.ua.reinvite(talk.wire.now, talk.theirs, "v=0\r\n");
    talk.wire.run_for(14min);
    CHECK(*talk.wire.sent("bob", "INVITE").back().message.first("Session-Expires") == "1800;refresher=uas");
    CHECK(talk.wire.sent("alice", "UPDATE").empty());
    talk.wire.run_for(2min);
    CHECK(talk.wire.sent("alice", "UPDATE").size() == 1);
    talk.hang_up();
}

TEST_CASE("whoever hears no refresh ends the call before the session expires") {
    Pair talk(timed("10.0.0.1"), timed("10.0.0.2"));
    const Instant answered = talk.wire.now;
    talk.wire.loses = [](const TestWire::Sent& sent) { return sent.from == "alice"; };
    talk.wire.run_for(30min - 50s);
    CHECK(talk.bob.count<Ended>() == 0);
    talk.wire.run_for(20s);
    REQUIRE(talk.bob.count<Ended>() == 1);
    CHECK(talk.bob.last<Ended>().cause == EndCause::expired);
    const auto byes = talk.wire.sent("bob", "BYE");
    REQUIRE_FALSE(byes.empty());
    CHECK(byes.front().at - answered < 30min - 32s + 1s);
    CHECK(*byes.front().message.first("Reason") == "SIP;cause=408;text=\"session expired\"");
    talk.wire.check_nothing_left();
}

TEST_CASE("a peer that has vanished is found by the refresh, whether it knows of session timers or not") {
    UserAgentOptions of_bob = timed("10.0.0.2");
    SUBCASE("it does") {}
    SUBCASE("it does not") {
        of_bob = test_options("10.0.0.2");
    }
    Pair talk(timed("10.0.0.1"), of_bob);
    talk.wire.loses = [](const TestWire::Sent& sent) { return sent.from == "bob"; };
    talk.wire.run_for(16min);
    REQUIRE(talk.alice.count<Ended>() == 1);
    CHECK(talk.alice.last<Ended>().cause == EndCause::timed_out);
    talk.wire.run_for(31min);
    talk.wire.check_nothing_left();
}

TEST_CASE("too short an interval is refused with 422, and asked for again as the other side wants it") {
    Pair talk(timed("10.0.0.1", 300s), timed("10.0.0.2", 1800s, 600s));
    const auto invites = talk.wire.sent("alice", "INVITE");
    REQUIRE(invites.size() == 2);
    CHECK(talk.wire.sent("bob", "INVITE", 422).size() == 1);
    CHECK(*invites.back().message.first("Session-Expires") == "600");
    CHECK(*invites.back().message.first("Min-SE") == "600");
    CHECK(*invites.back().message.first("Call-ID") == *invites.front().message.first("Call-ID"));
    CHECK(cseq_of(invites.back().message).number == 2);
    CHECK(talk.bob.count<Invited>() == 1);
    talk.wire.run_for(11min);
    CHECK(talk.wire.sent("alice", "UPDATE").size() == 2);
    CHECK(*talk.wire.sent("alice", "UPDATE").front().message.first("Min-SE") == "600");
    talk.hang_up();
}

TEST_CASE("a refresh that cannot go out is asked for once, however the session is prolonged meanwhile") {
    UserAgentOptions ours = timed("10.0.0.1");
    ours.allow.emplace_back("UPDATE");
    LoneAgent us(ours);
    const std::string timer = "Allow: INVITE, UPDATE\r\nSupported: timer\r\nSession-Expires: 90;refresher=uas\r\n";
    us.receive(LoneAgent::with_offer(us.request("INVITE", "1", 1, timer)));
    const DialogId dialog = us.only_event<Invited>().dialog;
    us.ua.answer(us.now, dialog, "v=0\r\n");
    const std::string tag = tag_of(us.taken().back(), "To");
    us.receive(us.request("ACK", "2", 1, "", tag));
    static_cast<void>(us.ua.take_events());
    us.ua.reinvite(us.now, dialog, "v=0\r\n");
    us.receive(LoneAgent::answer(us.only(), 100, ""));
    us.run_for(46s);  // its UPDATE waits for that INVITE
    us.receive(us.request("UPDATE", "3", 2, timer, tag));
    for (const Event& event : us.ua.take_events()) {
        if (const auto* asked = std::get_if<Requested>(&event)) us.ua.respond(us.now, asked->id, 200);
    }
    us.run_for(50s);
    us.run_for(100s);
    CHECK(us.ua.counts().dialogs == 0);  // in the end it expires
}

TEST_CASE("a session that is to last for years is refreshed all the same") {
    LoneAgent us(timed("10.0.0.1"));
    us.receive(LoneAgent::with_offer(us.request("INVITE", "1", 1, "Min-SE: 4294967295\r\n")));
    us.ua.answer(us.now, us.only_event<Invited>().dialog, "v=0\r\n");
    us.receive(us.request("ACK", "2", 1, "", tag_of(us.taken().back(), "To")));
    static_cast<void>(us.ua.take_events());
    us.run_for(61min);
    us.only_event<RefreshDue>();
}

TEST_CASE("a refresh survives a bad wire") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        CAPTURE(seed);
        Pair talk(timed("10.0.0.1"), timed("10.0.0.2"), seed, 20);
        talk.wire.run_for(3h);
        CHECK(talk.alice.count<Ended>() + talk.bob.count<Ended>() == 0);
        talk.hang_up();
    }
}

TEST_CASE("a refresh that is refused is tried again while there is time, and then the call ends") {
    Pair talk(timed("10.0.0.1"), timed("10.0.0.2"));
    talk.bob.on_event = [&](Instant now, const Event& event) {
        if (const auto* e = std::get_if<Requested>(&event)) talk.bob.ua.respond(now, e->id, 488);
    };
    talk.wire.run_for(31min);
    const std::size_t tries = talk.wire.sent("alice", "UPDATE").size();
    CHECK(tries > 3);
    CHECK(tries < 12);
    CHECK(talk.bob.last<Ended>().cause == EndCause::expired);  // it hears of nothing that it has taken
    talk.wire.check_nothing_left();
}

TEST_CASE("an UPDATE while another is unanswered gets 500, one with an offer 491 while ours is out") {
    LoneAgent us;
    us.receive(us.request("INVITE", "1", 1));
    const DialogId dialog = us.only_event<Invited>().dialog;
    us.ua.answer(us.now, dialog, "v=0\r\n");
    us.taken();
    const std::string tag = us.ua.view(dialog)->local_tag;
    us.receive(us.request("ACK", "2", 1, "", tag));
    us.only_event<Acknowledged>();
    us.receive(us.request("UPDATE", "3", 2, "", tag));
    const auto first = us.only_event<Requested>();
    us.receive(us.request("UPDATE", "4", 3, "", tag));
    const Message second = us.only();
    CHECK(second.status() == 500);
    CHECK(second.first("Retry-After") != nullptr);
    us.ua.respond(us.now, first.id, 200);
    const Message ok = us.only();
    CHECK(ok.status() == 200);
    CHECK(ok.first("Contact") != nullptr);
    CHECK(us.ua.take_events().empty());

    us.ua.reinvite(us.now, dialog, "v=0\r\n");
    CHECK(us.only().method() == "INVITE");
    std::string with_offer = us.request("UPDATE", "5", 4, "Content-Type: application/sdp\r\n", tag);
    with_offer.replace(with_offer.find("Content-Length: 0"), 17, "Content-Length: 5");
    us.receive(with_offer + "v=0\r\n");
    CHECK(us.only().status() == 491);
    us.receive(us.request("UPDATE", "6", 5, "", tag));
    us.ua.respond(us.now, us.only_event<Requested>().id, 200);
    CHECK(us.only().status() == 200);
}
