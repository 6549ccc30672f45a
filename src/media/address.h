// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace sheaf::media {

// Where packets come from and go to. A value of fixed size, compared on the packet path.
struct Address {
    std::array<std::uint8_t, 16> ip{};  // network order; IPv4 in the first four
    bool is_v6 = false;
    std::uint16_t port = 0;

    [[nodiscard]] bool same_host(const Address& other) const { return is_v6 == other.is_v6 && ip == other.ip; }
    // Somebody can be reached there: the host is not 0.0.0.0 or ::, the port not 0.
    [[nodiscard]] bool is_set() const { return port != 0 && ip != std::array<std::uint8_t, 16>{}; }
    friend bool operator==(const Address&, const Address&) = default;
};

// From a literal IPv4 or IPv6 address, without brackets. Empty text: the address that is not set.
[[nodiscard]] std::optional<Address> address_from_text(const std::string& literal, std::uint16_t port);

}  // namespace sheaf::media
