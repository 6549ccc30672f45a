// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

// Tones for the lab: each simulated person speaks one, and a listener tells who is there. Levels are dBFS as of AES17:
// a sine whose peaks touch full scale (±32,767) has 0 dBFS.
namespace sheaf::rtp {

// A sine without end, whose phase goes on from one call to the next.
class Tone {
public:
    Tone(double hertz, double level_dbfs, std::uint32_t rate = 8'000);
    void fill(std::span<std::int16_t> samples);

private:
    double step_;  // radians a sample
    double peak_;
    double phase_ = 0;
};

// The level of a sine of this frequency in the samples (Goertzel, Hann window: what is more than 2 × rate ÷ samples Hz
// away counts for nothing). -120 when there is none, or no sample.
[[nodiscard]] double tone_level_dbfs(std::span<const std::int16_t> samples, double hertz, std::uint32_t rate = 8'000);

// The level of everything together, as that of the sine with the same power.
[[nodiscard]] double level_dbfs(std::span<const std::int16_t> samples);

}  // namespace sheaf::rtp
