// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/id.h"
#include "sim/audio.h"
#include "sim/world.h"

namespace sheaf::sim {

using ConversationId = int;  // from 1; 0: none
using PersonId = int;        // from 1; 0: nobody

struct Person {
    PersonId id = 0;
    bool is_customer = false;
    std::string address;       // number or dn, as it is shown
    std::string site;          // an agent's
    bool is_recorded = false;  // an agent's, always
    bool is_recorded_in_consults = false;
};

// What a person hears from one moment to the next change.
struct Slice {
    Instant from{}, to{};
    bool is_hold = false;           // nobody, because of a hold
    bool is_paused = false;         // whoever is heard
    std::vector<PersonId> persons;  // audible at the segment; in order
    std::string flaw;               // who should hear whom and does not
    bool is_open = false;           // it holds, and there is nobody to be held: either word will do
};

// A file that must exist, and what must be in it.
struct TrueSegment {
    ConversationId conversation = 0;  // of a leg's
    std::string site;
    PersonId person = 0;         // recorded; of a leg to a site: whoever was first behind it
    LineId line = 0;             // the person's, or
    std::string leg;             // the end of the hub's leg in the audio
    std::string dialog;          // …and the Call-ID of that leg
    bool is_consult = false;     // of the line's part in a consult call
    bool is_by_desktop = false;  // …that the line is moved to and fro of
    bool is_optional = false;    // nobody was met in it: it may have begun while another site's queue played
    Instant from{}, to{};
    Instant earliest{};  // a consult's may begin before somebody answers: while another site's queue plays
    bool is_over = false;
    std::vector<Slice> slices;
};

enum class Where { away, queue, ringing, talk, unrecorded, hold };
struct Whereabouts {
    Instant from{}, to{};
    Where where = Where::away;
    bool is_paused = false;
    bool is_open = false;         // who waits so holds, and there is nobody to be held: that word will do, too
    bool is_in_own_file = false;  // …and what is kept of this line goes on: none at all will do
};

struct TrueLine {
    enum class State { calling, ringing, talking, over };
    LineId id = 0;
    ConversationId conversation = 0;
    PersonId person = 0;
    std::string at;
    bool calls = false;  // it was the person who called
    State state = State::calling;
    Instant began{}, stood{}, ended{};
    std::optional<Instant> left_for_consult;  // its person has called somebody on another line beside it
    bool holds = false;                       // by its phone, or by desktop
    struct Consult {                          // by desktop: one line in two calls
        std::string call;
        bool serves_main = true;  // the line's audio is in the main call
        bool has_begun = false;   // it has been elsewhere
    };
    std::optional<Consult> consult;
    Instant consulted{};
    bool is_second = false;  // of a phone: all of it is a consult
};

struct TrueCall {
    std::string uuid, site;
    ConversationId conversation = 0;
    bool is_recorded_before = false;  // the hub records its leg to this site
    std::string parent;               // the call that called here, at another site
};

struct Conversation {
    ConversationId id = 0;
    std::vector<LineId> lines;
    std::vector<std::string> calls;  // calluuids, in the order they began
    std::set<std::string> sites;
    std::vector<TrueSegment> segments;
    PersonId customer = 0;
    std::vector<Whereabouts> customer_was;
    std::set<std::string> shaken;  // by faults: what, for the judge's mercy
    bool is_tangled = false;       // changes within changes: who held whom is more than this bookkeeping follows
    bool may_be_two = false;       // a consult was begun in the moment in which its main call ended, or was forgotten
    bool is_conferring = false;    // somebody is being added and has not come yet
    bool is_paused = false;        // what is recorded of it, at every site
    Instant began{}, ended{};
};

// The simulator's own bookkeeping: who belongs to which conversation, who is connected with whom and who holds, from
// what people do and how their audio flows. It reads no fact and no state of a switch; of a switch it sees which
// dialogs it calls one call (their ids), to know what to ask the archive for.
class Truth {
public:
    Truth(World& world, Audio& audio);

    PersonId add_person(Person person);
    [[nodiscard]] const Person& person(PersonId id) const { return people_.at(static_cast<std::size_t>(id - 1)); }
    ConversationId begin_conversation();

    // People's lines.
    void line_began(LineId line, ConversationId conversation, PersonId person, const std::string& at, bool calls);
    void line_rings(LineId line);
    void line_stands(LineId line);
    void line_holds(LineId line, bool holds);
    void line_over(LineId line);
    void consult_began(LineId line, const std::string& call);  // by desktop, on this line
    void consult_ended(LineId line);
    void conference_wanted(ConversationId conversation);  // single-step: somebody is being added
    // Not two in a plain talk: somebody consults (also when the call left for that is over), is called or being added,
    // waits in a queue, or there are three. What changes the call now makes the conversation tangled.
    [[nodiscard]] bool is_in_change(ConversationId conversation) const;
    [[nodiscard]] bool is_conferring(ConversationId conversation) const {
        return conversations_[static_cast<std::size_t>(conversation - 1)].is_conferring;
    }
    void tangle(ConversationId conversation);
    void record(LineId line, bool on);  // likewise on demand, or no longer
    [[nodiscard]] bool is_recorded(LineId line) const;
    void pause(ConversationId conversation, bool on);  // by a desktop of it: the switch has said yes
    [[nodiscard]] bool is_paused(ConversationId conversation) const {
        return conversations_[static_cast<std::size_t>(conversation - 1)].is_paused;
    }

    // Which dialogs and calls belong to which conversation.
    void dialog_of(const std::string& call_id, ConversationId conversation);
    [[nodiscard]] ConversationId conversation_of_dialog(const std::string& call_id) const;
    void call_is(const TrueCall& call);
    [[nodiscard]] std::string call_of_dialog(const std::string& call_id) const;  // empty: not known
    [[nodiscard]] const TrueCall* call(const std::string& uuid) const;
    void call_merged(const std::string& uuid, const std::string& into);  // for who asks for call_of_line
    void dialog_in_call(const std::string& call_id, const std::string& uuid);
    // A switch has taken a person's call: a consult, if that person's other line still stands.
    void call_begins(ConversationId conversation, const std::string& call_id);
    void line_has_dialog(LineId line, const std::string& call_id) { dialog_of_line_[line] = call_id; }
    [[nodiscard]] std::string call_of_line(LineId line) const;  // empty: not known
    // The hub's queue sends a call to a site and records its own leg there, which is this end.
    void leg_is_recorded(ConversationId conversation, const std::string& site, const std::string& at,
                         const std::string& call_id);
    void trunk_is_recorded(LineId line, const std::string& site);  // the customer's own line, once it stands

    void shake(ConversationId conversation, const std::string& what);
    void finish();  // everything still open ends now

    [[nodiscard]] std::deque<Conversation>& conversations() { return conversations_; }
    [[nodiscard]] const std::deque<Conversation>& conversations() const { return conversations_; }
    [[nodiscard]] const TrueLine* line(LineId id) const;
    [[nodiscard]] std::map<ConversationId, std::size_t> lines_standing() const;

private:
    void audio_changed(const std::set<LineId>& lines);
    void touch(ConversationId id);
    void look(Conversation& conversation);
    [[nodiscard]] Slice seen_from(const TrueLine& line) const;
    [[nodiscard]] Slice seen_from_leg(const TrueSegment& segment) const;
    [[nodiscard]] bool descends(std::string uuid, const std::string& from) const;
    [[nodiscard]] bool is_held(const TrueLine& line, const std::vector<Audio::Reached>& reached) const;
    // Calls that legs join are one tree; a consult begins another until it is completed.
    [[nodiscard]] std::string tree_of(std::string uuid) const;
    [[nodiscard]] std::string tree_served_by(const TrueLine& line) const;
    [[nodiscard]] bool somebody_else_in(const std::string& tree, const TrueLine& but, bool or_rings) const;
    [[nodiscard]] bool somebody_else_consults(const TrueLine& but) const;
    void meet(TrueLine& line);
    void begin_consult_segment(const TrueLine& line, bool has_company, bool by_desktop);
    void end_segment(TrueSegment& segment);
    [[nodiscard]] Slice seen_by(const TrueSegment& segment) const;
    [[nodiscard]] bool holds_nobody(const TrueLine& line) const;
    [[nodiscard]] Where where_is(const Conversation& conversation, const TrueLine& line) const;
    void look_at(TrueSegment& segment, bool is_paused);
    void follow_customer(Conversation& conversation);
    Conversation& of(ConversationId id) { return conversations_[static_cast<std::size_t>(id - 1)]; }

    World& world_;
    Audio& audio_;
    std::vector<Person> people_;
    std::deque<Conversation> conversations_;
    std::unordered_map<LineId, TrueLine> lines_;
    std::unordered_map<std::string, ConversationId> dialogs_;
    std::unordered_map<std::string, std::string> call_of_dialog_;
    std::unordered_map<LineId, std::string> dialog_of_line_;
    std::unordered_map<std::string, TrueCall> calls_;
    std::unordered_map<LineId, std::string> recorded_trunks_;
    std::unordered_map<LineId, std::string> call_of_line_;  // of one whose main call has ended during a consult
    std::unordered_map<std::string, std::string> merged_;
    std::unordered_map<std::string, ConversationId> recorded_legs_;  // by their ends
    std::set<ConversationId> touched_, consulting_;
};

}  // namespace sheaf::sim
