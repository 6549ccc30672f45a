// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "link/outbox.h"

namespace sheaf::store {

// Opens or creates a node's outbox in one SQLite file. The roles of a node share the file, each with its own
// connection, on any thread or in any process: seqs are the node's, what is pending is the `owner`'s (say "switch",
// "media"). Errc::conflict: the file belongs to another node.
[[nodiscard]] Result<std::unique_ptr<link::Outbox>> open_outbox(const std::string& path, const std::string& tenant,
                                                                const std::string& site, const std::string& node,
                                                                const std::string& owner = {});

}  // namespace sheaf::store
