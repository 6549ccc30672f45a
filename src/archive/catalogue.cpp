// SPDX-License-Identifier: Apache-2.0
#include "archive/catalogue.h"

#include <algorithm>

#include "archive/links.h"
#include "base/match.h"
#include "base/planted.h"

namespace sheaf::archive {

bool Catalogue::add(TypedFact fact) {
    const bool is_new = ids_.insert(fact.id).second;
    if (!is_new && !is_planted("fact_applied_twice")) return false;
    facts_.push_back(std::move(fact));
    index(facts_.back());
    group(facts_.back());
    return is_new;
}

void Catalogue::index(const TypedFact& fact) {
    const std::string& t = fact.tenant;
    if (const CallUuid call = call_of(fact.body); !call.empty()) {
        by_call_[{t, call.text()}].push_back(&fact);
        if (const SegmentId segment = segment_of(fact.body); !segment.empty()) {
            segments_of_call_[{t, call.text()}].insert(segment.text());
            calls_of_segment_[{t, segment.text()}].insert(call.text());
        }
        touch({t, call.text()});
    } else if (const SegmentId segment = segment_of(fact.body); !segment.empty()) {
        by_segment_[{t, segment.text()}].push_back(&fact);
        for (const std::string& owner : calls_of_segment_[{t, segment.text()}]) touch({t, owner});
    } else if (const LinkId link = link_of(fact.body); !link.empty()) {
        by_link_[{t, link.text()}].push_back(&fact);
        const auto name = [&](const CallUuid& end) {
            if (end.empty()) return;
            links_of_call_[{t, end.text()}].insert(link.text());
            calls_of_link_[{t, link.text()}].insert(end.text());
        };
        if (const auto* opened = std::get_if<LinkOpened>(&fact.body)) {
            name(opened->from);
            name(opened->to);
        } else if (const auto* answered = std::get_if<LinkAnswered>(&fact.body)) {
            name(answered->peer);
        } else if (const auto* manual = std::get_if<OperatorLink>(&fact.body)) {
            name(manual->from);
            name(manual->to);
        }
        for (const std::string& end : calls_of_link_[{t, link.text()}]) touch({t, end});
    }
}

void Catalogue::group(const TypedFact& fact) {
    const std::string& t = fact.tenant;
    if (const CallUuid call = call_of(fact.body); !call.empty()) {
        const SegmentId segment = segment_of(fact.body);
        if (segment.empty())
            tell_engine(grouping::Call{t, call.text()});
        else
            tell_engine(grouping::Seg{t, segment.text(), call.text()});
    }
    std::visit(
        Match{[&](const LinkOpened& f) { group_link(fact, f); }, [&](const LinkAnswered& f) { group_answer(fact, f); },
              [&](const LinkRetracted& f) { group_retraction(fact, f.link); },
              [&](const OperatorVeto& f) { tell_engine(grouping::Veto{t, f.a.text(), f.b.text(), f.version, f.on}); },
              [&](const OperatorLink& f) {
                  tell_engine(grouping::Call{t, f.from.text()});
                  tell_engine(grouping::Call{t, f.to.text()});
                  tell_engine(grouping::Link{t, f.link.text(), f.from.text(), f.to.text()});
              },
              [&](const OperatorAccept& f) { tell_engine(grouping::Accept{t, f.link.text(), f.version, f.on}); },
              [](const auto&) {}},
        fact.body);
}

// Both ends become calls of their own right, so that an id once shown resolves for ever, whatever becomes of the link.
void Catalogue::group_link(const TypedFact& fact, const LinkOpened& opened) {
    const Key link{fact.tenant, opened.link.text()};
    opened_by_[link].insert(fact.site);
    tell_engine(grouping::Call{fact.tenant, opened.from.text()});
    const bool is_suggestion = opened.tier >= 2;
    const auto join = [&](const std::string& to) {
        tell_engine(grouping::Call{fact.tenant, to});
        tell_engine(grouping::Link{fact.tenant, link.second, opened.from.text(), to, opened.tier, true, is_suggestion});
    };
    if (!opened.to.empty()) {
        join(opened.to.text());
    } else {
        half_open_[{link, fact.site}].insert({opened.from.text(), opened.tier});
        for (const std::string& peer : peers_[{link, fact.site}]) join(peer);
    }
    if (retracted_by_[link].contains(fact.site)) tell_engine(grouping::Retract{fact.tenant, link.second});
}

void Catalogue::group_answer(const TypedFact& fact, const LinkAnswered& answered) {
    if (answered.half != Half::from || answered.peer.empty()) return;
    const Key link{fact.tenant, answered.link.text()};
    const std::string& to = answered.peer.text();
    if (!peers_[{link, fact.site}].insert(to).second) return;
    for (const auto& [from, tier] : half_open_[{link, fact.site}]) {
        tell_engine(grouping::Call{fact.tenant, to});
        tell_engine(grouping::Link{fact.tenant, link.second, from, to, tier, true, tier >= 2});
    }
}

void Catalogue::group_retraction(const TypedFact& fact, const LinkId& id) {
    const Key link{fact.tenant, id.text()};
    retracted_by_[link].insert(fact.site);
    if (opened_by_[link].contains(fact.site)) tell_engine(grouping::Retract{fact.tenant, link.second});
}

void Catalogue::tell_engine(const grouping::Fact& fact) {
    // What was the root of a touched call may be one no longer: its view goes, and so does that of the new one.
    for (const Key& call : engine_.add(fact)) {
        forget(call);
        touch(call);
    }
}

void Catalogue::touch(const Key& call) {
    const Key recording = engine_.recording_of(call);
    if (recording.second.empty()) return;
    dirty_.insert(recording);
    changed_.insert(recording);
}

void Catalogue::forget(const Key& recording) {
    const auto at = cache_.find(recording);
    if (at == cache_.end()) return;
    due_.erase({at->second.view.changes_at, recording});
    order_[recording.first].erase({at->second.view.started_at.value_or(0), recording.second});
    cache_.erase(at);
    changed_.insert(recording);
}

std::vector<Catalogue::Key> Catalogue::take_changed(Ms now) {
    refresh(now);
    std::vector<Key> changed(changed_.begin(), changed_.end());
    changed_.clear();
    return changed;
}

Ms Catalogue::next_change() const {
    return due_.empty() ? kNever : due_.begin()->first;
}

Catalogue::Facts Catalogue::facts_of(const Key& recording, const grouping::Group& group) const {
    std::set<const TypedFact*> seen;
    Facts facts;
    const auto take = [&](const std::map<Key, Facts>& from, const std::string& name, bool once) {
        const auto found = from.find({recording.first, name});
        if (found == from.end()) return;
        for (const TypedFact* fact : found->second)
            if (once || seen.insert(fact).second) facts.push_back(fact);
    };
    const auto names = [&](const std::map<Key, std::set<std::string>>& from, const std::string& call) {
        const auto found = from.find({recording.first, call});
        return found == from.end() ? std::set<std::string>() : found->second;
    };
    for (const std::string& call : group.calls) {
        take(by_call_, call, true);
        for (const std::string& link : names(links_of_call_, call)) take(by_link_, link, false);
        for (const std::string& segment : names(segments_of_call_, call)) take(by_segment_, segment, false);
    }
    return facts;
}

const Catalogue::Cached& Catalogue::fresh(const Key& recording, Ms now) {
    const auto at = cache_.find(recording);
    const bool is_fresh = at != cache_.end() && !dirty_.contains(recording) && !at->second.view.is_live &&
                          now < at->second.view.changes_at;
    if (is_fresh) return at->second;
    if (at != cache_.end()) {
        if (now >= at->second.view.changes_at) changed_.insert(recording);  // whoever listens has not heard of it yet
        due_.erase({at->second.view.changes_at, recording});
        order_[recording.first].erase({at->second.view.started_at.value_or(0), recording.second});
    }
    dirty_.erase(recording);
    const grouping::Group& group = engine_.view().at(recording);
    Component component{CallUuid(recording.second), group.calls, group.needs_review, facts_of(recording, group)};
    Cached cached{recording_view(component, now, options_.settle_ms), false};
    cached.is_listed = !cached.view.segments.empty();
    if (cached.is_listed) order_[recording.first].insert({cached.view.started_at.value_or(0), recording.second});
    if (cached.view.changes_at != kNever) due_.insert({cached.view.changes_at, recording});
    return cache_.insert_or_assign(recording, std::move(cached)).first->second;
}

void Catalogue::refresh(Ms now) {
    while (!due_.empty() && due_.begin()->first <= now) {
        const Key recording = due_.begin()->second;
        dirty_.insert(recording);
        changed_.insert(recording);
        due_.erase(due_.begin());
    }
    for (const Key& recording : std::set<Key>(std::move(dirty_))) {
        dirty_.insert(recording);
        if (engine_.view().contains(recording)) fresh(recording, now);
    }
    dirty_.clear();
}

const RecordingView* Catalogue::recording(const std::string& tenant, const std::string& id, Ms now) {
    const Key recording = engine_.recording_of({tenant, id});
    if (recording.second.empty()) return nullptr;
    return &fresh(recording, now).view;
}

Page Catalogue::list(const std::string& tenant, const Query& query, Ms now) {
    refresh(now);
    Page page;
    const auto& order = order_[tenant];
    std::vector<std::string> ids;  // a copy: what is live is folded again on the way
    auto before = query.after;
    if (query.to && (!before || *query.to <= before->first)) before = {*query.to, std::string()};
    const auto last = before ? order.lower_bound(*before) : order.end();
    for (auto at = std::make_reverse_iterator(last); at != order.rend(); ++at) {
        if (query.from && at->first < *query.from) break;
        ids.push_back(at->second);
    }
    for (const std::string& id : ids) {
        const RecordingView& view = fresh({tenant, id}, now).view;
        if (!matches(query, view)) continue;
        if (page.items.size() == query.limit) {
            page.next_cursor = cursor_for(page.items.back());
            break;
        }
        page.items.push_back(view);
    }
    return page;
}

std::vector<Alarm> Catalogue::alarms(const std::string& tenant, Ms now) {
    refresh(now);
    std::vector<Alarm> alarms;
    for (const auto& [key, cached] : cache_)
        if (key.first == tenant) alarms.insert(alarms.end(), cached.view.alarms.begin(), cached.view.alarms.end());
    std::sort(alarms.begin(), alarms.end(), [](const Alarm& a, const Alarm& b) {
        return std::tie(b.at, a.recording, a.segment, a.kind) < std::tie(a.at, b.recording, b.segment, b.kind);
    });
    return alarms;
}

std::vector<Catalogue::LinkStanding> Catalogue::link_standings(const std::string& tenant, const std::string& id) {
    const Key recording = engine_.recording_of({tenant, id});
    if (recording.second.empty()) return {};
    const grouping::Group& group = engine_.view().at(recording);
    std::vector<TimedFact> facts;
    for (const TypedFact* fact : facts_of(recording, group)) facts.push_back({to_unix_ms(fact->at), fact});
    std::sort(facts.begin(), facts.end(), [](const TimedFact& a, const TimedFact& b) {
        return std::tie(a.at, a.fact->id) < std::tie(b.at, b.fact->id);
    });
    std::vector<LinkStanding> standings;
    using Effect = LinkStanding::Effect;
    for (LinkView& link : links_of(facts)) {
        const bool is_suggestion = link.tier >= 2;
        const grouping::Link plain{tenant, link.id.text(), link.from.text(), link.to.text(), link.tier, true, false};
        grouping::Link asked = plain;
        asked.suggestion = is_suggestion;
        const bool inside = group.calls.contains(plain.a) && group.calls.contains(plain.b);
        const Effect effect = link.to.empty()           ? Effect::one_end
                              : link.retracted          ? Effect::retracted
                              : !engine_.is_live(plain) ? Effect::vetoed
                              : !engine_.is_live(asked) ? Effect::suggestion
                              : !inside                 ? Effect::beyond_cap
                                                        : Effect::joins;
        standings.push_back({std::move(link), effect});
    }
    return standings;
}

std::optional<Catalogue::SegmentOwner> Catalogue::segment(const std::string& tenant, const SegmentId& id) const {
    const Key key{tenant, id.text()};
    SegmentOwner owner;
    bool known = false;
    if (const auto calls = calls_of_segment_.find(key); calls != calls_of_segment_.end()) {
        for (const std::string& call : calls->second) {
            const Facts& facts = by_call_.at({tenant, call});
            std::set<std::string> owners;  // of the call: nobody else may speak of its segments
            for (const TypedFact* fact : facts)
                if (std::holds_alternative<CallStarted>(fact->body)) owners.insert(fact->site);
            for (const TypedFact* fact : facts) {
                if (segment_of(fact->body) != id) continue;
                if (!owners.empty() && !owners.contains(fact->site)) continue;
                known = true;
                if (owner.site.empty() || fact->site < owner.site) owner.site = fact->site;
            }
        }
    }
    if (const auto stored = by_segment_.find(key); stored != by_segment_.end() && !stored->second.empty()) {
        known = true;
        owner.stored = std::get<SegmentStored>(stored->second.back()->body);
    }
    if (!known) return std::nullopt;
    return owner;
}

}  // namespace sheaf::archive
