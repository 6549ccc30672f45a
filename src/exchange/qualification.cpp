// SPDX-License-Identifier: Apache-2.0
#include "exchange/qualification.h"

#include <algorithm>

#include "exchange/waiting.h"

namespace sheaf::exchange {
namespace {

constexpr std::string_view kQueue = "queue";

Timer menu_timer(const LiveCall& live) {
    return {Timer::Kind::menu, live.call.id.text()};
}

bool comes_from_outside(const State& state, const call::Connection& party) {
    const auto leg = state.legs.find(party.leg);
    if (leg == state.legs.end()) return false;
    const DeviceKind kind = leg->second.device.kind;
    return kind == DeviceKind::trunk || kind == DeviceKind::stranger;
}

void to_queue(Turn& turn, LiveCall& live, const std::string& routing_point) {
    if (const auto refusal = refusal_now(turn.state, ToRoutingPoint{routing_point}))
        return apply(turn, live, call::End{cause_of(refusal->status), refusal->status, refusal->why});
    send_to(turn, live, ToRoutingPoint{routing_point});
}

void choose(Turn& turn, LiveCall& live, const std::string& target) {
    const Menu menu = *std::exchange(live.menu, std::nullopt);
    const std::string& own = menu.point.dn;
    turn.state.timers.cancel(menu_timer(live));
    if (menu.collects) turn.add(CollectDigits{menu.leg, false});
    apply(turn, live, call::Untreat{menu.leg});
    if (target.empty() || target == kQueue) return to_queue(turn, live, own);
    const auto to = target_from_text(target, turn.state.settings.site);
    const auto refusal = to ? refusal_now(turn.state, *to) : Refusal{404, "no such target"};
    if (refusal) {
        turn.log(true, "a menu's choice takes no call",
                 {{"call", live.call.id.text()}, {"routing_point", own}, {"to", target}, {"why", refusal->why}});
        return to_queue(turn, live, own);
    }
    if (const auto* point = std::get_if<ToRoutingPoint>(&*to))
        live.asked_at.erase(point->dn);
    else
        live.chosen_at = own;
    send_to(turn, live, *to);
}

void say(Turn& turn, LiveCall& live, std::vector<std::string> before) {
    const MenuSettings& menu = live.menu->point.menu;
    before.insert(before.end(), menu.announcement.begin(), menu.announcement.end());
    turn.state.timers.cancel(menu_timer(live));
    apply(turn, live, call::Treat{live.menu->leg, std::move(before), true});
    settle_menu(turn, live);
}

void ask_again(Turn& turn, LiveCall& live, const std::vector<std::string>& before) {
    if (live.menu->left <= 0) return choose(turn, live, std::string(live.menu->point.menu.otherwise));
    --live.menu->left;
    say(turn, live, before);
}

}  // namespace

bool is_to_be_asked(const State& state, const LiveCall& live, const RoutingPointSettings& point) {
    if (point.menu.announcement.empty() || live.adding || live.asked_at.contains(point.dn)) return false;
    const call::Connection* party = waiting_party(live);
    if (!party || !comes_from_outside(state, *party)) return false;
    return std::holds_alternative<call::Offered>(party->state) || call::is_talking(*party);
}

void ask(Turn& turn, LiveCall& live, const RoutingPointSettings& point) {
    const call::Connection* party = waiting_party(live);
    live.asked_at.insert(point.dn);
    live.menu = Menu{point, party->leg, point.menu.repeats};
    if (std::holds_alternative<call::Offered>(party->state)) return apply(turn, live, call::Accept{party->leg});
    begin_menu(turn, live);
}

void begin_menu(Turn& turn, LiveCall& live) {
    live.menu->has_begun = true;
    say(turn, live, {});
}

void menu_announced(Turn& turn, LiveCall& live) {
    const MenuSettings& menu = live.menu->point.menu;
    apply(turn, live, call::Treat{live.menu->leg, {std::string(call::kDigits)}, true});
    turn.state.timers.set(menu_timer(live), turn.now.mono + std::chrono::milliseconds{menu.timeout_ms});
}

void menu_timed_out(Turn& turn, const CallUuid& id) {
    const auto live = turn.state.calls.find(id);
    if (live != turn.state.calls.end() && live->second.menu) ask_again(turn, live->second, {});
}

void on(Turn& turn, const LegDigit& event) {
    LiveCall* live = call_of(turn, event.leg);
    if (!live || !live->menu || live->menu->leg != event.leg || !live->menu->collects) return;
    const MenuSettings& menu = live->menu->point.menu;
    const auto choice = std::ranges::find(menu.choices, event.digit, &MenuChoice::digit);
    if (choice != menu.choices.end()) return choose(turn, *live, std::string(choice->to));
    ask_again(turn, *live, std::vector<std::string>(menu.invalid));
}

void settle_menu(Turn& turn, LiveCall& live) {
    if (!live.menu) return;
    const bool wanted = live.menu->has_begun && !live.pause;
    if (std::exchange(live.menu->collects, wanted) != wanted) turn.add(CollectDigits{live.menu->leg, wanted});
}

std::optional<std::string> queue_after_menu(const State& state, LiveCall& live) {
    std::string dn = std::exchange(live.chosen_at, {});
    const call::Connection* party = waiting_party(live);
    if (dn.empty() || !party || !call::is_talking(*party)) return std::nullopt;
    const auto point = state.routing_points.find(dn);
    if (point == state.routing_points.end() || is_full(state, point->second)) return std::nullopt;
    return dn;
}

}  // namespace sheaf::exchange
