// SPDX-License-Identifier: Apache-2.0
#include "sim/truth.h"

#include <algorithm>

namespace sheaf::sim {
namespace {

// A BYE, and what it is an answer to, sent again once.
constexpr std::chrono::seconds kOnItsWay{1};

}  // namespace

Truth::Truth(World& world, Audio& audio) : world_(world), audio_(audio) {
    audio_.changed = [this](const std::set<LineId>& lines) { audio_changed(lines); };
    audio_.removed = [this](const std::string& at) {
        if (const auto leg = recorded_legs_.find(at); leg != recorded_legs_.end()) touch(leg->second);
        for (const ConversationId each : consulting_) touch(each);  // it may have been the last leg of a consult
    };
}

PersonId Truth::add_person(Person person) {
    person.id = static_cast<PersonId>(people_.size() + 1);
    people_.push_back(std::move(person));
    return people_.back().id;
}

ConversationId Truth::begin_conversation() {
    Conversation conversation;
    conversation.id = static_cast<ConversationId>(conversations_.size() + 1);
    conversation.began = world_.now();
    conversations_.push_back(std::move(conversation));
    return conversations_.back().id;
}

const TrueLine* Truth::line(LineId id) const {
    const auto found = lines_.find(id);
    return found == lines_.end() ? nullptr : &found->second;
}

std::map<ConversationId, std::size_t> Truth::lines_standing() const {
    std::map<ConversationId, std::size_t> out;
    for (const auto& [id, line] : lines_)
        if (line.state != TrueLine::State::over) ++out[line.conversation];
    return out;
}

void Truth::line_began(LineId id, ConversationId conversation, PersonId who, const std::string& at, bool calls) {
    TrueLine line;
    line.id = id;
    line.conversation = conversation;
    line.person = who;
    line.at = at;
    line.calls = calls;
    line.began = world_.now();
    Conversation& whole = of(conversation);
    // A second line of a phone is a consult: recorded where those are, once there is company.
    line.is_second = std::any_of(whole.lines.begin(), whole.lines.end(), [&](LineId other) {
        const TrueLine& own = lines_.at(other);
        return own.person == line.person && own.state == TrueLine::State::talking && !person(who).is_customer;
    });
    if (line.is_second && somebody_else_consults(line)) tangle(conversation);
    lines_[id] = line;
    whole.lines.push_back(id);
    if (whole.customer == 0 && person(who).is_customer) whole.customer = who;
    touch(conversation);
}

void Truth::line_rings(LineId id) {
    TrueLine& line = lines_.at(id);
    if (line.state == TrueLine::State::calling) line.state = TrueLine::State::ringing;
    touch(line.conversation);
}

void Truth::line_stands(LineId id) {
    TrueLine& line = lines_.at(id);
    if (line.state == TrueLine::State::talking || line.state == TrueLine::State::over) return;
    line.state = TrueLine::State::talking;
    line.stood = line.consulted = world_.now();
    Conversation& conversation = of(line.conversation);
    if (line.calls == false) conversation.is_conferring = false;
    TrueSegment segment;
    segment.person = line.person;
    segment.line = id;
    segment.from = world_.now();
    if (const auto trunk = recorded_trunks_.find(id); trunk != recorded_trunks_.end()) {
        segment.site = trunk->second;
        conversation.segments.push_back(segment);
    }
    const Person& who = person(line.person);
    const TrueCall* its = call(call_of_line(id));
    if (who.is_recorded && !line.is_second && !(its != nullptr && its->is_recorded_before)) {
        segment.site = who.site;
        conversation.segments.push_back(segment);
    }
    touch(line.conversation);
}

void Truth::line_holds(LineId id, bool holds) {
    TrueLine& line = lines_.at(id);
    if (line.holds == holds) return;
    line.holds = holds;
    touch(line.conversation);
}

void Truth::consult_began(LineId id, const std::string& call) {
    TrueLine& line = lines_.at(id);
    if (line.state != TrueLine::State::talking) return;
    line.consult = TrueLine::Consult{call, true};
    line.consulted = world_.now();
    if (somebody_else_consults(line)) tangle(line.conversation);
    // Somebody else's pause and this were on their way at once: a consult is a call of its own, which is not paused.
    if (is_paused(line.conversation)) tangle(line.conversation);
    consulting_.insert(line.conversation);
    touch(line.conversation);
}

void Truth::consult_ended(LineId id) {
    TrueLine& line = lines_.at(id);
    line.consult.reset();
    consulting_.erase(line.conversation);
    for (TrueSegment& segment : of(line.conversation).segments)
        if (segment.line == id && segment.is_by_desktop) end_segment(segment);
    touch(line.conversation);
}

void Truth::conference_wanted(ConversationId id) {
    of(id).is_conferring = true;
}

void Truth::tangle(ConversationId id) {
    of(id).is_tangled = true;
}

void Truth::record(LineId id, bool on) {
    TrueLine& line = lines_.at(id);
    if (line.state != TrueLine::State::talking) return;
    Conversation& conversation = of(line.conversation);
    if (on) {
        TrueSegment segment;
        segment.person = line.person;
        segment.line = id;
        segment.site = person(line.person).site;
        segment.from = world_.now();
        conversation.segments.push_back(segment);
    } else {
        for (TrueSegment& segment : conversation.segments)
            if (segment.line == id) end_segment(segment);
    }
    touch(line.conversation);
}

bool Truth::is_recorded(LineId id) const {
    const auto& segments = conversations_[static_cast<std::size_t>(lines_.at(id).conversation - 1)].segments;
    return std::ranges::any_of(segments, [&](const TrueSegment& one) { return one.line == id && !one.is_over; });
}

void Truth::pause(ConversationId id, bool on) {
    of(id).is_paused = on;
    touch(id);
}

bool Truth::is_in_change(ConversationId id) const {
    const Conversation& conversation = conversations_[static_cast<std::size_t>(id - 1)];
    std::set<PersonId> talking;
    for (const LineId each : conversation.lines)
        if (lines_.at(each).state == TrueLine::State::talking) talking.insert(lines_.at(each).person);
    if (conversation.is_conferring || talking.size() != 2) return true;
    std::set<PersonId> seen;
    return std::any_of(conversation.lines.begin(), conversation.lines.end(), [&](LineId each) {
        const TrueLine& line = lines_.at(each);
        if (line.state == TrueLine::State::over) return false;
        if (line.state != TrueLine::State::talking) return true;  // somebody is called
        return line.consult.has_value() || line.is_second || !seen.insert(line.person).second;
    });
}

// Both began in one moment: neither knew of the other's.
bool Truth::somebody_else_consults(const TrueLine& but) const {
    const auto& lines = conversations_[static_cast<std::size_t>(but.conversation - 1)].lines;
    return std::any_of(lines.begin(), lines.end(), [&](LineId id) {
        const TrueLine& line = lines_.at(id);
        return line.person != but.person && line.state != TrueLine::State::over && (line.consult || line.is_second);
    });
}

void Truth::end_segment(TrueSegment& segment) {
    if (segment.is_over) return;
    segment.is_over = true;
    segment.to = world_.now();
    if (!segment.slices.empty()) segment.slices.back().to = segment.to;
}

void Truth::line_over(LineId id) {
    TrueLine& line = lines_.at(id);
    if (line.state == TrueLine::State::over) return;
    line.state = TrueLine::State::over;
    line.ended = world_.now();
    Conversation& conversation = of(line.conversation);
    // Its switch had ended it, and neither the phone nor the media server had heard of it yet.
    if (line.left_for_consult && world_.now() - *line.left_for_consult < kOnItsWay) conversation.may_be_two = true;
    for (TrueSegment& segment : conversation.segments)
        if (segment.line == id) end_segment(segment);
    conversation.ended = world_.now();
    touch(line.conversation);
}

void Truth::dialog_of(const std::string& call_id, ConversationId conversation) {
    if (conversation != 0) dialogs_[call_id] = conversation;
}

ConversationId Truth::conversation_of_dialog(const std::string& call_id) const {
    const auto found = dialogs_.find(call_id);
    return found == dialogs_.end() ? 0 : found->second;
}

void Truth::call_is(const TrueCall& call) {
    if (call.conversation == 0 || calls_.contains(call.uuid)) return;
    calls_[call.uuid] = call;
    of(call.conversation).calls.push_back(call.uuid);
    of(call.conversation).sites.insert(call.site);
}

void Truth::call_begins(ConversationId id, const std::string& call_id) {
    if (id == 0) return;
    Conversation& conversation = of(id);
    const TrueLine* own = nullptr;
    for (const LineId each : conversation.lines)
        if (const auto dialog = dialog_of_line_.find(each);
            dialog != dialog_of_line_.end() && dialog->second == call_id)
            own = &lines_.at(each);
    if (own == nullptr || conversation.calls.empty()) return;
    if (conversation.is_paused) tangle(id);  // likewise
    const bool is_in_talk = std::any_of(conversation.lines.begin(), conversation.lines.end(), [&](LineId each) {
        TrueLine& other = lines_.at(each);
        const AudioEnd* end = audio_.find(other.at);
        const bool stands = end != nullptr && audio_.find(end->to) != nullptr;  // else its BYE is on the way
        if (other.id == own->id || other.person != own->person || other.state != TrueLine::State::talking) return false;
        other.left_for_consult = world_.now();
        return stands;
    });
    // A switch that has started anew does not know of the call in which its agent still is.
    const bool is_forgotten = conversation.shaken.contains("crash of the switch of " + person(own->person).site);
    conversation.may_be_two = conversation.may_be_two || !is_in_talk || is_forgotten;
}

std::string Truth::call_of_dialog(const std::string& call_id) const {
    const auto found = call_of_dialog_.find(call_id);
    return found == call_of_dialog_.end() ? std::string() : found->second;
}

std::string Truth::tree_of(std::string uuid) const {
    while (true) {
        if (const auto merged = merged_.find(uuid); merged != merged_.end()) {
            uuid = merged->second;
        } else if (const TrueCall* known = call(uuid); known != nullptr && !known->parent.empty()) {
            uuid = known->parent;
        } else {
            return uuid;
        }
    }
}

std::string Truth::tree_served_by(const TrueLine& line) const {
    return tree_of(line.consult && !line.consult->serves_main ? line.consult->call : call_of_line(line.id));
}

bool Truth::somebody_else_in(const std::string& tree, const TrueLine& but, bool or_rings) const {
    const auto& lines = conversations_[static_cast<std::size_t>(but.conversation - 1)].lines;
    return std::any_of(lines.begin(), lines.end(), [&](LineId id) {
        const TrueLine& line = lines_.at(id);
        const bool is_there =
            line.state == TrueLine::State::talking || (line.state == TrueLine::State::ringing && or_rings);
        return line.person != but.person && is_there && tree_of(call_of_line(id)) == tree;
    });
}

const TrueCall* Truth::call(const std::string& uuid) const {
    const auto found = calls_.find(uuid);
    return found == calls_.end() ? nullptr : &found->second;
}

void Truth::dialog_in_call(const std::string& call_id, const std::string& uuid) {
    call_of_dialog_[call_id] = uuid;
}

void Truth::call_merged(const std::string& uuid, const std::string& into) {
    merged_[uuid] = into;
}

std::string Truth::call_of_line(LineId line) const {
    if (const auto moved = call_of_line_.find(line); moved != call_of_line_.end()) return moved->second;
    const auto dialog = dialog_of_line_.find(line);
    if (dialog == dialog_of_line_.end()) return {};
    const auto call = call_of_dialog_.find(dialog->second);
    if (call == call_of_dialog_.end()) return {};
    std::string uuid = call->second;
    for (auto merged = merged_.find(uuid); merged != merged_.end(); merged = merged_.find(uuid)) uuid = merged->second;
    return uuid;
}

void Truth::leg_is_recorded(ConversationId conversation, const std::string& site, const std::string& at,
                            const std::string& call_id) {
    if (conversation == 0) return;
    TrueSegment segment;
    segment.site = site;
    segment.leg = at;
    segment.dialog = call_id;
    segment.conversation = conversation;
    recorded_legs_[at] = conversation;
    of(conversation).segments.push_back(segment);
}

void Truth::trunk_is_recorded(LineId line, const std::string& site) {
    recorded_trunks_[line] = site;
}

void Truth::shake(ConversationId conversation, const std::string& what) {
    if (conversation != 0) of(conversation).shaken.insert(what);
}

void Truth::audio_changed(const std::set<LineId>& lines) {
    for (const LineId id : lines)
        if (const auto found = lines_.find(id); found != lines_.end()) touch(found->second.conversation);
}

// Several changes of one moment are looked at once.
void Truth::touch(ConversationId id) {
    if (id == 0) return;
    if (touched_.empty()) {
        world_.after(Duration{0}, [this] {
            for (const ConversationId each : std::exchange(touched_, {})) look(of(each));
        });
    }
    touched_.insert(id);
}

void Truth::look(Conversation& conversation) {
    for (const LineId id : conversation.lines)
        if (TrueLine& line = lines_.at(id); line.state == TrueLine::State::talking) meet(line);
    for (TrueSegment& segment : conversation.segments)
        if (!segment.is_over) look_at(segment, conversation.is_paused);
    follow_customer(conversation);
}

void Truth::meet(TrueLine& line) {
    const auto reached = audio_.reach(line.at);
    const bool has_company = std::any_of(reached.begin(), reached.end(), [&](const auto& each) {
        const TrueLine* other = this->line(each.line);
        return other != nullptr && other->state == TrueLine::State::talking && other->person != line.person;
    });
    if (line.is_second) begin_consult_segment(line, has_company && (!line.consult || line.consult->serves_main), false);
    if (!line.consult) return;
    const AudioEnd* own = audio_.find(line.at);
    const AudioEnd* leg = own == nullptr ? nullptr : audio_.find(own->to);
    if (leg != nullptr && !leg->room.empty()) line.consult->serves_main = leg->room.text() != line.consult->call;
    if (line.consult->serves_main) {
        // It has come back by itself when nothing is left of the consult call, not even a leg that rings.
        const bool is_left =
            (leg != nullptr && audio_.has_room(leg->server, RoomId(line.consult->call))) ||
            (!merged_.contains(line.consult->call) && somebody_else_in(tree_of(line.consult->call), line, true));
        if (line.consult->has_begun && !is_left) consult_ended(line.id);
        return;
    }
    line.consult->has_begun = true;
    begin_consult_segment(line, has_company, true);
    const std::string main = call_of_line(line.id);
    // Its room stands while the switch has not heard of it, or a queue elsewhere looks for who is to join.
    const bool stands = leg != nullptr && audio_.has_room(leg->server, RoomId(main));
    if (stands || somebody_else_in(tree_of(main), line, true)) return;
    // Whoever waited has gone: the consult call is the line's only one now.
    call_of_line_[line.id] = line.consult->call;
    line.consult.reset();
    line.is_second = false;  // that part of it is over
    for (TrueSegment& segment : of(line.conversation).segments)
        if (segment.line == line.id && !segment.is_by_desktop) end_segment(segment);
}

void Truth::begin_consult_segment(const TrueLine& line, bool has_company, bool by_desktop) {
    const Person& who = person(line.person);
    const TrueCall* its = call(call_of_line(line.id));
    if (!who.is_recorded_in_consults || (its != nullptr && its->is_recorded_before)) return;
    auto& segments = of(line.conversation).segments;
    const auto known = std::find_if(segments.begin(), segments.end(), [&](const TrueSegment& segment) {
        return segment.line == line.id && segment.is_consult && !segment.is_over && segment.is_by_desktop == by_desktop;
    });
    if (known != segments.end()) {
        if (known->is_optional && has_company) {
            known->from = world_.now();
            known->slices.clear();
        }
        known->is_optional = known->is_optional && !has_company;
        return;
    }
    TrueSegment segment;
    segment.site = who.site;
    segment.person = line.person;
    segment.line = line.id;
    segment.is_consult = true;
    segment.is_by_desktop = by_desktop;
    segment.is_optional = !has_company;
    segment.from = world_.now();
    segment.earliest = line.consulted;
    segments.push_back(segment);
}

Slice Truth::seen_by(const TrueSegment& segment) const {
    if (segment.line == 0) return seen_from_leg(segment);
    const TrueLine& line = lines_.at(segment.line);
    if (line.consult && line.consult->serves_main == segment.is_by_desktop) {
        Slice elsewhere;
        elsewhere.is_hold = true;
        return elsewhere;
    }
    return seen_from(line);
}

void Truth::look_at(TrueSegment& segment, bool is_paused) {
    if (segment.line == 0) {
        const AudioEnd* leg = audio_.find(segment.leg);
        if (leg == nullptr) return end_segment(segment);
        if (segment.person == 0) {  // it has not begun
            for (const auto& reached : audio_.reach(segment.leg)) {
                const TrueLine* line = this->line(reached.line);
                if (!reached.behind || line == nullptr || line->state != TrueLine::State::talking) continue;
                segment.person = line->person;
            }
            if (segment.person == 0) return;
            segment.from = world_.now();
        }
    }
    Slice now = seen_by(segment);
    now.from = world_.now();
    now.is_paused = is_paused;
    if (!segment.slices.empty()) {
        Slice& last = segment.slices.back();
        const bool goes_on = last.is_hold == now.is_hold && last.persons == now.persons && last.flaw == now.flaw &&
                             last.is_open == now.is_open && last.is_paused == now.is_paused;
        if (goes_on) return;
        last.to = now.from;
    }
    segment.slices.push_back(std::move(now));
}

// Somebody it would talk with holds, or it holds itself.
bool Truth::is_held(const TrueLine& line, const std::vector<Audio::Reached>& reached) const {
    if (line.holds) return true;
    bool any = false;
    for (const auto& each : reached) {
        const auto found = lines_.find(each.line);
        if (found == lines_.end() || found->second.state != TrueLine::State::talking) continue;
        if (!found->second.holds) return false;
        any = true;
    }
    if (any) return true;
    // A holder's leg has left the room, one in a consult has been moved: the others of that call are held by them.
    const std::string tree = tree_served_by(line);
    const auto& lines = conversations_[static_cast<std::size_t>(line.conversation - 1)].lines;
    return std::any_of(lines.begin(), lines.end(), [&](LineId id) {
        const TrueLine& other = lines_.at(id);
        if (other.state != TrueLine::State::talking || other.person == line.person) return false;
        if (other.holds && tree_of(call_of_line(id)) == tree) return true;
        if (!other.consult) return false;
        return tree_of(other.consult->serves_main ? other.consult->call : call_of_line(id)) == tree;
    });
}

Slice Truth::seen_from(const TrueLine& line) const {
    Slice slice;
    const auto reached = audio_.reach(line.at);
    slice.is_hold = is_held(line, reached);
    if (slice.is_hold) {
        // Nobody, because of a hold, and a queue's treatment: either word will do.
        const bool treated =
            std::any_of(reached.begin(), reached.end(), [](const auto& each) { return each.line == 0; });
        slice.is_open = treated || holds_nobody(line);
        return slice;
    }
    std::set<PersonId> persons{line.person};
    for (const auto& each : reached) {
        const auto found = lines_.find(each.line);
        if (found == lines_.end()) continue;
        const TrueLine& other = found->second;
        if (other.state != TrueLine::State::talking || other.holds) continue;
        persons.insert(other.person);
        if (!each.hears) slice.flaw = person(line.person).address + " does not hear " + person(other.person).address;
        if (!each.heard) slice.flaw = person(other.person).address + " does not hear " + person(line.person).address;
    }
    slice.persons.assign(persons.begin(), persons.end());
    return slice;
}

bool Truth::descends(std::string uuid, const std::string& from) const {
    while (!uuid.empty()) {
        if (uuid == from) return true;
        const auto merged = merged_.find(uuid);
        const TrueCall* known = call(uuid);
        uuid = merged != merged_.end() ? merged->second : known != nullptr ? known->parent : std::string();
    }
    return false;
}

// On hold when nobody can be heard on one of its sides, because whoever is there holds: a holder's leg leaves its room.
Slice Truth::seen_from_leg(const TrueSegment& segment) const {
    Slice slice;
    std::set<PersonId> near, behind;
    for (const auto& each : audio_.reach(segment.leg)) {
        slice.is_open = slice.is_open || each.line == 0;  // a queue plays there
        const auto found = lines_.find(each.line);
        if (found == lines_.end() || found->second.state != TrueLine::State::talking || found->second.holds) continue;
        (each.behind ? behind : near).insert(found->second.person);
        if (!each.hears) slice.flaw = "the leg does not hear " + person(found->second.person).address;
        if (!each.heard) slice.flaw = person(found->second.person).address + " does not hear the leg";
    }
    const auto far_call = call_of_dialog(segment.dialog);
    const auto own_call = call(far_call) == nullptr ? std::string() : tree_of(far_call);
    bool near_holds = false, behind_holds = false;
    for (const LineId id : conversations_[static_cast<std::size_t>(segment.conversation - 1)].lines) {
        const TrueLine& line = lines_.at(id);
        if (line.state != TrueLine::State::talking) continue;
        const std::string in = call_of_line(id);
        const std::string& away = line.consult && line.consult->serves_main ? line.consult->call : in;
        const std::string& not_heard = line.holds ? in : line.consult ? away : in;
        if (!line.holds && !line.consult) continue;
        if (descends(not_heard, far_call))
            behind_holds = true;
        else if (tree_of(not_heard) == own_call)
            near_holds = true;
    }
    slice.is_hold = (near.empty() && near_holds) || (behind.empty() && behind_holds);
    slice.is_open = slice.is_open && slice.is_hold;  // either word will do
    if (slice.is_hold) {
        slice.flaw.clear();
        return slice;
    }
    near.insert(behind.begin(), behind.end());
    slice.persons.assign(near.begin(), near.end());
    return slice;
}

// Who puts a queue on hold waits in it all the same.
bool Truth::holds_nobody(const TrueLine& line) const {
    return line.holds && !somebody_else_in(tree_served_by(line), line, false);
}

Where Truth::where_is(const Conversation& conversation, const TrueLine& line) const {
    if (line.state == TrueLine::State::over) return Where::away;
    for (const TrueSegment& segment : conversation.segments) {
        if (segment.is_over || segment.slices.empty()) continue;
        const Slice& now = segment.slices.back();
        const bool is_there = std::binary_search(now.persons.begin(), now.persons.end(), line.person);
        if (is_there && !now.is_hold) return Where::talk;
    }
    const auto reached = audio_.reach(line.at);
    if (line.state == TrueLine::State::talking && !holds_nobody(line) && is_held(line, reached)) return Where::hold;
    const bool has_company = std::any_of(reached.begin(), reached.end(), [&](const auto& each) {
        const auto found = lines_.find(each.line);
        return found != lines_.end() && found->second.state == TrueLine::State::talking;
    });
    if (has_company && line.state == TrueLine::State::talking) return Where::unrecorded;
    const bool rings = std::any_of(conversation.lines.begin(), conversation.lines.end(),
                                   [&](LineId id) { return lines_.at(id).state == TrueLine::State::ringing; });
    return rings ? Where::ringing : Where::queue;
}

void Truth::follow_customer(Conversation& conversation) {
    if (conversation.customer == 0) return;
    Whereabouts now{world_.now(), world_.now(), Where::away, conversation.is_paused};
    for (const LineId id : conversation.lines) {
        const TrueLine& line = lines_.at(id);
        if (now.where == Where::talk) break;  // by another line: one takes the other's place
        // Whoever is called is there once it answers; who calls, from the first.
        const bool is_there = line.calls ? line.state != TrueLine::State::over : line.state == TrueLine::State::talking;
        if (line.person != conversation.customer || !is_there) continue;
        now.where = where_is(conversation, line);
        now.is_open = holds_nobody(line);
        now.is_in_own_file = now.is_open && std::any_of(conversation.segments.begin(), conversation.segments.end(),
                                                        [&](const auto& s) { return !s.is_over && s.line == id; });
    }
    auto& was = conversation.customer_was;
    if (!was.empty()) {
        Whereabouts& last = was.back();
        if (last.where == now.where && last.is_paused == now.is_paused && last.is_open == now.is_open &&
            last.is_in_own_file == now.is_in_own_file)
            return;
        last.to = now.from;
    }
    was.push_back(now);
}

void Truth::finish() {
    for (Conversation& conversation : conversations_) {
        for (TrueSegment& segment : conversation.segments) {
            if (!segment.is_over) segment.to = world_.now();
            if (!segment.slices.empty()) segment.slices.back().to = segment.to;
        }
        if (!conversation.customer_was.empty()) conversation.customer_was.back().to = world_.now();
    }
}

}  // namespace sheaf::sim
