// SPDX-License-Identifier: Apache-2.0
#include "edge/journal/sealer.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <map>
#include <thread>

#include "base/mutex.h"
#include "edge/journal/file.h"
#include "edge/journal/journal_scan.h"
#include "edge/journal/late_eraser.h"
#include "edge/journal/publish.h"
#include "media/segment_format.h"

namespace sheaf::journal {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kNiceness = 10;
constexpr std::chrono::milliseconds kRetryFirst{1'000};
constexpr std::chrono::milliseconds kRetryMost{60'000};
constexpr std::chrono::seconds kPurgeEvery{10};
constexpr std::chrono::milliseconds kLookEvery{500};
constexpr std::chrono::milliseconds kErasureEvery{50};

WallTime wall_now() {
    return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

class Worker : public Sealer {
public:
    Worker(SealerOptions options, JournalFiles& files, Hooks hooks)
        : options_(std::move(options)),
          folders_(options_.folder),
          files_(files),
          hooks_(std::move(hooks)),
          eraser_(folders_, options_.format, files_,
                  [this](const SegmentId& segment, const Error& error) { trouble(segment, error); }) {}
    ~Worker() override { stop(std::chrono::milliseconds{0}); }

    Result<void> begin() {
        for (const std::string& folder : {folders_.segments, folders_.done, folders_.encoded, folders_.erasing})
            TRY_VOID(make_folders(folder));
        thread_ = std::thread([this] { run(); });
        return {};
    }

    void add(ClosedSegment segment) override {
        const MutexLock lock(mutex_);
        jobs_.push_back({.segment = std::move(segment)});
        ++waiting_;
        changed_.notify_all();
    }
    void delivered(const SegmentId& segment, const std::string& sha256) override {
        const MutexLock lock(mutex_);
        delivered_.emplace_back(segment, sha256);
        changed_.notify_all();
    }

    void erase(LateErasure erasure) override {
        const MutexLock lock(mutex_);
        erasures_.push_back({.asked = std::move(erasure), .until = Clock::now() + kLateErasureMax});
        changed_.notify_all();
    }

    void stop(std::chrono::milliseconds limit) override {
        if (!thread_.joinable()) return;
        const auto until = Clock::now() + limit;
        {
            const MutexLock lock(mutex_);
            while (has_work() && Clock::now() < until) changed_.wait_for(mutex_, until - Clock::now());
            stopping_ = true;
            changed_.notify_all();
        }
        thread_.join();
    }

    Counters counters() const override {
        const MutexLock lock(mutex_);
        return {sealed_, recovered_, failed_, waiting_};
    }

private:
    struct Job {
        ClosedSegment segment{};   // to cut; with an empty head: only to publish
        std::string to_publish{};  // name of the segment file, without suffix
        Clock::time_point not_before{};
        std::chrono::milliseconds delay{kRetryFirst};
        bool tried = false;
        bool left_behind = false;  // by an earlier run
    };

    void run() {
        // On Linux this is the thread's own niceness. Refusal changes nothing but the priority.
        [[maybe_unused]] const int status = ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNiceness);
        recover();
        auto purged = Clock::now() - kPurgeEvery;
        while (true) {
            take_delivered();
            take_erasures();
            if (Clock::now() - purged >= kPurgeEvery) {
                purge();
                purged = Clock::now();
            }
            auto job = next_job();
            if (!job) break;
            if (job->segment.head.segment.empty() && job->to_publish.empty()) continue;
            work(std::move(*job));
        }
        take_delivered();
    }

    // The next job that is due. One without a name means: look at the rest. Nothing: the thread ends.
    std::optional<Job> next_job() {
        const MutexLock lock(mutex_);
        if (stopping_) return std::nullopt;
        const auto now = Clock::now();
        const auto due = std::ranges::find_if(jobs_, [now](const Job& job) { return job.not_before <= now; });
        if (due == jobs_.end()) {
            busy_ = false;
            changed_.notify_all();
            if (delivered_.empty()) changed_.wait_for(mutex_, erasures_.empty() ? kLookEvery : kErasureEvery);
            busy_ = true;
            return Job{};
        }
        Job job = std::move(*due);
        jobs_.erase(due);
        return job;
    }

    // Whether a stop should wait: retries alone do not keep it.
    [[nodiscard]] bool has_work() const REQUIRES(mutex_) {
        return busy_ || !delivered_.empty() || !erasures_.empty() ||
               std::ranges::any_of(jobs_, [](const Job& job) { return !job.tried; });
    }

    void work(Job job) {
        auto done = job.segment.head.segment.empty() ? publish(job.to_publish, job.left_behind)
                                                     : seal(job.segment, job.left_behind);
        const MutexLock lock(mutex_);
        if (done) {
            ++sealed_;
            if (job.segment.recovered) ++recovered_;
            --waiting_;
            return;
        }
        ++failed_;
        job.not_before = Clock::now() + job.delay;
        job.delay = std::min(job.delay * 2, kRetryMost);
        job.tried = true;
        jobs_.push_back(std::move(job));
    }

    void trouble(const SegmentId& segment, const Error& error) {
        if (hooks_.on_trouble) hooks_.on_trouble(segment, error);
    }

    Result<void> seal(const ClosedSegment& segment, bool left_behind) {
        const SegmentId& id = segment.head.segment;
        const std::string name = media::file_name_of(id);
        const std::string path = folders_.segments + "/" + name + ".seg";
        const std::string part = path + ".part";
        auto cut = [&]() -> Result<void> {
            if (file_exists(path)) return {};
            TRY_VOID(cut_segment(segment, files_, part, wall_now()));
            return rename_durably(part, path);
        }();
        if (!cut) {
            auto removed = remove_file(part);
            if (!removed) trouble(id, removed.error());
            trouble(id, cut.error());
            return cut;
        }
        ended_[id] = {segment.head, segment.slot, segment.extents, true};
        auto freed = files_.cut(id);
        if (!freed) trouble(id, freed.error());
        return publish(name, left_behind);
    }

    Result<void> publish(const std::string& name, bool left_behind) {
        const std::string target = folders_.encoded + "/" + name + std::string(suffix_of(options_.format));
        // The archive may have answered for a former run's file while this job waited.
        const std::string file = name + ".seg";
        if (!file_exists(folders_.segments + "/" + file) && file_exists(folders_.done + "/" + file)) return {};
        auto sealed = publish_segment(folders_.segments + "/" + file, target, options_.format, left_behind);
        if (!sealed) {
            auto removed = remove_file(target + ".tmp");
            if (!removed) trouble(SegmentId(name), removed.error());
            trouble(SegmentId(name), sealed.error());
            return std::unexpected(sealed.error());
        }
        hooks_.on_sealed(std::move(*sealed));
        return {};
    }

    // What an earlier run left: half-made files go, segments without an answer from the archive are published anew,
    // and everything in the journals that has no file yet is cut.
    void recover() {
        for (const auto& [folder, suffix] :
             {std::pair(folders_.segments, ".part"), std::pair(folders_.done, ".part"),
              std::pair(folders_.erasing, ".part"), std::pair(folders_.encoded, ".tmp")}) {
            auto names = files_in(folder, suffix);
            for (const std::string& name : names.value_or(std::vector<std::string>{})) {
                auto removed = remove_file(folder + "/" + name);
                if (!removed) trouble({}, removed.error());
            }
        }
        auto pending = eraser_.take_up();
        {
            const MutexLock lock(mutex_);
            erasures_.insert(erasures_.end(), std::make_move_iterator(pending.begin()),
                             std::make_move_iterator(pending.end()));
        }
        std::deque<Job> jobs;
        auto names = files_in(folders_.segments, ".seg");
        if (!names) trouble({}, names.error());
        for (std::string& name : names.value_or(std::vector<std::string>{})) {
            name.resize(name.size() - 4);
            jobs.push_back({.to_publish = std::move(name), .left_behind = true});
        }
        JournalScan scan = scan_journals(files_);
        for (const Error& error : scan.troubles) trouble({}, error);
        for (ClosedSegment& segment : scan.segments) {
            if (find_segment_file(options_.folder, segment.head.segment).empty()) {
                jobs.push_back({.segment = std::move(segment), .left_behind = true});
                continue;
            }
            ended_[segment.head.segment] = {segment.head, segment.slot, segment.extents, true};
            auto freed = files_.cut(segment.head.segment);
            if (!freed) trouble(segment.head.segment, freed.error());
        }
        const MutexLock lock(mutex_);
        waiting_ += jobs.size();
        jobs_.insert(jobs_.begin(), std::make_move_iterator(jobs.begin()), std::make_move_iterator(jobs.end()));
    }

    void take_delivered() {
        std::vector<std::pair<SegmentId, std::string>> delivered;
        {
            const MutexLock lock(mutex_);
            delivered.swap(delivered_);
        }
        for (const auto& [id, sha256] : delivered) {
            const auto last = published_.find(id);
            if (last != published_.end() && last->second != sha256) continue;  // another file is on its way
            const std::string name = media::file_name_of(id);
            const std::string from = folders_.segments + "/" + name + ".seg";
            if (file_exists(from)) {
                auto moved = rename_durably(from, folders_.done + "/" + name + ".seg");
                if (!moved) {
                    trouble(id, moved.error());
                    continue;
                }
            }
            for (const AudioFormat format : {AudioFormat::wav, AudioFormat::flac}) {
                auto removed = remove_file(folders_.encoded + "/" + name + std::string(suffix_of(format)));
                if (!removed) trouble(id, removed.error());
            }
            eraser_.forget_notes(name);
            published_.erase(id);
        }
    }

    // ---- Late erasures ------------------------------------------------------------------------------------------
    void take_erasures() {
        std::vector<PendingErasure> due;
        {
            const MutexLock lock(mutex_);
            for (auto it = erasures_.begin(); it != erasures_.end();) {
                if (it->not_before > Clock::now()) {
                    ++it;
                    continue;
                }
                due.push_back(std::move(*it));
                it = erasures_.erase(it);
            }
        }
        for (PendingErasure& one : due) {
            auto done = erase_late(one);
            if (done && *done && (*done)->file) published_[one.asked.segment] = (*done)->file->sha256;
            if (done && !*done) {  // it waits
                one.not_before = Clock::now() + kErasureEvery;
            } else if (done) {
                if (hooks_.on_erased) hooks_.on_erased(one.asked.ticket, std::move(**done));
                continue;
            } else if (done.error().code == Errc::not_found) {
                if (hooks_.on_erased) hooks_.on_erased(one.asked.ticket, std::unexpected(done.error()));
                continue;
            } else {
                trouble(one.asked.segment, done.error());
                one.not_before = Clock::now() + kRetryFirst;
            }
            const MutexLock lock(mutex_);
            erasures_.push_back(std::move(one));
        }
    }

    // Where the segment's records are; nothing: its end is on its way, or it was never here.
    std::optional<EndedSegment> ended(const SegmentId& id) {
        {
            const MutexLock lock(mutex_);
            const auto job = std::ranges::find_if(jobs_, [&](const Job& j) { return j.segment.head.segment == id; });
            if (job != jobs_.end())
                return EndedSegment{job->segment.head, job->segment.slot, job->segment.extents, false};
        }
        if (const auto known = ended_.find(id); known != ended_.end()) return known->second;
        const std::string path = find_segment_file(options_.folder, id);
        if (path.empty()) return std::nullopt;
        auto content = File::open_read(path);
        if (!content) return std::nullopt;
        FileSource source(*content);
        auto reader = media::SegmentReader::open(source);
        if (!reader) return std::nullopt;
        return EndedSegment{reader->header().head, 0, {}, true};  // no journal holds anything of it any more
    }

    // Nothing: it has to wait for something.
    Result<std::optional<ErasedSegment>> erase_late(PendingErasure& one) {
        const SegmentId& id = one.asked.segment;
        const auto found = ended(id);
        if (!found) {
            // As long as a journal has something of it, it comes yet: behind a disk that stands still, say.
            if (Clock::now() < one.until || files_.mentions(id)) return std::nullopt;
            return fail(Errc::not_found, "no segment " + id.text() + " has ended here");
        }
        return eraser_.erase(one, *found);
    }

    // A segment file goes when it is old enough, but not while a journal still holds its records: a restart would take
    // it for a segment that was never cut.
    void purge() {
        auto names = files_in(folders_.done, ".seg");
        if (!names) return trouble({}, names.error());
        std::erase_if(ended_, [&](const auto& one) { return !files_.mentions(one.first); });
        for (const std::string& name : *names) {
            const std::string path = folders_.done + "/" + name;
            struct stat status{};
            if (::stat(path.c_str(), &status) != 0) continue;
            const auto sealed = std::chrono::system_clock::from_time_t(status.st_mtime);
            if (std::chrono::system_clock::now() - sealed < options_.keep) continue;
            auto content = File::open_read(path);
            if (!content) continue;
            FileSource source(*content);
            auto reader = media::SegmentReader::open(source);
            if (reader && files_.mentions(reader->header().head.segment)) continue;
            auto removed = remove_file(path);
            if (!removed) trouble({}, removed.error());
        }
    }

    const SealerOptions options_;
    const SealerFolders folders_;
    JournalFiles& files_;
    Hooks hooks_;
    LateEraser eraser_;  // the sealer's thread
    mutable Mutex mutex_;
    CondVar changed_;
    std::deque<Job> jobs_ GUARDED_BY(mutex_);
    std::vector<std::pair<SegmentId, std::string>> delivered_ GUARDED_BY(mutex_);  // with the digest
    std::deque<PendingErasure> erasures_ GUARDED_BY(mutex_);
    std::map<SegmentId, std::string> published_;  // digests, after a late erasure; the sealer's thread
    std::map<SegmentId, EndedSegment> ended_;     // while a journal holds anything of them; the sealer's thread
    bool stopping_ GUARDED_BY(mutex_) = false;
    bool busy_ GUARDED_BY(mutex_) = true;  // at work, not waiting for any
    std::uint64_t sealed_ GUARDED_BY(mutex_) = 0;
    std::uint64_t recovered_ GUARDED_BY(mutex_) = 0;
    std::uint64_t failed_ GUARDED_BY(mutex_) = 0;
    std::uint64_t waiting_ GUARDED_BY(mutex_) = 0;
    std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Sealer>> Sealer::start(SealerOptions options, JournalFiles& files, Hooks hooks) {
    auto sealer = std::make_unique<Worker>(std::move(options), files, std::move(hooks));
    TRY_VOID(sealer->begin());
    return sealer;
}

std::string find_segment_file(const std::string& folder, const SegmentId& segment) {
    const SealerFolders folders(folder);
    for (const std::string& part : {folders.segments, folders.done}) {
        std::string path = part + "/" + media::file_name_of(segment) + ".seg";
        if (file_exists(path)) return path;
    }
    return {};
}

}  // namespace sheaf::journal
