// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

// Which calls are one recording: a pure function of a set of facts. Order and duplicates do not matter, no clock is
// asked. tests/oracle/model.py is the definition; a differential test holds the two together.
namespace sheaf::archive::grouping {

inline constexpr std::size_t kCallsMax = 256;  // calls in one recording; beyond, it is cut and flagged

struct Call {  // the call was seen
    std::string tenant, call;
    friend auto operator<=>(const Call&, const Call&) = default;
};
struct Seg {  // a segment of the call is known
    std::string tenant, segment, call;
    friend auto operator<=>(const Seg&, const Seg&) = default;
};
struct Link {  // `a`, the earlier call, and `b` belong together
    std::string tenant, id, a, b;
    int tier = 0;             // 0 strong … 2 weak: the order in which an oversize group is joined
    bool believed = true;     // false: kept for audit, never effective
    bool suggestion = false;  // effective only while an operator's Accept of its id is on
    friend auto operator<=>(const Link&, const Link&) = default;
};
struct Retract {  // withdraws the link of that id; may come first
    std::string tenant, id;
    friend auto operator<=>(const Retract&, const Retract&) = default;
};
struct Veto {  // an operator on a pair of calls: the highest (version, on) counts
    std::string tenant, a, b;
    std::int64_t version = 0;
    bool on = false;
    friend auto operator<=>(const Veto&, const Veto&) = default;
};
struct Accept {  // an operator on a suggestion: the highest (version, on) counts
    std::string tenant, id;
    std::int64_t version = 0;
    bool on = false;
    friend auto operator<=>(const Accept&, const Accept&) = default;
};
using Fact = std::variant<Call, Seg, Link, Retract, Veto, Accept>;

using Node = std::pair<std::string, std::string>;  // tenant, calluuid
struct Group {
    std::string tenant;
    std::set<std::string> calls;
    std::set<std::string> segments;
    bool needs_review = false;  // cut from a component of more than the cap
    friend bool operator==(const Group&, const Group&) = default;
};
using View = std::map<Node, Group>;  // by recording-id: the root call

// The definition, written for clarity.
[[nodiscard]] View fold(const std::vector<Fact>& facts, std::size_t cap = kCallsMax);

// The same answer, kept up to date: a fact touches only the component it names. One owner, one thread.
class Engine {
public:
    explicit Engine(std::size_t cap = kCallsMax) : cap_(cap) {}

    // Returns the calls whose group may have changed: all calls of the component touched. Empty for a duplicate.
    std::vector<Node> add(const Fact& fact);
    [[nodiscard]] const View& view() const { return view_; }
    // The recording-id of the call's group; an empty pair for a call never seen.
    [[nodiscard]] Node recording_of(const Node& call) const;
    [[nodiscard]] bool is_live(const Link& link) const;

private:
    [[nodiscard]] std::set<Node> touched_by(const Fact& fact);
    void derive(const std::set<Node>& region);

    std::size_t cap_;
    std::set<Fact> facts_;
    std::set<Node> known_;
    std::map<Node, std::set<std::string>> segments_;
    std::map<Node, std::set<Link>> links_by_call_;
    std::map<Node, std::set<Link>> links_by_id_;  // tenant, link id
    std::set<Node> retracted_;
    std::map<std::pair<Node, std::string>, std::pair<std::int64_t, bool>> vetoes_;  // ((tenant, a), b), a ≤ b
    std::map<Node, std::pair<std::int64_t, bool>> accepted_;
    std::map<Node, Node> recording_of_;
    View view_;
};

}  // namespace sheaf::archive::grouping
