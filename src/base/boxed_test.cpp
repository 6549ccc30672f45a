// SPDX-License-Identifier: Apache-2.0
#include "base/boxed.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>

using sheaf::Boxed;

TEST_CASE("a boxed value is an optional one: copies are of what is in it") {
    static_assert(sizeof(Boxed<std::string>) == sizeof(void*));
    Boxed<std::string> none;
    CHECK_FALSE(none.has_value());
    CHECK(none == Boxed<std::string>(std::nullopt));
    CHECK(none.value_or("else") == "else");
    Boxed<std::string> one = std::string("one");
    Boxed<std::string> copy = one;
    *copy += " more";
    CHECK(*one == "one");
    CHECK(copy == std::string("one more"));
    CHECK_FALSE(copy == one);
    CHECK_FALSE(none == one);
    copy = one;
    CHECK(copy == one);
    copy = *&copy;
    CHECK(copy->size() == 3);
    const Boxed<std::string> taken = std::exchange(one, std::nullopt);
    CHECK(taken == std::string("one"));
    CHECK_FALSE(one.has_value());
    copy.reset();
    CHECK(copy == none);
}
