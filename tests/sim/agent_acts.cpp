// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "sim/people.h"

namespace sheaf::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

}  // namespace

void Agent::act(LineId id) {
    const Line* line = phone_->line(id);
    if (line_ != id || line == nullptr || line->state != Line::State::talking) return;
    const bool is_busy = consult_ != Consult::none || second_ != 0 || desktop_holds_ || line->hold || line->is_changing;
    if (is_busy) return plan(id);
    const Habits& habits = around_.habits;
    const bool by_desktop = chance_.happens(habits.by_desktop);
    double what = chance_.share();
    if (around_.audio.reach(line->at).empty()) {  // nobody to do anything with
        if (what < habits.hangs_up) return by_desktop ? clear(id) : hang_up(id);
        return plan(id);
    }
    const auto conversation = around_.truth.line(id)->conversation;
    if (around_.truth.is_paused(conversation)) return act_paused(id, by_desktop);
    if (around_.truth.is_in_change(conversation)) {
        if (!chance_.happens(habits.nested)) {
            if (what < habits.holds && !around_.truth.is_conferring(conversation))
                return by_desktop ? hold_awhile_by_desktop(id) : hold_awhile(id);
            if (what < habits.holds + habits.hangs_up) return by_desktop ? clear(id) : hang_up(id);
            return plan(id);
        }
        around_.truth.tangle(conversation);
    }
    if ((what -= habits.transfers) < 0) return transfer(id);
    if ((what -= habits.holds) < 0) return by_desktop ? hold_awhile_by_desktop(id) : hold_awhile(id);
    if ((what -= habits.consults) < 0) return by_desktop ? consult_by_desktop(id) : consult_by_phone(id);
    if ((what -= habits.conferences) < 0) return confer(id);
    if ((what -= habits.pauses) < 0) return pause_awhile(id);
    if ((what -= habits.records) < 0) return record_or_not(id);
    if ((what -= habits.odd) < 0) {
        do_something_odd(id);
    } else if ((what -= habits.hangs_up) < 0) {
        return by_desktop ? clear(id) : hang_up(id);
    }
    plan(id);
}

void Agent::transfer(LineId id) {
    const std::string to = somewhere();
    around_.world.after(seconds{20}, [this, id] { act(id); });  // should nothing come of it
    if (chance_.happens(around_.habits.by_desktop)) return ask("single-step-transfer", id, to);
    note(id, "refers to " + to);
    phone_->refer(id, "<sip:" + to + (to.empty() ? "" : "@") + settings_.host + ">");
}

void Agent::refer_answered(Phone&, Line& line, int status) {
    note(line.id, "REFER got " + std::to_string(status));
    if (status >= 300) {
        if (second_ != 0) plan_consult(line_);
        return;
    }
    // Accepted: the switch ends the line. Should it not, we may.
    around_.world.after(seconds{10}, [this, id = line.id] {
        if (chance_.happens(0.5)) hang_up(id);
    });
}

void Agent::do_something_odd(LineId id) {
    switch (chance_.below(9)) {
        case 0: return ask("single-step-transfer", 0, "8000");
        case 1: return ask("no-such-service", id, {});
        case 2: return ask("single-step-transfer", id, {});
        case 3: return static_cast<void>(phone_->refer(id, "<mailto:nobody@nowhere>"));
        case 4: return static_cast<void>(phone_->refer(id, "not a URI"));
        case 5: return ask(chance_.happens(0.5) ? "transfer" : "conference", id, {});
        case 6: return ask(chance_.happens(0.5) ? "alternate" : "reconnect", id, {});
        case 7:
            return static_cast<void>(phone_->refer(
                id, "<sip:x@" + settings_.host + "?Replaces=" + phone_->replaces_of(id) + ">"));  // itself
        default: return ask("answer", id, {});
    }
}

void Agent::hold_awhile(LineId id) {
    if (!phone_->hold(id, static_cast<HoldSpelling>(chance_.below(3)))) return plan(id);
    around_.world.after(chance_.about(seconds{8}), [this, id] {
        const Line* line = phone_->line(id);
        if (line == nullptr) return;
        if (chance_.happens(0.05)) return hang_up(id);
        if (!phone_->hold(id, std::nullopt)) {
            // A change is under way: its end is waited for.
            around_.world.after(seconds{40}, [this, id] { static_cast<void>(phone_->hold(id, std::nullopt)); });
        }
        plan(id);
    });
}

void Agent::hold_awhile_by_desktop(LineId id) {
    ask("hold", id, {}, [this, id](int status, const std::string&) {
        if (status != 200) return plan(id);
        desktop_holds_ = true;
        say_holds(id);
        around_.world.after(chance_.about(seconds{8}), [this, id] {
            ask("retrieve", id, {}, [this, id](int retrieved, const std::string&) {
                if (retrieved == 200) {
                    desktop_holds_ = false;
                    say_holds(id);
                }
                plan(id);
            });
        });
    });
}

void Agent::confer(LineId id) {
    around_.truth.conference_wanted(around_.truth.line(id)->conversation);
    plan(id);
    ask("single-step-conference", id, somewhere());
}

void Agent::pause_awhile(LineId id) {
    const auto conversation = around_.truth.line(id)->conversation;
    ask("recording/pause", id, {}, [this, id, conversation](int status, const std::string&) {
        if (status == 200) around_.truth.pause(conversation, true);
        if (status != 200) return plan(id);
        around_.world.after(chance_.about(seconds{6}), [this, id] { act(id); });
    });
}

void Agent::resume(LineId id) {
    const auto conversation = around_.truth.line(id)->conversation;
    ask("recording/resume", id, {}, [this, id, conversation](int status, const std::string&) {
        if (status == 200) around_.truth.pause(conversation, false);
        plan(id);
    });
}

void Agent::record_or_not(LineId id) {
    plan(id);
    if (around_.truth.line(id)->is_second) return;  // what is recorded of a consult follows who is in it
    const bool on = !around_.truth.is_recorded(id);
    ask(on ? "recording/start" : "recording/stop", id, {}, [this, id, on](int status, const std::string&) {
        if (status == 200) around_.truth.record(id, on);
    });
}

// Whoever has the call while its recording is paused: what goes on in it, the pause goes along with. No consult, of
// which it is no part.
void Agent::act_paused(LineId id, bool by_desktop) {
    if (chance_.happens(0.6)) return resume(id);
    if (around_.truth.is_in_change(around_.truth.line(id)->conversation)) return plan(id);
    const double what = chance_.share();
    if (what < 0.3) return transfer(id);
    if (what < 0.6) return by_desktop ? hold_awhile_by_desktop(id) : hold_awhile(id);
    if (what < 0.8) return by_desktop ? clear(id) : hang_up(id);
    plan(id);
}

void Agent::clear(LineId id) {
    ask("clear", id, {});
    around_.world.after(seconds{10}, [this, id] { hang_up(id); });
}

// ---- Consults
// ---------------------------------------------------------------------------------------------------------

void Agent::consult_by_desktop(LineId id) {
    consult_ = Consult::wanted;
    around_.world.after(seconds{5}, [this, id] {  // no answer
        if (line_ == id && consult_ == Consult::wanted) consult_ = Consult::none;
    });
    plan(id);
    ask("consultation", id, somewhere(), [this, id](int status, const std::string& call) {
        if (line_ != id) return;
        consult_ = status == 200 ? Consult::desktop : Consult::none;
        if (status != 200) return;
        around_.truth.consult_began(id, call);
        plan_consult(id);
    });
}

void Agent::consult_by_phone(LineId id) {
    consult_ = Consult::phone;
    plan(id);
    if (!phone_->hold(id, static_cast<HoldSpelling>(chance_.below(3)))) {
        consult_ = Consult::none;
        return;
    }
    around_.world.after(chance_.between(milliseconds{300}, seconds{2}), [this, id] {
        const Line* line = phone_->line(id);
        if (line_ != id || line == nullptr) return;
        const std::string to = somewhere();
        if (!line->hold || line->is_changing || to.empty()) return give_up(id);
        second_ = dial(to, around_.truth.line(id)->conversation);
        plan_consult(id);
    });
}

void Agent::plan_consult(LineId id) {
    around_.world.after(chance_.about(around_.habits.act), [this, id] { go_on_consulting(id); });
}

void Agent::go_on_consulting(LineId id) {
    if (line_ != id || consult_ == Consult::none || consult_ == Consult::wanted) return;
    const bool by_desktop = consult_ == Consult::desktop;
    if (!by_desktop && second_ == 0) return give_up(id);
    const Habits& habits = around_.habits;
    double what = chance_.share();
    if ((what -= habits.leaves_all) < 0) {
        hang_up(second_);
        return hang_up(id);
    }
    if ((what -= habits.toggles) < 0) return toggle(id);
    const auto done = [this, id](int status, const std::string&) {
        if (status != 200) return plan_consult(id);
        consult_ = Consult::none;
        around_.truth.consult_ended(id);
    };
    if ((what -= habits.completes) < 0) return by_desktop ? ask("transfer", id, {}, done) : complete_by_phone(id);
    if (by_desktop && (what -= habits.joins) < 0) return ask("conference", id, {}, done);
    if (by_desktop) return ask("reconnect", id, {}, done);
    give_up(id);
}

void Agent::toggle(LineId id) {
    plan_consult(id);
    if (consult_ == Consult::desktop) return ask("alternate", id, {});
    const Line* second = phone_->line(second_);
    const Line* line = phone_->line(id);
    if (second == nullptr || line == nullptr || second->state != Line::State::talking) return;
    const LineId to_hold = line->hold ? second_ : id;
    const LineId to_retrieve = line->hold ? id : second_;
    if (!phone_->hold(to_hold, HoldSpelling::sendonly)) return;
    around_.world.after(milliseconds{400}, [this, to_retrieve] { phone_->hold(to_retrieve, std::nullopt); });
}

// In either dialog, naming the other.
void Agent::complete_by_phone(LineId id) {
    const LineId in = chance_.happens(0.5) ? id : second_;
    const std::string other = phone_->replaces_of(in == id ? second_ : id);
    plan_consult(id);
    if (other.empty()) return;
    if (!phone_->refer(in, "<sip:x@" + settings_.host + "?Replaces=" + other + ">")) {
        const std::string main = phone_->replaces_of(second_);  // the second has not been answered: in the first
        if (!main.empty()) phone_->refer(id, "<sip:x@" + settings_.host + "?Replaces=" + main + ">");
    }
}

void Agent::give_up(LineId id) {
    hang_up(second_);
    consult_ = Consult::none;
    if (phone_->line(id) == nullptr) return;
    if (!phone_->hold(id, std::nullopt))
        around_.world.after(seconds{5}, [this, id] {
            if (second_ == 0) static_cast<void>(phone_->hold(id, std::nullopt));
        });
}

// A line is gone: what remains of the agent's two.
void Agent::consult_over(LineId id) {
    if (id == second_) {
        second_ = 0;
        if (line_ != 0 && consult_ == Consult::phone) {
            consult_ = Consult::none;
            around_.world.after(chance_.between(milliseconds{200}, seconds{3}), [this, main = line_] {
                if (second_ == 0) static_cast<void>(phone_->hold(main, std::nullopt));
            });
        }
        return;
    }
    if (id != line_) return;
    line_ = std::exchange(second_, 0);
    consult_ = Consult::none;
    desktop_holds_ = false;
    if (line_ == 0) return;
    const Line* rest = phone_->line(line_);
    if (rest != nullptr && rest->hold) static_cast<void>(phone_->hold(line_, std::nullopt));
    plan(line_);
}

}  // namespace sheaf::sim
