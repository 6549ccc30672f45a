// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json.hpp>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "archive/typed_fact.h"
#include "base/fact.h"

// Tells conversations as facts, for tests: sites with clocks of their own say what happened at a true time.
namespace sheaf::archive::testing {

namespace json = boost::json;

class Story {
public:
    static constexpr std::int64_t kStart = 1'767'605'400'000;  // true time 0, unix ms

    void set_clock(const std::string& site, std::int64_t ahead_ms) { ahead_[site] = ahead_ms; }
    [[nodiscard]] std::int64_t ahead(const std::string& site) const {
        const auto at = ahead_.find(site);
        return at == ahead_.end() ? 0 : at->second;
    }
    [[nodiscard]] std::string wall(const std::string& site, std::int64_t t) const {
        return to_rfc3339(WallTime(std::chrono::milliseconds(kStart + t + ahead(site))));
    }
    [[nodiscard]] std::int64_t mono(const std::string& site, std::int64_t t) const {
        return 1'000 * static_cast<std::int64_t>(site.size()) + t;
    }

    void say(const std::string& site, std::int64_t t, const std::string& type, json::object data) {
        Fact fact;
        fact.tenant = "default";
        fact.site = site;
        fact.node = site + "-1";
        fact.seq = ++seq_[site];
        fact.at = WallTime(std::chrono::milliseconds(kStart + t + ahead(site)));
        fact.mono = mono(site, t);
        fact.type = type;
        fact.data = std::move(data);
        fact.id = fact_id(fact).value();
        facts.push_back(std::move(fact));
    }

    void skip_seq(const std::string& site) { ++seq_[site]; }  // one that another story has used

    // Words that come again and again.
    void call(const std::string& site, std::int64_t t, const std::string& id, const std::string& direction,
              const std::string& root, json::value consult_of = nullptr) {
        say(site, t, "call.started",
            {{"calluuid", id},
             {"direction", direction},
             {"ani", "+447700900123"},
             {"dnis", "+442071234567"},
             {"root", root},
             {"consult_of", std::move(consult_of)},
             {"session_id", nullptr}});
    }
    void end(const std::string& site, std::int64_t t, const std::string& id) {
        say(site, t, "call.ended", {{"calluuid", id}, {"cause", "normal"}});
    }
    void merge(const std::string& site, std::int64_t t, const std::string& id, const std::string& into) {
        say(site, t, "call.merged", {{"calluuid", id}, {"into", into}});
    }
    void joined(const std::string& site, std::int64_t t, const std::string& id, const std::string& connection,
                const std::string& role, const std::string& address, json::value link = nullptr) {
        say(site, t, "party.joined",
            {{"calluuid", id},
             {"connection", connection},
             {"role", role},
             {"address", address},
             {"name", nullptr},
             {"link", std::move(link)}});
    }
    void alerting(const std::string& site, std::int64_t t, const std::string& id, const std::string& connection,
                  const std::string& role, const std::string& address) {
        say(site, t, "party.alerting",
            {{"calluuid", id}, {"connection", connection}, {"role", role}, {"address", address}});
    }
    void left(const std::string& site, std::int64_t t, const std::string& id, const std::string& connection) {
        say(site, t, "party.left", {{"calluuid", id}, {"connection", connection}, {"cause", "normal"}});
    }
    void held(const std::string& site, std::int64_t t, const std::string& id, const std::string& connection,
              const std::string& by, bool on = true) {
        say(site, t, on ? "party.held" : "party.retrieved", {{"calluuid", id}, {"connection", connection}, {"by", by}});
    }
    void queued(const std::string& site, std::int64_t from, std::int64_t to, const std::string& id,
                const std::string& connection) {
        say(site, from, "queue.entered", {{"calluuid", id}, {"connection", connection}, {"routing_point", "8000"}});
        say(site, from, "treatment.started",
            {{"calluuid", id}, {"connection", connection}, {"treatment", "music:default"}});
        say(site, to, "queue.left",
            {{"calluuid", id}, {"connection", connection}, {"routing_point", "8000"}, {"reason", "routed"}});
    }
    void music_off(const std::string& site, std::int64_t t, const std::string& id, const std::string& connection) {
        say(site, t, "treatment.ended", {{"calluuid", id}, {"connection", connection}, {"treatment", "music:default"}});
    }

    // One half of an inter-site link; the INVITE takes 4 ms, so does its answer.
    void half(const std::string& site, std::int64_t t, const std::string& link, const std::string& half,
              const std::string& from, json::value to, const std::string& kind, const std::string& connection,
              json::value moved_from = nullptr) {
        const bool has_header = half != "both";
        json::value invite_at = nullptr;
        json::value invite_mono = nullptr;
        if (has_header) {
            invite_at = json::string(wall(site, t));
            invite_mono = mono(site, t);
        }
        json::value on = nullptr;
        if (!connection.empty()) on = json::string(connection);
        say(site, t, "link.opened",
            {{"link", link},
             {"from", from},
             {"to", std::move(to)},
             {"root", from},
             {"kind", kind},
             {"tier", half == "to" ? 1 : 0},
             {"half", half},
             {"connection", std::move(on)},
             {"header", has_header},
             {"moved_from", std::move(moved_from)},
             {"invite_at", std::move(invite_at)},
             {"invite_mono", std::move(invite_mono)},
             {"evidence",
              {{{"rule", half == "to" ? "signed-header" : "own-" + kind},
                {"source", "site " + site},
                {"value", link},
                {"messages", {"abc@" + site + ";1;INVITE"}}}}}});
    }
    void answered(const std::string& site, std::int64_t t, const std::string& link, const std::string& half,
                  const std::string& peer) {
        say(site, t, "link.answered",
            {{"link", link},
             {"half", half},
             {"peer_calluuid", peer},
             {"status", 200},
             {"answer_at", wall(site, t)},
             {"answer_mono", mono(site, t)}});
    }
    void link_ended(const std::string& site, std::int64_t t, const std::string& link, const std::string& half) {
        say(site, t, "link.ended", {{"link", link}, {"half", half}});
    }

    // A segment from its order to the stored file. It opens 20 ms after the answer.
    void segment(const std::string& site, std::int64_t from, std::int64_t to, const std::string& id,
                 const std::string& of_call, const std::string& connection) {
        const json::object base = {{"segment", id}, {"calluuid", of_call}, {"connection", connection}};
        const auto with = [&](json::object more) {
            json::object data = base;
            for (auto& [key, value] : more) data[key] = value;
            return data;
        };
        say(site, from - 300, "segment.expected", with({{"rule", "agent always"}}));
        say(site, from + 20, "segment.opened", base);
        const json::object packets = {{"received", 100}, {"stored", 100}, {"duplicate", 0},
                                      {"late", 0},       {"excluded", 0}, {"lost", 0}};
        say(site, to + 15, "segment.sealed",
            with({{"duration_ms", to - from - 5}, {"cause", "party-left"}, {"said", packets}, {"heard", packets}}));
        stored(id);
    }
    void stored(const std::string& id) {
        say("archive", 100'000, "segment.stored",
            {{"segment", id}, {"sha256", std::string(64, 'a')}, {"bytes", 1000}, {"media_type", "audio/wav"}});
    }

    std::vector<Fact> facts;

private:
    std::map<std::string, std::int64_t> ahead_;
    std::map<std::string, std::uint64_t> seq_;
};

inline std::vector<TypedFact> typed(const std::vector<Fact>& facts) {
    std::vector<TypedFact> list;
    for (const Fact& fact : facts) list.push_back(typed_fact(fact).value());
    return list;
}

}  // namespace sheaf::archive::testing
