// SPDX-License-Identifier: Apache-2.0
#include "apps/media/media_role.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>

#include "edge/journal/file.h"
#include "edge/journal/sealer.h"
#include "edge/journal/verify.h"
#include "edge/net/clock.h"
#include "edge/net/sip_node.h"
#include "edge/net/udp_socket.h"
#include "edge/store/outbox_sqlite.h"
#include "media/channels.h"
#include "rtp/g711.h"
#include "rtp/packet.h"
#include "rtp/tone.h"
#include "sip/sdp.h"

using namespace sheaf;
using namespace sheaf::apps;
using namespace std::chrono_literals;

namespace {

struct Folder {
    Folder() {
        std::string name = std::filesystem::temp_directory_path().string() + "/sheaf-media-XXXXXX";
        path = ::mkdtemp(name.data());
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::string path;
};

config::MediaSettings settings(const std::string& folder, const std::string& ip, std::uint16_t first) {
    config::MediaSettings s;
    s.node = {.site = "london", .name = "london-m", .data = folder, .tenant = "default"};
    s.sip = {"udp:" + (ip == "::1" ? "[::1]" : ip) + ":0"};
    s.rtp_address = ip;
    s.rtp_port_first = first;
    s.rtp_port_last = static_cast<std::uint16_t>(first + 5);  // three pairs
    return s;
}

// A switch's side of the media server: real SIP and RTP on loopback.
struct Driver {
    Driver(const std::string& folder, const std::string& ip, std::uint16_t first)
        : Driver(settings(folder, ip, first)) {}
    explicit Driver(const config::MediaSettings& with) : address(with.rtp_address) {
        auto started = MediaRole::start(io, with);
        REQUIRE_MESSAGE(started, started.error().what);
        role = std::move(*started);
        server = sip::endpoint_from_text(role->bound().sip[0]).value();
        sip::UserAgentOptions options;
        options.listen = {{sip::Transport::udp, address, 0}};
        options.allow = {"INVITE", "ACK", "BYE", "INFO"};
        auto node_started = net::SipNode::start(io, options, [this](Instant now, const sip::Event& e) { on(now, e); });
        REQUIRE(node_started);
        node = std::move(*node_started);
    }
    void on(Instant now, const sip::Event& event) {
        if (const auto* requested = std::get_if<sip::Requested>(&event)) {
            infos.push_back(requested->request.body);
            node->agent().respond(now, requested->id, 200);
        }
        events.push_back(event);
    }
    template <typename F>
    void until(F&& done) {
        const auto limit = std::chrono::steady_clock::now() + 20s;
        while (!done() && std::chrono::steady_clock::now() < limit) io.run_one_for(1s);
        REQUIRE(done());
    }
    template <typename T>
    const T* last_of(sip::DialogId dialog) const {
        const T* found = nullptr;
        for (const sip::Event& event : events) {
            const auto* e = std::get_if<T>(&event);
            if (e != nullptr && e->dialog == dialog) found = e;
        }
        return found;
    }
    bool told(const std::string& what) const {
        return std::ranges::any_of(infos,
                                   [&](const std::string& info) { return info.find(what) != std::string::npos; });
    }

    struct Phone {
        sip::DialogId dialog = 0;
        net::UdpSocket socket;
        net::SocketAddress server;
        std::string conn;
        rtp::Tone tone{467, -16};
        std::uint16_t sequence = 7;
        std::uint32_t ssrc = 1;
    };
    sip::DialogId invite(const std::string& room, std::uint16_t port) {
        sip::SessionDescription offer = sip::make_offer(
            {.address = address,
             .port = port,
             .codecs =
                 {{.payload_type = 0, .name = "PCMU", .clock_hz = 8'000, .channels = 1, .fmtp = {}},
                  {.payload_type = 101, .name = "telephone-event", .clock_hz = 8'000, .channels = 1, .fmtp = "0-15"}}},
            1, 1);
        sip::Invitation invitation;
        invitation.target.user = "msml=" + room;
        invitation.target.host = address;
        invitation.target.port = server.port;
        invitation.next_hop = server;
        invitation.from.uri.host = address;
        invitation.to.uri = invitation.target;
        invitation.content_type = "application/sdp";
        invitation.body = sip::to_text(offer);
        const auto dialog = node->agent().invite(net::now().mono, invitation);
        node->pump();
        return dialog;
    }
    Phone phone(const std::string& room, double hertz, std::uint32_t ssrc) {
        Phone p;
        p.socket = net::UdpSocket::bind(net::SocketAddress::from_text(address, 0).value()).value();
        p.tone = rtp::Tone(hertz, -16);
        p.ssrc = ssrc;
        p.dialog = invite(room, p.socket.local().port());
        until([&] { return last_of<sip::Answered>(p.dialog) != nullptr; });
        const auto answer = sip::sdp_from_text(last_of<sip::Answered>(p.dialog)->response.body);
        REQUIRE(answer);
        p.server = net::SocketAddress::from_text(address, sip::audio_of(*answer)->port).value();
        p.conn = "conn:" + node->agent().view(p.dialog)->remote_tag;
        return p;
    }
    void speak(Phone& p) const {
        std::array<std::int16_t, 160> samples;
        p.tone.fill(samples);
        std::vector<std::uint8_t> bytes(rtp::kHeaderBytes + 160);
        rtp::write_header(bytes.data(), {.sequence = p.sequence, .timestamp = p.sequence * 160U, .ssrc = p.ssrc});
        ++p.sequence;
        rtp::encode_ulaw(samples, &bytes[rtp::kHeaderBytes]);
        const net::UdpToSend packet{p.server, bytes};
        REQUIRE(p.socket.send({&packet, 1}) == 1);
        ++sent;
    }
    // Frames of 20 ms of them all, at their pace.
    void speak(std::initializer_list<Phone*> phones, int frames) {
        auto beat = std::chrono::steady_clock::now();
        for (int i = 0; i < frames; ++i) {
            for (Phone* p : phones) speak(*p);
            beat += 20ms;
            while (std::chrono::steady_clock::now() < beat) io.run_one_until(beat);
        }
    }
    void press(Phone& p, std::uint8_t event) const {
        const std::uint32_t began = p.sequence * 160U;
        for (int i = 0; i < 6; ++i) {
            std::vector<std::uint8_t> bytes(rtp::kHeaderBytes + 4);
            rtp::write_header(bytes.data(),
                              {.payload_type = 101, .sequence = p.sequence++, .timestamp = began, .ssrc = p.ssrc});
            bytes[12] = event;
            bytes[13] = i >= 3 ? 0x8A : 0x0A;
            bytes[15] = static_cast<std::uint8_t>(i * 32);
            const net::UdpToSend packet{p.server, bytes};
            REQUIRE(p.socket.send({&packet, 1}) == 1);
            ++sent;
        }
    }
    void until_all_received() {
        until([this] { return role->counts().packets_received == sent; });
    }
    std::string info(const Phone& p, const std::string& element) {
        const auto id = node->agent().request(net::now().mono, p.dialog, "INFO", {}, "application/msml+xml",
                                              "<msml version=\"1.1\">" + element + "</msml>");
        node->pump();
        std::string body;
        until([&] {
            for (const sip::Event& event : events) {
                const auto* e = std::get_if<sip::Responded>(&event);
                if (e != nullptr && e->id == id && e->response) body = e->response->body;
            }
            return !body.empty();
        });
        return body;
    }
    // Outside of any dialog; gives the status.
    int message(const std::string& element) {
        sip::OutsideRequest request;
        request.method = "MESSAGE";
        request.target.user = "msml";
        request.target.host = address;
        request.target.port = server.port;
        request.next_hop = server;
        request.from.uri.host = address;
        request.to.uri = request.target;
        request.content_type = "application/msml+xml";
        request.body = "<msml version=\"1.1\">" + element + "</msml>";
        const auto id = node->agent().request_outside(net::now().mono, request);
        node->pump();
        int status = 0;
        until([&] {
            for (const sip::Event& event : events) {
                const auto* e = std::get_if<sip::Responded>(&event);
                if (e != nullptr && e->id == id) status = e->status;
            }
            return status != 0;
        });
        return status;
    }
    std::string record(const Phone& p, const std::string& segment) {
        return info(p, "<record xmlns=\"urn:sheaf:msml:1\" action=\"start\" target=\"" + p.conn + "\" segment=\"" +
                           segment + "\" calluuid=\"call-1\" connection=\"agent-1\"/>");
    }
    void bye(const Phone& p) {
        node->agent().bye(net::now().mono, p.dialog);
        node->pump();
    }
    void stop() {
        bool done = false;
        role->stop([&] { done = true; });
        until([&] { return done; });
    }

    boost::asio::io_context io;
    std::string address;
    std::unique_ptr<MediaRole> role;
    std::unique_ptr<net::SipNode> node;
    sip::Endpoint server;
    std::vector<sip::Event> events;
    std::vector<std::string> infos;
    mutable std::uint64_t sent = 0;  // packets of all phones
};

// What the role has put into its outbox; no archive is configured, so it is all there.
std::vector<Fact> facts_in(const std::string& folder) {
    auto outbox = store::open_outbox(folder + "/outbox.db", "default", "london", "london-m", "media");
    REQUIRE(outbox);
    return (*outbox)->pending(1'000, 1 << 20).value();
}
std::vector<link::OutboxFile> outbox_files(const std::string& folder) {
    auto outbox = store::open_outbox(folder + "/outbox.db", "default", "london", "london-m", "media");
    REQUIRE(outbox);
    return (*outbox)->pending_files(100).value();
}

}  // namespace

TEST_CASE("two legs in a room hear each other, and a recording of one becomes facts and a file with both voices") {
    std::uint16_t first = 23'000;
    for (const std::string ip : {"127.0.0.1", "::1"}) {
        const Folder folder;
        {
            Driver d(folder.path, ip, first);
            auto agent = d.phone("call-1", 467, 1);
            auto customer = d.phone("call-1", 853, 2);
            CHECK(d.record(agent, "seg-1").find("\"200\"") != std::string::npos);
            d.until([&] { return d.told("sheaf.record.opened"); });
            auto beat = std::chrono::steady_clock::now();
            for (int i = 0; i < 60; ++i) {
                d.speak(agent);
                d.speak(customer);
                beat += 20ms;
                while (std::chrono::steady_clock::now() < beat) d.io.run_one_until(beat);
            }
            CHECK(d.role->counts().legs == 2);
            d.until_all_received();
            d.bye(agent);
            d.until([&] { return d.role->counts().segments_sealed == 1 && d.role->counts().segments_waiting == 0; });
            CHECK(d.role->counts().packets_received == 120);
            d.bye(customer);
            d.until([&] { return d.role->counts().legs == 0; });
            d.stop();
        }
        const auto facts = facts_in(folder.path);
        REQUIRE(facts.size() == 2);
        CHECK(facts[0].type == "segment.opened");
        CHECK(facts[1].type == "segment.sealed");
        CHECK(facts[1].data.at("cause").as_string() == "normal");
        CHECK(facts[1].data.at("said").at("received").to_number<int>() == 60);
        CHECK(facts[1].data.at("heard").at("stored").to_number<int>() == 60);
        const auto duration_ms = facts[1].data.at("duration_ms").as_int64();
        CHECK(facts[1].mono - facts[0].mono - duration_ms <= 1);
        const auto files = outbox_files(folder.path);
        REQUIRE(files.size() == 1);
        CHECK(files[0].segment == "seg-1");

        auto wav = journal::File::open_read(files[0].path);
        REQUIRE(wav);
        std::vector<std::uint8_t> bytes(static_cast<std::size_t>(wav->size().value()));
        REQUIRE(wav->read_at(0, bytes));
        std::vector<std::int16_t> said, heard;
        for (std::size_t i = 44; i + 4 <= bytes.size(); i += 4) {
            said.push_back(static_cast<std::int16_t>(read_u16le(&bytes[i])));
            heard.push_back(static_cast<std::int16_t>(read_u16le(&bytes[i + 2])));
        }
        CHECK(std::abs(static_cast<std::int64_t>(said.size()) - duration_ms * 8) <= 8);  // whole milliseconds
        const auto middle = [](const std::vector<std::int16_t>& v) {
            return std::span(v).subspan(v.size() / 4, 4'000);
        };
        CHECK(rtp::tone_level_dbfs(middle(said), 467) > -17.5);
        CHECK(rtp::tone_level_dbfs(middle(said), 853) < -60);
        CHECK(rtp::tone_level_dbfs(middle(heard), 853) > -17.5);
        CHECK(rtp::tone_level_dbfs(middle(heard), 467) < -60);
        const auto report = journal::verify_path(folder.path + "/media");
        REQUIRE(report);
        CHECK_MESSAGE(report->ok(), journal::to_text(*report));
        first = static_cast<std::uint16_t>(first + 10);
    }
}

TEST_CASE("three are mixed, a pause takes back and keeps out, and a digit is told once") {
    const Folder folder;
    const std::string on_segment = "<record xmlns=\"urn:sheaf:msml:1\" segment=\"seg\" label=\"paused\" action=\"";
    {
        Driver d(folder.path, "127.0.0.1", 23'200);
        auto agent = d.phone("call-1", 467, 1);
        auto customer = d.phone("call-1", 853, 2);
        auto third = d.phone("call-1", 1'229, 3);
        CHECK(d.record(agent, "seg").find("\"200\"") != std::string::npos);
        d.until([&] { return d.told("sheaf.record.opened"); });
        d.speak({&agent, &customer, &third}, 60);
        CHECK(d.info(agent, on_segment + "silence\" by=\"1001\" back=\"200\"/>").find("\"200\"") != std::string::npos);
        d.speak({&agent, &customer, &third}, 30);
        CHECK(d.info(agent, on_segment + "resume\"/>").find("\"200\"") != std::string::npos);
        d.speak({&agent, &customer, &third}, 30);
        CHECK(
            d.info(customer, "<collect xmlns=\"urn:sheaf:msml:1\" target=\"" + customer.conn + "\" action=\"start\"/>")
                .find("\"200\"") != std::string::npos);
        d.press(customer, 11);
        d.until([&] { return d.told("sheaf.digit"); });
        CHECK(d.told("<name>digit</name><value>#</value>"));
        d.speak({&agent, &customer, &third}, 5);
        CHECK(std::ranges::count_if(
                  d.infos, [](const std::string& info) { return info.find("sheaf.digit") != std::string::npos; }) == 1);
        d.until_all_received();
        d.bye(agent);
        d.until([&] { return d.role->counts().segments_sealed == 1 && d.role->counts().segments_waiting == 0; });
        d.stop();
    }
    const auto report = journal::verify_path(folder.path + "/media/segments");
    REQUIRE(report);
    CHECK_MESSAGE(report->ok(), journal::to_text(*report));
    const auto& segment = report->files[0].segments[0];
    REQUIRE(segment.stretches.size() == 1);
    const auto& paused = segment.stretches[0];
    CHECK(paused.by == "1001");
    CHECK(to_ms(paused.to - paused.from) == doctest::Approx(800).epsilon(0.1));
    CHECK(segment.said.counts.excluded == doctest::Approx(40).epsilon(0.1));
    CHECK(segment.said.counts.received == 125);

    const auto files = outbox_files(folder.path);
    REQUIRE(files.size() == 1);
    auto wav = journal::File::open_read(files[0].path);
    REQUIRE(wav);
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(wav->size().value()));
    REQUIRE(wav->read_at(0, bytes));
    std::vector<std::int16_t> heard;
    for (std::size_t i = 44; i + 4 <= bytes.size(); i += 4) {
        heard.push_back(static_cast<std::int16_t>(read_u16le(&bytes[i + 2])));
    }
    const auto first = std::span(heard).subspan(1'600, 4'000);
    CHECK(rtp::tone_level_dbfs(first, 853) > -18);
    CHECK(rtp::tone_level_dbfs(first, 1'229) > -18);
    CHECK(rtp::tone_level_dbfs(first, 467) < -50);
    const auto quiet =
        std::span(heard).subspan(media::samples_of(paused.from), media::samples_of(paused.to - paused.from));
    CHECK(std::ranges::all_of(quiet, [](std::int16_t s) { return s == 0; }));
}

TEST_CASE("a switch that falls silent loses its legs, and their recordings keep all that came") {
    const Folder folder;
    constexpr int kFramesBefore = 20;
    int spoken = 0;
    {
        auto with = settings(folder.path, "127.0.0.1", 23'400);
        with.switch_silence_ms = 1'500;
        Driver d(with);
        auto agent = d.phone("r", 467, 1);
        auto kept = d.phone("s", 853, 2);  // of a switch that is there
        REQUIRE(d.record(agent, "seg-1").find("\"200\"") != std::string::npos);
        d.until([&] { return d.told("sheaf.record.opened"); });
        while (d.role->counts().legs == 2) {
            d.speak({&agent}, kFramesBefore);
            spoken += kFramesBefore;
            d.node->agent().request(net::now().mono, kept.dialog, "OPTIONS", {});
            d.node->pump();
        }
        CHECK(d.role->counts().legs == 1);
        CHECK(spoken >= 1'500 / 20);
        d.until([&] { return d.role->counts().segments_sealed == 1 && d.role->counts().segments_waiting == 0; });
        d.until([&] { return d.last_of<sip::Ended>(agent.dialog) != nullptr; });
        CHECK(d.last_of<sip::Ended>(kept.dialog) == nullptr);
        d.stop();
    }
    const auto facts = facts_in(folder.path);
    REQUIRE(facts.size() == 2);  // nothing is lost
    CHECK(facts[1].type == "segment.sealed");
    CHECK(facts[1].data.at("cause").as_string() == "lost-control");
    CHECK(facts[1].data.at("said").at("stored").to_number<int>() >= spoken - kFramesBefore);
    CHECK(facts[1].data.at("duration_ms").as_int64() >= (spoken - kFramesBefore) * 20 - 20);
    CHECK(outbox_files(folder.path).size() == 1);
}

TEST_CASE("no free port is 503, and a port that was freed can be had again") {
    const Folder folder;
    Driver d(folder.path, "127.0.0.1", 23'100);
    auto a = d.phone("x", 467, 1);
    auto b = d.phone("y", 467, 2);
    auto c = d.phone("z", 467, 3);
    const auto fourth = d.invite("w", 4'000);
    d.until([&] { return d.last_of<sip::Failed>(fourth) != nullptr; });
    CHECK(d.last_of<sip::Failed>(fourth)->status == 503);
    d.bye(a);
    d.until([&] { return d.role->counts().legs == 2; });
    // The worker closes the sockets a moment after the leg has gone.
    bool answered = false;
    for (int i = 0; i < 100 && !answered; ++i) {
        const auto again = d.invite("w", 4'000);
        d.until([&] { return d.last_of<sip::Failed>(again) != nullptr || d.last_of<sip::Answered>(again) != nullptr; });
        answered = d.last_of<sip::Answered>(again) != nullptr;
    }
    CHECK(answered);
    CHECK(d.role->counts().legs == 3);
    d.stop();
}

TEST_CASE("a stop ends the calls, seals what runs and leaves it in the outbox") {
    const Folder folder;
    {
        Driver d(folder.path, "127.0.0.1", 23'200);
        auto agent = d.phone("r", 467, 1);
        REQUIRE(d.record(agent, "seg-1").find("\"200\"") != std::string::npos);
        d.until([&] { return d.told("sheaf.record.opened"); });
        for (int i = 0; i < 10; ++i) d.speak(agent);
        d.stop();
        d.until([&] { return d.last_of<sip::Ended>(agent.dialog) != nullptr; });
    }
    const auto facts = facts_in(folder.path);
    REQUIRE(facts.size() == 2);
    CHECK(facts[1].data.at("cause").as_string() == "shutdown");
    CHECK(facts[1].data.at("said").at("stored").to_number<int>() == 10);
    CHECK(outbox_files(folder.path).size() == 1);
}

TEST_CASE("a file without what was erased of it waits until the archive knows that it takes another's place") {
    const Folder folder;
    Driver d(folder.path, "127.0.0.1", 23'200);
    auto agent = d.phone("r", 467, 1);
    REQUIRE(d.record(agent, "seg-1").find("\"200\"") != std::string::npos);
    d.until([&] { return d.told("sheaf.record.opened"); });
    d.speak({&agent}, 25);
    d.until_all_received();
    d.bye(agent);
    d.until([&] { return d.role->counts().segments_sealed == 1 && d.role->counts().segments_waiting == 0; });
    const auto former = outbox_files(folder.path);
    REQUIRE(former.size() == 1);
    CHECK(d.message("<record xmlns=\"urn:sheaf:msml:1\" segment=\"seg-1\" label=\"paused\" by=\"1001\" "
                    "action=\"silence\" back=\"60000\"/>") == 200);
    // Nobody takes facts: that of the erasure is still to go.
    const auto ticks = std::chrono::steady_clock::now() + 1'500ms;  // it looks once a second
    d.until([&] { return std::chrono::steady_clock::now() > ticks; });
    auto outbox = store::open_outbox(folder.path + "/outbox.db", "default", "london", "london-m", "media").value();
    CHECK(outbox->pending_files(10).value().at(0).sha256 == former[0].sha256);
    const auto facts = outbox->pending(100, 1 << 20).value();
    REQUIRE(facts.back().type == "segment.erased");
    std::vector<std::string> ids;
    for (const Fact& fact : facts) ids.push_back(fact.id);
    REQUIRE(outbox->delivered(ids));
    d.until([&] { return outbox->pending_files(10).value().at(0).sha256 != former[0].sha256; });
    CHECK(outbox->pending_files(10).value().at(0).sha256 == facts.back().data.at("sha256").as_string());
    d.stop();
}

TEST_CASE("a media server that cannot have its address or its prompts says so") {
    const Folder folder;
    boost::asio::io_context io;
    auto wrong = settings(folder.path, "127.0.0.1", 23'300);
    wrong.prompts = folder.path + "/nowhere";
    CHECK(MediaRole::start(io, wrong).error().code == Errc::not_found);
    auto elsewhere = settings(folder.path, "127.0.0.1", 23'300);
    elsewhere.sip = {"udp:192.0.2.1:5070"};
    CHECK_FALSE(MediaRole::start(io, elsewhere));
}
