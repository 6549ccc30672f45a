// SPDX-License-Identifier: Apache-2.0
#include "sim/archive.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace sheaf::sim {
namespace {

constexpr std::chrono::seconds kDeliverEvery{10};
constexpr double kGoesNow = 0.5;    // of what is on the way
constexpr double kGoesTwice = 0.1;  // of what goes
constexpr std::size_t kBatch = 500;

}  // namespace

Archive::Archive(World& world, Chance chance)
    : world_(world), chance_(chance), catalogue_(archive::CatalogueOptions{}) {}

void Archive::post(Fact fact) {
    on_the_way_.push_back(std::move(fact));
    if (std::exchange(is_asked_, true)) return;
    world_.after(kDeliverEvery, [this] { deliver_some(); });
}

void Archive::deliver_some() {
    is_asked_ = false;
    std::vector<Fact> now, later;
    for (Fact& fact : on_the_way_) {
        if (!chance_.happens(kGoesNow)) {
            later.push_back(std::move(fact));
            continue;
        }
        if (chance_.happens(kGoesTwice)) later.push_back(fact);
        now.push_back(std::move(fact));
    }
    on_the_way_ = std::move(later);
    deliver(now);
    if (!on_the_way_.empty() && !std::exchange(is_asked_, true))
        world_.after(kDeliverEvery, [this] { deliver_some(); });
}

void Archive::deliver_all() {
    deliver(std::exchange(on_the_way_, {}));
}

void Archive::deliver(const std::vector<Fact>& facts) {
    std::vector<const Fact*> order;
    for (const Fact& fact : facts) order.push_back(&fact);
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[chance_.below(i)]);
    const archive::Caller anyone{archive::Scope::site, std::string(kTenant), true, {}, {}};
    for (std::size_t from = 0; from < order.size(); from += kBatch) {
        boost::json::array list;
        for (std::size_t i = from; i < std::min(order.size(), from + kBatch); ++i) list.push_back(to_json(*order[i]));
        const std::string body = boost::json::serialize(boost::json::object{{"facts", std::move(list)}});
        auto batch = archive::batch_from(body, anyone);
        if (!batch) {
            rejected_.push_back(batch.error().what);
            continue;
        }
        for (const auto& refused : batch->rejected) rejected_.push_back(refused.node + ": " + refused.error);
        for (auto& fact : batch->typed)
            if (!catalogue_.add(std::move(fact))) ++came_twice_;
    }
}

void Archive::store_file(const SegmentId& segment) {
    Fact fact;
    fact.tenant = std::string(kTenant);
    fact.site = fact.node = "archive";
    fact.seq = ++stored_;
    fact.at = Clock{}.wall(world_.now());
    fact.mono = to_ms(world_.now());
    fact.type = "segment.stored";
    fact.data = {
        {"segment", segment.text()}, {"sha256", std::string(64, 'a')}, {"bytes", 1000}, {"media_type", "audio/wav"}};
    fact.id = fact_id(fact).value();
    world_.after(chance_.between(std::chrono::seconds{1}, std::chrono::seconds{300}),
                 [this, fact = std::move(fact)] { catalogue_.add(archive::typed_fact(fact).value()); });
}

void Teller::say(FactDraft draft) {
    Fact fact;
    fact.tenant = std::string(kTenant);
    fact.site = site_;
    fact.node = node_;
    fact.seq = ++seq_;
    fact.at = draft.stamp.wall;
    fact.mono = to_ms(draft.stamp.mono);
    fact.type = std::move(draft.type);
    fact.data = std::move(draft.data);
    auto id = fact_id(fact);
    ASSERT(id.has_value());
    fact.id = *std::move(id);
    archive_.post(std::move(fact));
}

}  // namespace sheaf::sim
