// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/phone.h"
#include "sim/site.h"
#include "sim/trace.h"
#include "sim/truth.h"

namespace sheaf::sim {

// How people behave: chances of each act and how long they take for it.
struct Habits {
    Duration between_calls = std::chrono::seconds{36};  // of a carrier's customers together
    Duration patience = std::chrono::seconds{70};
    Duration talk = std::chrono::seconds{40};
    Duration act = std::chrono::seconds{12};  // until an agent does something with a call
    double answers = 0.86, rejects = 0.07;    // else the phone rings in vain
    // Of an agent in talk; else nothing for a while.
    double transfers = 0.18, holds = 0.14, consults = 0.22, conferences = 0.06, odd = 0.08, hangs_up = 0.24;
    double pauses = 0.05;     // the recording, and resumes it after a while
    double records = 0.04;    // on demand, or no longer
    double by_desktop = 0.5;  // of all that can be done either way
    // Of an agent who consults; else it gives up.
    double completes = 0.40, joins = 0.14, toggles = 0.20, leaves_all = 0.06;
    double nested = 0.1;  // that somebody does more than talk, hold or leave while the call is being changed
    double customer_holds = 0.06;
    double carrier_obeys = 0.8, carrier_refuses = 0.12;  // a REFER; else it says yes and does nothing
    double presses = 0.7;                                // a customer who is asked to
    double dials_codes = 0.5;                            // of an agent who changes its state; else by desktop
    double agent_calls = 0.04;                           // an idle agent, each half minute
};

// What everybody works with.
struct Surroundings {
    World& world;
    Network& network;
    Audio& audio;
    Truth& truth;
    Trace& trace;
    Habits habits;
    std::map<std::string, Switch*> switches;
    std::function<void(const std::string& at, char digit)> press;  // at the media server that a line is connected with
    std::vector<std::string> routing_points;                       // that agents transfer to
    std::vector<std::string> agents;
    bool is_closing = false;              // nobody begins anything new
    std::vector<std::string> complaints;  // what must not be and was seen
};

// An agent at a phone with two lines, with a desktop that speaks CTI.
class Agent final : public Phone::User {
public:
    struct Settings {
        std::string site, dn, password, address, host;
        bool is_recorded = true, is_recorded_in_consults = false;
        bool auto_answer = false;
    };
    Agent(Surroundings& around, Chance chance, Settings settings);
    void begin();
    [[nodiscard]] const Phone& phone() const { return *phone_; }

    void registered(Phone&, bool done) override;
    void rings(Phone&, Line&, const sip::Message&) override;
    void answers(Phone&, Line&) override;
    void stands(Phone&, Line&) override;
    void over(Phone&, Line&, int) override;
    void changed(Phone&, Line&, bool) override;
    void refer_answered(Phone&, Line&, int) override;
    void told_to_answer(Phone&, Line&) override;

private:
    enum class Consult { none, wanted, desktop, phone };

    // agent.cpp: the phone, and an agent without a call.
    void register_now();
    void be_idle();
    LineId dial(const std::string& to, ConversationId conversation);
    void make_call();
    void change_state();
    void pick_up(LineId line);
    void plan(LineId line);
    void end_at_last(LineId line);
    void hang_up(LineId line);
    using Replied = std::function<void(int status, const std::string& consult)>;
    void ask(const std::string& service, LineId line, const std::string& to, Replied replied = {});
    [[nodiscard]] std::string somewhere();
    void note(LineId line, const std::string& what);
    void say_holds(LineId line);

    // agent_acts.cpp: what is done with a call.
    void act(LineId line);
    void transfer(LineId line);
    void hold_awhile(LineId line);
    void hold_awhile_by_desktop(LineId line);
    void confer(LineId line);
    void pause_awhile(LineId line);
    void resume(LineId line);
    void record_or_not(LineId line);
    void act_paused(LineId line, bool by_desktop);
    void do_something_odd(LineId line);
    void clear(LineId line);
    void consult_by_desktop(LineId line);
    void consult_by_phone(LineId line);
    void plan_consult(LineId line);
    void go_on_consulting(LineId line);
    void consult_over(LineId line);
    void complete_by_phone(LineId line);
    void give_up(LineId line);
    void toggle(LineId line);

    Surroundings& around_;
    Chance chance_;
    Settings settings_;
    PersonId person_;
    std::unique_ptr<Phone> phone_;
    LineId line_ = 0;    // the call
    LineId second_ = 0;  // the consult by phone
    Consult consult_ = Consult::none;
    bool desktop_holds_ = false;
    ConversationId wanted_ = 0;  // a make-call that has been asked for
};

// A carrier's switch and all its customers.
class Carrier final : public Phone::User {
public:
    struct Settings {
        std::string name, address;
        std::vector<std::pair<std::string, std::string>> numbers;  // host to call, number
        std::string recorded_at;                                   // the site that records its customers, or empty
    };
    Carrier(Surroundings& around, Chance chance, Settings settings);
    void begin();
    [[nodiscard]] Phone& phone() { return *phone_; }
    [[nodiscard]] std::size_t customers() const { return customers_.size(); }

    void rings(Phone&, Line&, const sip::Message&) override;
    void answers(Phone&, Line&) override;
    void over(Phone&, Line&, int) override;
    void changed(Phone&, Line&, bool) override;
    int referred(Phone&, Line&, const sip::Message&) override;

private:
    struct Customer {
        PersonId person = 0;
        ConversationId conversation = 0;
        std::string number;
        LineId instead_of = 0;  // the line that a REFER asked to leave
    };
    void obey(LineId line, const sip::Uri& to);
    void next_customer();
    void call_in();
    void talk(LineId line);
    void press_something(LineId line);
    void hang_up(LineId line);
    void hold_awhile(LineId line);
    Customer new_customer();

    Surroundings& around_;
    Chance chance_;
    Settings settings_;
    std::unique_ptr<Phone> phone_;
    std::map<LineId, Customer> customers_;
    int numbered_ = 0;
};

}  // namespace sheaf::sim
