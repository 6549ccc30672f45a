// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <numbers>
#include <utility>

#include "lab/phone.h"
#include "rtp/g711.h"

// What a phone offers and agrees on, and its sound: one frame every 20 ms, to the active call.
namespace sheaf::lab {
namespace {

namespace json = boost::json;

constexpr auto kFrameTime = std::chrono::microseconds{kFrameUs};
constexpr std::uint64_t kFramesASecond = rtp::kG711Rate / kFrameSamples;

std::array<std::int16_t, kFrameSamples> tone(int hz, std::uint64_t frame) {
    std::array<std::int16_t, kFrameSamples> samples{};
    const double amplitude = std::pow(10.0, kToneDbfs / 20) * 32'767;
    // A tone of whole Hz is the same in each second.
    const auto first = static_cast<double>(frame % kFramesASecond * kFrameSamples);
    for (std::size_t i = 0; i < kFrameSamples; ++i) {
        const double phase = 2 * std::numbers::pi * hz * (first + static_cast<double>(i)) / rtp::kG711Rate;
        samples[i] = static_cast<std::int16_t>(std::lround(amplitude * std::sin(phase)));
    }
    return samples;
}

std::uint8_t speaker_of(int hz) {
    for (std::size_t i = 0; i < kTones.size(); ++i) {
        if (kTones[i] == hz) return static_cast<std::uint8_t>(i);
    }
    return static_cast<std::uint8_t>(kTones.size());  // nobody: its frames carry no number that is believed
}

// A frame as it goes out under µ-law.
std::string hex_of(std::span<const std::int16_t, kFrameSamples> samples, FrameMark mark) {
    std::array<std::uint8_t, kFrameSamples> codes{};
    rtp::encode_ulaw(samples, codes.data());
    stamp(codes, mark);
    std::string hex;
    for (const std::uint8_t code : codes) {
        hex += "0123456789abcdef"[code >> 4U];
        hex += "0123456789abcdef"[code & 0xFU];
    }
    return hex;
}

}  // namespace

sip::LocalMedia Phone::local_media(const PhoneCall& call) const {
    sip::LocalMedia local;
    local.address = call.held == HoldMode::zero ? "0.0.0.0" : settings_.rtp_address;
    local.port = call.rtp_port;
    local.codecs = settings_.codecs;
    if (call.held == HoldMode::sendonly) local.direction = sip::Direction::sendonly;
    if (call.held == HoldMode::inactive) local.direction = sip::Direction::inactive;
    return local;
}

std::string Phone::next_offer(PhoneCall& call) {
    call.local = sip::make_offer(local_media(call), call.session_id, call.version++);
    return to_text(*call.local);
}

Result<std::string> Phone::answer_to(PhoneCall& call, const std::string& offer) {
    TRY(call.remote, sip::sdp_from_text(offer));
    TRY(call.local, sip::make_answer(*call.remote, local_media(call), call.session_id, call.version++));
    return to_text(*call.local);
}

// The latest descriptions of both ends are what counts; a body given here is the peer's latest.
void Phone::agree(PhoneCall& call, const std::string& remote_body) {
    if (!remote_body.empty()) {
        auto remote = sip::sdp_from_text(remote_body);
        if (!remote) return say(call, "bad-sdp", {{"why", to_string(remote.error())}});
        call.remote = std::move(*remote);
    }
    if (!call.local || !call.remote) return;
    auto agreed = sip::negotiated(*call.local, *call.remote);
    if (!agreed) return say(call, "bad-sdp", {{"why", to_string(agreed.error())}});
    call.voice->use(*agreed);
    if (is_ticking_) return;
    is_ticking_ = true;
    next_frame_ = std::chrono::steady_clock::now() + kFrameTime;
    arm_frame_timer();
}

void Phone::make_active(const PhoneCall& call) {
    active_ = call.name;
}

void Phone::arm_frame_timer() {
    frame_timer_.expires_at(next_frame_);
    frame_timer_.async_wait([this](boost::system::error_code error) {
        if (!error && is_ticking_) on_frame();
    });
}

void Phone::on_frame() {
    next_frame_ += kFrameTime;
    if (next_tone_hz_ != tone_hz_) change_tone();
    const auto samples = tone(tone_hz_, frame_);
    const FrameMark mark{speaker_of(settings_.tone_hz), static_cast<std::uint16_t>(frame_ % kNumbers)};
    if (tone_hz_ != settings_.tone_hz && sung_.size() < kSungMax) sung_.push_back(json::string(hex_of(samples, mark)));
    for (const auto& call : calls_) {
        const bool speaks = call->name == active_ && !call->held;
        call->voice->tick(speaks ? std::span<const std::int16_t>(samples) : std::span<const std::int16_t>(), mark);
    }
    ++frame_;
    ear_.judge(Ear::Clock::now());
    arm_frame_timer();
}

void Phone::change_tone() {
    tone_hz_ = next_tone_hz_;
    say("sings", {{"hz", tone_hz_}});
    if (tone_hz_ == settings_.tone_hz) say("sang", {{"frames", std::exchange(sung_, {})}});
}

json::object Phone::stats_of(const PhoneCall& call) {
    const auto& stats = call.voice->stats();
    return {{"sent", stats.sent}, {"received", stats.received}, {"sequence_gaps", stats.sequence_gaps}};
}

}  // namespace sheaf::lab
