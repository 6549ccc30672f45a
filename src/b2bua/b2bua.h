// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "b2bua/settings.h"
#include "base/entropy.h"
#include "base/time.h"
#include "exchange/exchange.h"
#include "sip/admission.h"
#include "sip/user_agent.h"

// The switch's translator: what the site's user agent hears becomes events of the exchange, what the exchange wants
// becomes commands of the user agent. Sans I/O.
//
//   sip::Event → handle → take_events → Exchange::step → effects → carry_out → UserAgent commands
//
// Every leg is two dialogs: one with its peer (phone, trunk, site) and one with a media server, which anchors its
// media. The peer's offer goes to the media server and the answer back; a placed leg takes the media server's offer,
// which is ACKed at once with an inactive answer and negotiated anew when the peer has answered, so that nothing
// hangs on a ringing phone. Where the exchange allows it (PlaceLeg.direct) a leg has no dialog with a media server
// until one is needed, and the two peers' descriptions pass as they are (docs/decisions/0004-media-end-to-end.md).
namespace sheaf::b2bua {

inline constexpr Duration kPeerSilenceMax = std::chrono::seconds{4};  // then a trunk's next address is tried
inline constexpr Duration kMediaProbe = std::chrono::seconds{15};     // a standing leg's media server is asked: alive?
inline constexpr Duration kSiteProbe = std::chrono::seconds{30};      // a talking leg's other site is asked the same
inline constexpr std::size_t kMsmlWaitingMax = 64;                    // commands of one leg that wait for their turn
inline constexpr Duration kReferMax = std::chrono::seconds{32};       // then a REFER of ours has failed with 408
inline constexpr Duration kSilenceAgain = std::chrono::milliseconds{250};
inline constexpr Duration kApplyAgain = std::chrono::milliseconds{40};
inline constexpr Duration kEraseAgain = std::chrono::milliseconds{250};  // doubled each time,
inline constexpr Duration kEraseAgainMax = std::chrono::seconds{4};      // up to this
inline constexpr Duration kEndedKeptFor = std::chrono::seconds{120};     // after it a recording is erased no more
inline constexpr std::size_t kEndedKept = 10'000;
inline constexpr int kSilenceTriesMax = 8;  // that find the media server's buffer full; then the recording ends
inline constexpr std::size_t kPivotTokenBytes = 16;
inline constexpr int kTellTriesMax = 3;                                  // of one state told to a peer site
inline constexpr int kRetryAfterSeconds = 10;                            // told with 503
inline constexpr std::chrono::seconds kOfferLifeMax{86'400};  // of an INVITE's Expires; one beyond is not looked at
inline constexpr Duration kConnectionKeepAlive = std::chrono::minutes{2};  // the same of one that came by TCP
inline constexpr Duration kNatKeepAlive = std::chrono::seconds{25};      // a phone behind a NAT is asked: its way stays
inline constexpr Duration kAskAnswerMax = std::chrono::seconds{5};       // then nobody has answered an OPTIONS
inline constexpr Duration kAskAgain = std::chrono::seconds{5};           // after one without answer
inline constexpr int kAskedMax = 2;                                      // so many without answer: nobody is there
inline constexpr std::uint32_t kRegisterSeconds = 600;                   // asked of a trunk's registrar
inline constexpr std::uint32_t kRegisterSecondsMax = 86'400;             // the most that it may demand
inline constexpr Duration kRegisterAgain = std::chrono::seconds{30};     // after a refusal; doubled each time,
inline constexpr Duration kRegisterAgainMax = std::chrono::minutes{10};  // up to this

// A transaction over UDP is kept for 64·T1, 32 s, after its end: two thousand calls a second.
inline constexpr std::size_t kTransactionsMax = 200'000;

// What a switch's user agent takes and says; the addresses are the caller's to fill in.
[[nodiscard]] sip::UserAgentOptions options_of_switch();

// One owner, one thread: the user agent's, which must live longer and is called into by every function but the const
// ones. After each call take the events and the log; events are in order.
class B2bua {
public:
    B2bua(Settings settings, sip::UserAgent& user_agent, const Entropy::Seed& seed);
    ~B2bua();
    B2bua(B2bua&&) noexcept;

    // What stands without a call, from now on: trunks are registered with, everyone is asked whether they are there,
    // and media servers are told to let go of what a former run of this switch has left.
    void start(Stamp now);
    void leave(Stamp now);  // undoes the registrations

    void handle(Stamp now, const sip::Event& event);
    // Effects that are not for the translator (facts, CTI) are passed over; those for a leg that is gone, too.
    void carry_out(Stamp now, const exchange::Effect& effect);
    void tick(Stamp now);
    [[nodiscard]] std::optional<Instant> next_deadline() const;

    [[nodiscard]] std::vector<exchange::Event> take_events();
    [[nodiscard]] std::vector<exchange::Log> take_logs();

    // Told of every dialog that a leg begins, by its Call-ID, and, with an empty one, that the leg is gone.
    void watch_dialogs(std::function<void(const LegId& leg, std::string_view call_id)> watcher);

    // Who sends from there, for an edge that lets each have its share only.
    [[nodiscard]] sip::Sender sender_at(const std::string& address) const;

    // Peers and agents anew; calls stay, registrations where their address does. Media servers stay where they are, but
    // one whose name led nowhere yet gets its address. They come in the same order as at the start.
    void reload(Stamp now, Settings settings);

    struct Counts {
        std::size_t legs = 0;
        std::size_t dialogs = 0;   // this room watches
        std::size_t rooms = 0;     // at media servers
        std::size_t requests = 0;  // of ours without answer
        std::size_t timers = 0;
        std::size_t lit = 0;  // agents whose lamps are
        friend bool operator==(const Counts&, const Counts&) = default;
    };
    [[nodiscard]] Counts counts() const;  // all zero when every call is over

private:
    struct Core;
    std::unique_ptr<Core> core_;
};

}  // namespace sheaf::b2bua
