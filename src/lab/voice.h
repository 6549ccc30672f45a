// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "sip/sdp.h"

namespace sheaf::lab {

// The tones of the lab's people; who hears which is how a call is checked while it runs.
inline constexpr std::array<int, 3> kTones{467, 619, 853};
inline constexpr double kToneDbfs = -16.0;

// One phone's sound: sends its tone as RTP every 20 ms, listens for the others'. One thread (the io_context's).
class Voice {
public:
    // Called when the set of tones heard has changed and stayed so for 200 ms.
    using Heard = std::function<void(const std::vector<int>&)>;

    Voice(boost::asio::io_context& io, int tone_hz, Heard heard);

    // Binds an even port of the range.
    [[nodiscard]] Result<std::uint16_t> open(const std::string& address, std::uint16_t first, std::uint16_t last);
    // Sends and listens as agreed from now on; again after each new agreement.
    void use(const sip::Negotiated& agreed);
    void close();

    struct Stats {
        std::uint64_t sent = 0;
        std::uint64_t received = 0;
        std::uint64_t sequence_gaps = 0;  // packets that never came, by sequence numbers
    };
    [[nodiscard]] const Stats& stats() const { return stats_; }

private:
    void arm_timer();
    void on_frame();
    void arm_receive();
    void on_packet(std::size_t bytes);
    void judge();

    boost::asio::ip::udp::socket socket_;
    boost::asio::steady_timer timer_;
    int tone_hz_;
    Heard heard_;
    sip::Negotiated agreed_;
    bool running_ = false;
    std::chrono::steady_clock::time_point next_frame_{};

    std::uint16_t sequence_ = 0;
    std::uint32_t timestamp_ = 0;
    std::uint32_t ssrc_ = 0;
    std::uint64_t samples_sent_ = 0;

    std::array<std::uint8_t, 2048> buffer_{};
    boost::asio::ip::udp::endpoint from_;
    std::uint32_t heard_ssrc_ = 0;
    std::uint16_t heard_sequence_ = 0;
    bool heard_any_ = false;
    std::vector<std::int16_t> window_;
    std::chrono::steady_clock::time_point last_judged_{};
    std::vector<int> candidate_;
    int candidate_windows_ = 0;
    std::vector<int> present_;
    Stats stats_;
};

}  // namespace sheaf::lab
