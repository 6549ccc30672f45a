// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "b2bua/core.h"
#include "b2bua/replaces.h"
#include "sip/grammar.h"
#include "sip/transaction.h"

// Our own REFER, that a peer may leave this site, and its implicit subscription (RFC 3515, RFC 6665).
namespace sheaf::b2bua {
namespace {

// The status a message/sipfrag says (RFC 3420): its first line.
std::optional<int> status_of(const std::string& fragment) {
    const std::string_view line = std::string_view{fragment}.substr(0, fragment.find_first_of("\r\n"));
    if (!line.starts_with("SIP/2.0 ") || line.size() < 11) return std::nullopt;
    const auto status = sip::number_from_text(line.substr(8, 3), 699);
    if (!status || *status < 100 || (line.size() > 11 && line[11] != ' ')) return std::nullopt;
    return static_cast<int>(*status);
}

struct Subscription {
    bool is_over = false;
    std::optional<std::chrono::seconds> expires;
};

Subscription subscription_of(const sip::Message& notify) {
    const auto* text = notify.first("Subscription-State");
    if (text == nullptr) return {};
    const auto end = std::min(text->find(';'), text->size());
    Subscription out{sip::same_name(sip::trimmed(std::string_view{*text}.substr(0, end)), "terminated"), {}};
    const auto params = sip::header_params_from_text(std::string_view{*text}.substr(end));
    const auto value = params ? params->value("expires") : std::nullopt;
    const auto seconds = value ? sip::number_from_text(*value, 0xffff'ffffU) : std::nullopt;
    if (seconds) out.expires = std::chrono::seconds{*seconds};
    return out;
}

// The event of a NOTIFY, and the id that tells several REFERs of one dialog apart.
struct ReferEvent {
    bool is_refer = false;
    std::optional<std::uint64_t> id;
};

ReferEvent refer_event_of(const sip::Message& notify) {
    const auto* text = notify.first("Event");
    if (text == nullptr) return {};
    const auto end = std::min(text->find(';'), text->size());
    ReferEvent out{sip::same_name(sip::trimmed(std::string_view{*text}.substr(0, end)), "refer"), {}};
    const auto params = sip::header_params_from_text(std::string_view{*text}.substr(end));
    const auto value = params ? params->value("id") : std::nullopt;
    if (value) out.id = sip::number_from_text(*value, 0xffff'ffffU);
    return out;
}

// §2.4.6: only the first REFER of a dialog may go without id, and a former one that was given up may still tell.
bool is_about_referral(const Leg& of, const std::optional<std::uint64_t>& id) {
    if (!of.referral) return false;
    if (!id) return !of.referral_left;
    return !of.referral->cseq || *of.referral->cseq == *id;
}

}  // namespace

void B2bua::Core::refer(Stamp now, Leg& of, const exchange::ReferLeg& order) {
    const auto refused = [&](int status) { events.emplace_back(exchange::LegReferred{of.id, status}); };
    if (of.referral || !std::holds_alternative<Talking>(of.peer)) return refused(491);
    const Leg* over = order.over.empty() ? nullptr : leg(order.over);
    const auto replaced = over == nullptr ? std::nullopt : ua.view(over->peer_dialog);
    if (!order.over.empty() && !replaced) return refused(481);
    sip::NameAddr to;
    if (order.number.empty()) {
        const auto pivot = over == nullptr ? fail(Errc::not_found, "none") : sip::uri_from_text(over->peer_pivot);
        if (!pivot) return refused(501);
        to.uri = *pivot;
    } else {
        const auto* site = site_named(settings, of.device.name);
        const auto view = ua.view(of.peer_dialog);
        if (!view) return refused(481);
        const bool is_site = of.device.kind == exchange::DeviceKind::site && site != nullptr && site->address;
        const auto& address = is_site ? site->address->uri : view->remote_target;
        to.uri.host = address.host;
        to.uri.port = address.port;
        to.uri.user = order.number;
    }
    if (replaced) to.uri.headers = "Replaces=" + sip::escaped_header(to_text(seen_by_peer(*replaced)));
    const std::vector<sip::Header> headers{{"Refer-To", sip::to_text(to)},
                                           {"Referred-By", "<sip:" + settings.host + ">"}};
    of.referral = Referral{ua.request(now.mono, of.peer_dialog, "REFER", headers), {}, now.mono + kReferMax};
    requests[of.referral->request] = of.id;
    timers.set({of.id, LegTimer::referred}, of.referral->until);
}

void B2bua::Core::end_referral(Leg& of, int status) {
    requests.erase(of.referral->request);
    of.referral.reset();
    timers.set({of.id, LegTimer::referred}, std::nullopt);
    events.emplace_back(exchange::LegReferred{of.id, status});
}

void B2bua::Core::on_referred(Stamp /*now*/, Leg& of, const sip::Responded& responded) {
    if (responded.response) learn_from_site(of, *responded.response);
    if (responded.status / 100 != 2) return end_referral(of, responded.status);
    of.referral->request = 0;
    if (responded.response) of.referral->cseq = sip::cseq_of(*responded.response).number;
}

void B2bua::Core::on_notify(Stamp now, Leg& of, const sip::Requested& requested) {
    const auto& notify = requested.request;
    const auto event = refer_event_of(notify);
    if (!event.is_refer) {
        return ua.respond(now.mono, requested.id, 489, {{"Allow-Events", "refer"}}, {}, {}, "Bad Event");
    }
    const auto subscription = subscription_of(notify);
    if (!is_about_referral(of, event.id)) {
        const bool is_late = std::exchange(of.referral_left, of.referral_left && !subscription.is_over);
        return ua.respond(now.mono, requested.id, is_late ? 200 : 481);
    }
    const auto status = status_of(notify.body);
    if (!status && !notify.body.empty()) {
        warn("NOTIFY that does not parse", {{"leg", of.id.text()}, {"by", of.device.name}});
        return ua.respond(now.mono, requested.id, 400);
    }
    ua.respond(now.mono, requested.id, 200);
    if (status && *status >= 200) {
        of.referral_left = !subscription.is_over;
        return end_referral(of, *status);
    }
    if (subscription.is_over) return end_referral(of, 408);  // it ended without having said how
    if (!subscription.expires) return;
    of.referral->until = std::min(of.referral->until, now.mono + *subscription.expires);
    timers.set({of.id, LegTimer::referred}, of.referral->until);
}

}  // namespace sheaf::b2bua
