// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "archive/store_port.h"

namespace sheaf::store {

// archive::MediaStore in a directory, made when absent. Files must come from the same file system (they are renamed).
[[nodiscard]] Result<std::unique_ptr<archive::MediaStore>> open_media_directory(const std::string& directory);

}  // namespace sheaf::store
