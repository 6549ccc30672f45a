// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "sim/archive.h"
#include "sim/media_server.h"
#include "sim/people.h"
#include "sim/rivals.h"
#include "sim/site.h"
#include "sim/trace.h"
#include "sim/truth.h"

namespace sheaf::sim {

enum class Profile { calm, faults };

struct Options {
    std::uint64_t seed = 1;
    double hours = 1.0;
    Profile profile = Profile::calm;
    bool with_rivals = false;  // notes what other ways of grouping would go by
    bool trace = false;
};

// Three sites (london, paris and a hub with the central queue), their media servers, agents, two carriers with their
// customers, an archive, and the network between them.
class Town final : public Switch::Observer {
public:
    explicit Town(Options options);
    ~Town() override;

    void live();  // the hours, and then until it is quiet

    [[nodiscard]] Truth& truth() { return truth_; }
    [[nodiscard]] Archive& archive() { return archive_; }
    [[nodiscard]] const Network& network() const { return network_; }
    [[nodiscard]] World& world() { return world_; }
    [[nodiscard]] const Trace& trace() const { return trace_; }
    [[nodiscard]] const MediaServer& media(const std::string& site) const { return *media_.at(site); }
    [[nodiscard]] const Clock& clock_of(const std::string& site) const;
    [[nodiscard]] const std::vector<std::string>& complaints() const { return around_.complaints; }
    // What is left of calls that are over; empty: nothing.
    [[nodiscard]] std::vector<std::string> leftovers() const;
    [[nodiscard]] const Options& options() const { return options_; }
    [[nodiscard]] const Rivals& rivals() const { return rivals_; }

private:
    void build_network();
    void build_site(const std::string& site, int index);
    void build_people();
    void stepped(Switch& at, const exchange::Event& event, const std::vector<exchange::Effect>& effects) override;
    void broken(Switch& at, const std::string& promise) override;
    void note_ids(Switch& at, const exchange::Event& event, const std::vector<exchange::Effect>& effects);
    void watch(const Station& from, const Station* to, std::string_view bytes, bool sent);
    void call_began(Switch& at, const exchange::LegOffered& offered, const std::vector<exchange::Effect>& effects);
    [[nodiscard]] bool is_consult_of_recorded(ConversationId conversation, const std::string& dn) const;
    void note_step(Switch& at, const exchange::Event& event, const std::vector<exchange::Effect>& effects);
    void note_placed(Switch& at, const exchange::PlaceLeg& placed);
    void something_fails();
    void crash(const std::string& site, bool is_media);
    void fill_disk(const std::string& site);
    void cut_off();
    void shake(const std::string& what, const std::string& site);

    Options options_;
    World world_;
    Trace trace_;
    Chance faults_;
    Network network_;
    Audio audio_;
    Archive archive_;
    Truth truth_;
    Rivals rivals_;
    Surroundings around_;
    std::map<std::string, Clock> clocks_;
    std::map<std::string, std::unique_ptr<MediaServer>> media_;
    std::map<std::string, std::unique_ptr<Switch>> switches_;
    std::vector<std::unique_ptr<Agent>> agents_;
    std::vector<std::unique_ptr<Carrier>> carriers_;
    std::map<std::pair<std::string, LegId>, std::string> calls_;  // (site, leg) → calluuid
    struct CalledSite {
        Instant when{};
        std::string site;
        ConversationId by = 0;
    };
    std::deque<CalledSite> called_sites_;  // lately: a call may be on its way to a site that has just failed
    std::map<std::string, std::string> uuid_of_call_id_;
    std::set<std::string> recorded_legs_;  // Call-IDs of the hub's legs whose ends are known
};

}  // namespace sheaf::sim
