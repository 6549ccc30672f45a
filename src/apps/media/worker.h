// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "media/capture.h"
#include "media/control.h"

namespace sheaf::media_role {

struct WorkerSettings {
    std::string cname = "media";       // in RTCP; names no person
    Duration silence_max{};            // of a leg's RTP and RTCP, before that is told; 0: never
    std::size_t commands_max = 4'096;  // waiting to be carried out
    std::size_t notices_max = 16'384;  // waiting to be taken; then no more commands are accepted
};

// Since the start. Read from any thread.
struct WorkerCounters {
    std::uint64_t rtp_received = 0;  // datagrams, whatever became of them
    std::uint64_t rtcp_received = 0;
    std::uint64_t sent = 0;      // RTP and RTCP packets the kernel took
    std::uint64_t not_sent = 0;  // it did not take
    std::uint64_t legs = 0;      // now
};

// One thread that owns its legs' media: their sockets and the engine behind them. It never waits for another thread;
// commands and notices pass through bounded queues, in order.
//
// The sockets of AddLeg come from net::RtpPorts: `pair.rtp.release()`, `pair.rtcp.release()`. When command() has
// accepted the AddLeg they are the worker's, which closes them with the leg or when the command fails.
class Worker {
public:
    // `capture` outlives the worker and is called on its thread only. `on_notice` is called on that thread whenever
    // notices have become available; it must not block or throw.
    [[nodiscard]] static Result<std::unique_ptr<Worker>> start(const WorkerSettings& settings,
                                                               media::CaptureSink& capture,
                                                               std::function<void()> on_notice);
    ~Worker();  // stops, cause "shutdown", if it was not stopped
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    // Any thread. Errc::exhausted: too many wait; conflict: stopped. The command is not taken then, nor its sockets.
    [[nodiscard]] Result<void> command(media::Command command);
    // Any thread. What was told since the last call, in order.
    [[nodiscard]] std::vector<media::Notice> take_notices();
    [[nodiscard]] WorkerCounters counters() const;
    // Carries out what waits, removes all legs (their recordings are sealed with `cause`, their last notices can be
    // taken afterwards) and ends the thread. Not from `on_notice`.
    void stop(const std::string& cause);

private:
    class Loop;  // the thread's side
    Worker();
    std::unique_ptr<Loop> loop_;
    std::thread thread_;
};

}  // namespace sheaf::media_role
