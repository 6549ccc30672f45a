// SPDX-License-Identifier: Apache-2.0
#include "edge/journal/journal_files.h"

#include <algorithm>
#include <charconv>

#include "edge/journal/file.h"

namespace sheaf::journal {
namespace {

constexpr std::string_view kSuffix = ".jnl";
constexpr std::size_t kDigits = 12;

}  // namespace

Result<std::unique_ptr<JournalFiles>> JournalFiles::open(const std::string& folder, std::uint64_t least) {
    TRY_VOID(make_folders(folder));
    std::unique_ptr<JournalFiles> files(new JournalFiles(folder));
    TRY(const auto names, files_in(folder, std::string(kSuffix)));
    const MutexLock lock(files->mutex_);
    files->next_ = std::max(files->next_, least);
    for (const std::string& name : names) {
        std::uint64_t number = 0;
        const char* end = name.data() + name.size() - kSuffix.size();
        const auto [stop, error] = std::from_chars(name.data(), end, number);
        if (error != std::errc() || stop != end || name.size() != kDigits + kSuffix.size()) continue;
        files->left_behind_.push_back(number);
        files->next_ = std::max(files->next_, number + 1);
    }
    return files;
}

std::string JournalFiles::path_of(std::uint64_t number) const {
    std::string digits = std::to_string(number);
    if (digits.size() < kDigits) digits.insert(0, kDigits - digits.size(), '0');
    return folder_ + "/" + digits + std::string(kSuffix);
}

std::uint64_t JournalFiles::next_number() {
    const MutexLock lock(mutex_);
    return next_++;
}

void JournalFiles::began(std::uint64_t number) {
    const MutexLock lock(mutex_);
    files_[number];
}

void JournalFiles::mention(std::uint64_t number, const SegmentId& segment) {
    const MutexLock lock(mutex_);
    Entry& entry = files_[number];
    if (entry.mentioned.insert(segment).second) entry.uncut.insert(segment);
}

Result<void> JournalFiles::ended(std::uint64_t number) {
    const MutexLock lock(mutex_);
    files_[number].ended = true;
    return sweep();
}

Result<void> JournalFiles::cut(const SegmentId& segment) {
    const MutexLock lock(mutex_);
    for (auto& [number, entry] : files_) entry.uncut.erase(segment);
    return sweep();
}

bool JournalFiles::mentions(const SegmentId& segment) const {
    const MutexLock lock(mutex_);
    return std::ranges::any_of(files_, [&](const auto& file) { return file.second.mentioned.contains(segment); });
}

std::size_t JournalFiles::count() const {
    const MutexLock lock(mutex_);
    return files_.size();
}

// A file that cannot be removed is kept in the list, and tried again with the next change.
Result<void> JournalFiles::sweep() {
    Result<void> outcome;
    for (auto it = files_.begin(); it != files_.end();) {
        if (!it->second.ended || !it->second.uncut.empty()) {
            ++it;
            continue;
        }
        auto removed = remove_file(path_of(it->first));
        if (removed) {
            it = files_.erase(it);
        } else {
            outcome = std::move(removed);
            ++it;
        }
    }
    return outcome;
}

}  // namespace sheaf::journal
