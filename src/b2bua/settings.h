// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/rewrite.h"
#include "base/time.h"
#include "sip/digest_auth.h"
#include "sip/endpoint.h"
#include "sip/uri.h"

// Who this site speaks SIP with. Plain values, checked by who makes them.
namespace sheaf::b2bua {

// What a trunk writes otherwise than this site does.
enum class NumberUse { called_in, calling_in, called_out, calling_out };
struct NumberRule {
    NumberUse use = NumberUse::called_in;
    Rewrite rewrite;
};
inline constexpr std::size_t kRuledNumberMax = 64;  // a longer number is left as it is

// What requests to a peer name, and where they are sent: the URI's own address, or one that its name leads to. The URI
// is never rewritten (RFC 3263 §4).
struct PeerAddress {
    sip::Uri uri;
    sip::Endpoint at;
    friend bool operator==(const PeerAddress&, const PeerAddress&) = default;
};

struct TrunkPeer {
    std::string name;
    std::vector<PeerAddress> addresses;  // tried in this order; none: its name leads nowhere yet
    std::optional<sip::Account> account;
    bool registers = false;                // with the account, at one of the addresses
    bool trusted = true;                   // RFC 3325: believed of who calls, and told what is withheld from others
    std::size_t calls_max = 0;             // both ways; 0: as many as the switch
    std::vector<NumberRule> numbers = {};  // the first that is found rewrites
};
struct SitePeer {
    std::string name;
    std::optional<PeerAddress> address;  // nullopt: its name leads nowhere yet
    std::string secret;                  // of the pair; signs X-Sheaf-Link
};
struct AgentAccount {
    std::string dn;
    std::string password;
};
struct Settings {
    std::string site;       // also the realm of digest authentication
    std::string node = {};  // this switch among the site's, for media servers; empty: it is not said
    std::string host;       // ours, in From and P-Asserted-Identity: host or host:port
    std::vector<std::optional<PeerAddress>> media;  // media servers; nullopt: its name leads nowhere yet
    std::vector<TrunkPeer> trunks;
    std::vector<SitePeer> sites;
    std::vector<AgentAccount> agents;       // a B2bua has them in order of dn
    std::size_t legs_max = 20'000;          // beyond: 503
    std::size_t stranger_calls_max = 10;    // of one address; beyond: 503
    std::size_t strangers_calls_max = 200;  // of all strangers together; beyond: 503
    bool nat = true;                        // phones may stand behind one
    Duration ask_every{};                   // of trunks, sites and media servers: alive? Zero: nobody is asked
};

// Where a URI with a literal host is reached. Errc::unsupported: a name, or a transport we do not speak.
[[nodiscard]] Result<sip::Endpoint> endpoint_of(const sip::Uri& uri);
[[nodiscard]] Result<PeerAddress> literal_address(const sip::Uri& uri);  // likewise
[[nodiscard]] std::string to_text(const PeerAddress& address);           // for the log
[[nodiscard]] const TrunkPeer* trunk_named(const Settings& settings, std::string_view name);
[[nodiscard]] const SitePeer* site_named(const Settings& settings, std::string_view name);
// By the first of the trunk's rules for that use; by none: as it was. Clean.
[[nodiscard]] std::string ruled(const TrunkPeer* trunk, NumberUse use, const std::string& number);
// Of settings whose agents are in order.
[[nodiscard]] const AgentAccount* agent_with(const Settings& settings, std::string_view dn);

}  // namespace sheaf::b2bua
