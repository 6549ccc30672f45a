// SPDX-License-Identifier: Apache-2.0
#include "apps/switch/ladder_files.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <utility>
#include <vector>

#include "apps/config/log.h"
#include "sip/grammar.h"

namespace sheaf::apps {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEnding = ".jsonl";
constexpr std::string_view kUnfinished = ".part";
constexpr std::size_t kNameMax = 64;

// Calls of ours have such names; any other is none of ours.
bool is_name(const std::string& text) {
    return !text.empty() && text.size() <= kNameMax &&
           std::ranges::all_of(text, [](char c) { return sip::is_alphanumeric(c) || c == '-'; });
}

class Files final : public LadderFiles {
public:
    explicit Files(LadderFilesOptions options) : options_(std::move(options)), guard_(io_.get_executor()) {}
    ~Files() override {
        guard_.reset();  // what was posted is done first
        if (thread_.joinable()) thread_.join();
    }
    Result<void> start() {
        std::error_code error;
        fs::create_directories(options_.folder, error);
        if (error) return fail(Errc::io, options_.folder + ": " + error.message());
        look_around();
        thread_ = std::thread([this] { io_.run(); });
        return {};
    }

    void keep(const CallUuid& call, std::string content) override {
        if (!is_name(call.text())) return;  // none of ours
        const std::size_t size = content.size();
        if (size > options_.bytes_max) {
            return config::log_warn("a call's ladder is lost: it has more bytes than all may have",
                                    {{"call", call.text()}});
        }
        if (waiting_.fetch_add(size) + size > options_.waiting_bytes_max) {
            waiting_ -= size;
            return config::log_warn("a call's ladder is lost: the disk does not follow", {{"call", call.text()}});
        }
        boost::asio::post(io_, [this, name = call.text(), content = std::move(content)] {
            write(name, content);
            waiting_ -= content.size();
        });
    }
    void read(const CallUuid& call, std::function<void(Result<std::string>)> done) override {
        boost::asio::post(io_, [this, name = call.text(), done = std::move(done)] { done(content_of(name)); });
    }

private:
    struct Known {
        std::string name;
        std::uint64_t bytes = 0;
    };

    [[nodiscard]] fs::path path_of(const std::string& name) const {
        return fs::path(options_.folder) / (name + std::string(kEnding));
    }
    // What former runs have left, the oldest first.
    void look_around() {
        std::error_code error;
        std::vector<std::pair<fs::file_time_type, Known>> found;
        for (const auto& entry : fs::directory_iterator(options_.folder, error)) {
            const auto& path = entry.path();
            if (path.extension() == kUnfinished) fs::remove(path, error);
            if (path.extension() != kEnding) continue;
            found.push_back({entry.last_write_time(error), {path.stem().string(), entry.file_size(error)}});
        }
        std::ranges::sort(found, {}, [](const auto& one) { return one.first; });
        for (auto& [time, known] : found) {
            total_ += known.bytes;
            known_.push_back(std::move(known));
        }
        make_room(0);
    }
    void make_room(std::uint64_t wanted) {
        std::error_code ignored;
        while (!known_.empty() && total_ + wanted > options_.bytes_max) {
            fs::remove(path_of(known_.front().name), ignored);
            total_ -= known_.front().bytes;
            known_.pop_front();
        }
    }
    void forget(const std::string& name) {
        const auto at = std::ranges::find(known_, name, &Known::name);
        if (at == known_.end()) return;
        total_ -= at->bytes;
        known_.erase(at);
    }
    void write(const std::string& name, const std::string& content) {
        forget(name);
        make_room(content.size());
        const fs::path path = path_of(name);
        fs::path unfinished = path;
        unfinished.replace_extension(kUnfinished);
        std::ofstream file(unfinished, std::ios::binary | std::ios::trunc);
        file.write(content.data(), static_cast<std::streamsize>(content.size()));
        file.close();
        std::error_code error;
        if (file) fs::rename(unfinished, path, error);
        if (!file || error) {
            fs::remove(unfinished, error);
            return config::log_warn("a call's ladder is lost: it cannot be written", {{"file", path.string()}});
        }
        total_ += content.size();
        known_.push_back({name, content.size()});
    }
    [[nodiscard]] Result<std::string> content_of(const std::string& name) const {
        if (!is_name(name)) return fail(Errc::not_found, "no such call");
        std::ifstream file(path_of(name), std::ios::binary);
        if (!file) return fail(Errc::not_found, "no such call");
        std::string content{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
        if (file.bad()) return fail(Errc::io, "the ladder of call " + name + " cannot be read");
        return content;
    }

    const LadderFilesOptions options_;
    boost::asio::io_context io_;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;
    std::deque<Known> known_;  // the thread's; the one written longest ago first
    std::uint64_t total_ = 0;  // likewise
    std::atomic<std::size_t> waiting_ = 0;
    std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<LadderFiles>> LadderFiles::open(LadderFilesOptions options) {
    auto files = std::make_unique<Files>(std::move(options));
    TRY_VOID(files->start());
    return files;
}

}  // namespace sheaf::apps
