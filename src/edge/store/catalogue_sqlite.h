// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "archive/store_port.h"

namespace sheaf::store {

// archive::CatalogueStore in one SQLite file; created when absent.
[[nodiscard]] Result<std::unique_ptr<archive::CatalogueStore>> open_catalogue(const std::string& path);

}  // namespace sheaf::store
