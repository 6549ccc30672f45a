// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "exchange/exchange.h"

// What sites tell each other over HTTP: docs/formats/site.md. No I/O.
namespace sheaf::apps {

inline constexpr std::string_view kSiteAgentsPath = "/v1/site/agents";
inline constexpr std::string_view kSitePausePath = "/v1/site/pause";
inline constexpr std::string_view kSitePauseConfirmedPath = "/v1/site/pause-confirmed";
inline constexpr std::size_t kSiteBodyMax = 1 << 20;
inline constexpr std::size_t kSiteAgentsMax = 10'000;
inline constexpr std::size_t kSiteNoncesMax = 65'536;  // a site; the oldest go first
inline constexpr std::size_t kSiteTextMax = 128;       // of an id, and of who paused
inline constexpr std::int64_t kSiteAgoMaxMs = 24 * 3'600'000;
inline constexpr std::chrono::hours kSiteClockMax{1};

struct SiteSignature {
    std::string site;
    std::string date;   // Unix milliseconds
    std::string nonce;  // 16 to 64 lower-case hex digits
    std::string signature;
};
// The signature of a request, as the headers Sheaf-Site, -Date, -Nonce and -Signature.
[[nodiscard]] SiteSignature sign_site_request(std::string_view method, std::string_view path, std::string_view site,
                                              std::string_view secret, std::string_view body, WallTime now,
                                              std::string_view nonce);

// Believes a request at most once. One owner, one thread.
class SiteGuard {
public:
    explicit SiteGuard(std::size_t nonces_max = kSiteNoncesMax) : nonces_max_(nonces_max) {}
    // Errc::forbidden in words for the log: a wrong signature, a date out of range, a nonce seen before.
    [[nodiscard]] Result<void> check(const SiteSignature& given, std::string_view method, std::string_view path,
                                     std::string_view secret, std::string_view body, WallTime now);
    [[nodiscard]] std::size_t nonces_of(const std::string& site) const;

private:
    struct Seen {
        std::set<std::string> nonces;
        std::deque<std::string> order;
    };
    std::size_t nonces_max_;
    std::map<std::string, Seen> seen_;
};

// How long a believed request has lain about before it was read: a switch that stood still finds its sockets full of
// messages whose `ago_ms` were right when they were sent. No clocks are compared: it is how much older by its date a
// request looks than the youngest of the site's others. One owner, one thread.
class SiteAges {
public:
    [[nodiscard]] std::int64_t lain_ms(const SiteSignature& given, WallTime now);

private:
    struct Youngest {
        std::int64_t began = 0;  // of the span that `now` is of
        std::int64_t now = 0;
        std::int64_t before = 0;
    };
    std::map<std::string, Youngest> youngest_;  // configured sites only: of believed requests
};
inline constexpr std::int64_t kSiteAgesMs = 60'000;  // a request is held against those of this long, twice at most

[[nodiscard]] std::string readiness_body(const exchange::RemoteAgents& readiness);
// `site` is whose signature it bears.
[[nodiscard]] Result<exchange::RemoteAgents> readiness_from_body(std::string_view body, const std::string& site);
[[nodiscard]] std::string pause_body(const exchange::TellPause& pause);
[[nodiscard]] Result<exchange::PauseTold> pause_from_body(std::string_view body, const std::string& site);
[[nodiscard]] std::string confirmation_body(const exchange::ConfirmPause& confirmation);
[[nodiscard]] Result<exchange::PauseConfirmed> confirmation_from_body(std::string_view body, const std::string& site);

}  // namespace sheaf::apps
