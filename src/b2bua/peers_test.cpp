// SPDX-License-Identifier: Apache-2.0
#include "b2bua/caller.h"
#include "b2bua/link_header.h"
#include "b2bua/test_world.h"
#include "base/digest.h"

using namespace sheaf;
using namespace sheaf::b2bua;
using namespace sheaf::b2bua::test;

namespace {

const exchange::LinkHeader kLink{LinkId("l1"), CallUuid("u1"), CallUuid("u0"), "route", true};
constexpr const char* kSecret = "the pair's secret";

// An INVITE from `node` with a link header made for that very INVITE.
void call_with_link(World& w, Node& node, const std::function<std::string(const LinkCarrier&)>& header) {
    auto invitation = World::invitation_to(node, "1001", "2001");
    invitation.call_id = "call-1";
    invitation.from_tag = "tag-1";
    invitation.headers = {{"X-Sheaf-Link", header({"call-1", "tag-1"})}};
    invitation.content_type = "application/sdp";
    invitation.body = sdp_of("127.0.0.2", 30'000);
    node.ua->invite(w.wire.now, invitation);
    w.wire.settle();
}

std::string good(const World& w, const LinkCarrier& carrier, const std::string& nonce = "0123456789abcdef") {
    return signed_link(kLink, carrier, kSecret, w.stamp().wall, nonce);
}

}  // namespace

TEST_CASE("the link header is the documented bytes") {
    const WallTime now{std::chrono::milliseconds{1'767'605'400'123}};
    const auto text = signed_link(kLink, {"call-1", "tag-1"}, "secret", now, "0123456789abcdef");
    const std::string covered = "l1;call=u1;root=u0;kind=route;rec=1;t=1767605400123;n=0123456789abcdef";
    CHECK(text == covered + ";mac=" + hmac_sha256_hex("secret", covered + "\ncall-1\ntag-1"));
    // docs/formats/link-header.md has this example.
    CHECK(text.ends_with(";mac=2035bbffb591f20c5e6c71ce8956ca63c599d531001c6ae48f374757cf771579"));
}

TEST_CASE("a call from a site with a good header is linked; the answer names our call") {
    World w;
    call_with_link(w, w.paris, [&](const LinkCarrier& c) { return good(w, c); });
    const auto* offered = w.last<exchange::LegOffered>();
    REQUIRE(offered != nullptr);
    CHECK(offered->from == exchange::Device{exchange::DeviceKind::site, "paris"});
    REQUIRE(offered->link);
    CHECK(*offered->link == kLink);
    CHECK(w.logs.empty());
    w.order(exchange::RingLeg{offered->leg, RoomId("u9"), CallUuid("u9")});
    CHECK(*w.paris.last<sip::Progressed>()->response.first("X-Sheaf-Call") == "u9");
    w.order(exchange::EndLeg{w.last<exchange::LegOffered>()->leg, 486, exchange::Cause::busy});
    CHECK(w.paris.last<sip::Failed>()->status == 486);
    CHECK(*w.paris.last<sip::Failed>()->response->first("X-Sheaf-Call") == "u9");
    w.must_be_clean();
}

TEST_CASE("a refusal to a site names our call, when one was begun") {
    World w;
    call_with_link(w, w.paris, [&](const LinkCarrier& c) { return good(w, c); });
    w.order(exchange::RejectLeg{w.last<exchange::LegOffered>()->leg, 480, {}, CallUuid("u9")});
    CHECK(*w.paris.last<sip::Failed>()->response->first("X-Sheaf-Call") == "u9");
    w.must_be_clean();
}

TEST_CASE("a header that is not believed is ignored and logged once, and the call goes on") {
    struct Case {
        const char* name;
        std::function<std::string(const World&, const LinkCarrier&)> header;
    };
    const std::vector<Case> cases{
        {"wrong secret",
         [](const World& w, const LinkCarrier& c) {
             return signed_link(kLink, c, "another secret", w.stamp().wall, "0123456789abcdef");
         }},
        {"no mac",
         [](const World& w, const LinkCarrier& c) {
             const auto text = good(w, c);
             return text.substr(0, text.find(";mac="));
         }},
        {"another call's", [](const World& w, const LinkCarrier&) { return good(w, {"call-2", "tag-1"}); }},
        {"another tag's", [](const World& w, const LinkCarrier&) { return good(w, {"call-1", "tag-2"}); }},
        {"changed",
         [](const World& w, const LinkCarrier& c) {
             auto text = good(w, c);
             text.replace(text.find("root=u0"), 7, "root=u7");
             return text;
         }},
        {"an hour and a second old",
         [](const World& w, const LinkCarrier& c) {
             return signed_link(kLink, c, kSecret, w.stamp().wall - 3'601s, "0123456789abcdef");
         }},
        {"an hour and a second early",
         [](const World& w, const LinkCarrier& c) {
             return signed_link(kLink, c, kSecret, w.stamp().wall + 3'601s, "0123456789abcdef");
         }},
        {"too long", [](const World& w, const LinkCarrier& c) { return good(w, c, std::string(2'000, 'a')); }},
        {"a bad nonce", [](const World& w, const LinkCarrier& c) { return good(w, c, "xyz"); }},
    };
    for (const auto& [name, header] : cases) {
        CAPTURE(name);
        World w;
        call_with_link(w, w.paris, [&](const LinkCarrier& c) { return header(w, c); });
        const auto* offered = w.last<exchange::LegOffered>();
        REQUIRE(offered != nullptr);
        CHECK(offered->from.kind == exchange::DeviceKind::site);
        CHECK(!offered->link);
        CHECK(w.logs.size() == 1);
        CHECK(w.logged("link header not believed"));
    }
}

TEST_CASE("a clock ten minutes away is no reason not to believe") {
    World w;
    call_with_link(w, w.paris, [&](const LinkCarrier& c) {
        return signed_link(kLink, c, kSecret, w.stamp().wall - 600s, "0123456789abcdef");
    });
    CHECK(w.last<exchange::LegOffered>()->link);
}

TEST_CASE("a stranger and a trunk cannot link calls, whatever they know") {
    World w;
    call_with_link(w, w.stranger, [&](const LinkCarrier& c) { return good(w, c); });
    REQUIRE(w.last<exchange::LegOffered>() != nullptr);
    CHECK(w.last<exchange::LegOffered>()->from.kind == exchange::DeviceKind::stranger);
    CHECK(!w.last<exchange::LegOffered>()->link);
    CHECK(w.logs.size() == 1);
    World other;
    call_with_link(other, other.carrier, [&](const LinkCarrier& c) { return good(other, c); });
    CHECK(other.last<exchange::LegOffered>()->from.kind == exchange::DeviceKind::trunk);
    CHECK(!other.last<exchange::LegOffered>()->link);
    CHECK(other.logged("link header not believed"));
}

TEST_CASE("a nonce is believed once, and the memory of nonces is bounded") {
    constexpr std::size_t kMax = 100;
    LinkGuard guard(kMax);
    const WallTime now{std::chrono::milliseconds{1'767'605'400'000}};
    const LinkCarrier carrier{"c", "t"};
    const auto header = [&](std::size_t i) {
        std::string nonce = std::to_string(i);
        nonce.insert(0, 16 - nonce.size(), '0');
        return signed_link(kLink, carrier, "s", now, nonce);
    };
    REQUIRE(guard.check(header(0), carrier, "paris", "s", now));
    const auto again = guard.check(header(0), carrier, "paris", "s", now);
    REQUIRE(!again);
    CHECK(again.error().code == Errc::conflict);
    CHECK(guard.check(header(0), carrier, "hub", "s", now));  // another pair's memory
    for (std::size_t i = 1; i <= kMax; ++i) REQUIRE(guard.check(header(i), carrier, "paris", "s", now));
    CHECK(guard.nonces_of("paris") == kMax);
    CHECK(!guard.check(header(1), carrier, "paris", "s", now));
    CHECK(guard.check(header(0), carrier, "paris", "s", now));  // forgotten: the oldest went first
}

TEST_CASE("a call to a site carries a header that the site believes") {
    World w;
    auto order = w.to_phone();
    order.to = {exchange::DeviceKind::site, "paris"};
    order.number = "2001";
    order.link = kLink;
    w.order(order);
    const auto* invited = w.paris.last<sip::Invited>();
    REQUIRE(invited != nullptr);
    const auto view = w.paris.ua->view(invited->dialog);
    LinkGuard guard;
    const auto link = guard.check(*invited->request.first("X-Sheaf-Link"), {view->call_id, view->remote_tag}, "london",
                                  kSecret, w.stamp().wall);
    REQUIRE(link);
    CHECK(*link == kLink);
    CHECK(invited->request.first("Session-ID") != nullptr);
    CHECK(invited->request.first("P-Asserted-Identity") != nullptr);
    w.paris.ua->answer(w.wire.now, invited->dialog, sdp_of("127.0.0.2", 30'000), {{"X-Sheaf-Call", "u2"}});
    w.wire.settle();
    CHECK(w.last<exchange::LegAnswered>()->peer_call == CallUuid("u2"));
    w.order(exchange::EndLeg{LegId("leg-a"), 0, exchange::Cause::normal});
    order.leg = LegId("leg-b");
    w.order(order);
    w.paris.ua->reject(w.wire.now, w.paris.last<sip::Invited>()->dialog, 486, {{"X-Sheaf-Call", "u3"}});
    w.wire.settle();
    CHECK(w.last<exchange::LegFailed>()->peer_call == CallUuid("u3"));
    w.must_be_clean();
}

namespace {

sip::OutsideRequest registration(const std::string& password, const std::vector<sip::Header>& headers,
                                 const std::string& dn = "1001") {
    sip::OutsideRequest request;
    request.method = "REGISTER";
    request.target = uri("sip:127.0.0.1:5060");
    request.from.uri = uri("sip:" + dn + "@127.0.0.1");
    request.to.uri = request.from.uri;
    request.headers = headers;
    if (!password.empty()) request.account = sip::Account{dn, password};
    return request;
}

int register_phone(World& w, const sip::OutsideRequest& request) {
    w.phone.ua->request_outside(w.wire.now, request);
    w.wire.settle();
    REQUIRE(w.phone.last<sip::Responded>() != nullptr);
    return w.phone.last<sip::Responded>()->status;
}

const std::vector<sip::Header> kHere{{"Contact", "<sip:1001@127.0.0.1:40001>"}, {"Expires", "120"}};

}  // namespace

TEST_CASE("a phone that listens at another port than it registers from is called there") {
    World w;
    const std::vector<sip::Header> there{{"Contact", "<sip:1001@127.0.0.1:40009>"}, {"Expires", "120"}};
    CHECK(register_phone(w, registration("ada", there)) == 200);
    CHECK(w.last<exchange::AgentRegistered>()->next_hop == "udp:127.0.0.1:40009");
    const std::vector<sip::Header> elsewhere{{"Contact", "<sip:1001@127.0.0.6:40009>"}, {"Expires", "120"}};
    CHECK(register_phone(w, registration("ada", elsewhere)) == 200);
    CHECK(w.last<exchange::AgentRegistered>()->next_hop == "udp:127.0.0.1:40001");
}

TEST_CASE("a phone that has registered over a connection is asked now and then, so that the connection stays") {
    World w;
    Node& phone = w.wire.add("by-tcp", {"tcp:127.0.0.6:40001"});
    auto request = registration("ada", {{"Contact", "<sip:1001@127.0.0.6:5060;transport=tcp>"}, {"Expires", "600"}});
    request.target = uri("sip:127.0.0.1:5060;transport=tcp");
    static_cast<void>(phone.ua->request_outside(w.wire.now, request));
    w.wire.settle();
    REQUIRE(w.last<exchange::AgentRegistered>() != nullptr);
    CHECK(w.last<exchange::AgentRegistered>()->next_hop == "tcp:127.0.0.6:40001");
    const auto asked = [&] { return w.wire.count_seen("OPTIONS sip:1001@127.0.0.6:5060;transport=tcp "); };
    w.wire.run(119s);
    CHECK(asked() == 0);
    w.wire.run(2s);
    CHECK(asked() == 1);
    w.wire.run(600s);
    CHECK(asked() == 4);  // until the registration is over
    CHECK(w.b2bua.next_deadline() == std::nullopt);
}

TEST_CASE("a phone behind a proxy that wants to stay in the way is called through it (RFC 3327)") {
    World w;
    const std::vector<sip::Header> behind{{"Contact", "<sip:1001@192.0.2.7:5070;transport=tcp>"},
                                          {"Expires", "120"},
                                          {"Path", "<sip:edge@127.0.0.1:40001;lr>"},
                                          {"Path", "<sip:192.0.2.6;lr>"}};
    CHECK(register_phone(w, registration("ada", behind)) == 200);
    CHECK(w.phone.last<sip::Responded>()->response->list("Path").size() == 2);
    const auto* registered = w.last<exchange::AgentRegistered>();
    REQUIRE(registered != nullptr);
    CHECK(registered->next_hop == "udp:127.0.0.1:40001");
    auto order = w.to_phone();
    order.contact = registered->contact;
    order.next_hop = registered->next_hop;
    w.order(order);
    const auto invite = w.wire.last_seen("INVITE sip:1001@192.0.2.7:5070;transport=tcp ");
    CHECK(invite.find("Route: <sip:edge@127.0.0.1:40001;lr>\r\nRoute: <sip:192.0.2.6;lr>\r\n") != std::string::npos);
    w.phone.ua->reject(w.wire.now, w.phone.last<sip::Invited>()->dialog, 486);
    w.wire.settle();
    w.must_be_clean();
    for (const char* bad : {"<sip:edge.example;lr>", "nonsense", "<tel:1>"}) {
        CAPTURE(bad);
        CHECK(register_phone(w, registration("ada", {{"Contact", "<sip:1001@127.0.0.1>"}, {"Path", bad}})) == 400);
    }
    // One elsewhere would let whoever has a password send what others believe to be ours.
    CHECK(register_phone(w, registration("ada", {{"Contact", "<sip:+88290@x.example>"},
                                                 {"Path", "<sip:127.0.0.9:5060;lr>"}})) == 403);
    CHECK(w.last<exchange::AgentRegistered>()->contact == registered->contact);
    const std::vector<sip::Header> many(kPathMax + 1, {"Path", "<sip:127.0.0.1;lr>"});
    auto headers = many;
    headers.push_back({"Contact", "<sip:1001@127.0.0.1>"});
    CHECK(register_phone(w, registration("ada", headers)) == 400);
}

TEST_CASE("a phone registers with its password, and unregisters") {
    World w;
    CHECK(register_phone(w, registration("ada", kHere)) == 200);
    const auto* registered = w.last<exchange::AgentRegistered>();
    REQUIRE(registered != nullptr);
    CHECK(registered->dn == "1001");
    CHECK(registered->contact == "sip:1001@127.0.0.1:40001");
    CHECK(registered->next_hop == "udp:127.0.0.1:40001");
    CHECK(registered->expires_ms == 120'000);
    CHECK(*w.phone.last<sip::Responded>()->response->first("Contact") == "<sip:1001@127.0.0.1:40001>;expires=120");
    CHECK(register_phone(w, registration("ada", {{"Contact", "*"}, {"Expires", "0"}})) == 200);
    CHECK(w.count<exchange::AgentUnregistered>() == 1);
    w.must_be_clean();
}

TEST_CASE("a phone says in its REGISTER that it can be told to answer") {
    World w;
    CHECK(register_phone(w, registration("ada", kHere)) == 200);
    CHECK(!w.last<exchange::AgentRegistered>()->takes_talk);
    auto headers = kHere;
    headers.push_back({"Allow-Events", "hold, Talk ,refer"});
    CHECK(register_phone(w, registration("ada", headers)) == 200);
    CHECK(w.last<exchange::AgentRegistered>()->takes_talk);
}

TEST_CASE("a wrong password, an unknown agent and no password do not register") {
    World w;
    CHECK(register_phone(w, registration("wrong", kHere)) == 403);
    CHECK(w.logged("registration refused"));
    CHECK(register_phone(w, registration("", kHere)) == 401);
    CHECK(w.phone.last<sip::Responded>()->response->all("WWW-Authenticate").size() == 2);  // SHA-256 and MD5
    CHECK(register_phone(w, registration("any", kHere, "9999")) == 403);
    CHECK(w.count<exchange::AgentRegistered>() == 0);
    w.must_be_clean();
}

TEST_CASE("a phone that stumbles over SHA-256 is offered MD5 alone") {
    World w;
    auto request = registration("", kHere);
    request.headers.push_back({"User-Agent", "baresip v1.0.0 (x86_64/linux)"});
    CHECK(register_phone(w, request) == 401);
    const auto offered = w.phone.last<sip::Responded>()->response->all("WWW-Authenticate");
    REQUIRE(offered.size() == 1);
    CHECK(sip::challenge_from_text(offered[0])->algorithm == sip::DigestAlgorithm::md5);
    request.account = sip::Account{"1001", "ada"};
    CHECK(register_phone(w, request) == 200);
}

TEST_CASE("registration limits: too short is 423, too long is cut, several contacts keep the newest") {
    World w;
    CHECK(register_phone(w, registration("ada", {{"Contact", "<sip:1001@127.0.0.1:40001>;expires=59"}})) == 423);
    CHECK(*w.phone.last<sip::Responded>()->response->first("Min-Expires") == "60");
    CHECK(register_phone(
              w, registration("ada", {{"Contact", "<sip:1001@127.0.0.1:1>, <sip:1001@127.0.0.1:2>;expires=99999"}})) ==
          200);
    CHECK(w.last<exchange::AgentRegistered>()->expires_ms == 3'600'000);
    CHECK(w.last<exchange::AgentRegistered>()->contact == "sip:1001@127.0.0.1:2");
    // A question changes nothing; the removal of another contact neither.
    CHECK(register_phone(w, registration("ada", {})) == 200);
    CHECK(w.phone.last<sip::Responded>()->response->first("Contact")->starts_with("<sip:1001@127.0.0.1:2>"));
    CHECK(register_phone(w, registration("ada", {{"Contact", "<sip:1001@127.0.0.1:1>;expires=0"}})) == 200);
    CHECK(w.count<exchange::AgentUnregistered>() == 0);
    CHECK(register_phone(w, registration("ada", {{"Contact", "<sip:1001@127.0.0.1:2>;expires=0"}})) == 200);
    CHECK(w.count<exchange::AgentUnregistered>() == 1);
    CHECK(register_phone(w, registration("ada", {{"Contact", "*"}, {"Expires", "60"}})) == 400);
    CHECK(register_phone(w, registration("ada", {{"Contact", "<mailto:a@b>"}})) == 400);
    w.must_be_clean();
}

TEST_CASE("an older REGISTER of the same phone changes nothing") {
    World w;
    auto request = registration("ada", kHere);
    request.call_id = "r1";
    request.cseq = 10;
    CHECK(register_phone(w, request) == 200);
    request.cseq = 5;
    CHECK(register_phone(w, request) == 500);
    CHECK(w.count<exchange::AgentRegistered>() == 1);
}

TEST_CASE("a phone calls in its agent's name only with the password") {
    World w;
    auto invitation = World::invitation_to(w.phone, "8000", "1001");
    invitation.content_type = "application/sdp";
    invitation.body = sdp_of("127.0.0.1", 40'100);
    w.phone.ua->invite(w.wire.now, invitation);
    w.wire.settle();
    CHECK(w.phone.last<sip::Failed>()->status == 401);
    invitation.account = sip::Account{"1001", "wrong"};
    w.phone.ua->invite(w.wire.now, invitation);
    w.wire.settle();
    CHECK(w.phone.last<sip::Failed>()->status == 403);
    CHECK(w.count<exchange::LegOffered>() == 0);
    CHECK(w.logged("call refused"));
    invitation.account = sip::Account{"1001", "ada"};
    const auto dialog = w.phone.ua->invite(w.wire.now, invitation);
    w.wire.settle();
    REQUIRE(w.last<exchange::LegOffered>() != nullptr);
    CHECK(w.last<exchange::LegOffered>()->from == exchange::Device{exchange::DeviceKind::agent, "1001"});
    w.phone.ua->cancel(w.wire.now, dialog);
    w.must_be_clean();
}

TEST_CASE("credentials for one number call no other") {
    World w;
    auto invitation = World::invitation_to(w.phone, "8000", "1001");
    for (const std::string& meant : {std::string("9999"), std::string("8000")}) {
        CAPTURE(meant);
        invitation.headers.clear();
        w.phone.ua->invite(w.wire.now, invitation);
        w.wire.settle();
        const auto& refused = *w.phone.last<sip::Failed>()->response;
        REQUIRE(refused.status() == 401);
        const auto challenge = sip::challenge_from_text(*refused.first("WWW-Authenticate"));
        REQUIRE(challenge);
        auto target = invitation.target;
        target.user = meant;
        const auto credentials =
            sip::answer_challenge({*challenge}, {"1001", "ada"}, "INVITE", sip::to_text(target), "cnonce");
        REQUIRE(credentials);
        invitation.headers = {{"Authorization", sip::to_text(*credentials)}};
        w.phone.ua->invite(w.wire.now, invitation);
        w.wire.settle();
        CHECK(w.count<exchange::LegOffered>() == (meant == "8000" ? 1 : 0));
        if (meant == "9999") CHECK(w.phone.last<sip::Failed>()->status == 400);
    }
    CHECK(w.logged("call refused"));
}

TEST_CASE("a peer is known by its address, on any port; an asserted identity is believed from peers only") {
    World w;
    auto& other_port = w.wire.add("carrier-2", {"udp:127.0.0.9:7777"});
    w.call(other_port, "8000", {{"P-Asserted-Identity", "\"Bob\" <sip:+3312@carrier>"}});
    CHECK(w.last<exchange::LegOffered>()->from.name == "carrier");
    CHECK(w.last<exchange::LegOffered>()->calling == "+3312");
    CHECK(w.last<exchange::LegOffered>()->calling_name == "Bob");
    w.call(w.stranger, "8000", {{"P-Asserted-Identity", "\"Bob\" <sip:+3312@carrier>"}});
    CHECK(w.last<exchange::LegOffered>()->from.kind == exchange::DeviceKind::stranger);
    CHECK(w.last<exchange::LegOffered>()->calling == "+4420");
}

TEST_CASE("peers and agents can be changed while calls go on") {
    World w;
    const auto leg = w.answered_call();
    auto settings = World::settings();
    settings.trunks.clear();
    settings.agents.clear();
    w.b2bua.reload(w.stamp(), settings);
    w.call(w.carrier, "8000");
    CHECK(w.last<exchange::LegOffered>()->from.kind == exchange::DeviceKind::stranger);
    w.order(exchange::RejectLeg{w.last<exchange::LegOffered>()->leg, 403, {}});
    w.order(exchange::EndLeg{leg, 0, exchange::Cause::normal});
    CHECK(w.carrier.count<sip::Ended>() == 1);
    w.must_be_clean();
}

TEST_CASE("numbers and names are cleaned and bounded") {
    CHECK(clean_number("12 3\n4\xc3\xa4") == "1234");
    CHECK(clean_number(std::string(300, '1')).size() == kNumberBytesMax);
    CHECK(clean_name("J\xc3\xb6rg\r\n") == "J\xc3\xb6rg");
    CHECK(clean_name(std::string(127, 'a') + "\xc3\xb6") == std::string(127, 'a'));
    CHECK(session_half_from("11111111-2222-4333-8444-55555555555F") == "1111111122224333844455555555555f");
    CHECK(session_half_from("u1").size() == 32);
}
