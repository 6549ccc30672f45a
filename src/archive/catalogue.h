// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "archive/grouping.h"
#include "archive/query.h"
#include "archive/typed_fact.h"
#include "archive/view.h"

namespace sheaf::archive {

struct CatalogueOptions {
    Ms settle_ms = 3'600'000;
    std::size_t calls_max = grouping::kCallsMax;
};

// Everything the archive knows, as views. Facts come in any order and any number of times; a fact re-folds only the
// recording it belongs to, when somebody next asks. `now` is unix ms and never goes into which calls belong together.
// One owner, one thread.
class Catalogue {
public:
    using Key = grouping::Node;  // tenant, recording-id

    explicit Catalogue(CatalogueOptions options) : options_(options), engine_(options.calls_max) {}

    // False: it was there already.
    bool add(TypedFact fact);
    // Recordings whose view may have changed since the last call, by a fact or because `now` made something late.
    [[nodiscard]] std::vector<Key> take_changed(Ms now);
    // When take_changed has something to say without another fact; kNever: only a fact can.
    [[nodiscard]] Ms next_change() const;

    // `id`: the recording-id or any member's calluuid. The pointer is valid until the next call of anything not const.
    [[nodiscard]] const RecordingView* recording(const std::string& tenant, const std::string& id, Ms now);
    // Listed: recordings with a segment, newest first.
    [[nodiscard]] Page list(const std::string& tenant, const Query& query, Ms now);
    [[nodiscard]] std::vector<Alarm> alarms(const std::string& tenant, Ms now);

    // All links that name a call of the recording, also those that join nothing, and why not.
    struct LinkStanding {
        LinkView link;
        enum class Effect { joins, retracted, vetoed, suggestion, one_end, beyond_cap } effect;
    };
    [[nodiscard]] std::vector<LinkStanding> link_standings(const std::string& tenant, const std::string& id);

    struct SegmentOwner {
        std::string site;
        std::optional<SegmentStored> stored;
    };
    // Empty: no fact speaks of the segment.
    [[nodiscard]] std::optional<SegmentOwner> segment(const std::string& tenant, const SegmentId& id) const;
    [[nodiscard]] std::size_t facts() const { return facts_.size(); }
    [[nodiscard]] std::size_t recordings() const { return engine_.view().size(); }

private:
    using Facts = std::vector<const TypedFact*>;
    struct Cached {
        RecordingView view;
        bool is_listed = false;
    };

    void group(const TypedFact& fact);
    void group_link(const TypedFact& fact, const LinkOpened& opened);
    void group_answer(const TypedFact& fact, const LinkAnswered& answered);
    void group_retraction(const TypedFact& fact, const LinkId& link);
    void tell_engine(const grouping::Fact& fact);
    void index(const TypedFact& fact);
    void touch(const Key& call);
    void forget(const Key& recording);
    [[nodiscard]] Facts facts_of(const Key& recording, const grouping::Group& group) const;
    const Cached& fresh(const Key& recording, Ms now);
    void refresh(Ms now);

    CatalogueOptions options_;
    grouping::Engine engine_;
    std::deque<TypedFact> facts_;  // addresses stay
    std::unordered_set<std::string> ids_;
    std::map<Key, Facts> by_call_, by_link_, by_segment_;
    std::map<Key, std::set<std::string>> links_of_call_, calls_of_link_, segments_of_call_, calls_of_segment_;
    // A sending half and the answer that names its other call may come in any order: (tenant, link), site → …
    std::map<std::pair<Key, std::string>, std::set<std::pair<std::string, int>>> half_open_;  // from, tier
    std::map<std::pair<Key, std::string>, std::set<std::string>> peers_;
    std::map<Key, std::set<std::string>> opened_by_, retracted_by_;  // sites

    std::map<Key, Cached> cache_;
    std::set<Key> dirty_, changed_;
    std::set<std::pair<Ms, Key>> due_;
    std::map<std::string, std::set<std::pair<Ms, std::string>>> order_;  // tenant → (started_at, id)
};

}  // namespace sheaf::archive
