// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <functional>
#include <memory>

#include "exchange/promises.h"
#include "exchange/test_site.h"

using namespace sheaf;
using namespace sheaf::exchange;

namespace {

// A small generator (xorshift64), the same everywhere.
struct Walk {
    std::uint64_t state;
    std::size_t operator()(std::size_t below) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return below == 0 ? 0 : static_cast<std::size_t>(state % below);
    }
};

}  // namespace

TEST_CASE("in any order of events no leg, recording or queue place is forgotten or ended twice") {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        auto walk = std::make_shared<Walk>(Walk{seed * 0x9E3779B97F4A7C15ULL});
        const std::function<std::size_t(std::size_t)> number = [walk](std::size_t below) { return (*walk)(below); };
        SiteSettings settings = london_settings();
        settings.wrap_up_ms = seed % 2 == 0 ? 0 : 2000;
        settings.trunks[0].record = {RecordPolicy::percentage, 50};
        settings.calls_max = 5 + seed % 10;
        settings.queue_max = 3;
        settings.record_consult = seed % 2 == 0;
        settings.record_hold = seed % 5 == 0;
        settings.leave_conference = seed % 3 == 0;
        for (PeerSettings& peer : settings.peers) peer.return_transfers = seed % 4 == 0;
        settings.ready_on_register = true;
        add_policies(settings, seed);
        Exchange site{settings};
        AnyEvents events{number, changes_of(settings)};
        CHECK(broken_by(site, events, number, 200) == "");
    }
}
