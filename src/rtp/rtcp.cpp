// SPDX-License-Identifier: Apache-2.0
#include "rtp/rtcp.h"

#include <algorithm>

namespace sheaf::rtp {
namespace {

constexpr std::uint8_t kSenderReport = 200;
constexpr std::uint8_t kReceiverReport = 201;
constexpr std::uint8_t kSourceDescription = 202;
constexpr std::uint8_t kGoodbye = 203;
constexpr std::uint8_t kCnameItem = 1;
constexpr std::size_t kHeadBytes = 4;
constexpr std::size_t kSenderInfoBytes = 20;
constexpr std::size_t kBlockBytes = 24;
constexpr std::uint64_t kNtpFromUnixSeconds = 2'208'988'800;

ReportBlock read_block(const std::uint8_t* p) {
    ReportBlock block;
    block.ssrc = read_u32be(p);
    block.fraction_lost = p[4];
    const std::uint32_t lost = read_u32be(p + 4) & 0xFFFFFFU;
    block.cumulative_lost = static_cast<std::int32_t>(lost) - ((lost & 0x800000U) != 0 ? 0x1000000 : 0);
    block.highest_sequence = read_u32be(p + 8);
    block.jitter = read_u32be(p + 12);
    block.last_sr = read_u32be(p + 16);
    block.delay_since_last_sr = read_u32be(p + 20);
    return block;
}

void write_block(std::uint8_t* p, const ReportBlock& block) {
    write_u32be(p, block.ssrc);
    write_u32be(p + 4, static_cast<std::uint32_t>(block.cumulative_lost) & 0xFFFFFFU);
    p[4] = block.fraction_lost;
    write_u32be(p + 8, block.highest_sequence);
    write_u32be(p + 12, block.jitter);
    write_u32be(p + 16, block.last_sr);
    write_u32be(p + 20, block.delay_since_last_sr);
}

// `body` is what follows the 4-byte head; `count` its RC.
bool read_report(Bytes body, std::size_t count, bool is_sender, bool is_first, Compound& compound) {
    const std::size_t info_bytes = is_sender ? kSenderInfoBytes : 0;
    if (body.size() < 4 + info_bytes + count * kBlockBytes) return false;
    const std::uint8_t* p = body.data();
    if (is_first) compound.ssrc = read_u32be(p);
    if (is_sender && read_u32be(p) == compound.ssrc) {
        compound.sender = SenderInfo{.ntp = (std::uint64_t{read_u32be(p + 4)} << 32) | read_u32be(p + 8),
                                     .rtp_timestamp = read_u32be(p + 12),
                                     .packets = read_u32be(p + 16),
                                     .octets = read_u32be(p + 20)};
    }
    p += 4 + info_bytes;
    for (std::size_t i = 0; i < count && compound.block_count < kReportBlocksMax; ++i, p += kBlockBytes) {
        compound.block_store[compound.block_count++] = read_block(p);
    }
    return true;
}

// Chunks of an SSRC and items, each chunk ended by a zero and filled up to 32 bits (§6.5).
bool read_description(Bytes body, std::size_t count, Compound& compound) {
    std::size_t at = 0;
    for (std::size_t chunk = 0; chunk < count; ++chunk) {
        if (body.size() - at < 4) return false;
        const std::uint32_t ssrc = read_u32be(body.data() + at);
        at += 4;
        while (at < body.size() && body[at] != 0) {
            if (body.size() - at < 2) return false;
            const std::size_t length = body[at + 1];
            if (body.size() - at - 2 < length) return false;
            if (body[at] == kCnameItem && ssrc == compound.ssrc) compound.cname = as_text(body.subspan(at + 2, length));
            at += 2 + length;
        }
        if (at >= body.size()) return false;  // the zero is missing
        at = (at / 4 + 1) * 4;
        if (at > body.size()) return false;
    }
    return true;
}

bool read_goodbye(Bytes body, std::size_t count, Compound& compound) {
    if (body.size() < count * 4) return false;
    for (std::size_t i = 0; i < count && compound.bye_count < kByesMax; ++i) {
        compound.bye_store[compound.bye_count++] = read_u32be(body.data() + i * 4);
    }
    return true;
}

void write_head(std::uint8_t* p, std::size_t count, std::uint8_t type, std::size_t bytes) {
    p[0] = static_cast<std::uint8_t>(0x80U | count);
    p[1] = type;
    write_u16be(p + 2, static_cast<std::uint16_t>(bytes / 4 - 1));
}

}  // namespace

std::string_view name_of(RtcpFault fault) {
    switch (fault) {
        case RtcpFault::too_short: return "too_short";
        case RtcpFault::too_long: return "too_long";
        case RtcpFault::wrong_version: return "wrong_version";
        case RtcpFault::wrong_first: return "wrong_first";
        case RtcpFault::wrong_length: return "wrong_length";
        case RtcpFault::bad_padding: return "bad_padding";
    }
    return "unknown";
}

std::expected<Compound, RtcpFault> parse_compound(Bytes bytes) {
    if (bytes.size() < kHeadBytes + 4) return std::unexpected(RtcpFault::too_short);
    if (bytes.size() > kRtcpBytesMax) return std::unexpected(RtcpFault::too_long);
    Compound compound;
    bool is_first = true;
    while (!bytes.empty()) {
        if (bytes.size() < kHeadBytes) return std::unexpected(RtcpFault::wrong_length);
        if ((bytes[0] >> 6) != 2) return std::unexpected(RtcpFault::wrong_version);
        const std::uint8_t type = bytes[1];
        if (is_first && type != kSenderReport && type != kReceiverReport) {
            return std::unexpected(RtcpFault::wrong_first);
        }
        const std::size_t size = (std::size_t{read_u16be(bytes.data() + 2)} + 1) * 4;
        if (size > bytes.size()) return std::unexpected(RtcpFault::wrong_length);
        Bytes body = bytes.subspan(kHeadBytes, size - kHeadBytes);
        if ((bytes[0] & 0x20U) != 0) {
            const bool is_last = size == bytes.size();
            const bool fits = !body.empty() && body.back() != 0 && body.back() % 4 == 0 && body.back() <= body.size();
            if (is_first || !is_last || !fits) return std::unexpected(RtcpFault::bad_padding);
            body = body.first(body.size() - body.back());
        }
        const std::size_t count = bytes[0] & 0x1FU;
        bool is_good = true;
        if (type == kSenderReport || type == kReceiverReport) {
            is_good = read_report(body, count, type == kSenderReport, is_first, compound);
        } else if (type == kSourceDescription) {
            is_good = read_description(body, count, compound);
        } else if (type == kGoodbye) {
            is_good = read_goodbye(body, count, compound);
        }
        if (!is_good) return std::unexpected(RtcpFault::wrong_length);
        is_first = false;
        bytes = bytes.subspan(size);
    }
    return compound;
}

std::size_t write_compound(std::span<std::uint8_t> to, const Report& report) {
    if (report.blocks.size() > kReportBlocksMax || report.cname.empty() || report.cname.size() > kCnameBytesMax)
        return 0;
    const std::size_t info_bytes = report.sender ? kSenderInfoBytes : 0;
    const std::size_t report_bytes = kHeadBytes + 4 + info_bytes + report.blocks.size() * kBlockBytes;
    const std::size_t items_bytes = (2 + report.cname.size()) / 4 * 4 + 4;  // at least one zero after the item
    const std::size_t description_bytes = kHeadBytes + 4 + items_bytes;
    const std::size_t bye_bytes = report.bye ? kHeadBytes + 4 : 0;
    const std::size_t total = report_bytes + description_bytes + bye_bytes;
    if (total > to.size()) return 0;

    std::uint8_t* p = to.data();
    write_head(p, report.blocks.size(), report.sender ? kSenderReport : kReceiverReport, report_bytes);
    write_u32be(p + 4, report.ssrc);
    p += 8;
    if (report.sender) {
        write_u32be(p, static_cast<std::uint32_t>(report.sender->ntp >> 32));
        write_u32be(p + 4, static_cast<std::uint32_t>(report.sender->ntp));
        write_u32be(p + 8, report.sender->rtp_timestamp);
        write_u32be(p + 12, report.sender->packets);
        write_u32be(p + 16, report.sender->octets);
        p += kSenderInfoBytes;
    }
    for (const ReportBlock& block : report.blocks) {
        write_block(p, block);
        p += kBlockBytes;
    }
    write_head(p, 1, kSourceDescription, description_bytes);
    write_u32be(p + 4, report.ssrc);
    p += 8;
    std::fill_n(p, items_bytes, std::uint8_t{0});
    p[0] = kCnameItem;
    p[1] = static_cast<std::uint8_t>(report.cname.size());
    std::copy(report.cname.begin(), report.cname.end(), p + 2);
    p += items_bytes;
    if (report.bye) {
        write_head(p, 1, kGoodbye, bye_bytes);
        write_u32be(p + 4, report.ssrc);
    }
    return total;
}

std::uint64_t ntp_from_wall(WallTime t) {
    const auto ms = static_cast<std::uint64_t>(std::max<std::int64_t>(to_unix_ms(t), 0));
    const std::uint64_t fraction = ((ms % 1'000) << 32) / 1'000;
    return ((ms / 1'000 + kNtpFromUnixSeconds) << 32) | fraction;
}

std::optional<Duration> round_trip(const ReportBlock& block, std::uint64_t ntp_now) {
    if (block.last_sr == 0) return std::nullopt;
    const std::uint32_t units = ntp_middle(ntp_now) - block.last_sr - block.delay_since_last_sr;
    if (units > 0x7FFFFFFFU) return Duration::zero();  // clocks of two resolutions: less than nothing
    return Duration{static_cast<std::int64_t>(units) * 1'000'000'000 / 65'536};
}

Sequenced Reception::packet(std::uint16_t sequence, std::uint32_t timestamp, Instant when, std::uint32_t clock_rate) {
    const Sequenced sequenced = sequence_.update(sequence);
    if (sequenced.kind == SequenceKind::duplicate || sequenced.kind == SequenceKind::stray) return sequenced;
    if (sequenced.kind == SequenceKind::first) {
        has_transit_ = false;
        expected_before_ = received_before_ = 0;
    }
    const std::int64_t ns = when.time_since_epoch().count();
    const std::int64_t arrival = ns / 1'000'000'000 * clock_rate + ns % 1'000'000'000 * clock_rate / 1'000'000'000;
    const std::uint32_t transit = static_cast<std::uint32_t>(arrival) - timestamp;
    if (has_transit_) {
        const auto difference = static_cast<std::int32_t>(transit - transit_);
        const std::uint32_t d =
            difference < 0 ? 0U - static_cast<std::uint32_t>(difference) : static_cast<std::uint32_t>(difference);
        // A.8. A step of more than ten seconds is a restarted clock, not jitter.
        if (d < clock_rate * 10) jitter_ += d - ((jitter_ + 8) >> 4);
    }
    transit_ = transit;
    has_transit_ = true;
    return sequenced;
}

void Reception::sender_report(std::uint64_t ntp, Instant when) {
    last_sr_ = ntp_middle(ntp);
    last_sr_when_ = when;
}

ReportBlock Reception::report(std::uint32_t ssrc, Instant now) {
    ReportBlock block;
    block.ssrc = ssrc;
    block.cumulative_lost = static_cast<std::int32_t>(std::min<std::uint64_t>(sequence_.lost(), 0x7FFFFF));
    block.highest_sequence = static_cast<std::uint32_t>(sequence_.highest());
    block.jitter = jitter();
    // A.3: of what was expected since the last report, how much did not come.
    const std::uint64_t expected = sequence_.expected() - expected_before_;
    const std::uint64_t received = sequence_.received() - received_before_;
    expected_before_ = sequence_.expected();
    received_before_ = sequence_.received();
    if (expected > received) {
        block.fraction_lost =
            static_cast<std::uint8_t>(std::min<std::uint64_t>((expected - received) * 256 / expected, 255));
    }
    if (last_sr_ != 0) {
        block.last_sr = last_sr_;
        const std::int64_t ns = std::max<std::int64_t>((now - last_sr_when_).count(), 0);
        block.delay_since_last_sr = static_cast<std::uint32_t>(ns / 1'000'000 * 65'536 / 1'000);
    }
    return block;
}

}  // namespace sheaf::rtp
