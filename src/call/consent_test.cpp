// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "call/call.h"

using namespace sheaf;
using namespace sheaf::call;

namespace {

const LegId kC{"c"}, kA{"a"}, kB{"b"};
const std::vector<std::string> kRecorded{"say:recorded"};

Consent announced_to(Hearers hearers, bool required = false) {
    return {kRecorded, hearers, 0, required};
}
Consent with_tone(Hearers hearers, bool required = false) {
    return {{}, hearers, 15'000, required};
}

// A customer waits; the agent who answers is recorded with this consent.
struct TestCall {
    explicit TestCall(Consent consent) {
        call.id = CallUuid{"u"};
        call.root = CallUuid{"u"};
        step(Begun{});
        step(Arrived{ConnectionId{"pc"}, kC, {Role::customer, "+44", "", {}}, std::nullopt});
        step(Enqueue{kC, "8000", {"music:default"}});
        step(Established{kC});
        step(Called{ConnectionId{"pa"},
                    kA,
                    {Role::agent, "1001", "", {}},
                    ToRecord{SegmentId{"s"}, "agent always", false, std::move(consent)}});
        step(Answered{kA});
    }
    void step(const Event& event) {
        Step done = call::step(std::move(call), event);
        call = std::move(done.call);
        effects = std::move(done.effects);
    }
    template <typename E>
    [[nodiscard]] std::vector<E> all() const {
        std::vector<E> found;
        for (const Effect& effect : effects)
            if (const auto* one = std::get_if<E>(&effect)) found.push_back(*one);
        return found;
    }
    template <typename E>
    [[nodiscard]] bool any() const {
        return !all<E>().empty();
    }
    [[nodiscard]] boost::json::object fact(std::string_view type) const {
        for (const Say& say : all<Say>())
            if (say.type == type) return say.data;
        return {};
    }
    // The notice that has just been started on this leg; its name, or empty.
    [[nodiscard]] std::string play_on(const LegId& leg) const {
        for (const StartNotice& notice : all<StartNotice>())
            if (notice.leg == leg) return notice.play;
        return {};
    }
    void joins(const LegId& leg) {
        step(Called{ConnectionId{"p" + leg.text()}, leg, {Role::agent, leg.text(), "", {}}, std::nullopt});
        step(Answered{leg});
    }

    Call call;
    std::vector<Effect> effects;
};

}  // namespace

TEST_CASE("a recording begins when the customer hears that it does, and not before") {
    TestCall it{announced_to(Hearers::others)};
    const std::string play = it.play_on(kC);
    REQUIRE_FALSE(play.empty());
    CHECK(it.play_on(kA).empty());
    CHECK_FALSE(it.any<StartRecording>());
    it.step(PlayBegan{kC, "another"});
    CHECK_FALSE(it.any<StartRecording>());
    it.step(PlayBegan{kC, play});
    CHECK(it.any<StartRecording>());
    CHECK_FALSE(it.any<StartNotice>());
    it.step(PlayEnded{kC, play});
    CHECK(it.fact("consent.announced").at("connection") == "pc");
    CHECK(it.fact("consent.announced").at("of") == "pa");
    CHECK(it.fact("consent.announced").at("announcement") == "say:recorded");
    it.step(PutOnHold{kA, HoldWay::phone});
    it.step(Retrieved{kA, HoldWay::phone});
    CHECK_FALSE(it.any<StartNotice>());
}

TEST_CASE("announced to both, a recording waits until both hear it") {
    TestCall it{announced_to(Hearers::all)};
    const std::string to_customer = it.play_on(kC);
    const std::string to_agent = it.play_on(kA);
    it.step(PlayBegan{kA, to_agent});
    CHECK_FALSE(it.any<StartRecording>());
    it.step(PlayBegan{kC, to_customer});
    CHECK(it.any<StartRecording>());
}

TEST_CASE("when whoever the recording waits for hangs up, it waits for those who are left to be told") {
    TestCall it{announced_to(Hearers::others)};
    it.joins(kB);
    CHECK(it.play_on(kB).empty());
    it.step(Left{kC, Cause::normal});
    CHECK_FALSE(it.any<StartRecording>());
    const std::string play = it.play_on(kB);
    it.step(PlayBegan{kB, play});
    CHECK(it.any<StartRecording>());
}

TEST_CASE("what cannot be announced is recorded, unless the policy requires that it can") {
    SUBCASE("recorded") {
        TestCall it{announced_to(Hearers::others)};
        it.step(PlayEnded{kC, it.play_on(kC), true});
        CHECK(it.fact("consent.failed").at("recorded") == true);
        CHECK(it.any<StartRecording>());
        CHECK_FALSE(it.any<StartNotice>());
    }
    SUBCASE("not recorded") {
        TestCall it{announced_to(Hearers::others, true)};
        it.step(PlayEnded{kC, it.play_on(kC), true});
        CHECK(it.fact("consent.failed").at("recorded") == false);
        CHECK(it.fact("segment.expected").empty());
        it.joins(kB);
        CHECK_FALSE(it.any<StartRecording>());
        CHECK_FALSE(it.any<StartNotice>());
    }
    SUBCASE("not recorded any longer, when somebody who joins cannot be told") {
        TestCall it{announced_to(Hearers::others, true)};
        it.step(PlayBegan{kC, it.play_on(kC)});
        it.joins(kB);
        it.step(PlayEnded{kB, it.play_on(kB), true});
        CHECK(it.any<StopRecording>());
    }
}

TEST_CASE("whoever joins a recorded call is told as they come") {
    TestCall it{announced_to(Hearers::others)};
    const std::string play = it.play_on(kC);
    it.step(PlayBegan{kC, play});
    it.step(PlayEnded{kC, play});
    it.joins(kB);
    CHECK_FALSE(it.play_on(kB).empty());
    CHECK(it.play_on(kC).empty());
}

TEST_CASE("an announcement that a hold cuts off is said again after it") {
    TestCall it{announced_to(Hearers::others, true)};
    const std::string play = it.play_on(kC);
    it.step(PlayBegan{kC, play});
    it.step(PutOnHold{kA, HoldWay::phone});
    REQUIRE(it.any<StopPlay>());
    CHECK(it.all<StopPlay>()[0].play == play);
    CHECK(it.all<StartPlay>().back().item == kHoldMusic);
    it.step(Retrieved{kA, HoldWay::phone});
    CHECK_FALSE(it.play_on(kC).empty());
    CHECK(it.play_on(kC) != play);
}

TEST_CASE("a recording that ends takes its announcement with it") {
    TestCall it{announced_to(Hearers::others)};
    const std::string play = it.play_on(kC);
    SUBCASE("once begun") {
        it.step(PlayBegan{kC, play});
        it.step(StopRecord{kA});
        CHECK(it.any<StopRecording>());
    }
    SUBCASE("before it has begun") {
        it.step(StopRecord{kA});
        CHECK_FALSE(it.any<StopRecording>());
    }
    REQUIRE(it.any<StopPlay>());
    CHECK(it.all<StopPlay>()[0].play == play);
    it.step(PlayBegan{kC, play});
    CHECK_FALSE(it.any<StartRecording>());
}

TEST_CASE("a customer whose trunk is recorded hears of it before the queue's treatment") {
    TestCall it{Consent{}};
    Call call;
    call.id = CallUuid{"v"};
    it.call = call;
    it.step(Begun{});
    it.step(Arrived{ConnectionId{"pc"},
                    kC,
                    {Role::customer, "+44", "", {}},
                    ToRecord{SegmentId{"s"}, "trunk always", false, announced_to(Hearers::recorded)}});
    it.step(Enqueue{kC, "8000", {"music:default"}});
    it.step(Established{kC});
    const std::string play = it.play_on(kC);
    REQUIRE_FALSE(play.empty());
    CHECK_FALSE(it.any<StartPlay>());
    it.step(PlayBegan{kC, play});
    CHECK(it.any<StartRecording>());
    it.step(PlayEnded{kC, play});
    REQUIRE(it.any<StartPlay>());
    CHECK(it.all<StartPlay>()[0].item == "music:default");
}

TEST_CASE("a tone is heard while something is stored, as often as it is due") {
    TestCall it{with_tone(Hearers::others)};
    std::string play = it.play_on(kC);
    REQUIRE(it.all<StartNotice>().at(0).items == std::vector{std::string(kTone)});
    CHECK_FALSE(it.any<StartRecording>());
    it.step(PlayBegan{kC, play});
    CHECK(it.any<StartRecording>());
    CHECK(it.fact("tone.started").at("every_ms") == 15'000);
    REQUIRE(it.any<ToneRuns>());
    CHECK(it.all<ToneRuns>()[0].every_ms == 15'000);
    it.step(PlayEnded{kC, play});
    CHECK_FALSE(it.any<StartNotice>());
    it.step(ToneDue{kA});
    play = it.play_on(kC);
    REQUIRE_FALSE(play.empty());
    it.step(PlayBegan{kC, play});
    CHECK(it.fact("tone.started").empty());
    SUBCASE("not while the recording is paused") {
        it.step(PlayEnded{kC, play});
        it.step(PauseRecording{{"p", "agent"}, 0, false});
        CHECK(it.fact("tone.stopped").at("connection") == "pc");
        CHECK(it.all<ToneRuns>().at(0).every_ms == 0);
        it.step(ToneDue{kA});
        CHECK_FALSE(it.any<StartNotice>());
        it.step(ResumeRecording{"agent", false});
        CHECK_FALSE(it.play_on(kC).empty());
    }
    SUBCASE("not once the customer has gone") {
        it.step(Left{kC, Cause::normal});
        CHECK(it.fact("tone.stopped").at("of") == "pa");
    }
    SUBCASE("a tone that cannot be had is given up") {
        it.step(PlayEnded{kC, play, true});
        CHECK(it.fact("consent.failed").at("announcement") == "tone:beep");
        CHECK_FALSE(it.fact("tone.stopped").empty());
        it.step(ToneDue{kA});
        CHECK_FALSE(it.any<StartNotice>());
    }
}

TEST_CASE("a caller's place is said over the music, which goes on after it") {
    TestCall it{Consent{}};
    Call call;
    call.id = CallUuid{"v"};
    it.call = call;
    it.step(Begun{});
    it.step(Arrived{ConnectionId{"pc"}, kC, {Role::customer, "+44", "", {}}, std::nullopt});
    it.step(Enqueue{kC, "8000", {"say:welcome", "music:default"}});
    it.step(Established{kC});
    it.step(Announce{kC, "say:position-1"});
    CHECK_FALSE(it.any<StartNotice>());  // not over the welcome
    it.step(PlayEnded{kC, "t1"});
    const std::string music = it.all<StartPlay>().at(0).play;
    it.step(Announce{kC, "say:position-1"});
    REQUIRE(it.any<StopPlay>());
    CHECK(it.all<StopPlay>()[0].play == music);
    CHECK(it.fact("treatment.started").at("treatment") == "say:position-1");
    const std::string place = it.play_on(kC);
    SUBCASE("to its end") {
        it.step(PlayEnded{kC, place, true});
        CHECK(it.fact("treatment.ended").at("failed") == true);
        CHECK(it.all<StartPlay>().at(0).item == "music:default");
    }
    SUBCASE("an agent who answers cuts it off") {
        it.step(Called{ConnectionId{"pa"}, kA, {Role::agent, "1001", "", {}}, std::nullopt});
        it.step(Answered{kA});
        CHECK(it.all<StopPlay>().at(0).play == place);
        CHECK_FALSE(it.any<StartPlay>());
    }
}
