// SPDX-License-Identifier: Apache-2.0
#include "b2bua/test_world.h"
#include "sip/transaction.h"

using namespace sheaf;
using namespace sheaf::b2bua;
using namespace sheaf::b2bua::test;

namespace {

struct Referred : World {
    LegId leg;
    sip::DialogId dialog = 0;
    Referred() : leg(placed_leg()), dialog(phone.last<sip::Invited>()->dialog) {}
    void refer(const std::string& to, std::vector<sip::Header> more = {}) {
        std::vector<sip::Header> headers{{"Refer-To", to}};
        headers.insert(headers.end(), more.begin(), more.end());
        static_cast<void>(phone.ua->request(wire.now, dialog, "REFER", headers));
        wire.settle();
    }
    // A REFER that does not wait for the answer to the one before it, as our own phones do.
    void refer_at_once(const std::string& to) {
        auto refer = *sip::message_from_datagram(wire.last_seen("REFER"));
        const auto cseq = sip::cseq_of(refer).number + 1;
        refer.set("CSeq", std::to_string(cseq) + " REFER");
        refer.set("Refer-To", to);
        auto via = *sip::top_via(refer);
        via.params.set("branch", "z9hG4bKsecond");
        refer.remove_first_item("Via");
        refer.add_first("Via", sip::to_text(via));
        wire.inject(phone, at("udp:127.0.0.1:5060"), sip::to_bytes(refer));
        wire.settle();
    }
    // Takes the phone's NOTIFYs, answering each.
    std::vector<std::string> notifies() {
        std::vector<std::string> out;
        for (const auto& event : phone.heard) {
            const auto* e = std::get_if<sip::Requested>(&event);
            if (e == nullptr || e->request.method() != "NOTIFY") continue;
            out.push_back(*e->request.first("Event") + " | " + *e->request.first("Subscription-State") + " | " +
                          e->request.body);
            phone.ua->respond(wire.now, e->id, 200);
        }
        std::erase_if(phone.heard, [](const sip::Event& e) { return std::holds_alternative<sip::Requested>(e); });
        wire.settle();
        return out;
    }
    int answer_status() {
        const auto* responded = phone.last<sip::Responded>();
        return responded == nullptr ? 0 : responded->status;
    }
};

}  // namespace

TEST_CASE("a REFER that is accepted gets 202, NOTIFY 100, and at the end NOTIFY 200") {
    Referred w;
    w.refer("<sip:8000@127.0.0.1>");
    REQUIRE(w.last<exchange::TransferAsked>() != nullptr);
    CHECK(w.last<exchange::TransferAsked>()->to == "8000");
    CHECK(w.last<exchange::TransferAsked>()->message.ends_with(";1;REFER"));
    CHECK(w.answer_status() == 0);
    w.order(exchange::AcceptTransfer{w.leg});
    CHECK(w.answer_status() == 202);
    CHECK(w.notifies() == std::vector<std::string>{"refer | active;expires=60 | SIP/2.0 100 Trying\r\n"});
    w.order(exchange::TransferResult{w.leg, 200});
    CHECK(w.notifies() == std::vector<std::string>{"refer | terminated;reason=noresource | SIP/2.0 200 OK\r\n"});
    w.order(exchange::TransferResult{w.leg, 200});
    CHECK(w.notifies().empty());
    w.order(exchange::EndLeg{w.leg, 0, exchange::Cause::transferred});
    w.must_be_clean();
}

TEST_CASE("a second REFER in a call has an id of its own, and one at a time is taken") {
    Referred w;
    w.refer("<sip:8000@127.0.0.1>");
    w.refer_at_once("<sip:8001@127.0.0.1>");
    CHECK(w.wire.last_seen("SIP/2.0 491").find("2 REFER") != std::string::npos);
    CHECK(w.count<exchange::TransferAsked>() == 1);
    w.order(exchange::RefuseTransfer{w.leg, 404, "No Such Number"});
    CHECK(w.answer_status() == 404);
    w.refer("<sip:8000@127.0.0.1>");  // as the phone counts it has the number of the one above
    w.refer("<sip:8002@127.0.0.1>");
    CHECK(w.last<exchange::TransferAsked>()->to == "8002");
    w.order(exchange::AcceptTransfer{w.leg});
    CHECK(w.notifies()[0].starts_with("refer;id="));
    w.order(exchange::EndLeg{w.leg, 0, exchange::Cause::normal});
    w.notifies();
    w.must_be_clean();
}

TEST_CASE("a REFER without subscription gets no NOTIFY") {
    Referred w;
    w.refer("<sip:8000@127.0.0.1>", {{"Refer-Sub", "false"}});
    w.order(exchange::AcceptTransfer{w.leg});
    CHECK(w.answer_status() == 202);
    CHECK(*w.phone.last<sip::Responded>()->response->first("Refer-Sub") == "false");
    w.order(exchange::TransferResult{w.leg, 200});
    CHECK(w.notifies().empty());
    w.order(exchange::EndLeg{w.leg, 0, exchange::Cause::normal});
    w.must_be_clean();
}

TEST_CASE("a REFER that makes no sense is refused precisely and changes nothing") {
    Referred w;
    const std::vector<std::pair<std::string, int>> cases{
        {"<sip:8000@h?Replaces=abc%3Bto-tag%3D1%3Bfrom-tag%3D2>", 404},
        {"<sip:8000@h?Replaces=abc%3Bto-tag%3D1>", 400},
        {"<sip:8000@h?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2&Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2>", 400},
        {"<sip:8000@h;method=BYE>", 501},
        {"<http://example.com>", 416},
        {"<sip:h>", 404},
        {"<sip:", 400},
    };
    for (const auto& [to, status] : cases) {
        CAPTURE(to);
        w.refer(to);
        CHECK(w.answer_status() == status);
    }
    w.refer("<sip:8000@h>", {{"Refer-To", "<sip:8001@h>"}});
    CHECK(w.answer_status() == 400);
    CHECK(w.count<exchange::TransferAsked>() == 0);
    CHECK(w.logged("transfer refused"));
    w.order(exchange::EndLeg{w.leg, 0, exchange::Cause::normal});
    w.must_be_clean();
}

TEST_CASE("a phone that hangs up right after its REFER gets no more NOTIFYs") {
    Referred w;
    w.refer("<sip:8000@127.0.0.1>");
    w.order(exchange::AcceptTransfer{w.leg});
    w.notifies();
    w.phone.ua->bye(w.wire.now, w.dialog);
    w.wire.settle();
    CHECK(w.count<exchange::LegEnded>() == 1);
    w.order(exchange::TransferResult{w.leg, 200});
    CHECK(w.wire.count_seen("terminated;reason=noresource") == 0);
    w.must_be_clean();
}

TEST_CASE("a REFER that waits when its leg is ended is answered") {
    Referred w;
    w.refer("<sip:8000@127.0.0.1>");
    w.order(exchange::EndLeg{w.leg, 0, exchange::Cause::normal});
    CHECK(w.answer_status() == 481);
    w.must_be_clean();
}

TEST_CASE("a phone's REFER names the leg to replace, whichever way round it writes the tags") {
    for (const bool swapped : {false, true}) {
        CAPTURE(swapped);
        Referred w;
        const auto other = w.answered_call();
        const auto view = w.carrier.ua->view(w.customer);
        REQUIRE(view);
        const auto& to = swapped ? view->local_tag : view->remote_tag;
        const auto& from = swapped ? view->remote_tag : view->local_tag;
        const auto replaces = view->call_id + ";to-tag=" + to + ";from-tag=" + from;
        w.refer("<sip:8000@127.0.0.1?Subject=x&Replaces=" + sip::escaped_header(replaces) + ">");
        REQUIRE(w.last<exchange::TransferAsked>() != nullptr);
        CHECK(w.last<exchange::TransferAsked>()->leg == w.leg);
        CHECK(w.last<exchange::TransferAsked>()->to == "8000");
        CHECK(w.last<exchange::TransferAsked>()->replaces == other);
        w.order(exchange::AcceptTransfer{w.leg});
        CHECK(w.answer_status() == 202);
        w.notifies();
        w.order(exchange::TransferResult{w.leg, 200});
        w.notifies();
        w.end(w.leg);
        w.end(other);
        w.must_be_clean();
    }
}

TEST_CASE("a phone's REFER may name a leg that still rings, and its own") {
    Referred w;
    const auto own = w.phone.ua->view(w.dialog);
    auto order = w.to_phone("leg-b");
    w.order(order);
    const auto ringing = w.phone.last<sip::Invited>()->dialog;
    w.phone.ua->provisional(w.wire.now, ringing, 180);
    w.wire.settle();
    const auto view = w.phone.ua->view(ringing);
    const auto named = [](const sip::DialogView& of, const std::string& more = {}) {
        return "<sip:127.0.0.1?Replaces=" +
               sip::escaped_header(of.call_id + ";to-tag=" + of.remote_tag + ";from-tag=" + of.local_tag + more) + ">";
    };
    w.refer(named(*view));
    REQUIRE(w.last<exchange::TransferAsked>() != nullptr);
    CHECK(w.last<exchange::TransferAsked>()->replaces == LegId("leg-b"));
    CHECK(w.last<exchange::TransferAsked>()->to.empty());
    w.order(exchange::RefuseTransfer{w.leg, 491, {}});
    w.refer(named(*own));  // the exchange's to refuse
    CHECK(w.last<exchange::TransferAsked>()->replaces == w.leg);
    w.order(exchange::RefuseTransfer{w.leg, 400, {}});
    CHECK(w.answer_status() == 400);
    w.refer(named(*own, ";early-only"));
    CHECK(w.answer_status() == 486);
    CHECK(w.count<exchange::TransferAsked>() == 2);
    w.end(w.leg);
    w.end(LegId("leg-b"));
    w.must_be_clean();
}

TEST_CASE("a REFER that names a dialog that is gone, or the media server's, is refused and costs nobody a call") {
    Referred w;
    const auto other = w.answered_call();
    const auto view = w.carrier.ua->view(w.customer);
    const auto media = w.media.node.ua->view(w.media.dialogs[0]);
    w.end(other);
    for (const auto& of : {*view, *media}) {
        w.refer("<sip:8000@127.0.0.1?Replaces=" +
                sip::escaped_header(of.call_id + ";to-tag=" + of.remote_tag + ";from-tag=" + of.local_tag) + ">");
        CHECK(w.answer_status() == 404);
    }
    CHECK(w.count<exchange::TransferAsked>() == 0);
    CHECK(w.count<exchange::LegEnded>() == 0);
    CHECK(w.phone.count<sip::Ended>() == 0);
    w.end(w.leg);
    w.must_be_clean();
}

TEST_CASE("a site passes a transfer back by REFER in its dialog") {
    World w;
    const auto leg = w.site_leg();
    const auto customer = w.answered_call();
    static_cast<void>(w.paris.ua->request(w.wire.now, w.site, "REFER", {{"Refer-To", "<sip:8000@127.0.0.1:5060>"}}));
    w.wire.settle();
    REQUIRE(w.last<exchange::TransferAsked>() != nullptr);
    CHECK(w.last<exchange::TransferAsked>()->leg == leg);
    CHECK(w.last<exchange::TransferAsked>()->to == "8000");
    CHECK(w.last<exchange::TransferAsked>()->replaces.empty());
    w.order(exchange::AcceptTransfer{leg});
    CHECK(w.paris.last<sip::Responded>()->status == 202);
    w.end(leg);
    w.end(customer);
    w.must_be_clean();
}
