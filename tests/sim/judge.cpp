// SPDX-License-Identifier: Apache-2.0
#include "sim/judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace sheaf::sim {
namespace {

using archive::GapReason;
using archive::Label;
using archive::Ms;
using archive::RecordingView;
using archive::SegmentView;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

// How far a moment in the archive may be from the one in truth: the network's way and a negotiation of media, twice.
constexpr milliseconds kCalm{450};
// How much longer, for each call on the way, until a site that is not told itself has heard of a hold or a pause: a
// message's way, and that of the one before it in the same dialog.
constexpr milliseconds kPassedOn{130};
constexpr milliseconds kLossy{8'000};  // messages are sent again after 0.5, 1.5, 3.5, 7.5 s

std::string list_of(const std::set<std::string>& names) {
    std::string out;
    for (const auto& name : names) out += (out.empty() ? "" : ", ") + name;
    return "{" + out + "}";
}

std::string_view name_of(Where where) {
    switch (where) {
        case Where::away: return "away";
        case Where::queue: return "queue";
        case Where::ringing: return "ringing";
        case Where::talk: return "talk";
        case Where::unrecorded: return "not-selected";
        case Where::hold: return "hold";
    }
    return "?";
}

// One conversation against one recording.
class Comparison {
public:
    Comparison(Town& town, const Conversation& conversation, const RecordingView& view, Judgement& out)
        : town_(town),
          conversation_(conversation),
          view_(view),
          out_(out),
          tolerance_(town.options().profile == Profile::calm ? kCalm : kLossy) {
        const TrueCall* root = town.truth().call(view.id.text());
        clock_ = root == nullptr ? Clock{} : town.clock_of(root->site);
        for (const auto& party : view.parties) addresses_[party.id] = party.address;
    }

    void segments() {
        std::set<SegmentId> matched;
        std::vector<const TrueSegment*> order;  // what may be missing takes what is left
        for (const bool is_optional : {false, true})
            for (const TrueSegment& wanted : conversation_.segments)
                if (wanted.is_optional == is_optional) order.push_back(&wanted);
        for (const TrueSegment* each : order) {
            const TrueSegment& wanted = *each;
            if (wanted.person == 0) continue;  // nobody answered
            ++out_.segments;
            const SegmentView* found = nullptr;
            for (const SegmentView& segment : view_.segments) {
                if (matched.contains(segment.id) || !is_of(segment, wanted)) continue;
                if (found == nullptr || distance(segment, wanted) < distance(*found, wanted)) found = &segment;
            }
            if (found == nullptr) {
                const bool is_long = wanted.to - wanted.from > 2 * tolerance_;
                if (is_long && !wanted.is_optional) say("no segment of " + text_of(wanted));
                continue;
            }
            matched.insert(found->id);
            if (!wanted.is_optional) compare(*found, wanted);
        }
        for (const SegmentView& segment : view_.segments)
            if (!matched.contains(segment.id) && segment.duration_ms > 2 * tolerance_.count())
                say(fmt::format("a segment too many: {} of {} at {}", segment.id.text(), address_of(segment.party),
                                segment.site));
    }

    void whereabouts() {
        if (conversation_.customer == 0) return;
        const std::string& address = town_.truth().person(conversation_.customer).address;
        for (const Whereabouts& was : conversation_.customer_was) {
            if (was.where == Where::away || was.to - was.from <= 2 * tolerance_) continue;
            ++out_.gaps;
            compare(was, address);
        }
    }

    void state() {
        if (view_.state != archive::RecordingState::complete)
            say(fmt::format("the recording is {}", archive::name_of(view_.state)));
        for (const auto& alarm : view_.alarms) say("alarm: " + alarm.text);
    }

private:
    void say(std::string what) { out_.findings.push_back({conversation_.id, std::move(what)}); }
    [[nodiscard]] Ms ms(Instant at) const { return to_unix_ms(clock_.wall(at)); }
    [[nodiscard]] std::string address_of(const std::string& party) const {
        const auto found = addresses_.find(party);
        return found == addresses_.end() ? "?" : found->second;
    }
    [[nodiscard]] const std::string& address_of(PersonId person) const { return town_.truth().person(person).address; }
    [[nodiscard]] std::string text_of(const TrueSegment& wanted) const {
        return fmt::format("{} at {} from {:.3f} to {:.3f} s", address_of(wanted.person), wanted.site, at(wanted.from),
                           at(wanted.to));
    }
    static double at(Instant t) { return static_cast<double>(to_ms(t - kBegin)) / 1000.0; }
    [[nodiscard]] double at(Ms t) const { return static_cast<double>(t - ms(kBegin)) / 1000.0; }

    [[nodiscard]] bool is_of(const SegmentView& segment, const TrueSegment& wanted) const {
        if (segment.site != wanted.site || address_of(segment.party) != address_of(wanted.person)) return false;
        const Ms from = segment.started_at.value_or(segment.expected_at.value_or(0));
        const Ms to = segment.ended_at.value_or(archive::kNever);
        return from <= ms(wanted.to + tolerance_) && to >= ms(wanted.from - tolerance_);
    }

    // Before anybody answers, as a consult's may: while another site's queue plays.
    [[nodiscard]] bool begins_early(Ms from, const TrueSegment& wanted) const {
        return wanted.is_consult && from >= ms(wanted.earliest - tolerance_) && from <= ms(wanted.from);
    }

    // A person may be recorded twice at a time, in two calls.
    [[nodiscard]] Ms distance(const SegmentView& segment, const TrueSegment& wanted) const {
        const Ms from = segment.started_at.value_or(segment.expected_at.value_or(0));
        const Ms late = begins_early(from, wanted) ? 0 : std::abs(from - ms(wanted.from));
        return late + std::abs(segment.ended_at.value_or(from) - ms(wanted.to));
    }

    void compare(const SegmentView& segment, const TrueSegment& wanted) {
        const bool is_brief = wanted.to - wanted.from <= 2 * tolerance_;
        if (is_brief && segment.has_not_begun) return;
        if (segment.state != archive::SegmentState::stored && segment.state != archive::SegmentState::sealed)
            return say(fmt::format("segment {} of {} is {}", segment.id.text(), text_of(wanted),
                                   archive::name_of(segment.state)));
        const auto close = [&](Ms is, Instant should, const char* what) {
            const Ms off = is - ms(should);
            if (std::abs(off) > tolerance_.count())
                say(fmt::format("the segment of {} {} {} ms off", text_of(wanted), what, off));
        };
        if (!begins_early(*segment.started_at, wanted)) close(*segment.started_at, wanted.from, "starts");
        close(*segment.ended_at, wanted.to, "ends");
        for (const Slice& slice : wanted.slices) {
            if (slice.is_open || slice.to - slice.from <= 2 * tolerance_) continue;
            ++out_.slices;
            if (slice.is_paused)
                ++out_.paused;
            else if (slice.is_hold)
                ++out_.held;
            if (!slice.flaw.empty())
                say(fmt::format("from {:.3f} to {:.3f} s: {}", at(slice.from), at(slice.to), slice.flaw));
            compare(segment, wanted, slice);
            if (town_.options().profile == Profile::calm) stored(segment, wanted, slice);
        }
    }

    // While somebody is heard everything is stored, on hold or paused nothing.
    void stored(const SegmentView& segment, const TrueSegment& wanted, const Slice& slice) {
        const milliseconds told = tolerance_ + kPassedOn * conversation_.calls.size();
        const Instant from = slice.from + told, to = slice.to - tolerance_;
        Instant silent_until = from;
        for (const auto& silence : town_.media(segment.site).silences_of(segment.id)) {
            const Instant until = silence.is_over ? silence.to : to;
            if (silence.from >= to || until <= from) continue;
            if (!slice.is_hold && !slice.is_paused)
                return say(fmt::format("{} is not stored ({}) from {:.3f} to {:.3f} s, while somebody is heard",
                                       text_of(wanted), silence.label, at(std::max(silence.from, from)),
                                       at(std::min(until, to))));
            const milliseconds seam =
                kPassedOn * (slice.is_paused ? 0 : static_cast<std::int64_t>(conversation_.calls.size()));
            if (silence.from <= silent_until + seam) silent_until = std::max(silent_until, until);
        }
        if ((slice.is_hold || slice.is_paused) && silent_until < to)
            say(fmt::format("{} is stored from {:.3f} to {:.3f} s, {}", text_of(wanted), at(silent_until), at(to),
                            slice.is_paused ? "paused" : "on hold"));
    }

    void compare(const SegmentView& segment, const TrueSegment& wanted, const Slice& slice) {
        std::set<std::string> persons;
        for (const PersonId person : slice.persons) persons.insert(address_of(person));
        const Ms from = std::max(ms(slice.from + tolerance_), *segment.started_at);
        const Ms to = std::min(ms(slice.to - tolerance_), *segment.ended_at);
        Ms reached = from;
        for (const auto& entry : segment.timeline) {
            const Ms entry_from = *segment.started_at + entry.from_ms;
            const Ms entry_to = *segment.started_at + entry.to_ms;
            if (entry_from >= to || entry_to <= from) continue;
            if (entry_from > reached) break;
            reached = entry_to;
            std::set<std::string> said;
            for (const auto& party : entry.parties) said.insert(address_of(party));
            const bool is_same = slice.is_paused ? entry.label == Label::paused
                                 : slice.is_hold ? entry.label == Label::hold
                                                 : entry.label == Label::talk && said == persons;
            if (is_same) continue;
            return say(fmt::format("timeline of {}: from {:.3f} to {:.3f} s {} {}, in truth {} {}", text_of(wanted),
                                   at(std::max(entry_from, from)), at(std::min(entry_to, to)),
                                   archive::name_of(entry.label), list_of(said),
                                   slice.is_paused ? "paused"
                                   : slice.is_hold ? "hold"
                                                   : "talk",
                                   list_of(persons)));
        }
        if (reached < to)
            say(fmt::format("the timeline of {} says nothing from {:.3f} to {:.3f} s", text_of(wanted), at(reached),
                            at(to)));
    }

    static bool means(GapReason reason, const Whereabouts& was) {
        // Whoever is on hold while nothing is stored anyway: either word will do.
        const bool may_be_paused = was.where == Where::talk || was.where == Where::hold;
        if (was.is_paused && may_be_paused && reason == GapReason::paused) return true;
        if (was.is_open && reason == GapReason::hold) return true;
        switch (was.where) {
            case Where::queue: return reason == GapReason::queue || reason == GapReason::treatment;
            case Where::ringing: return reason == GapReason::ringing;
            case Where::unrecorded: return reason == GapReason::not_selected;
            case Where::hold: return reason == GapReason::hold;
            case Where::talk:
            case Where::away: break;
        }
        return false;
    }

    // One phone has been let go of and the next one does not ring yet; the first rings on until it has heard of it. Or
    // a consult was refused before its desktop had heard that there is one.
    [[nodiscard]] bool is_brief(const archive::GapView& gap, const Whereabouts& was) const {
        const auto length = milliseconds{gap.to - gap.from};
        if (gap.reason == GapReason::queue) return was.where == Where::ringing && length <= tolerance_;
        return gap.reason == GapReason::hold && was.where == Where::talk && length <= kCalm;
    }

    void compare(const Whereabouts& was, const std::string& customer) {
        const Ms from = ms(was.from + tolerance_);
        const Ms to = ms(was.to - tolerance_);
        Ms reached = from;
        const bool is_recorded = (was.where == Where::talk || was.is_in_own_file) && !was.is_paused;
        for (const auto& gap : view_.gaps) {
            if (gap.from >= ms(was.to) || gap.to <= from || address_of(gap.party) != customer) continue;
            // Between two of a customer's legs, one in the other's place, is a moment without either.
            if (gap.from > reached + tolerance_.count() && !is_recorded) break;
            const bool is_meant = means(gap.reason, was);
            if (gap.from >= to && !is_meant) continue;
            if (!is_meant && !is_brief(gap, was))
                return say(fmt::format("gap of {} from {:.3f} to {:.3f} s: {}, in truth {}", customer,
                                       at(std::max(gap.from, from)), at(std::min(gap.to, to)),
                                       archive::name_of(gap.reason), name_of(was.where)));
            reached = std::max(reached, gap.to);
        }
        if (!is_recorded && reached < to)
            say(fmt::format("from {:.3f} s on {} is in truth {}{}, and the archive has no such gap", at(reached),
                            customer, name_of(was.where), was.is_paused ? ", paused" : ""));
    }

    Town& town_;
    const Conversation& conversation_;
    const RecordingView& view_;
    Judgement& out_;
    milliseconds tolerance_;
    Clock clock_;
    std::map<std::string, std::string> addresses_;
};

// One recording with exactly the conversation's calls; null: it is not.
const RecordingView* grouped(Town& town, const Conversation& conversation, Ms now, Judgement& out) {
    const auto say = [&](std::string what) { out.findings.push_back({conversation.id, std::move(what)}); };
    auto& catalogue = town.archive().catalogue();
    std::set<std::string> recordings;
    const RecordingView* view = nullptr;
    for (const std::string& call : conversation.calls) {
        view = catalogue.recording(std::string(kTenant), call, now);
        if (view == nullptr) {
            say("the archive knows no call " + call);
            continue;
        }
        recordings.insert(view->id.text());
    }
    out.recordings += recordings.size();
    if (recordings.size() > 1 && conversation.may_be_two) {
        ++out.apart;
        return nullptr;
    }
    if (recordings.size() != 1) {
        say(fmt::format("{} recordings of one conversation: {}", recordings.size(), list_of(recordings)));
        return nullptr;
    }
    std::set<std::string> is, should(conversation.calls.begin(), conversation.calls.end());
    for (const auto& call : view->calls) is.insert(call.id.text());
    if (is == should) return view;
    say(fmt::format("the recording has the calls {}, the conversation {}", list_of(is), list_of(should)));
    return nullptr;
}

}  // namespace

Judgement judge(Town& town) {
    Judgement out;
    for (const auto& complaint : town.complaints()) out.findings.push_back({0, complaint});
    for (const auto& rejected : town.archive().rejected())
        out.findings.push_back({0, "the archive refuses " + rejected});
    for (const auto& left : town.leftovers()) out.findings.push_back({0, "left over: " + left});
    const Ms now = to_unix_ms(Clock{}.wall(town.world().now() + hours{24}));
    for (const Conversation& conversation : town.truth().conversations()) {
        if (conversation.calls.empty()) continue;
        ++out.conversations;
        if (conversation.sites.size() > 1) ++out.multi_site;
        if (!conversation.shaken.empty()) ++out.shaken;
        const RecordingView* view = grouped(town, conversation, now, out);
        if (conversation.is_tangled) ++out.tangled;
        if (view == nullptr || !conversation.shaken.empty() || conversation.is_tangled) continue;
        Comparison comparison(town, conversation, *view, out);
        comparison.segments();
        comparison.whereabouts();
        comparison.state();
    }
    return out;
}

}  // namespace sheaf::sim
