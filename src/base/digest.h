// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace sheaf {

using Sha256 = std::array<std::uint8_t, 32>;

[[nodiscard]] Sha256 sha256(Bytes bytes);
[[nodiscard]] std::string sha256_hex(std::string_view text);
[[nodiscard]] std::string md5_hex(std::string_view text);  // for SIP digest with old phones (RFC 8760 §2.2) only
[[nodiscard]] std::uint64_t xxh3(std::string_view text);   // XXH3 of 64 bits: tells texts apart, proves nothing
[[nodiscard]] std::string hmac_sha256_hex(std::string_view key, std::string_view text);
// Takes the same time wherever two strings of one length differ.
[[nodiscard]] bool equal_in_constant_time(std::string_view a, std::string_view b);

// SHA-256 of something that comes in pieces. One owner, one thread.
class Sha256Stream {
public:
    Sha256Stream();
    ~Sha256Stream();
    Sha256Stream(Sha256Stream&&) noexcept;
    Sha256Stream& operator=(Sha256Stream&&) noexcept;

    void add(Bytes bytes);
    [[nodiscard]] Sha256 finish();  // once

private:
    struct Context;
    std::unique_ptr<Context> context_;
};

}  // namespace sheaf
