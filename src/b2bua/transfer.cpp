// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "b2bua/core.h"
#include "b2bua/replaces.h"
#include "sip/grammar.h"
#include "sip/transaction.h"

// REFER in a peer's dialog (RFC 3515), its implicit subscription, and Refer-Sub (RFC 4488).
namespace sheaf::b2bua {
namespace {

constexpr std::string_view kFragment = "message/sipfrag;version=2.0";

}  // namespace

void B2bua::Core::on_refer(Stamp now, Leg& of, const sip::Requested& requested) {
    const auto refuse = [&](int status, std::string_view reason, const std::vector<sip::Header>& headers = {}) {
        warn("transfer refused", {{"leg", of.id.text()},
                                  {"by", of.device.name},
                                  {"status", std::to_string(status)},
                                  {"why", std::string(reason.empty() ? sip::reason_for(status) : reason)}});
        ua.respond(now.mono, requested.id, status, headers, {}, {}, reason);
    };
    if (!std::holds_alternative<Talking>(of.peer)) return refuse(403, "Not In A Call");
    if (of.transfer) return refuse(491, {});
    auto target = refer_target_of(requested.request);
    if (target.refusal.status != 200) return refuse(target.refusal.status, target.refusal.reason);
    LegId replaced;
    if (target.replaces) {
        const Leg* named = leg_of(dialog_either_way(ua, *target.replaces), false);
        // Not 481: in a dialog that would say that the transferor's own is gone (RFC 3261 §12.2.1.2).
        if (named == nullptr) return refuse(404, "No Such Dialog To Replace");
        if (target.replaces->early_only && std::holds_alternative<Talking>(named->peer)) {
            return refuse(486, "Dialog To Replace Is Answered");
        }
        replaced = named->id;
    }
    const auto* sub = requested.request.first("Refer-Sub");
    ++of.transfers;
    // §2.4.6: the first REFER's notifications need no id, each further one names its CSeq.
    std::string event = "refer";
    if (of.transfers > 1) event += ";id=" + std::to_string(sip::cseq_of(requested.request).number);
    of.transfer = Transfer{requested.id, event, sub != nullptr && sip::lower(*sub).starts_with("false")};
    events.emplace_back(
        exchange::TransferAsked{of.id, std::move(target.number), message_id(requested.request), replaced});
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
