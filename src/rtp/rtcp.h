// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/time.h"
#include "rtp/sequence.h"

// RTCP (RFC 3550 §6): compound packets of SR, RR, SDES and BYE, read and written, and what a receiver reports about a
// source. Nothing allocates.
namespace sheaf::rtp {

inline constexpr std::size_t kReportBlocksMax = 31;  // of one SR or RR; of a compound we keep as many
inline constexpr std::size_t kByesMax = 31;
inline constexpr std::size_t kRtcpBytesMax = 1'500;
inline constexpr std::size_t kCnameBytesMax = 255;

struct ReportBlock {  // §6.4.1
    std::uint32_t ssrc = 0;
    std::uint8_t fraction_lost = 0;         // of 256, since the report before
    std::int32_t cumulative_lost = 0;       // 24 bits, signed
    std::uint32_t highest_sequence = 0;     // extended
    std::uint32_t jitter = 0;               // in timestamp units
    std::uint32_t last_sr = 0;              // middle 32 bits of the last SR's NTP time; 0: none
    std::uint32_t delay_since_last_sr = 0;  // in 1/65,536 s
    friend bool operator==(const ReportBlock&, const ReportBlock&) = default;
};

struct SenderInfo {
    std::uint64_t ntp = 0;
    std::uint32_t rtp_timestamp = 0;
    std::uint32_t packets = 0;
    std::uint32_t octets = 0;  // of payload
    friend bool operator==(const SenderInfo&, const SenderInfo&) = default;
};

enum class RtcpFault : std::uint8_t { too_short, too_long, wrong_version, wrong_first, wrong_length, bad_padding };
[[nodiscard]] std::string_view name_of(RtcpFault fault);

// What we use of a compound packet. `cname` is a view into the bytes read.
struct Compound {
    std::uint32_t ssrc = 0;  // who reports
    std::optional<SenderInfo> sender;
    std::array<ReportBlock, kReportBlocksMax> block_store{};
    std::size_t block_count = 0;
    std::array<std::uint32_t, kByesMax> bye_store{};
    std::size_t bye_count = 0;
    std::string_view cname;  // of `ssrc`; empty: none said

    [[nodiscard]] std::span<const ReportBlock> blocks() const { return {block_store.data(), block_count}; }
    [[nodiscard]] std::span<const std::uint32_t> byes() const { return {bye_store.data(), bye_count}; }
};

// Checks as RFC 3550 A.2: begins with SR or RR, all version 2, lengths add up, padding in the last packet only. Types
// we do not use (APP, feedback) are stepped over.
[[nodiscard]] std::expected<Compound, RtcpFault> parse_compound(Bytes bytes);

struct Report {
    std::uint32_t ssrc = 0;
    std::optional<SenderInfo> sender;     // there: SR, else RR
    std::span<const ReportBlock> blocks;  // ≤ kReportBlocksMax
    std::string_view cname;               // 1 to kCnameBytesMax bytes
    bool bye = false;
};

// Writes SR or RR, SDES with the CNAME and, if wanted, BYE. The bytes written; 0 when `to` is too small or a limit
// above is not kept.
[[nodiscard]] std::size_t write_compound(std::span<std::uint8_t> to, const Report& report);

[[nodiscard]] std::uint64_t ntp_from_wall(WallTime t);
[[nodiscard]] constexpr std::uint32_t ntp_middle(std::uint64_t ntp) {
    return static_cast<std::uint32_t>(ntp >> 16);
}
// The way there and back, from a block about us that arrived at `ntp_now` (RFC 3550 §6.4.1). None without an SR.
[[nodiscard]] std::optional<Duration> round_trip(const ReportBlock& block, std::uint64_t ntp_now);

// What we know of one source we receive: sequence numbers (A.1, A.3), jitter (A.8), its last SR.
class Reception {
public:
    [[nodiscard]] Sequenced packet(std::uint16_t sequence, std::uint32_t timestamp, Instant when,
                                   std::uint32_t clock_rate);
    void sender_report(std::uint64_t ntp, Instant when);
    // Begins the next interval of fraction_lost.
    [[nodiscard]] ReportBlock report(std::uint32_t ssrc, Instant now);

    [[nodiscard]] const SequenceTracker& sequence() const { return sequence_; }
    [[nodiscard]] std::uint32_t jitter() const { return jitter_ >> 4; }  // in timestamp units

private:
    SequenceTracker sequence_;
    std::uint32_t transit_ = 0;
    bool has_transit_ = false;
    std::uint32_t jitter_ = 0;  // times 16
    std::uint64_t expected_before_ = 0;
    std::uint64_t received_before_ = 0;
    std::uint32_t last_sr_ = 0;
    Instant last_sr_when_{};
};

}  // namespace sheaf::rtp
