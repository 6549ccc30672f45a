// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace sheaf {

// What went wrong, in a few stable kinds; `what` carries the detail in an operator's words.
enum class Errc {
    malformed,    // the input does not follow its grammar
    unsupported,  // well formed, but not something we do
    not_found,
    conflict,   // the state does not allow it
    forbidden,  // not theirs to ask
    timeout,
    io,
    exhausted,  // a limit was reached
};

struct Error {
    Errc code;
    std::string what;
    friend bool operator==(const Error&, const Error&) = default;
};

[[nodiscard]] std::string_view name_of(Errc code);
[[nodiscard]] std::string to_string(const Error& error);

// Every expected failure travels as a value; nothing of ours throws.
template <typename T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(Errc code, std::string what) {
    return std::unexpected(Error{code, std::move(what)});
}

}  // namespace sheaf

// `TRY(auto x, expression);` takes the value out of a Result or returns its error from the function it stands in.
// The one control-flow macro of the house.
#define SHEAF_JOIN_(a, b) a##b
#define SHEAF_JOIN(a, b) SHEAF_JOIN_(a, b)
#define TRY(declaration, expression) SHEAF_TRY_(SHEAF_JOIN(try_, __LINE__), declaration, expression)
#define SHEAF_TRY_(name, declaration, expression)                 \
    auto name = (expression);                                     \
    if (!name) return std::unexpected(std::move(name).error());   \
    declaration = std::move(*name)
// The same for Result<void>.
#define TRY_VOID(expression)                                                          \
    do {                                                                              \
        if (auto try_void_ = (expression); !try_void_)                                \
            return std::unexpected(std::move(try_void_).error());                     \
    } while (false)
