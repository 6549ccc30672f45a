// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "exchange/test_site.h"

using namespace sheaf;
using namespace sheaf::exchange;

namespace {

// Somebody's INVITE wants to replace one of the legs.
struct Talk : TestTalk {
    Talk() { site.register_agent("1002"); }
    void offer(const Device& from, const LegId& former, bool by_pivot = false) {
        LegOffered offered;
        offered.leg = LegId{"r"};
        offered.from = from;
        offered.replaces = Replacing{former, by_pivot};
        site.step(offered);
    }
};

}  // namespace

TEST_CASE("an agent's other phone takes over the agent's own leg") {
    Talk talk;
    talk.offer({DeviceKind::agent, "1001"}, talk.agent);
    CHECK(talk.site.one<AnswerLeg>().leg == LegId{"r"});
    CHECK_FALSE(talk.site.any<RejectLeg>());
}

TEST_CASE("a Replaces from somebody who is no party of the call is refused, and the call goes on as it was") {
    const Device foreign[] = {{DeviceKind::agent, "1002"},
                              {DeviceKind::trunk, "carrier2"},
                              {DeviceKind::trunk, "carrier"},
                              {DeviceKind::site, "paris"},
                              {DeviceKind::stranger, {}}};
    for (const Device& from : foreign) {
        for (const bool is_customers : {false, true}) {
            CAPTURE(from.name);
            Talk talk;
            talk.offer(from, is_customers ? talk.customer : talk.agent);
            CHECK(talk.site.one<RejectLeg>().status == 403);
            CHECK(talk.site.effects.size() == talk.site.all<RejectLeg>().size() + talk.site.all<Log>().size());
            CHECK(talk.site.exchange.counts().legs == 2);
        }
    }
}

TEST_CASE("a pivot address lets nobody into the place of an agent or a customer") {
    Talk talk;
    talk.offer({DeviceKind::stranger, {}}, talk.agent, true);
    CHECK(talk.site.one<RejectLeg>().status == 403);
}

TEST_CASE("a Replaces that names no leg is refused with 481") {
    Talk talk;
    talk.offer({DeviceKind::agent, "1001"}, LegId{"nobody's"});
    CHECK(talk.site.one<RejectLeg>().status == 481);
}
