// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "base/fact.h"
#include "base/result.h"
#include "edge/delivery/courier.h"

namespace sheaf::apps {

inline constexpr std::size_t kFactsKeptMax = 100'000;  // while the outbox cannot take them; beyond, the oldest are lost
inline constexpr int kFactsTogetherMs = 50;  // between two writes; what comes meanwhile is written with the next
inline constexpr int kFactsRetryMs = 1'000;
inline constexpr int kAliveMs = 10'000;  // while calls are in progress it is written down that the switch runs

// The switch's facts on their way into the outbox, by a thread of its own: a call never waits for a disk. What is kept
// is stored in order, soon (a crash loses what was said in the last moment), and delivered from there by the Courier,
// which lives on that thread. Destroying it stores what waits.
//
// Calls that were in progress when a former run ended without ending them are ended as it opens: `call.ended`, cause
// "lost-control", at the last moment at which that run is known to have been there.
class FactKeeper {
public:
    [[nodiscard]] static Result<std::unique_ptr<FactKeeper>> open(delivery::CourierOptions options);
    virtual ~FactKeeper() = default;
    virtual void keep(std::vector<FactDraft> facts) = 0;  // any thread
};

}  // namespace sheaf::apps
