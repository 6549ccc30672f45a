// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "b2bua/msml_client.h"
#include "b2bua/notifier.h"
#include "b2bua/settings.h"
#include "base/boxed.h"
#include "exchange/exchange.h"
#include "sip/user_agent.h"

// One leg as the translator sees it. Only this room's *.cpp use it.
namespace sheaf::b2bua {

// ---- The dialog with the media server ---------------------------------------------------------------------------
struct NoMedia {};
struct Direct {  // end to end with that leg: no media server knows of it (direct.cpp)
    LegId other;
};
struct MediaAsked {  // INVITE sent; a leg timer watches over it
    sip::DialogId dialog = 0;
    std::size_t server = 0;
};
struct MediaStands {
    sip::DialogId dialog = 0;
    std::size_t server = 0;
    std::string tag;             // names the connection in MSML
    std::string sdp;             // the latest description of the media server's end
    std::string offered;         // what the re-INVITE under way carries
    bool applying = false;       // a re-INVITE is under way, or waits for glare to pass
    bool applied_again = false;  // it has been sent anew, before that
};
using Media = std::variant<NoMedia, Direct, MediaAsked, MediaStands>;

// ---- The dialog with the peer -----------------------------------------------------------------------------------
struct Offered {                 // their INVITE; no final answer has gone
    std::string offer;           // empty: none, the media server makes it
    bool answer_wanted = false;  // AnswerLeg has come, the media has not
    std::string early;           // the description that a 183 has told; empty: none has
    bool holds = false;          // the offer does
    std::optional<bool> ipv6;    // of its audio's address; nullopt: there is none, or the offer holds
};
struct OfferSent {};                  // our 200 carried the media server's offer, their ACK brings the answer
struct Preparing {                    // a leg to place: its media is asked, the peer knows nothing
    Boxed<exchange::PlaceLeg> order;  // there
};
struct PeerAnswer {
    exchange::LegAnswered event;
    std::string sdp;
};
inline constexpr std::size_t kForksMax = 16;  // that may describe themselves early
struct Calling {                              // our INVITE is out
    Boxed<exchange::PlaceLeg> order;          // there
    std::vector<PeerAddress> ways;            // a trunk's, as they were when the call began
    std::size_t way = 0;                      // which of them
    bool alerted = false;
    bool early = false;        // a 183's description has been applied
    Boxed<PeerAnswer> answer;  // the 200 has come; its description is being applied
    bool answer_applied = false;
    std::map<std::string, std::string> described = {};  // by To tag: what forks have said early, kForksMax of them
};
struct Talking {
    bool held = false;                    // by the peer
    bool connect_at_ack = false;          // it replaces another leg: told as connected once its media flows
    bool reinvite_waits = false;          // the peer's re-INVITE waits for the media server's answer
    sip::ServerRequest update_waits = 0;  // so does its UPDATE; 0: none
    std::optional<bool> next_held;        // what the description being applied makes of `held`
    bool offer_given = false;             // to a re-INVITE without one: the ACK brings the answer
    std::string offer;                    // the peer's new one, for the media server that is being asked
};
using Peer = std::variant<Offered, OfferSent, Preparing, Calling, Talking>;

// ---- Transfer by REFER ------------------------------------------------------------------------------------------
struct Transfer {
    sip::ServerRequest request = 0;  // 0: answered already
    std::string event;               // value of Event in its NOTIFYs
    bool silent = false;             // Refer-Sub: false (RFC 4488): no NOTIFY is wanted
};

struct Referral {                       // our REFER: its peer is to leave this site
    sip::ClientRequest request = 0;     // 0: answered
    std::optional<std::uint64_t> cseq;  // once answered: names it in Event
    Instant until{};
};

// ---- Between sites (package sheaf-call) and connected identity -----------------------------------------------------
struct Telling {
    exchange::SiteState state;
    Instant since{};  // when its `ago_ms` was right
    int tries = 0;
};
struct SiteTalk {
    bool takes = false;                // the peer's Recv-Info names our package
    std::uint64_t told = 0;            // seq of our last
    std::uint64_t heard = 0;           // seq of its newest
    sip::ClientRequest request = 0;    // our INFO; 0: none is out
    Boxed<Telling> out;                // what it carries
    Boxed<Telling> waits;              // the newest since
    Boxed<exchange::SiteState> early;  // told before the leg was answered
};
struct Showing {                          // ShowIdentity
    Boxed<exchange::ShowIdentity> waits;  // the newest
    Boxed<exchange::ShowIdentity> out;    // our re-INVITE is under way, or waits for glare to pass
    Boxed<exchange::ShowIdentity> shown;  // the last that went out
    bool refresh = false;                 // the session's timer wants a re-INVITE
    bool glare = false;
    bool refused = false;  // has been said in the log
};

struct Play {
    std::vector<std::string> last;  // played for ever once the others are through
    bool tell = false;              // PlayBegan is owed
};

// Its media is to pass the media server, together with that of one other leg (meeting.cpp).
struct Meeting {
    enum class Step { begins, waits, offered, agreed };  // of the two one begins, and is offered first
    LegId with;
    Step step = Step::waits;
    std::string before;          // our description before that; empty: it has been offered nothing yet
    std::string answer;          // its peer's; empty: none yet
    bool is_out = false;         // a re-INVITE with that offer is under way
    bool has_moved = false;      // its peer has taken it
    bool is_off = false;         // it goes back once it has answered
    bool is_told_again = false;  // it has been offered a second time, because the other has answered otherwise
};

struct Leg {
    LegId id;
    exchange::Device device;
    sip::DialogId peer_dialog = 0;  // 0: none yet
    Peer peer;
    Media media;
    Lamp lamp = Lamp::idle;          // an agent's leg: what it adds to the agent's lamp
    RoomId room;                     // empty: joined to nothing
    RoomId place;                    // the room whose place at a media server it keeps, also while it is out of it
    std::string nat_address;         // a phone's as it is seen from here; empty: it is not behind a NAT
    std::string caller_at;           // where an agent has called from, or a stranger (its network); else empty
    bool was_direct = false;         // its peer has been described another peer's media
    std::string described;           // our session description, as last sent to the peer
    std::string heard;               // the peer's, as last applied
    std::vector<std::size_t> tried;  // media servers
    std::optional<Instant> media_since;
    CallUuid calluuid;          // for X-Sheaf-Call
    std::string session_local;  // RFC 7989 halves, or empty
    std::string session_remote;
    std::uint32_t max_forwards = 70;                      // that INVITEs on behalf of this one may carry
    std::string invite;                                   // message id of the INVITE
    exchange::Cause why_ended = exchange::Cause::normal;  // set before the leg is dropped
    std::optional<Transfer> transfer;
    unsigned transfers = 0;
    std::optional<Referral> referral;
    bool referral_left = false;  // one was given up: its NOTIFYs may still come
    bool replaces = false;       // its INVITE takes another leg's place
    std::string pivot;           // token of the address at which this leg's dialog may be replaced; empty: none (left)
    bool pivot_given = false;    // minted once in a leg's life
    std::string peer_pivot;      // URI of the peer site's
    SiteTalk site;
    Showing showing;
    std::optional<Meeting> meeting;
    bool answer_told = false;  // TellToAnswer has come, the phone does not ring yet
    bool collects = false;     // digits
    std::set<SegmentId> recordings;
    std::map<std::string, Play> plays;
    std::vector<MsmlCommand> msml;        // in order; one is under way at a time
    sip::ClientRequest msml_request = 0;  // the front's INFO; 0: none is out
    Instant msml_sent{};                  // when it went out
    bool msml_waits = false;              // the front is said again in a moment
};

}  // namespace sheaf::b2bua
