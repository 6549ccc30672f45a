// SPDX-License-Identifier: Apache-2.0
#include "edge/journal/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "edge/journal/file.h"
#include "edge/journal/segment_reading.h"
#include "media/journal_format.h"

namespace sheaf::journal {
namespace {

using media::Channel;
using media::RecordType;

void fill(VerifiedChannel& channel, const media::PacketLedger& ledger) {
    channel.in_file = ledger.packets();
    channel.lost = ledger.lost();
    channel.duplicate = ledger.duplicate();
    channel.sources = ledger.sources();
}

// received = stored + duplicate + excluded + overflow, and stored is what the file holds.
void judge(const char* name, const VerifiedChannel& channel, std::vector<std::string>& problems) {
    const media::ChannelCounts& c = channel.counts;
    const std::uint64_t accounted = c.stored + c.duplicate + c.excluded + c.overflow;
    if (c.received != accounted) {
        problems.push_back(fmt::format("{}: {} packets received, {} accounted for", name, c.received, accounted));
    }
    if (c.stored != channel.in_file) {
        problems.push_back(fmt::format("{}: {} packets stored, {} in the file", name, c.stored, channel.in_file));
    }
    if (c.overflow != 0) problems.push_back(fmt::format("{}: {} packets lost to a full buffer", name, c.overflow));
    if (channel.duplicate != 0)
        problems.push_back(fmt::format("{}: {} packets twice in the file", name, channel.duplicate));
}

void describe(const media::LostStretch& lost, std::vector<std::string>& problems) {
    problems.push_back(fmt::format("lost from {} ms to {} ms: {}", to_ms(lost.from), to_ms(lost.to), lost.cause));
}

VerifiedFile verify_segment(const std::string& path) {
    VerifiedFile out;
    out.path = path;
    auto content = read_segment(path);
    if (!content) {
        out.problems.push_back(content.error().what);
        return out;
    }
    VerifiedSegment segment;
    segment.header = content->header;
    segment.sealed = content->tail.has_value();
    segment.duration_ms = to_ms(content->last);
    fill(segment.said, content->said);
    fill(segment.heard, content->heard);
    for (const media::LostStretch& lost : content->lost) describe(lost, out.problems);
    if (content->tail) {
        segment.cause = content->tail->tail.cause;
        segment.duration_ms = to_ms(content->tail->duration);
        segment.said.counts = content->tail->tail.said;
        segment.heard.counts = content->tail->tail.heard;
        judge("said", segment.said, out.problems);
        judge("heard", segment.heard, out.problems);
    } else {
        out.problems.push_back(fmt::format("no tail: readable for {} bytes", content->state.readable));
    }
    const media::SegmentReader::State& state = content->state;
    out.damaged_chunks = state.damaged_chunks;
    if (state.damaged_chunks != 0) out.problems.push_back(fmt::format("{} damaged chunks", state.damaged_chunks));
    if (state.damaged_end) out.problems.push_back(fmt::format("damaged from byte {}", state.readable));
    if (state.sealed && !state.digest_matches) out.problems.emplace_back("the digest is not that of the content");
    if (state.trailing) out.problems.push_back(fmt::format("bytes behind the tail at {}", state.readable));
    segment.lost = std::move(content->lost);
    segment.stretches = std::move(content->stretches);
    out.segments.push_back(std::move(segment));
    return out;
}

// The segments of one journal file as far as that file knows them: a long one has only a part in it.
class JournalCheck {
public:
    explicit JournalCheck(const media::JournalHeader& header) : header_(header) {}

    void add(const media::JournalRecord& record) {
        auto found = running_.find(record.slot);
        if (record.type == RecordType::open || record.type == RecordType::continued) {
            auto head = media::head_from(record);
            if (!head) return;
            if (found != running_.end()) finish(found);
            Running fresh;
            fresh.segment.header = {
                .head = std::move(*head), .tenant = header_.tenant, .site = header_.site, .node = header_.node};
            running_[record.slot] = std::move(fresh);
            return;
        }
        if (found == running_.end()) return;
        Running& running = found->second;
        const Duration at = record.when - running.segment.header.head.opened.mono;
        running.segment.duration_ms = std::max(running.segment.duration_ms, to_ms(at));
        if (record.type == RecordType::packet) {
            (record.channel == Channel::said ? running.said : running.heard).add(record.payload);
        } else if (record.type == RecordType::lost) {
            const auto lost = media::lost_from(record);
            if (!lost) return;
            const Instant opened = running.segment.header.head.opened.mono;
            running.segment.lost.push_back({lost->from - opened, lost->to - opened, media::channel_bit(record.channel),
                                            lost->packets,
                                            lost->reason == media::LostReason::disk ? "disk" : "buffer"});
        } else if (record.type == RecordType::silence || record.type == RecordType::erased) {
            running.said.gap();
            running.heard.gap();
            const auto erased = media::erased_from(record);
            if (record.type == RecordType::erased && erased) running.erased.push_back(*erased);
        } else if (record.type == RecordType::close) {
            auto tail = media::tail_from(record);
            if (tail) {
                for (const media::ErasedRecord& erased : running.erased) media::count_erased(*tail, erased);
                running.segment.sealed = true;
                running.segment.cause = tail->cause;
                running.segment.said.counts = tail->said;
                running.segment.heard.counts = tail->heard;
            }
            finish(found);
        }
    }
    std::vector<VerifiedSegment> take() {
        while (!running_.empty()) finish(running_.begin());
        return std::move(segments_);
    }

private:
    struct Running {
        VerifiedSegment segment;
        media::PacketLedger said;
        media::PacketLedger heard;
        std::vector<media::ErasedRecord> erased;
    };
    void finish(std::map<media::SegmentSlot, Running>::iterator at) {
        Running running = std::move(at->second);
        running_.erase(at);
        fill(running.segment.said, running.said);
        fill(running.segment.heard, running.heard);
        segments_.push_back(std::move(running.segment));
    }
    const media::JournalHeader& header_;
    std::map<media::SegmentSlot, Running> running_;
    std::vector<VerifiedSegment> segments_;
};

VerifiedFile verify_journal(const std::string& path) {
    VerifiedFile out;
    out.path = path;
    out.is_journal = true;
    const auto read = [&]() -> Result<void> {
        TRY(const File file, File::open_read(path));
        FileSource source(file);
        TRY(media::JournalReader reader, media::JournalReader::open(source));
        JournalCheck check(reader.header());
        while (true) {
            TRY(const auto at, reader.next());
            if (!at) break;
            check.add(at->record);
        }
        out.damaged_bytes = reader.damaged_bytes();
        out.segments = check.take();
        return {};
    };
    auto done = read();
    if (!done) out.problems.push_back(done.error().what);
    if (out.damaged_bytes != 0) out.problems.push_back(fmt::format("{} damaged bytes", out.damaged_bytes));
    for (const VerifiedSegment& segment : out.segments) {
        for (const media::LostStretch& lost : segment.lost) describe(lost, out.problems);
    }
    return out;
}

boost::json::object json_of(const VerifiedChannel& channel) {
    boost::json::array sources;
    for (const media::SourceCount& s : channel.sources) {
        sources.push_back(boost::json::object{{"ssrc", s.ssrc},
                                              {"packets", s.packets},
                                              {"duplicate", s.duplicate},
                                              {"reordered", s.reordered},
                                              {"lost", s.lost},
                                              {"restarts", s.restarts},
                                              {"first_sequence", s.first_sequence},
                                              {"last_sequence", s.last_sequence}});
    }
    boost::json::object out{{"received", channel.counts.received},
                            {"stored", channel.counts.stored},
                            {"duplicate", channel.counts.duplicate},
                            {"excluded", channel.counts.excluded},
                            {"overflow", channel.counts.overflow},
                            {"in_file", channel.in_file},
                            {"lost", channel.lost},
                            {"ssrcs", std::move(sources)}};
    out["excluded_why"] =
        channel.counts.excluded == 0
            ? boost::json::value(nullptr)
            : boost::json::value(
                  "telephone-event, comfort noise, a payload type not agreed on, or while the recording was silent");
    return out;
}

boost::json::object json_of(const VerifiedSegment& segment) {
    boost::json::array lost;
    for (const media::LostStretch& l : segment.lost) {
        lost.push_back(boost::json::object{
            {"from_ms", to_ms(l.from)}, {"to_ms", to_ms(l.to)}, {"packets", l.packets}, {"cause", l.cause}});
    }
    boost::json::array stretches;
    for (const media::Stretch& s : segment.stretches) {
        stretches.push_back(
            boost::json::object{{"from_ms", to_ms(s.from)}, {"to_ms", to_ms(s.to)}, {"label", s.label}, {"by", s.by}});
    }
    const media::SegmentHead& head = segment.header.head;
    return {{"segment", head.segment.text()},
            {"calluuid", head.calluuid.text()},
            {"connection", head.connection.text()},
            {"tenant", segment.header.tenant.text()},
            {"site", segment.header.site.text()},
            {"node", segment.header.node.text()},
            {"opened_at", to_rfc3339(head.opened.wall)},
            {"duration_ms", segment.duration_ms},
            {"sealed", segment.sealed},
            {"cause", segment.sealed ? boost::json::value(segment.cause) : boost::json::value(nullptr)},
            {"channels", boost::json::object{{"said", json_of(segment.said)}, {"heard", json_of(segment.heard)}}},
            {"lost", std::move(lost)},
            {"stretches", std::move(stretches)}};
}

}  // namespace

bool VerifyReport::ok() const {
    return !files.empty() && std::ranges::all_of(files, [](const VerifiedFile& f) { return f.problems.empty(); });
}

Result<VerifyReport> verify_path(const std::string& path) {
    std::error_code error;
    std::vector<std::string> paths;
    const auto status = std::filesystem::status(path, error);
    if (!std::filesystem::exists(status)) return fail(Errc::not_found, path + " does not exist");
    if (std::filesystem::is_directory(status)) {
        std::filesystem::recursive_directory_iterator it(path, error);
        for (; !error && it != std::filesystem::recursive_directory_iterator(); it.increment(error)) {
            const std::string name = it->path().string();
            std::error_code ignored;
            if ((name.ends_with(".seg") || name.ends_with(".jnl")) && it->is_regular_file(ignored)) {
                if (paths.size() == kVerifyFilesMax) return fail(Errc::exhausted, "too many files in " + path);
                paths.push_back(name);
            }
        }
        if (error) return fail(Errc::io, "list " + path + ": " + error.message());
        std::ranges::sort(paths);
        if (paths.empty()) return fail(Errc::not_found, "no segment and no journal in " + path);
    } else {
        paths.push_back(path);
    }
    VerifyReport report;
    for (const std::string& each : paths) {
        report.files.push_back(each.ends_with(".jnl") ? verify_journal(each) : verify_segment(each));
    }
    return report;
}

boost::json::object to_json(const VerifyReport& report) {
    boost::json::array files;
    for (const VerifiedFile& file : report.files) {
        boost::json::array segments;
        for (const VerifiedSegment& segment : file.segments) segments.push_back(json_of(segment));
        boost::json::array problems;
        for (const std::string& problem : file.problems) problems.emplace_back(problem);
        files.push_back(boost::json::object{{"path", file.path},
                                            {"kind", file.is_journal ? "journal" : "segment"},
                                            {"ok", file.problems.empty()},
                                            {"problems", std::move(problems)},
                                            {"damaged_bytes", file.damaged_bytes},
                                            {"damaged_chunks", file.damaged_chunks},
                                            {"segments", std::move(segments)}});
    }
    return {{"ok", report.ok()}, {"files", std::move(files)}};
}

std::string to_text(const VerifyReport& report) {
    std::string out;
    for (const VerifiedFile& file : report.files) {
        out += fmt::format("{} {}\n", file.problems.empty() ? "ok     " : "PROBLEM", file.path);
        for (const VerifiedSegment& s : file.segments) {
            out += fmt::format("  segment {} call {} {} ms {}\n", s.header.head.segment.text(),
                               s.header.head.calluuid.text(), s.duration_ms,
                               s.sealed ? "sealed " + s.cause : std::string("not sealed"));
            for (const auto& [name, c] : {std::pair("said ", &s.said), std::pair("heard", &s.heard)}) {
                out += fmt::format(
                    "    {} received {} stored {} duplicate {} excluded {} overflow {} in file {} lost {}\n", name,
                    c->counts.received, c->counts.stored, c->counts.duplicate, c->counts.excluded, c->counts.overflow,
                    c->in_file, c->lost);
            }
        }
        for (const std::string& problem : file.problems) out += "  " + problem + "\n";
    }
    return out;
}

}  // namespace sheaf::journal
