// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "archive/typed_fact.h"

namespace sheaf::archive {

// What is taken for the error of a link that was never answered: its INVITE went one way only, and how long that took
// nobody knows.
inline constexpr std::int64_t kOneWayUncertaintyMs = 1'000;

struct SiteClock {
    std::int64_t offset_ms = 0;                  // the site's wall clock less the root site's
    std::optional<std::int64_t> uncertainty_ms;  // empty: no link leads there, the offset is a guess of 0
    friend bool operator==(const SiteClock&, const SiteClock&) = default;
};

// Places the clocks of all senders of `facts` relative to `root_site`'s, from the moments in the halves of links (NTP's
// arithmetic: docs/formats/facts.md). Of several links and ways the least uncertain counts; along a way they add up.
// `facts` of one recording, in an order that depends on their content alone.
[[nodiscard]] std::map<std::string, SiteClock> site_clocks(const std::string& root_site,
                                                           const std::vector<const TypedFact*>& facts);

}  // namespace sheaf::archive
