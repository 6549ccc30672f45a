// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ladder/message.h"

namespace sheaf::ladder {

// A message as it stood on the wire, looked through once. Any bytes will do; they outlive it.
class Reading {
public:
    explicit Reading(std::string_view message);

    // nullopt: it does not say so in a way that could be SIP.
    [[nodiscard]] std::optional<Names> names() const;
    // Puts a star for each character of what nobody should read later into a copy of it (or of its beginning): what
    // proves a password (digest responses, other credentials), what proves a link between sites, addresses that are
    // keys (pivot tokens), media keys, digits that were pressed. Nothing else changes, nor the length.
    void mask(std::span<char> copy);

private:
    struct Range {
        std::size_t from, to;
    };
    void header(std::size_t begin, std::size_t end);
    void credentials(std::size_t from, std::size_t to);
    void parameter(std::size_t from, std::size_t to, std::string_view name);
    void pivots();
    void body();

    std::string_view text_;
    std::size_t body_ = 0;  // where it begins
    std::string_view call_id_;
    std::string_view cseq_;
    std::string_view type_;
    std::vector<Range> secrets_;
};

[[nodiscard]] std::string masked(std::string_view message);

}  // namespace sheaf::ladder
