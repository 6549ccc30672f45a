// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/match.h"
#include "exchange/exchange.h"

// For tests and the fuzz target only: what a site promises whatever happens in whatever order, and inputs in any order
// made of bytes.
namespace sheaf::exchange {

// Watches a site from outside. Says what was broken; empty: nothing.
class Promises {
public:
    std::string watch(const Event& event, const std::vector<Effect>& effects) {
        std::visit(Match{
                       [&](const LegOffered& e) { alive_.insert(e.leg); },
                       [&](const LegFailed& e) { ended(e.leg); },
                       [&](const LegEnded& e) { ended(e.leg); },
                       [&](const RecordingFailed& e) {
                           if (const auto at = running_.find(e.segment); at != running_.end() && at->second == e.leg)
                               running_.erase(at);
                       },
                       [](const auto&) {},
                   },
                   event);
        for (const Effect& effect : effects) std::visit([&](const auto& e) { check(e); }, effect);
        if (broken_.empty() && alive_.empty() && !running_.empty()) broken_ = "a recording has outlived every leg";
        return broken_;
    }
    [[nodiscard]] const std::set<LegId>& alive() const { return alive_; }
    [[nodiscard]] const std::map<SegmentId, LegId>& running() const { return running_; }

private:
    void ended(const LegId& leg) {
        if (alive_.erase(leg) != 0) just_ended_ = leg;
    }
    void broken(std::string what) {
        if (broken_.empty()) broken_ = std::move(what);
    }
    void names(const LegId& leg, const char* effect) {
        if (!alive_.contains(leg)) broken(std::string(effect) + " names a leg that has ended or never was");
    }
    void check(const RingLeg& e) { names(e.leg, "RingLeg"); }
    void check(const AnswerLeg& e) {
        names(e.leg, "AnswerLeg");
        if (!answered_.insert(e.leg).second) broken("a leg is answered twice");
    }
    void check(const RejectLeg& e) {
        names(e.leg, "RejectLeg");
        if (e.status < 400 || e.status > 699) broken("a leg is rejected with a status that is no refusal");
        if (answered_.contains(e.leg)) broken("an answered leg is rejected");
        alive_.erase(e.leg);
    }
    void check(const PlaceLeg& e) {
        if (!ever_.insert(e.leg).second || !alive_.insert(e.leg).second) broken("a leg is placed twice");
    }
    void check(const EndLeg& e) {
        names(e.leg, "EndLeg");
        alive_.erase(e.leg);
    }
    void check(const MoveLeg& e) { names(e.leg, "MoveLeg"); }
    void check(const MeetLegs& e) {
        names(e.leg, "MeetLegs");
        names(e.other, "MeetLegs");
        if (e.leg == e.other) broken("a leg is to meet itself");
    }
    void check(const StartPlay& e) {
        names(e.leg, "StartPlay");
        if (e.items.empty()) broken("a treatment plays nothing");
    }
    void check(const StopPlay& e) { names(e.leg, "StopPlay"); }
    void check(const CollectDigits& e) {
        names(e.leg, "CollectDigits");
        if (e.on ? !collecting_.insert(e.leg).second : collecting_.erase(e.leg) == 0)
            broken("digits are collected, or no longer, twice");
    }
    void check(const StartRecording& e) {
        names(e.leg, "StartRecording");
        if (!segments_.insert(e.segment).second) broken("a segment is started twice");
        running_[e.segment] = e.leg;
    }
    // The one effect that may name a leg which has just ended.
    void check(const StopRecording& e) {
        const auto at = running_.find(e.segment);
        if (at == running_.end() || at->second != e.leg) return broken("a recording is stopped that does not run");
        if (!alive_.contains(e.leg) && e.leg != just_ended_) broken("StopRecording names a leg that ended long ago");
        running_.erase(at);
    }
    // A pause that comes late takes back what has ended, too.
    void check(const SilenceRecording& e) {
        if (!running_.contains(e.segment) && segments_.contains(e.segment)) return;
        records(e.leg, e.segment, "SilenceRecording");
    }
    void check(const ResumeRecording& e) { records(e.leg, e.segment, "ResumeRecording"); }
    void records(const LegId& leg, const SegmentId& segment, const char* effect) {
        names(leg, effect);
        const auto at = running_.find(segment);
        if (at == running_.end() || at->second != leg)
            broken(std::string(effect) + " names a segment that does not run");
    }
    void check(const ReferLeg& e) {
        names(e.leg, "ReferLeg");
        if (!e.over.empty()) names(e.over, "ReferLeg");
    }
    void check(const TellLeg& e) { names(e.leg, "TellLeg"); }
    void check(const ShowIdentity& e) { names(e.leg, "ShowIdentity"); }
    void check(const TellToAnswer& e) { names(e.leg, "TellToAnswer"); }
    void check(const AcceptTransfer& e) { names(e.leg, "AcceptTransfer"); }
    void check(const RefuseTransfer& e) { names(e.leg, "RefuseTransfer"); }
    void check(const TransferResult& e) { names(e.leg, "TransferResult"); }
    void check(const SayFact& e) {
        const auto text = [&](const char* field) {
            const auto* value = e.data.if_contains(field);
            return value && value->is_string() ? std::string(value->get_string()) : std::string();
        };
        if (e.type == "call.started" && !calls_.insert(text("calluuid")).second) broken("a call starts twice");
        if ((e.type == "call.ended" || e.type == "call.merged") && calls_.erase(text("calluuid")) == 0)
            broken("a call ends that does not run");
        if (e.type == "link.opened" && !links_.insert(text("link") + text("half")).second)
            broken("a link is opened twice");
        if (e.type == "link.ended" && links_.erase(text("link") + text("half")) == 0)
            broken("a link ends that is not open");
        if (e.type == "party.joined" && !joined_.insert(text("connection")).second) broken("a party joins twice");
        if (e.type == "party.left") joined_.erase(text("connection"));
        if (e.type == "tone.started" && !toned_.insert(text("connection") + text("of")).second)
            broken("a tone starts twice");
        if (e.type == "tone.stopped" && toned_.erase(text("connection") + text("of")) == 0)
            broken("a tone stops that does not run");
        if (e.type == "call.ended" && calls_.empty() && !toned_.empty()) broken("a tone has outlived every call");
        if (e.type == "treatment.started" && !treated_.insert(text("connection") + text("treatment")).second)
            broken("a treatment starts twice");
        if (e.type == "treatment.ended" && treated_.erase(text("connection") + text("treatment")) == 0)
            broken("a treatment ends that does not play");
        if (e.type == "queue.entered" && !queued_.insert(text("connection")).second) broken("a party queues twice");
        if (e.type == "queue.left" && queued_.erase(text("connection")) == 0) broken("a party leaves no queue");
        if (alive_.empty() && e.type == "call.ended" && calls_.empty() && !joined_.empty())
            broken("a party has outlived every call");
    }
    template <typename E>
    void check(const E&) {}

    std::set<LegId> alive_, ever_, answered_, collecting_;
    LegId just_ended_;
    std::set<SegmentId> segments_;
    std::map<SegmentId, LegId> running_;
    std::set<std::string> calls_, joined_, queued_, links_, toned_, treated_;
    std::string broken_;
};

// Inputs made of numbers: `number(n)` gives one below n.
template <typename Number>
class AnyEvents {
public:
    explicit AnyEvents(Number number, std::vector<SiteSettings> settings)
        : number_(std::move(number)), settings_(std::move(settings)) {}

    Event next(const Promises& seen) {
        switch (number_(32)) {
            case 0:
                return AgentRegistered{dn(), "sip:a@10.0.0.1", "udp:10.0.0.1:5060",
                                       static_cast<std::int64_t>(1000 * number_(100))};
            case 1: return AgentUnregistered{dn()};
            case 2:
            case 3: return offered();
            case 4:
            case 5: return LegConnected{leg(seen), "m"};
            case 6: return LegPlaced{leg(seen), "m"};
            case 7: return LegAlerting{leg(seen)};
            case 8:
            case 9: return LegAnswered{leg(seen), CallUuid{"peer"}, {}, "m"};
            case 10: return LegFailed{leg(seen), static_cast<int>(300 + number_(400)), {}, "m"};
            case 11: return LegEnded{leg(seen), static_cast<Cause>(number_(10)), "m"};
            case 12: return LegHeld{leg(seen)};
            case 13: return LegRetrieved{leg(seen)};
            case 14: return TransferAsked{leg(seen), number_called(), "m", {}};
            case 21: return TransferAsked{leg(seen), number_called(), "m", leg(seen)};
            case 22: return LegReferred{leg(seen), static_cast<int>(200 + 100 * number_(4))};
            case 23: return LegTold{leg(seen), told()};
            case 24: {
                Event event = offered();
                std::get<LegOffered>(event).replaces = Replacing{leg(seen), number_(2) == 0};
                return event;
            }
            case 25: return silenced(seen);
            case 26: return cti();
            case 27: return cti();
            case 15: return PlayEnded{leg(seen), "t" + std::to_string(number_(4)), number_(2) == 0};
            case 28: return PlayBegan{played_.leg, played_.play};
            case 29: return PlayEnded{played_.leg, played_.play, number_(3) == 0};
            case 30: return LegDigit{digits_from_, pick({"1", "2", "3", "9", "#"})};
            case 16: return recording(seen);
            case 17: return remote_agents();
            case 18: return cti();
            case 19:
                if (number_(8) == 0) return SettingsChanged{settings_[number_(settings_.size())]};
                return Tick{};
            default: return Tick{};
        }
    }

private:
    std::string pick(const std::vector<std::string>& from) { return from[number_(from.size())]; }
    std::string dn() { return pick({"1001", "1002", "1003", "9999"}); }
    std::string number_called() {
        return pick({"8000", "8000", "8001", "1001", "1002", "1003", "2001", "3001", "90123", "5555", "",
                     "+442071234567", "8002", "8002", "*11", "*12", "*13"});
    }
    LegId leg(const Promises& seen) {
        const auto& alive = seen.alive();
        if (alive.empty() || number_(16) == 0) return LegId{"old" + std::to_string(number_(4))};
        auto at = alive.begin();
        std::advance(at, number_(alive.size()));
        return *at;
    }
    Event offered() {
        LegOffered event;
        event.leg = LegId{"offered-" + std::to_string(++offers_)};
        switch (number_(6)) {
            case 0: event.from = {DeviceKind::agent, dn()}; break;
            case 1:
                event.from = {DeviceKind::site, "paris"};
                event.link = LinkHeader{LinkId{"link" + std::to_string(offers_)}, CallUuid{"u"}, CallUuid{"r"}, "route",
                                        number_(2) == 0};
                break;
            case 2: event.from = {DeviceKind::stranger, ""}; break;
            default: event.from = {DeviceKind::trunk, "carrier"}; break;
        }
        event.called = number_called();
        event.calling = "+44";
        return event;
    }
    Event recording(const Promises& seen) {
        if (seen.running().empty()) return RecordingOpened{LegId{"old"}, SegmentId{"none"}};
        auto at = seen.running().begin();
        std::advance(at, number_(seen.running().size()));
        if (number_(3) == 0) return RecordingFailed{at->second, at->first, "disk"};
        return RecordingOpened{at->second, at->first};
    }
    Event silenced(const Promises& seen) {
        if (seen.running().empty()) return RecordingSilenced{LegId{"old"}, SegmentId{"none"}, "paused"};
        auto at = seen.running().begin();
        std::advance(at, number_(seen.running().size()));
        return RecordingSilenced{at->second, at->first, number_(2) == 0 ? "paused" : "hold"};
    }
    SiteState told() {
        SiteState state;
        if (number_(2) == 0) state.parties.push_back({"customer", "+44", "Ann"});
        if (number_(2) == 0) state.held.push_back({"agent", "2001", "Zoe"});
        if (number_(4) == 0)
            state.paused =
                SitePause{"agent 2001", "p" + std::to_string(number_(3)), 0, static_cast<std::int64_t>(number_(1000))};
        return state;
    }
    Event remote_agents() {
        const std::string state = pick({"ready", "ready", "busy", "odd"});
        return RemoteAgents{"paris", "boot", ++told_, {{"2001", state, static_cast<std::int64_t>(number_(1000))}}};
    }
    Event cti() {
        CtiRequest request;
        request.devices = {"*"};
        request.service =
            pick({"agent-state", "make-call", "clear", "answer", "single-step-transfer", "calls", "hold", "retrieve",
                  "consultation", "consultation", "transfer", "conference", "single-step-conference", "alternate",
                  "reconnect", "recording/start", "recording/stop", "recording/pause", "recording/resume"});
        request.device = dn();
        request.to = number_called();
        request.state = pick({"ready", "not-ready", "wrap-up", "logged-off"});
        request.calluuid = seen_call_;
        return request;
    }

public:
    void saw(const std::vector<Effect>& effects) {  // so that CTI can name a call, and a play can end
        for (const Effect& effect : effects) {
            if (const auto* placed = std::get_if<PlaceLeg>(&effect)) seen_call_ = placed->room.text();
            if (const auto* play = std::get_if<StartPlay>(&effect)) played_ = *play;
            if (const auto* collect = std::get_if<CollectDigits>(&effect)) digits_from_ = collect->leg;
        }
    }

private:
    Number number_;
    std::vector<SiteSettings> settings_;  // a site may be given
    unsigned offers_ = 0;
    std::uint64_t told_ = 0;
    std::string seen_call_;
    StartPlay played_;
    LegId digits_from_;
};

// Steps a site with what `events` gives and then ends every leg; what was broken, or empty.
template <typename Number>
std::string broken_by(Exchange& site, AnyEvents<Number>& events, Number number, std::size_t steps) {
    Promises promises;
    Input input;
    Duration now{};
    const auto step = [&](Event event) {
        ++input.seed[0];
        if (input.seed[0] == 0 && ++input.seed[1] == 0) ++input.seed[2];
        input.now = {Instant{now}, WallTime{std::chrono::duration_cast<std::chrono::milliseconds>(now)}};
        input.event = std::move(event);
        const auto effects = site.step(input);
        events.saw(effects);
        return promises.watch(input.event, effects);
    };
    for (std::size_t i = 0; i < steps; ++i) {
        now += std::chrono::milliseconds{number(4000)};
        if (auto broken = step(events.next(promises)); !broken.empty()) return broken;
        if (site.counts().legs != promises.alive().size()) return "legs known are not the legs alive";
        if (site.counts().recordings != promises.running().size()) return "recordings known are not those that run";
    }
    while (!promises.alive().empty())
        if (auto broken = step(LegEnded{*promises.alive().begin(), Cause::normal, "m"}); !broken.empty()) return broken;
    const auto counts = site.counts();
    if (counts.calls + counts.legs + counts.queued + counts.recordings != 0)
        return "something is left of calls that are over";
    return {};
}

}  // namespace sheaf::exchange
