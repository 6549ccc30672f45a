// SPDX-License-Identifier: Apache-2.0
#include "media/address.h"

#include <arpa/inet.h>

#include <algorithm>

namespace sheaf::media {

std::optional<Address> address_from_text(const std::string& literal, std::uint16_t port) {
    Address address;
    if (literal.empty()) return address;
    address.port = port;
    if (inet_pton(AF_INET, literal.c_str(), address.ip.data()) == 1) return address;
    if (inet_pton(AF_INET6, literal.c_str(), address.ip.data()) != 1) return std::nullopt;
    address.is_v6 = true;
    // An IPv4 address in IPv6 clothes is the IPv4 address, however a socket tells it.
    constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    if (std::equal(kMapped.begin(), kMapped.end(), address.ip.begin())) {
        std::copy(address.ip.begin() + 12, address.ip.end(), address.ip.begin());
        std::fill(address.ip.begin() + 4, address.ip.end(), std::uint8_t{0});
        address.is_v6 = false;
    }
    return address;
}

}  // namespace sheaf::media
