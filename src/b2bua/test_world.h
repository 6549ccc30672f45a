// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "b2bua/b2bua.h"
#include "sip/sdp.h"
#include "sip/user_agent.h"

// Several user agents on a wire in virtual time: real SIP bytes, no socket. For tests only.
namespace sheaf::b2bua::test {

using namespace std::chrono_literals;

[[nodiscard]] sip::Endpoint at(const std::string& text);
[[nodiscard]] sip::Uri uri(const std::string& text);
[[nodiscard]] PeerAddress peer(const std::string& text);  // with a literal host
[[nodiscard]] Entropy::Seed seed(std::uint8_t first);
[[nodiscard]] std::string sdp_of(const std::string& address, std::uint16_t port,
                                 sip::Direction direction = sip::Direction::sendrecv);

// One user agent and what it has heard.
struct Node {
    std::string name;
    std::vector<sip::Endpoint> listen;
    std::unique_ptr<sip::UserAgent> ua;
    std::deque<sip::Event> heard;
    std::function<void(Instant, const sip::Event&)> script;  // instead of `heard`
    bool dead = false;                                       // neither hears nor answers

    template <typename E>
    [[nodiscard]] const E* last() const {
        for (auto it = heard.rbegin(); it != heard.rend(); ++it) {
            if (const auto* event = std::get_if<E>(&*it)) return event;
        }
        return nullptr;
    }
    template <typename E>
    [[nodiscard]] std::size_t count() const {
        return static_cast<std::size_t>(
            std::ranges::count_if(heard, [](const sip::Event& e) { return std::holds_alternative<E>(e); }));
    }
};

class Wire {
public:
    Wire();
    ~Wire();
    Wire(const Wire&) = delete;
    Wire& operator=(const Wire&) = delete;

    Instant now{1'000s};
    std::vector<std::string> seen;  // every message's bytes, in order

    Node& add(std::string name, const std::vector<std::string>& listen, sip::UserAgentOptions options = {});
    // Until nothing is on the wire.
    void settle();
    void run(Duration span);
    void attach(std::function<bool()> after, std::function<std::optional<Instant>()> deadline,
                std::function<void()> tick) {
        after_ = std::move(after);
        deadline_ = std::move(deadline);
        tick_ = std::move(tick);
    }
    [[nodiscard]] std::size_t count_seen(std::string_view text) const;
    // The last message whose first line has `start`.
    [[nodiscard]] std::string last_seen(std::string_view start) const;
    // Bytes as if `from` had sent them.
    void inject(const Node& from, const sip::Endpoint& to, const std::string& bytes);

private:
    void deliver(const Node& from, const sip::Send& send);
    [[nodiscard]] std::uint64_t flow_of(const Node& a, const Node& b) const;

    std::vector<std::unique_ptr<Node>> nodes_;
    std::function<bool()> after_;
    std::function<std::optional<Instant>()> deadline_;
    std::function<void()> tick_;
};

// A media server that answers everything well, unless told otherwise.
struct MediaDouble {
    Node& node;
    int refuse_invite = 0;  // status, 0: take them
    int refuse_reinvite = 0;
    std::string refuse_offer;      // what an INVITE's offer has that is refused with 488
    bool holds_invite = false;   // leave INVITEs unanswered
    std::string refuse_command;  // text of an element whose result is refuse_code
    int refuse_code = 503;
    std::vector<std::string> commands;  // MSML bodies
    std::vector<std::string> offers;    // of INVITEs and re-INVITEs; "" when offerless
    std::vector<std::string> answers;   // in ACKs
    std::vector<sip::DialogId> dialogs;
    std::vector<std::string> targets;  // Request-URI users
    std::vector<std::string> messages;  // MSML outside of a dialog
    int message_status = 200;
    std::size_t ended = 0;
    std::uint16_t port = 20'000;

    explicit MediaDouble(Node& of);
    void on(Instant now, const sip::Event& event);
    void on_request(Instant now, const sip::Requested& e);
    [[nodiscard]] std::string description(const std::string& offer);
    void tell(Instant now, sip::DialogId dialog, const std::string& event);
};

// A switch's translator with the world around it; the test itself is the exchange.
struct World {
    Wire wire;
    Node& node;
    Node& carrier;
    Node& paris;
    Node& phone;
    Node& stranger;
    MediaDouble media;
    WallTime wall{1'767'605'400'000ms};
    B2bua b2bua;
    std::deque<exchange::Event> events;
    std::vector<exchange::Log> logs;

    static Settings settings();
    explicit World(Settings given = settings(), sip::UserAgentOptions options = options_of_switch());
    ~World();
    World(const World&) = delete;
    World& operator=(const World&) = delete;
    [[nodiscard]] Stamp stamp() const;
    bool take();
    void order(const exchange::Effect& effect);
    template <typename E>
    [[nodiscard]] const E* last() const {
        for (auto it = events.rbegin(); it != events.rend(); ++it) {
            if (const auto* event = std::get_if<E>(&*it)) return event;
        }
        return nullptr;
    }
    template <typename E>
    [[nodiscard]] std::size_t count() const {
        return static_cast<std::size_t>(
            std::ranges::count_if(events, [](const exchange::Event& e) { return std::holds_alternative<E>(e); }));
    }
    [[nodiscard]] bool logged(std::string_view text) const;
    // An INVITE from `from` to `number`; settled.
    sip::DialogId call(Node& from, const std::string& number, const std::vector<sip::Header>& headers = {},
                       const std::string& sdp = sdp_of("127.0.0.9", 30'000), const std::string& user = "+4420");
    static sip::Invitation invitation_to(const Node& from, const std::string& number, const std::string& user);
    // The customer's call, answered into room u1.
    LegId answered_call();
    [[nodiscard]] exchange::PlaceLeg to_phone(const std::string& leg = "leg-a") const;
    // An agent's leg, answered.
    LegId placed_leg();
    // A leg to paris, answered, whose site is one of ours: it takes sheaf-call and has a pivot address.
    LegId site_leg(const std::string& id = "leg-p");
    // A call of paris, answered into room u5.
    LegId call_of_site();
    void end(const LegId& leg) { order(exchange::EndLeg{leg, 0, exchange::Cause::normal}); }
    // Everything is over: nothing may be left.
    void must_be_clean();
    sip::DialogId customer = 0;
    sip::DialogId site = 0;
};

}  // namespace sheaf::b2bua::test
