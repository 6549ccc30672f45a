// SPDX-License-Identifier: Apache-2.0
#include "exchange/journal.h"

#include <doctest/doctest.h>

#include "exchange/fingerprint.h"
#include "exchange/test_site.h"

using namespace sheaf;
using namespace sheaf::exchange;

namespace {

std::string bytes_of(const Effect& effect) {
    std::string out;
    std::visit(
        [&](const auto& it) {
            Fingerprint print(out);
            fields(print, it);
        },
        effect);
    return out;
}

// One of each, every field set.
std::vector<Event> one_of_each() {
    const LinkHeader link{LinkId{"l"}, CallUuid{"u"}, CallUuid{"r"}, "transfer", true};
    const SitePause pause{"agent 1001", "p", 1'767'605'400'123, 40};
    return {AgentRegistered{"1001", "sip:1001@[::1]:5060", "udp:[::1]:5060", 60'000, true},
            AgentUnregistered{"1001"},
            LegOffered{LegId{"a"},
                       {DeviceKind::site, "paris"},
                       "2001",
                       "+44",
                       "Ann \xC3\xA9",
                       link,
                       "sid",
                       "m",
                       Replacing{LegId{"b"}, true}},
            LegConnected{LegId{"a"}, "m"},
            LegPlaced{LegId{"a"}, "m"},
            LegAlerting{LegId{"a"}, CallUuid{"u2"}},
            LegAnswered{LegId{"a"}, CallUuid{"u"}, "sid", "m"},
            LegFailed{LegId{"a"}, 486, CallUuid{"u"}, "m"},
            LegEnded{LegId{"a"}, Cause::lost_control, "m"},
            LegHeld{LegId{"a"}},
            LegRetrieved{LegId{"a"}},
            TransferAsked{LegId{"a"}, "8000", "m", LegId{"b"}},
            LegReferred{LegId{"a"}, 200},
            LegTold{LegId{"a"}, {3, CallUuid{"r"}, {{"customer", "+44", "Ann"}}, {{"agent", "1001", ""}}, pause}},
            LegDigit{LegId{"a"}, "#"},
            PlayBegan{LegId{"a"}, "t1"},
            PlayEnded{LegId{"a"}, "t1", true},
            RecordingOpened{LegId{"a"}, SegmentId{"s"}},
            RecordingFailed{LegId{"a"}, SegmentId{"s"}, "disk"},
            RecordingSilenced{LegId{"a"}, SegmentId{"s"}, "paused"},
            PauseTold{"paris", LinkId{"l"}, true, pause},
            PauseConfirmed{"paris", LinkId{"l"}, "p"},
            RemoteAgents{"paris", "boot", 18'446'744'073'709'551'615U, {{"2001", "ready", 5}, {"2002", "busy", 0}}},
            CtiRequest{7, "desktop", {"1001", "*"}, "make-call", "u", "1001", "8000", "ready"},
            SettingsChanged{london_settings()},
            Shutdown{},
            Tick{}};
}

Input input_of(Event event) {
    Input input;
    input.now = {Instant{Duration{123'456'789}}, WallTime{std::chrono::milliseconds{1'767'605'400'123}}};
    for (std::size_t i = 0; i < input.seed.size(); ++i) input.seed.at(i) = static_cast<std::uint8_t>(i * 7);
    input.event = std::move(event);
    return input;
}

}  // namespace

TEST_CASE("every kind of input comes out of the journal as it went in") {
    const auto events = one_of_each();
    CHECK(events.size() == std::variant_size_v<Event>);
    for (std::size_t i = 0; i < events.size(); ++i) {
        CHECK(events[i].index() == i);
        const Input input = input_of(events[i]);
        const std::string line = input_line(input, {TellReadiness{}});
        const auto read = line_from_text(line);
        CHECK_MESSAGE(read, line);
        if (!read) continue;
        const auto& journalled = std::get<JournalledInput>(*read);
        CHECK(journalled.input.now == input.now);
        CHECK(journalled.input.seed == input.seed);
        CHECK(journalled.effects_digest == effects_digest({TellReadiness{}}));
        CHECK(journalled.input.event.index() == i);
        CHECK(input_line(journalled.input, {TellReadiness{}}) == line);
    }
}

TEST_CASE("settings come out of the journal as they went in, also where they differ from the defaults") {
    SiteSettings settings = london_settings();
    settings.ready_on_register = false;
    settings.calls_max = 0;
    settings.trunks[0].refer = false;
    const std::string line = settings_line(settings);
    const auto read = line_from_text(line);
    REQUIRE(read);
    const auto& again = std::get<SiteSettings>(*read);
    CHECK_FALSE(again.ready_on_register);
    CHECK_FALSE(again.trunks[0].refer);
    CHECK(again.calls_max == 0);
    CHECK(again.routing_points[1].targets == settings.routing_points[1].targets);
    CHECK(settings_line(again) == line);
}

TEST_CASE("bytes that are not text survive the journal") {
    LegOffered offered;
    offered.leg = LegId{"a"};
    offered.calling_name = std::string("\xFF\x00\xC3", 3);
    const auto read = line_from_text(input_line(input_of(offered), {}));
    REQUIRE(read);
    const auto& again = std::get<LegOffered>(std::get<JournalledInput>(*read).input.event);
    CHECK(again.calling_name == offered.calling_name);
}

TEST_CASE("a journal line that is not one is an error") {
    CHECK_FALSE(line_from_text(""));
    CHECK_FALSE(line_from_text("[]"));
    CHECK_FALSE(line_from_text("{}"));
    CHECK_FALSE(line_from_text(R"({"journal": 1, "settings": {}})"));
    CHECK_FALSE(line_from_text(R"({"journal": 3, "settings": {"colour": "red"}})"));
    CHECK_FALSE(line_from_text(R"({"journal": 3, "settings": {"wrap_up_ms": 1.5}})"));
    const std::string line = input_line(input_of(LegEnded{LegId{"a"}, Cause::normal, "m"}), {});
    CHECK(line_from_text(line));
    const auto with = [&](std::string_view from, std::string_view to) {
        std::string changed = line;
        changed.replace(changed.find(from), from.size(), to);
        return line_from_text(changed);
    };
    CHECK_FALSE(with("LegEnded", "LegBegun"));
    CHECK_FALSE(with("\"normal\"", "\"odd\""));
    CHECK_FALSE(with("\"leg\"", "\"log\""));
    CHECK_FALSE(with("\"seed\":\"", "\"seed\":\"0"));
    CHECK_FALSE(with("\"seed\":\"00", "\"seed\":\"zz"));
    const auto too_long = line_from_text(std::string(kJournalLineMax + 1, ' '));
    REQUIRE_FALSE(too_long);
    CHECK(too_long.error().code == Errc::exhausted);
}

TEST_CASE("the digest tells effects apart, and an effect's text shows what is not empty") {
    CHECK(effects_digest({}) != effects_digest({TellReadiness{}}));
    CHECK(effects_digest({EndLeg{LegId{"a"}, 0, Cause::normal}}) !=
          effects_digest({EndLeg{LegId{"a"}, 0, Cause::busy}}));
    CHECK(to_text(TellReadiness{}) == "TellReadiness");
    // The bytes of docs/formats/switch-journal.md; whoever changes them makes another version.
    CHECK(bytes_of(EndLeg{LegId{"a"}, 486, Cause::busy}) ==
          "\x01"
          "a"
          "\xe6\x03" +
              std::string(1, static_cast<char>(Cause::busy)));
    const boost::json::object data{{"n", nullptr}, {"b", true}, {"i", -1}, {"u", 300U}, {"d", 1.0}, {"a", {"x"}}};
    CHECK(bytes_of(SayFact{"t", data}) == std::string("\x01"
                                                      "t"
                                                      "\x06"
                                                      "\x01"
                                                      "n"
                                                      "\x00"
                                                      "\x01"
                                                      "b"
                                                      "\x01\x01",
                                                      10) +
                                              "\x01"
                                              "i"
                                              "\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                                              "\x01"
                                              "u"
                                              "\x03\xac\x02"
                                              "\x01"
                                              "d"
                                              "\x04\x80\x80\x80\x80\x80\x80\x80\xf8\x3f"
                                              "\x01"
                                              "a"
                                              "\x06\x01\x05\x01"
                                              "x");
    CHECK(effects_digest({}) == "2d06800538d394c2");  // XXH3 of nothing
    CHECK(to_text(EndLeg{LegId{"a"}, 486, Cause::busy}) == R"(EndLeg {"leg":"a","status":486,"cause":"busy"})");
}

TEST_CASE("a journal replayed through a fresh exchange has the same effects") {
    std::vector<std::string> lines{settings_line(london_settings())};
    {
        Exchange run{london_settings()};
        for (Event& event : one_of_each()) {
            const Input input = input_of(std::move(event));
            const auto effects = run.step(input);
            lines.push_back(input_line(input, effects));
        }
    }
    std::optional<Exchange> replay;
    for (const std::string& line : lines) {
        const auto read = line_from_text(line);
        REQUIRE(read);
        if (const auto* settings = std::get_if<SiteSettings>(&*read)) {
            replay.emplace(*settings);
            continue;
        }
        const auto& journalled = std::get<JournalledInput>(*read);
        CHECK(effects_digest(replay->step(journalled.input)) == journalled.effects_digest);
    }
}
