// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "edge/http/client.h"

namespace sheaf::apps {

// A message to a peer site, signed now (docs/formats/site.md). `url` is the peer's, without a path.
[[nodiscard]] http::ClientRequest site_post(const std::string& url, std::string_view path, const std::string& own_site,
                                            const std::string& secret, std::string body, int timeout_seconds);

}  // namespace sheaf::apps
