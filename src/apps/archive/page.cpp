// SPDX-License-Identifier: Apache-2.0
#include "apps/archive/page.h"

#include "base/bytes.h"
#include "base/digest.h"

namespace sheaf::archive_role {
namespace {

// " 'sha256-…'" for each element of that name without attributes.
std::string digests_of(std::string_view page, std::string_view element) {
    const std::string open = "<" + std::string(element) + ">";
    const std::string close = "</" + std::string(element) + ">";
    std::string digests;
    while (true) {
        const auto begin = page.find(open);
        if (begin == std::string_view::npos) return digests;
        page.remove_prefix(begin + open.size());
        const auto end = page.find(close);
        if (end == std::string_view::npos) return digests;
        digests += " 'sha256-" + to_base64(sha256(as_bytes(page.substr(0, end)))) + "'";
        page.remove_prefix(end + close.size());
    }
}

}  // namespace

std::string policy_for(std::string_view page) {
    return "default-src 'none'; script-src" + digests_of(page, "script") + "; style-src" + digests_of(page, "style") +
           "; media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
}

}  // namespace sheaf::archive_role
