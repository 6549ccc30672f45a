// SPDX-License-Identifier: Apache-2.0
#include "b2bua/notifier.h"

#include <algorithm>
#include <utility>

#include "base/xml.h"
#include "sip/body.h"
#include "sip/grammar.h"
#include "sip/transaction.h"

namespace sheaf::b2bua {
namespace {

constexpr std::string_view kType = "application/dialog-info+xml";
constexpr std::string_view kRetryAfter = "30";  // seconds

std::string key_of(std::string_view call_id, std::string_view our_tag) {
    return std::string(call_id) + '\n' + std::string(our_tag);
}

// The event's name, without its parameters.
std::string_view package_of(std::string_view event) {
    return sip::trimmed(event.substr(0, event.find(';')));
}

std::optional<std::string> id_of(std::string_view event) {
    const auto start = event.find(';');
    if (start == std::string_view::npos) return std::nullopt;
    const auto params = sip::header_params_from_text(event.substr(start));
    return params ? params->value("id") : std::nullopt;
}

// What a SUBSCRIBE for the dialogs of somebody is refused with; 0: nothing.
sip::StatusLine refusal_of(const sip::Message& request, std::string_view event) {
    if (package_of(event) != kDialogEvent) return {489, {}};
    const auto start = event.find(';');
    const auto params = start == std::string_view::npos ? Result<sip::Params>(sip::Params{})
                                                        : sip::header_params_from_text(event.substr(start));
    if (!params) return {400, "Invalid Event"};
    // One dialog of somebody else's is not shown (RFC 4235 §3.7.2).
    for (const std::string_view name : {"call-id", "from-tag", "to-tag"}) {
        if (params->has(name)) return {403, "Only all dialogs can be watched"};
    }
    if (!sip::accepts(request, kType)) return {406, {}};
    const auto contacts = sip::name_addrs(request, "Contact");
    if (!contacts || contacts->size() != 1) return {400, "One Contact is needed"};
    return {};
}

std::uint32_t seconds_of(const sip::Message& request) {
    const auto* text = request.first("Expires");
    const auto number = text == nullptr ? std::nullopt : sip::number_from_text(*text, UINT32_MAX);
    return std::min(static_cast<std::uint32_t>(number.value_or(kWatchSecondsMax)), kWatchSecondsMax);
}

std::vector<sip::Header> headers_of(int status) {
    if (status == 489) return {{"Allow-Events", std::string(kDialogEvent)}};
    if (status == 406) return {{"Accept", std::string(kType)}};
    if (status == 423) return {{"Min-Expires", std::to_string(kWatchSecondsMin)}};
    if (status == 503) return {{"Retry-After", std::string(kRetryAfter)}};
    return {};
}

}  // namespace

std::string dialog_info(std::uint32_t version, const std::string& entity, Lamp lamp, std::uint32_t spell) {
    std::string out = "<?xml version=\"1.0\"?>\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"" +
                      std::to_string(version) + "\" state=\"full\" entity=\"" + xml_escaped(entity) + "\">\n";
    if (spell != 0) {
        const char* state = lamp == Lamp::idle ? "terminated" : lamp == Lamp::ringing ? "early" : "confirmed";
        out += "<dialog id=\"" + std::to_string(spell) + "\"><state>" + state + "</state></dialog>\n";
    }
    return out + "</dialog-info>\n";
}

void Notifier::subscribe(Instant now, const sip::Requested& requested, const Watch& watch) {
    const auto& request = requested.request;
    const auto refuse = [&](int status, std::string_view reason = {}) {
        ua_.respond(now, requested.id, status, headers_of(status), {}, {}, reason);
    };
    const auto* event = request.first("Event");
    const auto refusal = refusal_of(request, event == nullptr ? std::string_view{} : *event);
    if (refusal.code != 0) return refuse(refusal.code, refusal.reason);
    if (watch.dn.empty()) return refuse(404);
    const auto seconds = seconds_of(request);
    if (seconds != 0 && seconds < kWatchSecondsMin) return refuse(423);
    const auto others = of_watcher_.find(watch.watcher);
    const bool is_full =
        subscriptions_.size() >= watches_max_ || (others != of_watcher_.end() && others->second >= kWatchesOfOneMax);
    if (is_full) return refuse(503);
    auto dialog = sip::dialog_of_invite(request, requested.local_tag);
    if (!dialog) return refuse(400, dialog.error().what);

    const auto key = key_of(dialog->call_id, dialog->local_tag);
    Subscription one;
    one.way = {*std::move(dialog), requested.source, watch.follow_source};
    one.watch = watch;
    one.event = kDialogEvent;
    if (const auto id = id_of(*event)) sip::append_header_params(one.event, {{{"id", *id}}});
    auto& kept = subscriptions_[key] = std::move(one);
    by_agent_.emplace(watch.dn, key);
    ++of_watcher_[watch.watcher];
    take(now, requested, kept, seconds);
}

Notifier::Subscription* Notifier::named(const sip::Message& request) {
    const auto* call_id = request.first("Call-ID");
    const auto at = subscriptions_.find(key_of(call_id == nullptr ? "" : *call_id, sip::tag_of(request, "To")));
    if (at == subscriptions_.end()) return nullptr;
    Subscription& one = at->second;
    const auto* event = request.first("Event");
    const bool is_same = event != nullptr && package_of(*event) == kDialogEvent && id_of(*event) == id_of(one.event);
    const bool is_its = one.way.dialog.remote_tag == sip::tag_of(request, "From");
    return is_same && is_its && one.over.empty() ? &one : nullptr;
}

void Notifier::refresh(Instant now, const sip::Requested& requested) {
    Subscription* one = named(requested.request);
    if (one == nullptr) return ua_.respond(now, requested.id, 481);
    if (!sip::accept_cseq(one->way.dialog, requested.request)) return ua_.respond(now, requested.id, 500);
    const auto seconds = seconds_of(requested.request);
    if (seconds != 0 && seconds < kWatchSecondsMin) return ua_.respond(now, requested.id, 423, headers_of(423));
    sip::refresh_target(one->way.dialog, requested.request);
    one->way.peer = requested.source;
    take(now, requested, *one, seconds);
}

// Answers it, and tells how things stand (RFC 6665 §4.2.1.2).
void Notifier::take(Instant now, const sip::Requested& requested, Subscription& one, std::uint32_t seconds) {
    const auto key = key_of(one.way.dialog.call_id, one.way.dialog.local_tag);
    ua_.respond(now, requested.id, 200, {{"Expires", std::to_string(seconds)}});
    one.ends = now + std::chrono::seconds{seconds};
    one.is_owed = true;
    if (seconds == 0) return end(now, key, one, "timeout");
    timers_.set({key, Timer::ends}, one.ends);
    tell(now, key, one);
}

void Notifier::tell(Instant now, const std::string& key, Subscription& one) {
    if (one.request != 0) {
        one.has_news = true;
        return;
    }
    const auto lamp = lamp_of_(one.watch.dn);
    if (!one.is_owed && one.told == lamp) return;
    const auto may_at = one.told_at + kTellAgain;
    if (!one.is_owed && now < may_at) return timers_.set({key, Timer::tell}, may_at);
    timers_.set({key, Timer::tell}, std::nullopt);
    const bool was_idle = one.told.value_or(Lamp::idle) == Lamp::idle;
    if (lamp != Lamp::idle && was_idle) ++one.spell;
    std::string state = "active;expires=" + std::to_string(to_ms(std::max(one.ends - now, Duration{0})) / 1000);
    if (!one.over.empty()) state = "terminated;reason=" + std::string(one.over);
    one.is_owed = false;
    one.told = lamp;
    one.told_at = now;
    one.request = ua_.request(now, one.way, "NOTIFY", {{"Event", one.event}, {"Subscription-State", state}},
                              std::string(kType), dialog_info(one.version++, one.watch.entity, lamp, one.spell));
    requests_[one.request] = key;
}

void Notifier::end(Instant now, const std::string& key, Subscription& one, std::string_view why) {
    if (!one.over.empty()) return;
    one.over = why;
    one.is_owed = true;
    timers_.set({key, Timer::ends}, std::nullopt);
    tell(now, key, one);
}

void Notifier::changed(Instant now, const std::string& dn) {
    const auto [from, to] = by_agent_.equal_range(dn);
    for (auto it = from; it != to; ++it) tell(now, it->second, subscriptions_.at(it->second));
}

bool Notifier::on_responded(Instant now, const sip::Responded& responded) {
    const auto found = requests_.find(responded.id);
    if (found == requests_.end()) return false;
    const auto key = std::move(found->second);
    requests_.erase(found);
    const auto at = subscriptions_.find(key);
    Subscription& one = at->second;
    one.request = 0;
    // Whoever does not take it does not want it, or is not there any more (RFC 6665 §4.2.2).
    const bool was_last = !one.over.empty() && !one.is_owed;
    if (!responded.response && responded.status == sip::kOwnLimit) {  // nobody was told
        one.is_owed = true;
        timers_.set({key, Timer::tell}, now + kTellAgain);
    } else if (responded.status >= 300 || was_last) {
        erase(at);
    } else if (std::exchange(one.has_news, false)) {
        tell(now, key, one);
    }
    return true;
}

void Notifier::erase(Subscriptions::iterator at) {
    const auto& [key, one] = *at;
    for (const auto timer : {Timer::ends, Timer::tell}) timers_.set({key, timer}, std::nullopt);
    const auto [from, to] = by_agent_.equal_range(one.watch.dn);
    by_agent_.erase(std::find_if(from, to, [&](const auto& item) { return item.second == at->first; }));
    const auto of = of_watcher_.find(one.watch.watcher);
    if (--of->second == 0) of_watcher_.erase(of);
    subscriptions_.erase(at);
}

void Notifier::drop_if(Instant now, const std::function<bool(const std::string&)>& is_gone) {
    for (auto& [key, one] : subscriptions_) {
        if (is_gone(one.watch.dn)) {
            end(now, key, one, "noresource");
        } else if (is_gone(one.watch.watcher)) {
            end(now, key, one, "rejected");
        }
    }
}

void Notifier::end_all(Instant now) {
    for (auto& [key, one] : subscriptions_) end(now, key, one, "deactivated");
}

void Notifier::tick(Instant now) {
    while (const auto due = timers_.pop_due(now)) {
        Subscription& one = subscriptions_.at(due->first);
        due->second == Timer::ends ? end(now, due->first, one, "timeout") : tell(now, due->first, one);
    }
}

}  // namespace sheaf::b2bua
