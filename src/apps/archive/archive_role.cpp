// SPDX-License-Identifier: Apache-2.0
#include "apps/archive/archive_role.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/json.hpp>
#include <filesystem>
#include <vector>

#include "apps/archive/api.h"
#include "apps/config/log.h"
#include "edge/http/server.h"
#include "edge/store/catalogue_sqlite.h"
#include "edge/store/media_directory.h"

namespace sheaf::archive_role {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;

constexpr std::uint64_t kUploadBytesMax = std::uint64_t{8} << 30;  // three days of two channels as 16-bit WAV
constexpr std::size_t kStreamsMax = 200;                           // browsers that listen at a time
constexpr std::size_t kChangesMax = 100;  // recordings named in a burst; beyond, listeners are told to look again
constexpr auto kGatherFor = std::chrono::milliseconds(50);  // changes of one moment are told together
constexpr auto kSleepAtMost = std::chrono::seconds(60);

archive::Scope scope_of(config::TokenScope scope) {
    switch (scope) {
        case config::TokenScope::site: return archive::Scope::site;
        case config::TokenScope::admin: return archive::Scope::admin;
        case config::TokenScope::read: break;
    }
    return archive::Scope::read;
}

archive::Access access_of(const ArchiveSettings& settings) {
    std::vector<archive::Credential> credentials;
    credentials.reserve(settings.tokens.size());
    for (const config::ArchiveToken& token : settings.tokens)
        credentials.push_back({token.secret, scope_of(token.scope), token.tenant, token.site, token.nodes});
    return {std::move(credentials), settings.auth_none ? std::optional(settings.tenant) : std::nullopt};
}

}  // namespace

Stamp stamp_now() {
    Stamp stamp;
    stamp.mono = Instant(std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
    stamp.wall = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
    return stamp;
}

struct ArchiveRole::Impl : std::enable_shared_from_this<ArchiveRole::Impl> {
    struct Listener {
        std::string tenant;
        std::shared_ptr<http::Stream> stream;  // shared: with its connection
    };

    explicit Impl(asio::io_context& context) : io(context), gather(context), wake(context) {}

    Result<void> open(const ArchiveSettings& settings, Clock clock) {
        std::error_code error;
        const std::string spool = settings.data + "/spool";
        // What a former process was sent half of is of no use: the sender still has it.
        std::filesystem::remove_all(spool, error);
        std::filesystem::create_directories(spool, error);
        if (error) return fail(Errc::io, "make " + spool + ": " + error.message());
        TRY(auto store, store::open_catalogue(settings.data + ".db"));
        TRY(auto media, store::open_media_directory(settings.data + "/media"));
        Api::Parts parts{access_of(settings),
                         std::move(store),
                         std::move(media),
                         {settings.settle_ms, archive::grouping::kCallsMax},
                         {settings.site, settings.node},
                         std::move(clock),
                         [this](std::function<void()> work, std::function<void()> done) {
                             run_in_background(std::move(work), std::move(done));
                         },
                         [this] { gather_changes(); }};
        api = std::make_unique<Api>(std::move(parts));
        TRY_VOID(api->load());
        http::ServerOptions options;
        options.address = settings.address;
        options.port = settings.port;
        options.body_bytes_max = archive::kBatchBytesMax;
        options.upload_prefix = "/v1/segments/";
        options.upload_bytes_max = kUploadBytesMax;
        options.spool = spool;
        options.connections_of_one_max = options.connections_max / 2;
        options.admit = [this, self = shared_from_this()](const http::Request& request) {
            return api->refuse_unknown(request);
        };
        options.admit_upload = [this, self = shared_from_this()](const http::Request& request) {
            return api->refuse_upload(request);
        };
        TRY(server,
            http::Server::listen(io, options,
                                 [this, self = shared_from_this()](const http::Request& request, http::Reply reply) {
                                     api->handle(request, std::move(reply));
                                 }));
        http::StreamRoute route;
        route.admit = [this, self = shared_from_this()](const http::Request& request) { return admit(request); };
        route.opened_for = [this, self = shared_from_this()](const http::Request& request,
                                                             std::shared_ptr<http::Stream> stream) {
            const auto caller = api->caller_of(request);
            if (!caller) return stream->close();
            stream->send(json::serialize(json::object{{"type", "ready"}}));
            listeners.push_back({caller->tenant, std::move(stream)});
        };
        server->add_stream("/v1/events", std::move(route));
        port = server->port();
        sleep();
        return {};
    }

    std::optional<http::Response> admit(const http::Request& request) {
        std::erase_if(listeners, [](const Listener& l) { return !l.stream->is_open(); });
        if (auto refused = api->refuse_stream(request)) return refused;
        if (listeners.size() >= kStreamsMax) return http::problem(503, "Service Unavailable", "too many listeners");
        return std::nullopt;
    }

    void run_in_background(std::function<void()> work, std::function<void()> done) {
        asio::post(background, [self = shared_from_this(), work = std::move(work), done = std::move(done)]() mutable {
            work();
            asio::post(self->io, [self, done = std::move(done)] { done(); });
        });
    }

    void gather_changes() {
        if (is_gathering || is_over) return;
        is_gathering = true;
        gather.expires_after(kGatherFor);
        gather.async_wait([self = shared_from_this()](boost::system::error_code error) {
            self->is_gathering = false;
            if (!error) self->tell_changes();
        });
    }

    void tell_changes() {
        const auto changed = api->catalogue().take_changed(api->now_ms());
        std::erase_if(listeners, [](const Listener& l) { return !l.stream->is_open(); });
        for (const Listener& listener : listeners) {
            std::vector<std::string> ids;
            for (const auto& [tenant, id] : changed)
                if (tenant == listener.tenant) ids.push_back(id);
            if (ids.size() > kChangesMax) {
                listener.stream->send(json::serialize(json::object{{"type", "changed"}, {"id", nullptr}}));
                continue;
            }
            for (const std::string& id : ids)
                listener.stream->send(json::serialize(json::object{{"type", "changed"}, {"id", id}}));
        }
        sleep();
    }

    // Until something becomes late by itself. The wall clock may step, so the sleep is never long.
    void sleep() {
        if (is_over) return;
        const archive::Ms next = api->catalogue().next_change();
        auto pause = std::chrono::duration_cast<std::chrono::milliseconds>(kSleepAtMost);
        if (next != archive::kNever)
            pause = std::clamp(std::chrono::milliseconds(next - api->now_ms()), std::chrono::milliseconds(1), pause);
        wake.expires_after(pause);
        wake.async_wait([self = shared_from_this()](boost::system::error_code error) {
            if (!error) self->tell_changes();
        });
    }

    void stop() {
        if (is_over) return;
        is_over = true;
        if (server) server->close();
        server.reset();  // its handlers hold this
        gather.cancel();
        wake.cancel();
        for (const Listener& listener : listeners) listener.stream->close();
        listeners.clear();
        background.join();
    }

    asio::io_context& io;
    std::unique_ptr<Api> api;
    std::unique_ptr<http::Server> server;
    std::uint16_t port = 0;
    std::vector<Listener> listeners;
    asio::steady_timer gather, wake;
    bool is_gathering = false;
    bool is_over = false;
    asio::thread_pool background{1};
};

ArchiveRole::ArchiveRole(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

ArchiveRole::~ArchiveRole() {
    stop();
}

Result<std::unique_ptr<ArchiveRole>> ArchiveRole::start(asio::io_context& io, ArchiveSettings settings, Clock clock) {
    auto impl = std::make_shared<Impl>(io);
    TRY_VOID(impl->open(settings, std::move(clock)));
    config::log_info("the archive is up", {{"address", settings.address},
                                           {"port", std::to_string(impl->port)},
                                           {"facts", std::to_string(impl->api->catalogue().facts())}});
    return std::unique_ptr<ArchiveRole>(new ArchiveRole(std::move(impl)));
}

std::uint16_t ArchiveRole::port() const {
    return impl_->port;
}

void ArchiveRole::stop() {
    impl_->stop();
}

}  // namespace sheaf::archive_role
