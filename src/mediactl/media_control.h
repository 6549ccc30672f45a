// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/fact.h"
#include "media/control.h"
#include "mediactl/msml.h"
#include "sip/sdp.h"
#include "sip/timer_queue.h"
#include "sip/user_agent.h"

// The media server's control: SIP events and a worker's notices in, SIP answers, commands for the worker and facts out.
// It decides and remembers (legs, rooms, recordings); it sends nothing and owns no socket.
namespace sheaf::mediactl {

inline constexpr std::size_t kLegsMax = 4'096;
// A leg in whose dialog its switch has requested nothing for so long is ended: the switch is gone, or cut off. It asks
// each of its legs every 15 s whether it stands (OPTIONS), so four questions have been missed.
inline constexpr Duration kSwitchSilenceMax = std::chrono::seconds{60};
// Legs ended for that by one tick: a switch may leave thousands, more than the worker's queue of commands takes.
inline constexpr std::size_t kSilentEndedAtOnceMax = 256;

// A pair of bound sockets, RTP on an even port and RTCP on the next. Whoever has it closes them.
struct RtpPair {
    std::string address;  // literal, as bound
    std::uint16_t port = 0;
    int rtp_socket = -1;
    int rtcp_socket = -1;
};

// What a new leg needs of the world outside, asked for while an event is handled.
class MediaResources {
public:
    virtual ~MediaResources() = default;
    [[nodiscard]] virtual Result<RtpPair> allocate_ports() = 0;  // exhausted: none is free
    // "say:welcome"; null: there is none of that name.
    [[nodiscard]] virtual std::shared_ptr<const media::Prompt> find_prompt(const std::string& uri) = 0;
    // Whether something of this segment has been recorded already, whatever has become of it.
    [[nodiscard]] virtual bool knows_segment(const SegmentId& segment) const {
        static_cast<void>(segment);
        return false;
    }
};

// ---- Effects, to be carried out in order -----------------------------------------------------------------------
struct AnswerInvite {
    sip::DialogId dialog;
    std::string sdp;
};
struct RejectInvite {
    sip::DialogId dialog;
    int status;
    std::vector<sip::Header> headers;
    std::string reason;
};
struct SendBye {
    sip::DialogId dialog;
};
struct RespondTo {
    sip::ServerRequest request;
    int status;
    std::vector<sip::Header> headers;
    std::string content_type;
    std::string body;
};
struct SendInfo {  // an MSML event
    sip::DialogId dialog;
    std::string body;
};
struct Order {
    media::Command command;
};
// Of a segment that is not running: what it stored in the last `back` is to be erased; `is_over`: only up to where the
// label's first silence that had not ended by then began. Told as CommandDone, or as CommandFailed (not_found: there is
// none), with the ticket.
struct EraseEnded {
    SegmentId segment;
    media::Silence silence;
    Duration back{};
    std::uint64_t ticket = 0;
    bool is_over = false;
};
struct Complain {  // one clear line for the operator
    std::string what;
    std::string leg;
    std::string detail;
};
using Effect =
    std::variant<AnswerInvite, RejectInvite, SendBye, RespondTo, SendInfo, Order, EraseEnded, FactDraft, Complain>;

// What a media server's user agent takes and says; the addresses are the caller's to fill in.
[[nodiscard]] sip::UserAgentOptions options_of_media_server();

struct MediaControlSettings {
    std::string sdp_address;          // to write into SDP instead of the bound one; empty: as bound
    std::vector<std::string> allow;   // literal addresses that may ask, besides loopback; a stranger gets 403
    std::size_t legs_max = kLegsMax;  // beyond: 503
    Duration switch_silence_max = kSwitchSilenceMax;
};

class MediaControl {
public:
    // `resources` outlives it.
    MediaControl(MediaControlSettings settings, MediaResources& resources);

    // `local_tag`: of the event's dialog at our side, with Invited; it names the connection.
    [[nodiscard]] std::vector<Effect> handle(const Stamp& now, const sip::Event& event, const std::string& local_tag);
    [[nodiscard]] std::vector<Effect> notice(const Stamp& now, const media::Notice& notice);
    // Ends the legs whose switch has been silent for too long, kSilentEndedAtOnceMax of them: BYE, and their recordings
    // with the cause "lost-control". Cheap when none is due.
    [[nodiscard]] std::vector<Effect> tick(const Stamp& now);
    [[nodiscard]] std::optional<Instant> next_deadline() const { return silent_at_.next(); }
    // Ends every leg: BYE, and its recordings with `cause`.
    [[nodiscard]] std::vector<Effect> shut_down(const std::string& cause);

    struct Counts {
        std::size_t legs = 0;
        std::size_t rooms = 0;
        std::size_t recordings = 0;
    };
    [[nodiscard]] bool is_allowed(const std::string& address) const;  // to ask for anything
    [[nodiscard]] Counts counts() const { return {legs_.size(), rooms_.size(), recordings_.size()}; }

private:
    struct Leg {
        LegId id;
        sip::DialogId dialog = 0;
        RoomId room;  // empty: joined to nothing
        sip::LocalMedia local;
        std::uint64_t session_id = 0;
        std::uint64_t version = 0;
        sip::SessionDescription ours;  // sent last
        bool answer_due = false;       // the ACK brings the answer to our offer
        bool active = false;           // its media is not inactive
        std::set<SegmentId> recordings;
        std::string owner;  // the switch, by its own word, and which of its runs; empty: it did not say
        std::string boot;
        std::string from;      // the address it was asked from: nobody else's word lets go of it
        bool is_left = false;  // by that run, as the next one says
    };
    struct Room {
        bool lasts = false;  // made by createconference
        std::set<LegId> legs;
    };
    struct Refusal {  // of an MSML element
        int code;
        std::string why;
    };
    using Done = std::optional<Refusal>;
    struct Agreed {
        sip::SessionDescription ours;
        media::LegMedia media;
    };

    void on_invited(const Stamp& now, const sip::Invited& event, const std::string& local_tag);
    void on_reinvited(const sip::Reinvited& event);
    void on_acknowledged(const sip::Acknowledged& event);
    void on_ended(const sip::Ended& event);
    void on_requested(const Stamp& now, const sip::Requested& event);
    void on_msml(const Stamp& now, const sip::Requested& event);
    void on_message(const Stamp& now, const sip::Requested& event);
    void heard(const Stamp& now, sip::DialogId dialog);

    Done carry_out(const MsmlElement& element);
    Done create(const CreateRoom& e);
    Done destroy(const DestroyRoom& e);
    Done join(const Join& e);
    Done unjoin(const Unjoin& e);
    Done start_dialog(const StartDialog& e);
    Done end_dialog(const EndDialog& e);
    Done start_record(const StartRecord& e);
    Done stop_record(const StopRecord& e);
    Done silence_record(const SilenceRecord& e);
    Done resume_record(const ResumeRecord& e);
    Done collect(const Collect& e);

    void on_notice(const Stamp& now, const media::PlayEnded& n);
    void on_notice(const Stamp& now, const media::RecordingOpened& n);
    void on_notice(const Stamp& now, const media::RecordingSealed& n);
    void on_notice(const Stamp& now, const media::RecordingFailed& n);
    void on_notice(const Stamp& now, const media::CommandFailed& n);
    void on_notice(const Stamp& now, const media::CommandDone& n);
    void on_notice(const Stamp& now, const media::DigitReceived& n);
    void on_notice(const Stamp& now, const media::LegSilent& n);
    Done erase_ended(const SilenceRecord& silence);
    Done release(const Stamp& now, const Release& former, const std::string& by);
    void settle(std::uint64_t ticket, const Done& refusal);
    void respond(sip::ServerRequest request, const LegId& leg, const Done& refusal);

    [[nodiscard]] Result<Agreed> answer_to(const Leg& leg, const std::string& sdp) const;
    [[nodiscard]] Result<media::LegMedia> agree(const Leg& leg, const sip::SessionDescription& ours,
                                                const sip::SessionDescription& theirs) const;
    [[nodiscard]] bool has_place(const RoomId& room, const Leg& leg, bool active) const;
    void reject(sip::DialogId dialog, int status, const std::string& reason, const LegId& leg = {});
    void enter(Leg& leg, const RoomId& room);
    void leave(Leg& leg);
    void remove(Leg& leg, const std::string& cause);
    [[nodiscard]] Leg* of_dialog(sip::DialogId dialog);
    [[nodiscard]] Leg* of_id(const LegId& id);
    template <typename T>
    void put(T&& effect) {
        effects_.emplace_back(std::forward<T>(effect));
    }

    MediaControlSettings settings_;
    MediaResources& resources_;
    std::map<LegId, Leg> legs_;
    std::map<sip::DialogId, LegId> dialogs_;
    sip::TimerQueue<sip::DialogId> silent_at_;  // when the dialog's switch will have been silent for too long
    std::map<RoomId, Room> rooms_;
    struct Recording {
        LegId leg;
        CallUuid calluuid;
        ConnectionId connection;
    };
    std::map<SegmentId, Recording> recordings_;
    // A document whose result is known only when the worker has done what it says of silences.
    struct Waiting {
        sip::ServerRequest request = 0;
        LegId leg;
        std::size_t left = 0;
        Done refusal;             // the first
        bool is_message = false;  // answered by the status itself
    };
    std::map<std::uint64_t, Waiting> waiting_;  // by ticket
    std::uint64_t ticket_ = 0;                  // of the document at hand
    std::size_t ordered_ = 0;                   // with it
    std::vector<Effect> effects_;
};

}  // namespace sheaf::mediactl
