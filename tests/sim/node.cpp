// SPDX-License-Identifier: Apache-2.0
#include "sim/node.h"

#include <utility>

#include "sip/message.h"

namespace sheaf::sim {

Node::Node(World& world, Network& network, std::string name, std::string at_area, std::string at_address, Clock clock)
    : world_(world), network_(network), name_(std::move(name)), clock_(clock) {
    area = std::move(at_area);
    address = std::move(at_address);
    network_.attach(*this);
}

void Node::start(sip::UserAgentOptions options) {
    options.listen = {{sip::Transport::udp, address, 5060}};
    if (with_tcp_) options.listen.push_back({sip::Transport::tcp, address, 5060});
    agent_ = std::make_unique<sip::UserAgent>(std::move(options), world_.chance().seed());
    ++boots;
}

void Node::die() {
    agent_.reset();
    armed_.reset();
}

void Node::datagram(const sip::Source& source, std::string_view bytes) {
    agent_->receive_datagram(mono(), source, bytes);
    pump();
}

void Node::stream_message(const sip::Source& source, std::string_view bytes) {
    agent_->receive_message(mono(), source, sip::message_from_datagram(bytes));
    pump();
}

void Node::send_failed(const std::string& branch) {
    agent_->transport_failed(mono(), branch);
    pump();
}

void Node::pump() {
    if (is_handing_out_ || !agent_) return;
    hand_out();
    if (!agent_) return;
    for (const auto& send : agent_->take_sends()) network_.send(*this, send);
    arm();
}

void Node::hand_out() {
    is_handing_out_ = true;
    for (auto events = agent_->take_events(); !events.empty(); events = agent_->take_events()) {
        for (const auto& event : events) on_event(event);
    }
    is_handing_out_ = false;
}

void Node::arm() {
    auto next = agent_->next_deadline();
    if (const auto own = own_deadline(); own && (!next || *own < *next)) next = own;
    if (!next) return;
    const Instant at = clock_.true_at(*next);
    if (armed_ && *armed_ <= at) return;  // too early is harmless, and comes soon
    armed_ = at;
    world_.at(at, [this, at, started = boots] {
        if (!agent_ || boots != started || armed_ != at) return;
        armed_.reset();
        agent_->tick(mono());
        on_due();
        pump();
    });
}

}  // namespace sheaf::sim
