// SPDX-License-Identifier: Apache-2.0
#include "lab/frame.h"

#include <algorithm>

namespace sheaf::lab {
namespace {

constexpr std::size_t kMarkBits = 32;  // 2 speaker, 14 number, 16 check

std::uint32_t word_of(FrameMark mark) {
    const std::uint32_t value = static_cast<std::uint32_t>(mark.speaker) << 14U | mark.number;
    const std::uint32_t check = (value * 40'503U ^ 0x5EAFU) & 0xFFFFU;
    return value << 16U | check;
}

FrameReport report_of(std::uint8_t speaker, std::vector<std::pair<std::int64_t, std::int64_t>> frames) {
    FrameReport report{.tone_hz = kTones.at(speaker), .heard = frames.size()};
    std::int64_t fastest = frames.front().second - frames.front().first * kFrameUs;
    for (std::size_t i = 0; i < frames.size(); ++i) {
        fastest = std::min(fastest, frames[i].second - frames[i].first * kFrameUs);
        if (i > 0) report.longest_gap_us = std::max(report.longest_gap_us, frames[i].second - frames[i - 1].second);
    }
    std::sort(frames.begin(), frames.end());
    std::size_t run = 0;
    std::int64_t next = frames.front().first;
    for (const auto& [number, at] : frames) {
        if (number < next) continue;  // heard twice: the first counts
        const auto missing = static_cast<std::size_t>(number - next);
        report.missing += missing;
        run += missing;
        report.longest_run = std::max(report.longest_run, run);
        if (at - number * kFrameUs - fastest > kLateUs) {
            ++report.late;
            report.longest_run = std::max(report.longest_run, ++run);
        } else {
            run = 0;
        }
        next = number + 1;
    }
    return report;
}

}  // namespace

void stamp(std::span<std::uint8_t> codes, FrameMark mark) {
    const std::uint32_t word = word_of(mark);
    for (std::size_t bit = 0; bit < kMarkBits && bit < codes.size(); ++bit) {
        codes[bit] = static_cast<std::uint8_t>((codes[bit] & 0xFEU) | (word >> bit & 1U));
    }
}

std::optional<FrameMark> mark_of(Bytes codes) {
    if (codes.size() < kMarkBits) return std::nullopt;
    std::uint32_t word = 0;
    for (std::size_t bit = 0; bit < kMarkBits; ++bit) word |= (codes[bit] & 1U) << bit;
    const FrameMark mark{.speaker = static_cast<std::uint8_t>(word >> 30U),
                         .number = static_cast<std::uint16_t>(word >> 16U & (kNumbers - 1U))};
    if (word_of(mark) != word || mark.speaker >= kTones.size()) return std::nullopt;
    return mark;
}

void FrameLog::heard(FrameMark mark, std::int64_t now_us) {
    auto& frames = heard_[mark.speaker];
    if (frames.size() >= kFramesKept) return;
    std::int64_t number = mark.number;
    if (!frames.empty()) {
        // The number nearest to the last one that ends in these fourteen bits.
        const std::int64_t last = frames.back().number;
        number += (last - number + (last > number ? kNumbers / 2 : -kNumbers / 2)) / kNumbers * kNumbers;
    }
    frames.push_back({number, now_us});
}

std::vector<FrameReport> FrameLog::reports() const {
    std::vector<FrameReport> reports;
    for (const auto& [speaker, frames] : heard_) {
        std::vector<std::pair<std::int64_t, std::int64_t>> pairs;
        for (const Frame& frame : frames) pairs.emplace_back(frame.number, frame.at_us);
        reports.push_back(report_of(speaker, std::move(pairs)));
    }
    return reports;
}

}  // namespace sheaf::lab
