// SPDX-License-Identifier: Apache-2.0
#include "archive/clocks.h"

#include <algorithm>
#include <set>
#include <tuple>

namespace sheaf::archive {
namespace {

constexpr std::int64_t kRingMaxMs = 86'400'000;  // no answer comes after a day: one of the numbers is wrong

// One end of a link: when the INVITE and its final response passed there, in unix ms.
struct End {
    std::string site;
    std::optional<std::int64_t> invite, answer;
};
struct Ends {
    std::optional<End> from, to;
};
struct Estimate {
    std::int64_t offset_ms;  // receiving site less sending site
    std::int64_t uncertainty_ms;
};

// The answer's moment, counted from the INVITE's on the monotonic clock where both are known, so that a wall clock that
// steps while the phone rings does no harm.
std::int64_t answer_ms(const TypedFact& opened_by, const LinkOpened& opened, const TypedFact& answered_by,
                       const LinkAnswered& answered) {
    const bool one_clock = opened_by.node == answered_by.node && opened.invite_mono && answered.answer_mono;
    const std::int64_t rang_ms = one_clock ? *answered.answer_mono - *opened.invite_mono : -1;
    if (rang_ms >= 0 && rang_ms <= kRingMaxMs) return to_unix_ms(*opened.invite_at) + rang_ms;
    return to_unix_ms(*answered.answer_at);
}

std::optional<End>& end_of(Ends& ends, Half half) {
    return half == Half::from ? ends.from : ends.to;
}

std::map<LinkId, Ends> ends_of_links(const std::vector<const TypedFact*>& facts) {
    std::map<std::tuple<LinkId, Half, std::string>, std::pair<const TypedFact*, const LinkOpened*>> opened;
    std::map<LinkId, Ends> links;
    for (const TypedFact* fact : facts) {
        const auto* o = std::get_if<LinkOpened>(&fact->body);
        if (o == nullptr || o->half == Half::both || !o->invite_at) continue;
        auto& end = end_of(links[o->link], o->half);
        if (end) continue;
        end = End{fact->site, to_unix_ms(*o->invite_at), {}};
        opened.try_emplace({o->link, o->half, fact->site}, fact, o);
    }
    for (const TypedFact* fact : facts) {
        const auto* a = std::get_if<LinkAnswered>(&fact->body);
        if (a == nullptr || a->half == Half::both || !a->answer_at) continue;
        const auto half = opened.find({a->link, a->half, fact->site});
        if (half == opened.end()) continue;
        auto& end = end_of(links[a->link], a->half);
        if (!end->answer) end->answer = answer_ms(*half->second.first, *half->second.second, *fact, *a);
    }
    return links;
}

std::optional<Estimate> estimate_of(const Ends& ends) {
    if (!ends.from || !ends.to || ends.from->site == ends.to->site) return std::nullopt;
    const std::int64_t forth = *ends.to->invite - *ends.from->invite;  // T2 - T1
    if (!ends.from->answer || !ends.to->answer) return Estimate{forth, kOneWayUncertaintyMs};
    const std::int64_t back = *ends.to->answer - *ends.from->answer;  // T3 - T4
    // (T4 - T1) - (T3 - T2), what both ways took on the wire. Below zero somebody's clock stepped.
    const std::int64_t both_ways = forth - back;
    if (both_ways < 0) return Estimate{(forth + back) / 2, kOneWayUncertaintyMs};
    return Estimate{(forth + back) / 2, both_ways / 2 + 1};
}

}  // namespace

std::map<std::string, SiteClock> site_clocks(const std::string& root_site, const std::vector<const TypedFact*>& facts) {
    std::map<std::pair<std::string, std::string>, Estimate> edges;
    for (const auto& [id, ends] : ends_of_links(facts)) {
        const auto estimate = estimate_of(ends);
        if (!estimate) continue;
        const auto keep = [&](const std::string& a, const std::string& b, Estimate e) {
            const auto [at, first] = edges.try_emplace({a, b}, e);
            const auto order = [](const Estimate& x) { return std::pair(x.uncertainty_ms, x.offset_ms); };
            if (!first && order(e) < order(at->second)) at->second = e;
        };
        keep(ends.from->site, ends.to->site, *estimate);
        keep(ends.to->site, ends.from->site, {-estimate->offset_ms, estimate->uncertainty_ms});
    }
    std::map<std::string, SiteClock> clocks;
    for (const TypedFact* fact : facts) clocks.try_emplace(fact->site);
    clocks[root_site] = {0, 0};
    // Dijkstra from the root's site; the sites are few.
    std::set<std::string> done;
    while (true) {
        const std::string* nearest = nullptr;
        for (const auto& [site, clock] : clocks) {
            if (!clock.uncertainty_ms || done.contains(site)) continue;
            if (nearest == nullptr || *clock.uncertainty_ms < *clocks[*nearest].uncertainty_ms) nearest = &site;
        }
        if (nearest == nullptr) return clocks;
        done.insert(*nearest);
        for (const auto& [ends, edge] : edges) {
            if (ends.first != *nearest) continue;
            const SiteClock way{clocks[*nearest].offset_ms + edge.offset_ms,
                                *clocks[*nearest].uncertainty_ms + edge.uncertainty_ms};
            SiteClock& known = clocks[ends.second];
            if (!known.uncertainty_ms || *way.uncertainty_ms < *known.uncertainty_ms) known = way;
        }
    }
}

}  // namespace sheaf::archive
