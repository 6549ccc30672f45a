// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sheaf::config {

inline constexpr std::int64_t kLogRepeatMs = 1'000;
inline constexpr std::int64_t kLogRepeatMsMax = 60'000;
inline constexpr std::int64_t kLogRepeatGrows = 8;     // times
inline constexpr std::size_t kLogMessagesMax = 1'024;  // remembered at once; beyond, lines are not held back

// Which of the same lines are written: the first, then one a second, which says how many were left out; of warnings
// that go on so, one in eight and then in sixty seconds, until there is as long a silence. No clock.
class LogRepetition {
public:
    // The number of lines left out since this one was last written; nullopt: leave this one out too.
    [[nodiscard]] std::optional<std::uint64_t> admit(std::string_view key, std::int64_t now_ms, bool is_warning = true);
    // Lines left out that nobody repeated within that time: to be said now. Forgets what is old.
    [[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> overdue(std::int64_t now_ms);

private:
    struct Seen {
        std::int64_t written_ms = 0;
        std::uint64_t left_out = 0;
        std::int64_t wait_ms = kLogRepeatMs;
    };
    std::map<std::string, Seen, std::less<>> seen_;
};

// One logfmt line, without its end. Values are quoted where they must be; control characters are escaped.
[[nodiscard]] std::string log_line(std::string_view time, std::string_view level, std::string_view message,
                                   const std::vector<std::pair<std::string_view, std::string_view>>& fields);

}  // namespace sheaf::config
