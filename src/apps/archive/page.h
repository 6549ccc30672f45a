// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace sheaf::archive_role {

// Content-Security-Policy for a page that carries its own <style> and <script>: those by their digests, media and API
// calls from where the page comes from, and nothing else.
[[nodiscard]] std::string policy_for(std::string_view page);

}  // namespace sheaf::archive_role
