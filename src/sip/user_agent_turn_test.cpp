// SPDX-License-Identifier: Apache-2.0

#include <string>
#include <vector>

#include "sip/user_agent_test_wire.h"

using namespace sheaf;
using namespace sheaf::sip;
using namespace std::chrono_literals;

namespace {

// Alice has called bob; bob takes every request, after what `bob_waits` says of re-INVITEs.
struct Talk {
    explicit Talk(std::uint64_t seed = 1) : wire(seed) {
        bob.on_event = [this](Instant now, const Event& event) {
            if (const auto* invited = std::get_if<Invited>(&event)) bob.ua.answer(now, invited->dialog, "v=0\r\n");
            if (const auto* again = std::get_if<Reinvited>(&event)) bob.ua.answer(now, again->dialog, "v=0\r\n");
            if (const auto* asked = std::get_if<Requested>(&event)) bob.ua.respond(now, asked->id, 200);
        };
        call = alice.ua.invite(wire.now, test_invitation(bob));
        wire.run_for(40s);
        REQUIRE(alice.count<Answered>() == 1);
    }
    // What bob was asked, in order: methods, and INVITE for a re-INVITE.
    [[nodiscard]] std::vector<std::string> heard() const {
        std::vector<std::string> out;
        for (const Event& event : bob.events) {
            if (const auto* asked = std::get_if<Requested>(&event)) out.push_back(asked->request.method());
            if (std::holds_alternative<Reinvited>(event)) out.emplace_back("INVITE");
        }
        return out;
    }
    void end() {
        alice.ua.bye(wire.now, call);
        wire.check_nothing_left();
    }

    TestWire wire;
    TestAgent& alice = wire.add("alice", test_options("10.0.0.1"));
    TestAgent& bob = wire.add("bob", test_options("10.0.0.2"));
    DialogId call = 0;
};

// The first of these messages is lost once.
auto loses_first(const std::string& method) {
    return [method, lost = false](const TestWire::Sent& sent) mutable {
        return sent.message.is_request() && sent.message.method() == method && !std::exchange(lost, true);
    };
}

}  // namespace

TEST_CASE("requests in a dialog go one after the other: a lost one is not overtaken by the next") {
    Talk talk;
    talk.wire.loses = loses_first("INFO");
    talk.alice.ua.request(talk.wire.now, talk.call, "INFO", {});
    talk.alice.ua.request(talk.wire.now, talk.call, "OPTIONS", {});
    talk.alice.ua.reinvite(talk.wire.now, talk.call, "v=0\r\n");
    talk.alice.ua.request(talk.wire.now, talk.call, "INFO", {});
    talk.wire.run_for(5s);
    CHECK(talk.heard() == std::vector<std::string>{"INFO", "OPTIONS", "INVITE", "INFO"});
    CHECK(talk.alice.count<Responded>() == 3);
    for (const Responded& each : talk.alice.all<Responded>()) CHECK(each.status == 200);
    CHECK(talk.alice.count<Answered>() == 2);
    talk.end();
}

TEST_CASE("a request waits for a re-INVITE that is lost") {
    Talk talk;
    talk.wire.loses = loses_first("INVITE");
    talk.alice.ua.reinvite(talk.wire.now, talk.call, "v=0\r\n");
    talk.alice.ua.request(talk.wire.now, talk.call, "INFO", {});
    talk.wire.run_for(5s);
    CHECK(talk.heard() == std::vector<std::string>{"INVITE", "INFO"});
    CHECK(talk.alice.last<Responded>().status == 200);
    talk.end();
}

TEST_CASE("a request of the one who has answered waits for the ACK: it does not overtake the answer") {
    TestWire wire;
    TestAgent& alice = wire.add("alice", test_options("10.0.0.1"));
    TestAgent& bob = wire.add("bob", test_options("10.0.0.2"));
    bob.on_event = [&bob](Instant now, const Event& event) {
        const auto* invited = std::get_if<Invited>(&event);
        if (invited == nullptr) return;
        bob.ua.answer(now, invited->dialog, "v=0\r\n");
        bob.ua.request(now, invited->dialog, "INFO", {});
    };
    alice.on_event = [&alice](Instant now, const Event& event) {
        if (const auto* asked = std::get_if<Requested>(&event)) alice.ua.respond(now, asked->id, 200);
    };
    wire.loses = [lost = false](const TestWire::Sent& sent) mutable {
        return !sent.message.is_request() && sent.message.status() == 200 && !std::exchange(lost, true);
    };
    const DialogId call = alice.ua.invite(wire.now, test_invitation(bob));
    wire.run_for(5s);
    REQUIRE(alice.count<Requested>() == 1);
    CHECK(std::holds_alternative<Answered>(alice.events[alice.events.size() - 2]));
    CHECK(bob.last<Responded>().status == 200);
    alice.ua.bye(wire.now, call);
    wire.check_nothing_left();
}

TEST_CASE("of two re-INVITEs that wait the second is refused with 491, and told when it may come again") {
    Talk talk;
    talk.alice.ua.request(talk.wire.now, talk.call, "INFO", {});
    talk.alice.ua.reinvite(talk.wire.now, talk.call, "v=0\r\n");
    talk.alice.ua.reinvite(talk.wire.now, talk.call, "v=0\r\n");
    talk.wire.run_for(5s);
    CHECK(talk.heard() == std::vector<std::string>{"INFO", "INVITE"});
    CHECK(talk.alice.last<Failed>().status == 491);
    CHECK(talk.alice.count<GlareOver>() == 1);
    talk.end();
}

TEST_CASE("a re-INVITE that waits when the peer offers is as if they had met: what it says would be older") {
    for (const std::string method : {"INVITE", "UPDATE"}) {
        CAPTURE(method);
        LoneAgent us;
        us.receive(us.request("INVITE", "1", 1));
        const DialogId call = us.only_event<Invited>().dialog;
        us.ua.answer(us.now, call, "v=0\r\n");
        us.taken();
        const std::string tag = us.ua.view(call)->local_tag;
        us.receive(us.request("ACK", "2", 1, "", tag));
        us.only_event<Acknowledged>();
        us.ua.request(us.now, call, "INFO", {});
        const Message info = us.only();
        us.ua.reinvite(us.now, call, "v=1\r\n");
        CHECK(us.taken().empty());
        us.receive(LoneAgent::with_offer(us.request(method, "5", 5, "", tag)));
        const auto events = us.ua.take_events();
        REQUIRE(events.size() == 2);
        CHECK(std::get<Failed>(events[0]).status == 491);
        CHECK(std::get<Failed>(events[0]).reinvite);
        if (const auto* asked = std::get_if<Requested>(&events[1]))
            us.ua.respond(us.now, asked->id, 200);
        else
            us.ua.answer(us.now, call, "v=2\r\n");
        us.receive(LoneAgent::answer(info, 200, "x"));
        for (const Message& sent : us.taken()) CHECK_FALSE((sent.is_request() && sent.method() == "INVITE"));
    }
}

TEST_CASE("at most so many requests wait in a dialog; our BYE takes them along") {
    Talk talk;
    talk.wire.loses = [](const TestWire::Sent& sent) { return sent.message.method() == "INFO"; };
    const std::size_t before = talk.alice.count<Responded>();
    for (int i = 0; i < 1 + 64; ++i) talk.alice.ua.request(talk.wire.now, talk.call, "INFO", {});
    talk.wire.run_for(1s);
    CHECK(talk.alice.count<Responded>() == before);
    talk.alice.ua.request(talk.wire.now, talk.call, "INFO", {});
    talk.alice.ua.reinvite(talk.wire.now, talk.call, "v=0\r\n");
    talk.wire.run_for(1s);
    CHECK(talk.alice.last<Responded>().status == 503);
    CHECK(talk.alice.last<Failed>().status == 503);
    talk.wire.loses = [](const TestWire::Sent&) { return false; };
    talk.alice.ua.bye(talk.wire.now, talk.call);
    talk.wire.run_for(1s);
    CHECK(talk.heard().size() == 64);
    CHECK(talk.bob.last<Ended>().cause == EndCause::bye);
    talk.wire.check_nothing_left();
    CHECK(talk.alice.count<Responded>() == before + 1 + 65);
}

TEST_CASE("the peer's BYE answers the requests that wait") {
    Talk talk;
    talk.wire.loses = [](const TestWire::Sent& sent) { return sent.message.method() == "INFO"; };
    talk.alice.ua.request(talk.wire.now, talk.call, "INFO", {});
    const ClientRequest waits = talk.alice.ua.request(talk.wire.now, talk.call, "INFO", {});
    talk.wire.run_for(1s);
    talk.bob.ua.bye(talk.wire.now, talk.bob.last<Invited>().dialog);
    talk.wire.run_for(1s);
    REQUIRE(talk.alice.count<Responded>() == 1);
    CHECK(talk.alice.last<Responded>().id == waits);
    CHECK(talk.alice.last<Responded>().status == 481);
    talk.wire.check_nothing_left();
}
