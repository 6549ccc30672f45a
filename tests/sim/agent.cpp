// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "sim/people.h"
#include "sim/town_plan.h"

namespace sheaf::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kExpiresSeconds = 300;
constexpr seconds kRegisterEvery{120};
constexpr seconds kRegisterAgain{8};
constexpr seconds kLongestCall{240};
constexpr seconds kLongestWait{60};  // for somebody to answer

}  // namespace

Agent::Agent(Surroundings& around, Chance chance, Settings settings)
    : around_(around), chance_(chance), settings_(std::move(settings)) {
    person_ = around_.truth.add_person({0, false, settings_.dn, settings_.site, settings_.is_recorded,
                                        settings_.is_recorded && settings_.is_recorded_in_consults});
    phone_ = std::make_unique<Phone>(around_.world, around_.network, around_.audio, settings_.dn, settings_.site,
                                     settings_.address, *this);
}

void Agent::begin() {
    around_.world.after(chance_.between(Duration{0}, seconds{5}), [this] {
        register_now();
        be_idle();
    });
}

void Agent::note(LineId line, const std::string& what) {
    const auto* known = around_.truth.line(line);
    around_.trace.note(known == nullptr ? 0 : known->conversation, [&] { return settings_.dn + ": " + what; });
}

void Agent::register_now() {
    phone_->register_at(settings_.host, settings_.dn, settings_.password, kExpiresSeconds);
}

void Agent::registered(Phone&, bool done) {
    around_.world.after(done ? Duration{kRegisterEvery} : Duration{kRegisterAgain}, [this] { register_now(); });
}

void Agent::be_idle() {
    around_.world.after(chance_.about(seconds{30}), [this] {
        if (around_.is_closing) return;
        be_idle();
        if (line_ != 0 || second_ != 0 || wanted_ != 0) return;
        if (chance_.happens(0.05)) return change_state();
        if (!chance_.happens(around_.habits.agent_calls)) return;
        if (settings_.auto_answer) return make_call();
        if (const std::string to = somewhere(); !to.empty()) line_ = dial(to, around_.truth.begin_conversation());
    });
}

std::string Agent::somewhere() {
    const double which = chance_.share();
    if (which < 0.6) return chance_.pick(around_.routing_points);
    if (which < 0.85) return chance_.pick(around_.agents);
    if (which < 0.95) return "9" + std::to_string(30'000 + chance_.below(1'000));
    return chance_.pick(std::vector<std::string>{"7777", "", "no-such", settings_.dn});
}

LineId Agent::dial(const std::string& to, ConversationId conversation) {
    const LineId id = phone_->call(settings_.host, to, settings_.dn, sip::Account{settings_.dn, settings_.password});
    const Line& line = *phone_->line(id);
    around_.truth.dialog_of(line.call_id, conversation);
    around_.truth.line_began(id, conversation, person_, line.at, line.ours);
    around_.truth.line_has_dialog(id, line.call_id);
    note(id, "dials " + to);
    phone_->send();
    around_.world.after(chance_.between(seconds{1}, kLongestWait), [this, id] {
        const Line* still = phone_->line(id);
        if (still != nullptr && still->state == Line::State::calling) hang_up(id);
    });
    return id;
}

void Agent::make_call() {
    wanted_ = around_.truth.begin_conversation();
    around_.world.after(seconds{30}, [this, wanted = wanted_] {
        if (wanted_ == wanted) wanted_ = 0;
    });
    exchange::CtiRequest request;
    request.token = "desktop";
    request.devices = {"*"};
    request.service = "make-call";
    request.device = settings_.dn;
    request.to = somewhere();
    around_.switches.at(settings_.site)->ask(std::move(request), wanted_, [this](const exchange::CtiReply& reply) {
        if (reply.status != 200) wanted_ = 0;
    });
}

void Agent::change_state() {
    exchange::CtiRequest request;
    request.token = "desktop";
    request.devices = {"*"};
    request.service = "agent-state";
    request.device = settings_.dn;
    const auto set = [this, request](const std::string& state) {
        auto changed = request;
        changed.state = state;
        around_.switches.at(settings_.site)->ask(std::move(changed), 0, [](const exchange::CtiReply&) {});
    };
    if (!settings_.auto_answer && chance_.happens(around_.habits.dials_codes))
        line_ = dial(chance_.pick(kFeatureCodes), around_.truth.begin_conversation());
    else
        set("not-ready");
    around_.world.after(chance_.about(seconds{30}), [set] { set("ready"); });
}

void Agent::ask(const std::string& service, LineId line, const std::string& to, Replied replied) {
    exchange::CtiRequest request;
    request.token = "desktop";
    request.devices = {"*"};
    request.service = service;
    request.calluuid = around_.truth.call_of_line(line);
    request.device = settings_.dn;
    request.to = to;
    const auto* known = around_.truth.line(line);
    note(line, "desktop: " + service + " " + to);
    around_.switches.at(settings_.site)
        ->ask(std::move(request), known == nullptr ? 0 : known->conversation,
              [this, line, service, replied = std::move(replied)](const exchange::CtiReply& reply) {
                  note(line, "desktop: " + service + " got " + std::to_string(reply.status));
                  if (!replied) return;
                  const auto* body = reply.body.if_object();
                  const auto* consult = body == nullptr ? nullptr : body->if_contains("consult_calluuid");
                  replied(reply.status, consult != nullptr && consult->is_string() ? std::string(consult->as_string())
                                                                                   : std::string());
              });
}

void Agent::rings(Phone&, Line& line, const sip::Message&) {
    const LineId id = line.id;
    const auto conversation = around_.truth.conversation_of_dialog(line.call_id);
    if (conversation == 0) around_.complaints.push_back(settings_.dn + " is called for no conversation");
    if (line_ != 0 || second_ != 0 || conversation == 0) return phone_->reject(id, 486);
    line_ = id;
    wanted_ = 0;
    around_.truth.line_began(id, conversation, person_, line.at, line.ours);
    around_.truth.line_has_dialog(id, line.call_id);
    const bool at_once = line.auto_answer;
    const double what = chance_.share();
    if (!at_once && what >= around_.habits.answers && what < around_.habits.answers + around_.habits.rejects) {
        note(id, "rejects");
        around_.world.after(chance_.between(milliseconds{0}, seconds{3}), [this, id] {
            if (line_ != id) return;
            around_.truth.line_over(id);
            line_ = 0;
            phone_->reject(id, chance_.happens(0.5) ? 486 : 603);
        });
        return;
    }
    phone_->ring(id);
    around_.truth.line_rings(id);
    if (!at_once && what >= around_.habits.answers) return note(id, "lets it ring");
    const auto wait = at_once ? Duration{milliseconds{50}} : chance_.between(milliseconds{300}, seconds{7});
    around_.world.after(wait, [this, id, at_once] {
        if (line_ != id) return;
        if (!at_once && chance_.happens(0.1)) return ask("answer", id, {});
        pick_up(id);
    });
}

void Agent::pick_up(LineId id) {
    note(id, "answers");
    phone_->answer(id);
}

void Agent::told_to_answer(Phone&, Line& line) {
    if (line.state == Line::State::offered) around_.world.after(milliseconds{1}, [this, id = line.id] { pick_up(id); });
}

void Agent::stands(Phone&, Line& line) {
    const auto* known = around_.truth.line(line.id);
    if (known == nullptr || known->state == TrueLine::State::talking) return;
    answers(*phone_, line);
}

void Agent::answers(Phone&, Line& line) {
    note(line.id, "is connected");
    around_.truth.line_stands(line.id);
    if (line.id == line_) {
        consult_ = Consult::none;
        desktop_holds_ = false;
        plan(line.id);
    }
    end_at_last(line.id);
}

void Agent::over(Phone&, Line& line, int status) {
    note(line.id, "is left, status " + std::to_string(status));
    around_.truth.line_over(line.id);
    consult_over(line.id);
}

void Agent::say_holds(LineId id) {
    const Line* line = phone_->line(id);
    if (line == nullptr) return;
    around_.truth.line_holds(id, line->hold.has_value() || (id == line_ && desktop_holds_));
}

void Agent::changed(Phone&, Line& line, bool done) {
    note(line.id, std::string(line.hold ? "holds" : "retrieves") + (done ? "" : ": refused"));
    say_holds(line.id);
}

void Agent::plan(LineId line) {
    around_.world.after(chance_.about(around_.habits.act), [this, line] { act(line); });
}

// Nobody talks for ever, whatever has become of the call.
void Agent::end_at_last(LineId line) {
    around_.world.after(kLongestCall, [this, line] { hang_up(line); });
}

void Agent::hang_up(LineId id) {
    const Line* line = phone_->line(id);
    if (line == nullptr || line->state == Line::State::ending) return;
    note(id, "hangs up");
    around_.truth.line_over(id);
    phone_->hang_up(id);
    consult_over(id);
}

}  // namespace sheaf::sim
