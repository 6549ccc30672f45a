// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "archive/view.h"

// Who was connected to whom, when: the facts of one recording laid out on one clock.
namespace sheaf::archive {

struct TimedFact {
    Ms at = 0;  // on the root site's clock
    const TypedFact* fact = nullptr;
};

struct Span {
    Ms from = 0, to = kNever;
    std::string what, by;
    [[nodiscard]] bool holds(Ms t) const { return from <= t && t < to; }
};

// A connection's time in a call. It goes on in the call that one merges into.
struct Stay {
    CallUuid call;  // as it joined
    Ms from = 0, to = kNever;
    std::vector<Span> held;
    [[nodiscard]] bool holds(Ms t) const { return from <= t && t < to; }
};

struct Connection {
    std::string site;
    ConnectionId id;
    Role role = Role::unknown;
    std::string address, name;
    LinkId link;  // a leg to another site: the link it carries
    std::vector<Stay> stays;
    std::size_t party = 0;  // index into parties()
};

// Something that happens to a connection in a call: it rings, waits, listens to a treatment.
struct Attention {
    std::string site;
    CallUuid call;
    ConnectionId connection;
    Span span;
};

// A call's time in a pause: in its own, or in one that came to it by a leg to another site.
struct Pause {
    CallUuid call;
    std::string id;
    Span span;
    // Asked for in this call; told, as its site says; or known to have reached it from another.
    enum class By { asked, told, reached } by = By::asked;
};

// Everyone the audio of a connection reaches at a moment, by index of connection.
struct Reach {
    bool present = false;               // the connection is in a call
    bool is_held = false;               // itself
    std::set<std::size_t> parties;      // the others, audible
    std::set<std::size_t> held;         // the others behind a hold
    std::set<std::size_t> unplaced;     // legs to a site that has not said who is there (also in parties or held)
    std::set<CallUuid> calls;           // reached without crossing a hold
    std::set<CallUuid> held_calls;      // reached across one
    std::set<std::size_t> entries;      // legs by which those calls were entered
    std::set<std::size_t> behind;       // the connection is a leg to a site: who is at its far end, held or not
    std::set<std::size_t> behind_held;  // those of them who are held there
};

class Presence {
public:
    // `facts` in order of time; `links` as they are known in the end.
    Presence(const std::vector<TimedFact>& facts, const std::vector<LinkView>& links);

    [[nodiscard]] const std::vector<Connection>& connections() const { return connections_; }
    [[nodiscard]] const std::vector<PartyView>& parties() const { return parties_; }
    [[nodiscard]] const std::vector<Attention>& alerting() const { return alerting_; }
    [[nodiscard]] const std::vector<Attention>& queued() const { return queued_; }
    [[nodiscard]] const std::vector<Attention>& treated() const { return treated_; }
    // Connections that are not recorded because of this announcement, which could not be played.
    [[nodiscard]] const std::vector<Attention>& unannounced() const { return unannounced_; }
    [[nodiscard]] const std::vector<Pause>& pauses() const { return pauses_; }
    [[nodiscard]] const std::set<Ms>& changes() const { return changes_; }  // every moment at which a reach may change

    [[nodiscard]] std::optional<std::size_t> find(const std::string& site, const ConnectionId& id) const;
    // The call that `call` has become by then.
    [[nodiscard]] CallUuid call_at(const CallUuid& call, Ms t) const;
    // Party id of a connection; empty for legs to sites whose far side is known.
    [[nodiscard]] std::string party_of(const std::string& site, const ConnectionId& id) const;
    // `in`: the call by which the connection is meant, as it joined; empty: any.
    [[nodiscard]] Reach reach(std::size_t connection, const CallUuid& in, Ms t) const;
    // Of this call, as it joined.
    [[nodiscard]] std::optional<Pause> pause_over(const CallUuid& call, Ms t) const;

private:
    struct Here {
        std::size_t connection;
        CallUuid call;
        bool held;
    };
    struct Moment {
        std::map<CallUuid, std::vector<Here>> by_call;
        std::map<LinkId, std::vector<Here>> by_leg;
    };
    struct Visit {
        CallUuid call;
        bool held;
        std::size_t via;
    };
    struct PauseWord {  // somebody pauses a call's recording or resumes it, or the call is over and its pause with it
        enum class Kind { paused, told, resumed, told_over, ended } kind;
        CallUuid call;
        std::string pause, by;
    };
    void apply(const TimedFact& timed);
    void join(const TimedFact& timed, const PartyJoined& joined);
    void leave(const TimedFact& timed, const PartyLeft& left);
    void hold(const TimedFact& timed, const CallUuid& call, const ConnectionId& id, bool on, const ConnectionId& by);
    void end_call(const TimedFact& timed, const CallUuid& call);
    void name_parties();
    void spread_pauses();
    struct Running {
        std::map<CallUuid, Pause> pauses;
        std::set<std::pair<CallUuid, std::string>> told_over;  // by the call's own site
    };
    void hear(const PauseWord& word, Ms at, Running& running);
    void begin_pause(const PauseWord& word, const CallUuid& call, Ms at, Pause::By by, Running& running);
    void pass_on(Ms at, Running& running);
    [[nodiscard]] std::set<CallUuid> connected_to(const CallUuid& call, Ms t) const;
    [[nodiscard]] bool is_same_call(const CallUuid& raw, const CallUuid& named, Ms t) const;
    [[nodiscard]] LinkId leg_of(const LinkId& link) const;
    [[nodiscard]] const Moment& moment(Ms t) const;
    void walk(const Moment& now, std::size_t start, const std::vector<Visit>& from, Reach& reach) const;

    std::vector<Connection> connections_;
    std::map<std::pair<std::string, ConnectionId>, std::size_t> index_;
    std::vector<PartyView> parties_;
    std::vector<Attention> alerting_, queued_, treated_, unannounced_;
    std::vector<std::pair<Ms, PauseWord>> pause_words_;  // in order of time
    std::vector<Pause> pauses_;
    std::map<CallUuid, std::pair<CallUuid, Ms>> merged_;  // call → into, when
    std::map<LinkId, LinkId> moved_from_;
    std::set<LinkId> not_walked_;  // a consult's link to its main call, retracted ones
    std::set<LinkId> known_legs_;  // legs with a connection at both of their ends
    std::set<Ms> changes_;
    mutable std::map<Ms, Moment> moments_;
};

}  // namespace sheaf::archive
