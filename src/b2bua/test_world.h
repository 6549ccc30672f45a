// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "b2bua/b2bua.h"
#include "sip/sdp.h"
#include "sip/user_agent.h"

// Several user agents on a wire in virtual time: real SIP bytes, no socket. For tests only.
namespace sheaf::b2bua::test {

using namespace std::chrono_literals;

inline sip::Endpoint at(const std::string& text) {
    auto endpoint = sip::endpoint_from_text(text);
    REQUIRE(endpoint);
    return *endpoint;
}
inline sip::Uri uri(const std::string& text) {
    auto parsed = sip::uri_from_text(text);
    REQUIRE(parsed);
    return *parsed;
}
inline Entropy::Seed seed(std::uint8_t first) {
    Entropy::Seed out{};
    out[0] = first;
    return out;
}
inline std::string sdp_of(const std::string& address, std::uint16_t port,
                          sip::Direction direction = sip::Direction::sendrecv) {
    sip::LocalMedia local;
    local.address = address;
    local.port = port;
    local.codecs = {{0, "PCMU", 8000, 1, ""}, {8, "PCMA", 8000, 1, ""}};
    local.direction = direction;
    return sip::to_text(sip::make_offer(local, port, 1));
}

// One user agent and what it has heard.
struct Node {
    std::string name;
    std::vector<sip::Endpoint> listen;
    std::unique_ptr<sip::UserAgent> ua;
    std::deque<sip::Event> heard;
    std::function<void(Instant, const sip::Event&)> script;  // instead of `heard`
    bool dead = false;                                       // neither hears nor answers

    template <typename E>
    [[nodiscard]] const E* last() const {
        for (auto it = heard.rbegin(); it != heard.rend(); ++it) {
            if (const auto* event = std::get_if<E>(&*it)) return event;
        }
        return nullptr;
    }
    template <typename E>
    [[nodiscard]] std::size_t count() const {
        return static_cast<std::size_t>(
            std::ranges::count_if(heard, [](const sip::Event& e) { return std::holds_alternative<E>(e); }));
    }
};

class Wire {
public:
    Instant now{1'000s};
    std::vector<std::string> seen;  // every message's bytes, in order

    Node& add(std::string name, const std::vector<std::string>& listen, sip::UserAgentOptions options = {}) {
        auto node = std::make_unique<Node>();
        node->name = std::move(name);
        for (const auto& text : listen) node->listen.push_back(at(text));
        options.listen = node->listen;
        if (options.allow.empty()) {
            options.allow = {"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "NOTIFY", "REFER", "INFO", "MESSAGE"};
        }
        node->ua = std::make_unique<sip::UserAgent>(options, seed(static_cast<std::uint8_t>(nodes_.size() + 1)));
        nodes_.push_back(std::move(node));
        return *nodes_.back();
    }
    // Until nothing is on the wire.
    void settle() {
        for (bool more = true; more;) {
            more = false;
            for (std::size_t i = 0; i < nodes_.size(); ++i) {
                Node& node = *nodes_[i];
                for (auto& send : node.ua->take_sends()) {
                    more = true;
                    if (!node.dead) deliver(node, send);
                }
                for (auto& event : node.ua->take_events()) {
                    more = true;
                    if (node.script) {
                        node.script(now, event);
                    } else {
                        node.heard.push_back(std::move(event));
                    }
                }
            }
            if (after_) more = after_() || more;
        }
    }
    void run(Duration span) {
        const Instant end = now + span;
        settle();
        for (;;) {
            std::optional<Instant> next = deadline_ ? deadline_() : std::nullopt;
            for (const auto& node : nodes_) {
                const auto due = node->ua->next_deadline();
                if (due && (!next || *due < *next)) next = due;
            }
            if (!next || *next > end) break;
            now = std::max(now, *next);
            for (const auto& node : nodes_) node->ua->tick(now);
            if (tick_) tick_();
            settle();
        }
        now = end;
    }
    void attach(std::function<bool()> after, std::function<std::optional<Instant>()> deadline,
                std::function<void()> tick) {
        after_ = std::move(after);
        deadline_ = std::move(deadline);
        tick_ = std::move(tick);
    }
    [[nodiscard]] std::size_t count_seen(std::string_view text) const {
        return static_cast<std::size_t>(std::ranges::count_if(
            seen, [&](const std::string& bytes) { return bytes.find(text) != std::string::npos; }));
    }
    // The last message whose first line has `start`.
    [[nodiscard]] std::string last_seen(std::string_view start) const {
        for (auto it = seen.rbegin(); it != seen.rend(); ++it) {
            if (it->substr(0, it->find('\r')).find(start) != std::string::npos) return *it;
        }
        return {};
    }
    // Bytes as if `from` had sent them.
    void inject(const Node& from, const sip::Endpoint& to, const std::string& bytes) {
        deliver(from, {to, 0, bytes, {}});
    }

private:
    void deliver(const Node& from, const sip::Send& send) {
        seen.push_back(send.bytes);
        Node* to = nullptr;
        for (const auto& node : nodes_) {
            if (std::ranges::find(node->listen, send.to) != node->listen.end()) to = node.get();
        }
        const bool is_tcp = send.to.transport == sip::Transport::tcp;
        if (to == nullptr || to->dead) {
            if (is_tcp) from.ua->transport_failed(now, send.branch);
            return;
        }
        const auto local = std::ranges::find(from.listen, send.to.transport, &sip::Endpoint::transport);
        REQUIRE(local != from.listen.end());
        const sip::Source source{*local, send.to, is_tcp ? flow_of(from, *to) : 0};
        if (is_tcp) {
            to->ua->receive_message(now, source, sip::message_from_datagram(send.bytes));
        } else {
            to->ua->receive_datagram(now, source, send.bytes);
        }
    }
    [[nodiscard]] std::uint64_t flow_of(const Node& a, const Node& b) const {
        std::uint64_t ia = 0;
        std::uint64_t ib = 0;
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            if (nodes_[i].get() == &a) ia = i;
            if (nodes_[i].get() == &b) ib = i;
        }
        return 1 + std::min(ia, ib) * 100 + std::max(ia, ib);
    }

    std::vector<std::unique_ptr<Node>> nodes_;
    std::function<bool()> after_;
    std::function<std::optional<Instant>()> deadline_;
    std::function<void()> tick_;
};

// A media server that answers everything well, unless told otherwise.
struct MediaDouble {
    Node& node;
    int refuse_invite = 0;  // status, 0: take them
    int refuse_reinvite = 0;
    bool holds_invite = false;   // leave INVITEs unanswered
    std::string refuse_command;  // text of an element whose result is refuse_code
    int refuse_code = 503;
    std::vector<std::string> commands;  // MSML bodies
    std::vector<std::string> offers;    // of INVITEs and re-INVITEs; "" when offerless
    std::vector<std::string> answers;   // in ACKs
    std::vector<sip::DialogId> dialogs;
    std::vector<std::string> targets;  // Request-URI users
    std::vector<std::string> messages;  // MSML outside of a dialog
    int message_status = 200;
    std::size_t ended = 0;
    std::uint16_t port = 20'000;

    explicit MediaDouble(Node& of) : node(of) {
        node.script = [this](Instant now, const sip::Event& event) { on(now, event); };
    }
    void on(Instant now, const sip::Event& event) {
        if (const auto* e = std::get_if<sip::Invited>(&event)) {
            targets.push_back(e->request.uri().user);
            offers.push_back(e->request.body);
            if (holds_invite) return;
            if (refuse_invite != 0) return node.ua->reject(now, e->dialog, refuse_invite);
            dialogs.push_back(e->dialog);
            node.ua->answer(now, e->dialog, description(e->request.body));
        } else if (const auto* re = std::get_if<sip::Reinvited>(&event)) {
            offers.push_back(re->request.body);
            if (refuse_reinvite != 0) return node.ua->reject(now, re->dialog, refuse_reinvite);
            node.ua->answer(now, re->dialog, description(re->request.body));
        } else if (const auto* ack = std::get_if<sip::Acknowledged>(&event)) {
            if (!ack->request.body.empty()) answers.push_back(ack->request.body);
        } else if (const auto* request = std::get_if<sip::Requested>(&event)) {
            on_request(now, *request);
        } else if (std::holds_alternative<sip::Ended>(event)) {
            ++ended;
        }
    }
    void on_request(Instant now, const sip::Requested& e) {
        if (e.request.method() == "MESSAGE") {
            messages.push_back(e.request.body);
            return node.ua->respond(now, e.id, message_status);
        }
        if (e.request.method() != "INFO") return node.ua->respond(now, e.id, 200);
        commands.push_back(e.request.body);
        const bool bad = !refuse_command.empty() && e.request.body.find("<" + refuse_command) != std::string::npos;
        const std::string result =
            bad ? std::to_string(refuse_code) + "\"><description>no room</description></result>" : "200\"/>";
        node.ua->respond(now, e.id, 200, {}, "application/msml+xml",
                         "<msml version=\"1.1\"><result response=\"" + result + "</msml>");
    }
    [[nodiscard]] std::string description(const std::string& offer) {
        port = static_cast<std::uint16_t>(port + 2);
        if (offer.empty()) return sdp_of(node.listen.front().address, port);
        const auto parsed = sip::sdp_from_text(offer);
        REQUIRE(parsed);
        sip::LocalMedia local;
        local.address = node.listen.front().address;
        local.port = port;
        local.codecs = {{0, "PCMU", 8000, 1, ""}};
        const auto answer = sip::make_answer(*parsed, local, port, 1);
        return answer ? sip::to_text(*answer) : std::string();
    }
    void tell(Instant now, sip::DialogId dialog, const std::string& event) {
        static_cast<void>(node.ua->request(now, dialog, "INFO", {}, "application/msml+xml",
                                           "<msml version=\"1.1\">" + event + "</msml>"));
    }
};

// A switch's translator with the world around it; the test itself is the exchange.
struct World {
    Wire wire;
    Node& node;
    Node& carrier;
    Node& paris;
    Node& phone;
    Node& stranger;
    MediaDouble media;
    WallTime wall{1'767'605'400'000ms};
    B2bua b2bua;
    std::deque<exchange::Event> events;
    std::vector<exchange::Log> logs;

    static Settings settings() {
        Settings out;
        out.site = "london";
        out.host = "127.0.0.1";
        out.media = {uri("sip:127.0.0.1:5070")};
        out.trunks = {{"carrier", {uri("sip:127.0.0.9:5060")}, std::nullopt}};
        out.sites = {{"paris", uri("sip:127.0.0.2:5060"), "the pair's secret"}};
        out.agents = {{"1001", "ada"}};
        return out;
    }
    explicit World(Settings given = settings())
        : node(wire.add("london", {"udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"}, options_of_switch())),
          carrier(wire.add("carrier", {"udp:127.0.0.9:5060", "tcp:127.0.0.9:5060"})),
          paris(wire.add("paris", {"udp:127.0.0.2:5060", "tcp:127.0.0.2:5060"})),
          phone(wire.add("phone", {"udp:127.0.0.1:40001"})),
          stranger(wire.add("stranger", {"udp:127.0.0.77:5060"})),
          media(wire.add("media", {"udp:127.0.0.1:5070"})),
          b2bua(std::move(given), *node.ua, seed(200)) {
        node.script = [this](Instant, const sip::Event& event) { b2bua.handle(stamp(), event); };
        wire.attach([this] { return take(); }, [this] { return b2bua.next_deadline(); },
                    [this] { b2bua.tick(stamp()); });
    }
    [[nodiscard]] Stamp stamp() const {
        return {wire.now, wall + std::chrono::duration_cast<std::chrono::milliseconds>(wire.now - Instant{1'000s})};
    }
    bool take() {
        auto more = b2bua.take_events();
        for (auto& event : more) events.push_back(std::move(event));
        for (auto& log : b2bua.take_logs()) logs.push_back(std::move(log));
        return !more.empty();
    }
    void order(const exchange::Effect& effect) {
        b2bua.carry_out(stamp(), effect);
        wire.settle();
    }
    template <typename E>
    [[nodiscard]] const E* last() const {
        for (auto it = events.rbegin(); it != events.rend(); ++it) {
            if (const auto* event = std::get_if<E>(&*it)) return event;
        }
        return nullptr;
    }
    template <typename E>
    [[nodiscard]] std::size_t count() const {
        return static_cast<std::size_t>(
            std::ranges::count_if(events, [](const exchange::Event& e) { return std::holds_alternative<E>(e); }));
    }
    [[nodiscard]] bool logged(std::string_view text) const {
        return std::ranges::any_of(logs, [&](const exchange::Log& log) { return log.text == text; });
    }
    // An INVITE from `from` to `number`; settled.
    sip::DialogId call(Node& from, const std::string& number, const std::vector<sip::Header>& headers = {},
                       const std::string& sdp = sdp_of("127.0.0.9", 30'000), const std::string& user = "+4420") {
        sip::Invitation invitation = invitation_to(from, number, user);
        invitation.headers = headers;
        if (!sdp.empty()) invitation.content_type = "application/sdp";
        invitation.body = sdp;
        const auto dialog = from.ua->invite(wire.now, invitation);
        wire.settle();
        return dialog;
    }
    static sip::Invitation invitation_to(const Node& from, const std::string& number, const std::string& user) {
        sip::Invitation invitation;
        invitation.target = uri("sip:" + number + "@127.0.0.1:5060");
        invitation.from.uri = uri("sip:" + user + "@" + from.listen.front().address);
        invitation.to.uri = invitation.target;
        return invitation;
    }
    // The customer's call, answered into room u1.
    LegId answered_call() {
        customer = call(carrier, "8000");
        REQUIRE(last<exchange::LegOffered>() != nullptr);
        const LegId leg = last<exchange::LegOffered>()->leg;
        order(exchange::AnswerLeg{leg, RoomId("u1"), CallUuid("u1")});
        REQUIRE(last<exchange::LegConnected>() != nullptr);
        return leg;
    }
    [[nodiscard]] exchange::PlaceLeg to_phone(const std::string& leg = "leg-a") const {
        exchange::PlaceLeg order;
        order.leg = LegId(leg);
        order.room = RoomId("u1");
        order.to = {exchange::DeviceKind::agent, "1001"};
        order.number = "1001";
        order.contact = "sip:1001@127.0.0.1:40001";
        order.next_hop = "udp:127.0.0.1:40001";
        order.calling = "+4420";
        return order;
    }
    // An agent's leg, answered.
    LegId placed_leg() {
        order(to_phone());
        REQUIRE(phone.last<sip::Invited>() != nullptr);
        phone.ua->answer(wire.now, phone.last<sip::Invited>()->dialog, sdp_of("127.0.0.1", 40'100));
        wire.settle();
        REQUIRE(last<exchange::LegAnswered>() != nullptr);
        return LegId("leg-a");
    }
    // A leg to paris, answered, whose site is one of ours: it takes sheaf-call and has a pivot address.
    LegId site_leg(const std::string& id = "leg-p") {
        auto wanted = to_phone(id);
        wanted.to = {exchange::DeviceKind::site, "paris"};
        wanted.number = "2001";
        order(wanted);
        REQUIRE(paris.last<sip::Invited>() != nullptr);
        site = paris.last<sip::Invited>()->dialog;
        paris.ua->answer(wire.now, site, sdp_of("127.0.0.2", 30'000),
                         {{"Recv-Info", "sheaf-call"}, {"X-Sheaf-Pivot", "<sip:px-abc@127.0.0.2:5060>"}});
        wire.settle();
        REQUIRE(last<exchange::LegAnswered>() != nullptr);
        return LegId(id);
    }
    // A call of paris, answered into room u5.
    LegId call_of_site() {
        site = call(paris, "1001", {{"Recv-Info", "sheaf-call"}}, sdp_of("127.0.0.2", 30'000), "2001");
        REQUIRE(last<exchange::LegOffered>() != nullptr);
        const LegId leg = last<exchange::LegOffered>()->leg;
        order(exchange::AnswerLeg{leg, RoomId("u5"), CallUuid("u5")});
        REQUIRE(last<exchange::LegConnected>() != nullptr);
        return leg;
    }
    void end(const LegId& leg) { order(exchange::EndLeg{leg, 0, exchange::Cause::normal}); }
    // Everything is over: nothing may be left.
    void must_be_clean() {
        wire.run(40s);
        CHECK(b2bua.counts() == B2bua::Counts{});
        const auto left = node.ua->counts();
        CHECK(left.dialogs == 0);
        CHECK(left.transactions == 0);
        CHECK(left.timers == 0);
    }
    sip::DialogId customer = 0;
    sip::DialogId site = 0;
};

}  // namespace sheaf::b2bua::test
