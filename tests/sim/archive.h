// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "archive/catalogue.h"
#include "archive/ingest.h"
#include "base/fact.h"
#include "sim/world.h"

namespace sheaf::sim {

inline constexpr std::string_view kTenant = "default";

// The archive's real wall and real catalogue. Facts said are durable and come some time later, in any order and some of
// them twice.
class Archive {
public:
    Archive(World& world, Chance chance);

    void post(Fact fact);
    void store_file(const SegmentId& segment);
    void deliver_all();  // what is still on its way

    [[nodiscard]] archive::Catalogue& catalogue() { return catalogue_; }
    [[nodiscard]] std::size_t facts() const { return catalogue_.facts(); }
    [[nodiscard]] const std::vector<std::string>& rejected() const { return rejected_; }
    [[nodiscard]] std::size_t came_twice() const { return came_twice_; }

private:
    void deliver_some();
    void deliver(const std::vector<Fact>& facts);

    World& world_;
    Chance chance_;
    archive::Catalogue catalogue_;
    std::vector<Fact> on_the_way_;
    std::vector<std::string> rejected_;
    std::size_t came_twice_ = 0;
    std::uint64_t stored_ = 0;
    bool is_asked_ = false;
};

// A node's outbox: what it is given to say it says once, in order, and its restart does not lose.
class Teller {
public:
    Teller(Archive& archive, std::string site, std::string node)
        : archive_(archive), site_(std::move(site)), node_(std::move(node)) {}
    void say(FactDraft draft);
    void deliver_file(const SegmentId& segment) { archive_.store_file(segment); }

private:
    Archive& archive_;
    std::string site_, node_;
    std::uint64_t seq_ = 0;
};

}  // namespace sheaf::sim
