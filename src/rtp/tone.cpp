// SPDX-License-Identifier: Apache-2.0
#include "rtp/tone.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace sheaf::rtp {
namespace {

constexpr double kFullScale = 32'767;
constexpr double kFloorDbfs = -120;

double dbfs(double peak) {
    return peak <= 0 ? kFloorDbfs : std::max(kFloorDbfs, 20 * std::log10(peak / kFullScale));
}

}  // namespace

Tone::Tone(double hertz, double level_dbfs, std::uint32_t rate)
    : step_(2 * std::numbers::pi * hertz / rate), peak_(kFullScale * std::pow(10, std::min(level_dbfs, 0.0) / 20)) {}

void Tone::fill(std::span<std::int16_t> samples) {
    for (std::int16_t& sample : samples) {
        sample = static_cast<std::int16_t>(std::lround(peak_ * std::sin(phase_)));
        phase_ += step_;
        if (phase_ >= 2 * std::numbers::pi) phase_ -= 2 * std::numbers::pi;
    }
}

double tone_level_dbfs(std::span<const std::int16_t> samples, double hertz, std::uint32_t rate) {
    if (samples.empty()) return kFloorDbfs;
    const double omega = 2 * std::numbers::pi * hertz / rate;
    const double coefficient = 2 * std::cos(omega);
    const double window_step = 2 * std::numbers::pi / static_cast<double>(samples.size());
    double s1 = 0;
    double s2 = 0;
    double weight = 0;
    for (std::size_t i = 0; i < samples.size(); ++i) {
        const double w = 0.5 - 0.5 * std::cos(window_step * static_cast<double>(i));
        weight += w;
        const double s0 = samples[i] * w + coefficient * s1 - s2;
        s2 = s1;
        s1 = s0;
    }
    const double power = s1 * s1 + s2 * s2 - coefficient * s1 * s2;
    if (power <= 0 || weight <= 0) return kFloorDbfs;
    return dbfs(2 * std::sqrt(power) / weight);
}

double level_dbfs(std::span<const std::int16_t> samples) {
    if (samples.empty()) return kFloorDbfs;
    double sum = 0;
    for (const std::int16_t sample : samples) sum += static_cast<double>(sample) * sample;
    return dbfs(std::sqrt(2 * sum / static_cast<double>(samples.size())));
}

}  // namespace sheaf::rtp
