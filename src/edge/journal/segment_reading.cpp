// SPDX-License-Identifier: Apache-2.0
#include "edge/journal/segment_reading.h"

#include <algorithm>

#include "base/match.h"
#include "edge/journal/extent_reader.h"
#include "edge/journal/file.h"
#include "media/cutter.h"

namespace sheaf::journal {
namespace {

using media::RecordType;

Result<void> add_record(media::Cutter& cutter, const media::JournalRecord& record,
                        const std::optional<media::LostRecord>& not_synced) {
    if (record.type == RecordType::close && not_synced) {
        const auto payload = media::lost_payload(*not_synced);
        for (const auto channel : {media::Channel::said, media::Channel::heard}) {
            TRY_VOID(cutter.add({RecordType::lost, channel, record.slot, record.when, payload}));
        }
    }
    return cutter.add(record);
}

}  // namespace

Result<void> cut_segment(const ClosedSegment& segment, const JournalFiles& files, const std::string& path,
                         WallTime now) {
    TRY(File file, File::create(path));
    FileSink sink(file);
    media::SegmentWriter writer(sink);
    media::Cutter cutter(writer,
                         {.head = segment.head, .tenant = segment.tenant, .site = segment.site, .node = segment.node});
    TRY_VOID(cutter.begin());
    ExtentReader journal(files);
    for (const Extent& extent : segment.extents) {
        if (extent.after_damage) cutter.damaged();
        auto bytes = journal.read(extent);
        if (!bytes && bytes.error().code == Errc::exhausted) return std::unexpected(bytes.error());
        Bytes rest = bytes ? *bytes : Bytes{};
        std::size_t done = 0;
        while (done < extent.bytes) {
            const auto record = media::record_at(rest, journal.seed());
            if (!record) break;
            TRY_VOID(add_record(cutter, *record, segment.not_synced));
            const std::size_t size = std::min(media::record_bytes(record->payload.size()), rest.size());
            rest = rest.subspan(size);
            done += size;
        }
        if (done < extent.bytes) cutter.damaged();
    }
    TRY([[maybe_unused]] const auto summary, cutter.finish(now));
    TRY_VOID(sink.flush());
    return file.sync();
}

Result<SegmentContent> read_segment(const std::string& path) {
    TRY(const File file, File::open_read(path));
    FileSource source(file);
    TRY(media::SegmentReader reader, media::SegmentReader::open(source));
    SegmentContent content;
    content.header = reader.header();
    while (true) {
        TRY(const auto item, reader.next());
        if (!item) break;
        std::visit(Match{
                       [&](const media::StoredPacket& p) {
                           (p.channel == media::Channel::said ? content.said : content.heard).add(p.rtp);
                           content.last = std::max(content.last, p.after);
                       },
                       [&](const media::Stretch& s) {
                           content.said.gap();
                           content.heard.gap();
                           if (content.stretches.size() < kStretchesMax) content.stretches.push_back(s);
                       },
                       [&](const media::LostStretch& l) {
                           if (content.lost.size() < kStretchesMax) content.lost.push_back(l);
                       },
                       [&](const media::StoredTail& t) { content.tail = t; },
                   },
                   *item);
    }
    content.state = reader.state();
    return content;
}

}  // namespace sheaf::journal
