// SPDX-License-Identifier: Apache-2.0
#include "archive/grouping.h"

#include <algorithm>
#include <tuple>

#include "base/match.h"

namespace sheaf::archive::grouping {
namespace {

using Links = std::vector<const Link*>;
struct Part {
    std::set<Node> calls;
    Links links;  // inside it
};

Node node_a(const Link& link) {
    return {link.tenant, link.a};
}
Node node_b(const Link& link) {
    return {link.tenant, link.b};
}

std::pair<Node, std::string> pair_key(const std::string& tenant, const std::string& a, const std::string& b) {
    return {{tenant, std::min(a, b)}, std::max(a, b)};
}

// Disjoint sets that know their sizes.
class Forest {
public:
    explicit Forest(const std::set<Node>& nodes) {
        for (const Node& node : nodes) parent_.emplace(node, std::pair{node, std::size_t{1}});
    }
    Node find(const Node& node) {
        Node root = node;
        while (parent_.at(root).first != root) root = parent_.at(root).first;
        for (Node at = node; at != root;) at = std::exchange(parent_.at(at).first, root);
        return root;
    }
    [[nodiscard]] std::size_t size(const Node& root) const { return parent_.at(root).second; }
    void join(const Node& a, const Node& b) {
        parent_.at(a).first = b;
        parent_.at(b).second += parent_.at(a).second;
    }

private:
    std::map<Node, std::pair<Node, std::size_t>> parent_;
};

std::vector<Part> parts_of(Forest& forest, const std::set<Node>& nodes, const Links& links) {
    std::map<Node, Part> parts;
    for (const Node& node : nodes) parts[forest.find(node)].calls.insert(node);
    for (const Link* link : links) {
        const Node root = forest.find(node_a(*link));
        if (root == forest.find(node_b(*link))) parts[root].links.push_back(link);
    }
    std::vector<Part> list;
    list.reserve(parts.size());
    for (auto& [root, part] : parts) list.push_back(std::move(part));
    return list;
}

std::vector<Part> components(const std::set<Node>& nodes, const Links& links) {
    Forest forest(nodes);
    for (const Link* link : links) {
        const Node a = forest.find(node_a(*link));
        const Node b = forest.find(node_b(*link));
        if (a != b) forest.join(a, b);
    }
    return parts_of(forest, nodes, links);
}

// An oversize component is cut by a rule that depends only on the set: Kruskal, strongest links first, with a size cap.
std::vector<Part> cut(const Part& component, std::size_t cap) {
    Forest forest(component.calls);
    Links links = component.links;
    std::sort(links.begin(), links.end(), [](const Link* x, const Link* y) {
        return std::tie(x->tier, x->a, x->b, x->id) < std::tie(y->tier, y->a, y->b, y->id);
    });
    for (const Link* link : links) {
        const Node a = forest.find(node_a(*link));
        const Node b = forest.find(node_b(*link));
        if (a != b && forest.size(a) + forest.size(b) <= cap) forest.join(a, b);
    }
    return parts_of(forest, component.calls, links);
}

// The call no link of the group points at; ties, or a cycle, by id.
Node root_of(const Part& part) {
    std::set<Node> pointed_at;
    for (const Link* link : part.links) pointed_at.insert(node_b(*link));
    for (const Node& node : part.calls)
        if (!pointed_at.contains(node)) return node;
    return *part.calls.begin();
}

template <typename SegmentsOf>
View view_of(std::set<Node> nodes, const Links& links, std::size_t cap, SegmentsOf segments_of) {
    for (const Link* link : links) nodes.insert({node_a(*link), node_b(*link)});
    View view;
    for (const Part& component : components(nodes, links)) {
        const bool big = component.calls.size() > cap;
        for (const Part& part : big ? cut(component, cap) : std::vector{component}) {
            const Node root = root_of(part);
            Group group{root.first, {}, {}, big};
            for (const Node& node : part.calls) {
                group.calls.insert(node.second);
                group.segments.merge(std::set<std::string>(segments_of(node)));
            }
            view[root] = std::move(group);
        }
    }
    return view;
}

template <typename Key, typename F>
void raise(std::map<Key, std::pair<std::int64_t, bool>>& decisions, const Key& key, const F& fact) {
    const std::pair decision(fact.version, fact.on);
    const auto [at, first] = decisions.try_emplace(key, decision);
    if (!first) at->second = std::max(at->second, decision);
}

}  // namespace

View fold(const std::vector<Fact>& list, std::size_t cap) {
    const std::set<Fact> facts(list.begin(), list.end());
    std::set<Node> retracted;
    std::set<Node> nodes;
    std::map<Node, std::set<std::string>> segments;
    std::map<std::pair<Node, std::string>, std::pair<std::int64_t, bool>> vetoes;
    std::map<Node, std::pair<std::int64_t, bool>> accepted;
    for (const Fact& fact : facts) {
        std::visit(Match{[&](const Call& f) {
                             nodes.insert({f.tenant, f.call});
                         },
                         [&](const Seg& f) {
                             nodes.insert({f.tenant, f.call});
                             segments[{f.tenant, f.call}].insert(f.segment);
                         },
                         [&](const Link&) {},
                         [&](const Retract& f) {
                             retracted.insert({f.tenant, f.id});
                         },
                         [&](const Veto& f) { raise(vetoes, pair_key(f.tenant, f.a, f.b), f); },
                         [&](const Accept& f) { raise(accepted, Node(f.tenant, f.id), f); }},
                   fact);
    }
    Links links;
    for (const Fact& fact : facts) {
        const Link* link = std::get_if<Link>(&fact);
        if (link == nullptr || !link->believed || link->a == link->b || retracted.contains({link->tenant, link->id}))
            continue;
        const auto veto = vetoes.find(pair_key(link->tenant, link->a, link->b));
        const auto accept = accepted.find({link->tenant, link->id});
        if (veto != vetoes.end() && veto->second.second) continue;
        if (link->suggestion && (accept == accepted.end() || !accept->second.second)) continue;
        links.push_back(link);
    }
    return view_of(nodes, links, cap, [&](const Node& node) { return segments[node]; });
}

bool Engine::is_live(const Link& link) const {
    if (!link.believed || link.a == link.b || retracted_.contains({link.tenant, link.id})) return false;
    if (link.suggestion) {
        const auto accept = accepted_.find({link.tenant, link.id});
        if (accept == accepted_.end() || !accept->second.second) return false;
    }
    const auto veto = vetoes_.find(pair_key(link.tenant, link.a, link.b));
    return veto == vetoes_.end() || !veto->second.second;
}

std::set<Node> Engine::touched_by(const Fact& fact) {
    std::set<Node> touched;
    const auto touch_link = [&](const std::string& tenant, const std::string& id) {
        for (const Link& link : links_by_id_[{tenant, id}]) touched.insert({node_a(link), node_b(link)});
    };
    std::visit(Match{[&](const Call& f) {
                         known_.insert({f.tenant, f.call});
                         touched.insert({f.tenant, f.call});
                     },
                     [&](const Seg& f) {
                         known_.insert({f.tenant, f.call});
                         segments_[{f.tenant, f.call}].insert(f.segment);
                         touched.insert({f.tenant, f.call});
                     },
                     [&](const Link& f) {
                         links_by_id_[{f.tenant, f.id}].insert(f);
                         for (const Node& node : {node_a(f), node_b(f)}) {
                             links_by_call_[node].insert(f);
                             touched.insert(node);
                         }
                     },
                     [&](const Retract& f) {
                         retracted_.insert({f.tenant, f.id});
                         touch_link(f.tenant, f.id);
                     },
                     [&](const Veto& f) {
                         raise(vetoes_, pair_key(f.tenant, f.a, f.b), f);
                         touched.insert({Node(f.tenant, f.a), Node(f.tenant, f.b)});
                     },
                     [&](const Accept& f) {
                         raise(accepted_, Node(f.tenant, f.id), f);
                         touch_link(f.tenant, f.id);
                     }},
               fact);
    return touched;
}

std::vector<Node> Engine::add(const Fact& fact) {
    if (!facts_.insert(fact).second) return {};
    const std::set<Node> touched = touched_by(fact);
    // Everything reachable from the touched calls. A split needs no memory of the former component: a withdrawn link
    // touches both of its ends, so both halves are reached.
    std::set<Node> region;
    std::vector<Node> todo(touched.begin(), touched.end());
    while (!todo.empty()) {
        const Node node = std::move(todo.back());
        todo.pop_back();
        if (!region.insert(node).second) continue;
        const auto links = links_by_call_.find(node);
        if (links == links_by_call_.end()) continue;
        for (const Link& link : links->second) {
            if (!is_live(link)) continue;
            todo.push_back(node_a(link));
            todo.push_back(node_b(link));
        }
    }
    derive(region);
    return {region.begin(), region.end()};
}

void Engine::derive(const std::set<Node>& region) {
    std::set<Node> nodes;
    std::set<Link> live;
    for (const Node& node : region) {
        if (known_.contains(node)) nodes.insert(node);
        view_.erase(node);
        recording_of_.erase(node);
        const auto links = links_by_call_.find(node);
        if (links == links_by_call_.end()) continue;
        for (const Link& link : links->second)
            if (is_live(link)) live.insert(link);
    }
    Links links;
    for (const Link& link : live) links.push_back(&link);
    const View part = view_of(nodes, links, cap_, [&](const Node& node) {
        const auto segments = segments_.find(node);
        return segments == segments_.end() ? std::set<std::string>() : segments->second;
    });
    for (const auto& [id, group] : part) {
        for (const std::string& call : group.calls) recording_of_[{group.tenant, call}] = id;
        view_[id] = group;
    }
}

Node Engine::recording_of(const Node& call) const {
    const auto found = recording_of_.find(call);
    return found == recording_of_.end() ? Node() : found->second;
}

}  // namespace sheaf::archive::grouping
