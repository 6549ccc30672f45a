// SPDX-License-Identifier: Apache-2.0
#include "base/planted.h"

#ifdef SHEAF_PLANTABLE
#include <cstdlib>

namespace sheaf {

bool is_planted(std::string_view bug) {
    static const char* const planted = std::getenv("SHEAF_PLANT");  // NOLINT(concurrency-mt-unsafe): never set by us
    return planted != nullptr && bug == planted;
}

}  // namespace sheaf
#endif
