// SPDX-License-Identifier: Apache-2.0
#include "call/selection.h"

#include <doctest/doctest.h>

#include <string>

using sheaf::CallUuid;
using sheaf::call::is_selected;

TEST_CASE("about a quarter of calls is selected at 25 percent, all at 100 and none at 0") {
    int selected = 0;
    for (int i = 0; i < 4000; ++i) {
        const CallUuid root{"call-" + std::to_string(i)};
        if (is_selected(root, 25)) ++selected;
        CHECK(is_selected(root, 100));
        CHECK_FALSE(is_selected(root, 0));
    }
    CHECK(selected > 900);
    CHECK(selected < 1100);
}

TEST_CASE("a call selected at a lower share is selected at every higher one") {
    for (int i = 0; i < 1000; ++i) {
        const CallUuid root{"call-" + std::to_string(i)};
        for (int percent = 1; percent < 100; percent += 7)
            if (is_selected(root, percent)) CHECK(is_selected(root, percent + 7));
    }
}
