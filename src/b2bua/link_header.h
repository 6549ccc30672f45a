// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "exchange/exchange.h"

// The X-Sheaf-Link header of an inter-site INVITE: docs/formats/link-header.md. A pure value in, text out; believing
// one takes the pair's secret, the INVITE it stands in, and a memory of nonces.
namespace sheaf::b2bua {

inline constexpr std::size_t kLinkHeaderBytesMax = 1'024;
inline constexpr std::size_t kNoncesOfPeerMax = 65'536;  // the oldest go first
inline constexpr std::chrono::hours kLinkAgeMax{1};      // between the sender's clock and ours, either way

// What a mac is bound to besides the header.
struct LinkCarrier {
    std::string call_id;
    std::string from_tag;
};

// `nonce`: 16 to 64 lower-case hex digits, new for each header.
[[nodiscard]] std::string signed_link(const exchange::LinkHeader& link, const LinkCarrier& carrier,
                                      std::string_view secret, WallTime now, std::string_view nonce);

// Believes a header at most once. One owner, one thread.
class LinkGuard {
public:
    explicit LinkGuard(std::size_t nonces_max = kNoncesOfPeerMax) : nonces_max_(nonces_max) {}
    // Errc::malformed, forbidden (mac, age) or conflict (nonce seen before), in words for the log.
    [[nodiscard]] Result<exchange::LinkHeader> check(std::string_view value, const LinkCarrier& carrier,
                                                     std::string_view site, std::string_view secret, WallTime now);
    [[nodiscard]] std::size_t nonces_of(const std::string& site) const;

private:
    struct Seen {
        std::set<std::string> nonces;
        std::deque<std::string> order;
    };
    std::size_t nonces_max_;
    std::map<std::string, Seen> seen_;  // by site
};

}  // namespace sheaf::b2bua
