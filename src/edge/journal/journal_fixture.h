// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "edge/journal/file.h"
#include "edge/journal/sealer.h"
#include "edge/journal/segment_reading.h"
#include "edge/journal/verify.h"
#include "rtp/g711.h"
#include "rtp/packet.h"
#include "rtp/tone.h"

// For the journal's tests: a recorder on a folder of its own, and voices.
namespace sheaf::journal::fixture {

using namespace std::chrono_literals;
using media::Channel;

constexpr auto kLongEnough = 90s;  // for an event that must come, on a disk that others use too

struct Folder {
    Folder() {
        std::string name = std::filesystem::temp_directory_path().string() + "/sheaf-journal-XXXXXX";
        path = ::mkdtemp(name.data());
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::string path;
};

// What the sealer's thread hands out, waited for as an event.
class Inbox {
public:
    void put(SealedSegment segment) {
        const MutexLock lock(mutex_);
        segments_.push_back(std::move(segment));
        changed_.notify_all();
    }
    void put(const Error& error) {
        const MutexLock lock(mutex_);
        troubles_.push_back(error);
        changed_.notify_all();
    }
    std::vector<SealedSegment> wait_for(std::size_t n) {
        const MutexLock lock(mutex_);
        const auto until = std::chrono::steady_clock::now() + kLongEnough;
        while (segments_.size() < n && std::chrono::steady_clock::now() < until) changed_.wait_for(mutex_, 1s);
        REQUIRE(segments_.size() >= n);
        return segments_;
    }
    void put(std::uint64_t ticket, Result<ErasedSegment> erased) {
        const MutexLock lock(mutex_);
        erased_.emplace_back(ticket, std::move(erased));
        changed_.notify_all();
    }
    std::pair<std::uint64_t, Result<ErasedSegment>> wait_for_erased() {
        const MutexLock lock(mutex_);
        const auto until = std::chrono::steady_clock::now() + kLongEnough;
        while (erased_.empty() && std::chrono::steady_clock::now() < until) changed_.wait_for(mutex_, 1s);
        REQUIRE(!erased_.empty());
        auto first = std::move(erased_.front());
        erased_.erase(erased_.begin());
        return first;
    }
    Error wait_for_trouble() {
        const MutexLock lock(mutex_);
        while (troubles_.empty()) changed_.wait(mutex_);
        return troubles_.front();
    }

private:
    Mutex mutex_;
    CondVar changed_;
    std::vector<SealedSegment> segments_;
    std::vector<Error> troubles_;
    std::vector<std::pair<std::uint64_t, Result<ErasedSegment>>> erased_;
};

inline JournalOptions options(std::uint64_t file_bytes = 256 * 1024) {
    JournalOptions o;
    o.tenant = TenantId("default");
    o.site = SiteId("london");
    o.node = NodeId("london-1");
    o.file_bytes = file_bytes;
    o.ring_bytes = 1 << 20;
    o.gather = 2ms;
    return o;
}

// A recorder on a folder: journal, writer and sealer, as the media role joins them.
struct Recorder {
    explicit Recorder(const std::string& folder, JournalOptions o = options(), AudioFormat format = AudioFormat::wav,
                      std::chrono::milliseconds keep = 1h) {
        auto opened = JournalFiles::open(folder + "/journal/0");
        REQUIRE(opened);
        files = std::move(*opened);
        auto started = Sealer::start(
            {.folder = folder, .format = format, .keep = keep}, *files,
            {[this](SealedSegment s) { inbox.put(std::move(s)); },
             [this](const SegmentId&, const Error& e) { inbox.put(e); },
             [this](std::uint64_t ticket, Result<ErasedSegment> erased) { inbox.put(ticket, std::move(erased)); }});
        REQUIRE(started);
        sealer = std::move(*started);
        auto begun = JournalWriter::start(
            o, *files,
            {[this](ClosedSegment s) { sealer->add(std::move(s)); }, [this](const Error& e) { inbox.put(e); }});
        REQUIRE(begun);
        writer = std::move(*begun);
    }
    Inbox inbox;
    std::unique_ptr<JournalFiles> files;
    std::unique_ptr<Sealer> sealer;
    std::unique_ptr<JournalWriter> writer;
};

inline const Stamp kOpened{Instant(50s), WallTime(1'767'605'400'000ms)};

inline media::SegmentHead head(const std::string& id) {
    return {SegmentId(id), CallUuid("call-" + id), ConnectionId("conn-" + id), kOpened};
}

inline media::SegmentTail tail(std::uint64_t said, std::uint64_t heard, Duration length) {
    media::SegmentTail t;
    t.sealed = {kOpened.mono + length, kOpened.wall + std::chrono::duration_cast<std::chrono::milliseconds>(length)};
    t.cause = "normal";
    t.said.received = t.said.stored = said;
    t.heard.received = t.heard.stored = heard;
    return t;
}

struct Voice {
    Voice(double hertz, std::uint32_t s) : tone(hertz, -16.0), ssrc(s) {}
    std::vector<std::uint8_t> next() {
        std::vector<std::int16_t> samples(160);
        tone.fill(samples);
        for (const std::int16_t s : samples) spoken.push_back(rtp::linear_from_ulaw(rtp::ulaw_from_linear(s)));
        std::vector<std::uint8_t> out(rtp::kHeaderBytes + 160);
        rtp::write_header(out.data(), {.sequence = sequence++, .timestamp = timestamp, .ssrc = ssrc});
        timestamp += 160;
        rtp::encode_ulaw(samples, &out[rtp::kHeaderBytes]);
        return out;
    }
    rtp::Tone tone;
    std::uint32_t ssrc;
    std::uint16_t sequence = 100;
    std::uint32_t timestamp = 5'000;
    std::vector<std::int16_t> spoken;
};

inline std::vector<std::uint8_t> bytes_of(const std::string& path) {
    auto file = File::open_read(path);
    REQUIRE(file);
    std::vector<std::uint8_t> out(static_cast<std::size_t>(file->size().value()));
    REQUIRE(file->read_at(0, out));
    return out;
}

inline const boost::json::object& fact(const SealedSegment& segment, std::string_view type) {
    const auto found = std::ranges::find(segment.facts, type, &FactDraft::type);
    REQUIRE(found != segment.facts.end());
    return found->data;
}

inline std::size_t files_with(const std::string& folder, const std::string& suffix) {
    return files_in(folder, suffix).value().size();
}

// ---- What is to be erased is a word, so that it can be looked for on the disk -------------------------------------
inline const std::string kSecret = "SECRET";
inline const std::string kOther = "OTHERS";

inline Instant at(int frame) {
    return kOpened.mono + frame * 20ms;
}

// A packet of 20 ms whose voice is a word, again and again.
inline std::vector<std::uint8_t> worded(const std::string& word, std::uint32_t ssrc, int frame) {
    std::vector<std::uint8_t> out(rtp::kHeaderBytes + 160);
    rtp::write_header(out.data(), {.sequence = static_cast<std::uint16_t>(100 + frame),
                                   .timestamp = 5'000 + 160U * static_cast<std::uint32_t>(frame),
                                   .ssrc = ssrc});
    for (std::size_t i = 0; i < 160; ++i) out[rtp::kHeaderBytes + i] = static_cast<std::uint8_t>(word[i % word.size()]);
    return out;
}

inline std::size_t count_in(Bytes bytes, std::string_view word) {
    std::size_t found = 0;
    const std::string_view text = as_text(bytes);
    for (std::size_t i = text.find(word); i != std::string_view::npos; i = text.find(word, i + 1)) ++found;
    return found;
}

// How often the word stands in any file below the folder.
inline std::size_t count_below(const std::string& folder, std::string_view word) {
    std::size_t found = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        if (entry.is_regular_file()) found += count_in(bytes_of(entry.path().string()), word);
    }
    return found;
}

}  // namespace sheaf::journal::fixture
