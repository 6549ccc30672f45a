// SPDX-License-Identifier: Apache-2.0
#include "b2bua/test_world.h"

#include <algorithm>

#include "sip/sdp.h"

namespace sheaf::b2bua::test {

sip::Endpoint at(const std::string& text) {
    auto endpoint = sip::endpoint_from_text(text);
    REQUIRE(endpoint);
    return *endpoint;
}

sip::Uri uri(const std::string& text) {
    auto parsed = sip::uri_from_text(text);
    REQUIRE(parsed);
    return *parsed;
}
PeerAddress peer(const std::string& text) {
    return *literal_address(uri(text));
}

Entropy::Seed seed(std::uint8_t first) {
    Entropy::Seed out{};
    out[0] = first;
    return out;
}

std::string sdp_of(const std::string& address, std::uint16_t port, sip::Direction direction) {
    sip::LocalMedia local;
    local.address = address;
    local.port = port;
    local.codecs = {{0, "PCMU", 8000, 1, ""}, {8, "PCMA", 8000, 1, ""}};
    local.direction = direction;
    return sip::to_text(sip::make_offer(local, port, 1));
}

Wire::Wire() = default;
Wire::~Wire() = default;

Node& Wire::add(std::string name, const std::vector<std::string>& listen, sip::UserAgentOptions options) {
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

void Wire::settle() {
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

void Wire::run(Duration span) {
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

std::size_t Wire::count_seen(std::string_view text) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(seen, [&](const std::string& bytes) { return bytes.find(text) != std::string::npos; }));
}

std::string Wire::last_seen(std::string_view start) const {
    for (auto it = seen.rbegin(); it != seen.rend(); ++it) {
        if (it->substr(0, it->find('\r')).find(start) != std::string::npos) return *it;
    }
    return {};
}

void Wire::inject(const Node& from, const sip::Endpoint& to, const std::string& bytes) {
    deliver(from, {to, 0, bytes, {}});
}

void Wire::deliver(const Node& from, const sip::Send& send) {
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

std::uint64_t Wire::flow_of(const Node& a, const Node& b) const {
    std::uint64_t ia = 0;
    std::uint64_t ib = 0;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        if (nodes_[i].get() == &a) ia = i;
        if (nodes_[i].get() == &b) ib = i;
    }
    return 1 + std::min(ia, ib) * 100 + std::max(ia, ib);
}

MediaDouble::MediaDouble(Node& of) : node(of) {
    node.script = [this](Instant now, const sip::Event& event) { on(now, event); };
}

void MediaDouble::on(Instant now, const sip::Event& event) {
    if (const auto* e = std::get_if<sip::Invited>(&event)) {
        targets.push_back(e->request.uri().user);
        offers.push_back(e->request.body);
        if (holds_invite) return;
        const bool is_bad = !refuse_offer.empty() && offers.back().find(refuse_offer) != std::string::npos;
        if (is_bad) return node.ua->reject(now, e->dialog, 488);
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

void MediaDouble::on_request(Instant now, const sip::Requested& e) {
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

std::string MediaDouble::description(const std::string& offer) {
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

void MediaDouble::tell(Instant now, sip::DialogId dialog, const std::string& event) {
    static_cast<void>(node.ua->request(now, dialog, "INFO", {}, "application/msml+xml",
                                       "<msml version=\"1.1\">" + event + "</msml>"));
}

Settings World::settings() {
    Settings out;
    out.site = "london";
    out.host = "127.0.0.1";
    out.media = {peer("sip:127.0.0.1:5070")};
    out.trunks = {{"carrier", {peer("sip:127.0.0.9:5060")}, std::nullopt}};
    out.sites = {{"paris", peer("sip:127.0.0.2:5060"), "the pair's secret"}};
    out.agents = {{"1001", "ada"}};
    return out;
}

World::World(Settings given, sip::UserAgentOptions options)
    : node(wire.add("london", {"udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"}, std::move(options))),
      carrier(wire.add("carrier", {"udp:127.0.0.9:5060", "tcp:127.0.0.9:5060"})),
      paris(wire.add("paris", {"udp:127.0.0.2:5060", "tcp:127.0.0.2:5060"})),
      phone(wire.add("phone", {"udp:127.0.0.1:40001"})),
      stranger(wire.add("stranger", {"udp:127.0.0.77:5060"})),
      media(wire.add("media", {"udp:127.0.0.1:5070"})),
      b2bua(std::move(given), *node.ua, seed(200)) {
    node.script = [this](Instant, const sip::Event& event) { b2bua.handle(stamp(), event); };
    wire.attach([this] { return take(); }, [this] { return b2bua.next_deadline(); }, [this] { b2bua.tick(stamp()); });
}

World::~World() = default;

Stamp World::stamp() const {
    return {wire.now, wall + std::chrono::duration_cast<std::chrono::milliseconds>(wire.now - Instant{1'000s})};
}

bool World::take() {
    auto more = b2bua.take_events();
    for (auto& event : more) events.push_back(std::move(event));
    for (auto& log : b2bua.take_logs()) logs.push_back(std::move(log));
    return !more.empty();
}

void World::order(const exchange::Effect& effect) {
    b2bua.carry_out(stamp(), effect);
    wire.settle();
}

bool World::logged(std::string_view text) const {
    return std::ranges::any_of(logs, [&](const exchange::Log& log) { return log.text == text; });
}

sip::DialogId World::call(Node& from, const std::string& number, const std::vector<sip::Header>& headers,
                          const std::string& sdp, const std::string& user) {
    sip::Invitation invitation = invitation_to(from, number, user);
    invitation.headers = headers;
    if (!sdp.empty()) invitation.content_type = "application/sdp";
    invitation.body = sdp;
    const auto dialog = from.ua->invite(wire.now, invitation);
    wire.settle();
    return dialog;
}

sip::Invitation World::invitation_to(const Node& from, const std::string& number, const std::string& user) {
    sip::Invitation invitation;
    invitation.target = uri("sip:" + number + "@127.0.0.1:5060");
    invitation.from.uri = uri("sip:" + user + "@" + from.listen.front().address);
    invitation.to.uri = invitation.target;
    return invitation;
}

LegId World::answered_call() {
    customer = call(carrier, "8000");
    REQUIRE(last<exchange::LegOffered>() != nullptr);
    const LegId leg = last<exchange::LegOffered>()->leg;
    order(exchange::AnswerLeg{leg, RoomId("u1"), CallUuid("u1")});
    REQUIRE(last<exchange::LegConnected>() != nullptr);
    return leg;
}

exchange::PlaceLeg World::to_phone(const std::string& leg) const {
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

LegId World::placed_leg() {
    order(to_phone());
    REQUIRE(phone.last<sip::Invited>() != nullptr);
    phone.ua->answer(wire.now, phone.last<sip::Invited>()->dialog, sdp_of("127.0.0.1", 40'100));
    wire.settle();
    REQUIRE(last<exchange::LegAnswered>() != nullptr);
    return LegId("leg-a");
}

LegId World::site_leg(const std::string& id) {
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

LegId World::call_of_site() {
    site = call(paris, "1001", {{"Recv-Info", "sheaf-call"}}, sdp_of("127.0.0.2", 30'000), "2001");
    REQUIRE(last<exchange::LegOffered>() != nullptr);
    const LegId leg = last<exchange::LegOffered>()->leg;
    order(exchange::AnswerLeg{leg, RoomId("u5"), CallUuid("u5")});
    REQUIRE(last<exchange::LegConnected>() != nullptr);
    return leg;
}

void World::must_be_clean() {
    wire.run(40s);
    CHECK(b2bua.counts() == B2bua::Counts{});
    const auto left = node.ua->counts();
    CHECK(left.dialogs == 0);
    CHECK(left.transactions == 0);
    CHECK(left.timers == 0);
}

}  // namespace sheaf::b2bua::test
