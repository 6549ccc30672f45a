// SPDX-License-Identifier: Apache-2.0
#include "apps/switch/input_journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <filesystem>
#include <thread>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace sheaf::apps {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "switch-journal-";
constexpr std::chrono::milliseconds kWriteEvery{50};
constexpr std::size_t kKeptMax = 1 << 20;  // of what is waiting: more is memory given back

std::string words_of(int error) {
    return std::error_code(error, std::generic_category()).message();
}

// An append-only file descriptor.
class File {
public:
    File() = default;
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() { close(); }
    Result<void> open(const std::string& path) {
        close();
        fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
        if (fd_ < 0) return fail(Errc::io, path + ": " + words_of(errno));
        return {};
    }
    Result<void> write(std::string_view text) const {
        while (!text.empty()) {
            const auto done = ::write(fd_, text.data(), text.size());
            if (done < 0 && errno == EINTR) continue;
            if (done < 0) return fail(Errc::io, words_of(errno));
            text.remove_prefix(static_cast<std::size_t>(done));
        }
        return {};
    }
    void close() {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
    }

private:
    int fd_ = -1;
};

// Removes the oldest journals below the folder until `wanted` bytes fit under the limit. `keep` stays.
void make_room(const JournalOptions& options, const std::string& keep) {
    std::error_code error;
    std::vector<std::pair<std::string, std::uint64_t>> files;
    std::uint64_t total = 0;
    for (const auto& entry : fs::directory_iterator(options.folder, error)) {
        const auto name = entry.path().filename().string();
        if (!name.starts_with(kPrefix) || !name.ends_with(".jsonl")) continue;
        const auto bytes = entry.file_size(error);
        if (error) continue;
        files.emplace_back(entry.path().string(), bytes);
        total += bytes;
    }
    std::ranges::sort(files);
    for (const auto& [path, bytes] : files) {
        if (total + options.file_bytes_max <= options.total_bytes_max) return;
        if (path == keep) continue;
        fs::remove(path, error);
        total -= bytes;
    }
}

class Journal final : public InputJournal {
public:
    explicit Journal(JournalOptions options) : options_(std::move(options)) {}
    ~Journal() override {
        {
            const MutexLock lock(mutex_);
            stopping_ = true;
            wake_.notify_all();
        }
        if (thread_.joinable()) thread_.join();
    }
    Result<void> start() {
        TRY_VOID(next_file());
        thread_ = std::thread([this] { run(); });
        return {};
    }

    void append(std::string line) override {
        const MutexLock lock(mutex_);
        if (!failure_.empty()) return;
        if (waiting_.size() + line.size() > options_.waiting_bytes_max) {
            failure_ = "the disk does not follow";
            waiting_.clear();
            waiting_.shrink_to_fit();
            return;
        }
        const bool was_empty = waiting_.empty();
        waiting_ += line;
        waiting_ += '\n';
        if (was_empty) wake_.notify_all();
    }
    void flush() override {
        const MutexLock lock(mutex_);
        is_wanted_ = true;
        wake_.notify_all();
        while ((!waiting_.empty() || is_writing_) && failure_.empty()) written_.wait(mutex_);
        is_wanted_ = false;
    }
    [[nodiscard]] std::string failure() const override {
        const MutexLock lock(mutex_);
        return failure_;
    }
    [[nodiscard]] std::string path() const override {
        const MutexLock lock(mutex_);
        return path_;
    }

private:
    void run() {
        std::string text;
        for (;;) {
            if (text.capacity() > kKeptMax) text = {};
            text.clear();
            {
                const MutexLock lock(mutex_);
                while (waiting_.empty() && !stopping_) wake_.wait(mutex_);
                // A moment for more to come: one write for many lines.
                if (!stopping_ && !is_wanted_) wake_.wait_for(mutex_, kWriteEvery);
                if ((waiting_.empty() || !failure_.empty()) && stopping_) return;
                text.swap(waiting_);  // each has room from its last turn
                is_writing_ = true;
            }
            const auto result = write(text);
            const MutexLock lock(mutex_);
            is_writing_ = false;
            if (!result && failure_.empty()) failure_ = result.error().what;
            written_.notify_all();
        }
    }
    Result<void> write(std::string_view text) {
        // Files are cut between lines.
        if (bytes_ > 0 && bytes_ + text.size() > options_.file_bytes_max) TRY_VOID(next_file());
        bytes_ += text.size();
        return file_.write(text);
    }
    Result<void> next_file() {
        const auto path = (fs::path(options_.folder) / journal_file_name(options_.run, ++number_)).string();
        make_room(options_, path);
        TRY_VOID(file_.open(path));
        {
            const MutexLock lock(mutex_);
            path_ = path;
        }
        bytes_ = 0;
        return file_.write(options_.settings + "\n");
    }

    const JournalOptions options_;
    File file_;                // the writer's alone once it runs
    std::uint64_t bytes_ = 0;  // likewise
    unsigned number_ = 0;      // likewise
    mutable Mutex mutex_;
    CondVar wake_;
    CondVar written_;
    std::string waiting_ GUARDED_BY(mutex_);
    std::string failure_ GUARDED_BY(mutex_);
    std::string path_ GUARDED_BY(mutex_);
    bool stopping_ GUARDED_BY(mutex_) = false;
    bool is_wanted_ GUARDED_BY(mutex_) = false;
    bool is_writing_ GUARDED_BY(mutex_) = false;
    std::thread thread_;
};

}  // namespace

std::string journal_file_name(const std::string& run, unsigned number) {
    return fmt::format("{}{}-{:04}.jsonl", kPrefix, run, number);
}

Result<std::unique_ptr<InputJournal>> InputJournal::open(JournalOptions options) {
    auto journal = std::make_unique<Journal>(std::move(options));
    TRY_VOID(journal->start());
    return journal;
}

}  // namespace sheaf::apps
