// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "archive/view.h"
#include "base/result.h"

namespace sheaf::archive {

inline constexpr std::size_t kPageDefault = 50;
inline constexpr std::size_t kPageMax = 200;
inline constexpr std::size_t kQueryBytesMax = 256;  // of one parameter's value

// Filters of GET /v1/recordings; empty: any. Texts but `q` and `party` are compared whole.
struct Query {
    std::optional<Ms> from, to;  // started_at in [from, to)
    std::string site, agent, party, calluuid, state, label, q;
    Ms min_duration_ms = 0;
    std::size_t limit = kPageDefault;
    std::optional<std::pair<Ms, std::string>> after;  // the cursor: started_at and id of the last one seen
};

struct Page {
    std::vector<RecordingView> items;
    std::string next_cursor;  // empty: no more
};

// Errc::malformed with the parameter's name; a parameter unknown to us is one, so that a misspelt filter is noticed.
[[nodiscard]] Result<Query> query_from(const std::vector<std::pair<std::string, std::string>>& parameters);
[[nodiscard]] std::string cursor_for(const RecordingView& recording);
[[nodiscard]] bool matches(const Query& query, const RecordingView& recording);

}  // namespace sheaf::archive
