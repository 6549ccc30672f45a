// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/time.h"

// How much work each sender may make: what one costs beyond its share is refused before it is read, so that a flood
// takes nobody's share but its own. Pure; one owner.
//
//   message → judge → admit: read it   refuse: answer 503 with Retry-After, keep nothing   drop: not a byte more
//
// A share is a token bucket: so many messages a second, and ten seconds' worth at once. Peers and callers have one
// each, by address. Strangers, who can choose their addresses, have a slot each of a fixed table, chosen by a secret
// hash, and all of them together one share besides: their number costs neither memory nor anybody else.
namespace sheaf::sip {

struct Sender {
    enum class Kind {
        stranger,
        caller,  // has registrations here, or calls as an agent
        peer,    // a trunk, a site, a media server
    };
    Kind kind = Kind::stranger;
    std::size_t uses = 0;   // a caller's registrations, and calls as an agent
    bool has_call = false;  // whoever it is
};

struct Shares {  // messages a second
    double stranger = 20;
    double strangers = 400;  // all of them together
    double caller = 100;     // an address, behind which many phones may stand,
    double use = 4;          // and for each use of it
    double peer = 20'000;
    double refusals = 100;  // answers of 503, all together; beyond: nothing is answered
};

inline constexpr std::size_t kStrangerSlots = 4'096;
inline constexpr std::size_t kShareBytes = 1'500;    // of one message
inline constexpr double kShareSeconds = 10;          // of a share that may be used at once
inline constexpr std::size_t kKnownMax = 65'536;     // addresses of callers and peers with a share in use
inline constexpr std::size_t kAddressBytesMax = 64;  // of one that is told of

class Admission {
public:
    enum class Verdict { admit, refuse, drop };

    Admission(const Shares& shares, std::uint64_t secret);

    // `address`: a literal, without port. IPv6 senders are told apart by their first 64 bits.
    // One of more than kShareBytes counts as several.
    [[nodiscard]] Verdict judge(Instant now, std::string_view address, const Sender& sender, std::size_t bytes = 0);

    // What was not admitted since it was asked last, for the log.
    struct Turned {
        std::uint64_t refused = 0;
        std::uint64_t dropped = 0;
        std::string address;  // one of the senders, the latest
        friend bool operator==(const Turned&, const Turned&) = default;
    };
    [[nodiscard]] Turned take_turned();

private:
    struct Bucket {
        double used = 0;  // of the share's ten seconds; falls by the share a second
        Instant at{};
    };
    [[nodiscard]] static bool has_room(Bucket& bucket, Instant now, double share, double cost = 1);
    [[nodiscard]] bool has_share(Instant now, std::string_view address, const Sender& sender, double cost);
    void forget_idle(Instant now);

    Shares shares_;
    std::uint64_t secret_;
    std::vector<Bucket> slots_;  // of strangers
    Bucket all_strangers_;
    Bucket all_refusals_;
    std::unordered_map<std::string, Bucket> known_;
    Turned turned_;
};

}  // namespace sheaf::sip
