// SPDX-License-Identifier: Apache-2.0
#include "edge/net/sip_node.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <utility>

#include "edge/net/clock.h"
#include "edge/net/sip_transport.h"

namespace sheaf::net {
namespace {

using boost::system::error_code;

// Shared with the timer's pending operation, which may outlive the SipNode.
class Driver : public std::enable_shared_from_this<Driver> {
public:
    Driver(boost::asio::io_context& io, SipNode::OnEvent on_event, SipNode::OnPassed on_passed)
        : timer_(io), on_event_(std::move(on_event)), on_passed_(std::move(on_passed)) {}

    Result<void> start(boost::asio::io_context& io, sip::UserAgentOptions options) {
        SipTransportHandlers handlers;
        handlers.on_bytes = [this](const sip::Source& source, std::string_view bytes) {
            if (verdict_on(source, bytes) != sip::Admission::Verdict::admit) return;
            if (on_passed_) on_passed_({false, source.local, source.remote, bytes});
            agent_->receive_datagram(now().mono, source, bytes);
            hand_out();
        };
        handlers.on_message = [this](const sip::Source& source, const sip::Message& message) {
            const auto verdict = verdict_on(source, message);
            if (verdict != sip::Admission::Verdict::admit) return verdict != sip::Admission::Verdict::drop;
            if (on_passed_) on_passed_({false, source.local, source.remote, sip::to_bytes(message)});
            agent_->receive_message(now().mono, source, message);
            hand_out();
            return true;
        };
        handlers.on_broken = [this](const sip::Source& source, std::string_view bytes, const Error& error) {
            const auto verdict = verdict_on(source, bytes);
            if (verdict != sip::Admission::Verdict::admit) return verdict != sip::Admission::Verdict::drop;
            if (on_passed_) on_passed_({false, source.local, source.remote, bytes});
            agent_->receive_broken(source, bytes, error);
            return true;
        };
        handlers.on_failed = [this](const std::string& branch, bool was_up) {
            agent_->transport_failed(now().mono, branch, was_up);
            hand_out();
        };
        handlers.on_batch = [this] { pump(); };
        handlers.may_idle = [this](const std::string& address) { return sender_of_ && sender_of_(address).has_call; };
        handlers.is_stranger = [this](const std::string& address) {
            return sender_of_ && sender_of_(address).kind == sip::Sender::Kind::stranger;
        };
        // No handler runs before the io_context does: the agent is there by then.
        TRY(transport_, SipTransport::start(io, options.listen, {}, std::move(handlers)));
        options.listen = transport_->bound();
        agent_ = std::make_unique<sip::UserAgent>(std::move(options), seed());
        return {};
    }

    void pump() {
        if (closed_ || is_handing_out_) return;  // the handler's caller does it
        const auto self = shared_from_this();    // a handler may drop the node
        hand_out();
        if (closed_) return;
        if (auto sends = agent_->take_sends(); !sends.empty()) {
            for (const sip::Send& send : sends) {
                if (on_passed_) on_passed_({true, send.local, send.to, send.bytes});
            }
            transport_->send(std::move(sends));
        }
        arm();
    }
    void close() {
        if (closed_) return;
        closed_ = true;
        timer_.cancel();
        transport_->close();
    }
    void admit_by_share(const sip::Shares& shares, SipNode::SenderOf sender_of) {
        std::uint64_t secret = 0;
        for (const auto byte : seed()) secret = (secret << 8U | secret >> 56U) ^ byte;
        admission_.emplace(shares, secret);
        sender_of_ = std::move(sender_of);
    }
    sip::Admission::Turned take_turned() { return admission_ ? admission_->take_turned() : sip::Admission::Turned{}; }
    sip::UserAgent& agent() { return *agent_; }
    [[nodiscard]] const std::vector<sip::Endpoint>& bound() const { return transport_->bound(); }

private:
    static std::size_t bytes_of(std::string_view bytes) { return bytes.size(); }
    static std::size_t bytes_of(const sip::Message& message) {
        std::size_t bytes = message.body.size();
        for (const auto& header : message.headers) bytes += header.name.size() + header.value.size() + 4;
        return bytes;
    }
    // What is refused has been answered.
    template <typename Content>
    sip::Admission::Verdict verdict_on(const sip::Source& source, const Content& content) {
        if (!admission_) return sip::Admission::Verdict::admit;
        const auto& address = source.remote.address;
        const auto verdict = admission_->judge(now().mono, address, sender_of_(address), bytes_of(content));
        if (verdict == sip::Admission::Verdict::refuse) agent_->turn_away(source, content);
        return verdict;
    }
    // Events may beget events.
    void hand_out() {
        if (is_handing_out_) return;
        const auto self = shared_from_this();
        is_handing_out_ = true;
        for (auto events = agent_->take_events(); !events.empty() && !closed_; events = agent_->take_events()) {
            for (const sip::Event& event : events) {
                if (closed_) break;
                on_event_(now().mono, event);
            }
        }
        is_handing_out_ = false;
    }
    void arm() {
        const auto deadline = agent_->next_deadline();
        if (!deadline || (armed_ && *armed_ <= *deadline)) return;  // too early is harmless, and fires soon
        armed_ = deadline;
        // Both are CLOCK_MONOTONIC.
        timer_.expires_at(std::chrono::steady_clock::time_point{deadline->time_since_epoch()});
        timer_.async_wait([self = shared_from_this()](error_code error) {
            if (error || self->closed_) return;
            self->armed_.reset();
            self->agent_->tick(now().mono);
            self->pump();
        });
    }

    boost::asio::steady_timer timer_;
    SipNode::OnEvent on_event_;
    SipNode::OnPassed on_passed_;
    SipNode::SenderOf sender_of_;
    std::optional<sip::Admission> admission_;
    std::unique_ptr<SipTransport> transport_;
    std::unique_ptr<sip::UserAgent> agent_;
    std::optional<Instant> armed_;
    bool is_handing_out_ = false;
    bool closed_ = false;
};

class Node : public SipNode {
public:
    explicit Node(std::shared_ptr<Driver> driver) : driver_(std::move(driver)) {}
    ~Node() override { driver_->close(); }
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    sip::UserAgent& agent() override { return driver_->agent(); }
    [[nodiscard]] const std::vector<sip::Endpoint>& bound() const override { return driver_->bound(); }
    void admit_by_share(const sip::Shares& shares, SenderOf sender_of) override {
        driver_->admit_by_share(shares, std::move(sender_of));
    }
    [[nodiscard]] sip::Admission::Turned take_turned() override { return driver_->take_turned(); }
    void pump() override { driver_->pump(); }
    void close() override { driver_->close(); }

private:
    std::shared_ptr<Driver> driver_;
};

}  // namespace

Result<std::unique_ptr<SipNode>> SipNode::start(boost::asio::io_context& io, sip::UserAgentOptions options,
                                                OnEvent on_event, OnPassed on_passed) {
    auto driver = std::make_shared<Driver>(io, std::move(on_event), std::move(on_passed));
    TRY_VOID(driver->start(io, std::move(options)));
    return std::make_unique<Node>(std::move(driver));
}

}  // namespace sheaf::net
