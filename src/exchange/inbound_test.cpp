// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "exchange/test_site.h"

using namespace sheaf;
using namespace sheaf::exchange;
using namespace std::chrono_literals;

namespace {

const Device kCarrier{DeviceKind::trunk, "carrier"};
const LegId kCustomer{"c"};

LegOffered customer_calls(const std::string& number = "+442071234567") {
    LegOffered offered;
    offered.leg = kCustomer;
    offered.from = kCarrier;
    offered.called = number;
    offered.calling = "+447700900123";
    offered.message = "a@b;1;INVITE";
    return offered;
}

// The customer's call up to the agent's ringing phone; gives the agent's leg.
LegId ring_1001(TestSite& london) {
    london.register_agent("1001");
    london.step(customer_calls());
    london.step(LegConnected{kCustomer, "m"});
    return london.one<PlaceLeg>().leg;
}

bool is_idle(const Exchange::Counts& counts) {
    return counts.calls + counts.legs + counts.queued + counts.recordings == 0;
}

}  // namespace

TEST_CASE("a customer is answered at once, hears the treatment, and the ready agent is called") {
    TestSite london{london_settings()};
    london.register_agent("1001");
    CHECK(london.fact("agent.state").at("state") == "ready");

    london.step(customer_calls());
    const auto started = london.fact("call.started");
    CHECK(started.at("root") == started.at("calluuid"));
    CHECK(started.at("direction") == "inbound");
    CHECK(london.one<AnswerLeg>().leg == kCustomer);
    CHECK(london.one<AnswerLeg>().room.text() == started.at("calluuid").as_string());
    CHECK_FALSE(london.any<PlaceLeg>());

    london.step(LegConnected{kCustomer, "m"});
    CHECK(london.fact("party.joined").at("role") == "customer");
    CHECK(london.fact("queue.entered").at("routing_point") == "8000");
    CHECK(london.one<StartPlay>().items == std::vector<std::string>{"say:welcome"});
    CHECK_FALSE(london.one<StartPlay>().forever);
    const PlaceLeg placed = london.one<PlaceLeg>();
    CHECK(placed.to == Device{DeviceKind::agent, "1001"});
    CHECK(placed.contact == "sip:1001@10.0.0.1");
    CHECK(placed.calling == "+447700900123");
    CHECK(london.fact("agent.state").at("state") == "busy");

    london.step(PlayEnded{kCustomer, "t1"});
    CHECK(london.fact("treatment.ended").at("treatment") == "say:welcome");
    CHECK(london.one<StartPlay>().items == std::vector<std::string>{"music:default"});
    CHECK(london.one<StartPlay>().forever);

    london.step(LegAnswered{placed.leg, {}, {}, "m"});
    CHECK(london.one<StopPlay>().play == "t2");
    CHECK(london.fact("queue.left").at("reason") == "routed");
    CHECK(london.fact("segment.expected").at("rule") == "agent always");
    CHECK(london.one<StartRecording>().leg == placed.leg);
    CHECK(london.exchange.counts().recordings == 1);
    CHECK(london.exchange.counts().queued == 0);

    london.step(LegEnded{kCustomer, Cause::normal, "m"});
    CHECK(london.one<StopRecording>().leg == placed.leg);
    CHECK(london.one<EndLeg>().leg == placed.leg);
    CHECK(london.fact("call.ended").at("cause") == "normal");
    CHECK(london.fact("agent.state").at("state") == "ready");
    CHECK(is_idle(london.exchange.counts()));
}

TEST_CASE("an agent that hangs up releases the customer") {
    TestSite london{london_settings()};
    const LegId agent = ring_1001(london);
    london.step(LegAnswered{agent, {}, {}, "m"});
    london.step(LegEnded{agent, Cause::normal, "m"});
    CHECK(london.one<EndLeg>().leg == kCustomer);
    CHECK(london.one<StopRecording>().leg == agent);
    CHECK(is_idle(london.exchange.counts()));
}
