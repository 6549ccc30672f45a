// SPDX-License-Identifier: Apache-2.0
#include "apps/media/worker.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <ctime>
#include <deque>
#include <iterator>
#include <optional>
#include <system_error>
#include <utility>

#include "apps/media/worker_outbox.h"
#include "base/assert.h"
#include "base/mutex.h"
#include "edge/net/clock.h"
#include "media/engine.h"

namespace sheaf::media_role {
namespace {

constexpr std::size_t kBatchPackets = 32;
constexpr std::size_t kPacketRoom = 2'048;  // more than an RTP packet may have, so that too long ones are seen as such
constexpr int kBatchesOfEvent = 4;          // of one socket in one round, for the others' sake
constexpr int kRoundsBeforeCommand = 8;
constexpr std::size_t kEvents = 256;
constexpr std::uint64_t kWakeTag = ~std::uint64_t{0};
constexpr std::uint64_t kTimerTag = kWakeTag - 1;
constexpr Duration kTimestampAgeMax = std::chrono::seconds{1};

constexpr std::uint64_t tag_of(media::LegSlot slot, bool is_rtcp) {
    return (std::uint64_t{slot} << 1) | is_rtcp;
}

// A file descriptor that closes itself.
class Fd {
public:
    explicit Fd(int fd) : fd_(fd) {}
    ~Fd() {
        if (fd_ >= 0) ::close(fd_);
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    [[nodiscard]] int get() const { return fd_; }

private:
    int fd_;
};

std::chrono::nanoseconds wall_ns() {
    timespec at{};
    ASSERT(clock_gettime(CLOCK_REALTIME, &at) == 0);
    return std::chrono::seconds{at.tv_sec} + std::chrono::nanoseconds{at.tv_nsec};
}

void close_sockets(const media::Command& command) {
    const auto* add = std::get_if<media::AddLeg>(&command);
    if (add == nullptr) return;
    if (add->rtp_socket >= 0) ::close(add->rtp_socket);
    if (add->rtcp_socket >= 0) ::close(add->rtcp_socket);
}

}  // namespace

class Worker::Loop {
public:
    Loop(const WorkerSettings& settings, media::CaptureSink& capture, std::function<void()> on_notice)
        : settings_(settings),
          on_notice_(std::move(on_notice)),
          epoll_(epoll_create1(EPOLL_CLOEXEC)),
          wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
          timer_(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)),
          batch_(kBatchPackets, kPacketRoom),
          engine_({.seed = net::seed(), .cname = settings.cname, .silence_max = settings.silence_max}, outbox_,
                  capture) {}

    Result<void> prepare();
    void run();

    Result<void> command(media::Command&& command);
    std::vector<media::Notice> take_notices();
    WorkerCounters counters() const;
    void ask_to_stop(const std::string& cause);

private:
    bool watch(int fd, std::uint64_t tag);
    // One look at what is ready, waiting at most `wait_ms` (-1: for ever). The events other than sockets' are noted.
    std::size_t round(int wait_ms);
    void receive(std::uint64_t tag);
    void work_off_commands();
    void carry_out(const media::Command& command);
    void settle(const media::Command& command, std::optional<media::LegSlot> slot, bool is_done);
    void finish();
    void tell();
    void set_timer();

    const WorkerSettings settings_;
    const std::function<void()> on_notice_;
    Fd epoll_;
    Fd wake_;
    Fd timer_;
    std::array<epoll_event, kEvents> events_{};
    net::UdpBatch batch_;
    Outbox outbox_;
    media::Engine engine_;
    Duration timer_every_{};
    bool is_woken_ = false;
    bool is_tick_due_ = false;
    std::vector<media::Notice> own_notices_;

    mutable Mutex mutex_;
    std::deque<media::Command> commands_ GUARDED_BY(mutex_);
    std::vector<media::Notice> notices_ GUARDED_BY(mutex_);
    std::optional<std::string> stop_cause_ GUARDED_BY(mutex_);

    std::atomic<std::uint64_t> rtp_received_ = 0;
    std::atomic<std::uint64_t> rtcp_received_ = 0;
    std::atomic<std::uint64_t> sent_ = 0;
    std::atomic<std::uint64_t> not_sent_ = 0;
    std::atomic<std::uint64_t> legs_ = 0;
};

Result<void> Worker::Loop::prepare() {
    if (epoll_.get() < 0 || wake_.get() < 0 || timer_.get() < 0 || !watch(wake_.get(), kWakeTag) ||
        !watch(timer_.get(), kTimerTag)) {
        return fail(Errc::io, std::string("cannot prepare a media worker: ") + std::generic_category().message(errno));
    }
    return {};
}

bool Worker::Loop::watch(int fd, std::uint64_t tag) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = tag;
    return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

Result<void> Worker::Loop::command(media::Command&& command) {
    {
        MutexLock lock(mutex_);
        if (stop_cause_) return fail(Errc::conflict, "the media worker has stopped");
        // What ends something is taken always: there is no more of it than there is to end.
        const bool ends_something =
            std::holds_alternative<media::RemoveLeg>(command) || std::holds_alternative<media::LeaveRoom>(command) ||
            std::holds_alternative<media::StopRecording>(command) || std::holds_alternative<media::StopPlay>(command);
        const bool is_full = commands_.size() >= settings_.commands_max || notices_.size() >= settings_.notices_max;
        if (is_full && !ends_something) {
            return fail(Errc::exhausted, "the media worker has too much to do");
        }
        commands_.push_back(std::move(command));
    }
    const std::uint64_t one = 1;
    static_cast<void>(::write(wake_.get(), &one, sizeof(one)));  // full means: woken already
    return {};
}

std::vector<media::Notice> Worker::Loop::take_notices() {
    MutexLock lock(mutex_);
    return std::exchange(notices_, {});
}

WorkerCounters Worker::Loop::counters() const {
    return {.rtp_received = rtp_received_.load(std::memory_order_relaxed),
            .rtcp_received = rtcp_received_.load(std::memory_order_relaxed),
            .sent = sent_.load(std::memory_order_relaxed),
            .not_sent = not_sent_.load(std::memory_order_relaxed),
            .legs = legs_.load(std::memory_order_relaxed)};
}

void Worker::Loop::ask_to_stop(const std::string& cause) {
    {
        MutexLock lock(mutex_);
        if (!stop_cause_) stop_cause_ = cause;
    }
    const std::uint64_t one = 1;
    static_cast<void>(::write(wake_.get(), &one, sizeof(one)));
}

void Worker::Loop::run() {
    while (true) {
        static_cast<void>(round(-1));
        if (std::exchange(is_woken_, false)) {
            // What had arrived when the command was given comes before it: a recording's end cuts off nothing.
            for (int i = 0; i < kRoundsBeforeCommand && round(0) > 0; ++i) continue;
            work_off_commands();
            MutexLock lock(mutex_);
            if (stop_cause_ && commands_.empty()) break;
        }
        if (std::exchange(is_tick_due_, false)) engine_.tick(net::now());
        outbox_.flush();
        set_timer();
        tell();
    }
    finish();
}

std::size_t Worker::Loop::round(int wait_ms) {
    const int count = epoll_wait(epoll_.get(), events_.data(), static_cast<int>(events_.size()), wait_ms);
    std::size_t sockets = 0;
    for (int i = 0; i < count; ++i) {
        const std::uint64_t tag = events_[static_cast<std::size_t>(i)].data.u64;
        std::uint64_t ignored = 0;
        if (tag == kWakeTag) {
            static_cast<void>(::read(wake_.get(), &ignored, sizeof(ignored)));
            is_woken_ = true;
        } else if (tag == kTimerTag) {
            static_cast<void>(::read(timer_.get(), &ignored, sizeof(ignored)));
            is_tick_due_ = true;
        } else {
            receive(tag);
            ++sockets;
        }
    }
    outbox_.flush();
    return sockets;
}

void Worker::Loop::receive(std::uint64_t tag) {
    const auto slot = static_cast<media::LegSlot>(tag >> 1);
    const bool is_rtcp = (tag & 1) != 0;
    Outbox::Sockets& sockets = outbox_.sockets(slot);
    net::UdpSocket& socket = is_rtcp ? sockets.rtcp : sockets.rtp;
    for (int i = 0; i < kBatchesOfEvent; ++i) {
        const auto packets = socket.receive(batch_);
        const Stamp now = net::now();
        const std::chrono::nanoseconds wall = wall_ns();
        for (const net::UdpReceived& packet : packets) {
            const media::Address from = from_socket(packet.from);
            if (is_rtcp) {
                engine_.rtcp_received(slot, now, from, packet.payload);
                continue;
            }
            // The kernel says when on the wall's clock, which may step: its word is taken for an age, within reason.
            const Duration age = packet.at.count() == 0 ? Duration::zero() : Duration{wall - packet.at};
            const Duration believed = age < Duration::zero() || age > kTimestampAgeMax ? Duration::zero() : age;
            engine_.rtp_received(slot, now.mono - believed, from, packet.payload);
        }
        (is_rtcp ? rtcp_received_ : rtp_received_).fetch_add(packets.size(), std::memory_order_relaxed);
        if (packets.size() < kBatchPackets) return;
    }
}

void Worker::Loop::work_off_commands() {
    std::deque<media::Command> commands;
    {
        MutexLock lock(mutex_);
        commands.swap(commands_);
    }
    for (const media::Command& command : commands) carry_out(command);
}

void Worker::Loop::carry_out(const media::Command& command) {
    const auto* remove = std::get_if<media::RemoveLeg>(&command);
    const std::optional<media::LegSlot> slot = remove != nullptr ? engine_.slot_of(remove->leg) : std::nullopt;
    const bool is_done = engine_.carry_out(command, net::now()).has_value();
    settle(command, slot, is_done);
}

// The sockets follow the legs.
void Worker::Loop::settle(const media::Command& command, std::optional<media::LegSlot> removed, bool is_done) {
    if (!is_done) {
        close_sockets(command);
        return;
    }
    if (removed) {
        outbox_.remove(*removed);
        legs_.fetch_sub(1, std::memory_order_relaxed);
    }
    const auto* add = std::get_if<media::AddLeg>(&command);
    if (add == nullptr) return;
    legs_.fetch_add(1, std::memory_order_relaxed);
    const media::LegSlot slot = engine_.slot_of(add->leg).value_or(media::kNoLeg);
    ASSERT(slot != media::kNoLeg);
    auto rtp = net::UdpSocket::adopt(add->rtp_socket);
    auto rtcp = net::UdpSocket::adopt(add->rtcp_socket);
    if (rtp && rtcp && watch(rtp->fd(), tag_of(slot, false)) && watch(rtcp->fd(), tag_of(slot, true))) {
        outbox_.add(slot, {std::move(*rtp), std::move(*rtcp)});
        return;
    }
    // Sockets that are none: the leg cannot be. adopt() has them, so they close here.
    const int error = errno;
    outbox_.add(slot, {});
    carry_out(media::RemoveLeg{.leg = add->leg, .cause = "no-socket"});
    own_notices_.emplace_back(media::CommandFailed{
        .leg = add->leg,
        .segment = {},
        .command = "AddLeg",
        .error = {Errc::io, std::string("cannot use the leg's sockets: ") + std::generic_category().message(error)}});
}

void Worker::Loop::finish() {
    std::string cause;
    {
        MutexLock lock(mutex_);
        cause = stop_cause_.value_or("shutdown");
    }
    for (const LegId& leg : engine_.legs()) carry_out(media::RemoveLeg{.leg = leg, .cause = cause});
    tell();
}

void Worker::Loop::tell() {
    sent_.store(outbox_.sent(), std::memory_order_relaxed);
    not_sent_.store(outbox_.not_sent(), std::memory_order_relaxed);
    std::vector<media::Notice> fresh = engine_.take_notices();
    std::ranges::move(own_notices_, std::back_inserter(fresh));
    own_notices_.clear();
    if (fresh.empty()) return;
    {
        MutexLock lock(mutex_);
        std::ranges::move(fresh, std::back_inserter(notices_));
    }
    if (on_notice_) on_notice_();
}

// 20 ms while something plays or is mixed, the reports' pace while there are legs, else never.
void Worker::Loop::set_timer() {
    const Duration every = engine_.is_paced()   ? media::kFrame
                           : engine_.is_empty() ? Duration::zero()
                                                : media::kRtcpScan;
    if (every == timer_every_) return;
    timer_every_ = every;
    itimerspec spec{};
    spec.it_interval = {.tv_sec = every.count() / 1'000'000'000, .tv_nsec = every.count() % 1'000'000'000};
    spec.it_value = spec.it_interval;
    // The first frame does not wait.
    if (engine_.is_paced()) spec.it_value = {.tv_sec = 0, .tv_nsec = 1};
    ASSERT(timerfd_settime(timer_.get(), 0, &spec, nullptr) == 0);
}

Worker::Worker() = default;

Result<std::unique_ptr<Worker>> Worker::start(const WorkerSettings& settings, media::CaptureSink& capture,
                                              std::function<void()> on_notice) {
    std::unique_ptr<Worker> worker(new Worker);
    worker->loop_ = std::make_unique<Loop>(settings, capture, std::move(on_notice));
    TRY_VOID(worker->loop_->prepare());
    try {
        worker->thread_ = std::thread([loop = worker->loop_.get()] { loop->run(); });
    } catch (const std::system_error& error) {
        return fail(Errc::io, std::string("cannot start a media worker: ") + error.what());
    }
    return worker;
}

Worker::~Worker() {
    stop("shutdown");
}

Result<void> Worker::command(media::Command command) {
    return loop_->command(std::move(command));
}
std::vector<media::Notice> Worker::take_notices() {
    return loop_->take_notices();
}
WorkerCounters Worker::counters() const {
    return loop_->counters();
}

void Worker::stop(const std::string& cause) {
    if (!thread_.joinable()) return;
    loop_->ask_to_stop(cause);
    thread_.join();
}

}  // namespace sheaf::media_role
