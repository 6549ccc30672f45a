// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "exchange/exchange.h"

// A switch's journal of inputs, as text: docs/formats/switch-journal.md. One JSON object a line: first the settings,
// then each input with the digest of the effects it had, so that a replay tells where it parts from the run.
namespace sheaf::exchange {

inline constexpr std::size_t kJournalLineMax = 4 << 20;

[[nodiscard]] std::string settings_line(const SiteSettings& settings);
[[nodiscard]] std::string input_line(const Input& input, const std::vector<Effect>& effects);

struct JournalledInput {
    Input input;
    std::string effects_digest;
};
[[nodiscard]] Result<std::variant<SiteSettings, JournalledInput>> line_from_text(std::string_view line);

// One event by its type's name and its fields, as they stand in an input line.
[[nodiscard]] Result<Event> event_from_text(std::string_view name, const boost::json::object& data);

[[nodiscard]] std::string to_text(const Effect& effect);  // one line, for transcripts and replay output
[[nodiscard]] std::string effects_digest(const std::vector<Effect>& effects);

}  // namespace sheaf::exchange
