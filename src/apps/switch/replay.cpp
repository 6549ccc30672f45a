// SPDX-License-Identifier: Apache-2.0
#include "apps/switch/replay.h"

#include <filesystem>
#include <fstream>
#include <memory>

#include "apps/switch/input_journal.h"
#include "exchange/journal.h"
#include "sip/grammar.h"

namespace sheaf::apps {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".jsonl";
constexpr std::size_t kDigits = 4;

// The run's files up to `path`; a file of another name stands for itself.
Result<std::vector<std::string>> files_up_to(const std::string& path) {
    const auto name = fs::path(path).filename().string();
    const auto folder = fs::path(path).parent_path();
    const std::string prefix = "switch-journal-";
    const bool is_ours = name.starts_with(prefix) && name.ends_with(kSuffix) &&
                         name.size() > prefix.size() + kSuffix.size() + kDigits + 1;
    if (!is_ours) return std::vector<std::string>{path};
    const auto stem = name.substr(prefix.size(), name.size() - prefix.size() - kSuffix.size());
    const auto dash = stem.rfind('-');
    if (dash == std::string::npos) return std::vector<std::string>{path};
    const auto number = sip::number_from_text(stem.substr(dash + 1), 1'000'000);
    if (!number) return std::vector<std::string>{path};
    std::vector<std::string> files;
    for (unsigned i = 1; i <= *number; ++i) {
        const auto file = folder / journal_file_name(stem.substr(0, dash), i);
        if (!fs::exists(file)) {
            return fail(Errc::not_found, file.string() + " is gone: the run cannot be replayed without its beginning");
        }
        files.push_back(file.string());
    }
    return files;
}

struct Replay {
    ReplayReport report;
    std::unique_ptr<exchange::Exchange> exchange;

    Result<void> line(const std::string& file, std::size_t number, const std::string& text) {
        const auto where = file + ":" + std::to_string(number) + ": ";
        if (text.size() > exchange::kJournalLineMax) return fail(Errc::exhausted, where + "line too long");
        auto parsed = exchange::line_from_text(text);
        if (!parsed) return fail(parsed.error().code, where + parsed.error().what);
        if (const auto* settings = std::get_if<exchange::SiteSettings>(&*parsed)) {
            // Later files repeat the settings of the run's start.
            if (!exchange) exchange = std::make_unique<exchange::Exchange>(*settings);
            return {};
        }
        if (!exchange) return fail(Errc::malformed, where + "an input before the settings");
        const auto& input = std::get<exchange::JournalledInput>(*parsed);
        const auto effects = exchange->step(input.input);
        ++report.inputs;
        const auto got = exchange::effects_digest(effects);
        if (got == input.effects_digest) return {};
        ReplayDifference difference{file, number, text, input.effects_digest, got, {}};
        for (const auto& effect : effects) difference.effects.push_back(exchange::to_text(effect));
        report.difference = std::move(difference);
        return {};
    }

    Result<void> file(const std::string& path, bool is_last) {
        std::ifstream in(path, std::ios::binary);
        if (!in) return fail(Errc::io, path + ": cannot be read");
        report.files.push_back(path);
        std::string text;
        for (std::size_t number = 1; std::getline(in, text); ++number) {
            if (in.eof()) {  // no line end: cut off while it was written
                if (!is_last) return fail(Errc::malformed, path + ": ends within a line");
                report.torn_tail = true;
                return {};
            }
            TRY_VOID(line(path, number, text));
            if (report.difference) return {};
        }
        if (in.bad()) return fail(Errc::io, path + ": cannot be read to its end");
        return {};
    }
};

}  // namespace

Result<ReplayReport> replay_file(const std::string& path) {
    TRY(const auto files, files_up_to(path));
    Replay replay;
    for (const auto& file : files) {
        TRY_VOID(replay.file(file, file == files.back()));
        if (replay.report.difference) break;
    }
    return std::move(replay.report);
}

}  // namespace sheaf::apps
