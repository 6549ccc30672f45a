// SPDX-License-Identifier: Apache-2.0
#include "archive/links.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "base/match.h"

namespace sheaf::archive {
namespace {

struct Known {
    LinkView view;
    std::set<std::string> said_by;  // sites
};
using Links = std::map<LinkId, Known>;

void open(Links& links, const LinkOpened& f, Ms at, const std::string& site) {
    const auto [found, is_new] = links.try_emplace(f.link);
    LinkView& link = found->second.view;
    found->second.said_by.insert(site);
    if (is_new) {
        link.id = f.link;
        link.from = f.from;
        link.kind = f.kind;
    }
    link.at = std::min(link.at.value_or(at), at);
    if (!f.to.empty() && (link.to.empty() || f.half == Half::to)) link.to = f.to;  // who received it knows both calls
    if (link.moved_from.empty()) link.moved_from = f.moved_from;
    link.tier = std::min(link.tier, f.tier);
    link.header = link.header || f.header;
    link.has_from_half = link.has_from_half || f.half != Half::to;
    link.has_to_half = link.has_to_half || f.half != Half::from;
    for (const Evidence& e : f.evidence)
        if (std::find(link.evidence.begin(), link.evidence.end(), e) == link.evidence.end()) link.evidence.push_back(e);
}

LinkView by_hand(const OperatorLink& f, Ms at) {
    LinkView link;
    link.id = f.link;
    link.from = f.from;
    link.to = f.to;
    link.kind = LinkKind::manual;
    link.tier = 0;
    link.at = at;
    link.has_from_half = link.has_to_half = true;
    link.evidence.push_back({"operator", f.by, {}, {}});
    return link;
}

}  // namespace

std::vector<LinkView> links_of(const std::vector<TimedFact>& facts) {
    Links links;
    for (const auto& [at, fact] : facts) {
        if (const auto* f = std::get_if<LinkOpened>(&fact->body)) open(links, *f, at, fact->site);
        if (const auto* f = std::get_if<OperatorLink>(&fact->body))
            links.try_emplace(f->link, Known{by_hand(*f, at), {}});
    }
    for (const auto& [at, fact] : facts) {
        const auto known = links.find(link_of(fact->body));
        if (known == links.end()) continue;
        LinkView& link = known->second.view;
        if (const auto* f = std::get_if<LinkAnswered>(&fact->body)) {
            if (f->half == Half::from && link.to.empty()) link.to = f->peer;
            if (f->half == Half::from) link.refused = f->status >= 300 && f->peer.empty();
        } else if (std::holds_alternative<LinkEnded>(fact->body)) {
            if (!link.ended_at) link.ended_at = at;
        } else if (std::holds_alternative<LinkRetracted>(fact->body)) {
            // Only who has said a half may take the link back.
            if (known->second.said_by.contains(fact->site)) link.retracted = true;
        }
    }
    std::vector<LinkView> list;
    for (auto& [id, known] : links) list.push_back(std::move(known.view));
    std::sort(list.begin(), list.end(),
              [](const LinkView& a, const LinkView& b) { return std::tie(a.at, a.id) < std::tie(b.at, b.id); });
    return list;
}

}  // namespace sheaf::archive
