// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sheaf::config {

// Key and value of one logged field: log_warn("no free RTP port", {{"call", uuid}, {"leg", leg}}).
// Keys are words; never pass credentials, audio or digits.
using LogFields = std::initializer_list<std::pair<std::string_view, std::string_view>>;

// One logfmt line on stderr. Any thread. `message` is a constant sentence without values in it (those are fields): the
// same level and message is written at most once a second, a warning that goes on ever more seldom, at last once a
// minute; the next line then says `repeated=N` for those left out.
void log_info(std::string_view message, LogFields fields = {});
void log_warn(std::string_view message, LogFields fields = {});
void log_error(std::string_view message, LogFields fields = {});

enum class LogLevel { info, warn, error };
// The same with fields gathered at run time. Lines of one `kind` count as the same line.
void log_fields(LogLevel level, std::string_view message,
                const std::vector<std::pair<std::string, std::string>>& fields, std::string_view kind = {});

}  // namespace sheaf::config
