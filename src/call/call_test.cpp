// SPDX-License-Identifier: Apache-2.0
#include "call/call.h"

#include <doctest/doctest.h>

using namespace sheaf;
using namespace sheaf::call;

namespace {

const LegId kC{"c"}, kA{"a"}, kB{"b"};

struct TestCall {
    TestCall() {
        call.id = CallUuid{"u"};
        call.root = CallUuid{"u"};
        step(Begun{});
    }
    void step(const Event& event) {
        Step done = call::step(std::move(call), event);
        call = std::move(done.call);
        effects = std::move(done.effects);
    }
    void customer_waits() {
        step(Arrived{ConnectionId{"pc"}, kC, {Role::customer, "+44", "", {}}, std::nullopt});
        step(Enqueue{kC, "8000", {"say:welcome", "music:default"}});
        step(Established{kC});
    }
    void agent_rings(const LegId& leg, bool recorded = true) {
        std::optional<ToRecord> record;
        if (recorded) record = ToRecord{SegmentId{"s" + leg.text()}, "agent always"};
        step(Called{ConnectionId{"p" + leg.text()}, leg, {Role::agent, "100" + leg.text(), "", {}}, record});
        step(Alerted{leg});
    }
    void talk() {
        customer_waits();
        agent_rings(kA);
        step(Answered{kA});
    }
    template <typename E>
    [[nodiscard]] std::vector<E> all() const {
        std::vector<E> found;
        for (const Effect& effect : effects)
            if (const auto* one = std::get_if<E>(&effect)) found.push_back(*one);
        return found;
    }
    [[nodiscard]] std::vector<boost::json::object> facts(std::string_view type) const {
        std::vector<boost::json::object> found;
        for (const Say& say : all<Say>())
            if (say.type == type) found.push_back(say.data);
        return found;
    }
    template <typename S>
    [[nodiscard]] bool is(const LegId& leg) const {
        const Connection* connection = find(call, leg);
        return connection && std::holds_alternative<S>(connection->state);
    }

    Call call;
    std::vector<Effect> effects;
};

}  // namespace

TEST_CASE("a customer who hangs up releases the agent, and the agent's recording stops once") {
    TestCall it;
    it.talk();
    REQUIRE(it.all<StartRecording>().size() == 1);
    it.step(Left{kC, Cause::normal});
    REQUIRE(it.all<Release>().size() == 1);
    CHECK(it.all<Release>()[0].leg == kA);
    CHECK(it.all<StopRecording>().size() == 1);
    CHECK(it.facts("party.left").size() == 2);
    CHECK(it.facts("call.ended").size() == 1);
    CHECK(it.all<Over>().size() == 1);
    CHECK(it.call.connections.empty());
}

TEST_CASE("an agent who hangs up releases the customer") {
    TestCall it;
    it.talk();
    it.step(Left{kA, Cause::lost_control});
    REQUIRE(it.all<Release>().size() == 1);
    CHECK(it.all<Release>()[0].leg == kC);
    REQUIRE(it.facts("call.ended").size() == 1);
    CHECK(it.facts("call.ended")[0].at("cause") == "lost-control");
}

TEST_CASE("treatments are played one after the other, and the last for ever") {
    TestCall it;
    it.customer_waits();
    REQUIRE(it.all<StartPlay>().size() == 1);
    CHECK(it.all<StartPlay>()[0].item == "say:welcome");
    it.step(PlayEnded{kC, "another"});
    CHECK(it.effects.empty());
    it.step(PlayEnded{kC, "t1"});
    REQUIRE(it.all<StartPlay>().size() == 1);
    CHECK(it.all<StartPlay>()[0].item == "music:default");
    CHECK(it.all<StartPlay>()[0].forever);
    SUBCASE("one that cannot be played is not begun again and again") {
        it.step(PlayEnded{kC, "t2"});
        CHECK(it.all<StartPlay>().empty());
        CHECK(it.facts("treatment.ended").size() == 1);
        it.step(PlayEnded{kC, "t2"});
        CHECK(it.effects.empty());
    }
}

TEST_CASE("an agent who refuses leaves the customer waiting") {
    TestCall it;
    it.customer_waits();
    it.agent_rings(kA);
    it.step(Refused{kA, Cause::busy});
    CHECK(it.facts("party.left").size() == 1);
    CHECK(it.all<Release>().empty());
    CHECK(it.all<StopPlay>().empty());
    REQUIRE(it.all<Gone>().size() == 1);
    CHECK(it.all<Gone>()[0].refused);
    CHECK(it.is<Queued>(kC));
    it.agent_rings(kB);
    it.step(Answered{kB});
    CHECK(it.is<Connected>(kC));
    CHECK(it.facts("queue.left").size() == 1);
}

TEST_CASE("a caller hears ringing, is answered with the callee, and joins when our 200 has gone") {
    TestCall it;
    it.step(Arrived{ConnectionId{"pc"}, kC, {Role::agent, "1001", "", {}}, ToRecord{SegmentId{"sc"}, "agent always"}});
    it.agent_rings(kA, false);
    CHECK(it.all<Ring>().size() == 1);
    it.step(Answered{kA});
    CHECK(it.all<Answer>().size() == 1);
    CHECK(it.all<StartRecording>().empty());
    it.step(Established{kC});
    CHECK(it.all<StartRecording>().size() == 1);
    it.step(Established{kC});
    CHECK(it.effects.empty());
}

TEST_CASE("who is put on hold is held until retrieved, or until the holder leaves") {
    TestCall it;
    it.talk();
    it.step(PutOnHold{kA});
    REQUIRE(it.facts("party.held").size() == 1);
    CHECK(it.facts("party.held")[0].at("connection") == "pc");
    CHECK(it.facts("party.held")[0].at("by") == "pa");
    it.step(PutOnHold{kA});
    CHECK(it.effects.empty());
    SUBCASE("retrieved") {
        it.step(call::Retrieved{kA});
        CHECK(it.facts("party.retrieved").size() == 1);
        CHECK(it.is<Connected>(kC));
    }
    SUBCASE("held by both") {
        it.step(PutOnHold{kC});
        CHECK(it.is<Held>(kA));
        it.step(call::Retrieved{kA});
        CHECK(it.is<Connected>(kC));
        CHECK(it.is<Held>(kA));
    }
    SUBCASE("the holder is withdrawn") {
        it.step(Withdraw{kA, Cause::transferred});
        CHECK(it.facts("party.retrieved").size() == 1);
        CHECK(it.is<Connected>(kC));
        CHECK(it.all<Over>().empty());
    }
}

TEST_CASE("what is said on hold is stored where the site wants it, and not while the leg serves another call") {
    for (const bool record_hold : {false, true}) {
        CAPTURE(record_hold);
        TestCall it;
        it.call.record_hold = record_hold;
        it.talk();
        it.step(PutOnHold{kA});
        CHECK(it.all<Silence>().size() == (record_hold ? 0 : 1));
        it.step(call::Retrieved{kA});
        CHECK(it.all<Unsilence>().size() == (record_hold ? 0 : 1));
        it.step(PutOnHold{kA, HoldWay::other_call});  // a consult, by the same leg
        CHECK(it.all<Silence>().size() == 1);
    }
}

TEST_CASE("a recording that fails is lost from that moment, and is not stopped afterwards") {
    TestCall it;
    it.talk();
    SUBCASE("it had begun") {
        it.step(RecordingOpened{SegmentId{"sa"}, Instant{std::chrono::seconds{10}}});
        it.step(RecordingFailed{SegmentId{"sa"}, Instant{std::chrono::seconds{13}}});
        REQUIRE(it.facts("segment.lost").size() == 1);
        CHECK(it.facts("segment.lost")[0].at("from_ms") == 3000);
    }
    SUBCASE("it had not") {
        it.step(RecordingFailed{SegmentId{"sa"}, Instant{std::chrono::seconds{13}}});
        REQUIRE(it.facts("segment.lost").size() == 1);
        CHECK(it.facts("segment.lost")[0].at("from_ms").is_null());
    }
    it.step(RecordingFailed{SegmentId{"sa"}, Instant{std::chrono::seconds{14}}});
    CHECK(it.effects.empty());
    it.step(Left{kC, Cause::normal});
    CHECK(it.all<StopRecording>().empty());
}

TEST_CASE("a call of three goes on when one of them leaves, and ends with the next") {
    TestCall it;
    it.talk();
    it.agent_rings(kB);
    it.step(Answered{kB});
    it.step(Left{kA, Cause::normal});
    CHECK(it.all<Over>().empty());
    CHECK(it.call.connections.size() == 2);
    it.step(Left{kC, Cause::normal});
    CHECK(it.all<Over>().size() == 1);
}

TEST_CASE("ending a call refuses who was not answered and withdraws who rings") {
    TestCall it;
    it.step(Arrived{ConnectionId{"pc"}, kC, {Role::customer, "+44", "", {}}, std::nullopt});
    it.agent_rings(kA);
    it.step(End{Cause::failed, 503, "no way there"});
    REQUIRE(it.all<Reject>().size() == 1);
    CHECK(it.all<Reject>()[0].status == 503);
    CHECK(it.all<Release>().size() == 1);
    CHECK(it.facts("party.left").size() == 1);
    for (const Gone& gone : it.all<Gone>()) CHECK_FALSE(gone.refused);
}

TEST_CASE("events that name no leg of the call change nothing") {
    TestCall it;
    it.talk();
    const LegId other{"other"};
    for (const Event& event : std::initializer_list<Event>{
             Alerted{other}, Answered{other}, Established{other}, Refused{other, Cause::busy},
             Left{other, Cause::normal}, Clear{other, Cause::normal}, Withdraw{other, Cause::normal},
             Enqueue{other, "8000", {}}, Treat{other, {}}, PutOnHold{other}, call::Retrieved{other},
             PlayEnded{other, "t1"}, Answered{kA}, Alerted{kA}, RecordingFailed{SegmentId{"other"}, {}}}) {
        it.step(event);
        CHECK(it.effects.empty());
        CHECK(it.call.connections.size() == 2);
    }
}

TEST_CASE("of a leg to a site nothing is stored while everybody behind it is on hold there") {
    TestCall it;
    it.talk();
    it.step(FarSide{kA, true});
    REQUIRE(it.all<Silence>().size() == 1);
    CHECK(it.all<Silence>()[0].leg == kA);
    it.step(FarSide{kA, false});
    CHECK(it.all<Unsilence>().size() == 1);
}
