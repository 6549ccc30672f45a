// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <string>

#include "apps/config/archive_settings.h"
#include "apps/config/media_settings.h"
#include "apps/config/node_settings.h"
#include "apps/config/reader.h"
#include "apps/config/switch_settings.h"

namespace sheaf::config {

inline constexpr std::size_t kEntriesMax = 10'000;  // of one [[…]]
inline constexpr std::size_t kSecretCharactersAdvised = 8;  // fewer are a warning

// Each reads one table, checked; what it returns is used only when no problem was found.
[[nodiscard]] NodeSettings read_node(Reader& reader);
[[nodiscard]] SwitchSettings read_switch(Reader& reader, const NodeSettings& node);
[[nodiscard]] MediaSettings read_media(Reader& reader, const NodeSettings& node);
[[nodiscard]] ArchiveSettings read_archive(Reader& reader, const NodeSettings& node);

// Shared by them.
[[nodiscard]] ArchiveLink read_archive_link(Reader& reader);
[[nodiscard]] std::string read_name(Reader& reader, const std::string& key, std::set<std::string>& taken);
[[nodiscard]] std::string read_secret(Reader& reader, const std::string& key);  // required
[[nodiscard]] std::string read_advertise(Reader& reader);
[[nodiscard]] std::vector<std::string> read_listen(Reader& reader, const std::string& key);
// auth, cti_auth: true for "none", which only a loopback address may have.
[[nodiscard]] bool read_without_token(Reader& reader, const std::string& key, const std::string& address);

}  // namespace sheaf::config
