// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "b2bua/b2bua.h"
#include "b2bua/caller.h"
#include "b2bua/leg.h"
#include "b2bua/link_header.h"
#include "b2bua/media_servers.h"
#include "b2bua/registrar.h"
#include "sip/sdp.h"
#include "sip/timer_queue.h"

// The inside of a B2bua. Only this room's *.cpp use it. A member function that may drop the leg says so; after it the
// leg must not be touched.
namespace sheaf::b2bua {

enum class LegTimer {
    offer_expires,  // its INVITE says for how long it is meant
    media_answer,   // the media server's INVITE
    peer_answer,    // the peer's first response
    probe,          // of the media server
    site_probe,     // of a talking leg to a site
    referred,       // the end of our REFER
    msml_again,     // a silence that found a buffer full
    apply_again,    // a re-INVITE that came before the ACK of the one before it
    meet,
    erase_again,  // of an ended segment, which takes the leg's place in the key
};

// What a media server is to erase of a recording that has ended.
struct Erasing {
    std::size_t server = 0;
    LegId leg;
    MsmlSilence silence;
    Instant said{};                  // the moment it reaches back to, as said last
    sip::ClientRequest request = 0;  // 0: none is out
    Instant until{};
    Duration wait{};
};

// A recording whose start had no answer yet when its leg ended.
struct Starting {
    LegId leg;
    SegmentId segment;
};

// An address that calls go to, and whether somebody is there.
struct Watched {
    PeerAddress address;
    std::string what;                       // for the log: "trunk carrier"
    std::optional<std::size_t> media = {};  // the media server's number
    bool is_down = false;
    int missed = 0;                  // questions without answer, in a row
    sip::ClientRequest request = 0;  // 0: none is out
};

// A registration with a trunk (RFC 3261 §10.2).
struct Registration {
    std::string call_id;
    std::uint32_t cseq = 1;
    std::size_t address = 0;  // which of the trunk's
    std::uint32_t seconds = kRegisterSeconds;
    sip::ClientRequest request = 0;  // 0: none is out
    bool holds = false;
    bool is_raised = false;  // `seconds`, since it held last: a registrar demands so once
    Duration wait = kRegisterAgain;
};

enum class Standing { ask, registration, keep_alive };  // timers that belong to no call

struct DialogUse {
    LegId leg;
    bool is_media = false;
};

struct B2bua::Core {
    Core(Settings given, sip::UserAgent& user_agent, const Entropy::Seed& seed);

    Settings settings;
    sip::UserAgent& ua;
    Entropy entropy;
    Registrar registrar;
    LinkGuard guard;
    MediaServers servers;
    std::vector<exchange::Event> events;
    std::vector<exchange::Log> logs;
    std::unordered_map<LegId, Leg> legs;
    std::unordered_map<RoomId, std::set<LegId>> in_rooms;
    std::set<LegId> meeting;                                          // legs whose meeting is to begin
    std::unordered_set<std::string> peer_addresses;                   // of the settings
    std::unordered_map<std::string, std::size_t> agents_calls_at;     // by Leg::caller_at
    std::unordered_map<std::string, std::size_t> strangers_calls_at;  // likewise
    std::unordered_map<std::string, std::size_t> calls_of_trunk;      // by its name
    std::size_t calls_of_strangers = 0;
    std::unordered_map<sip::DialogId, DialogUse> dialogs;
    std::unordered_map<sip::ClientRequest, LegId> requests;  // of ours without answer
    sip::TimerQueue<std::pair<LegId, LegTimer>> timers;
    const std::string boot = entropy.token(12);  // this run of the switch, for media servers
    std::map<std::string, Watched> watched;      // by endpoint text
    std::unordered_map<sip::ClientRequest, std::string> ask_requests;
    std::map<std::string, Registration> registrations;  // by trunk
    std::unordered_map<sip::ClientRequest, std::string> register_requests;
    sip::TimerQueue<std::pair<std::string, Standing>> standing;  // by the keys of those two
    bool has_started = false;
    std::function<void(const LegId&, std::string_view)> dialog_watcher;  // may be empty
    std::map<SegmentId, std::size_t> ended_segments;  // recordings, and the media servers that made them
    std::deque<std::pair<SegmentId, Instant>> ended_order;
    std::unordered_map<sip::ClientRequest, Starting> starting;
    std::map<SegmentId, Erasing> erasing;
    std::unordered_map<sip::ClientRequest, SegmentId> erase_requests;
    struct Lit {  // legs
        std::size_t ringing = 0;
        std::size_t busy = 0;
    };
    std::unordered_map<std::string, Lit> lit;  // agents in calls
    Notifier notifier;

    // b2bua.cpp: dispatch, and what all legs share.
    Leg* leg(const LegId& id);
    void enter(Leg& of, const RoomId& room);  // empty: it leaves
    [[nodiscard]] const std::set<LegId>& legs_in(const RoomId& room) const;
    Leg* leg_of(sip::DialogId dialog, bool is_media);
    void on_responded(Stamp now, Leg& of, const sip::Responded& responded);  // may drop
    void watch(sip::DialogId dialog, const Leg& of, bool is_media);
    void forget(sip::DialogId dialog);
    void on_timer(Stamp now, const LegId& id, LegTimer timer);
    void probe(Stamp now, const Leg& of, LegTimer timer, sip::DialogId dialog, Duration again);
    void on_requested(Stamp now, const sip::Requested& requested);
    void on_outside(Stamp now, const sip::Requested& requested);
    void on_register(Stamp now, const sip::Requested& requested);
    void on_subscribe(Stamp now, const sip::Requested& requested);
    void shows(Stamp now, Leg& of, Lamp lamp);
    [[nodiscard]] Lamp lamp_of(const std::string& dn) const;
    void warn(std::string text, std::vector<std::pair<std::string, std::string>> fields);
    [[nodiscard]] std::vector<sip::Header> call_headers(const Leg& of) const;
    [[nodiscard]] std::vector<sip::Header> response_headers(Leg& of);  // these, and the leg's pivot address
    void answer_peer(Stamp now, Leg& of, const std::string& sdp);      // 200 to its INVITE or re-INVITE
    [[nodiscard]] std::vector<sip::Header> session_id(const Leg& of) const;
    // Ends both dialogs as their states demand and forgets the leg. `status` for a peer's INVITE without final answer.
    void drop(Stamp now, const LegId& id, int status, std::string_view reason = {});

    // shares.cpp: how much each may have of this switch.
    void know_peers();  // anew, from the settings
    Leg& add(Leg leg);
    void count(const Leg& of, bool comes);
    [[nodiscard]] bool is_trusted(const exchange::Device& device) const;  // RFC 3325 §2.4
    [[nodiscard]] std::string_view lacks_room(const exchange::Device& device, const std::string& address) const;

    // offered.cpp: legs the peer began.
    void on_invited(Stamp now, const sip::Invited& invited);
    void say_who_calls(const sip::Message& request, const TrunkPeer* trunk, exchange::LegOffered& event) const;
    std::optional<exchange::LinkHeader> believed_link(Stamp now, const sip::Invited& invited,
                                                      const exchange::Device& from);
    void ring(Stamp now, Leg& of, const exchange::RingLeg& order);
    void answer(Stamp now, Leg& of, const exchange::AnswerLeg& order);
    void answer_if_ready(Stamp now, Leg& of);
    void talks(Stamp now, Leg& of, exchange::Event event);  // `event` tells that it is connected
    void on_acknowledged(Stamp now, Leg& of, const sip::Message& ack);
    [[nodiscard]] static bool is_changing(const Leg& of);
    void on_reinvited(Stamp now, Leg& of, const sip::Message& request);
    void on_updated(Stamp now, Leg& of, const sip::Requested& requested);
    void on_peer_ended(Stamp now, Leg& of, const sip::Ended& ended);  // drops

    // replacing.cpp: INVITE with Replaces, pivot addresses.
    struct Claim {
        std::optional<exchange::Replacing> replaces;
        int status = 0;  // to refuse it with; 0: not refused
        std::string_view why;
    };
    [[nodiscard]] Claim claim_at_pivot(const sip::Message& request);
    [[nodiscard]] Claim claim_of(const sip::Message& request, const exchange::Device& from);
    void learn_from_site(Leg& of, const sip::Message& message);  // its pivot address, whether it takes sheaf-call

    // placed.cpp: legs the exchange wants.
    void place(Stamp now, const exchange::PlaceLeg& order);
    [[nodiscard]] sip::Invitation invitation_for(Stamp now, const Leg& of, const exchange::PlaceLeg& order);
    [[nodiscard]] std::optional<sip::Endpoint> next_hop_of(const exchange::PlaceLeg& order) const;
    void call_peer(Stamp now, Leg& of);  // drops when there is no way
    void on_progressed(Stamp now, Leg& of, const sip::Message& response);
    void on_answered(Stamp now, Leg& of, const sip::Message& response);  // may drop
    void on_refused(Stamp now, Leg& of, const sip::Failed& failed);      // may drop
    void fail_placed(Stamp now, Leg& of, exchange::LegFailed event);     // drops
    bool try_next_address(Stamp now, Leg& of, bool is_silent);  // silent: it counts as gone; false: there is no other
    void tell_to_answer(Stamp now, Leg& of);
    void tell_early(Stamp now, const RoomId& room);
    void say_early(Stamp now, Leg& of, const std::string& sdp);

    // media_leg.cpp: the dialog with the media server.
    void ask_media(Stamp now, Leg& of, const RoomId& room);                     // may drop
    void on_media_answered(Stamp now, Leg& of, const sip::Answered& answered);  // may drop
    void on_media_failed(Stamp now, Leg& of, const sip::Failed& failed);        // may drop
    void on_media_silent(Stamp now, Leg& of);                                   // may drop
    void no_media(Stamp now, Leg& of, int status);                              // drops
    std::vector<LegId> ask_elsewhere(Stamp now, const RoomId& room, std::size_t server);
    void media_stands(Stamp now, Leg& of);  // may drop
    void media_lost(Stamp now, Leg& of);    // drops
    void apply(Stamp now, Leg& of, const std::string& sdp);
    void applied(Stamp now, Leg& of);                     // may drop
    void apply_failed(Stamp now, Leg& of, int status);    // may drop
    bool refuse_waiting(Stamp now, Leg& of, int status);  // the peer's re-INVITE or UPDATE
    void lose_recordings(Stamp now, Leg& of, const std::string& why);

    // direct.cpp: media that passes no media server.
    // The address family of its audio; nullopt: no audio that two could talk by.
    [[nodiscard]] static std::optional<bool> audio_is_ipv6(const sip::SessionDescription& sdp);
    [[nodiscard]] static std::optional<bool> audio_is_ipv6(const std::string& text);
    [[nodiscard]] bool may_be_direct(Stamp now, const Leg& offered, const exchange::PlaceLeg& order) const;
    void tie(Leg& offered, Leg& placed, const RoomId& room);
    void untie(Leg& of);
    [[nodiscard]] Leg* partner(const Leg& of);
    [[nodiscard]] const Leg* partner(const Leg& of) const;
    [[nodiscard]] static bool lacks_media(const Leg& of);
    void early_direct(Stamp now, Leg& of, const std::string& sdp);
    void answered_direct(Stamp now, Leg& of);  // may drop
    // The leg and its partner go to a media server. False: there is none, or the leg has been dropped.
    bool anchor(Stamp now, Leg& of);                                       // may drop
    bool anchor_with_offer(Stamp now, Leg& of, const std::string& offer);  // may drop
    void ask_media_late(Stamp now, Leg& of);                               // may drop
    void anchor_room(Stamp now, const RoomId& room);                       // may drop
    void move_to_media(Stamp now, Leg& of);                                // may drop
    [[nodiscard]] static std::string as_described(const Leg& of, const std::string& text);

    void handle(Stamp now, const sip::Event& event);

    // meeting.cpp: media that passes one no longer.
    void meet(Stamp now, Leg& of, const LegId& with);
    void meet_when_idle(Stamp now);
    [[nodiscard]] bool may_meet(const Leg& of) const;
    [[nodiscard]] bool may_meet(const Leg& of, const Leg& other) const;
    [[nodiscard]] static bool is_quiet(const Leg& of);
    void offer_end_to_end(Stamp now, Leg& of, const std::string& description);
    void met(Stamp now, Leg& of, const sip::Message& answer);
    void not_met(Stamp now, Leg& of, int status);
    void keep_at_media(Stamp now, Leg& of);
    void pass_media_server(Stamp now, Leg& of, Leg& other);
    void part(Stamp now, Leg& of);
    void stay(Stamp now, Leg& of);
    void leave_meeting(Stamp now, Leg& of);

    // media_control.cpp: MSML in that dialog.
    void command(Stamp now, Leg& of, MsmlCommand wanted);
    void send_next(Stamp now, Leg& of);
    void flush_recordings(Stamp now, Leg& of);
    void on_msml_result(Stamp now, Leg& of, const sip::Responded& responded);  // may drop
    bool says_again(Stamp now, Leg& of, MsmlCommand& command);
    void leave_start(Leg& of);
    void on_started(const sip::Responded& responded);
    void on_command_done(Stamp now, Leg& of, MsmlCommand done);
    void on_command_failed(Stamp now, Leg& of, const MsmlCommand& command, const std::string& why);  // may drop
    void on_media_info(Stamp now, Leg& of, const sip::Requested& requested);                         // may drop
    void on_media_timeout(Stamp now, Leg& of, const MsmlLegSilent& silent);                          // may drop
    void on_play_ended(Stamp now, Leg& of, const MsmlPlayEnded& ended);
    void move(Stamp now, Leg& of, const RoomId& room);  // may drop
    void start_play(Stamp now, Leg& of, const exchange::StartPlay& order);
    void stop_play(Stamp now, Leg& of, const exchange::StopPlay& order);
    void start_recording(Stamp now, Leg& of, const exchange::StartRecording& order);
    bool withdraw_recording(Leg& of, const SegmentId& segment);
    void silence(Stamp now, Leg& of, const exchange::SilenceRecording& order);
    void resume(Stamp now, Leg& of, const exchange::ResumeRecording& order);
    void give_up_recording(Stamp now, Leg& of, const SegmentId& segment, const std::string& why);
    void misplaced(Stamp now, Leg& of, const std::string& why);  // drops
    void collect(Stamp now, Leg& of, bool on);
    void stop_recording(Stamp now, Leg& of, const exchange::StopRecording& order);

    // erasing.cpp: what recordings have stored that have ended.
    void recording_ended(Stamp now, const Leg& of, const SegmentId& segment);
    void erase_ended(Stamp now, const LegId& leg, MsmlSilence silence);
    void send_erasure(Stamp now, Erasing& one);
    void on_erased(Stamp now, const sip::Responded& responded);
    void erase_again(Stamp now, const SegmentId& segment);
    void leave_silences(Stamp now, Leg& of);

    // The peer's description, with an address that can be reached.
    [[nodiscard]] static std::string reachable(const Leg& of, const std::string& sdp);
    void keep_alive(Stamp now, const std::string& dn);  // of the way to a phone, while it is registered
    [[nodiscard]] std::optional<Duration> keep_alive_of(const Binding& binding) const;
    void on_peer_silent(Stamp now, Leg& of);
    void on_offer_expired(Stamp now, Leg& of);  // drops

    // watching.cpp: who is there.
    void watch_peers(Stamp now);
    void ask(Stamp now, const std::string& endpoint);
    bool on_asked(Stamp now, const sip::Responded& responded);  // false: it is not about that
    void set_down(Watched& one, bool is_down);
    void suspect(Stamp now, const PeerAddress& address);  // a call has found nobody there
    void answers(const Calling& calling);
    [[nodiscard]] bool is_down(const PeerAddress& address) const;
    // The first from there on that is not known to be down; of several that are, the next.
    [[nodiscard]] std::optional<std::size_t> way_from(const std::vector<PeerAddress>& ways, std::size_t from) const;
    void release_former(Stamp now, const PeerAddress& media);
    // Media servers whose names led nowhere may lead somewhere by now; the others stay where they are.
    void find_media(Stamp now, const std::vector<std::optional<PeerAddress>>& media);
    [[nodiscard]] sip::OutsideRequest outside(std::string method, const PeerAddress& to) const;
    [[nodiscard]] sip::Uri our_uri(std::string user) const;

    // registering.cpp: with trunks.
    void register_with_trunks(Stamp now);
    void send_register(Stamp now, const std::string& trunk, std::uint32_t seconds);
    bool on_registered(Stamp now, const sip::Responded& responded);  // false: it is not about that
    void registered(Stamp now, const TrunkPeer& trunk, Registration& one, const sip::Message& response);
    void not_registered(Stamp now, const TrunkPeer& trunk, Registration& one, const sip::Responded& responded);
    void unregister(Stamp now, const std::string& trunk);

    // transfer.cpp: REFER.
    void on_refer(Stamp now, Leg& of, const sip::Requested& requested);
    void accept_transfer(Stamp now, Leg& of);
    void refuse_transfer(Stamp now, Leg& of, const exchange::RefuseTransfer& order);
    void tell_transfer(Stamp now, Leg& of, int status);

    // leaving.cpp: our own REFER.
    void refer(Stamp now, Leg& of, const exchange::ReferLeg& order);
    void on_referred(Stamp now, Leg& of, const sip::Responded& responded);
    void on_notify(Stamp now, Leg& of, const sip::Requested& requested);
    void end_referral(Leg& of, int status);

    // site_talk.cpp: INFO of package sheaf-call.
    void tell(Stamp now, Leg& of, const exchange::TellLeg& order);
    void tell_next(Stamp now, Leg& of);
    void on_told(Stamp now, Leg& of, const sip::Responded& responded);
    void on_peer_info(Stamp now, Leg& of, const sip::Requested& requested);

    // Whether two descriptions say the same of the media; a version that was counted on is no change.
    [[nodiscard]] static bool same_media(const std::string& a, const std::string& b);

    // identity.cpp: re-INVITEs of our own to the peer.
    void show(Stamp now, Leg& of, const exchange::ShowIdentity& order);
    void show_next(Stamp now, Leg& of);
    void refresh(Stamp now, Leg& of);
    void on_shown(Stamp now, Leg& of, const sip::Message& answer);  // may drop
    void on_show_failed(Stamp now, Leg& of, int status);            // may drop
};

}  // namespace sheaf::b2bua
