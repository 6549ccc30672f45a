// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <boost/asio/ip/udp.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "lab/frame.h"
#include "sip/sdp.h"

namespace sheaf::lab {

// One call's sound on the wire: a socket of its own, RTP out and in. Its phone gives it something to send every 20 ms.
// One thread (the io_context's).
class Voice {
public:
    // What came, as linear samples and as it was on the wire.
    using Received = std::function<void(std::span<const std::int16_t> samples, Bytes codes)>;

    // An RFC 4733 event has ended: one of 0-9 * # A-D.
    using Digit = std::function<void(char digit)>;

    Voice(boost::asio::io_context& io, Received received, Digit digit);

    // Binds an even port of the range.
    [[nodiscard]] Result<std::uint16_t> open(const std::string& address, std::uint16_t first, std::uint16_t last);
    // Sends and listens as agreed from now on; again after each new agreement.
    void use(const sip::Negotiated& agreed);
    // The next 20 ms: these samples under this mark; nothing when there are no samples. Digits go first.
    void tick(std::span<const std::int16_t> samples, FrameMark mark);
    // RFC 4733 events: 160 ms each, 40 ms between. Errc::unsupported when the peer takes none.
    [[nodiscard]] Result<void> dial(const std::string& digits);
    void close();

    struct Stats {
        std::uint64_t sent = 0;
        std::uint64_t received = 0;
        std::uint64_t sequence_gaps = 0;  // packets that never came, by sequence numbers
    };
    [[nodiscard]] const Stats& stats() const { return stats_; }

private:
    void send(std::uint8_t payload_type, bool marker, std::uint32_t timestamp, std::span<const std::uint8_t> payload);
    void send_digit();
    void arm_receive();
    void on_packet(std::size_t bytes);
    void on_digit(std::uint32_t timestamp, Bytes payload);

    boost::asio::ip::udp::socket socket_;
    Received received_;
    Digit digit_;
    sip::Negotiated agreed_;
    bool running_ = false;

    std::uint16_t sequence_ = 0;
    std::uint32_t timestamp_ = 0;
    std::uint32_t ssrc_ = 0;
    std::uint32_t digit_timestamp_ = 0;
    std::deque<std::uint8_t> digits_;  // event codes
    std::uint16_t digit_ticks_ = 0;    // sent of the first of them

    std::array<std::uint8_t, 2048> buffer_{};
    boost::asio::ip::udp::endpoint from_;
    std::uint32_t heard_ssrc_ = 0;
    std::uint16_t heard_sequence_ = 0;
    bool heard_any_ = false;
    std::optional<std::uint32_t> heard_digit_;  // timestamp of the last event
    Stats stats_;
};

}  // namespace sheaf::lab
