// SPDX-License-Identifier: Apache-2.0
#include "edge/dns/resolver.h"

#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <map>
#include <utility>

#include "edge/dns/answer.h"

namespace sheaf::dns {
namespace {

namespace asio = boost::asio;

// What a failed question means: DNS says that there is no such thing, or nobody could be found who knows.
Result<sip::DnsAnswer> nothing(int status) {
    switch (status) {
        case ARES_ENODATA:
        case ARES_ENOTFOUND:
        case ARES_ENOTIMP:  // a server that knows nothing of this kind of record
            return sip::DnsAnswer{};
        case ARES_ETIMEOUT:
        case ARES_ECONNREFUSED: return fail(Errc::timeout, "no DNS server gives an answer");
        default: return fail(Errc::io, std::string("DNS: ") + ares_strerror(status));
    }
}

std::string text_of(const sockaddr& address) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    const void* bytes = address.sa_family == AF_INET6
                            ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr)
                            : static_cast<const void*>(&reinterpret_cast<const sockaddr_in&>(address).sin_addr);
    return ::inet_ntop(address.sa_family, bytes, text.data(), text.size()) == nullptr ? std::string() : text.data();
}

sip::DnsAnswer answer_of(const ares_addrinfo& found) {
    sip::DnsAnswer out;
    out.ttl_s = static_cast<std::uint32_t>(sip::kTtlMax.count());
    const auto count = [&](int ttl) { out.ttl_s = std::min(out.ttl_s, static_cast<std::uint32_t>(std::max(ttl, 0))); };
    for (const auto* one = found.nodes; one != nullptr; one = one->ai_next) {
        out.addresses.push_back(text_of(*one->ai_addr));
        count(one->ai_ttl);
    }
    for (const auto* one = found.cnames; one != nullptr; one = one->next) count(one->ttl);
    return out;
}

class AresResolver final : public Resolver {
public:
    AresResolver(asio::io_context& io, ResolverOptions options) : io_(io), options_(std::move(options)), timer_(io) {}
    ~AresResolver() override {
        alive_.reset();
        searches_.clear();
        if (channel_ != nullptr) ares_destroy(channel_);  // its callbacks find no search
        ares_library_cleanup();
    }
    AresResolver(const AresResolver&) = delete;
    AresResolver& operator=(const AresResolver&) = delete;

    Result<void> open();
    void locate(const sip::Uri& uri, const Entropy::Seed& seed, Done done) override {
        waiting_.push_back({uri, seed, std::move(done), {}, 0});
        begin_next();
    }

private:
    struct Search {
        sip::Uri uri;
        Entropy::Seed seed;
        Done done;
        sip::DnsAnswers answers;
        std::size_t open = 0;  // questions
    };
    // What a callback of the library is given, and owns.
    struct Asked {
        AresResolver& resolver;
        std::uint64_t search;
        sip::Question question;
    };
    // One of the library's sockets, watched for it; the library closes it.
    struct Socket {
        asio::posix::stream_descriptor descriptor;
        bool is_read = false;  // wanted so
        bool is_written = false;
        bool waits_to_read = false;
        bool waits_to_write = false;
    };

    void begin_next();
    void later(std::uint64_t id);
    void go_on(std::uint64_t id);
    void ask(std::uint64_t id, const sip::Question& question);
    void answered(std::uint64_t id, const sip::Question& question, Result<sip::DnsAnswer> answer);
    void on_socket(ares_socket_t socket, bool is_read, bool is_written);
    void watch(ares_socket_t number, const std::shared_ptr<Socket>& socket);
    void process(ares_socket_t read, ares_socket_t write);
    void arm();

    asio::io_context& io_;
    ResolverOptions options_;
    ares_channel channel_ = nullptr;
    asio::steady_timer timer_;
    std::deque<Search> waiting_;
    std::map<std::uint64_t, Search> searches_;
    std::uint64_t last_ = 0;
    std::map<ares_socket_t, std::shared_ptr<Socket>> sockets_;  // shared with nobody: handlers hold them weakly
    // Handlers that are due already when the resolver goes hold it weakly.
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

Result<void> AresResolver::open() {
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) return fail(Errc::io, "DNS cannot be used");
    if (options_.servers.size() > kDnsServersMax) return fail(Errc::malformed, "too many DNS servers");
    std::string lookups = "fb";  // /etc/hosts, then DNS
    ares_options wanted{};
    wanted.timeout = static_cast<int>(options_.timeout.count());
    wanted.tries = options_.tries;
    wanted.lookups = lookups.data();
    wanted.ndomains = 0;
    wanted.sock_state_cb_data = this;
    wanted.sock_state_cb = [](void* self, ares_socket_t socket, int is_read, int is_written) {
        static_cast<AresResolver*>(self)->on_socket(socket, is_read != 0, is_written != 0);
    };
    const int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_DOMAINS | ARES_OPT_SOCK_STATE_CB;
    if (const int status = ares_init_options(&channel_, &wanted, mask); status != ARES_SUCCESS) {
        channel_ = nullptr;
        return fail(Errc::io, std::string("DNS: ") + ares_strerror(status));
    }
    std::string list;
    for (const auto& server : options_.servers)
        list += (list.empty() ? "" : ",") + server + (server.ends_with(']') ? ":53" : "");
    if (list.empty()) return {};
    if (ares_set_servers_ports_csv(channel_, list.c_str()) != ARES_SUCCESS)
        return fail(Errc::malformed, "a DNS server is ADDRESS or ADDRESS:PORT: " + list);
    return {};
}

void AresResolver::begin_next() {
    while (!waiting_.empty() && searches_.size() < kSearchesMax) {
        const auto id = ++last_;
        searches_.emplace(id, std::move(waiting_.front()));
        waiting_.pop_front();
        later(id);
    }
}

// Not from within the library, which may be in the midst of something.
void AresResolver::later(std::uint64_t id) {
    asio::post(io_, [this, id, alive = std::weak_ptr(alive_)] {
        if (!alive.expired()) go_on(id);
    });
}

void AresResolver::go_on(std::uint64_t id) {
    auto& search = searches_.at(id);
    auto step = sip::locate(search.uri, search.answers, options_.reach, search.seed);
    if (auto* more = std::get_if<sip::Ask>(&step)) {
        search.open = more->questions.size();
        for (const auto& question : more->questions) ask(id, question);
        return arm();
    }
    const auto done = std::move(search.done);
    searches_.erase(id);
    begin_next();
    auto* located = std::get_if<sip::Located>(&step);
    done(located != nullptr ? Result<sip::Located>(std::move(*located))
                            : std::unexpected(std::get<Error>(std::move(step))));
}

void AresResolver::ask(std::uint64_t id, const sip::Question& question) {
    auto* asked = new Asked{*this, id, question};
    if (question.type == sip::RecordType::a || question.type == sip::RecordType::aaaa) {
        ares_addrinfo_hints hints{};
        hints.ai_flags = ARES_AI_NOSORT;
        hints.ai_family = question.type == sip::RecordType::a ? AF_INET : AF_INET6;
        const auto on_found = [](void* argument, int status, int, ares_addrinfo* found) {
            const std::unique_ptr<Asked> of(static_cast<Asked*>(argument));
            of->resolver.answered(of->search, of->question,
                                  status == ARES_SUCCESS ? answer_of(*found) : nothing(status));
            if (found != nullptr) ares_freeaddrinfo(found);
        };
        return ares_getaddrinfo(channel_, question.name.c_str(), nullptr, &hints, on_found, asked);
    }
    const auto on_message = [](void* argument, int status, int, unsigned char* message, int size) {
        const std::unique_ptr<Asked> of(static_cast<Asked*>(argument));
        of->resolver.answered(of->search, of->question,
                              status == ARES_SUCCESS
                                  ? answer_from_message(of->question.type, {message, static_cast<std::size_t>(size)})
                                  : nothing(status));
    };
    const int type = question.type == sip::RecordType::naptr ? ns_t_naptr : ns_t_srv;
    ares_query(channel_, question.name.c_str(), ns_c_in, type, on_message, asked);
}

void AresResolver::answered(std::uint64_t id, const sip::Question& question, Result<sip::DnsAnswer> answer) {
    const auto found = searches_.find(id);
    if (found == searches_.end()) return;
    found->second.answers.insert_or_assign(question, std::move(answer));
    if (--found->second.open == 0) later(id);
}

// Before the library closes a socket it says that it wants nothing of it any more.
void AresResolver::on_socket(ares_socket_t number, bool is_read, bool is_written) {
    auto& socket = sockets_[number];
    if (!is_read && !is_written) {
        if (socket) socket->descriptor.release();
        sockets_.erase(number);
        return;
    }
    if (!socket) socket = std::make_shared<Socket>(Socket{asio::posix::stream_descriptor(io_, number)});
    socket->is_read = is_read;
    socket->is_written = is_written;
    watch(number, socket);
}

void AresResolver::watch(ares_socket_t number, const std::shared_ptr<Socket>& socket) {
    const auto wait = [&](bool Socket::* wanted, bool Socket::* waits, auto kind, bool reads) {
        if (!(*socket.*wanted) || std::exchange(*socket.*waits, true)) return;
        socket->descriptor.async_wait(
            kind, [this, number, waits, reads, weak = std::weak_ptr(socket)](const boost::system::error_code& error) {
                const auto known = weak.lock();
                if (error || !known) return;
                *known.*waits = false;
                process(reads ? number : ARES_SOCKET_BAD, reads ? ARES_SOCKET_BAD : number);
                const auto found = sockets_.find(number);  // perhaps another's by now
                if (found != sockets_.end() && found->second == known) watch(number, known);
            });
    };
    wait(&Socket::is_read, &Socket::waits_to_read, asio::posix::stream_descriptor::wait_read, true);
    wait(&Socket::is_written, &Socket::waits_to_write, asio::posix::stream_descriptor::wait_write, false);
}

void AresResolver::process(ares_socket_t read, ares_socket_t write) {
    ares_process_fd(channel_, read, write);
    arm();
}

// For the library's own timeouts.
void AresResolver::arm() {
    timeval most{};
    timer_.cancel();
    if (ares_timeout(channel_, nullptr, &most) == nullptr) return;
    timer_.expires_after(std::chrono::seconds{most.tv_sec} + std::chrono::microseconds{most.tv_usec});
    timer_.async_wait([this, alive = std::weak_ptr(alive_)](const boost::system::error_code& error) {
        if (!error && !alive.expired()) process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    });
}

}  // namespace

Result<std::unique_ptr<Resolver>> Resolver::create(asio::io_context& io, ResolverOptions options) {
    auto resolver = std::make_unique<AresResolver>(io, std::move(options));
    TRY_VOID(resolver->open());
    return resolver;
}

}  // namespace sheaf::dns
