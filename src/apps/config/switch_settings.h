// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "apps/config/node_settings.h"

namespace sheaf::config {

enum class RecordWhen { never, always, on_demand, percent };

struct RecordRule {
    RecordWhen when = RecordWhen::never;
    int percent = 0;  // 0 to 100, when `when` is percent
    friend bool operator==(const RecordRule&, const RecordRule&) = default;
};

// What those who are recorded are told of it, and whom that concerns.
enum class ConsentTo { customer, agent, both };
struct ConsentRule {
    std::vector<std::string> announcement;  // "say:NAME"
    ConsentTo to = ConsentTo::customer;
    int tone_ms = 0;  // 0: none; else 1,000 to 600,000
    bool required = false;
};

// [[switch.trunk]]
struct TrunkSettings {
    std::string name;
    std::vector<std::string> addresses;  // SIP URIs, sip:host[:port][;transport=tcp]; the first that answers
    bool refer = true;                   // whether it may be asked to move a call (REFER)
    RecordRule record;
    std::string user;        // empty: no credentials
    std::string password;    // the secret itself
    bool registers = false;  // with user and password
    bool trusted = true;     // RFC 3325
    int calls_max = 0;       // both ways; 0: as many as the switch
    ConsentRule consent;
};

// [[switch.site]]: another site, ours.
struct SiteSettings {
    std::string name;
    std::string address;  // SIP URI
    std::string http;     // http://host:port of its CTI address; empty: no readiness is exchanged
    std::string secret;   // shared by the pair
    std::string prefix;   // digits before one of its directory numbers; empty: none
    bool return_transfers = false;
    bool record_duplicate = false;
};

// [[switch.token]]: who may use the CTI API, for which devices.
struct CtiTokenSettings {
    std::string name;
    std::string secret;
    std::vector<std::string> devices;  // {"*"}: any
};

// [[switch.agent]]
struct AgentSettings {
    std::string dn;
    std::string name;
    std::string password;  // digest secret of the phone
    RecordRule record;
    bool auto_answer = false;
    ConsentRule consent;
};

// What a routing point asks callers from outside. All targets exist.
struct Menu {
    std::vector<std::string> announcement;  // empty: no menu
    std::vector<std::string> invalid;
    std::vector<std::pair<std::string, std::string>> choices;  // digit, target or "queue"
    std::string otherwise;                                     // target; empty: the queue
    int timeout_ms = 5'000;
    int repeats = 2;
};

// [[switch.routing_point]]
struct RoutingPointSettings {
    std::string dn;
    std::vector<std::string> numbers;    // dialled numbers that lead here, besides the dn
    std::vector<std::string> treatment;  // "say:NAME", "music:NAME", played in order, the last one for ever
    std::vector<std::string> targets;    // "agent:1001" here, "agent:2001@paris" there; what is named exists
    RecordRule record;
    ConsentRule consent;
    int queue_max = 1'000;
    std::string overflow;       // target that exists; empty: none
    int overflow_after_ms = 0;  // 0: never
    int position_ms = 0;        // 0: none
    Menu menu;
};

// [[switch.number]]: what a trunk writes otherwise than this site. Of a trunk's rules for one use the first that is
// found.
struct NumberRuleSettings {
    std::string trunk;   // one that exists
    std::string of;      // "called-in", "calling-in", "called-out" or "calling-out"
    std::string match;   // as of a route
    std::string number;  // likewise; not empty
};

// [[switch.route]]: the first whose expression matches the dialled number.
struct RouteSettings {
    std::string match;   // ECMAScript regular expression, already found valid
    std::string to;      // "trunk:NAME", "site:NAME", "agent:DN" or "routing_point:DN"; what is named exists
    std::string number;  // $0 to $9 are the match and its groups; empty: as dialled
};

// [switch.limits]: what a flood can have. Messages are so many a second, ten seconds' worth at once.
struct LimitSettings {
    int stranger_calls = 10;     // of one address
    int strangers_calls = 200;   // of all strangers together
    int stranger_messages = 20;  // of one address
    int strangers_messages = 400;
    int caller_messages = 100;   // of an address with registered phones or agents who call
    int peer_messages = 20'000;  // of a trunk's, a site's or a media server's address
};

// [switch]. All names and dns are unique, all references resolve.
struct SwitchSettings {
    NodeSettings node;
    std::vector<std::string> listen;  // "udp:127.0.0.1:5060", "tcp:[::1]:5060"
    std::string advertise;            // host or host:port in Via and Contact; empty: the listening one
    std::vector<std::string> media;   // SIP URIs of media servers
    std::vector<std::string> dns;     // "127.0.0.1", "[::1]:5353"; empty: the system's
    ArchiveLink archive;
    HostPort cti;                    // address empty: no CTI
    bool cti_without_token = false;  // cti_auth="none"
    bool record_consult = false;
    bool record_hold = false;
    bool leave_conference = false;
    bool ready_on_register = true;
    int wrap_up_ms = 0;  // 0 to 3,600,000
    int ring_timeout_ms = 20'000;
    bool ready_after_no_answer = false;
    int session_ms = 1'800'000;  // of a session timer; at least session_min_ms
    int session_min_ms = 90'000;
    std::uint64_t ladder_bytes = 256ULL << 20;  // of recorded calls' SIP messages on disk; 0: none
    bool direct_media = true;                   // of calls that nothing is to be recorded of
    bool nat = true;                            // phones may stand behind one
    int options_ms = 30'000;  // from one question whether a peer is there to the next; 0: nobody is asked
    std::string ready_code, not_ready_code, wrap_up_done_code;  // numbers of nobody else; empty: none
    LimitSettings limits;
    std::vector<TrunkSettings> trunks;
    std::vector<SiteSettings> sites;
    std::vector<CtiTokenSettings> tokens;
    std::vector<AgentSettings> agents;
    std::vector<RoutingPointSettings> routing_points;
    std::vector<RouteSettings> routes;
    std::vector<NumberRuleSettings> numbers;
};

}  // namespace sheaf::config
