// SPDX-License-Identifier: Apache-2.0
#include "archive/presence.h"

#include <algorithm>
#include <deque>

#include "base/match.h"

namespace sheaf::archive {
namespace {

void end(Span& span, Ms at) {
    span.to = std::min(span.to, at);
}

void end(Stay& stay, Ms at) {
    stay.to = std::min(stay.to, at);
    for (Span& span : stay.held) end(span, stay.to);
}

void begin(std::vector<Attention>& list, const std::string& site, const CallUuid& call, const ConnectionId& connection,
           Ms at, std::string what) {
    list.push_back({site, call, connection, {at, kNever, std::move(what), {}}});
}

void end_of(std::vector<Attention>& list, const std::string& site, const ConnectionId& connection, Ms at,
            const std::string* what = nullptr) {
    for (Attention& a : list)
        if (a.site == site && a.connection == connection && (what == nullptr || a.span.what == *what)) end(a.span, at);
}

// One person in one recording, wherever the switch met them. Where nothing tells two apart, each connection is one.
std::string party_key(const Connection& c) {
    std::string own = "connection " + c.site + " " + c.id.text();
    const bool nameless = c.address.empty() || c.address.find("anonymous") != std::string::npos;
    if (nameless) return own;
    switch (c.role) {
        case Role::customer: return "customer " + c.address;
        case Role::agent: return "agent " + c.site + " " + c.address;
        case Role::ivr: return "ivr " + c.site + " " + c.address;
        case Role::site:
        case Role::unknown: return own;
    }
    return own;
}

}  // namespace

Presence::Presence(const std::vector<TimedFact>& facts, const std::vector<LinkView>& links) {
    for (const LinkView& link : links) {
        if (!link.moved_from.empty()) moved_from_.emplace(link.id, link.moved_from);
        if (link.retracted || (link.kind == LinkKind::consult && !link.header)) not_walked_.insert(link.id);
    }
    for (const TimedFact& timed : facts)
        if (const auto* merged = std::get_if<CallMerged>(&timed.fact->body))
            merged_.try_emplace(merged->call, merged->into, timed.at);
    for (const TimedFact& timed : facts) apply(timed);
    for (const TimedFact& timed : facts) {
        const auto* opened = std::get_if<LinkOpened>(&timed.fact->body);
        if (opened == nullptr || opened->connection.empty()) continue;
        const auto at = find(timed.fact->site, opened->connection);
        if (at && connections_[*at].link.empty()) connections_[*at].link = opened->link;
    }
    std::map<LinkId, std::set<CallUuid>> ends;
    for (const Connection& c : connections_)
        if (c.role == Role::site && !c.link.empty())
            for (const Stay& stay : c.stays) ends[leg_of(c.link)].insert(call_at(stay.call, kNever - 1));
    for (const auto& [leg, calls] : ends)
        if (calls.size() > 1) known_legs_.insert(leg);
    name_parties();
    spread_pauses();
}

void Presence::apply(const TimedFact& timed) {
    const std::string& site = timed.fact->site;
    const Ms at = timed.at;
    const auto change = [&] { changes_.insert(at); };
    std::visit(Match{[&](const PartyJoined& f) { join(timed, f); }, [&](const PartyLeft& f) { leave(timed, f); },
                     [&](const PartyHeld& f) { hold(timed, f.call, f.connection, true, f.by); },
                     [&](const PartyRetrieved& f) { hold(timed, f.call, f.connection, false, f.by); },
                     [&](const PartyAlerting& f) { begin(alerting_, site, f.call, f.connection, at, f.address); },
                     [&](const QueueEntered& f) { begin(queued_, site, f.call, f.connection, at, f.routing_point); },
                     [&](const QueueLeft& f) { end_of(queued_, site, f.connection, at, &f.routing_point); },
                     [&](const TreatmentStarted& f) { begin(treated_, site, f.call, f.connection, at, f.treatment); },
                     [&](const TreatmentEnded& f) { end_of(treated_, site, f.connection, at, &f.treatment); },
                     [&](const ConsentFailed& f) {
                         if (f.recorded) return;
                         begin(unannounced_, site, f.call, f.of, at, f.announcement);
                         change();
                     },
                     [&](const CallEnded& f) { end_call(timed, f.call); }, [&](const CallMerged&) { change(); },
                     [&](const RecordingPaused& f) {
                         pause_words_.push_back({at, {PauseWord::Kind::paused, f.call, f.pause, f.by}});
                         change();
                     },
                     [&](const PauseTold& f) {
                         pause_words_.push_back({at, {PauseWord::Kind::told, f.call, f.pause, f.by}});
                         change();
                     },
                     [&](const PauseToldOver& f) {
                         pause_words_.push_back({at, {PauseWord::Kind::told_over, f.call, f.pause, f.by}});
                         change();
                     },
                     [&](const RecordingResumed& f) {
                         pause_words_.push_back({at, {PauseWord::Kind::resumed, f.call, f.pause, f.by}});
                         change();
                     },
                     [](const auto&) {}},
               timed.fact->body);
}

void Presence::join(const TimedFact& timed, const PartyJoined& joined) {
    const auto [at, is_new] = index_.try_emplace({timed.fact->site, joined.connection}, connections_.size());
    if (is_new) {
        connections_.push_back(
            {timed.fact->site, joined.connection, joined.role, joined.address, joined.name, joined.link, {}, 0});
    }
    Connection& connection = connections_[at->second];
    if (connection.address.empty()) connection.address = joined.address;
    if (connection.name.empty()) connection.name = joined.name;
    if (connection.link.empty()) connection.link = joined.link;
    end_of(alerting_, timed.fact->site, joined.connection, timed.at);
    for (const Stay& stay : connection.stays)
        if (stay.call == joined.call && stay.holds(timed.at)) return;  // it is there already
    connection.stays.push_back({joined.call, timed.at, kNever, {}});
    changes_.insert(timed.at);
}

void Presence::leave(const TimedFact& timed, const PartyLeft& left) {
    const std::string& site = timed.fact->site;
    for (auto* list : {&alerting_, &queued_, &treated_, &unannounced_})
        for (Attention& a : *list)
            if (a.site == site && a.connection == left.connection && is_same_call(a.call, left.call, timed.at))
                end(a.span, timed.at);
    const auto at = find(site, left.connection);
    if (!at) return;
    for (Stay& stay : connections_[*at].stays)
        if (is_same_call(stay.call, left.call, timed.at)) end(stay, timed.at);
    changes_.insert(timed.at);
}

void Presence::hold(const TimedFact& timed, const CallUuid& call, const ConnectionId& id, bool on,
                    const ConnectionId& by) {
    const auto at = find(timed.fact->site, id);
    if (!at) return;
    for (Stay& stay : connections_[*at].stays) {
        if (!stay.holds(timed.at) || !is_same_call(stay.call, call, timed.at)) continue;
        const bool is_held = !stay.held.empty() && stay.held.back().to == kNever;
        if (on && !is_held) stay.held.push_back({timed.at, kNever, {}, by.text()});
        if (!on && is_held) end(stay.held.back(), timed.at);
    }
    changes_.insert(timed.at);
}

void Presence::end_call(const TimedFact& timed, const CallUuid& call) {
    // What has gone on in another call by then does not end with this one.
    const auto ends_now = [&](const CallUuid& raw) { return call_at(raw, timed.at) == call; };
    for (Connection& connection : connections_)
        for (Stay& stay : connection.stays)
            if (ends_now(stay.call)) end(stay, timed.at);
    for (auto* list : {&alerting_, &queued_, &treated_, &unannounced_})
        for (Attention& a : *list)
            if (ends_now(a.call)) end(a.span, timed.at);
    pause_words_.push_back({timed.at, {PauseWord::Kind::ended, call, {}, {}}});
    changes_.insert(timed.at);
}

void Presence::name_parties() {
    std::vector<std::size_t> order(connections_.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        const auto key = [&](const Connection& c) { return std::tie(c.stays.front().from, c.site, c.id); };
        return key(connections_[a]) < key(connections_[b]);
    });
    std::map<std::string, std::size_t> by_key;
    for (std::size_t i : order) {
        Connection& c = connections_[i];
        const bool is_placed_elsewhere = c.role == Role::site && !c.link.empty() &&
                                         (known_legs_.contains(leg_of(c.link)) || not_walked_.contains(c.link));
        if (is_placed_elsewhere) {
            c.party = SIZE_MAX;
            continue;
        }
        const auto [at, is_new] = by_key.try_emplace(party_key(c), parties_.size());
        if (is_new) {
            const Role role = c.role == Role::site ? Role::unknown : c.role;
            parties_.push_back({c.site + "/" + c.id.text(), role, c.address, c.name});
        }
        c.party = at->second;
        if (parties_[c.party].name.empty()) parties_[c.party].name = c.name;
    }
}

std::optional<std::size_t> Presence::find(const std::string& site, const ConnectionId& id) const {
    const auto at = index_.find({site, id});
    if (at == index_.end()) return std::nullopt;
    return at->second;
}

CallUuid Presence::call_at(const CallUuid& call, Ms t) const {
    CallUuid at = call;
    for (std::size_t steps = 0; steps <= merged_.size(); ++steps) {  // a ring of merges ends too
        const auto merged = merged_.find(at);
        if (merged == merged_.end() || merged->second.second > t) break;
        at = merged->second.first;
    }
    return at;
}

bool Presence::is_same_call(const CallUuid& raw, const CallUuid& named, Ms t) const {
    return raw == named || call_at(raw, t) == named;
}

std::string Presence::party_of(const std::string& site, const ConnectionId& id) const {
    const auto at = find(site, id);
    if (!at || connections_[*at].party == SIZE_MAX) return {};
    return parties_[connections_[*at].party].id;
}

// A link that moved is still carried by the leg of the one it moved from.
LinkId Presence::leg_of(const LinkId& link) const {
    std::set<LinkId> seen;
    LinkId at = link;
    while (seen.insert(at).second) {
        const auto moved = moved_from_.find(at);
        if (moved == moved_from_.end()) return at;
        at = moved->second;
    }
    return *seen.begin();
}

const Presence::Moment& Presence::moment(Ms t) const {
    const auto [at, is_new] = moments_.try_emplace(t);
    if (!is_new) return at->second;
    Moment& moment = at->second;
    for (std::size_t i = 0; i < connections_.size(); ++i) {
        const Connection& connection = connections_[i];
        for (const Stay& stay : connection.stays) {
            if (!stay.holds(t)) continue;
            const bool held =
                std::any_of(stay.held.begin(), stay.held.end(), [&](const Span& s) { return s.holds(t); });
            const Here here{i, call_at(stay.call, t), held};
            auto& in_call = moment.by_call[here.call];
            const bool known =
                std::any_of(in_call.begin(), in_call.end(), [&](const Here& h) { return h.connection == i; });
            if (known) continue;  // joined under two calls that have merged
            in_call.push_back(here);
            if (connection.role == Role::site && !connection.link.empty() && !not_walked_.contains(connection.link))
                moment.by_leg[leg_of(connection.link)].push_back(here);
        }
    }
    return moment;
}

Reach Presence::reach(std::size_t start, const CallUuid& in, Ms t) const {
    const Moment& now = moment(t);
    Reach reach;
    std::vector<Visit> near;
    const CallUuid wanted = in.empty() ? in : call_at(in, t);
    for (const auto& [call, present] : now.by_call) {
        if (!wanted.empty() && call != wanted) continue;
        for (const Here& here : present) {
            if (here.connection != start) continue;
            reach.present = true;
            reach.is_held = reach.is_held || here.held;
            near.push_back({call, here.held, start});
        }
    }
    walk(now, start, near, reach);
    if (!reach.present || connections_[start].party != SIZE_MAX) return reach;
    const auto legs = now.by_leg.find(leg_of(connections_[start].link));
    if (legs == now.by_leg.end()) return reach;
    Reach far;
    std::vector<Visit> across;
    for (const Here& peer : legs->second)
        if (peer.connection != start) across.push_back({peer.call, peer.held, peer.connection});
    walk(now, start, across, far);
    reach.behind = far.parties;
    reach.behind.insert(far.held.begin(), far.held.end());
    reach.behind_held = std::move(far.held);
    return reach;
}

void Presence::walk(const Moment& now, std::size_t start, const std::vector<Visit>& from, Reach& reach) const {
    std::deque<Visit> todo;
    const auto visit = [&](const Visit& v) { v.held ? todo.push_back(v) : todo.push_front(v); };
    for (const Visit& v : from) visit(v);
    while (!todo.empty()) {  // audible ways first, so that a way round a hold wins
        const Visit at = todo.front();
        todo.pop_front();
        if (reach.calls.contains(at.call) || (at.held && reach.held_calls.contains(at.call))) continue;
        (at.held ? reach.held_calls : reach.calls).insert(at.call);
        const auto present = now.by_call.find(at.call);
        if (present == now.by_call.end()) continue;
        for (const Here& other : present->second) {
            if (other.connection == at.via || other.connection == start) continue;
            const Connection& connection = connections_[other.connection];
            const bool held = at.held || other.held;
            if (connection.party != SIZE_MAX) {
                (held ? reach.held : reach.parties).insert(other.connection);
                if (connection.role == Role::site) reach.unplaced.insert(other.connection);
                continue;
            }
            const auto legs = now.by_leg.find(leg_of(connection.link));
            if (legs == now.by_leg.end()) continue;
            for (const Here& peer : legs->second) {
                if (peer.connection == other.connection) continue;
                reach.entries.insert(peer.connection);
                visit({peer.call, held || peer.held, peer.connection});
            }
        }
    }
    for (std::size_t party : reach.parties) reach.held.erase(party);
}

}  // namespace sheaf::archive
