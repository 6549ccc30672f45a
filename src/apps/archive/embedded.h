// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

// Files that are part of the program (cmake/embed.cmake).
namespace sheaf::archive_role {

extern const std::string_view kPage;     // src/apps/archive/page.html
extern const std::string_view kOpenapi;  // docs/api/openapi.json

}  // namespace sheaf::archive_role
