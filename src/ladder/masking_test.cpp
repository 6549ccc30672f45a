// SPDX-License-Identifier: Apache-2.0
#include "ladder/masking.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace sheaf::ladder;

namespace {

std::string invite(const std::string& headers, const std::string& body = {}) {
    return "INVITE sip:8000@london SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\n" + headers +
           "Call-ID: a@b\r\nCSeq: 1 INVITE\r\n\r\n" + body;
}

}  // namespace

TEST_CASE("what proves a password is masked, what says who it is stays") {
    struct Case {
        std::string given, masked;
    };
    const std::vector<Case> cases{
        {"Authorization: Digest username=\"ada\", realm=\"r\", response=\"0123abcd\", uri=\"sip:x\"\r\n",
         "Authorization: Digest username=\"ada\", realm=\"r\", response=\"********\", uri=\"sip:x\"\r\n"},
        {"proxy-authorization :  DIGEST Response=\"01\"\r\n", "proxy-authorization :  DIGEST Response=\"**\"\r\n"},
        {"Proxy-Authorization: Digest RESPONSE=01ab,nc=1\r\n", "Proxy-Authorization: Digest RESPONSE=****,nc=1\r\n"},
        {"Authorization: Digest username=\"a\",\r\n response=\"01\"\r\n",
         "Authorization: Digest username=\"a\",\r\n response=\"**\"\r\n"},
        {"Authorization: Digest response=\"0\\\"1\", nc=1\r\n", "Authorization: Digest response=\"****\", nc=1\r\n"},
        {"Authorization: Digest response=\"01\r\n", "Authorization: Digest response=\"**\r\n"},
        {"Authorization: Basic YWRhOnNlY3JldA==\r\n", "Authorization: Basic*****************\r\n"},
        {"Authentication-Info: rspauth=\"12\", nc=1\r\n", "Authentication-Info: rspauth=\"**\", nc=1\r\n"},
        {"X-Sheaf-Link: l1;call=u;mac=00ff\r\n", "X-Sheaf-Link: l1;call=u;mac=****\r\n"},
        {"X-Sheaf-Pivot: <sip:px-Ab12@10.0.0.1>\r\n", "X-Sheaf-Pivot: <sip:px-****@10.0.0.1>\r\n"},
        {"Subject: response=\"kept\"\r\n", "Subject: response=\"kept\"\r\n"},
    };
    for (const auto& [given, wanted] : cases) {
        CAPTURE(given);
        CHECK(masked(invite(given)) == invite(wanted));
    }
    CHECK(masked("INVITE sip:px-Ab12@10.0.0.1 SIP/2.0\r\n\r\n") == "INVITE sip:px-****@10.0.0.1 SIP/2.0\r\n\r\n");
    CHECK(masked("INVITE sip:px-@h SIP/2.0\r\n\r\nsip:px-Ab12").find("px-Ab12") != std::string::npos);  // no address
}

TEST_CASE("media keys and pressed digits are masked, the rest of a body stays") {
    const std::string sdp =
        "v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0|2^20\r\na=ice-pwd:abc\r\nm=audio 1\r\n";
    CHECK(masked(invite("Content-Type: application/sdp\r\n", sdp)) ==
          invite("Content-Type: application/sdp\r\n",
                 "v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:********|2^20\r\na=ice-pwd:***\r\nm=audio 1\r\n"));
    const std::string type = "Content-Type: application/dtmf-relay\r\n";
    CHECK(masked(invite(type, "Signal=5\r\nDuration=160\r\n")) == invite(type, "********\r\n************\r\n"));
    CHECK(masked(invite("c: application/kpml-response+xml\r\n", "digits=\"7\"")) ==
          invite("c: application/kpml-response+xml\r\n", "**********"));
    const std::string event = "<event name=\"sheaf.digit\" id=\"conn:x\"><name>digit</name><value>";
    CHECK(masked(invite("", event + "7</value></event>")) == invite("", event + "*</value></event>"));
}

TEST_CASE("a header full of secrets costs no more than its length") {
    std::string many = "X-Sheaf-Link: ";
    std::string masked_too = many + "mac=";
    while (many.size() < 60'000) many += "mac=";
    masked_too += std::string(many.size() - masked_too.size(), '*');
    CHECK(masked(invite(many + "\r\n")) == invite(masked_too + "\r\n"));  // at once, not in seconds
}

TEST_CASE("any bytes keep their length") {
    for (const std::string& bytes :
         {std::string(), std::string("\n"), std::string("\r\n\r\n"), std::string("Authorization: Digest response="),
          std::string("A\nAuthorization:"), std::string("A\nAuthorization: Digest response=\""),
          std::string("x\n\xff\xfe\n y\n\npx-"), std::string("x\nc: dtmf\n\n") + std::string(3, '\0')}) {
        CAPTURE(bytes);
        CHECK(masked(bytes).size() == bytes.size());
    }
}

TEST_CASE("a message says its dialog and transaction, also in short names, folded lines and odd order") {
    struct Case {
        std::string message, call_id, method;
        std::uint32_t cseq;
    };
    const std::vector<Case> cases{
        {"BYE sip:x SIP/2.0\r\nCSeq: 7 BYE\r\ni:\t one@c \r\n\r\n", "one@c", "BYE", 7},
        {"SIP/2.0 200 OK\nCALL-ID : one@c\ncseq:\t4294967295\t INVITE\n\n", "one@c", "INVITE", 4'294'967'295},
        {"BYE sip:x SIP/2.0\r\nCall-ID:\r\n one@c\r\nCSeq: 1\r\n\tBYE\r\n\r\n", "one@c", "BYE", 1},
        {"BYE sip:x SIP/2.0\r\nCall-ID: one@c\r\nCall-ID: two@c\r\nCSeq: 1 BYE\r\n\r\n", "one@c", "BYE", 1},
    };
    for (const auto& [message, call_id, method, cseq] : cases) {
        CAPTURE(message);
        const auto found = Reading(message).names();
        REQUIRE(found);
        CHECK(found->call_id == call_id);
        CHECK(found->method == method);
        CHECK(found->cseq == cseq);
    }
    for (const std::string message :
         {"", "\n", "no SIP", "BYE sip:x SIP/2.0\r\nCall-ID: a\r\n\r\nCSeq: 1 BYE\r\n", "\r\nCSeq: 1 BYE\r\n",
          "\r\nCall-ID: a\r\nCSeq: 1\r\n", "\r\nCall-ID: a\r\nCSeq: 4294967296 BYE\r\n", "\r\nCall-ID:\r\nCSeq: 1 BYE",
          "\r\nCall-ID: a\r\nCSeq: 1 BY E\r\n", "\r\nCall-ID: a\r\nCSeq: BYE\r\n"}) {
        CAPTURE(message);
        CHECK_FALSE(Reading(message).names());
    }
}

TEST_CASE("a copy that is cut short is masked as far as it goes") {
    const std::string whole = invite("Authorization: Digest response=\"0123abcd\"\r\n");
    for (std::size_t size = 0; size <= whole.size(); ++size) {
        std::string copy = whole.substr(0, size);
        Reading(whole).mask(copy);
        CHECK(copy == masked(whole).substr(0, size));
    }
}
