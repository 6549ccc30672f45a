// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <compare>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/config/switch_settings.h"
#include "base/time.h"
#include "edge/http/client.h"
#include "exchange/exchange.h"

namespace sheaf::apps {

inline constexpr int kPauseFirstRetryMs = 250;   // doubled each time,
inline constexpr int kPauseLastRetryMs = 4'000;  // up to this,
inline constexpr int kPauseTriesForMs = 60'000;  // and given up after this
inline constexpr int kPauseTimeoutSeconds = 2;
inline constexpr std::size_t kPausesTelling = 10'000;  // messages under way; beyond: one line in the log
inline constexpr std::size_t kPausesWaiting = 32;      // behind them, of one link; beyond: as much

// Tells the peer sites of pauses and confirms theirs (docs/formats/site.md). A pause is told until it is confirmed, its
// end and a confirmation until they are taken; of one link one after the other, in their order: a pause that is over
// already may have left something there that must go. One request of a link at a time. One thread.
class PauseTeller {
public:
    // `tries_for`: how long one message is tried.
    PauseTeller(boost::asio::io_context& io, std::string site,
                std::chrono::milliseconds tries_for = std::chrono::milliseconds{kPauseTriesForMs});

    void set_peers(const std::vector<config::SiteSettings>& peers);
    void tell(const exchange::TellPause& pause);
    void confirm(const exchange::ConfirmPause& confirmation);
    void confirmed(const exchange::PauseConfirmed& confirmation);  // stops telling it
    void stop();
    [[nodiscard]] std::size_t under_way() const { return slots_.size(); }

private:
    struct Key {
        std::string site;
        LinkId link;
        bool is_confirmation = false;
        friend auto operator<=>(const Key&, const Key&) = default;
    };
    struct Slot {
        explicit Slot(boost::asio::io_context& io) : timer(io) {}
        exchange::TellPause pause;                                 // of a confirmation: its id only
        std::deque<std::pair<exchange::TellPause, Instant>> next;  // told afterwards, and when their ago_ms was right
        std::uint64_t number = 0;  // of this message, to tell a timer that was set for a former one
        Instant since{};           // when its ago_ms was right
        Instant began{};           // when it was sent first
        int wait_ms = kPauseFirstRetryMs;
        bool under_way = false;
        bool is_done = false;  // confirmed while a request was under way
        bool refused = false;  // has been said in the log
        boost::asio::steady_timer timer;
    };
    struct Peer {
        std::string url;
        std::string secret;
    };
    void put(Key key, exchange::TellPause pause);
    void send(const Key& key, Slot& slot);
    void on_answer(const Key& key, const Result<http::ClientResponse>& response);
    void wait(const Key& key, Slot& slot);
    void begin(Slot& slot, exchange::TellPause pause, Instant since);
    void done(const Key& key, Slot& slot);  // the slot may be gone afterwards

    boost::asio::io_context& io_;
    std::string site_;
    const std::chrono::milliseconds tries_for_;
    std::unique_ptr<http::Client> client_;
    std::map<std::string, Peer> peers_;
    std::map<Key, Slot> slots_;
    std::uint64_t last_number_ = 0;
    // Tells callbacks that the teller is gone: they hold it weakly.
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sheaf::apps
