// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/entropy.h"
#include "base/time.h"
#include "sip/timer_queue.h"
#include "sip/user_agent.h"

// The lamps of phones: who has one for an agent subscribes to its dialogs (RFC 6665, event package `dialog` of RFC
// 4235) and is told whether it is in a call. Of all its dialogs one that stands for them is told (RFC 4235 §3.7.2):
// neither with whom it talks nor how many calls it has.
namespace sheaf::b2bua {

enum class Lamp { idle, ringing, busy };

inline constexpr std::string_view kDialogEvent = "dialog";
inline constexpr std::uint32_t kWatchSecondsMin = 60;            // less: 423
inline constexpr std::uint32_t kWatchSecondsMax = 3'600;         // also when none is asked for
inline constexpr std::size_t kWatchesMax = 50'000;               // subscriptions; beyond: 503
inline constexpr std::size_t kWatchesOfOneMax = 200;             // of one agent's phone; beyond: 503
inline constexpr Duration kTellAgain = std::chrono::seconds{1};  // between two notifications (RFC 4235 §3.10)

// The body of one notification. `spell` numbers the times that the agent has been in calls, since it is watched.
[[nodiscard]] std::string dialog_info(std::uint32_t version, const std::string& entity, Lamp lamp, std::uint32_t spell);

// Keeps the subscriptions. Sans I/O; one owner, one thread: the user agent's, which must live longer.
class Notifier {
public:
    using LampOf = std::function<Lamp(const std::string& dn)>;
    Notifier(sip::UserAgent& ua, LampOf lamp_of, std::size_t watches_max = kWatchesMax)
        : ua_(ua), lamp_of_(std::move(lamp_of)), watches_max_(watches_max) {}

    struct Watch {
        std::string watcher;         // the agent that asks
        std::string dn;              // whom it wants to watch; empty: nobody that there is
        std::string entity;          // that agent's URI
        bool follow_source = false;  // it stands behind a NAT
    };
    // A SUBSCRIBE outside of dialogs, from whom it says it is from. It is answered, and notified.
    void subscribe(Instant now, const sip::Requested& requested, const Watch& watch);
    // One within a dialog: the subscription goes on, or ends.
    void refresh(Instant now, const sip::Requested& requested);
    // The agent's lamp may show something else.
    void changed(Instant now, const std::string& dn);
    [[nodiscard]] bool on_responded(Instant now, const sip::Responded& responded);  // false: it is not about that
    // Ends those whose watcher or agent is one of which `is_gone` says so.
    void drop_if(Instant now, const std::function<bool(const std::string& dn)>& is_gone);
    void end_all(Instant now);  // the switch goes: phones ask again elsewhere, or later
    void tick(Instant now);
    [[nodiscard]] std::optional<Instant> next_deadline() const { return timers_.next(); }
    [[nodiscard]] std::size_t size() const { return subscriptions_.size(); }

private:
    enum class Timer { ends, tell };
    struct Subscription {
        sip::OwnDialog way;
        Watch watch;
        std::string event;  // value of Event
        Instant ends{};
        std::uint32_t version = 0;
        std::uint32_t spell = 0;
        std::optional<Lamp> told;  // last
        bool is_owed = true;       // a notification, whatever it says: it has been asked for, or is the last
        Instant told_at{};
        sip::ClientRequest request = 0;  // our NOTIFY; 0: none is out
        bool has_news = false;           // since that went out
        std::string_view over;           // why it ends; empty: it does not
    };
    using Subscriptions = std::map<std::string, Subscription>;  // by Call-ID and our tag

    Subscription* named(const sip::Message& request);
    void take(Instant now, const sip::Requested& requested, Subscription& one, std::uint32_t seconds);
    void tell(Instant now, const std::string& key, Subscription& one);
    void end(Instant now, const std::string& key, Subscription& one, std::string_view why);
    void erase(Subscriptions::iterator at);

    sip::UserAgent& ua_;
    LampOf lamp_of_;
    std::size_t watches_max_;
    Subscriptions subscriptions_;
    std::multimap<std::string, std::string> by_agent_;  // keys, by who is watched
    std::unordered_map<std::string, std::size_t> of_watcher_;
    std::unordered_map<sip::ClientRequest, std::string> requests_;
    sip::TimerQueue<std::pair<std::string, Timer>> timers_;
};

}  // namespace sheaf::b2bua
