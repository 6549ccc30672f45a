// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/network.h"
#include "sim/world.h"
#include "sip/user_agent.h"

namespace sheaf::sim {

// A station that speaks SIP through the real user agent, as edge/net's SipNode drives it: bytes in, events handed out
// one by one, then what it wants to send, then its next deadline.
class Node : public Station {
public:
    Node(World& world, Network& network, std::string name, std::string at_area, std::string at_address, Clock clock);
    ~Node() override = default;
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    void datagram(const sip::Source& source, std::string_view bytes) final;
    void stream_message(const sip::Source& source, std::string_view bytes) final;
    void send_failed(const std::string& branch) final;
    [[nodiscard]] bool is_up() const final { return agent_ != nullptr; }

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] sip::UserAgent& agent() { return *agent_; }
    [[nodiscard]] const sip::UserAgent& agent() const { return *agent_; }
    [[nodiscard]] const Clock& clock() const { return clock_; }
    [[nodiscard]] Instant mono() const { return clock_.mono(world_.now()); }
    [[nodiscard]] Stamp stamp() const { return clock_.stamp(world_.now()); }
    [[nodiscard]] World& world() { return world_; }

protected:
    void start(sip::UserAgentOptions options);  // listens on UDP, and on TCP where it is asked
    void die();                                 // everything in it is gone
    virtual void on_event(const sip::Event& event) = 0;
    virtual void on_due() {}
    [[nodiscard]] virtual std::optional<Instant> own_deadline() const { return std::nullopt; }  // on its own clock
    void pump();  // after every command from outside

    bool with_tcp_ = false;
    World& world_;
    Network& network_;

private:
    void hand_out();
    void arm();

    std::string name_;
    Clock clock_;
    std::unique_ptr<sip::UserAgent> agent_;
    std::optional<Instant> armed_;
    bool is_handing_out_ = false;
};

}  // namespace sheaf::sim
