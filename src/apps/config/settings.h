// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <set>
#include <string>

#include "apps/config/archive_settings.h"
#include "apps/config/media_settings.h"
#include "apps/config/node_settings.h"
#include "apps/config/switch_settings.h"
#include "base/result.h"

namespace sheaf::config {

// One settings file: the roles its tables name, at least one.
struct Settings {
    NodeSettings node;
    std::optional<SwitchSettings> exchange;  // [switch], a word the language keeps
    std::optional<MediaSettings> media;
    std::optional<ArchiveSettings> archive;
};

// Reads and checks the file (docs/operating/configuration.md) and the secrets it points to. The error holds every
// problem found, one a line: `FILE:LINE: switch.agent.dn: …`.
[[nodiscard]] Result<Settings> settings_from_file(const std::string& path);
// The same of a text already read; `file` is what it is called in problems, and relative paths start in its folder.
[[nodiscard]] Result<Settings> settings_from_text(const std::string& text, const std::string& file);

// Every key that is accepted, with its tables: "switch", "switch.agent", "switch.agent.dn", …
[[nodiscard]] std::set<std::string> accepted_keys();

}  // namespace sheaf::config
