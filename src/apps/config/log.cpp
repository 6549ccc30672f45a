// SPDX-License-Identifier: Apache-2.0
#include "apps/config/log.h"

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>
#include <chrono>

#include "apps/config/log_repetition.h"
#include "base/mutex.h"
#include "base/time.h"

namespace sheaf::config {
namespace {

constexpr std::size_t kLogValueMax = 500;  // of one value's bytes

void append_value(std::string& line, std::string_view value) {
    const bool cut = value.size() > kLogValueMax;
    value = value.substr(0, kLogValueMax);
    const bool plain = !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
        return static_cast<unsigned char>(c) > 0x20 && c != '"' && c != '=' && c != '\\' && c != 0x7f;
    });
    if (plain && !cut) {
        line += value;
        return;
    }
    line += '"';
    for (const char c : value) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            line.append({'\\', c});
        } else if (byte < 0x20 || byte == 0x7f) {
            line += fmt::format("\\x{:02x}", byte);
        } else {
            line += c;
        }
    }
    line += cut ? "…\"" : "\"";
}

// The one log of the process: a log that needed passing around would be missing where it matters.
class Log {
public:
    Log() : logger_("sheaf", std::make_shared<spdlog::sinks::stderr_sink_mt>()) { logger_.set_pattern("%v"); }

    void write(std::string_view level, std::string_view message,
               std::vector<std::pair<std::string_view, std::string_view>> all, std::string_view kind = {}) {
        using std::chrono::milliseconds;
        const auto now = std::chrono::steady_clock::now().time_since_epoch();
        const auto now_ms = std::chrono::duration_cast<milliseconds>(now).count();
        const std::string time =
            to_rfc3339(std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now()));
        const std::string key = std::string(level) + " " + std::string(kind.empty() ? message : kind);
        const MutexLock lock(mutex_);
        const auto left_out = repetition_.admit(key, now_ms, level != "info");
        for (const auto& [old, count] : repetition_.overdue(now_ms)) {
            const auto space = old.find(' ');
            const std::string number = std::to_string(count);
            put(log_line(time, old.substr(0, space), old.substr(space + 1), {{"repeated", number}}));
        }
        if (!left_out) return;
        const std::string number = std::to_string(*left_out);
        if (*left_out > 0) all.emplace_back("repeated", number);
        put(log_line(time, level, message, all));
    }

private:
    void put(const std::string& line) { logger_.log(spdlog::level::critical, line); }

    Mutex mutex_;
    LogRepetition repetition_ GUARDED_BY(mutex_);
    spdlog::logger logger_;
};

Log& the_log() {
    static Log log;
    return log;
}

}  // namespace

std::optional<std::uint64_t> LogRepetition::admit(std::string_view key, std::int64_t now_ms, bool is_warning) {
    auto found = seen_.find(key);
    if (found == seen_.end()) {
        if (seen_.size() < kLogMessagesMax) seen_.emplace(std::string(key), Seen{.written_ms = now_ms});
        return 0;
    }
    auto& seen = found->second;
    if (now_ms - seen.written_ms < seen.wait_ms) {
        ++seen.left_out;
        return std::nullopt;
    }
    const bool goes_on = now_ms - seen.written_ms < 2 * seen.wait_ms;
    seen.wait_ms = goes_on && is_warning ? std::min(seen.wait_ms * kLogRepeatGrows, kLogRepeatMsMax) : kLogRepeatMs;
    seen.written_ms = now_ms;
    return std::exchange(seen.left_out, 0);
}

std::vector<std::pair<std::string, std::uint64_t>> LogRepetition::overdue(std::int64_t now_ms) {
    std::vector<std::pair<std::string, std::uint64_t>> out;
    for (auto& [key, seen] : seen_) {
        if (now_ms - seen.written_ms < seen.wait_ms || seen.left_out == 0) continue;
        out.emplace_back(key, std::exchange(seen.left_out, 0));
        seen.written_ms = now_ms;
    }
    std::erase_if(seen_, [&](const auto& item) { return now_ms - item.second.written_ms >= 2 * item.second.wait_ms; });
    return out;
}

std::string log_line(std::string_view time, std::string_view level, std::string_view message,
                     const std::vector<std::pair<std::string_view, std::string_view>>& fields) {
    std::string line = fmt::format("time={} level={} msg=", time, level);
    append_value(line, message);
    for (const auto& [key, value] : fields) {
        line += ' ';
        line += key;
        line += '=';
        append_value(line, value);
    }
    return line;
}

void log_info(std::string_view message, LogFields fields) {
    the_log().write("info", message, fields);
}
void log_warn(std::string_view message, LogFields fields) {
    the_log().write("warn", message, fields);
}
void log_error(std::string_view message, LogFields fields) {
    the_log().write("error", message, fields);
}
void log_fields(LogLevel level, std::string_view message,
                const std::vector<std::pair<std::string, std::string>>& fields, std::string_view kind) {
    constexpr std::string_view kNames[] = {"info", "warn", "error"};
    the_log().write(kNames[static_cast<std::size_t>(level)], message, {fields.begin(), fields.end()}, kind);
}

}  // namespace sheaf::config
