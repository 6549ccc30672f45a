// SPDX-License-Identifier: Apache-2.0
#include "apps/switch/switch_role.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <boost/json.hpp>
#include <filesystem>
#include <optional>

#include "apps/switch/replay.h"
#include "apps/switch/settings.h"
#include "apps/switch/site_messages.h"
#include "edge/http/client.h"
#include "edge/net/clock.h"
#include "edge/net/sip_node.h"
#include "edge/store/outbox_sqlite.h"
#include "sip/locate.h"

using namespace sheaf;
using namespace sheaf::apps;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

// A real switch on loopback, and a client and a phone to speak with it.
struct Lab {
    boost::asio::io_context io;
    fs::path folder;
    std::unique_ptr<SwitchRole> role;
    std::unique_ptr<http::Client> client = http::Client::create(io);
    std::unique_ptr<net::SipNode> phone;
    std::vector<sip::Event> heard;

    static config::SwitchSettings settings(const fs::path& folder) {
        config::SwitchSettings out;
        out.node = {"london", "london-1", folder.string(), "default"};
        out.listen = {"udp:127.0.0.1:0", "tcp:127.0.0.1:0"};
        out.cti = {"127.0.0.1", 0};
        out.tokens = {{"desktop", "let me in", {"1001"}}, {"wall", "show all", {"*"}}};
        out.agents = {{"1001", "Ada", "ada's", {}, false}, {"1002", "Bob", "bob's", {}, false}};
        out.sites = {{"paris", "sip:127.0.0.2:5060", "", "the pair's", "2", false, false}};
        out.routing_points = {{"8000", {}, {"music:default"}, {"agent:1001", "agent:2001@paris"}, {}}};
        return out;
    }
    explicit Lab(const std::function<void(config::SwitchSettings&)>& change = {}) {
        std::string name = (fs::temp_directory_path() / "sheaf-role-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        folder = name;
        auto given = settings(folder);
        if (change) change(given);
        auto started = SwitchRole::start(io, std::move(given));
        REQUIRE_MESSAGE(started, (started ? "" : started.error().what));
        role = std::move(*started);
        sip::UserAgentOptions options;
        options.listen = {*sip::endpoint_from_text("udp:127.0.0.1:0")};
        auto node =
            net::SipNode::start(io, options, [this](Instant, const sip::Event& event) { heard.push_back(event); });
        REQUIRE(node);
        phone = std::move(*node);
    }
    ~Lab() {
        role.reset();
        fs::remove_all(folder);
    }
    template <typename Ready>
    void run_until(Ready ready) {
        const auto end = std::chrono::steady_clock::now() + 10s;
        while (!ready() && std::chrono::steady_clock::now() < end) io.run_one_for(100ms);
        REQUIRE(ready());
    }
    http::ClientResponse ask(http::ClientRequest request, const std::string& token = {}) {
        request.url = "http://" + role->bound().cti + request.url;
        if (!token.empty()) request.headers.emplace_back("Authorization", "Bearer " + token);
        std::optional<Result<http::ClientResponse>> answer;
        client->send(std::move(request), [&](Result<http::ClientResponse> response) { answer = std::move(response); });
        run_until([&] { return answer.has_value(); });
        REQUIRE(*answer);
        return **answer;
    }
    boost::asio::ip::tcp::socket connected() {
        const auto at = role->bound().cti;
        const auto port = static_cast<std::uint16_t>(std::stoi(at.substr(at.rfind(':') + 1)));
        boost::asio::ip::tcp::socket socket(io);
        socket.connect({boost::asio::ip::make_address("127.0.0.1"), port});
        return socket;
    }
    std::string raw(const std::string& request) {
        auto socket = connected();
        boost::asio::write(socket, boost::asio::buffer(request));
        std::string answer;
        bool is_over = false;
        boost::asio::async_read(socket, boost::asio::dynamic_buffer(answer),
                                [&](const boost::system::error_code&, std::size_t) { is_over = true; });
        run_until([&] { return is_over; });
        return answer;
    }
    http::ClientResponse get(const std::string& path, const std::string& token = {}) {
        http::ClientRequest request;
        request.url = path;
        return ask(std::move(request), token);
    }
    http::ClientResponse post(const std::string& path, const std::string& body, const std::string& token) {
        http::ClientRequest request;
        request.method = "POST";
        request.url = path;
        request.body = body;
        return ask(std::move(request), token);
    }
    http::ClientResponse tell_agents(const std::string& body, const std::string& secret, const std::string& nonce,
                                     const std::string& site = "paris") {
        return tell(kSiteAgentsPath, body, secret, nonce, site);
    }
    http::ClientResponse tell(std::string_view path, const std::string& body, const std::string& secret,
                              const std::string& nonce, const std::string& site = "paris") {
        http::ClientRequest request;
        request.method = "POST";
        request.url = std::string(path);
        request.body = body;
        const auto given = sign_site_request("POST", path, site, secret, body, net::now().wall, nonce);
        request.headers = {{"Sheaf-Site", given.site},
                           {"Sheaf-Date", given.date},
                           {"Sheaf-Nonce", given.nonce},
                           {"Sheaf-Signature", given.signature}};
        return ask(std::move(request));
    }
    [[nodiscard]] sip::Uri uri(const std::string& user) const {
        const auto at = sip::endpoint_from_text(role->bound().sip.front());
        return *sip::uri_from_text("sip:" + user + (user.empty() ? "" : "@") + "127.0.0.1:" + std::to_string(at->port));
    }
    int register_phone(const std::string& password) {
        sip::OutsideRequest request;
        request.method = "REGISTER";
        request.target = uri("");
        request.from.uri = uri("1001");
        request.to.uri = uri("1001");
        request.headers = {{"Contact", "<sip:1001@127.0.0.1:" + std::to_string(phone->bound().front().port) + ">"}};
        request.account = sip::Account{"1001", password};
        heard.clear();
        phone->agent().request_outside(net::now().mono, request);
        phone->pump();
        run_until([&] { return !heard.empty(); });
        return std::get<sip::Responded>(heard.back()).status;
    }
    void stop() {
        bool done = false;
        role->stop([&] { done = true; });
        run_until([&] { return done; });
    }
    [[nodiscard]] std::string journal() const {
        for (const auto& entry : fs::directory_iterator(folder)) {
            if (entry.path().extension() == ".jsonl") return entry.path().string();
        }
        return {};
    }
};

}  // namespace

TEST_CASE("the CTI API wants a token, and knows whose devices it may touch") {
    Lab lab;
    const auto refused = lab.get("/v1/agents");
    CHECK(refused.status == 401);
    CHECK(refused.body.find("Unauthorized") != std::string::npos);
    CHECK(lab.get("/v1/agents", "wrong").status == 401);
    const auto own = lab.get("/v1/agents", "let me in");
    CHECK(own.status == 200);
    CHECK(own.body.find("\"1001\"") != std::string::npos);
    CHECK(own.body.find("\"1002\"") == std::string::npos);
    CHECK(lab.get("/v1/agents", "show all").body.find("\"1002\"") != std::string::npos);
    CHECK(lab.get("/v1/calls", "show all").body == "[]");
    CHECK(lab.post("/v1/agents/1002/state", R"({"state":"ready"})", "let me in").status == 403);
    CHECK(lab.post("/v1/agents/1001/state", R"({"state":"ready"})", "let me in").status == 409);  // not registered
    CHECK(lab.post("/v1/agents/1001/state", R"({"state":"asleep"})", "let me in").status == 400);
    CHECK(lab.post("/v1/agents/1001/state", R"({"state":7})", "let me in").status == 400);
    CHECK(lab.post("/v1/agents/1001/state", "{", "let me in").status == 400);
    CHECK(lab.post("/v1/calls/nobody/clear", R"({"device":"1001"})", "let me in").status == 404);
    CHECK(lab.get("/v1/calls/nobody/clear", "let me in").status == 405);
    CHECK(lab.get("/v1/calls/nobody/messages", "let me in").status == 403);  // it names devices of others
    CHECK(lab.get("/v1/calls/nobody/messages", "show all").status == 404);
    CHECK(lab.get("/v1/calls/nobody/messages?format=pcap", "show all").status == 404);
    CHECK(lab.get("/v1/calls/nobody/messages?format=xml", "show all").status == 400);
    CHECK(lab.post("/v1/calls/nobody/messages", "{}", "show all").status == 405);
    CHECK(lab.get("/v1/nothing", "let me in").status == 404);
    CHECK(lab.get("/", "let me in").status == 404);
}

TEST_CASE("without tokens on loopback everyone may ask") {
    Lab lab([](config::SwitchSettings& settings) {
        settings.tokens.clear();
        settings.cti_without_token = true;
    });
    CHECK(lab.get("/v1/agents").status == 200);
    const auto from = [&](const char* name, const char* value) {
        http::ClientRequest request;
        request.url = "/v1/agents";
        request.headers.emplace_back(name, value);
        return lab.ask(std::move(request)).status;
    };
    // Not a page that a browser on this machine shows, nor a name that points here.
    CHECK(from("Origin", "http://example.org") == 401);
    CHECK(from("Origin", ("http://" + lab.role->bound().cti).c_str()) == 200);
    CHECK(lab.raw("GET /v1/agents HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n")
              .starts_with("HTTP/1.1 401"));
}

TEST_CASE("a peer site's readiness is believed with its signature, once") {
    Lab lab;
    const std::string body = R"({"boot":"b","seq":1,"agents":[{"dn":"2001","state":"ready","for_ms":10}]})";
    CHECK(lab.tell_agents(body, "wrong", "0000000000000001").status == 403);
    CHECK(lab.tell_agents(body, "the pair's", "0000000000000002", "rome").status == 403);
    CHECK(lab.tell_agents(body, "the pair's", "0000000000000003").status == 204);
    CHECK(lab.tell_agents(body, "the pair's", "0000000000000003").status == 403);
    CHECK(lab.tell_agents("{}", "the pair's", "0000000000000004").status == 400);
    CHECK(lab.get(std::string(kSiteAgentsPath)).status == 405);
}

TEST_CASE("a peer site's pause and confirmation are believed with its signature over their own path") {
    Lab lab;
    const auto body = pause_body({"", LinkId("l1"), true, {"agent 2001", "p1", 0, 0}});
    CHECK(lab.tell(kSitePausePath, body, "wrong", "0000000000000011").status == 403);
    CHECK(lab.tell(kSitePausePath, body, "the pair's", "0000000000000012").status == 204);
    CHECK(lab.tell(kSitePausePath, body, "the pair's", "0000000000000012").status == 403);
    CHECK(lab.tell(kSitePausePath, "{}", "the pair's", "0000000000000013").status == 400);
    const auto confirmation = confirmation_body({"", LinkId("l1"), "p1"});
    CHECK(lab.tell(kSitePauseConfirmedPath, confirmation, "the pair's", "0000000000000014").status == 204);
    CHECK(lab.tell("/v1/site/other", confirmation, "the pair's", "0000000000000015").status == 404);
    CHECK(lab.get(std::string(kSitePausePath), "let me in").status == 405);
    lab.stop();
    const auto report = replay_file(lab.journal());
    REQUIRE(report);
    CHECK(report->inputs >= 2);
}

TEST_CASE("every service of a call is asked of the exchange, and an unknown field is named") {
    Lab lab;
    for (const auto* service : {"answer", "clear", "hold", "retrieve", "single-step-transfer", "single-step-conference",
                                "consultation", "transfer", "conference", "alternate", "reconnect", "recording/start",
                                "recording/pause", "recording/resume", "recording/stop"}) {
        CAPTURE(service);
        const auto path = "/v1/calls/nobody/" + std::string(service);
        const auto answer = lab.post(path, R"({"device":"1001","to":"8000"})", "let me in");
        CHECK((answer.status == 404 || answer.status == 501));  // by the exchange: there is no such call
        CHECK(answer.body.find("Not found") == std::string::npos);
        const auto refused = lab.post(path, R"({"device":"1001","colour":"red"})", "let me in");
        CHECK(refused.status == 400);
        CHECK(refused.body.find("unknown field: colour") != std::string::npos);
    }
    CHECK(lab.post("/v1/calls/nobody/hold", R"({"state":"ready"})", "let me in").status == 400);
    CHECK(lab.post("/v1/calls/nobody/nothing", R"({"device":"1001"})", "let me in").status == 404);
    CHECK(lab.post("/v1/calls/nobody/hold", "", "").status == 401);
}

TEST_CASE("a phone registers over UDP, the agent is ready, listeners hear of it, and the run replays") {
    Lab lab;
    auto socket = lab.connected();
    boost::asio::write(
        socket, boost::asio::buffer(std::string("GET /v1/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
                                                "Authorization: Bearer let me in\r\n\r\n")));
    std::string heard;
    std::function<void()> listen = [&] {
        boost::asio::async_read_until(socket, boost::asio::dynamic_buffer(heard), "\n\n",
                                      [](const boost::system::error_code&, std::size_t) {});
    };
    listen();
    lab.run_until([&] { return heard.find("\"snapshot\"") != std::string::npos; });
    CHECK(heard.find("\"1001\"") != std::string::npos);
    CHECK(heard.find("\"1002\"") == std::string::npos);

    CHECK(lab.register_phone("wrong") == 403);
    CHECK(lab.register_phone("ada's") == 200);
    CHECK(lab.get("/v1/agents", "let me in").body.find("\"ready\"") != std::string::npos);
    // A call of a stranger to nowhere, and one with no media server to take it.
    for (const auto& [number, status] : {std::pair{"9999", 404}, {"8000", 503}}) {
        sip::Invitation invitation;
        invitation.target = lab.uri(number);
        invitation.from.uri = *sip::uri_from_text("sip:someone@127.0.0.1");
        invitation.to.uri = invitation.target;
        lab.heard.clear();
        lab.phone->agent().invite(net::now().mono, invitation);
        lab.phone->pump();
        lab.run_until([&] { return !lab.heard.empty() && std::holds_alternative<sip::Failed>(lab.heard.back()); });
        CHECK(std::get<sip::Failed>(lab.heard.back()).status == status);
    }
    CHECK(lab.role->counts().calls == 0);
    CHECK(lab.role->counts().legs == 0);
    lab.stop();
    auto outbox = store::open_outbox(lab.folder / "outbox.db", "default", "london", "london-1", "switch");
    REQUIRE(outbox);
    const auto pending = (*outbox)->pending(100, 1 << 20);
    REQUIRE(pending);
    std::string types;
    for (const auto& fact : *pending) types += fact.type + " ";
    CHECK(types.find("agent.state") != std::string::npos);
    CHECK(types.find("call.started") != std::string::npos);
    CHECK(types.find("call.ended") != std::string::npos);
    const auto report = replay_file(lab.journal());
    REQUIRE_MESSAGE(report, (report ? "" : report.error().what));
    CHECK(report->inputs >= 4);
    CHECK(!report->difference);
}

TEST_CASE("whose token is taken away or means something else hears nothing more") {
    Lab lab;
    const auto listen = [&](const std::string& secret) {
        auto socket = std::make_unique<boost::asio::ip::tcp::socket>(lab.connected());
        boost::asio::write(*socket,
                           boost::asio::buffer("GET /v1/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
                                               "Authorization: Bearer " +
                                               secret + "\r\n\r\n"));
        return socket;
    };
    const auto desktop = listen("let me in"), wall = listen("show all");
    std::string heard[2];
    bool is_over[2] = {};
    const auto read = [&](boost::asio::ip::tcp::socket& socket, std::size_t i) {
        boost::asio::async_read(socket, boost::asio::dynamic_buffer(heard[i]),
                                [&, i](const boost::system::error_code&, std::size_t) { is_over[i] = true; });
    };
    read(*desktop, 0);
    read(*wall, 1);
    lab.run_until([&] {
        return heard[0].find("snapshot") != std::string::npos && heard[1].find("snapshot") != std::string::npos;
    });
    auto settings = Lab::settings(lab.folder);
    settings.tokens[0].devices = {"1002"};
    REQUIRE(lab.role->reload(settings));
    lab.run_until([&] { return is_over[0]; });
    CHECK(lab.register_phone("ada's") == 200);
    lab.run_until([&] { return heard[1].find("agent-ready") != std::string::npos; });
    CHECK_FALSE(is_over[1]);
    CHECK(heard[0].find("agent-ready") == std::string::npos);
}

TEST_CASE("settings can be read anew: agents and tokens change, calls and addresses stay") {
    Lab lab;
    const auto before = lab.role->bound();
    auto settings = Lab::settings(lab.folder);
    settings.agents.push_back({"1003", "Eve", "eve's", {}, false});
    settings.tokens = {{"wall", "new secret", {"*"}}};
    REQUIRE(lab.role->reload(settings));
    CHECK(lab.get("/v1/agents", "show all").status == 401);
    CHECK(lab.get("/v1/agents", "new secret").body.find("\"1003\"") != std::string::npos);
    CHECK(lab.role->bound().sip == before.sip);
    settings.sites[0].address = "sip:127.0.0.2;transport=sctp";
    CHECK(!lab.role->reload(settings));
}

TEST_CASE("a switch starts and goes on without the peers whose names lead nowhere") {
    const auto with_names = [](config::SwitchSettings& settings) {
        settings.dns = {"127.0.0.1:9"};  // nobody is there
        settings.sites[0].address = "sip:no.such.host.invalid";
        settings.media = {"sip:no.such.media.invalid"};
        settings.trunks = {{"carrier", {"sip:no.such.carrier.invalid", "sip:127.0.0.9"}}};
    };
    const auto before = std::chrono::steady_clock::now();
    Lab lab(with_names);
    CHECK(std::chrono::steady_clock::now() - before < 5s);  // who is refused does not wait
    CHECK(lab.get("/v1/agents", "show all").status == 200);
    auto settings = Lab::settings(lab.folder);
    with_names(settings);
    settings.sites[0].address = "sip:nor.this.one.invalid";
    CHECK(lab.role->reload(settings));
    settings.dns = {"no address"};
    CHECK(!lab.role->reload(settings));
}

TEST_CASE("each of a trunk's names stands for the addresses that it leads to, in its place, sixteen in all") {
    config::SwitchSettings settings = Lab::settings("/tmp");
    settings.media = {"sip:media.example"};
    settings.trunks = {{"carrier", {"sip:127.0.0.1:5060", "sip:a.example", "sip:127.0.0.9", "sip:b.example"}}};
    settings.sites[0].address = "sip:paris.example";
    CHECK(named_uris(settings) ==
          std::set<std::string>{"sip:a.example", "sip:b.example", "sip:media.example", "sip:paris.example"});
    std::size_t of_b = 1;
    const auto read = [&] {
        auto peers = b2bua_settings(settings, "127.0.0.1", [&](const std::string& uri) {
            std::vector<sip::Endpoint> out;
            if (uri == "sip:a.example") out = {{sip::Transport::tcp, "127.0.0.2", 5061}};
            if (uri == "sip:paris.example") out = {{{}, "127.0.0.7", 5060}, {{}, "127.0.0.8", 5060}};
            for (std::size_t i = 0; uri == "sip:b.example" && i < of_b; ++i)
                out.push_back({{}, "127.0.0.9", static_cast<std::uint16_t>(5'060 + i)});
            return out;
        });
        REQUIRE(peers);
        return *peers;
    };
    const auto peers = read();
    const auto& addresses = peers.trunks[0].addresses;
    REQUIRE(addresses.size() == 3);  // the last one is there already
    CHECK(sip::to_text(addresses[1].uri) == "sip:a.example");
    CHECK(sip::to_text(addresses[1].at) == "tcp:127.0.0.2:5061");
    CHECK(sip::to_text(addresses[2].uri) == "sip:127.0.0.9");
    REQUIRE(peers.sites[0].address);
    CHECK(peers.sites[0].address->at.address == "127.0.0.7");
    REQUIRE(peers.media.size() == 1);
    CHECK(!peers.media[0]);
    of_b = 40;
    CHECK(read().trunks[0].addresses.size() == sip::kAddressesMax);
}

TEST_CASE("calls that a former run has left in progress are ended as the next one starts") {
    const WallTime began{std::chrono::milliseconds{1'767'605'400'000}};
    const auto open = [](const std::string& folder) {
        auto outbox = store::open_outbox(folder + "/outbox.db", "default", "london", "london-1", "switch");
        REQUIRE(outbox);
        return std::move(*outbox);
    };
    Lab lab([&](config::SwitchSettings& settings) {
        const auto outbox = open(settings.node.data);
        const auto say = [&](const std::string& type, const std::string& call, std::chrono::milliseconds later) {
            REQUIRE(outbox->add({{{Instant(later), began + later}, type, {{"calluuid", call}}}}));
        };
        say("call.started", "over", 0ms);
        say("call.started", "lost", 1ms);
        say("call.ended", "over", 2ms);
        REQUIRE(outbox->alive({Instant(10s), began + 10s}));
    });
    lab.stop();
    const auto facts = open(lab.folder)->pending(100, 1 << 20);
    REQUIRE(facts);
    const auto ended = std::ranges::find_if(
        *facts, [](const Fact& fact) { return fact.type == "call.ended" && fact.data.at("calluuid") == "lost"; });
    REQUIRE(ended != facts->end());
    CHECK(ended->data.at("cause") == "lost-control");
    CHECK(ended->at == began + 10s);
    CHECK(open(lab.folder)->unfinished()->calls.empty());
}

TEST_CASE("what cannot be bound or opened is said in words") {
    Lab lab;
    auto settings = Lab::settings(lab.folder);
    settings.listen = {lab.role->bound().sip.front()};
    auto started = SwitchRole::start(lab.io, settings);
    REQUIRE(!started);
    CHECK(!started.error().what.empty());
    settings = Lab::settings("/proc/nothing");
    CHECK(SwitchRole::start(lab.io, settings).error().code == Errc::io);
}
