// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "base/fact.h"
#include "base/result.h"
#include "edge/delivery/courier.h"

namespace sheaf::apps {

inline constexpr std::size_t kFactsKeptMax = 100'000;  // while the outbox cannot take them; beyond, the oldest are lost
inline constexpr int kFactsRetryMs = 1'000;

// The switch's facts on their way into the outbox, by a thread of its own: a call never waits for a disk. What is kept
// is stored in order, soon (a crash loses what was said in the last moment), and delivered from there by the Courier,
// which lives on that thread. Destroying it stores what waits.
class FactKeeper {
public:
    [[nodiscard]] static Result<std::unique_ptr<FactKeeper>> open(delivery::CourierOptions options);
    virtual ~FactKeeper() = default;
    virtual void keep(std::vector<FactDraft> facts) = 0;  // any thread
};

}  // namespace sheaf::apps
