// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "base/entropy.h"
#include "base/result.h"
#include "sip/endpoint.h"
#include "sip/uri.h"

// Where the server of a SIP URI is (RFC 3263), without I/O: what DNS is to be asked next, given what it has said so
// far, and at last where requests are sent, in the order in which that is tried.
//
//   URI → NAPTR → SRV → A, AAAA → endpoints
//
// DNS is a stranger: of each answer so much is looked at and no more, and names, ports and addresses that cannot be
// right are passed over.
namespace sheaf::sip {

inline constexpr std::size_t kNaptrMax = 16;      // records of an answer that are used, those preferred first
inline constexpr std::size_t kSrvMax = 32;        // likewise
inline constexpr std::size_t kServersMax = 16;    // whose addresses are asked for
inline constexpr std::size_t kAddressesMax = 16;  // of one name, and of a URI in all
inline constexpr std::size_t kDnsNameBytesMax = 253;
inline constexpr std::chrono::seconds kTtlMin{30};
inline constexpr std::chrono::seconds kTtlMax{3'600};

enum class RecordType { naptr, srv, a, aaaa };
struct Question {
    std::string name;  // lower case, without a dot at its end
    RecordType type;
    friend auto operator<=>(const Question&, const Question&) = default;
};

struct NaptrRecord {  // RFC 3403 §4.1
    std::uint16_t order = 0;
    std::uint16_t preference = 0;
    std::string flags, service, regexp, replacement;
};
struct SrvRecord {  // RFC 2782
    std::uint16_t priority = 0;
    std::uint16_t weight = 0;
    std::uint16_t port = 0;
    std::string target;
};
// As it came; only what the question was for is looked at. Nothing in it: there is no such record.
struct DnsAnswer {
    std::vector<NaptrRecord> naptr;
    std::vector<SrvRecord> srv;
    std::vector<std::string> addresses;  // of A or AAAA, as inet_ntop writes them
    std::uint32_t ttl_s = 0;             // the least of its records'
};
// By what was asked. An error: it could not be found out.
using DnsAnswers = std::map<Question, Result<DnsAnswer>>;

// What we can send by.
struct Reach {
    bool udp = true;
    bool tcp = true;
    bool ipv4 = true;
    bool ipv6 = false;
};
[[nodiscard]] Reach reach_of(const std::vector<Endpoint>& listen);

struct Ask {
    std::vector<Question> questions;  // all of them new
};
struct Located {
    std::vector<Endpoint> endpoints;  // one at least, each once
    std::chrono::seconds ttl{};       // it holds so long: kTtlMin to kTtlMax
    friend bool operator==(const Located&, const Located&) = default;
};
// The error of a question that could not be answered goes through, so that who knows an older answer may keep it;
// Errc::not_found: DNS says that there is no such server. The same seed at every step: chance orders servers of equal
// priority by their weights.
using LocateStep = std::variant<Ask, Located, Error>;
[[nodiscard]] LocateStep locate(const Uri& uri, const DnsAnswers& answers, const Reach& reach,
                                const Entropy::Seed& seed);

}  // namespace sheaf::sip
