// SPDX-License-Identifier: Apache-2.0
#include "edge/net/clock.h"
#include "lab/phone.h"
#include "lab/replaces.h"

// A phone that is asked by REFER to call somebody else (RFC 3515), usually in place of a dialog there (RFC 3891).
namespace sheaf::lab {
namespace {

constexpr auto kOldCallEnds = std::chrono::seconds{2};

std::string sipfrag(int status) {
    const char* reason = status == 100 ? "Trying" : status == 200 ? "OK" : "Declined";
    return "SIP/2.0 " + std::to_string(status) + " " + reason + "\r\n";
}

}  // namespace

void Phone::on_referred(Instant now, const sip::Requested& event) {
    PhoneCall* old = find(event.dialog);
    const std::string* to = event.request.first("Refer-To");
    const auto target = sip::name_addr_from_text(to != nullptr ? *to : std::string());
    say("referred", {{"to", to != nullptr ? *to : std::string()}});
    if (settings_.refer_policy == ReferPolicy::silent) return;
    if (settings_.refer_policy == ReferPolicy::refuse) return node_->agent().respond(now, event.id, 603);
    if (old == nullptr || !target) return node_->agent().respond(now, event.id, target ? 481 : 400);
    node_->agent().respond(now, event.id, 202);
    report_to_referrer(now, old->name, 100, false);
    if (settings_.refer_policy == ReferPolicy::accept_then_silent) return;
    if (settings_.refer_policy == ReferPolicy::accept_then_fail) return report_to_referrer(now, old->name, 503, true);

    const auto made = new_call({});
    if (!made) return report_to_referrer(now, old->name, 486, true);
    PhoneCall& call = **made;
    call.moves = old->name;
    std::vector<sip::Header> headers;
    if (std::string replaces = header_of(target->uri, "Replaces"); !replaces.empty()) {
        headers.push_back({"Replaces", std::move(replaces)});
    }
    if (const std::string* by = event.request.first("Referred-By")) headers.push_back({"Referred-By", *by});
    sip::Uri uri = target->uri;
    uri.headers.clear();
    if (auto sent = invite(call, uri, std::move(headers)); !sent) report_to_referrer(now, old->name, 500, true);
}

void Phone::report_to_referrer(Instant now, const std::string& name, int status, bool is_final) {
    const PhoneCall* old = find_named(name);
    if (old == nullptr) return;
    node_->agent().request(
        now, old->dialog, "NOTIFY",
        {{"Event", "refer"}, {"Subscription-State", is_final ? "terminated;reason=noresource" : "active;expires=60"}},
        "message/sipfrag;version=2.0", sipfrag(status));
}

// The fresh call has what the old one had: its name, its place as the active one, its sound. The old one waits to be
// ended by its peer, and does not wait for ever.
void Phone::take_place(PhoneCall& fresh, PhoneCall& old) {
    const bool was_active = active_ == old.name;
    std::swap(fresh.name, old.name);
    old.name += "-replaced";
    old.replaced = true;
    if (was_active) make_active(fresh);
    say(fresh, "moved");
    old.timer.expires_after(kOldCallEnds);
    old.timer.async_wait([this, dialog = old.dialog](boost::system::error_code error) {
        PhoneCall* left = error ? nullptr : find(dialog);
        if (left == nullptr) return;
        node_->agent().bye(net::now().mono, dialog);
        over(*left, "ended", {{"by", "us"}});
        node_->pump();
    });
}

}  // namespace sheaf::lab
