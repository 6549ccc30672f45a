// SPDX-License-Identifier: Apache-2.0
#include "lab/voice.h"

#include <boost/asio/io_context.hpp>
#include <random>

#include "rtp/g711.h"
#include "rtp/packet.h"

namespace sheaf::lab {
namespace {

namespace asio = boost::asio;
using asio::ip::udp;

constexpr std::string_view kDigits = "0123456789*#ABCD";  // RFC 4733 §3.2, Table 3
constexpr std::uint16_t kDigitTicks = 8;
constexpr std::uint16_t kPauseTicks = 2;
constexpr std::uint8_t kDigitVolume = 10;  // -10 dBm0
constexpr std::uint8_t kEndBit = 0x80;
constexpr int kEndRepeats = 3;  // RFC 4733 §2.5.1.4
constexpr std::size_t kDigitsMax = 64;

bool is_ulaw(const sip::Codec& codec) {
    return codec.name == "PCMU" || codec.name == "pcmu";
}

bool is_alaw(const sip::Codec& codec) {
    return codec.name == "PCMA" || codec.name == "pcma";
}

}  // namespace

Voice::Voice(asio::io_context& io, Received received, Digit digit)
    : socket_(io), received_(std::move(received)), digit_(std::move(digit)) {
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
    arm_receive();
}

void Voice::close() {
    running_ = false;
    boost::system::error_code ignored;
    socket_.close(ignored);
}

void Voice::tick(std::span<const std::int16_t> samples, FrameMark mark) {
    if (!running_) return;
    const bool can_send = sip::sends(agreed_.direction) && agreed_.remote_port != 0 && !agreed_.send.empty();
    if (can_send && !digits_.empty()) {
        send_digit();
    } else if (can_send && !samples.empty()) {
        std::array<std::uint8_t, kFrameSamples> codes{};
        const sip::Codec& codec = agreed_.send.front();
        if (is_ulaw(codec)) {
            rtp::encode_ulaw(samples, codes.data());
        } else {
            rtp::encode_alaw(samples, codes.data());
        }
        stamp(codes, mark);
        send(codec.payload_type, stats_.sent == 0, timestamp_, codes);
    }
    timestamp_ += kFrameSamples;
}

void Voice::send(std::uint8_t payload_type, bool marker, std::uint32_t timestamp,
                 std::span<const std::uint8_t> payload) {
    std::array<std::uint8_t, rtp::kHeaderBytes + kFrameSamples> packet{};
    rtp::write_header(
        packet.data(),
        {.marker = marker, .payload_type = payload_type, .sequence = sequence_, .timestamp = timestamp, .ssrc = ssrc_});
    std::copy(payload.begin(), payload.end(), packet.begin() + rtp::kHeaderBytes);
    boost::system::error_code error;
    const auto ip = asio::ip::make_address(agreed_.remote_address, error);
    const auto bytes = asio::buffer(packet.data(), rtp::kHeaderBytes + payload.size());
    if (!error) socket_.send_to(bytes, udp::endpoint(ip, agreed_.remote_port), 0, error);
    if (!error) ++stats_.sent;
    ++sequence_;
}

Result<void> Voice::dial(const std::string& digits) {
    if (!running_ || !agreed_.dtmf) return fail(Errc::unsupported, "the peer takes no digits");
    if (digits_.size() + digits.size() > kDigitsMax) return fail(Errc::exhausted, "too many digits");
    for (const char digit : digits) {
        const std::size_t code = kDigits.find(digit);
        if (code == std::string_view::npos) return fail(Errc::malformed, "no digit: " + digits);
        digits_.push_back(static_cast<std::uint8_t>(code));
    }
    return {};
}

// The 20 ms of the digit under way: one packet with its duration so far, the end thrice, then a pause.
void Voice::send_digit() {
    if (digit_ticks_ == 0) digit_timestamp_ = timestamp_;
    ++digit_ticks_;
    if (digit_ticks_ <= kDigitTicks && agreed_.dtmf) {
        const bool is_end = digit_ticks_ == kDigitTicks;
        const auto duration = static_cast<std::uint16_t>(digit_ticks_ * kFrameSamples);
        const std::array<std::uint8_t, 4> payload{
            digits_.front(), static_cast<std::uint8_t>((is_end ? kEndBit : 0U) | kDigitVolume),
            static_cast<std::uint8_t>(duration >> 8U), static_cast<std::uint8_t>(duration & 0xFFU)};
        for (int i = 0; i < (is_end ? kEndRepeats : 1); ++i) {
            send(agreed_.dtmf->payload_type, digit_ticks_ == 1, digit_timestamp_, payload);
        }
    }
    if (digit_ticks_ < kDigitTicks + kPauseTicks) return;
    digits_.pop_front();
    digit_ticks_ = 0;
}

void Voice::arm_receive() {
    socket_.async_receive_from(asio::buffer(buffer_), from_,
                               [this](boost::system::error_code error, std::size_t bytes) {
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
    if (codec->name == "telephone-event") return on_digit(packet->timestamp, packet->payload);
    if (!is_ulaw(*codec) && !is_alaw(*codec)) return;
    std::array<std::int16_t, 2048> samples{};
    if (is_ulaw(*codec)) {
        rtp::decode_ulaw(packet->payload, samples.data());
    } else {
        rtp::decode_alaw(packet->payload, samples.data());
    }
    received_(std::span(samples.data(), packet->payload.size()), packet->payload);
}

// The end of an event comes thrice, under the event's one timestamp.
void Voice::on_digit(std::uint32_t timestamp, Bytes payload) {
    if (payload.size() < 4 || payload[0] >= kDigits.size() || (payload[1] & kEndBit) == 0) return;
    if (heard_digit_ == timestamp) return;
    heard_digit_ = timestamp;
    digit_(kDigits[payload[0]]);
}

}  // namespace sheaf::lab
