// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "apps/cli/commands.h"
#include "apps/cli/started_role.h"
#include "apps/config/log.h"
#include "apps/config/settings.h"

namespace sheaf::apps {
namespace {

namespace asio = boost::asio;

using Start = Result<StartedRole> (*)(asio::io_context&, const config::Settings&);

constexpr auto kLastWorkMax = std::chrono::seconds(2);

// A role with its own io_context on its own thread.
class RoleThread {
public:
    [[nodiscard]] static Result<std::unique_ptr<RoleThread>> start(Start start, const config::Settings& settings) {
        std::unique_ptr<RoleThread> thread(new RoleThread);
        TRY(thread->role_, start(thread->io_, settings));
        thread->thread_ = std::thread([&one = *thread] { one.run(); });
        return thread;
    }
    ~RoleThread() {
        // What is under way may end by itself, for a while.
        work_.reset();
        if (thread_.joinable()) {
            ended_.get_future().wait_for(kLastWorkMax);
            io_.stop();
            thread_.join();
        }
        role_ = {};  // before its io_context
    }
    RoleThread(const RoleThread&) = delete;
    RoleThread& operator=(const RoleThread&) = delete;

    [[nodiscard]] const StartedRole& role() const { return role_; }

    // Any thread but the role's; returns when the role has stopped.
    void stop() {
        std::promise<void> stopped;
        asio::post(io_, [&] { role_.stop([&] { stopped.set_value(); }); });
        stopped.get_future().wait();
    }
    void reload(const config::Settings& settings) {
        if (!role_.reload) return;
        asio::post(io_, [this, settings] {
            const auto result = role_.reload(settings);
            if (!result) {
                config::log_error("the settings were not taken",
                                  {{"role", role_.name}, {"error", result.error().what}});
            }
        });
    }

private:
    RoleThread() = default;

    // What a library throws here has left the role in a state nobody knows: better to end than to record a lie.
    void run() {
        try {
            io_.run();
            ended_.set_value();
        } catch (const std::exception& error) {
            config::log_error("unexpected error, the program ends", {{"error", error.what()}});
            std::abort();
        }
    }

    asio::io_context io_{1};
    std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work_{asio::make_work_guard(io_)};
    StartedRole role_;
    std::promise<void> ended_;
    std::thread thread_;
};

Result<void> make_data_folder(const std::string& path) {
    std::error_code error;
    const bool made = std::filesystem::create_directories(path, error);
    if (made && !error) std::filesystem::permissions(path, std::filesystem::perms::owner_all, error);
    if (error) return fail(Errc::io, path + ": " + error.message());
    return {};
}

// The archive first, so that the others find it; the switch last, when its media server is there.
Result<std::vector<std::unique_ptr<RoleThread>>> start_all(const config::Settings& settings) {
    TRY_VOID(make_data_folder(settings.node.data));
    const std::pair<bool, Start> wanted[] = {{settings.archive.has_value(), start_archive},
                                             {settings.media.has_value(), start_media},
                                             {settings.exchange.has_value(), start_switch}};
    std::vector<std::unique_ptr<RoleThread>> threads;
    for (const auto& [is_wanted, start] : wanted) {
        if (!is_wanted) continue;
        TRY(auto thread, RoleThread::start(start, settings));
        threads.push_back(std::move(thread));
    }
    return threads;
}

void say_ready(int fd, const std::string& line) {
    if (fd < 0) return;
    const std::string text = line + "\n";
    std::size_t written = 0;
    while (written < text.size()) {
        const auto count = ::write(fd, text.data() + written, text.size() - written);
        if (count <= 0) break;
        written += static_cast<std::size_t>(count);
    }
    if (written < text.size()) config::log_warn("nobody reads the ready descriptor");
    ::close(fd);
}

// Waits for a signal to end; SIGHUP reads the settings anew. Signals that came since `signals` was made count.
void wait_for_end(asio::io_context& io, asio::signal_set& signals, const std::string& path,
                  const std::vector<std::unique_ptr<RoleThread>>& threads) {
    std::function<void()> wait = [&] {
        signals.async_wait([&](const boost::system::error_code& error, int signal) {
            if (error || signal != SIGHUP) return;
            const auto settings = config::settings_from_file(path);
            if (!settings) config::log_error("the settings were not taken", {{"error", settings.error().what}});
            if (settings) {
                for (const auto& thread : threads) thread->reload(*settings);
            }
            wait();
        });
    };
    wait();
    io.run();
}

// While stopping, a second signal ends at once.
extern "C" void end_at_once(int) {
    ::_exit(1);
}

}  // namespace

int run_roles(const RunCommand& command) {
    const auto settings = config::settings_from_file(command.config);
    if (!settings) {
        fmt::print(stderr, "{}\n", settings.error().what);
        return 1;
    }
    std::signal(SIGPIPE, SIG_IGN);
    asio::io_context io;
    asio::signal_set signals(io, SIGTERM, SIGINT, SIGHUP);  // before anybody is told that we run
    auto threads = start_all(*settings);
    if (!threads) {
        config::log_error("cannot start", {{"error", threads.error().what}});
        return 1;
    }
    boost::json::object bound;
    for (const auto& thread : *threads) bound[thread->role().name] = thread->role().bound;
    const std::string line = boost::json::serialize(bound);
    config::log_info("started", {{"site", settings->node.site}, {"node", settings->node.name}, {"bound", line}});
    say_ready(command.ready_fd, line);
    wait_for_end(io, signals, command.config, *threads);
    std::signal(SIGHUP, SIG_IGN);  // nothing is read anew any more, and a closed terminal does not cut the end short
    signals.clear();
    std::signal(SIGHUP, SIG_IGN);
    config::log_info("stopping", {{"node", settings->node.name}});
    std::signal(SIGTERM, end_at_once);
    std::signal(SIGINT, end_at_once);
    // The other way round: the switch first, so that what it ends is still recorded and kept.
    for (auto thread = threads->rbegin(); thread != threads->rend(); ++thread) (*thread)->stop();
    threads->clear();
    config::log_info("stopped", {{"node", settings->node.name}});
    return 0;
}

}  // namespace sheaf::apps
