// SPDX-License-Identifier: Apache-2.0
#include "b2bua/notifier.h"

#include "b2bua/test_world.h"
#include "sip/transaction.h"

// Lamps: phones that watch whether an agent is in a call.
using namespace sheaf;
using namespace sheaf::b2bua;
using namespace sheaf::b2bua::test;

namespace {

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

// Agent 1002's phone at 127.0.0.6, which has a lamp for agent 1001.
struct Lamps {
    World w;
    Node& node;
    std::vector<sip::Message> told;  // NOTIFYs
    int answer = 200;                // to them; 0: none
    sip::Dialog dialog;              // of the subscription, as the phone keeps it
    std::uint32_t cseq = 1;

    static Settings settings() {
        auto out = World::settings();
        out.agents.push_back({"1002", "byron"});
        return out;
    }
    explicit Lamps(std::size_t transactions_max = kTransactionsMax)
        : w(settings(), options_with(transactions_max)),
          node(w.wire.add("watcher", {"udp:127.0.0.6:5060"}, takes_notify())) {
        node.script = [this](Instant now, const sip::Event& event) {
            const auto* e = std::get_if<sip::Requested>(&event);
            if (e == nullptr || e->request.method() != "NOTIFY") return node.heard.push_back(event);
            told.push_back(e->request);
            if (answer != 0) node.ua->respond(now, e->id, answer);
        };
    }
    static sip::UserAgentOptions options_with(std::size_t transactions_max) {
        auto options = options_of_switch();
        options.transactions_max = transactions_max;
        return options;
    }
    static sip::UserAgentOptions takes_notify() {
        sip::UserAgentOptions options;
        options.allow = {"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "NOTIFY"};
        return options;
    }
    static std::vector<sip::Header> wanted(const std::string& expires = "600") {
        return {{"Event", "dialog;id=7"}, {"Expires", expires}, {"Contact", "<sip:1002@127.0.0.6:5060>"}};
    }
    // What the final answer was.
    int subscribe(const std::vector<sip::Header>& headers = wanted(), const std::string& to = "1001",
                  const std::string& password = "byron", const std::string& as = "1002") {
        sip::OutsideRequest request;
        request.method = "SUBSCRIBE";
        request.target = uri("sip:" + to + "@127.0.0.1:5060");
        request.from.uri = uri("sip:" + as + "@127.0.0.1");
        request.from.params.set("tag", "watcher");
        request.to.uri = request.target;
        request.call_id = "lamp-" + std::to_string(++calls_);
        request.headers = headers;
        request.account = sip::Account{as, password};
        return ask(request);
    }
    // Within the dialog.
    int again(const std::string& expires, const std::string& to_tag = {}, const std::string& from_tag = {}) {
        sip::OutsideRequest request;
        request.method = "SUBSCRIBE";
        const auto& last = told.back();
        request.target = sip::name_addrs(last, "Contact").value().front().uri;
        request.from = sip::name_addr_from_text(*last.first("To")).value();
        request.to = sip::name_addr_from_text(*last.first("From")).value();
        if (!to_tag.empty()) request.to.params.set("tag", to_tag);
        if (!from_tag.empty()) request.from.params.set("tag", from_tag);
        request.call_id = *last.first("Call-ID");
        request.cseq = (cseq += 2);
        request.headers = wanted(expires);
        return ask(request);
    }
    int ask(const sip::OutsideRequest& request) {
        node.heard.clear();
        static_cast<void>(node.ua->request_outside(w.wire.now, request));
        w.wire.settle();
        const auto* responded = node.last<sip::Responded>();
        if (responded == nullptr) return 0;
        response = responded->response.value_or(sip::Message{});
        return responded->status;
    }
    [[nodiscard]] const sip::Message& last() const {
        REQUIRE_FALSE(told.empty());
        return told.back();
    }
    [[nodiscard]] std::string state() const { return *last().first("Subscription-State"); }
    sip::Message response;

private:
    int calls_ = 0;
};

}  // namespace

TEST_CASE("a phone that watches an agent is told how things stand, that it rings, is in a call, and no more") {
    Lamps l;
    REQUIRE(l.subscribe() == 200);
    CHECK(*l.response.first("Expires") == "600");
    CHECK(l.response.first("Contact") != nullptr);
    REQUIRE(l.told.size() == 1);
    CHECK(*l.last().first("Event") == "dialog;id=7");
    CHECK(l.state() == "active;expires=600");
    CHECK(*l.last().first("Content-Type") == "application/dialog-info+xml");
    CHECK(has(l.last().body, R"(version="0" state="full" entity="sip:1001@127.0.0.1")"));
    CHECK_FALSE(has(l.last().body, "<dialog "));

    l.w.wire.run(2s);
    l.w.order(l.w.to_phone());
    REQUIRE(l.w.phone.count<sip::Invited>() == 1);
    CHECK(l.told.size() == 1);
    const auto dialog = l.w.phone.last<sip::Invited>()->dialog;
    l.w.phone.ua->provisional(l.w.wire.now, dialog, 180);
    l.w.wire.settle();
    REQUIRE(l.told.size() == 2);
    CHECK(has(l.last().body, R"(version="1")"));
    CHECK(has(l.last().body, R"(<dialog id="1"><state>early</state></dialog>)"));
    l.w.wire.run(2s);
    l.w.phone.ua->answer(l.w.wire.now, dialog, sdp_of("127.0.0.1", 31'000));
    l.w.wire.settle();
    REQUIRE(l.told.size() == 3);
    CHECK(has(l.last().body, R"(<dialog id="1"><state>confirmed</state></dialog>)"));
    // Neither with whom nor at which number.
    CHECK_FALSE(has(l.last().body, "4420"));
    l.w.wire.run(2s);
    l.w.end(LegId("leg-a"));
    l.w.wire.settle();
    REQUIRE(l.told.size() == 4);
    CHECK(has(l.last().body, R"(<dialog id="1"><state>terminated</state></dialog>)"));
    CHECK(sip::cseq_of(l.last()).number == sip::cseq_of(l.told[0]).number + 3);
    CHECK(l.again("0") == 200);
    l.w.must_be_clean();
}

TEST_CASE("an agent that calls is in a call at once, and of many changes in a second the last is told") {
    Lamps l;
    REQUIRE(l.subscribe() == 200);
    l.w.wire.run(2s);
    const auto call = [&] {
        auto invitation = World::invitation_to(l.w.phone, "8000", "1001");
        invitation.account = sip::Account{"1001", "ada"};
        const auto dialog = l.w.phone.ua->invite(l.w.wire.now, invitation);
        l.w.wire.settle();
        return dialog;
    };
    const auto first = call();
    REQUIRE(l.told.size() == 2);
    CHECK(has(l.last().body, R"(<dialog id="1"><state>confirmed</state></dialog>)"));
    l.w.phone.ua->cancel(l.w.wire.now, first);
    l.w.wire.settle();
    const auto second = call();
    CHECK(l.told.size() == 2);
    l.w.wire.run(2s);
    CHECK(l.told.size() == 2);  // as told: it is in a call
    l.w.phone.ua->cancel(l.w.wire.now, second);
    l.w.wire.run(2s);
    REQUIRE(l.told.size() == 3);
    CHECK(has(l.last().body, "terminated"));
    static_cast<void>(call());
    CHECK(has(l.last().body, R"(<dialog id="2"><state>confirmed</state></dialog>)"));
}

TEST_CASE("a subscription is refreshed, ends by itself, and when the phone wants it to") {
    Lamps l;
    REQUIRE(l.subscribe(Lamps::wanted("60")) == 200);
    l.w.wire.run(50s);
    CHECK(l.again("60") == 200);
    REQUIRE(l.told.size() == 2);
    CHECK(l.state() == "active;expires=60");
    CHECK(l.again("60", "another") == 481);
    CHECK(l.again("60", {}, "another") == 481);
    CHECK(l.again("59") == 423);
    CHECK(*l.response.first("Min-Expires") == "60");
    l.w.wire.run(55s);
    CHECK(l.told.size() == 2);
    l.w.wire.run(6s);
    REQUIRE(l.told.size() == 3);
    CHECK(l.state() == "terminated;reason=timeout");
    CHECK(l.again("60") == 481);

    REQUIRE(l.subscribe() == 200);
    CHECK(l.again("0") == 200);
    CHECK(l.state() == "terminated;reason=timeout");
    CHECK(l.again("60") == 481);
    // Asked once, not watched.
    l.told.clear();
    REQUIRE(l.subscribe(Lamps::wanted("0")) == 200);
    REQUIRE(l.told.size() == 1);
    CHECK(l.state() == "terminated;reason=timeout");
    l.w.must_be_clean();
}

TEST_CASE("what no lamp can have is refused, with what would do") {
    Lamps l;
    const auto with = [](const std::string& name, const std::string& value) {
        auto headers = Lamps::wanted();
        std::erase_if(headers, [&](const sip::Header& h) { return h.name == name; });
        if (!value.empty()) headers.push_back({name, value});
        return headers;
    };
    CHECK(l.subscribe(with("Event", "presence")) == 489);
    CHECK(*l.response.first("Allow-Events") == "dialog");
    CHECK(l.subscribe(with("Event", "")) == 489);
    CHECK(l.subscribe(with("Event", "dialog;call-id=\"1\";from-tag=2")) == 403);
    CHECK(l.subscribe(with("Event", "dialog;=")) == 400);
    CHECK(l.subscribe(with("Accept", "application/pidf+xml")) == 406);
    CHECK(*l.response.first("Accept") == "application/dialog-info+xml");
    CHECK(l.subscribe(with("Contact", "*")) == 400);
    CHECK(l.subscribe(with("Expires", "59")) == 423);
    CHECK(l.subscribe(Lamps::wanted(), "4711") == 404);
    CHECK(l.subscribe(Lamps::wanted(), "1001", "wrong") == 403);
    CHECK(l.w.logged("subscription refused"));
    CHECK(l.subscribe(Lamps::wanted(), "1001", "byron", "nobody") == 403);
    CHECK(l.told.empty());
    CHECK(l.subscribe(with("Accept", "application/pidf+xml, application/dialog-info+xml;q=0.5")) == 200);
    CHECK(l.subscribe(with("Event", "Dialog")) == 489);  // its name has a case
    CHECK(l.subscribe(with("Event", "dialog;id=\"a;b\"")) == 200);
    CHECK(*l.last().first("Event") == "dialog;id=\"a;b\"");
    CHECK(l.again("60") == 481);  // that is of another id
    l.told.pop_back();
    CHECK(l.subscribe(with("Expires", "")) == 200);
    CHECK(*l.response.first("Expires") == "3600");
    CHECK(l.subscribe(with("Expires", "999999")) == 200);
    CHECK(*l.response.first("Expires") == "3600");
    CHECK(l.told.size() == 3);
}

TEST_CASE("a phone that does not take what it is told has no subscription any more") {
    for (const int status : {481, 500, 0}) {
        Lamps l;
        l.answer = status;
        REQUIRE(l.subscribe() == 200);
        l.w.wire.run(40s);
        REQUIRE(l.told.size() == 1);
        l.answer = 200;
        CHECK(l.again("600") == 481);
        l.w.must_be_clean();
    }
}

TEST_CASE("who could not be told for want of room is told when there is some") {
    Lamps l(2);
    REQUIRE(l.subscribe() == 200);  // two transactions: it is challenged
    CHECK(l.told.empty());
    l.w.wire.run(30s);
    CHECK(l.told.empty());
    l.w.wire.run(5s);
    CHECK(l.told.size() == 1);
}

TEST_CASE("while a notification is under way no other goes out, and what has changed meanwhile is told after it") {
    Lamps l;
    REQUIRE(l.subscribe() == 200);
    l.w.wire.run(2s);
    const auto told = [&] { return l.told.size(); };
    std::vector<sip::ServerRequest> held;
    l.node.script = [&](Instant, const sip::Event& event) {
        const auto* e = std::get_if<sip::Requested>(&event);
        if (e == nullptr) return;
        l.told.push_back(e->request);
        held.push_back(e->id);
    };
    l.w.order(l.w.to_phone());
    const auto dialog = l.w.phone.last<sip::Invited>()->dialog;
    l.w.phone.ua->provisional(l.w.wire.now, dialog, 180);
    l.w.wire.settle();
    CHECK(told() == 2);
    l.w.wire.run(2s);
    l.w.phone.ua->answer(l.w.wire.now, dialog, sdp_of("127.0.0.1", 31'000));
    l.w.wire.run(2s);
    CHECK(told() == 2);
    l.node.ua->respond(l.w.wire.now, held.back(), 200);
    l.w.wire.settle();
    REQUIRE(told() == 3);
    CHECK(has(l.last().body, "confirmed"));
    l.node.ua->respond(l.w.wire.now, held.back(), 200);
    l.w.wire.settle();
    CHECK(told() == 3);
}

TEST_CASE("no phone has more lamps than there is room for") {
    Lamps l;
    for (std::size_t i = 0; i < kWatchesOfOneMax; ++i) REQUIRE(l.subscribe() == 200);
    CHECK(l.subscribe() == 503);
    CHECK(l.response.first("Retry-After") != nullptr);
    CHECK(l.subscribe(Lamps::wanted(), "1002", "ada", "1001") == 200);
    CHECK(l.again("0") == 200);
}

TEST_CASE("a switch has room for so many lamps, and for one more when one has gone") {
    auto options = options_of_switch();
    options.listen = {{sip::Transport::udp, "127.0.0.1", 5060}};
    sip::UserAgent ua(options, {});
    const std::size_t most = 3;
    Notifier notifier(ua, [](const std::string&) { return Lamp::idle; }, most);
    const sip::Source source{{sip::Transport::udp, "127.0.0.6", 5060}, options.listen.front(), 0};
    Instant now{};
    int asked = 0;
    const auto subscribe = [&](const std::string& expires, const std::string& to_tag = {}) {
        const std::string number = std::to_string(to_tag.empty() ? ++asked : 1);
        ua.receive_datagram(now, source,
                            "SUBSCRIBE sip:1001@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.6;branch=z9hG4bK" +
                                number + expires + "\r\nFrom: <sip:1002@127.0.0.1>;tag=w\r\nTo: <sip:1001@127.0.0.1>" +
                                (to_tag.empty() ? "" : ";tag=" + to_tag) + "\r\nCall-ID: " + number +
                                "\r\nCSeq: " + std::to_string(to_tag.empty() ? 1 : 2) +
                                " SUBSCRIBE\r\nContact: <sip:1002@127.0.0.6>\r\nEvent: dialog\r\nExpires: " + expires +
                                "\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n");
        for (const sip::Event& event : ua.take_events()) {
            const auto* requested = std::get_if<sip::Requested>(&event);
            if (requested == nullptr) continue;
            if (to_tag.empty())
                notifier.subscribe(now, *requested, {"agent " + number, "1001", "sip:1001@127.0.0.1"});
            else
                notifier.refresh(now, *requested);
        }
        for (const sip::Send& sent : ua.take_sends()) {
            const auto message = sip::message_from_datagram(sent.bytes);
            if (message && !message->is_request()) return *message;
        }
        return sip::Message{};
    };
    std::string first;
    for (std::size_t i = 0; i < most; ++i) {
        const auto answer = subscribe("600");
        REQUIRE(answer.status() == 200);
        if (first.empty()) first = sip::tag_of(answer, "To");
    }
    CHECK(subscribe("600").status() == 503);
    CHECK(notifier.size() == most);
    CHECK(subscribe("0", first).status() == 200);
    now += 40s;  // nobody answers what it is told
    ua.tick(now);
    for (const sip::Event& event : ua.take_events()) {
        const auto* responded = std::get_if<sip::Responded>(&event);
        if (responded != nullptr) CHECK(notifier.on_responded(now, *responded));
    }
    CHECK(notifier.size() < most);
    CHECK(subscribe("600").status() == 200);
}

TEST_CASE("a switch that goes, or does not know the agent any more, says so") {
    Lamps l;
    REQUIRE(l.subscribe() == 200);
    REQUIRE(l.subscribe(Lamps::wanted(), "1002") == 200);
    auto settings = Lamps::settings();
    std::erase_if(settings.agents, [](const AgentAccount& agent) { return agent.dn == "1001"; });
    l.w.b2bua.reload(l.w.stamp(), settings);
    l.w.wire.settle();
    REQUIRE(l.told.size() == 3);
    CHECK(l.state() == "terminated;reason=noresource");
    l.w.b2bua.leave(l.w.stamp());
    l.w.wire.settle();
    REQUIRE(l.told.size() == 4);
    CHECK(l.state() == "terminated;reason=deactivated");
    l.w.must_be_clean();
}
