// SPDX-License-Identifier: Apache-2.0
#include "sip/user_agent_test_wire.h"

// Challenges (RFC 3261 §22, RFC 8760) met by our requests.
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

OutsideRequest outside(const std::string& method) {
    OutsideRequest request;
    request.method = method;
    request.target = *uri_from_text("sip:10.0.0.9");
    request.from.uri = *uri_from_text("sip:alice@10.0.0.1");
    request.to.uri = request.from.uri;
    return request;
}

WallTime wall(Instant at) {
    return WallTime{std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch())};
}

// A registrar that asks for a password, once per nonce's life.
struct Registrar {
    Authenticator authenticator{"house", "key"};
    bool md5_only = false;
    std::string password = "secret";
    std::vector<DigestAlgorithm> used;
    std::vector<Authenticator::Verdict> verdicts;
    bool says_stale_once = false;

    std::vector<Header> challenge(Instant now, bool stale) {
        std::vector<Header> headers;
        for (const std::string& text : authenticator.challenges(wall(now), std::to_string(verdicts.size()), stale)) {
            const bool is_md5 = text.find("MD5") != std::string::npos;
            if (!md5_only || is_md5) headers.push_back({"WWW-Authenticate", text});
        }
        return headers;
    }
    // 200, or 401 with its headers.
    std::pair<int, std::vector<Header>> judge(Instant now, const Message& request) {
        const std::string* given = request.first("Authorization");
        if (given == nullptr) return {401, challenge(now, false)};
        const auto credentials = credentials_from_text(*given);
        REQUIRE(credentials.has_value());
        used.push_back(credentials->algorithm);
        verdicts.push_back(authenticator.check(*credentials, password, request.method(), wall(now)));
        if (says_stale_once) {
            says_stale_once = false;
            return {401, challenge(now, true)};
        }
        if (verdicts.back() == Authenticator::Verdict::accepted) return {200, {}};
        return {401, challenge(now, false)};
    }
};

}  // namespace

TEST_CASE("a challenge is answered with the strongest digest it offers, once") {
    for (const bool md5_only : {false, true}) {
        for (const std::string password : {"secret", "wrong"}) {
            CAPTURE(md5_only);
            CAPTURE(password);
            LoneAgent us;
            Registrar registrar;
            registrar.md5_only = md5_only;
            OutsideRequest wanted = outside("REGISTER");
            wanted.account = Account{"alice", password};
            const ClientRequest id = us.ua.request_outside(us.now, wanted);
            int asked = 0;
            for (auto sent = us.taken(); !sent.empty(); sent = us.taken()) {
                REQUIRE(sent.size() == 1);
                CHECK(cseq_of(sent[0]).number == static_cast<std::uint32_t>(++asked));
                const auto [status, headers] = registrar.judge(us.now, sent[0]);
                Message response = response_to(sent[0], status, "r");
                for (const Header& header : headers) response.add(header.name, header.value);
                us.receive(to_bytes(response));
            }
            CHECK(asked == 2);
            CHECK(registrar.used == std::vector{md5_only ? DigestAlgorithm::md5 : DigestAlgorithm::sha256});
            const auto responded = us.only_event<Responded>();
            CHECK(responded.id == id);
            CHECK(responded.status == (password == "secret" ? 200 : 401));
            us.check_nothing_left();
        }
    }
}

TEST_CASE("a stale nonce is answered once more") {
    LoneAgent us;
    Registrar registrar;
    registrar.says_stale_once = true;
    OutsideRequest wanted = outside("REGISTER");
    wanted.account = Account{"alice", "secret"};
    us.ua.request_outside(us.now, wanted);
    for (auto sent = us.taken(); !sent.empty(); sent = us.taken()) {
        const auto [status, headers] = registrar.judge(us.now, sent[0]);
        Message response = response_to(sent[0], status, "r");
        for (const Header& header : headers) response.add(header.name, header.value);
        us.receive(to_bytes(response));
        CHECK(sent[0].all("Authorization").size() <= 1);
    }
    CHECK(registrar.used.size() == 2);
    CHECK(us.only_event<Responded>().status == 200);
    us.check_nothing_left();
}

TEST_CASE("a challenged INVITE is one call to its application, and its ACK carries the credentials") {
    LoneAgent us;
    Registrar registrar;
    Invitation invitation = invitation_to("sip:bob@10.0.0.9", "v=0\r\n");
    invitation.account = Account{"alice", "secret"};
    const DialogId call = us.ua.invite(us.now, invitation);
    const Message first = us.only();
    std::string challenge;
    for (const Header& header : registrar.challenge(us.now, false)) {
        challenge += "Proxy-Authenticate: " + header.value + "\r\n";
    }
    us.receive(LoneAgent::answer(first, 407, "px", challenge));
    const auto sent = us.taken();
    REQUIRE(sent.size() == 2);
    CHECK(sent[0].method() == "ACK");
    CHECK(*sent[1].first("CSeq") == "2 INVITE");
    CHECK(*sent[1].first("Call-ID") == *first.first("Call-ID"));
    CHECK(tag_of(sent[1], "From") == tag_of(first, "From"));
    CHECK(top_via(sent[1])->params.value("branch") != top_via(first)->params.value("branch"));
    CHECK(us.ua.take_events().empty());
    us.receive(LoneAgent::answer(sent[1], 200, "pt", "Contact: <sip:bob@10.0.0.9>\r\n"));
    const Message ack = us.only();
    CHECK(*ack.first("CSeq") == "2 ACK");
    CHECK(*ack.first("Proxy-Authorization") == *sent[1].first("Proxy-Authorization"));
    CHECK(us.only_event<Answered>().dialog == call);
    us.ua.bye(us.now, call);
    const Message bye = us.only();
    CHECK(*bye.first("CSeq") == "3 BYE");
    us.receive(LoneAgent::answer(bye, 407, "pt", challenge));
    CHECK(*us.only().first("CSeq") == "4 BYE");
    us.check_nothing_left();
}

TEST_CASE("a challenge met by a cancelled call is not answered") {
    LoneAgent us;
    Registrar registrar;
    Invitation invitation = invitation_to("sip:bob@10.0.0.9", "");
    invitation.account = Account{"alice", "secret"};
    const DialogId call = us.ua.invite(us.now, invitation);
    us.ua.cancel(us.now, call);
    std::string challenge = "WWW-Authenticate: " + registrar.challenge(us.now, false).front().value + "\r\n";
    us.receive(LoneAgent::answer(us.only(), 401, "pt", challenge));
    CHECK(us.only().method() == "ACK");
    CHECK(us.only_event<Failed>().status == 401);
    us.check_nothing_left();
}
