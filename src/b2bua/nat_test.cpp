// SPDX-License-Identifier: Apache-2.0
#include "b2bua/nat.h"

#include "b2bua/test_world.h"

// Phones behind a NAT: what they say of themselves means nothing here.
using namespace sheaf;
using namespace sheaf::b2bua;
using namespace sheaf::b2bua::test;

namespace {

constexpr const char* kInside = "10.0.0.7";
constexpr const char* kSeen = "127.0.0.6";

sip::UserAgentOptions says_inside() {
    sip::UserAgentOptions options;
    options.advertise = kInside;
    return options;
}

// An agent's phone that is seen at 127.0.0.6 and believes to be at 10.0.0.7.
struct Behind {
    World w;
    Node& phone;

    static Settings settings(bool nat) {
        auto out = World::settings();
        out.nat = nat;
        return out;
    }
    explicit Behind(bool nat = true)
        : w(settings(nat)), phone(w.wire.add("inside", {"udp:127.0.0.6:40001"}, says_inside())) {}

    void register_phone(int seconds = 600) {
        sip::OutsideRequest request;
        request.method = "REGISTER";
        request.target = uri("sip:127.0.0.1:5060");
        request.from.uri = uri("sip:1001@127.0.0.1");
        request.to.uri = request.from.uri;
        request.headers = {{"Contact", "<sip:1001@10.0.0.7:40001>"}, {"Expires", std::to_string(seconds)}};
        request.account = sip::Account{"1001", "ada"};
        static_cast<void>(phone.ua->request_outside(w.wire.now, request));
        w.wire.settle();
        REQUIRE(w.last<exchange::AgentRegistered>() != nullptr);
    }
    LegId call_phone() {
        const auto* registered = w.last<exchange::AgentRegistered>();
        auto order = w.to_phone();
        order.contact = registered->contact;
        order.next_hop = registered->next_hop;
        w.order(order);
        REQUIRE(phone.last<sip::Invited>() != nullptr);
        phone.ua->answer(w.wire.now, phone.last<sip::Invited>()->dialog, sdp_of(kInside, 40'100));
        w.wire.settle();
        return LegId("leg-a");
    }
};

}  // namespace

TEST_CASE("a phone behind a NAT is called where it is seen, and so is its media") {
    Behind b;
    b.register_phone();
    CHECK(b.w.last<exchange::AgentRegistered>()->contact == "sip:1001@10.0.0.7:40001");
    CHECK(b.w.last<exchange::AgentRegistered>()->next_hop == "udp:127.0.0.6:40001");
    const auto leg = b.call_phone();
    REQUIRE(b.w.last<exchange::LegAnswered>() != nullptr);
    CHECK(b.w.media.offers.back().find(std::string("c=IN IP4 ") + kSeen) != std::string::npos);
    CHECK(b.w.media.offers.back().find(std::string("c=IN IP4 ") + kInside) == std::string::npos);
    REQUIRE(b.phone.count<sip::Acknowledged>() == 1);
    b.phone.ua->reinvite(b.w.wire.now, b.phone.last<sip::Invited>()->dialog,
                         sdp_of(kInside, 40'100, sip::Direction::sendonly));
    b.w.wire.settle();
    CHECK(b.w.count<exchange::LegHeld>() == 1);
    CHECK(b.w.media.offers.back().find(std::string("c=IN IP4 ") + kInside) == std::string::npos);
    b.w.end(leg);
    CHECK(b.phone.count<sip::Ended>() == 1);
}

TEST_CASE("a call of a phone behind a NAT is answered and ended where it is seen") {
    Behind b;
    b.register_phone();
    auto invitation = World::invitation_to(b.phone, "8000", "1001");
    invitation.content_type = "application/sdp";
    invitation.body = sdp_of(kInside, 40'100);
    invitation.account = sip::Account{"1001", "ada"};
    static_cast<void>(b.phone.ua->invite(b.w.wire.now, invitation));
    b.w.wire.settle();
    REQUIRE(b.w.last<exchange::LegOffered>() != nullptr);
    const auto leg = b.w.last<exchange::LegOffered>()->leg;
    b.w.order(exchange::AnswerLeg{leg, RoomId("u1"), CallUuid("u1")});
    CHECK(b.phone.count<sip::Answered>() == 1);
    CHECK(b.w.media.offers.back().find(std::string("c=IN IP4 ") + kInside) == std::string::npos);
    b.w.end(leg);
    CHECK(b.phone.count<sip::Ended>() == 1);
}

TEST_CASE("where NATs are not reckoned with a phone is taken at its word") {
    Behind b(false);
    b.register_phone();
    const auto leg = b.call_phone();
    CHECK(b.w.media.offers.back().find(kInside) != std::string::npos);
    CHECK(b.phone.count<sip::Acknowledged>() == 0);  // it went to where nobody is
    b.w.end(leg);
    CHECK(b.phone.count<sip::Ended>() == 0);
    CHECK(b.w.b2bua.next_deadline() == std::nullopt);
}

TEST_CASE("an answer of a phone behind a NAT that crosses our CANCEL is hung up where it is seen") {
    Behind b;
    b.register_phone();
    const auto* registered = b.w.last<exchange::AgentRegistered>();
    auto order = b.w.to_phone();
    order.contact = registered->contact;
    order.next_hop = registered->next_hop;
    b.w.order(order);
    REQUIRE(b.phone.last<sip::Invited>() != nullptr);
    b.phone.ua->answer(b.w.wire.now, b.phone.last<sip::Invited>()->dialog, sdp_of(kInside, 40'100));
    b.w.order(exchange::EndLeg{order.leg, 0, exchange::Cause::normal});
    CHECK(b.phone.count<sip::Acknowledged>() == 1);
    CHECK(b.phone.count<sip::Ended>() == 1);
}

TEST_CASE("while it is registered a phone behind a NAT is asked, so that its way stays open") {
    Behind b;
    b.register_phone(60);
    const auto asked = [&] { return b.w.wire.count_seen("OPTIONS sip:1001@10.0.0.7:40001"); };
    b.w.wire.run(24s);
    CHECK(asked() == 0);
    b.w.wire.run(2s);
    CHECK(asked() >= 1);
    b.w.wire.run(60s);
    const auto before = asked();
    CHECK(before >= 2);
    b.w.wire.run(120s);
    CHECK(asked() <= before + 11);  // what was sent last is sent again while nobody answers
    CHECK(b.w.b2bua.next_deadline() == std::nullopt);
}

TEST_CASE("only what has come straight from its sender tells of a NAT") {
    const auto request = [](const std::string& headers) {
        return *sip::message_from_datagram(
            "REGISTER sip:h SIP/2.0\r\n" + headers +
            "From: <sip:a@h>;tag=1\r\nTo: <sip:a@h>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n"
            "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n");
    };
    const sip::Source source{at("udp:127.0.0.6:5060"), at("udp:127.0.0.1:5060"), 0};
    const std::string inside = "Via: SIP/2.0/UDP 10.0.0.7;branch=z9hG4bK1\r\n";
    const std::string outside = "Via: SIP/2.0/UDP 127.0.0.6;branch=z9hG4bK1\r\n";
    CHECK(is_behind_nat(request(inside + "Contact: <sip:a@10.0.0.7>\r\n"), source));
    CHECK(is_behind_nat(request(inside + "Contact: <sip:a@127.0.0.6:9>\r\n"), source));  // it has learned that
    CHECK(is_behind_nat(request(outside + "Contact: <sip:a@10.0.0.7>\r\n"), source));
    CHECK_FALSE(is_behind_nat(request(outside + "Contact: <sip:a@127.0.0.6:9>\r\n"), source));
    CHECK_FALSE(is_behind_nat(request(outside + inside + "Contact: <sip:a@10.0.0.7>\r\n"), source));
    CHECK_FALSE(is_behind_nat(request(outside + "Contact: <sip:a@phone.example>\r\n"), source));
    CHECK_FALSE(is_behind_nat(request(outside), source));
    // Who asks for rport listens at the port it sends from (RFC 3581 §3): another one is a NAT's.
    const std::string same = "Contact: <sip:a@127.0.0.6>\r\n";
    const std::string mapped = "Via: SIP/2.0/UDP 127.0.0.6:5062;rport;branch=z9hG4bK1\r\n";
    CHECK(is_behind_nat(request(mapped + same), source));
    CHECK_FALSE(is_behind_nat(request("Via: SIP/2.0/UDP 127.0.0.6:5060;rport;branch=z9hG4bK1\r\n" + same), source));
    CHECK_FALSE(is_behind_nat(request("Via: SIP/2.0/UDP 127.0.0.6;rport;branch=z9hG4bK1\r\n" + same), source));
    CHECK_FALSE(is_behind_nat(request("Via: SIP/2.0/UDP 127.0.0.6:5062;branch=z9hG4bK1\r\n" + same), source));
    const sip::Source by_tcp{at("tcp:127.0.0.6:40002"), at("tcp:127.0.0.1:5060"), 3};
    CHECK_FALSE(is_behind_nat(request("Via: SIP/2.0/TCP 127.0.0.6:5062;rport;branch=z9hG4bK1\r\n" + same), by_tcp));
}

TEST_CASE("only addresses that their own network alone knows are replaced, and only by one of their version") {
    const auto address_in = [](const std::string& from, const std::string& by) {
        const auto sdp = *sip::sdp_from_text(with_reachable_address(sdp_of(from, 4'000), by));
        return sip::address_of(sdp, *sip::audio_of(sdp));
    };
    for (const char* inside :
         {"10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "169.254.1.1"}) {
        CAPTURE(inside);
        CHECK(address_in(inside, "203.0.113.5") == "203.0.113.5");
    }
    for (const char* outside : {"172.32.0.1", "100.128.0.1", "198.51.100.1", "0.0.0.0", "127.0.0.1"}) {
        CAPTURE(outside);
        CHECK(address_in(outside, "203.0.113.5") == outside);
    }
    CHECK(address_in("fd00::7", "2001:db8::5") == "2001:db8::5");
    CHECK(address_in("fe80::7", "2001:db8::5") == "2001:db8::5");
    CHECK(address_in("2001:db8::7", "2001:db8::5") == "2001:db8::7");
    CHECK(address_in("10.1.2.3", "2001:db8::5") == "10.1.2.3");
    CHECK(address_in("fd00::7", "203.0.113.5") == "fd00::7");
    CHECK(with_reachable_address("no description", "203.0.113.5") == "no description");
}
