// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace sheaf {

// std::visit with one lambda an alternative; a forgotten alternative does not compile.
template <typename... F>
struct Match : F... {
    using F::operator()...;
};
template <typename... F>
Match(F...) -> Match<F...>;

}  // namespace sheaf
