// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "sim/chance.h"
#include "sim/world.h"
#include "sip/user_agent.h"

namespace sheaf::sim {

// Who can be sent to. Down: what comes for it is gone, connections to it are refused.
class Station {
public:
    virtual ~Station() = default;
    virtual void datagram(const sip::Source& source, std::string_view bytes) = 0;
    virtual void stream_message(const sip::Source& source, std::string_view bytes) = 0;
    virtual void send_failed(const std::string& branch) = 0;
    [[nodiscard]] virtual bool is_up() const = 0;
    std::string area;         // stations of one area share a network
    std::string address;      // literal
    std::uint64_t boots = 0;  // counts its starts: a connection does not outlive one
};

// How good the way between two areas is, one way.
struct Quality {
    Duration delay{};
    Duration jitter{};     // added, evenly spread
    double loss = 0;       // of datagrams
    double twice = 0;      // that come twice
    double overtaken = 0;  // that come so late that others overtake them
};

// Carries bytes between stations: datagrams as they please, streams in order or not at all.
class Network {
public:
    Network(World& world, Chance chance) : world_(world), chance_(chance) {}

    void attach(Station& station) { stations_[station.address] = &station; }
    void set_default(Quality quality) { otherwise_ = quality; }
    void set(const std::string& a, const std::string& b, Quality quality) { ways_[key(a, b)] = quality; }
    void cut(const std::string& a, const std::string& b) { cut_.insert(key(a, b)); }
    void mend(const std::string& a, const std::string& b) { cut_.erase(key(a, b)); }
    void mend_all() { cut_.clear(); }
    [[nodiscard]] bool is_cut(const std::string& a, const std::string& b) const { return cut_.contains(key(a, b)); }

    void send(Station& from, const sip::Send& send);
    // One message of another protocol than SIP, by a connection of its own: `arrive` or nothing.
    void carry(const std::string& from_area, const std::string& to_area, std::function<void()> arrive);

    // Sees every message as it is sent (true) and as it comes (false).
    std::function<void(const Station& from, const Station* to, std::string_view bytes, bool sent)> watcher;
    struct Counts {
        std::uint64_t datagrams = 0, lost = 0, twice = 0, overtaken = 0, stream_messages = 0, failed = 0;
    };
    [[nodiscard]] const Counts& counts() const { return counts_; }

private:
    struct Connection {
        Station* a;
        Station* b;
        std::uint64_t boots_a, boots_b;
        Instant last_to_a{}, last_to_b{};
    };
    static std::pair<std::string, std::string> key(const std::string& a, const std::string& b) {
        return a < b ? std::pair{a, b} : std::pair{b, a};
    }
    [[nodiscard]] const Quality& quality(const Station& from, const Station& to) const;
    [[nodiscard]] Duration delay_of(const Quality& quality);
    void send_datagram(Station& from, Station* to, const sip::Send& send);
    void send_stream(Station& from, Station* to, const sip::Send& send);
    [[nodiscard]] bool is_alive(const Connection& connection) const;
    std::uint64_t connection_between(Station& from, Station& to);

    World& world_;
    Chance chance_;
    std::unordered_map<std::string, Station*> stations_;
    Quality otherwise_;
    std::map<std::pair<std::string, std::string>, Quality> ways_;
    std::set<std::pair<std::string, std::string>> cut_;
    std::map<std::uint64_t, Connection> connections_;
    std::map<std::pair<Station*, Station*>, std::uint64_t> by_ends_;
    std::uint64_t flows_ = 0;
    Counts counts_;
};

}  // namespace sheaf::sim
