// SPDX-License-Identifier: Apache-2.0
#include "apps/switch/fact_keeper.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <iterator>
#include <string>
#include <thread>
#include <utility>

#include "apps/config/log.h"
#include "base/mutex.h"
#include "call/cause.h"
#include "edge/net/clock.h"

namespace sheaf::apps {
namespace {

class Keeper final : public FactKeeper {
public:
    Keeper() : guard_(io_.get_executor()), again_(io_), alive_(io_) {}
    ~Keeper() override {
        if (!thread_.joinable()) return;
        boost::asio::post(io_, [this] { finish(); });
        thread_.join();
    }
    Result<void> start(delivery::CourierOptions options) {
        delivery::CourierEvents events;
        events.notice = [](link::Notice notice, const std::string& detail) {
            config::log_warn(delivery::text_of(notice), {{"detail", detail}});
        };
        TRY(courier_, delivery::Courier::open(io_, std::move(options), std::move(events)));
        TRY_VOID(end_lost_calls());
        say_alive();
        thread_ = std::thread([this] { io_.run(); });
        return {};
    }

    void keep(std::vector<FactDraft> facts) override {
        const MutexLock lock(mutex_);
        waiting_.insert(waiting_.end(), std::make_move_iterator(facts.begin()), std::make_move_iterator(facts.end()));
        shed();
        if (std::exchange(is_posted_, true)) return;
        boost::asio::post(io_, [this] { store(); });
    }

private:
    Result<void> end_lost_calls() {
        TRY(const auto lost, courier_->unfinished());
        if (lost.calls.empty()) return {};
        std::vector<FactDraft> facts;
        facts.reserve(lost.calls.size());
        for (const auto& call : lost.calls) {
            facts.push_back({lost.last,
                             "call.ended",
                             {{"calluuid", call.text()}, {"cause", call::name_of(call::Cause::lost_control)}}});
        }
        TRY_VOID(courier_->add(facts));
        config::log_warn("calls were in progress when the switch was last there: they count as ended",
                         {{"calls", std::to_string(lost.calls.size())}, {"at", to_rfc3339(lost.last.wall)}});
        return {};
    }
    void say_alive() {
        alive_.expires_after(std::chrono::milliseconds{kAliveMs});
        alive_.async_wait([this](const boost::system::error_code& error) {
            if (error) return;
            // A full disk is said where facts are kept.
            static_cast<void>(courier_->alive(net::now()));
            say_alive();
        });
    }
    std::vector<FactDraft> take() {
        const MutexLock lock(mutex_);
        is_posted_ = false;
        return std::exchange(waiting_, {});
    }
    void shed() REQUIRES(mutex_) {
        if (waiting_.size() <= kFactsKeptMax) return;
        const auto over = waiting_.size() - kFactsKeptMax;
        waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(over));
        lost_ += over;
        config::log_error("facts are lost: the outbox has not taken any for too long",
                          {{"lost", std::to_string(lost_)}});
    }
    // One after a pause is stored at once; of many, those of a moment together: each time is a write to the disk.
    void store() {
        const auto now = std::chrono::steady_clock::now();
        if (now < next_store_) return store_at(next_store_);
        auto facts = take();
        if (facts.empty()) return;
        const auto added = courier_->add(facts);
        next_store_ = now + std::chrono::milliseconds{kFactsTogetherMs};
        if (added) return;
        config::log_error("the outbox does not take facts", {{"why", added.error().what}});
        {
            const MutexLock lock(mutex_);
            facts.insert(facts.end(), std::make_move_iterator(waiting_.begin()),
                         std::make_move_iterator(waiting_.end()));
            waiting_ = std::move(facts);
            shed();
            is_posted_ = true;  // the retry takes what comes meanwhile
        }
        store_at(now + std::chrono::milliseconds{kFactsRetryMs});
    }
    void store_at(std::chrono::steady_clock::time_point when) {
        again_.expires_at(when);
        again_.async_wait([this](const boost::system::error_code& error) {
            if (!error) store();
        });
    }
    void finish() {
        const auto facts = take();
        if (!facts.empty() && !courier_->add(facts)) {
            config::log_error("facts are lost: the outbox did not take them before the end",
                              {{"lost", std::to_string(facts.size())}});
        }
        courier_.reset();
        again_.cancel();
        alive_.cancel();
        guard_.reset();
        io_.stop();
    }

    boost::asio::io_context io_;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;
    boost::asio::steady_timer again_;                     // the keeper's thread's
    boost::asio::steady_timer alive_;                     // likewise
    std::chrono::steady_clock::time_point next_store_{};  // likewise
    std::unique_ptr<delivery::Courier> courier_;          // likewise, once it runs
    Mutex mutex_;
    std::vector<FactDraft> waiting_ GUARDED_BY(mutex_);
    bool is_posted_ GUARDED_BY(mutex_) = false;
    std::uint64_t lost_ GUARDED_BY(mutex_) = 0;
    std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<FactKeeper>> FactKeeper::open(delivery::CourierOptions options) {
    auto keeper = std::make_unique<Keeper>();
    TRY_VOID(keeper->start(std::move(options)));
    return keeper;
}

}  // namespace sheaf::apps
