// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

namespace sheaf {

std::string_view name_of(Errc code) {
    switch (code) {
        case Errc::malformed: return "malformed";
        case Errc::unsupported: return "unsupported";
        case Errc::not_found: return "not found";
        case Errc::conflict: return "conflict";
        case Errc::forbidden: return "forbidden";
        case Errc::timeout: return "timeout";
        case Errc::io: return "i/o";
        case Errc::exhausted: return "exhausted";
    }
    return "unknown";
}

std::string to_string(const Error& error) {
    return std::string(name_of(error.code)) + ": " + error.what;
}

}  // namespace sheaf
