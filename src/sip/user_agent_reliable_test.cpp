// SPDX-License-Identifier: Apache-2.0
#include "sip/user_agent_test_wire.h"

// Reliable provisional responses (RFC 3262).
using namespace sheaf;
using namespace sheaf::sip;

namespace {

UserAgentOptions reliable(const std::string& address) {
    UserAgentOptions options = test_options(address);
    options.supported.emplace_back("100rel");
    options.allow.emplace_back("PRACK");
    return options;
}

// 10.0.0.9 calls us; nothing of ours but 100 has gone out.
struct Called : LoneAgent {
    DialogId dialog = 0;
    explicit Called(const std::string& header = "Supported: 100rel\r\n", UserAgentOptions ours = reliable("10.0.0.1"),
                    bool offers = false)
        : LoneAgent(std::move(ours)) {
        const std::string invite = request("INVITE", "1", 1, header);
        receive(offers ? with_offer(invite) : invite);
        dialog = only_event<Invited>().dialog;
        CHECK(only().status() == 100);
    }
    [[nodiscard]] std::string tag() const { return ua.view(dialog)->local_tag; }
    void prack(const std::string& rack, const std::string& branch, int cseq) {
        receive(request("PRACK", branch, cseq, "RAck: " + rack + "\r\n", tag()));
    }
};

std::string rseq(const Message& response) {
    const std::string* value = response.first("RSeq");
    REQUIRE(value != nullptr);
    return *value;
}

}  // namespace

TEST_CASE("early media and its answer arrive in order over a bad wire, each once") {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        CAPTURE(seed);
        TestWire wire(seed);
        wire.loss_percent = 30;
        wire.double_percent = 10;
        wire.delay_max = 200ms;
        TestAgent& alice = wire.add("alice", reliable("10.0.0.1"));
        TestAgent& bob = wire.add("bob", reliable("10.0.0.2"));
        bob.on_event = [&bob](Instant now, const Event& event) {
            const auto* invited = std::get_if<Invited>(&event);
            if (invited == nullptr) return;
            bob.ua.provisional(now, invited->dialog, 183, {}, "v=1\r\n");
            bob.ua.provisional(now, invited->dialog, 180, {}, "v=1\r\n");
            bob.ua.answer(now, invited->dialog, "v=1\r\n");
        };
        const DialogId call = alice.ua.invite(wire.now, test_invitation(bob));
        wire.run_for(60s);
        REQUIRE(alice.count<Answered>() == 1);
        CHECK(bob.count<Acknowledged>() == 1);
        const auto heard = alice.all<Progressed>();
        REQUIRE_FALSE(heard.empty());
        CHECK(heard.front().response.status() == 183);
        CHECK(heard.front().response.body == "v=1\r\n");
        CHECK(heard.size() <= 2);
        CHECK(alice.last<Answered>().response.body.empty());  // it has been said reliably
        alice.ua.bye(wire.now, call);
        wire.run_for(40s);
        wire.check_nothing_left();
    }
}

TEST_CASE("what is required goes reliably, what is only supported when it carries a description") {
    Called required("Require: 100rel\r\n", reliable("10.0.0.1"), true);
    required.ua.provisional(required.now, required.dialog, 180);
    CHECK(required.only().has_token("Require", "100rel"));

    Called supported;
    supported.ua.provisional(supported.now, supported.dialog, 180);
    CHECK(supported.only().first("RSeq") == nullptr);
    supported.ua.provisional(supported.now, supported.dialog, 183, {}, "v=0\r\n");
    const Message early = supported.only();
    CHECK(early.has_token("Require", "100rel"));
    CHECK(early.has_token("Allow", "UPDATE"));
    CHECK(early.first("Contact") != nullptr);

    Called unknown("");
    unknown.ua.provisional(unknown.now, unknown.dialog, 183, {}, "v=0\r\n");
    CHECK(unknown.only().first("RSeq") == nullptr);
}

TEST_CASE("where nothing has been offered and a reliable response is required, what brings no offer is not said") {
    Called us("Require: 100rel\r\n");
    us.ua.provisional(us.now, us.dialog, 180);
    CHECK(us.taken().empty());
    us.ua.provisional(us.now, us.dialog, 183, {}, "v=0\r\n");
    CHECK(us.only().has_token("Require", "100rel"));
}

TEST_CASE("a reliable ringing that the answer has overtaken owes nothing to the session's timer") {
    UserAgentOptions ours = reliable("10.0.0.1");
    ours.supported.emplace_back("timer");
    ours.session = {1800s, 90s};
    Called us("Require: 100rel\r\n", ours, true);
    us.ua.provisional(us.now, us.dialog, 180);
    us.only();
    us.ua.answer(us.now, us.dialog, "v=0\r\n");
    us.only();
    us.receive(us.request("ACK", "2", 1, "", us.tag()));
    us.run_for(899s);
    CHECK(us.taken().empty());
    static_cast<void>(us.ua.take_events());
    us.run_for(2s);
    us.only_event<RefreshDue>();
    us.run_for(16min);
    CHECK(us.only_event<Ended>().cause == EndCause::expired);
}

TEST_CASE("theirs to a re-INVITE of ours gets its PRACK as well") {
    Called us;
    us.ua.answer(us.now, us.dialog, "v=0\r\n");
    us.only();
    us.receive(us.request("ACK", "2", 1, "", us.tag()));
    static_cast<void>(us.ua.take_events());
    us.ua.reinvite(us.now, us.dialog, "v=0\r\n");
    const Message again = us.only();
    const std::string progress = LoneAgent::answer(again, 183, "pt", "Require: 100rel\r\nRSeq: 1\r\n");
    us.receive(progress);
    CHECK(*us.only().first("RAck") == "1 " + std::to_string(cseq_of(again).number) + " INVITE");
    us.receive(progress);
    CHECK(us.taken().empty());
    CHECK(us.ua.take_events().empty());
}

TEST_CASE("each waits for the PRACK of the one before it, the answer for that of a description") {
    Called us;
    us.ua.provisional(us.now, us.dialog, 183, {}, "v=0\r\n");
    const std::string first = rseq(us.only());
    us.ua.provisional(us.now, us.dialog, 183, {}, "v=1\r\n");
    us.ua.answer(us.now, us.dialog, "v=1\r\n");
    CHECK(us.taken().empty());
    us.prack(first + " 1 INVITE", "2", 2);
    const auto sent = us.taken();
    REQUIRE(sent.size() == 2);
    CHECK(sent[0].method() == "PRACK");
    CHECK(sent[0].status() == 200);
    // The answer is due: no further provisional response goes before it.
    CHECK(sent[1].status() == 200);
    CHECK(sent[1].method() == "INVITE");
    CHECK(sent[1].body == "v=1\r\n");  // another description than the one acknowledged
}

TEST_CASE("provisional responses that wait go out one by one, numbered without a gap") {
    Called us;
    us.ua.provisional(us.now, us.dialog, 183, {}, "v=0\r\n");
    const std::uint64_t first = std::stoull(rseq(us.only()));
    for (int i = 0; i < 20; ++i) us.ua.provisional(us.now, us.dialog, 183, {}, "v=0\r\n");
    std::size_t more = 0;
    for (int cseq = 2; cseq < 30; ++cseq) {
        us.prack(std::to_string(first + more) + " 1 INVITE", std::to_string(cseq), cseq);
        const auto sent = us.taken();
        if (sent.size() < 2) break;
        ++more;
        CHECK(rseq(sent[1]) == std::to_string(first + more));
    }
    CHECK(more == 8);  // the limit
}

TEST_CASE("without PRACK a provisional response is repeated, ever slower, and the call refused after 64 T1") {
    Called us;
    us.ua.provisional(us.now, us.dialog, 183, {}, "v=0\r\n");
    us.only();
    us.run_for(31s);
    CHECK(us.taken().size() == 5);  // after 0.5, 1.5, 3.5, 7.5, 15.5 s
    us.run_for(2s);
    const auto sent = us.taken();
    REQUIRE_FALSE(sent.empty());
    CHECK(sent.back().status() == 504);
    CHECK(us.only_event<Ended>().cause == EndCause::no_ack);
    us.check_nothing_left();
}

TEST_CASE("a PRACK of something else is refused and changes nothing") {
    Called us;
    us.ua.provisional(us.now, us.dialog, 183, {}, "v=0\r\n");
    const std::string number = rseq(us.only());
    int cseq = 2;
    const auto status = [&](const std::string& rack) {
        us.prack(rack, std::to_string(cseq), cseq);
        ++cseq;
        return us.only().status();
    };
    CHECK(status(std::to_string(std::stoull(number) + 1) + " 1 INVITE") == 481);
    CHECK(status(number + " 2 INVITE") == 481);
    CHECK(status(number + " 1 INFO") == 481);
    CHECK(status(number + " 1") == 400);
    CHECK(status("one 1 INVITE") == 400);
    CHECK(status(number + " 1 INVITE more") == 400);
    CHECK(status(number + " \t 1  INVITE") == 200);
    CHECK(status(number + " 1 INVITE") == 481);  // once
}

TEST_CASE("a caller who gives up while a PRACK is missing leaves nothing behind") {
    Called us;
    us.ua.provisional(us.now, us.dialog, 183, {}, "v=0\r\n");
    us.only();
    us.receive(us.request("CANCEL", "1", 1));
    CHECK(us.only_event<Ended>().cause == EndCause::cancelled);
    us.check_nothing_left();
}

TEST_CASE("a call may be refused before the PRACK") {
    Called us;
    us.ua.provisional(us.now, us.dialog, 183, {}, "v=0\r\n");
    us.only();
    us.ua.reject(us.now, us.dialog, 486);
    CHECK(us.only().status() == 486);
    us.check_nothing_left();
}

TEST_CASE("theirs: a repeated one and one after a gap are as if they had not come") {
    LoneAgent us(reliable("10.0.0.1"));
    Invitation invitation;
    invitation.target = *uri_from_text("sip:bob@10.0.0.9");
    invitation.from.uri = *uri_from_text("sip:alice@10.0.0.1");
    invitation.to.uri = invitation.target;
    invitation.body = "v=0\r\n";
    us.ua.invite(us.now, invitation);
    const Message invite = us.only();
    CHECK(invite.has_token("Supported", "100rel"));
    const auto progress = [&](int status, const std::string& number, const std::string& tag = "pt") {
        us.receive(LoneAgent::answer(invite, status, tag,
                                     "Require: 100rel\r\nRSeq: " + number + "\r\nContact: <sip:bob@10.0.0.9>\r\n"));
    };
    progress(183, "7");
    const Message prack = us.only();
    CHECK(prack.method() == "PRACK");
    CHECK(*prack.first("RAck") == "7 1 INVITE");
    CHECK(tag_of(prack, "To") == "pt");
    CHECK(us.only_event<Progressed>().response.status() == 183);
    progress(183, "7");
    progress(180, "9");
    CHECK(us.taken().empty());
    CHECK(us.ua.take_events().empty());
    progress(180, "8");
    CHECK(*us.only().first("RAck") == "8 1 INVITE");
    CHECK(us.ua.take_events().size() == 1);
    // Another phone that the call has been forked to counts on its own.
    progress(180, "3", "other");
    CHECK(*us.only().first("RAck") == "3 1 INVITE");
    CHECK(us.ua.take_events().size() == 1);
}

TEST_CASE("an INVITE without an offer asks for none in a provisional response") {
    LoneAgent us(reliable("10.0.0.1"));
    Invitation invitation;
    invitation.target = *uri_from_text("sip:bob@10.0.0.9");
    invitation.from.uri = *uri_from_text("sip:alice@10.0.0.1");
    invitation.to.uri = invitation.target;
    us.ua.invite(us.now, invitation);
    const Message invite = us.only();
    CHECK_FALSE(invite.has_token("Supported", "100rel"));
    CHECK(invite.has_token("Supported", "replaces"));
}
