// SPDX-License-Identifier: Apache-2.0
#include "edge/journal/journal_writer.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <deque>
#include <thread>

#include "base/mutex.h"
#include "edge/journal/journal_appender.h"
#include "edge/journal/journal_intake.h"

namespace sheaf::journal {
namespace {

constexpr std::size_t kBatchBytesMax = 1 << 20;
constexpr std::chrono::milliseconds kPromptSync{100};  // a segment that has closed waits no longer

Stamp now() {
    using std::chrono::steady_clock, std::chrono::system_clock;
    return {Instant(std::chrono::duration_cast<Duration>(steady_clock::now().time_since_epoch())),
            std::chrono::time_point_cast<std::chrono::milliseconds>(system_clock::now())};
}

class Writer : public JournalWriter {
public:
    Writer(const JournalOptions& options, JournalFiles& files, Hooks hooks)
        : options_(options),
          ring_(options.ring_bytes),
          intake_(ring_, options.segments_max),
          on_silenced_(hooks.on_silenced),
          appender_(options, files, std::move(hooks)),
          wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
    ~Writer() override {
        stop();
        if (wake_ >= 0) ::close(wake_);
    }

    Result<void> begin() {
        if (wake_ < 0) return fail(Errc::exhausted, "no event descriptor for the journal");
        thread_ = std::thread([this] { run(); });
        return {};
    }

    bool open(media::SegmentSlot slot, const media::SegmentHead& head) override {
        const bool taken = intake_.open(slot, head);
        wake();
        return taken;
    }
    bool packet(media::SegmentSlot slot, media::Channel channel, Instant when, Bytes rtp) override {
        return intake_.packet(slot, channel, when, rtp);
    }
    bool silence(media::SegmentSlot slot, const media::Silence& silence, Instant from, Instant now,
                 std::uint64_t ticket) override {
        return put_silence(slot, silence, from, now, {}, ticket);
    }
    bool reach_back(media::SegmentSlot slot, const media::Silence& silence, Instant from, Instant to, Instant now,
                    std::uint64_t ticket) override {
        return put_silence(slot, silence, from, now, to, ticket);
    }
    bool put_silence(media::SegmentSlot slot, const media::Silence& silence, Instant from, Instant now,
                     std::optional<Instant> to, std::uint64_t ticket) {
        {
            const MutexLock lock(mutex_);  // not of the packet path
            tickets_.push_back(ticket);
        }
        const bool taken = intake_.silence(slot, silence, from, now, to);
        if (!taken) {
            const MutexLock lock(mutex_);
            tickets_.pop_back();
        }
        wake();
        return taken;
    }
    bool resume(media::SegmentSlot slot, const std::string& label, Instant now) override {
        return intake_.resume(slot, label, now);
    }
    void close(media::SegmentSlot slot, const media::SegmentTail& tail) override {
        intake_.close(slot, tail);
        wake();
    }

    void stop() override {
        if (!thread_.joinable()) return;
        stopping_.store(true);
        wake();
        thread_.join();
    }

    Counters counters() const override {
        return {intake_.packets.load(), intake_.overflow.load(), unwritten_.load(),
                bytes_.load(),          errors_.load(),          intake_.running.load()};
    }

private:
    void wake() const {
        const std::uint64_t one = 1;
        // Fails only when it is full of wake-ups already.
        [[maybe_unused]] const ssize_t n = ::write(wake_, &one, sizeof one);
    }

    // Sleeps until something opens or closes; while something runs, no longer than records may wait.
    void rest() {
        const bool busy =
            intake_.running.load() != 0 || appender_.unsynced() || appender_.owes() || appender_.has_closed();
        pollfd waited{wake_, POLLIN, 0};
        ::poll(&waited, 1, busy ? static_cast<int>(options_.gather.count()) : -1);
        std::uint64_t count = 0;
        [[maybe_unused]] const ssize_t n = ::read(wake_, &count, sizeof count);
    }

    void drain() {
        for (std::size_t ready = ring_.readable(); ready > 0; ready = ring_.readable()) {
            // Whole records only: the intake publishes nothing else, but a batch's end may fall within one.
            batch_.resize(left_ + std::min(ready, kBatchBytesMax));
            ring_.take(std::span(batch_).subspan(left_));
            std::size_t whole = 0;
            while (batch_.size() - whole >= media::kRecordHeaderBytes) {
                const std::size_t next = media::record_bytes(read_u32le(&batch_[whole + 4]));
                if (next > batch_.size() - whole) break;
                whole += next;
            }
            for (std::size_t at = 0; at < whole; at += media::record_bytes(read_u32le(&batch_[at + 4]))) {
                silenced_ += media::peek_record(Bytes(batch_).subspan(at)).type == media::RecordType::silence ? 1 : 0;
            }
            appender_.append(now(), std::span(batch_).first(whole));
            left_ = batch_.size() - whole;
            std::copy(batch_.begin() + static_cast<std::ptrdiff_t>(whole), batch_.end(), batch_.begin());
            // Nothing of what was written stays in memory: it may be erased.
            std::fill(batch_.begin() + static_cast<std::ptrdiff_t>(left_), batch_.end(), std::uint8_t{0});
        }
    }

    void run() {
        Instant synced = now().mono;
        while (true) {
            const bool last = stopping_.load();
            drain();
            appender_.retry(now());
            const Instant at = now().mono;
            const auto due = appender_.has_closed() ? kPromptSync : options_.sync_every;
            if (last || at - synced >= due) {
                appender_.sync();
                synced = now().mono;
            }
            tell_silenced();
            tell();
            if (last) break;
            rest();
        }
        appender_.finish();
        tell_silenced();
        tell();
    }

    // In the order in which they were asked for, once the disk owes nothing.
    void tell_silenced() {
        if (appender_.owes()) return;
        for (; silenced_ > 0; --silenced_) {
            std::uint64_t ticket = 0;
            {
                const MutexLock lock(mutex_);
                ticket = tickets_.front();
                tickets_.pop_front();
            }
            if (ticket != 0 && on_silenced_) on_silenced_(ticket);
        }
    }

    void tell() {
        bytes_.store(appender_.bytes);
        unwritten_.store(appender_.unwritten);
        errors_.store(appender_.errors);
    }

    const JournalOptions options_;
    ByteRing ring_;
    Intake intake_;  // the worker's thread
    const std::function<void(std::uint64_t)> on_silenced_;
    Appender appender_;  // the writer's thread
    int wake_;
    std::atomic<bool> stopping_{false};
    std::atomic<std::uint64_t> bytes_{0};
    std::atomic<std::uint64_t> unwritten_{0};
    std::atomic<std::uint64_t> errors_{0};
    std::vector<std::uint8_t> batch_;
    std::size_t left_ = 0;
    std::uint64_t silenced_ = 0;  // taken out of the ring, not told
    mutable Mutex mutex_;
    std::deque<std::uint64_t> tickets_ GUARDED_BY(mutex_);  // of the silences in the ring and of those not told
    std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<JournalWriter>> JournalWriter::start(const JournalOptions& options, JournalFiles& files,
                                                            Hooks hooks) {
    if (options.file_bytes < kFileBytesMin || options.file_bytes % 8 != 0) {
        return fail(Errc::malformed, "a journal file has at least 64 KiB, a multiple of 8");
    }
    if (options.ring_bytes < 4'096 || !std::has_single_bit(options.ring_bytes)) {
        return fail(Errc::malformed, "a journal's ring is a power of two of at least 4,096 bytes");
    }
    auto writer = std::make_unique<Writer>(options, files, std::move(hooks));
    TRY_VOID(writer->begin());
    return writer;
}

}  // namespace sheaf::journal
