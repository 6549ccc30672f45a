// SPDX-License-Identifier: Apache-2.0
#include "sip/dialog.h"

#include <doctest/doctest.h>

using namespace sheaf;
using namespace sheaf::sip;

namespace {

Message invite(const std::string& more) {
    auto message = message_from_datagram(
        "INVITE sip:bob@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
        "From: Alice <sip:alice@a>;tag=at\r\nTo: Bob <sip:bob@b>\r\nCall-ID: c1\r\nCSeq: 7 INVITE\r\n" +
        more + "Content-Length: 0\r\n\r\n");
    REQUIRE(message.has_value());
    return *message;
}

Message ok(const Message& request, const std::string& contact, const std::vector<std::string>& record_route) {
    Message response = response_to(request, 200, "bt");
    response.remove("Record-Route");
    for (const std::string& route : record_route) response.add("Record-Route", route);
    if (!contact.empty()) response.add("Contact", contact);
    return response;
}

}  // namespace

TEST_CASE("the caller takes tags, target and the reversed route set from the answer") {
    const Message request = invite("Contact: <sip:alice@10.0.0.1>\r\n");
    const Message response =
        ok(request, "<sip:bob@10.0.0.9:5090;x=y?h=1>", {"<sip:p2;lr>, <sip:p1;lr>", "<sip:p0;lr>"});
    Dialog dialog = dialog_of_response(request, response);
    CHECK(dialog.call_id == "c1");
    CHECK(dialog.local_tag == "at");
    CHECK(dialog.remote_tag == "bt");
    const Message bye = dialog_request(dialog, "BYE");
    CHECK(to_text(bye.uri()) == "sip:bob@10.0.0.9:5090;x=y");  // no headers in a Request-URI
    CHECK(bye.list("Route") == std::vector<std::string>{"<sip:p0;lr>", "<sip:p1;lr>", "<sip:p2;lr>"});
    CHECK(*bye.first("CSeq") == "8 BYE");
    CHECK(bye.first("To")->find("tag=bt") != std::string::npos);
    CHECK(bye.first("From")->find("tag=at") != std::string::npos);
    CHECK(to_text(first_hop(dialog)) == "sip:p0;lr");
    CHECK(*dialog_ack(dialog, 7).first("CSeq") == "7 ACK");
    CHECK(dialog.local_cseq == 8);
}

TEST_CASE("the called side takes the route set in order and may not get a lower or equal CSeq") {
    const Message request = invite("Record-Route: <sip:p0;lr>, <sip:p1;lr>\r\nContact: <sip:alice@10.0.0.1:5070>\r\n");
    auto dialog = dialog_of_invite(request, "bt");
    REQUIRE(dialog.has_value());
    CHECK(dialog->remote_tag == "at");
    const Message info = dialog_request(*dialog, "INFO");
    CHECK(*info.first("CSeq") == "1 INFO");
    CHECK(info.list("Route") == std::vector<std::string>{"<sip:p0;lr>", "<sip:p1;lr>"});
    CHECK(to_text(info.uri()) == "sip:alice@10.0.0.1:5070");
    Message next = request;
    next.set("CSeq", "6 INFO");
    CHECK_FALSE(accept_cseq(*dialog, next));
    next.set("CSeq", "7 INFO");
    CHECK_FALSE(accept_cseq(*dialog, next));
    next.set("CSeq", "9 INFO");
    CHECK(accept_cseq(*dialog, next));
    next.set("CSeq", "8 INFO");
    CHECK_FALSE(accept_cseq(*dialog, next));
}

TEST_CASE("a strict router becomes the Request-URI and the target the last Route") {
    const Message request = invite("");
    Dialog dialog = dialog_of_response(request, ok(request, "<sip:bob@10.0.0.9>", {"<sip:p1;lr>", "<sip:strict>"}));
    const Message info = dialog_request(dialog, "INFO");
    CHECK(to_text(info.uri()) == "sip:strict");
    CHECK(info.list("Route") == std::vector<std::string>{"<sip:p1;lr>", "<sip:bob@10.0.0.9>"});
}

TEST_CASE("a target refresh moves the target, not the route set") {
    const Message request = invite("Record-Route: <sip:p0;lr>\r\nContact: <sip:alice@10.0.0.1>\r\n");
    auto dialog = dialog_of_invite(request, "bt");
    REQUIRE(dialog.has_value());
    Message again = invite("Record-Route: <sip:p9;lr>\r\nContact: <sip:alice@10.0.0.77>\r\n");
    refresh_target(*dialog, again);
    CHECK(dialog->remote_target.host == "10.0.0.77");
    CHECK(dialog->routes.size() == 1);
    CHECK(dialog->routes.front().uri.host == "p0");
    again.set("Contact", "<mailto:nobody@nowhere>");
    refresh_target(*dialog, again);
    CHECK(dialog->remote_target.host == "10.0.0.77");
    CHECK(is_target_refresh("UPDATE"));
    CHECK_FALSE(is_target_refresh("INFO"));
}

TEST_CASE("an INVITE whose Contact or Record-Route cannot be read makes no dialog") {
    // The parser catches these on the wire; a message put together in memory has not passed it.
    Message no_route = invite("Contact: <sip:alice@10.0.0.1>\r\n");
    no_route.add("Record-Route", "<<>>");
    CHECK_FALSE(dialog_of_invite(no_route, "t").has_value());
    Message no_contact = invite("");
    no_contact.add("Contact", "<");
    CHECK_FALSE(dialog_of_invite(no_contact, "t").has_value());
    const auto old = dialog_of_invite(invite(""), "t");  // RFC 2543: no Contact
    REQUIRE(old.has_value());
    CHECK(old->remote_target.host == "a");
}
