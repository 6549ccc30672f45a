// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sim/people.h"
#include "sim/town_plan.h"

namespace sheaf::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kLongestCall{300};

}  // namespace

Carrier::Carrier(Surroundings& around, Chance chance, Settings settings)
    : around_(around), chance_(chance), settings_(std::move(settings)) {
    phone_ = std::make_unique<Phone>(around_.world, around_.network, around_.audio, settings_.name, settings_.name,
                                     settings_.address, *this);
}

void Carrier::begin() {
    around_.world.after(seconds{8}, [this] { next_customer(); });
}

void Carrier::next_customer() {
    if (settings_.numbers.empty() || around_.is_closing) return;
    around_.world.after(chance_.about(around_.habits.between_calls), [this] {
        if (around_.is_closing) return;
        call_in();
        next_customer();
    });
}

Carrier::Customer Carrier::new_customer() {
    Customer customer;
    customer.number = fmt::format("+{}{:05}", settings_.name == "carrier" ? "44770" : "33680", ++numbered_);
    customer.person = around_.truth.add_person({0, true, customer.number, {}, false});
    return customer;
}

void Carrier::call_in() {
    Customer customer = new_customer();
    customer.conversation = around_.truth.begin_conversation();
    const auto& [host, number] = chance_.pick(settings_.numbers);
    const LineId id = phone_->call(host, number, customer.number, std::nullopt);
    const Line& line = *phone_->line(id);
    around_.truth.dialog_of(line.call_id, customer.conversation);
    around_.truth.line_began(id, customer.conversation, customer.person, line.at, line.ours);
    around_.truth.line_has_dialog(id, line.call_id);
    if (!settings_.recorded_at.empty()) around_.truth.trunk_is_recorded(id, settings_.recorded_at);
    around_.trace.note(customer.conversation, [&] { return customer.number + ": calls " + number; });
    customers_[id] = customer;
    phone_->send();
    around_.world.after(chance_.about(around_.habits.patience) + milliseconds{5}, [this, id] {
        const Line* still = phone_->line(id);
        // Whoever talks by then has no need of patience.
        if (still != nullptr && phone_->audio().reach(still->at).empty()) hang_up(id);
    });
    around_.world.after(kLongestCall, [this, id] { hang_up(id); });
}

void Carrier::answers(Phone&, Line& line) {
    around_.truth.line_stands(line.id);
    if (const auto found = customers_.find(line.id); found != customers_.end() && found->second.instead_of != 0)
        phone_->notify(std::exchange(found->second.instead_of, 0), 200, true);
    talk(line.id);
    if (line.ours && line.number == kMenuNumber) press_something(line.id);
}

void Carrier::press_something(LineId id) {
    if (!chance_.happens(around_.habits.presses)) return;
    around_.world.after(chance_.between(milliseconds{200}, seconds{7}), [this, id] {
        if (const Line* line = phone_->line(id)) around_.press(line->at, chance_.pick(std::vector{'1', '2', '3', '7'}));
    });
}

// To leave a site: the customer calls where it is told, instead of this dialog (RFC 3515, RFC 3891).
int Carrier::referred(Phone&, Line& line, const sip::Message& refer) {
    const auto* refer_to = refer.first("Refer-To");
    const auto to = refer_to == nullptr ? fail(Errc::not_found, "Refer-To") : sip::name_addr_from_text(*refer_to);
    if (!to || line.state != Line::State::talking || !customers_.contains(line.id)) return 400;
    const double what = chance_.share();
    if (what >= around_.habits.carrier_obeys)
        return what < around_.habits.carrier_obeys + around_.habits.carrier_refuses ? 603 : 202;
    around_.world.after(chance_.between(milliseconds{1}, milliseconds{300}),
                        [this, id = line.id, uri = to->uri] { obey(id, uri); });
    return 202;
}

void Carrier::obey(LineId id, const sip::Uri& to) {
    const auto found = customers_.find(id);
    if (found == customers_.end()) return;
    phone_->notify(id, 100, false);
    std::vector<sip::Header> headers;
    for (const auto& [name, value] : sip::headers_of(to))
        if (name == "replaces") headers.push_back({"Replaces", value});
    Customer customer = found->second;
    customer.instead_of = id;
    const LineId moved = phone_->call(to.host, to.user, customer.number, std::nullopt, headers);
    const Line& line = *phone_->line(moved);
    around_.truth.dialog_of(line.call_id, customer.conversation);
    around_.truth.line_began(moved, customer.conversation, customer.person, line.at, false);
    around_.truth.line_has_dialog(moved, line.call_id);
    customers_[moved] = customer;
    around_.trace.note(customer.conversation,
                       [&] { return customer.number + ": is asked to leave, calls " + to.user; });
    phone_->send();
    around_.world.after(kLongestCall, [this, moved] { hang_up(moved); });
}

void Carrier::talk(LineId id) {
    around_.world.after(chance_.about(around_.habits.talk), [this, id] {
        const Line* line = phone_->line(id);
        if (line == nullptr || line->state != Line::State::talking) return;
        const bool has_company = !phone_->audio().reach(line->at).empty();
        if (has_company && chance_.happens(0.3)) return hang_up(id);
        if (has_company && chance_.happens(around_.habits.customer_holds)) return hold_awhile(id);
        talk(id);
    });
}

void Carrier::hold_awhile(LineId id) {
    if (!phone_->hold(id, static_cast<HoldSpelling>(chance_.below(3)))) return talk(id);
    around_.world.after(chance_.about(seconds{6}), [this, id] {
        const Line* line = phone_->line(id);
        if (line == nullptr) return;
        if (!phone_->hold(id, std::nullopt))
            around_.world.after(seconds{40}, [this, id] { static_cast<void>(phone_->hold(id, std::nullopt)); });
        talk(id);
    });
}

void Carrier::hang_up(LineId id) {
    if (phone_->line(id) == nullptr) return;
    if (const auto found = customers_.find(id); found != customers_.end()) {
        around_.trace.note(found->second.conversation, [&] { return found->second.number + ": hangs up"; });
        around_.truth.line_over(id);
        customers_.erase(found);
    }
    phone_->hang_up(id);
}

// Somebody's mobile phone, called by an agent.
void Carrier::rings(Phone&, Line& line, const sip::Message& invite) {
    const LineId id = line.id;
    const auto conversation = around_.truth.conversation_of_dialog(line.call_id);
    if (conversation == 0) {
        around_.complaints.push_back("a customer is called for no conversation");
        return phone_->reject(id, 486);
    }
    Customer customer;
    customer.number = invite.uri().user;
    customer.conversation = conversation;
    customer.person = around_.truth.add_person({0, true, customer.number, {}, false});
    around_.truth.line_began(id, conversation, customer.person, line.at, line.ours);
    around_.truth.line_has_dialog(id, line.call_id);
    const bool is_busy =
        std::ranges::any_of(customers_, [&](const auto& at) { return at.second.number == customer.number; });
    if (chance_.happens(0.15) || is_busy) {
        around_.truth.line_over(id);
        return phone_->reject(id, chance_.happens(0.5) || is_busy ? 486 : 404);
    }
    customers_[id] = customer;
    phone_->ring(id);
    around_.truth.line_rings(id);
    around_.world.after(chance_.between(milliseconds{500}, seconds{12}), [this, id] {
        const Line* still = phone_->line(id);
        if (still == nullptr || still->state != Line::State::offered) return;
        around_.trace.note(customers_[id].conversation, [&] { return customers_[id].number + ": answers"; });
        phone_->answer(id);
        around_.truth.line_stands(id);
        talk(id);
    });
    around_.world.after(kLongestCall, [this, id] { hang_up(id); });
}

void Carrier::over(Phone&, Line& line, int status) {
    const auto found = customers_.find(line.id);
    if (found == customers_.end()) return;
    around_.trace.note(found->second.conversation,
                       [&] { return found->second.number + ": is left, status " + std::to_string(status); });
    around_.truth.line_over(line.id);
    if (found->second.instead_of != 0) phone_->notify(found->second.instead_of, status == 0 ? 487 : status, true);
    customers_.erase(found);
}

void Carrier::changed(Phone&, Line& line, bool done) {
    const auto found = customers_.find(line.id);
    if (found == customers_.end()) return;
    around_.trace.note(found->second.conversation, [&] {
        return found->second.number + (line.hold ? ": holds" : ": retrieves") + (done ? "" : ", refused");
    });
    around_.truth.line_holds(line.id, line.hold.has_value());
}

}  // namespace sheaf::sim
