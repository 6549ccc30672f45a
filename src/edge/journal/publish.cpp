// SPDX-License-Identifier: Apache-2.0
#include "edge/journal/publish.h"

#include <algorithm>

#include "edge/journal/file.h"
#include "media/channels.h"

namespace sheaf::journal {
namespace {

boost::json::object names(const media::SegmentHead& head) {
    return {
        {"segment", head.segment.text()}, {"calluuid", head.calluuid.text()}, {"connection", head.connection.text()}};
}

boost::json::object counts(const media::ChannelCounts& c, const media::PacketLedger& ledger, std::uint64_t late) {
    return {{"received", c.received}, {"stored", c.stored},     {"duplicate", c.duplicate},
            {"late", late},           {"excluded", c.excluded}, {"lost", ledger.lost()}};
}

std::vector<FactDraft> facts_of(const SegmentContent& content, const media::StoredTail& tail,
                                const media::Channels& channels, bool say_opened) {
    const media::SegmentHead& head = content.header.head;
    std::vector<FactDraft> facts;
    if (say_opened) facts.push_back({head.opened, "segment.opened", names(head)});
    for (const media::LostStretch& lost : content.lost) {
        boost::json::object data = names(head);
        data["from_ms"] = to_ms(std::max(lost.from, Duration{0}));
        data["to_ms"] = to_ms(std::max({lost.to, lost.from, Duration{0}}));
        data["cause"] = lost.cause;
        facts.push_back({tail.tail.sealed, "segment.lost", std::move(data)});
    }
    boost::json::object data = names(head);
    data["duration_ms"] = to_ms(tail.duration);
    data["cause"] = tail.tail.cause;
    data["said"] = counts(tail.tail.said, content.said, channels.counts(media::Channel::said).late);
    data["heard"] = counts(tail.tail.heard, content.heard, channels.counts(media::Channel::heard).late);
    facts.push_back({tail.tail.sealed, "segment.sealed", std::move(data)});
    return facts;
}

// Both channels are zero over each silence, to the sample, whatever a packet around it reaches into.
class Muted : public media::PcmSink {
public:
    Muted(media::PcmSink& sink, const std::vector<media::Stretch>& stretches) : sink_(sink) {
        for (const media::Stretch& s : stretches) {
            silences_.emplace_back(media::samples_of(s.from), media::samples_of(s.to));
        }
    }
    Result<void> write(std::span<const std::int16_t> said, std::span<const std::int16_t> heard) override {
        said_.assign(said.begin(), said.end());
        heard_.assign(heard.begin(), heard.end());
        for (const auto& [from, to] : silences_) {
            const std::uint64_t first = std::clamp(from, at_, at_ + said.size()) - at_;
            const std::uint64_t last = std::clamp(to, at_, at_ + said.size()) - at_;
            for (std::uint64_t i = first; i < last; ++i) said_[i] = heard_[i] = 0;
        }
        at_ += said.size();
        return sink_.write(said_, heard_);
    }

private:
    media::PcmSink& sink_;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> silences_;
    std::uint64_t at_ = 0;
    std::vector<std::int16_t> said_;
    std::vector<std::int16_t> heard_;
};

Result<void> encode(const std::string& segment_file, media::Channels& channels) {
    TRY(const File file, File::open_read(segment_file));
    FileSource source(file);
    TRY(media::SegmentReader reader, media::SegmentReader::open(source));
    while (true) {
        TRY(const auto item, reader.next());
        if (!item) break;
        if (const auto* packet = std::get_if<media::StoredPacket>(&*item)) TRY_VOID(channels.packet(*packet));
    }
    return channels.finish();
}

}  // namespace

Result<SealedSegment> publish_segment(const std::string& segment_file, const std::string& target, AudioFormat format,
                                      bool say_opened) {
    TRY(SegmentContent content, read_segment(segment_file));
    if (!content.tail) return fail(Errc::malformed, segment_file + " has no tail");
    media::StoredTail& tail = *content.tail;
    tail.duration = std::max(tail.duration, Duration{0});
    const Duration duration = std::min(tail.duration, Duration{media::kSegmentDurationMax});
    if (tail.duration > duration)
        content.lost.push_back({duration, tail.duration, media::kBothChannels, 0, "too-long"});

    const std::string temporary = target + ".tmp";
    TRY(auto encoder, Encoder::create(format, temporary, media::samples_of(duration)));
    Muted muted(*encoder, content.stretches);
    media::Channels channels(muted, duration);
    TRY_VOID(encode(segment_file, channels));
    TRY_VOID(encoder->finish());
    encoder.reset();
    // What stands there already is whole, and the outbox may have promised its digest: another encoder must not replace
    // it.
    if (file_exists(target)) {
        TRY_VOID(remove_file(temporary));
    } else {
        TRY_VOID(rename_durably(temporary, target));
    }

    SealedSegment sealed;
    sealed.facts = facts_of(content, tail, channels, say_opened);
    sealed.file.segment = content.header.head.segment;
    sealed.file.path = target;
    sealed.file.media_type = media_type_of(format);
    TRY(sealed.file.sha256, sha256_of_file(target));
    TRY(const File file, File::open_read(target));
    TRY(sealed.file.bytes, file.size());
    return sealed;
}

}  // namespace sheaf::journal
