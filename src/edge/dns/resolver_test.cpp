// SPDX-License-Identifier: Apache-2.0
#include "edge/dns/resolver.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <optional>
#include <vector>

using namespace sheaf;
using namespace sheaf::dns;
using namespace std::chrono_literals;

namespace {

using boost::asio::ip::udp;

std::uint16_t free_port() {
    boost::asio::io_context io;
    const udp::socket socket(io, {boost::asio::ip::make_address("127.0.0.1"), 0});
    return socket.local_endpoint().port();
}

// A real DNS server on loopback, with these records.
class Dnsmasq {
public:
    explicit Dnsmasq(const std::vector<std::string>& records) {
        std::vector<std::string> words{"dnsmasq",
                                       "--no-daemon",
                                       "--conf-file=/dev/null",
                                       "--pid-file=",
                                       "--no-resolv",
                                       "--no-hosts",
                                       "--listen-address=127.0.0.1",
                                       "--bind-interfaces",
                                       "--cache-size=0",
                                       "--local=/test/",
                                       "--local-ttl=300",
                                       "--port=" + std::to_string(port_)};
        words.insert(words.end(), records.begin(), records.end());
        std::vector<char*> arguments;
        for (auto& word : words) arguments.push_back(word.data());
        arguments.push_back(nullptr);
        std::array<int, 2> says{};
        REQUIRE(::pipe2(says.data(), O_CLOEXEC) == 0);
        posix_spawn_file_actions_t actions{};
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_adddup2(&actions, says[1], STDERR_FILENO);
        const int failed =
            ::posix_spawn(&process_, "/usr/sbin/dnsmasq", &actions, nullptr, arguments.data(), ::environ);
        ::posix_spawn_file_actions_destroy(&actions);
        ::close(says[1]);
        std::string said;
        std::array<char, 512> piece{};
        while (failed == 0 && said.find("started, version") == std::string::npos) {
            const auto count = ::read(says[0], piece.data(), piece.size());
            if (count <= 0) break;
            said.append(piece.data(), static_cast<std::size_t>(count));
        }
        ::close(says[0]);
        REQUIRE_MESSAGE(said.find("started, version") != std::string::npos, said);
    }
    ~Dnsmasq() {
        if (process_ <= 0) return;
        ::kill(process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
    }
    Dnsmasq(const Dnsmasq&) = delete;
    Dnsmasq& operator=(const Dnsmasq&) = delete;
    [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

private:
    std::uint16_t port_ = free_port();
    pid_t process_ = 0;
};

struct Client {
    boost::asio::io_context io;
    std::unique_ptr<Resolver> resolver;

    explicit Client(std::vector<std::string> servers, std::chrono::milliseconds timeout = 1'500ms) {
        auto made = Resolver::create(io, {std::move(servers), {true, true, true, true}, timeout, 2});
        REQUIRE_MESSAGE(made, (made ? "" : made.error().what));
        resolver = std::move(*made);
    }
    std::optional<Result<sip::Located>> find(const std::string& uri) {
        std::optional<Result<sip::Located>> out;
        resolver->locate(*sip::uri_from_text(uri), Entropy::Seed{}, [&](Result<sip::Located> found) { out = found; });
        const auto end = std::chrono::steady_clock::now() + 20s;
        while (!out && std::chrono::steady_clock::now() < end) io.run_one_until(end);
        return out;
    }
    std::string text(const std::string& uri) {
        const auto found = find(uri);
        if (!found) return "no answer";
        if (!*found) return "none: " + std::string(name_of(found->error().code));
        std::string out;
        for (const auto& endpoint : (*found)->endpoints) out += sip::to_text(endpoint) + " ";
        return out + "for " + std::to_string((*found)->ttl.count());
    }
};

const std::vector<std::string> kCarrier{
    "--naptr-record=carrier.test,20,10,s,SIP+D2U,,_sip._udp.carrier.test",
    "--naptr-record=carrier.test,10,10,s,SIP+D2T,,_sip._tcp.carrier.test",
    "--naptr-record=carrier.test,5,10,s,SIPS+D2T,,_sips._tcp.carrier.test",
    "--srv-host=_sip._tcp.carrier.test,b.carrier.test,5062,20,0",
    "--srv-host=_sip._tcp.carrier.test,a.carrier.test,5061,10,0",
    "--srv-host=_sip._udp.carrier.test,a.carrier.test,5060,10,0",
    "--host-record=a.carrier.test,127.0.0.21,fd00::21,90",
    "--host-record=b.carrier.test,127.0.0.22",
    "--srv-host=_sip._udp.gone.test",
    "--cname=alias.test,a.carrier.test",
};

}  // namespace

TEST_CASE("a name is followed from NAPTR by SRV to its addresses, as a real server tells them") {
    const Dnsmasq server(kCarrier);
    Client client({server.address()});
    CHECK(client.text("sip:carrier.test") == "tcp:127.0.0.21:5061 tcp:[fd00::21]:5061 tcp:127.0.0.22:5062 for 90");
    CHECK(client.text("sip:carrier.test;transport=udp") == "udp:127.0.0.21:5060 udp:[fd00::21]:5060 for 90");
    CHECK(client.text("sip:b.carrier.test:5070") == "udp:127.0.0.22:5070 for 300");
    CHECK(client.text("sip:b.carrier.test") == "udp:127.0.0.22:5060 for 300");
    CHECK(client.text("sip:alias.test:5070") == "udp:127.0.0.21:5070 udp:[fd00::21]:5070 for 90");
    CHECK(client.text("sip:gone.test;transport=udp") == "none: not found");
    CHECK(client.text("sip:nobody.test") == "none: not found");
    CHECK(client.text("sip:127.0.0.9") == "udp:127.0.0.9:5060 for 3600");
}

TEST_CASE("a server that refuses to say is no server that says no") {
    const Dnsmasq server({"--host-record=a.carrier.test,127.0.0.21"});
    Client client({server.address()});
    CHECK(client.text("sip:carrier.elsewhere") == "none: timeout");  // it has nobody to ask
}

TEST_CASE("an answer too large for a datagram comes by TCP") {
    const std::string filling(50, 'x');
    std::vector<std::string> records{"--host-record=" + filling + "-0.large.test,127.0.0.23",
                                     "--host-record=" + filling + "-13.large.test,127.0.0.24"};
    for (int i = 0; i < 14; ++i)
        records.push_back("--srv-host=_sip._udp.large.test," + filling + "-" + std::to_string(i) + ".large.test,5060," +
                          std::to_string(i) + ",0");
    const Dnsmasq server(records);
    Client client({server.address()});
    CHECK(client.text("sip:large.test;transport=udp") == "udp:127.0.0.23:5060 udp:127.0.0.24:5060 for 300");
}

TEST_CASE("who asks a server that is silent hears so in time, and the next one is asked") {
    boost::asio::io_context io;
    const udp::socket silent(io, {boost::asio::ip::make_address("127.0.0.1"), 0});
    const auto address = "127.0.0.1:" + std::to_string(silent.local_endpoint().port());
    Client alone({address}, 20ms);
    CHECK(alone.text("sip:carrier.test") == "none: timeout");
    Client nobody({"127.0.0.1:" + std::to_string(free_port())}, 20ms);
    CHECK(nobody.text("sip:carrier.test") == "none: timeout");
    const Dnsmasq server(kCarrier);
    Client both({address, server.address()}, 50ms);
    CHECK(both.text("sip:b.carrier.test:5070") == "udp:127.0.0.22:5070 for 300");
}

TEST_CASE("many are searched for beside each other, each is done once, and a resolver may go at any time") {
    const Dnsmasq server(kCarrier);
    Client client({server.address()});
    std::size_t done = 0;
    for (std::size_t i = 0; i < 3 * kSearchesMax; ++i)
        client.resolver->locate(*sip::uri_from_text("sip:carrier.test"), Entropy::Seed{},
                                [&](const Result<sip::Located>& found) { done += found ? 1 : 0; });
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (done < 3 * kSearchesMax && std::chrono::steady_clock::now() < end) client.io.run_one_until(end);
    CHECK(done == 3 * kSearchesMax);
    const auto by = [&](auto end_it) {
        for (int i = 0; i < 3; ++i)
            client.resolver->locate(*sip::uri_from_text("sip:carrier.test"), Entropy::Seed{},
                                    [&, end_it](const Result<sip::Located>&) { end_it(); });
    };
    int calls = 0;
    by([&] {
        ++calls;
        client.resolver.reset();
    });
    client.io.restart();
    client.io.run_until(end);
    CHECK(calls == 1);
    Client other({server.address()});
    other.resolver->locate(*sip::uri_from_text("sip:carrier.test"), Entropy::Seed{},
                           [](const Result<sip::Located>&) { FAIL("done after its end"); });
    for (int i = 0; i < 2; ++i) other.io.run_one();
    other.resolver.reset();
    other.io.run();
}

TEST_CASE("servers are addresses, few, with a port or without") {
    boost::asio::io_context io;
    CHECK(Resolver::create(io, {{"127.0.0.1", "[::1]", "[::1]:5353"}, {}}));
    CHECK(Resolver::create(io, {{}, {}}));
    CHECK(!Resolver::create(io, {{"not an address"}, {}}));
    CHECK(!Resolver::create(io, {{"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"}, {}}));
}
