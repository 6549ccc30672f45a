// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "b2bua/core.h"
#include "sip/grammar.h"
#include "sip/transaction.h"

// REFER in a peer's dialog (RFC 3515), its implicit subscription, and Refer-Sub (RFC 4488).
namespace sheaf::b2bua {
namespace {

constexpr std::string_view kFragment = "message/sipfrag;version=2.0";

// Refer-To as a number this site may be asked for.
struct Target {
    std::string number;
    Answer refusal;  // status 200: none
};

Target target_of(const sip::Message& request) {
    const auto values = request.all("Refer-To");
    // §2.4.1: exactly one.
    if (values.size() != 1) return {{}, {400, {}, "One Refer-To Needed"}};
    const auto to = sip::name_addr_from_text(values.front());
    if (!to) return {{}, {400, {}, "Bad Refer-To"}};
    if (to->uri.scheme == "tel") return {clean_number(to->uri.opaque.substr(0, to->uri.opaque.find(';'))), {}};
    if (to->uri.scheme != "sip") return {{}, {416, {}, {}}};
    const auto method = to->uri.params.value("method");
    if (method && !sip::same_name(*method, "INVITE")) return {{}, {501, {}, "Only INVITE Can Be Referred"}};
    const auto headers = sip::lower(to->uri.headers);
    if (headers.starts_with("replaces=") || headers.find("&replaces=") != std::string::npos) {
        return {{}, {501, {}, "Transfer With Replaces Not Implemented"}};
    }
    if (to->uri.user.empty()) return {{}, {404, {}, {}}};
    return {clean_number(to->uri.user), {}};
}

}  // namespace

void B2bua::Core::on_refer(Stamp now, Leg& of, const sip::Requested& requested) {
    const auto refuse = [&](int status, std::string_view reason, std::vector<sip::Header> headers = {}) {
        warn("transfer refused", {{"leg", of.id.text()},
                                  {"by", of.device.name},
                                  {"status", std::to_string(status)},
                                  {"why", std::string(reason.empty() ? sip::reason_for(status) : reason)}});
        ua.respond(now.mono, requested.id, status, headers, {}, {}, reason);
    };
    if (!std::holds_alternative<Talking>(of.peer)) return refuse(403, "Not In A Call");
    if (of.transfer) return refuse(491, {});
    auto target = target_of(requested.request);
    if (target.refusal.status != 200) return refuse(target.refusal.status, target.refusal.reason);
    const auto* sub = requested.request.first("Refer-Sub");
    ++of.transfers;
    // §2.4.6: the first REFER's notifications need no id, each further one names its CSeq.
    std::string event = "refer";
    if (of.transfers > 1) event += ";id=" + std::to_string(sip::cseq_of(requested.request).number);
    of.transfer = Transfer{requested.id, event, sub != nullptr && sip::lower(*sub).starts_with("false")};
    events.emplace_back(exchange::TransferAsked{of.id, std::move(target.number), message_id(requested.request)});
}

void B2bua::Core::accept_transfer(Stamp now, Leg& of) {
    if (!of.transfer || of.transfer->request == 0) return;
    const auto request = std::exchange(of.transfer->request, 0);
    if (of.transfer->silent) return ua.respond(now.mono, request, 202, {{"Refer-Sub", "false"}});
    ua.respond(now.mono, request, 202);
    const std::vector<sip::Header> headers{{"Event", of.transfer->event}, {"Subscription-State", "active;expires=60"}};
    static_cast<void>(
        ua.request(now.mono, of.peer_dialog, "NOTIFY", headers, std::string(kFragment), "SIP/2.0 100 Trying\r\n"));
}

void B2bua::Core::refuse_transfer(Stamp now, Leg& of, const exchange::RefuseTransfer& order) {
    if (!of.transfer || of.transfer->request == 0) return;
    warn("transfer refused", {{"leg", of.id.text()},
                              {"by", of.device.name},
                              {"status", std::to_string(order.status)},
                              {"why", order.reason}});
    ua.respond(now.mono, of.transfer->request, order.status, {}, {}, {}, order.reason);
    of.transfer.reset();
}

void B2bua::Core::tell_transfer(Stamp now, Leg& of, int status) {
    if (!of.transfer || of.transfer->request != 0) return;
    const auto transfer = std::move(*of.transfer);
    of.transfer.reset();
    if (transfer.silent) return;
    const std::vector<sip::Header> headers{{"Event", transfer.event},
                                           {"Subscription-State", "terminated;reason=noresource"}};
    const std::string line = "SIP/2.0 " + std::to_string(status) + " " + std::string(sip::reason_for(status)) + "\r\n";
    static_cast<void>(ua.request(now.mono, of.peer_dialog, "NOTIFY", headers, std::string(kFragment), line));
}

}  // namespace sheaf::b2bua
