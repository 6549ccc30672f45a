// SPDX-License-Identifier: Apache-2.0
#include "lab/voice.h"

#include <boost/asio/io_context.hpp>
#include <cmath>
#include <random>

#include "rtp/g711.h"
#include "rtp/packet.h"

namespace sheaf::lab {
namespace {

namespace asio = boost::asio;
using asio::ip::udp;

constexpr std::size_t kFrame = 160;
constexpr auto kFrameTime = std::chrono::milliseconds{20};
constexpr std::size_t kWindow = 800;  // 100 ms
constexpr double kPresentDbfs = kToneDbfs - 10;

// Level of one frequency in a window, dBFS of a sine's amplitude (Goertzel, Hann window).
double level_dbfs(const std::vector<std::int16_t>& window, int hz) {
    const double w = 2 * std::cos(2 * M_PI * hz / rtp::kG711Rate);
    double a = 0;
    double b = 0;
    double weight = 0;
    for (std::size_t i = 0; i < window.size(); ++i) {
        const double hann = 0.5 - 0.5 * std::cos(2 * M_PI * static_cast<double>(i) / static_cast<double>(window.size()));
        weight += hann;
        const double next = window[i] / 32768.0 * hann + w * a - b;
        b = a;
        a = next;
    }
    const double amplitude = 2 * std::sqrt(std::max(a * a + b * b - w * a * b, 0.0)) / weight;
    return 20 * std::log10(std::max(amplitude, 1e-9));
}

bool is_ulaw(const sip::Codec& codec) {
    return codec.name == "PCMU" || codec.name == "pcmu";
}

}  // namespace

Voice::Voice(asio::io_context& io, int tone_hz, Heard heard)
    : socket_(io), timer_(io), tone_hz_(tone_hz), heard_(std::move(heard)) {
    std::random_device chance;
    ssrc_ = chance();
    sequence_ = static_cast<std::uint16_t>(chance());
    timestamp_ = chance();
}

Result<std::uint16_t> Voice::open(const std::string& address, std::uint16_t first, std::uint16_t last) {
    boost::system::error_code error;
    const auto ip = asio::ip::make_address(address, error);
    if (error) return fail(Errc::malformed, "no address: " + address);
    for (int port = first + (first & 1); port <= last; port += 2) {
        const udp::endpoint here(ip, static_cast<std::uint16_t>(port));
        socket_.open(here.protocol(), error);
        if (!error) socket_.bind(here, error);
        if (!error) return static_cast<std::uint16_t>(port);
        socket_.close(error);
    }
    return fail(Errc::exhausted, "no free RTP port at " + address);
}

void Voice::use(const sip::Negotiated& agreed) {
    agreed_ = agreed;
    if (running_) return;
    running_ = true;
    next_frame_ = std::chrono::steady_clock::now() + kFrameTime;
    last_judged_ = std::chrono::steady_clock::now();
    arm_timer();
    arm_receive();
}

void Voice::close() {
    running_ = false;
    timer_.cancel();
    boost::system::error_code ignored;
    socket_.close(ignored);
    window_.clear();
    present_.clear();
    candidate_.clear();
    heard_any_ = false;
}

void Voice::arm_timer() {
    timer_.expires_at(next_frame_);
    timer_.async_wait([this](boost::system::error_code error) {
        if (!error && running_) on_frame();
    });
}

void Voice::on_frame() {
    next_frame_ += kFrameTime;
    const bool can_send = sip::sends(agreed_.direction) && agreed_.remote_port != 0 && !agreed_.send.empty();
    if (can_send) {
        std::array<std::uint8_t, rtp::kHeaderBytes + kFrame> packet{};
        const sip::Codec& codec = agreed_.send.front();
        rtp::write_header(packet.data(), {.marker = samples_sent_ == 0,
                                          .payload_type = codec.payload_type,
                                          .sequence = sequence_,
                                          .timestamp = timestamp_,
                                          .ssrc = ssrc_});
        const double amplitude = std::pow(10.0, kToneDbfs / 20) * 32767;
        for (std::size_t i = 0; i < kFrame; ++i) {
            const double phase = 2 * M_PI * tone_hz_ * static_cast<double>(samples_sent_ + i) / rtp::kG711Rate;
            const auto sample = static_cast<std::int16_t>(std::lround(amplitude * std::sin(phase)));
            packet[rtp::kHeaderBytes + i] = is_ulaw(codec) ? rtp::ulaw_from_linear(sample) : rtp::alaw_from_linear(sample);
        }
        boost::system::error_code error;
        const auto ip = asio::ip::make_address(agreed_.remote_address, error);
        if (!error) socket_.send_to(asio::buffer(packet), udp::endpoint(ip, agreed_.remote_port), 0, error);
        if (!error) ++stats_.sent;
        ++sequence_;
        samples_sent_ += kFrame;
    }
    timestamp_ += kFrame;
    judge();
    arm_timer();
}

void Voice::arm_receive() {
    socket_.async_receive_from(asio::buffer(buffer_), from_, [this](boost::system::error_code error, std::size_t bytes) {
        if (!running_ || error == asio::error::operation_aborted) return;
        if (!error) on_packet(bytes);
        arm_receive();
    });
}

void Voice::on_packet(std::size_t bytes) {
    const auto packet = rtp::parse_packet(Bytes{buffer_.data(), bytes});
    if (!packet || !sip::receives(agreed_.direction)) return;
    const sip::Codec* codec = nullptr;
    for (const auto& candidate : agreed_.receive) {
        if (candidate.payload_type == packet->payload_type) codec = &candidate;
    }
    if (codec == nullptr) return;
    ++stats_.received;
    if (heard_any_ && packet->ssrc == heard_ssrc_) {
        const auto step = static_cast<std::uint16_t>(packet->sequence - heard_sequence_);
        if (step > 1 && step < 1000) stats_.sequence_gaps += step - 1U;
    }
    heard_any_ = true;
    heard_ssrc_ = packet->ssrc;
    heard_sequence_ = packet->sequence;
    for (const std::uint8_t code : packet->payload) {
        window_.push_back(is_ulaw(*codec) ? rtp::linear_from_ulaw(code) : rtp::linear_from_alaw(code));
    }
}

// Every 100 ms of clock: which tones are in what has come since? Silence counts too.
void Voice::judge() {
    const auto now = std::chrono::steady_clock::now();
    if (now - last_judged_ < std::chrono::milliseconds{100}) return;
    last_judged_ = now;
    std::vector<int> tones;
    if (window_.size() >= kWindow / 2) {
        if (window_.size() > kWindow) window_.erase(window_.begin(), window_.end() - kWindow);
        for (const int hz : kTones) {
            if (level_dbfs(window_, hz) > kPresentDbfs) tones.push_back(hz);
        }
    }
    window_.clear();
    candidate_windows_ = tones == candidate_ ? candidate_windows_ + 1 : 1;
    candidate_ = tones;
    if (candidate_windows_ == 2 && candidate_ != present_) {
        present_ = candidate_;
        heard_(present_);
    }
}

}  // namespace sheaf::lab
