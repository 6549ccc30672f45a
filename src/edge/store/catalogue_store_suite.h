// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "archive/store_port.h"

// What every archive::CatalogueStore must do. `open` opens the same store again each time it is called.
namespace sheaf::store::suite {

using Open = std::function<Result<std::unique_ptr<archive::CatalogueStore>>()>;

inline Fact fact(std::uint64_t seq, const std::string& type = "call.started", const std::string& node = "london-1",
                 const std::string& tenant = "default") {
    Fact fact;
    fact.tenant = tenant;
    fact.site = "london";
    fact.node = node;
    fact.seq = seq;
    fact.at = WallTime(std::chrono::milliseconds(1'767'605'400'123));
    fact.mono = 77;
    fact.type = type;
    fact.data = {
        {"calluuid", "u1"}, {"words", "Grüße, \"C\"\n"}, {"nested", {{"n", -5}, {"list", {1, nullptr, true}}}}};
    fact.id = fact_id(fact).value();
    return fact;
}

inline std::vector<Fact> all(archive::CatalogueStore& store, const std::string& tenant = "default") {
    std::vector<Fact> facts;
    REQUIRE(store.load(tenant, [&](Fact one) {
        facts.push_back(std::move(one));
        return true;
    }));
    return facts;
}

inline void facts_are_kept_once_and_whole(const Open& open) {
    auto store = open().value();
    CHECK(store->add({}).value().empty());
    CHECK(store->add({fact(1), fact(2), fact(1)}).value() == std::vector<bool>{true, true, false});
    CHECK(store->add({fact(2), fact(3)}).value() == std::vector<bool>{false, true});
    store.reset();
    store = open().value();
    CHECK(all(*store) == std::vector<Fact>{fact(1), fact(2), fact(3)});
    CHECK(store->add({fact(3)}).value() == std::vector<bool>{false});
}

inline void loading_can_be_stopped(const Open& open) {
    auto store = open().value();
    REQUIRE(store->add({fact(1), fact(2)}));
    int seen = 0;
    REQUIRE(store->load("default", [&](const Fact&) { return ++seen < 1; }));
    CHECK(seen == 1);
}

inline void tenants_see_their_own(const Open& open) {
    auto store = open().value();
    REQUIRE(store->add({fact(1), fact(1, "call.started", "london-1", "other")}));
    CHECK(store->tenants().value() == std::vector<std::string>{"default", "other"});
    CHECK(all(*store, "other").size() == 1);
    CHECK(all(*store, "nobody").empty());
}

inline void up_to_is_the_seq_below_which_nothing_is_missing(const Open& open) {
    auto store = open().value();
    const auto up_to = [&](const std::string& node = "london-1") {
        return store->up_to("default", "london", node).value();
    };
    CHECK(up_to() == 0);
    REQUIRE(store->add({fact(3), fact(2)}));
    CHECK(up_to() == 0);
    REQUIRE(store->add({fact(1), fact(5)}));
    CHECK(up_to() == 3);
    store.reset();
    store = open().value();
    CHECK(up_to() == 3);
    REQUIRE(store->add({fact(4)}));
    CHECK(up_to() == 5);
    CHECK(up_to("london-2") == 0);
}

inline void an_object_comes_with_its_fact_and_once(const Open& open) {
    auto store = open().value();
    const archive::StoredObject object{"default", "f/1", std::string(64, 'a'), 5'000'000'000, "audio/wav", "ab/x"};
    Fact sender = fact(0, "segment.stored", "archive-1");
    CHECK_FALSE(store->object("default", "f/1").value());
    const auto first = store->add_object(object, sender).value();
    REQUIRE(first);
    CHECK(first->seq == 1);
    CHECK(first->id == fact_id(*first).value());
    CHECK_FALSE(store->add_object(object, sender).value());
    store.reset();
    store = open().value();
    CHECK(store->object("default", "f/1").value() == object);
    CHECK_FALSE(store->object("other", "f/1").value());
    CHECK_FALSE(store->add_object(object, sender).value());
    auto changed = object;
    changed.sha256 = std::string(64, 'b');
    const auto refused = store->add_object(changed, sender);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::conflict);
    CHECK(all(*store) == std::vector<Fact>{*first});
    auto second = object;
    second.segment = "f/2";
    CHECK(store->add_object(second, sender).value()->seq == 2);
    CHECK(store->up_to("default", "london", "archive-1").value() == 2);
    // Taken back, another one may come, with a fact of its own.
    REQUIRE(store->forget_object("other", "f/1"));
    CHECK(store->object("default", "f/1").value() == object);
    REQUIRE(store->forget_object("default", "f/1"));
    CHECK_FALSE(store->object("default", "f/1").value());
    CHECK(store->add_object(changed, sender).value()->seq == 3);
    CHECK(store->object("default", "f/1").value() == changed);
}

}  // namespace sheaf::store::suite
